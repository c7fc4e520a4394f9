"""GQA: a number for each normalisation, the official file, the two tables of the hub."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from janus_eval.benchmarks.gqa import Gqa
from support.predictions import on_the_hub, part, picture, value, write


def test_gqa_has_a_number_for_each_normalisation(tmp_path: Path) -> None:
    said = ("Dog.", "dog", " dog", "dog!")
    rows = [{"id": n, "answer": "dog", "response": text} for n, text in enumerate(said)]
    scored = Gqa().rescore(predictions=write(tmp_path / "p.jsonl", *rows))
    expected = {"official": 50, "official-raw": 25, "lmms-eval": 75, "vlmevalkit-2024": 50}
    assert {name: value(scored, f"{name}/accuracy") for name in expected} == expected


def test_gqa_reads_its_official_file(tmp_path: Path) -> None:
    balanced = {
        "question": "q",
        "answer": "yes",
        "imageId": "n1",
        "isBalanced": True,
        "types": {"structural": "verify"},
    }
    content = {"1": balanced, "2": {**balanced, "isBalanced": False}}
    (tmp_path / "testdev_balanced_questions.json").write_text(json.dumps(content))
    (tmp_path / "n1.jpg").write_bytes(b"picture")
    (sample,) = Gqa(data=str(tmp_path)).samples()
    assert sample.images[0].read() == b"picture"
    scored = Gqa().rescore(
        predictions=write(tmp_path / "p.jsonl", {"questionId": "1", "prediction": "yes"}), data=tmp_path
    )
    assert value(scored, "official/verify") == 100


@pytest.mark.parametrize("right", ["", " ", "\u200b", "<|im_end|>", "nan", None, 3])
def test_a_row_without_a_right_answer_is_no_wrong_one(tmp_path: Path, right: object) -> None:
    rows = [{"id": n, "answer": "dog", "response": "dog"} for n in range(3)]
    path = write(tmp_path / "p.jsonl", *rows, {"id": 9, "answer": right, "response": "dog"})
    scored = Gqa().rescore(predictions=path)
    assert part(scored, "official/accuracy") == 100 and len(scored.extra["odd_rows"]) == 1


def test_what_a_table_calls_not_balanced_in_a_text_is_left_out_too(tmp_path: Path) -> None:
    rows = [{"id": n, "answer": "dog", "imageId": "n", "question": "q", "isBalanced": n == "1"} for n in "12"]
    data = write(tmp_path / "q.jsonl", *({**each, "isBalanced": str(each["isBalanced"])} for each in rows))
    scored = Gqa().rescore(predictions=write(tmp_path / "p.jsonl", {"id": "1", "response": "dog"}), data=data)
    assert value(scored, "official/accuracy") == 100


def test_gqa_joins_the_hubs_two_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    questions = [{"id": "20", "imageId": "n1", "question": "q?", "answer": "yes", "isBalanced": True}]
    on_the_hub(tmp_path / "testdev_balanced_instructions" / "testdev-00000-of-00001.parquet", questions, monkeypatch)
    images = [{"id": "n0", "image": picture("n0")}, {"id": "n1", "image": picture("n1")}]
    on_the_hub(tmp_path / "testdev_balanced_images" / "testdev-00000-of-00001.parquet", images, monkeypatch)
    (sample,) = Gqa(data=str(tmp_path)).samples()
    assert sample.prompt == "q?\nAnswer the question using a single word or phrase."
    assert [each.read() for each in sample.images] == [b"n1"]
