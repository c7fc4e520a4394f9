"""POPE: three splits, F1 by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from janus_eval.benchmarks.pope import Pope
from janus_eval.evals.errors import UsageError
from support.predictions import lines, part, value, write


def pope_rows(split: str, *pairs: tuple[str, str]) -> list[dict[str, Any]]:
    return [{"id": n, "category": split, "answer": gold, "response": said} for n, (gold, said) in enumerate(pairs)]


def test_f1_of_always_yes_on_one_yes_in_three_is_50(tmp_path: Path) -> None:
    rows = pope_rows("random", ("yes", "Yes"), ("no", "Yes"), ("no", "Yes"))
    scored = Pope().rescore(predictions=write(tmp_path / "p.jsonl", *rows))
    assert value(scored, "official/random_f1") == pytest.approx(50)
    assert value(scored, "official/random_accuracy") == pytest.approx(100 / 3)
    assert value(scored, "official/random_yes_ratio") == 100
    assert value(scored, "lmms-eval/random_yes_ratio") == pytest.approx(100 / 3)  # of the gold answers


def test_popes_headline_is_the_mean_over_the_splits(tmp_path: Path) -> None:
    rows = pope_rows("random", ("yes", "Yes")) + pope_rows("popular", ("yes", "No"), ("yes", "Yes"))
    scored = Pope().rescore(predictions=write(tmp_path / "p.jsonl", *rows))
    assert part(scored, "official/mean_f1") == pytest.approx((100 + 100 * 2 / 3) / 2)
    assert part(scored, "official/micro_f1") == pytest.approx(80)


def test_an_unreadable_answer_is_what_each_protocol_makes_of_it(tmp_path: Path) -> None:
    scored = Pope().rescore(predictions=write(tmp_path / "p.jsonl", *pope_rows("random", ("no", "A cat"))))
    (line,) = lines(scored)
    assert line["read"] == {
        "official": "yes",
        "vlmevalkit-2024": "Unknown",
        "vlmevalkit-2026": "Unknown",
        "lmms-eval": "a cat",
    }
    assert not any(line["correct"].values())
    assert scored.unparsed == 1


def test_a_row_of_several_splits_counts_in_each(tmp_path: Path) -> None:
    row = {"index": 0, "category": "random,popular", "answer": "Yes", "response": "Yes"}
    scored = Pope().rescore(predictions=write(tmp_path / "p.jsonl", row))
    assert value(scored, "vlmevalkit-2024/random_f1") == value(scored, "vlmevalkit-2024/popular_f1") == 100
    assert scored.metrics["official/micro_f1"].n == 2


def test_a_model_that_never_says_yes_has_f1_0_and_no_precision(tmp_path: Path) -> None:
    scored = Pope().rescore(predictions=write(tmp_path / "p.jsonl", *pope_rows("random", ("yes", "No"), ("no", "No"))))
    assert value(scored, "official/random_f1") == 0
    assert value(scored, "official/random_precision") is None


def test_the_key_of_pope_is_category_and_id(tmp_path: Path) -> None:
    rows = pope_rows("random", ("yes", "Yes")) + pope_rows("popular", ("yes", "Yes"))
    assert Pope().rescore(predictions=write(tmp_path / "p.jsonl", *rows)).n == 2
    with pytest.raises(UsageError, match=r"p.jsonl line 3: duplicate key 'random/0'"):
        Pope().rescore(predictions=write(tmp_path / "p.jsonl", *rows, rows[0]))


def test_pope_joins_its_official_label_files(tmp_path: Path) -> None:
    for split in ("random", "popular"):
        row = {"question_id": 1, "image": "a.jpg", "text": "Is there a cat in the image?", "label": "yes"}
        write(tmp_path / f"coco_pope_{split}.json", row)
    path = write(tmp_path / "answers.txt.jsonl", {"question_id": 1, "category": "random", "text": "Yes"})
    scored = Pope().rescore(predictions=path, data=tmp_path)
    assert scored.n == 2
    assert scored.extra["missing"] == ["popular/1"]
    assert value(scored, "official/random_f1") == 100
    assert value(scored, "official/popular_f1") is None and "official/popular_f1 (part)" not in scored.metrics
    assert part(scored, "official/accuracy") == 100  # of the answered rows: a missing one is no wrong one
    assert scored.metrics["official/accuracy"].absent == ("1 without a row", "adversarial")
