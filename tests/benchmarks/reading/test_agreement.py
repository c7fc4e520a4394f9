"""Rows that contradict the data set under their id: never scored as answers to it, and never in silence."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from janus_eval.evals.errors import UsageError
from janus_eval.evals.score import score
from support.predictions import value, write

COUNT = 40
NOUNS = [f"thing {number}" for number in range(COUNT)]


def data(bench: str, number: int) -> dict[str, Any]:
    """Return a row of a data set; no two of a suite have one question, and neighbours differ in the right answer."""
    question = f"What of {NOUNS[number]}?"
    if bench == "pope":
        return {"question_id": number, "category": "random", "question": question, "answer": ("yes", "no")[number % 2]}
    if bench == "gqa":
        return {"id": number, "question": question, "answer": NOUNS[number]}
    options = {letter: f"{letter} of {number}" for letter in "ABCD"}
    return {"index": number, "question": question, **options, "answer": "ABCD"[number % 4], "category": "one"}


BENCHES = ("pope", "gqa", "ai2d", "mmbench", "seed_bench")
KEYS = {"pope": "question_id", "gqa": "id", "ai2d": "index", "mmbench": "index", "seed_bench": "index"}


def answered(bench: str, number: int, place: int, carried: tuple[str, ...]) -> dict[str, Any]:
    """Return the right answer to a row of the data set, as a tool leaves it that numbers the rows by `place`."""
    row = data(bench, number)
    kept = {name: row[name] for name in ("category", "A", "B", "C", "D", *carried) if name in row}
    return {KEYS[bench]: place, **kept, "response": str(row["answer"])}


def files(folder: Path, bench: str, rows: list[Mapping[str, Any]]) -> dict[str, Any]:
    known = write(folder / "data.jsonl", *(data(bench, number) for number in range(COUNT)))
    return {"predictions": write(folder / "answers.jsonl", *map(dict, rows)), "data": str(known)}


def headline(scored: Any) -> Any:
    return next(iter(scored.metrics.values())).value


@pytest.mark.parametrize("carried", [(), ("answer",), ("question",), ("answer", "question")])
@pytest.mark.parametrize("bench", BENCHES)
def test_what_agrees_is_scored(tmp_path: Path, bench: str, carried: tuple[str, ...]) -> None:
    rows = [answered(bench, number, number, carried) for number in range(COUNT)]
    scored = score(bench, **files(tmp_path, bench, rows))
    assert scored.n == COUNT and scored.unscored == 0 and not scored.extra.get("odd_rows")


@pytest.mark.parametrize("carried", [("answer",), ("question",), ("answer", "question")])
@pytest.mark.parametrize("bench", BENCHES)
def test_a_file_that_is_numbered_otherwise_is_refused(tmp_path: Path, bench: str, carried: tuple[str, ...]) -> None:
    rows = [answered(bench, number, (number + 1) % COUNT, carried) for number in range(COUNT)]
    with pytest.raises(UsageError, match=r"in the data set|the data set asks|the question"):
        score(bench, **files(tmp_path, bench, rows))


@settings(max_examples=25, deadline=None)
@given(order=st.permutations(range(COUNT)))
def test_no_order_of_numbers_is_believed_against_the_questions(
    tmp_path_factory: pytest.TempPathFactory, order: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("agreement")
    moved = sum(number != place for place, number in enumerate(order))
    rows = [answered("gqa", number, place, ("answer",)) for place, number in enumerate(order)]
    if moved == 0:
        assert value(score("gqa", **files(folder, "gqa", rows)), "official/accuracy") == 100
    elif moved * 10 > COUNT:
        with pytest.raises(UsageError, match=r"numbers its rows in another way|and so for"):
            score("gqa", **files(folder, "gqa", rows))
    else:
        scored = score("gqa", **files(folder, "gqa", rows))
        assert len(scored.extra["odd_rows"]) == moved and scored.metrics["official/accuracy"].value is None


def test_a_corrected_right_answer_leaves_that_row_without_a_verdict(tmp_path: Path) -> None:
    rows = [answered("gqa", number, number, ("answer",)) for number in range(COUNT)]
    rows[7]["answer"] = "another thing"
    scored = score("gqa", **files(tmp_path, "gqa", rows))
    (why,) = scored.extra["odd_rows"]
    assert "line 8" in why and "'another thing' here and 'thing 7' in the data set" in why
    assert value(scored, "official/accuracy (part)") == 100 and scored.metrics["official/accuracy"].value is None


@pytest.mark.parametrize(
    ("here", "there"),
    [("Dog", "dog."), ("14", "14.0"), (14, "14"), ("1,400", "1400"), (" no ", "No")],
)
def test_another_writing_of_one_answer_contradicts_nothing(tmp_path: Path, here: Any, there: str) -> None:
    known = write(tmp_path / "d.jsonl", {"id": "a", "question": "q?", "answer": there})
    row = {"id": "a", "answer": here, "response": there}
    scored = score("short_answer", write(tmp_path / "p.jsonl", row), data=str(known))
    assert scored.n == 1 and not scored.extra.get("odd_rows")


def test_mme_rows_that_contradict_their_question_are_odd(tmp_path: Path) -> None:
    known = [
        {"category": "code_reasoning", "image": f"{n}.png", "question": f"{ask}?", "answer": gold}
        for n in range(12)
        for ask, gold in (("Is it", "Yes"), ("Was it", "No"))
    ]
    rows = [{**each, "response": each["answer"]} for each in known]
    rows[3]["answer"] = "Yes"
    data_file = write(tmp_path / "d.jsonl", *known)
    scored = score("mme", write(tmp_path / "p.jsonl", *rows), data=str(data_file))
    assert len(scored.extra["odd_rows"]) == 1 and "line 4" in scored.extra["odd_rows"][0]


@pytest.mark.parametrize("bench", ["ai2d", "mmbench", "seed_bench", "mmstar"])
def test_options_in_another_order_are_another_question(tmp_path: Path, bench: str) -> None:
    rows = [answered("mmbench", number, number, ()) for number in range(COUNT)]
    for row in rows:
        row["A"], row["B"], row["C"], row["D"] = row["B"], row["C"], row["D"], row["A"]
    with pytest.raises(UsageError, match="option A is another one than in the data set"):
        score(bench, **files(tmp_path, "mmbench", rows))


def test_questions_that_the_data_set_has_nowhere_are_told(tmp_path: Path) -> None:
    rows = [
        {**answered("gqa", number, number, ()), "question": f"Who is {NOUNS[number]} of?"} for number in range(COUNT)
    ]
    told = score("gqa", **files(tmp_path, "gqa", rows)).extra["questions"]
    assert told == "40 of 40 rows hold another one than the data set, as 'who is thing 0 of?'"
    prompted = [{**row, "question": f"<image>\nWhat of {NOUNS[n]}?\nAnswer shortly."} for n, row in enumerate(rows)]
    assert "questions" not in score("gqa", **files(tmp_path, "gqa", prompted)).extra


@pytest.mark.parametrize(
    ("bench", "sizes"), [("gqa", "12,578"), ("ai2d", "3,088"), ("mmbench", "4,329 or 4,377 or 1,164 or 1,176")]
)
def test_a_file_without_its_data_set_says_what_the_suite_holds(tmp_path: Path, bench: str, sizes: str) -> None:
    rows = [{**answered(bench, number, number, ("answer", "question"))} for number in range(COUNT)]
    extra = score(bench, write(tmp_path / "a.jsonl", *rows)).extra
    assert extra["holds"].startswith(f"40 rows, where {bench} has {sizes}; --data PATH")
    assert "holds" not in score(bench, **files(tmp_path, bench, rows)).extra


def test_the_splits_of_pope_are_counted_and_an_unknown_one_is_in_no_mean(tmp_path: Path) -> None:
    rows = [
        {"question_id": n, "category": split, "answer": "yes", "response": ("yes", "no")[split == "Other"]}
        for split in ("random", "Popular", "adversarial", "Other")
        for n in range(3)
    ]
    scored = score("pope", write(tmp_path / "a.jsonl", *rows))
    assert value(scored, "official/mean_f1") == pytest.approx(100) and value(scored, "official/Other_accuracy") == 0
    assert value(scored, "official/accuracy") == 100
    assert scored.extra["holds"].startswith("adversarial 3 of 3,000, popular 3 of 3,000, random 3 of 3,000 rows")


def test_one_question_about_one_picture_under_two_ids_is_told(tmp_path: Path) -> None:
    rows = [
        {"id": n, "image": f"{n % 4}.png", "question": "What?", "answer": "dog", "response": "dog"} for n in range(6)
    ]
    assert score("gqa", write(tmp_path / "a.jsonl", *rows)).extra["asked_twice"].startswith("2 rows repeat")
    assert "asked_twice" not in score("gqa", write(tmp_path / "a.jsonl", *rows[:4])).extra
