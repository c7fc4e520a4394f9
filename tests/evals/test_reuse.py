"""Stages have keys of their own: a changed knob makes anew what it moves, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from janus_eval.evals import evaluate, plan, registry
from janus_eval.evals.files import seal, unseal
from janus_eval.evals.records import read_record, read_scores
from janus_eval.evals.types import Evidence, RunSpec, Score
from support.site import install, visible
from support.worlds import Eye, Painter, Redness, spec

OPTIONS = """
class Forgets:
    kinds = frozenset(["text"])
    inert = ("workers",)
    asked = []

    def __init__(self, *, a: str = "no", workers: int = 1, path: str = ""):
        self.a = a
        self.card = {"weights": "w"}  # forgets to name `a`
    def predict(self, jobs):
        self.asked.append(len(jobs))
        return [self.a for _ in jobs]
"""


@pytest.fixture
def forgets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    visible(install(tmp_path / "site", "options", OPTIONS, models={"forgets": "Forgets"}), monkeypatch)
    import options_plugin

    yield options_plugin.Forgets
    registry.forget()


def ask(folder: Path, **options: Any) -> list[Any]:
    """Run the plugin that forgets and return its official answers."""
    record = evaluate("forgets", "pope", data="toy", limit=3, output=folder, model_options=options)
    (run,) = [each for each in folder.iterdir() if each.name.endswith(record.spec.digest)]
    return [each.answer for each in read_scores(run) if each.protocol == "official"]


@pytest.mark.claim("R12")
def test_an_option_that_the_card_forgot_enters_the_key_by_itself(forgets: Any, tmp_path: Path) -> None:
    assert ask(tmp_path / "runs", a="yes") == ["yes"] * 3
    assert ask(tmp_path / "runs", a="no") == ["no"] * 3
    records = [read_record(each) for each in runs(tmp_path / "runs")]
    assert sorted(dict(each.spec.model_options).get("a", "") for each in records) == ["", "yes"]
    assert any("|m.option.a:yes|" in each.spec.signature for each in records)


def test_an_option_that_moves_nothing_asks_nobody_again(forgets: Any, tmp_path: Path) -> None:
    forgets.asked.clear()
    ask(tmp_path / "runs", a="yes", workers="4")
    ask(tmp_path / "runs", a="yes", workers="8")
    ask(tmp_path / "runs", a="yes")
    assert forgets.asked == [3]


def test_a_default_that_is_spelled_out_is_no_other_run(forgets: Any, tmp_path: Path) -> None:
    forgets.asked.clear()
    ask(tmp_path / "runs", a="no")
    ask(tmp_path / "runs")
    assert forgets.asked == [3]


# -- stages -------------------------------------------------------------------------------------------


@dataclass
class Threshold(Redness):
    """Redness with a limit that moves scores alone, and a way of asking that moves predictions."""

    least: int = 127
    way: str = "a"
    eye: Any = field(default_factory=Eye)
    scoring = ("least",)

    def __post_init__(self) -> None:
        self.observer = self.eye
        self.card = {"version": "1", "least": self.least, "way": self.way}

    def score(self, sample: Any, prediction: Any, evidence: Evidence | None) -> list[Score]:
        assert evidence is not None
        return [Score(sample.id, prediction.index, "official", float(evidence.data["red"] > self.least))]


@dataclass
class Other(Eye):
    card = {"eye": 2}


def named() -> Painter:
    return Painter()  # its card names weights


def test_a_new_threshold_scores_what_is_stored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    evaluate(named(), Threshold(), output=tmp_path)
    painter, eye = named(), Eye()
    record = evaluate(painter, Threshold(least=3, eye=eye), output=tmp_path)
    assert painter.asked == [] and eye.seen == []
    assert record.complete and record.metrics["official/red"].value == 1.0
    (line,) = [each for each in capsys.readouterr().err.splitlines() if "reusing" in each]
    assert line.startswith("janus-eval: reusing 10 pictures, what was observed of 10 of ")


def test_what_is_taken_over_keeps_the_version_that_made_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[str, ...]] = []
    for version, least in (("0.7", 127), ("0.8", 3), ("0.9", 9)):
        monkeypatch.setattr(plan, "harness_version", lambda version=version: version)
        told.append(evaluate(named(), Threshold(least=least), output=tmp_path).versions)
    assert told[0] == () and told[1] == ("0.7",) and "0.7" in told[2]


def test_a_new_observer_looks_at_stored_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    evaluate(named(), Threshold(), output=tmp_path)
    painter, eye = named(), Other()
    record = evaluate(painter, Threshold(eye=eye), output=tmp_path)
    assert painter.asked == [] and len(eye.seen) == 10 and record.complete
    assert "reusing 10 pictures of " in capsys.readouterr().err


def test_what_moves_predictions_asks_the_model_again(tmp_path: Path) -> None:
    evaluate(named(), Threshold(), output=tmp_path)
    for change in ({"suite": Threshold(way="b")}, {"seed": 1}, {"limit": 3}, {"tag": "other"}):
        painter = named()
        suite = change.pop("suite", Threshold())
        evaluate(painter, suite, output=tmp_path, **change)
        assert painter.asked, change


def test_reused_pictures_are_the_bytes_of_the_first_run(tmp_path: Path) -> None:
    evaluate(named(), Threshold(), output=tmp_path)
    evaluate(named(), Threshold(least=3), output=tmp_path)
    first, second = [
        {p.name + p.parent.name: p.read_bytes() for p in run.glob("images/**/*.png")} for run in runs(tmp_path)
    ]
    assert first == second and len(first) == 10


def test_damage_in_the_first_run_is_not_taken_over(tmp_path: Path) -> None:
    evaluate(named(), Threshold(), output=tmp_path, batch_size=1)
    (run,) = runs(tmp_path)
    sorted(run.glob("images/**/*.png"))[0].write_bytes(b"no picture")
    painter = named()
    record = evaluate(painter, Threshold(least=3), output=tmp_path)
    assert len(painter.asked) == 1 and record.complete


def test_a_picture_outside_of_its_run_is_not_taken_over(tmp_path: Path) -> None:
    evaluate(named(), Threshold(), output=tmp_path / "runs", batch_size=1)
    (run,) = runs(tmp_path / "runs")
    path = run / "predictions/0.jsonl"
    rows = [unseal(line) for line in path.read_bytes().splitlines()]
    outside = tmp_path / "secret.png"
    outside.write_bytes((run / rows[0]["image"]).read_bytes())
    rows[0]["image"] = "../../secret.png"
    path.write_text("".join(seal(row) + "\n" for row in rows))
    (run / "record.json").unlink()  # it names the digest of these lines
    painter = named()
    evaluate(painter, Threshold(least=3), output=tmp_path / "runs")
    assert len(painter.asked) == 1


def test_a_first_run_that_was_interrupted_gives_what_it_has(tmp_path: Path) -> None:
    broken = Painter(fail_ids=frozenset(["003"]))
    evaluate(broken, Threshold(), output=tmp_path)
    painter = named()
    record = evaluate(painter, Threshold(least=3), output=tmp_path)
    assert {name for name, _ in painter.asked} >= {"003"} and record.complete


def runs(folder: Path) -> list[Path]:
    return sorted(each.parent for each in folder.glob("*/record.json"))


# -- keys ---------------------------------------------------------------------------------------------


@pytest.mark.claim("R13")
def test_each_key_is_moved_by_what_moves_its_stage() -> None:
    base = replace(spec(), benchmark_card={"version": "1", "least": 3}, scoring=("least",))
    keys = [(s.predictions_key, s.evidence_key, s.digest) for s in (base, *changed(base))]
    first = keys[0]
    same = [tuple(a == b for a, b in zip(first, each, strict=True)) for each in keys[1:]]
    assert same == [(True, True, False), (True, False, False), (True, False, False), *[(False, False, False)] * 5]


def changed(base: RunSpec) -> list[RunSpec]:
    return [
        replace(base, benchmark_card={"version": "1", "least": 4}),
        replace(base, observer_card={"eye": 2}),
        replace(base, observer_options={"floor": 0.2}),
        replace(base, benchmark_card={"version": "2", "least": 3}),
        replace(base, model_card={"weights": "other"}),
        replace(base, model_options={"a": "yes"}),
        replace(base, step=1),
        replace(base, tag="x"),
    ]


def test_a_spec_without_new_fields_keeps_the_digest_of_before() -> None:
    assert spec().digest == "03596dd125a9"
    assert RunSpec.from_json(spec().to_json()) == spec()
    told = replace(spec(), tag="t", step=0, model_options={"a": "b"}, scoring=("least",))
    assert RunSpec.from_json(json.loads(json.dumps(told.to_json()))) == told


def test_the_detector_of_geneval_is_asked_once_for_two_thresholds(tmp_path: Path) -> None:
    options = {"data": "toy", "limit": 2, "output": tmp_path, "observer_options": {"detector": "toy", "clip": "toy"}}
    evaluate("noise-image", "geneval", **options)
    evaluate("noise-image", "geneval", **options, benchmark_options={"threshold": 0.6})
    first, second = (read_record(each) for each in runs(tmp_path))
    assert first.spec.digest != second.spec.digest and first.spec.evidence_key == second.spec.evidence_key
    lines = [sorted((each / "evidence/0.jsonl").read_bytes().splitlines()) for each in runs(tmp_path)]
    assert lines[0] == lines[1]
