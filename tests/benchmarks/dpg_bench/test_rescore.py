"""Scoring stored answers: files as anyone may write them, through the benchmark's `rescore`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from janus_eval.benchmarks.dpg_bench.benchmark import DpgBench
from janus_eval.evals.errors import UsageError
from janus_eval.evals.types import Scored
from support.dpg_questions import HEAD, row


def suite(folder: Path, *rows: str) -> Path:
    file = folder / "questions.csv"
    file.write_text(HEAD + row("skipped", 1) + "".join(rows))
    return file


def stored(folder: Path, *rows: tuple[str, object, object, object]) -> Path:
    file = folder / "answers.jsonl"
    keys = ("item_id", "image", "proposition_id", "answer")
    file.write_text("".join(json.dumps(dict(zip(keys, each, strict=True))) + "\n" for each in rows))
    return file


def scored(folder: Path, questions: list[str], answers: list[tuple[str, object, object, object]]) -> Scored:
    return DpgBench().rescore(questions=suite(folder, *questions), answers=stored(folder, *answers))


def test_three_questions_and_two_pictures_by_hand(tmp_path: Path) -> None:
    result = scored(
        tmp_path,
        [row("a", 1), row("a", 2, "1", "attribute - color (x)")],
        [("a", 0, 1, "yes"), ("a", 0, 2, "no"), ("a", 1, 1, "no"), ("a", 1, 2, "yes")],
    )
    values = {key: each.value for key, each in result.metrics.items()}
    assert values["official/overall"] == values["fixed/overall"] == 25
    assert values["official/l1/attribute"] == 100
    assert values["fixed/l1/attribute"] == 0
    assert values["official/l2/entity - whole"] == 0
    assert values["fixed/l2/entity - whole"] == 50
    assert values["fixed/zeroed"] == 25
    assert result.extra["items"] == {"a": {"image_scores": [0.5, 0.0], "score": 0.25}}
    assert result.extra["failed_items"] == []
    assert result.extra["problems"]["item_without_picture"] == ["skipped"]
    assert len(list(result.rows)) == 4


def test_pictures_may_be_named_and_come_in_any_order(tmp_path: Path) -> None:
    rows: list[tuple[str, object, object, object]] = [("a", "sd", 1, "no"), ("a", 10, "1", "yes"), ("a", 9, 1, "no")]
    result = scored(tmp_path, [row("a", 1)], rows)
    assert result.extra["items"]["a"]["image_scores"] == [0.0, 1.0, 0.0]
    assert [each["image"] for each in result.rows] == [9, 9, 10, 10, "sd", "sd"]


def test_failed_unknown_and_unanswered_items_are_named(tmp_path: Path) -> None:
    result = scored(
        tmp_path,
        [row("a", 1), row("b", 1, "1"), row("c", 1), row("d", 1), row("d", 2)],
        [("a", 0, 1, "maybe"), ("b", 0, 1, "yes"), ("who", 0, 1, "yes"), ("d", 0, 1, "yes")],
    )
    assert result.extra["failed_items"] == ["d"]
    assert result.extra["unscored_items"] == ["b", "d"]
    assert result.extra["problems"]["unknown_item"] == ["who"]
    assert result.extra["problem_counts"]["cycle"] == 1
    assert result.unparsed == 1
    assert result.unscored == 2  # the picture of d, and that of c, of which the file says nothing
    assert "1 without a row" in result.metrics["official/failed"].absent
    assert result.metrics["official/failed (part)"].value == pytest.approx(100 / 3)


def test_a_malformed_cell_fails_its_item_officially_and_keeps_its_numbers_in_fixed(tmp_path: Path) -> None:
    result = scored(tmp_path, [row("a", 1), row("a", 2, "1, right")], [("a", 0, 1, "no"), ("a", 0, 2, "yes")])
    assert result.extra["failed_items"] == ["a"]
    assert "right" in result.extra["failed_reasons"]["a"]
    assert result.metrics["fixed/overall"].value == 0
    assert result.extra["problem_counts"]["malformed_dependency"] == 1


def test_rows_said_twice_count_once_and_are_counted(tmp_path: Path) -> None:
    result = scored(tmp_path, [row("a", 1)], [("a", 0, 1, "yes"), ("a", 0, 1, "yes")])
    assert result.metrics["fixed/overall"].value == 100
    assert result.extra["problem_counts"]["repeated_answer"] == 1


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "line 1: not JSON"),
        ("[" * 200_000, "line 1: not JSON"),
        ("[1]", "line 1: holds a list"),
        ('{"item_id": "a", "image": 0, "answer": "yes"}', "line 1: no column 'proposition_id'"),
        (
            '{"item_id": "a", "image": 0, "proposition_id": 1, "answer": true}',
            "'answer' holds a truth value",
        ),
        (
            '{"item_id": "a", "image": null, "proposition_id": 1, "answer": "yes"}',
            "'image' holds None",
        ),
        ('{"item_id": "a", "image": 0, "proposition_id": 1.7, "answer": "yes"}', "column 'proposition_id' holds 1.7"),
        ('{"item_id": ["a"], "image": 0, "proposition_id": 1, "answer": "yes"}', "column 'item_id' holds ['a']"),
        (
            '{"item_id": "a", "image": 0, "proposition_id": "one", "answer": "yes"}',
            "'proposition_id' holds 'one'",
        ),
        ("", "empty"),
    ],
)
def test_a_broken_row_is_named(tmp_path: Path, line: str, words: str) -> None:
    file = tmp_path / "answers.jsonl"
    file.write_text(line)
    with pytest.raises(UsageError, match=r"answers\.jsonl") as refused:
        DpgBench().rescore(questions=suite(tmp_path, row("a", 1)), answers=file)
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"error": "timed out"}, "its request failed"),
        ({"answer": "Failed to obtain answer via API."}, "its request failed"),
        ({"answer": "nan"}, "its answer is nan"),
    ],
)
def test_a_request_that_failed_is_no_answer(tmp_path: Path, changed: dict[str, str], words: str) -> None:
    file = tmp_path / "answers.jsonl"
    file.write_text(json.dumps({"item_id": "a", "image": 0, "proposition_id": 1, "answer": "no"} | changed))
    with pytest.raises(UsageError, match=words):
        DpgBench().rescore(questions=suite(tmp_path, row("a", 1)), answers=file)


def test_answers_to_questions_that_are_not_asked_are_named(tmp_path: Path) -> None:
    result = scored(tmp_path, [row("a", 1)], [("a", 0, 1, "yes"), ("a", 0, 7, "yes")])
    assert result.extra["problems"]["unknown_question"] == ["a: 7"]


def test_contradicting_rows_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"line 2: 'a' image 0 question 1 is answered 'no' and, above, 'yes'"):
        scored(tmp_path, [row("a", 1)], [("a", 0, 1, "yes"), ("a", 0, 1, "no")])


def test_two_scorers_in_one_file_are_refused(tmp_path: Path) -> None:
    file = stored(tmp_path, ("a", 0, 1, "yes"))
    other = {"item_id": "a", "image": 1, "proposition_id": 1, "answer": "yes", "scorer": "hf:org/name"}
    file.write_text(file.read_text() + json.dumps(other) + "\n")
    with pytest.raises(UsageError, match="mixes the scorers hf:org/name, mplug"):
        DpgBench().rescore(questions=suite(tmp_path, row("a", 1)), answers=file)


def test_nothing_to_score_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--answers FILE\.jsonl or --images DIR"):
        DpgBench().rescore(questions=suite(tmp_path, row("a", 1)))


def test_a_missing_file_is_said_before_the_questions_are_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JANUS_EVAL_CACHE", str(tmp_path / "empty"))
    for given in ({"predictions": tmp_path / "NOPE"}, {"answers": tmp_path / "NOPE"}, {"images": tmp_path / "NOPE"}):
        with pytest.raises(UsageError, match=r"NOPE: no such (file|folder)"):
            DpgBench().rescore(**given, offline=True)


def test_scoring_stored_answers_imports_no_torch(tmp_path: Path) -> None:
    questions, answers = suite(tmp_path, row("a", 1)), stored(tmp_path, ("a", 0, 1, "yes"))
    code = f"""
import sys
from pathlib import Path
from janus_eval.benchmarks.dpg_bench.benchmark import DpgBench
result = DpgBench().rescore(questions=Path({str(questions)!r}), answers=Path({str(answers)!r}))
assert result.metrics["official/overall"].value == 100
print(sorted(set(sys.modules) & {{"torch", "transformers", "pandas", "PIL"}}))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "[]\n", done.stderr


def test_fewer_pictures_than_the_suite_asks_for_are_told(tmp_path: Path) -> None:
    one = scored(tmp_path, [row("a", 1)], [("a", 0, 1, "yes")])
    assert one.extra["holds"] == "1 pictures an item, where 4 are asked for"
    assert "holds" not in scored(tmp_path, [row("a", 1)], [("a", n, 1, "yes") for n in range(4)]).extra
