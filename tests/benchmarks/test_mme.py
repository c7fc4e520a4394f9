"""MME: pairs, points and the official folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from janus_eval.benchmarks.mme import SUBTASKS, Mme
from janus_eval.evals.errors import UsageError
from support.predictions import part, value, write


def mme_rows(category: str, image: str, first: str, second: str) -> list[dict[str, Any]]:
    pair = (("Yes", first), ("No", second))
    return [
        {"id": n, "category": category, "image": image, "question": f"q{n}", "answer": gold, "response": said}
        for n, (gold, said) in enumerate(pair)
    ]


def test_mme_adds_accuracy_and_pairs_with_both_right(tmp_path: Path) -> None:
    rows = mme_rows("color", "a.jpg", "yes", "no") + mme_rows("color", "b.jpg", "yes", "yes")
    rows += mme_rows("count", "a.jpg", "Yes.", "Noo") + mme_rows("code_reasoning", "a.jpg", "I say yes", "no")
    scored = Mme().rescore(predictions=write(tmp_path / "p.jsonl", *rows))
    assert part(scored, "official/color") == 75 + 50
    assert part(scored, "official/count") == 200
    assert part(scored, "official/perception") == 325
    assert part(scored, "official/cognition") == 50
    assert part(scored, "vlmevalkit-2024/cognition") == 200  # "I say yes" holds the word
    assert scored.unparsed == 1


def test_mme_reads_the_official_folder(tmp_path: Path) -> None:
    (tmp_path / "OCR.txt").write_text("1.jpg\tq?\tYes\tyes, it is\n1.jpg\tr?\tNo\tno\n")
    scored = Mme().rescore(predictions=tmp_path)
    assert part(scored, "official/OCR") == 200
    assert set(scored.extra["absent_subtasks"]) == {*SUBTASKS} - {"OCR"}


def test_a_tab_in_an_answer_is_named(tmp_path: Path) -> None:
    (tmp_path / "OCR.txt").write_text("1.jpg\tq?\tYes\tyes\tit is\n")
    with pytest.raises(UsageError, match=r"OCR.txt line 1: 5 cells between tabs"):
        Mme().rescore(predictions=tmp_path)


def test_a_picture_with_one_right_answer_to_both_questions_is_named(tmp_path: Path) -> None:
    rows = mme_rows("color", "a.jpg", "yes", "yes") + mme_rows("color", "b.jpg", "yes", "no")
    assert "same_answers" not in Mme().rescore(predictions=write(tmp_path / "a.jsonl", *rows)).extra
    rows[1]["answer"] = "Yes"
    scored = Mme().rescore(predictions=write(tmp_path / "p.jsonl", *rows))
    assert scored.extra["same_answers"] == ["color/a.jpg"]


def test_a_subtask_s_file_under_another_name_is_told(tmp_path: Path) -> None:
    lines = "".join(f"{n}.txt\tq{n}?\tYes\tyes\n{n}.txt\tr{n}?\tNo\tno\n" for n in range(30))
    (tmp_path / "color.txt").write_text(lines)
    (tmp_path / "count.txt").write_text(lines.replace("q", "how q").replace("r", "how r"))
    fair = Mme().rescore(predictions=tmp_path).extra
    assert "in_two_subtasks" not in fair and "rows_too_many" not in fair
    (tmp_path / "count.txt").write_text(lines)
    assert Mme().rescore(predictions=tmp_path).extra["in_two_subtasks"] == {"color and count": "60 questions"}
    (tmp_path / "color.txt").write_text(lines + lines.replace(".txt", "x.txt"))
    assert Mme().rescore(predictions=tmp_path).extra["rows_too_many"] == {"color": "120 of 60"}


def test_the_missing_half_of_a_pair_is_counted_and_named(tmp_path: Path) -> None:
    scored = Mme().rescore(predictions=write(tmp_path / "p.jsonl", mme_rows("color", "a.jpg", "yes", "no")[0]))
    assert scored.extra["missing"] == ["color/a.jpg/1"]
    assert value(scored, "official/color") is None and part(scored, "official/color_acc") == 100  # and no pair
    assert scored.metrics["official/color"].absent == ("59 without a row",)


def test_a_third_question_about_a_picture_is_an_error(tmp_path: Path) -> None:
    rows = mme_rows("color", "a.jpg", "yes", "no")
    with pytest.raises(UsageError, match="has 3 questions"):
        Mme().rescore(predictions=write(tmp_path / "p.jsonl", *rows, rows[0]))
    with pytest.raises(UsageError, match="twice"):
        Mme().rescore(predictions=write(tmp_path / "p.jsonl", rows[0], rows[0]))


def test_mme_joins_by_question_whatever_the_order(tmp_path: Path) -> None:
    rows = mme_rows("color", "a.jpg", "yes", "no")
    data = write(tmp_path / "mme.jsonl", *({k: v for k, v in row.items() if k != "response"} for row in rows))
    answers = [{k: v for k, v in row.items() if k != "answer"} for row in reversed(rows)]
    scored = Mme().rescore(predictions=write(tmp_path / "p.jsonl", *answers), data=data)
    assert value(scored, "official/color") == 200
