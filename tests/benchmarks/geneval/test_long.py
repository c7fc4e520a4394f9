"""GenEval in rewritten prompts: another suite, the same things asked."""

from __future__ import annotations

from pathlib import Path

import pytest
from janus_eval.benchmarks.geneval.benchmark import GenEval, GenEvalLong
from janus_eval.evals.errors import UsageError


def asked(suite: GenEval) -> list[dict[str, object]]:
    return [{key: value for key, value in each.target.items() if key != "prompt"} for each in suite.samples()]


def test_the_toy_asks_for_the_same_things_in_other_words() -> None:
    short, long = GenEval(data="toy"), GenEvalLong(data="toy")
    assert all(each in asked(short) for each in asked(long))
    assert not {each.prompt for each in short.samples()} & {each.prompt for each in long.samples()}
    assert {each.tags["task"] for each in long.samples()} == {each.tags["task"] for each in short.samples()}
    assert long.card["world"] == "toy"


def test_it_is_a_suite_of_its_own_with_the_same_rule(tmp_path: Path) -> None:
    assert GenEvalLong.name != GenEval.name
    assert GenEvalLong.headline == GenEval.headline
    path = tmp_path / "prompts.jsonl"
    path.write_bytes(GenEval(data="toy").data_export(size=1))
    card = GenEvalLong(data=str(path), threshold=0.4).card
    assert (card["origin"], card["threshold"]) == ("given", 0.4)


def test_without_a_network_it_says_what_to_fetch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JANUS_EVAL_CACHE", str(tmp_path))
    with pytest.raises(Exception, match="geneval-long"):
        GenEvalLong(offline=True).samples()


def test_it_is_not_generated() -> None:
    with pytest.raises(UsageError, match="not generated"):
        GenEvalLong(data="toy").data_export(seed=43, size=100)
    assert GenEvalLong(data="toy").data_export().count(b"\n") == len(GenEvalLong(data="toy").samples())
