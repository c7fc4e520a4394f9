"""RealWorldQA: letters and short answers, tables with options apart and within the question."""

from __future__ import annotations

from pathlib import Path

import pytest
from janus_eval.benchmarks.realworldqa import RealWorldQa, read
from support.predictions import on_the_hub, picture, told, value, write

OPTIONS = {"A": "Left", "B": "Straight ahead", "C": "Right"}
VERDICTS = [  # answer, and whether lmms-eval and VLMEvalKit read the right letter, B
    ("B", 1, 1),
    ("(B)", 1, 1),
    ("b", 0, 0),
    ("straight ahead", 0, 1),
    ("The answer is B. Straight ahead", 1, 1),
    ("A car is there; go straight ahead", 0, 1),
    ("I can't process this file.", 0, 0),
    ("Ответ: B", 1, 1),
    ("", 0, 0),
]


@pytest.mark.parametrize(("text", "lmms", "vlmevalkit"), VERDICTS)
def test_a_letter_of_realworldqa(text: str, lmms: int, vlmevalkit: int) -> None:
    found = {name: verdict for name, (_, verdict, _) in read(text, {"answer": "B", "options": OPTIONS}).items()}
    assert found == {"lmms-eval": lmms, "vlmevalkit-2026": vlmevalkit}


@pytest.mark.parametrize(
    ("text", "gold", "right"),
    [("Two.", "two", 1), ("2", "2", 1), ("2.0", "2", 0), (" 2 ...", "2", 0), ("It is 2", "2", 0), ("", "2", 0)],
)
def test_a_short_answer_is_compared_as_a_whole(text: str, gold: str, right: int) -> None:
    assert read(text, {"answer": gold, "options": None})["lmms-eval"][1] == right


def test_a_row_without_options_is_wrong_for_vlmevalkit_where_the_table_has_them(tmp_path: Path) -> None:
    rows = [
        {"index": 0, **OPTIONS, "answer": "A", "response": "A"},
        {"index": 1, "A": "", "B": "", "C": "", "answer": 2, "response": "2."},
    ]
    scored = RealWorldQa().rescore(predictions=write(tmp_path / "p.jsonl", *rows))
    assert value(scored, "lmms-eval/accuracy") == 100
    assert value(scored, "vlmevalkit-2026/accuracy") == 50


def test_the_hubs_rows_are_named_by_their_places_and_asked_as_they_stand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    question = "Where?\n\nA. Left\nB. Right\nPlease answer directly with only the letter."
    rows = [{"question": question, "answer": each, "image": picture(each)} for each in ("A", "7")]
    on_the_hub(tmp_path / "data" / "test-00000-of-00001.parquet", rows, monkeypatch)
    samples = RealWorldQa(data=str(tmp_path)).samples()
    assert [each.id for each in samples] == ["0", "1"]
    assert {each.prompt for each in samples} == {question}
    said = write(tmp_path / "p.jsonl", {"id": 1, "response": "7"}, {"id": 0, "response": "B"})
    scored = RealWorldQa().rescore(predictions=said, data=tmp_path)
    assert {key: each.value for key, each in scored.metrics.items()} == {"lmms-eval/accuracy": 50}


def test_options_apart_are_put_together_again_as_the_makers_ask(tmp_path: Path) -> None:
    file = write(tmp_path / "t.jsonl", {"index": 0, "question": "Where?", **OPTIONS, "answer": "A", "image": "p" * 70})
    (sample,) = RealWorldQa(data=str(file), preset="official").samples()
    assert sample.prompt.startswith("Where?\n\nA. Left\nB. Straight ahead\nC. Right\nPlease answer directly with only")


@pytest.mark.parametrize("answer", [None, "", ["A"], {"a": 1}, True])
def test_a_right_answer_that_is_none_is_named(tmp_path: Path, answer: object) -> None:
    row = {"index": 0, **OPTIONS, "answer": answer, "response": "A"}
    assert "column 'answer'" in told(lambda: RealWorldQa().rescore(predictions=write(tmp_path / "p.jsonl", row)))
