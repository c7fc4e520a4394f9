"""OCRBench: a right answer within what was said, formulas without blanks, the score of a thousand."""

from __future__ import annotations

from pathlib import Path

import pytest
from janus_eval.benchmarks.ocrbench import FORMULA, RECOGNITION, TYPES, OcrBench, read
from support.predictions import part, told, value, write


@pytest.mark.parametrize(
    ("said", "golds", "formula", "right", "lmms"),
    [
        ("The word is CENTRE.", ["centre"], False, 1, 1),
        ("cent re", ["centre"], False, 0, 0),
        ("two\nlines", ["Two lines"], False, 1, 1),
        ("two  lines", ["two lines"], False, 0, 0),
        ("ＡＢＣ　１", ["abc 1"], False, 0, 1),
        ("$5.00", ["4.00", "5.00"], False, 1, 1),
        ("x^2+1", ["x ^ 2 + 1"], True, 1, 1),
        ("X^2+1", ["x ^ 2 + 1"], True, 0, 0),
        ("ｘ^2", ["x^2"], True, 0, 0),
        ("\\frac{1}{2}", ["\\frac { 1 } { 2 }"], True, 1, 1),
        ("", ["a"], False, 0, 0),
        ("anything", [""], False, 1, 1),
        ("中国银行", ["中国"], False, 1, 1),
    ],
)
def test_an_answer_of_ocrbench(said: str, golds: list[str], formula: bool, right: int, lmms: int) -> None:
    found = {name: verdict for name, (_, verdict, _) in read(said, {"answers": golds, "formula": formula}).items()}
    assert found == {"official": right, "vlmevalkit-2026": right, "lmms-eval": lmms}


def rows(*types: str) -> list[dict[str, object]]:
    said = {"Digit String Recognition": "6", FORMULA: "A B"}
    return [
        {"index": n, "category": each, "answer": "['7', 'ab']", "response": said.get(each, "it says AB")}
        for n, each in enumerate(types)
    ]


def test_the_score_is_of_a_thousand_and_reading_is_six_types(tmp_path: Path) -> None:
    scored = OcrBench().rescore(predictions=write(tmp_path / "p.jsonl", *rows(*TYPES)))
    assert value(scored, "official/score") == pytest.approx(800)
    assert value(scored, "official/text_recognition") == pytest.approx(500 / 6)
    assert value(scored, "official/key_information_extraction") == 100


def test_a_type_of_which_no_row_is_there_withholds_what_it_belongs_to(tmp_path: Path) -> None:
    scored = OcrBench().rescore(predictions=write(tmp_path / "p.jsonl", *rows(*TYPES[1:])))
    assert part(scored, "official/score") and part(scored, "official/text_recognition")
    whole = OcrBench().rescore(predictions=write(tmp_path / "q.jsonl", *rows(*RECOGNITION)))
    assert value(whole, "official/text_recognition") == pytest.approx(500 / 6)


def test_ocrbenchs_own_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "OCRBench_Images").mkdir()
    (tmp_path / "OCRBench_Images" / "a.jpg").write_bytes(b"picture")
    row = {"dataset_name": "HME100k", "id": 3, "question": "q ", "answers": ["x ^ 2"], "type": FORMULA}
    write(tmp_path / "OCRBench.json", {**row, "image_path": "a.jpg"})
    (sample,) = OcrBench(data=str(tmp_path)).samples()
    assert (sample.id, sample.prompt, sample.images[0].read()) == ("3", "q", b"picture")
    assert sample.target == {"answers": ["x ^ 2"], "formula": True}


@pytest.mark.parametrize("answer", [None, "[]", [], [{}], {"a": "b"}])
def test_right_answers_of_ocrbench_that_are_none_are_named(tmp_path: Path, answer: object) -> None:
    row = {**rows(FORMULA)[0], "answer": answer}
    assert "column 'answer'" in told(lambda: OcrBench().rescore(predictions=write(tmp_path / "p.jsonl", row)))
