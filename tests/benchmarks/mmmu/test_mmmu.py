"""MMMU: guesses from one stream, open answers, presets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from janus_eval.benchmarks.mmmu.benchmark import Mmmu
from janus_eval.evals.types import Prediction, Score
from support.predictions import lines, on_the_hub, part, picture, value, write


def mmmu_row(number: int, said: str, answer: str = "A") -> dict[str, Any]:
    row = {"id": f"validation_Art_{number}", "question_type": "multiple-choice", "options": "['w', 'x', 'y', 'z']"}
    return {**row, "answer": answer, "response": said}


def test_guesses_come_from_one_stream_seeded_with_42(tmp_path: Path) -> None:
    # random.seed(42), random.choice("ABCD") five times: A A C B B.
    rows = [mmmu_row(n, "?") for n in range(5)]
    scored = Mmmu().rescore(predictions=write(tmp_path / "p.jsonl", *rows))
    assert [line["guessed"]["official"] for line in lines(scored)] == ["A", "A", "C", "B", "B"]
    assert [line["correct"]["official"] for line in lines(scored)] == [True, True, False, False, False]
    assert {line["read"]["official"] for line in lines(scored)} == {None}
    assert part(scored, "official/accuracy") == 40
    assert part(scored, "official/accuracy_no_fallback") == 0
    assert value(scored, "official/fallbacks") == 5
    assert scored.unparsed == 5


def test_guesses_do_not_depend_on_the_order_in_which_scores_come(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"picture")
    rows = [{**mmmu_row(n, ""), "question": "q", "image_1": "a.png"} for n in range(12)]
    suite = Mmmu(data=str(write(tmp_path / "d.jsonl", *rows)))
    scores: list[Score] = []
    for sample in suite.samples():
        scores += suite.score(sample, Prediction(sample.id, text="?"))
    by_name = sorted(scores, key=lambda each: (each.sample_id, each.protocol))
    assert suite.aggregate(scores) == suite.aggregate(by_name)


def test_mmmu_by_subject_and_domain(tmp_path: Path) -> None:
    rows = [mmmu_row(1, "A"), mmmu_row(2, "B"), {**mmmu_row(3, "A"), "id": "validation_Math_1"}]
    scored = Mmmu().rescore(predictions=write(tmp_path / "p.jsonl", *rows))
    assert value(scored, "official/Art") == 50
    assert part(scored, "official/domain_art_and_design") == 50
    assert part(scored, "official/domain_science") == 100


def test_questions_of_another_split_are_said(tmp_path: Path) -> None:
    rows = [mmmu_row(n, "A") for n in range(700)] + [{**mmmu_row(n, "A"), "id": f"test_Art_{n}"} for n in range(200)]
    scored = Mmmu().rescore(predictions=write(tmp_path / "p.jsonl", *rows))
    assert scored.extra["holds"] == "200 of test and 700 of validation, where mmmu is the validation split"
    few = Mmmu().rescore(predictions=write(tmp_path / "p.jsonl", *rows[-3:]))
    assert few.extra["holds"].endswith("; 3 of test, where mmmu is the validation split")


def test_an_open_question_of_mmmu(tmp_path: Path) -> None:
    row = {"id": "validation_Math_2", "question_type": "short-answer", "answer": "['24/7', '3.429']"}
    scored = Mmmu().rescore(predictions=write(tmp_path / "p.jsonl", {**row, "response": "It is 3.43"}))
    (line,) = lines(scored)
    assert line["read"]["official"] == [3.43]
    assert line["correct"] == {
        "official": True,
        "fixed": True,
        "vlmevalkit-2024": False,
        "vlmevalkit-2026": False,
        "lmms-eval": False,
    }


def test_a_gold_answer_that_is_a_capital_letter_defeats_vlmevalkit(tmp_path: Path) -> None:
    row = {"id": "validation_Math_2", "question_type": "open", "answer": "C", "response": "C"}
    (line,) = lines(Mmmu().rescore(predictions=write(tmp_path / "p.jsonl", row)))
    assert line["correct"]["official"] is True
    assert line["correct"]["vlmevalkit-2024"] is False


def test_mmmu_presets(tmp_path: Path) -> None:
    row = {**mmmu_row(1, ""), "question": "<image 2> q", "options": ["x", "y"], "image_1": "a.png", "image_2": "b.png"}
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(name.encode())
    path = str(write(tmp_path / "d.jsonl", row))
    instruction = "Answer with the option's letter from the given choices directly."
    janus, official, lmms = (
        Mmmu(data=path, preset=each).samples()[0] for each in ("janus-pr541", "official", "lmms-eval")
    )
    assert janus.prompt == f"\n<image 2> q\nA. x\nB. y\n\n{instruction}"
    assert official.prompt == f"<image 2> q\n(A) x\n(B) y\n\n{instruction}"
    assert lmms.prompt == f"<image 2> q\nA. x\nB. y\n\n{instruction}"
    assert [[picture.read() for picture in each.images] for each in (janus, official, lmms)] == [
        [b"a.png", b"b.png"],
        [b"a.png"],
        [b"b.png"],
    ]


def test_mmmu_reads_the_hubs_subjects_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for subject in ("Math", "Art"):
        row = {**mmmu_row(1, ""), "id": f"validation_{subject}_1", "question": "<image 1> q"}
        pictures = {f"image_{n}": picture(f"{subject}{n}") if n <= 2 else None for n in range(1, 8)}
        on_the_hub(tmp_path / subject / "validation-00000-of-00001.parquet", [row | pictures], monkeypatch)
    samples = Mmmu(data=str(tmp_path)).samples()
    assert [each.tags["subject"] for each in samples] == ["Art", "Math"]
    assert [each.read() for each in samples[0].images] == [b"Art1", b"Art2"]
    assert samples[0].target["options"] == {"A": "w", "B": "x", "C": "y", "D": "z"}
