"""MMVP: pairs, two readers of a letter, the judge that says yes or no, the official table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from janus_eval.benchmarks.mmvp.benchmark import Mmvp, letter_lmms
from janus_eval.benchmarks.reading.answers import letter_vlmevalkit_2026
from support.chat_server import Service, serving
from support.predictions import lines, part, told, value, write

VERDICTS = [  # answer, and the letters that VLMEvalKit and lmms-eval read
    ("B", "B", "B"),
    ("(b)", None, "B"),
    ("(b) Closed", "B", "B"),
    ("Closed.", "B", None),
    ("Option A", "A", "A"),
    ("The answer is B", "B", "B"),
    ("A closed door", "A", "A"),
    ("It looks like a pizza", None, "A"),
    ("beautiful", None, "B"),
    ("Закрыто", None, None),
    ("", None, None),
]


@pytest.mark.parametrize(("text", "vlmevalkit", "lmms"), VERDICTS)
def test_a_letter_of_mmvp(text: str, vlmevalkit: str | None, lmms: str | None) -> None:
    found = letter_vlmevalkit_2026(text, {"A": "Open", "B": "Closed"}), letter_lmms(text)
    assert found == (vlmevalkit, lmms)


def rows(*said: str, first: int = 1) -> list[dict[str, Any]]:
    asked = {"question": "Is it open?", "A": "Open", "B": "Closed"}
    return [{"index": first + n, **asked, "answer": "AB"[n % 2], "response": each} for n, each in enumerate(said)]


@pytest.mark.parametrize("first", [0, 1])
def test_a_pair_is_right_where_both_are(tmp_path: Path, first: int) -> None:
    scored = Mmvp().rescore(predictions=write(tmp_path / "p.jsonl", *rows("A", "B", "A", "A", "B", "B", first=first)))
    for protocol in ("vlmevalkit-2026", "lmms-eval"):
        assert value(scored, f"{protocol}/pair_accuracy") == pytest.approx(100 / 3)
        assert value(scored, f"{protocol}/accuracy") == pytest.approx(400 / 6)


def test_half_a_pair_is_no_pair(tmp_path: Path) -> None:
    scored = Mmvp().rescore(predictions=write(tmp_path / "p.jsonl", *rows("A", "B", "A")))
    assert part(scored, "lmms-eval/pair_accuracy") == 100
    assert scored.metrics["lmms-eval/pair_accuracy"].absent == ("1 pairs without the other question",)


def test_the_judges_yes_is_official_and_prose_is_no_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    replies = iter(("Yes", "no", "YES", "Yes, it does."))
    file = write(tmp_path / "p.jsonl", *rows("it is open", "shut", "open", "closed"))
    with serving(Service(reply=lambda body: next(replies))) as service:
        scored = Mmvp().rescore(predictions=file, judge="j", judge_base_url=service.url, judge_concurrency=1)
    assert [line["correct"]["official"] for line in lines(scored)] == [True, False, True, None]
    assert part(scored, "official/pair_accuracy") == 0
    system, user = service.asked[0]["messages"]
    assert system["content"].endswith("Please answer in only yes or no.")
    assert user["content"] == (
        "Given the following question Is it open? (a) Open (b) Closed, the correct answer is (a)."
        " Does the following answer correctly answers the question, answer:it is open?"
    )


def official(folder: Path) -> None:
    rows = [f'{n},Is it?,"(a) Open (b) Not, open",({answer})' for n, answer in ((1, "a"), (2, "b"))]
    (folder / "Questions.csv").write_text("\n".join(["Index,Question,Options,Correct Answer", *rows]))
    (folder / "MMVP Images").mkdir()
    for number in (1, 2):
        (folder / "MMVP Images" / f"{number}.jpg").write_bytes(b"p%d" % number)


def test_the_official_table_is_read_as_it_lies(tmp_path: Path) -> None:
    official(tmp_path)
    samples = Mmvp(data=str(tmp_path), preset="official").samples()
    assert [each.prompt for each in samples] == ["Is it? (a) Open (b) Not, open"] * 2
    assert [each.images[0].read() for each in samples] == [b"p1", b"p2"]
    assert [each.target["answer"] for each in samples] == ["A", "B"]


def test_lmms_evals_samples_tell_places_and_not_numbers(tmp_path: Path) -> None:
    official(tmp_path)
    file = tmp_path / "1_samples_mmvp.jsonl"
    said = [{"doc_id": n, "target": "?", "filtered_resps": [each]} for n, each in enumerate("AB")]
    assert value(Mmvp().rescore(predictions=write(file, *said), data=tmp_path), "lmms-eval/accuracy") == 100
    whole = [{**row, "doc": {"Index": row["doc_id"] + 1}} for row in said]
    assert value(Mmvp().rescore(predictions=write(file, *whole), data=tmp_path), "lmms-eval/accuracy") == 100


@pytest.mark.parametrize("change", [{"answer": "C"}, {"answer": None}, {"index": None}])
def test_a_row_of_mmvp_that_is_none_is_named(tmp_path: Path, change: dict[str, Any]) -> None:
    row = {**rows("A")[0], **change}
    assert "line 1: column " in told(lambda: Mmvp().rescore(predictions=write(tmp_path / "p.jsonl", row)))
