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
