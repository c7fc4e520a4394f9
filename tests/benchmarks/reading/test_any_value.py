"""Whatever stands in a column, the table is read or refused in one line that names the place."""

from __future__ import annotations

import json
import math
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from janus_eval.benchmarks.dpg_bench.benchmark import DpgBench
from janus_eval.benchmarks.geneval.benchmark import GenEval
from janus_eval.evals.errors import InvalidImage, UsageError
from janus_eval.evals.types import Prediction
from support.dpg_questions import HEAD
from support.dpg_questions import row as question_row
from support.predictions import told, write, write_tsv
from support.suite_rows import TABLES, Table, data_of

MORE_COLUMNS = (
    *("image", "image_1", "image_path", "imagename", "choices", "index2ans", "options", "all_choices", "choice_a"),
    *("type", "data_type", "kind", "split", "label", "gold", "gt_answer", "prediction", "text", "score", "capability"),
    *("category", "l2-category", "hint", "id", "question_id", "index", "isBalanced", "types", "grades", "prompt"),
)


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 3, 10**300, 241.5, 241.0, 1e300, math.nan, math.inf),
    *("", " ", "nan", "None", "241.0", "241.5", "-3", "²", "\0", "a\nb", "\u202eevil", "\ud800", "x" * 5000),
    *("[", "[1", "['a', 'b']", "[[1]]", "['a', ['b']]", "{'a': 1}", "[" * 500, "../../etc/passwd", "/etc/passwd"),
    *([], [None], [[]], [1, 2], ["A"], ["A", None], [{}], ["x"] * 30, deep(300)),
    *({}, {"a": None}, {"a": {"b": []}}, {"A": "x", "B": "y"}, {"A": ["x"]}, {"bytes": "x"}, {"structural": []}),
    {"structural": {"a": 1}},
)


def any_json(chance: random.Random, depth: int = 0) -> Any:
    """Return a random JSON value."""
    kind = chance.randrange(8 if depth < 3 else 6)
    if kind < 6:
        return chance.choice(VALUES[:25])
    parts = [any_json(chance, depth + 1) for _ in range(chance.randrange(4))]
    return parts if kind == 6 else {str(chance.choice(("A", "B", "id", "bytes", 7))): each for each in parts}


def in_one_line(work: Callable[[], object], *files: str) -> None:
    """Hold that something works or is refused in one line that names one of the files."""
    try:
        work()
    except UsageError as error:
        message = str(error)
        assert any(each in message for each in files), message
        assert message.isprintable() and len(message) < 900, message


def asked(table: Table, data: Path) -> None:
    suite = table.suite(data=str(data))
    scores = []
    for sample in suite.samples():
        for picture in sample.images:
            try:
                picture.read()
            except InvalidImage as error:
                assert str(error).isprintable()
        scores += suite.score(sample, Prediction(sample.id, text="A"))
    assert suite.card["rows"] == len(suite.samples())
    suite.aggregate(scores)


def check(table: Table, at: int, column: str, value: Any, folder: Path) -> None:
    rows = [dict(row) for row in table.rows]
    rows[at][column] = value
    answers = write(folder / "p.jsonl", *rows)
    in_one_line(lambda: json.dumps(list(table.suite().rescore(predictions=answers).rows)), "p.jsonl")
    data = [dict(row) for row in data_of(table)]
    whole = write(folder / "whole.jsonl", *data)
    in_one_line(lambda: table.suite().rescore(predictions=answers, data=whole), "p.jsonl", "whole.jsonl")
    if column not in table.of_answers:
        data[at][column] = value
        broken = write(folder / "d.jsonl", *data)
        in_one_line(lambda: asked(table, broken), "d.jsonl")


@pytest.mark.parametrize("name", list(TABLES))
def test_any_value_in_any_column_is_read_or_refused_in_one_line(name: str, tmp_path: Path) -> None:
    table, chance = TABLES[name](), random.Random(f"columns of {name}")
    for column in dict.fromkeys((*table.rows[0], *MORE_COLUMNS)):
        for value in chance.sample(VALUES, 4):
            check(table, 1, column, value, tmp_path)


@pytest.mark.parametrize("name", list(TABLES))
def test_random_values_in_several_columns_are_read_or_refused_in_one_line(name: str, tmp_path: Path) -> None:
    table, chance = TABLES[name](), random.Random(name)
    for _ in range(20):
        rows = [dict(row) for row in table.rows]
        for _ in range(chance.randint(1, 4)):
            row = chance.choice(rows)
            row[chance.choice([*row, *MORE_COLUMNS])] = any_json(chance)
        check(Table(table.suite, rows, table.of_answers), 0, "extra", 1, tmp_path)


def spoiled(value: Any, chance: random.Random) -> Any:
    """Return a JSON value with one of its parts replaced."""
    if isinstance(value, dict) and value and chance.random() < 0.75:
        key = chance.choice(list(value))
        return {**value, key: spoiled(value[key], chance)}
    if isinstance(value, list) and value and chance.random() < 0.75:
        at = chance.randrange(len(value))
        return [*value[:at], spoiled(value[at], chance), *value[at + 1 :]]
    return chance.choice(VALUES)


def test_any_value_in_dpg_answers_is_read_or_refused_in_one_line(tmp_path: Path) -> None:
    chance = random.Random("dpg")
    questions = tmp_path / "q.csv"
    questions.write_text(HEAD + "".join(question_row(item, number) for item in "ab" for number in (1, 2)))
    suite = DpgBench(str(questions))
    for _ in range(300):
        rows: list[Any] = [
            {"item_id": item, "image": image, "proposition_id": number, "answer": "yes", "cut": True, "scorer": "mplug"}
            for item in "ab"
            for image in (0, "mia")
            for number in (1, 2)
        ]
        rows[3] = spoiled(rows[3], chance)
        answers = write(tmp_path / "p.jsonl", *rows)
        in_one_line(lambda path=answers: json.dumps(list(suite.rescore(predictions=path).rows)), "p.jsonl")


def test_any_value_in_geneval_evidence_is_read_or_refused_in_one_line(tmp_path: Path) -> None:
    chance = random.Random("geneval")
    include = [{"class": "cat", "count": 1, "color": "red"}, {"class": "dog", "count": 2, "position": ["left of", 0]}]
    asked = {"tag": "position", "prompt": "p", "include": include, "exclude": [{"class": "cat", "count": 3}]}
    boxes = {"cat": [[0, 0, 9, 9, 0.95]], "dog": [[0, 0, 9, 9, 0.95], [3, 3, 7, 7, 0.9]]}
    seen = {"boxes": boxes, "colors": {"cat": ["red"], "dog": ["red", None]}, "options": {"threshold": 0.3}}
    for _ in range(300):
        rows: list[Any] = [{"id": number, "metadata": asked, **seen, "floor": 0.1} for number in range(3)]
        rows[1] = spoiled(rows[1], chance)
        evidence = write(tmp_path / "e.jsonl", *rows)
        in_one_line(lambda path=evidence: json.dumps(list(GenEval().rescore(evidence=path).rows)), "e.jsonl")
        prompts = write(tmp_path / "m.jsonl", asked, spoiled(asked, chance))
        in_one_line(lambda path=prompts: GenEval(data=str(path)).samples(), "m.jsonl")


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("pope", "category"),
        ("pope", "index"),
        ("mme", "image_path"),
        ("mme", "category"),
        ("mmbench", "answer"),
        ("mmbench", "A"),
        ("seed_bench", "question_id"),
        ("seed_bench", "answer"),
        ("gqa", "id"),
        ("gqa", "answer"),
        ("mmmu", "id"),
        ("mmmu", "options"),
        ("mmmu", "answer"),
        ("mmmu", "all_choices"),
        ("mm_vet", "id"),
        ("mm_vet", "capability"),
        ("mm_vet", "grades"),
    ],
)
@pytest.mark.parametrize("value", [{"a": []}, [[]], [{}], True])
def test_what_a_suite_needs_is_named_with_file_line_and_column(
    name: str, column: str, value: Any, tmp_path: Path
) -> None:
    table = TABLES[name]()
    table.rows[1][column] = value
    answers = write(tmp_path / "p.jsonl", *table.rows)
    found = told(lambda: table.suite().rescore(predictions=answers))
    assert re.search(rf"p\.jsonl line 2: column '{column}' holds .*, expected", found)


@pytest.mark.parametrize(
    ("name", "column"),
    [("pope", "index"), ("mmbench", "index"), ("seed_bench", "question_id"), ("gqa", "id"), ("mmmu", "id")],
)
def test_a_whole_number_may_be_written_as_pandas_does(name: str, column: str, tmp_path: Path) -> None:
    table = TABLES[name]()
    numbers = [each[column] for each in table.rows] if name == "mmbench" else [*range(len(table.rows))]
    for at, row in enumerate(table.rows):
        row[column] = numbers[at]
    data = write(tmp_path / "d.jsonl", *data_of(table))
    wanted = table.suite().rescore(predictions=write(tmp_path / "p.jsonl", *table.rows), data=data)
    for written in (float, str, lambda number: f"{number}.0"):
        rows = [{**row, column: written(number)} for row, number in zip(table.rows, numbers, strict=True)]
        for save, file in ((write, "q.jsonl"), (write_tsv, "q.tsv")):
            rows = [{**row, "types": None} for row in rows] if name == "gqa" else rows
            found = table.suite().rescore(predictions=save(tmp_path / file, *rows), data=data)
            assert found.metrics == wanted.metrics


@pytest.mark.parametrize(
    ("name", "column"), [("pope", "index"), ("mmbench", "index"), ("seed_bench", "question_id"), ("gqa", "id")]
)
@pytest.mark.parametrize("value", [241.5, "241.5", 1e400])
def test_a_number_that_is_not_whole_is_not_cut(name: str, column: str, value: Any, tmp_path: Path) -> None:
    table = TABLES[name]()
    table.rows[2][column] = value
    answers = write(tmp_path / "p.jsonl", *table.rows)
    found = told(lambda: table.suite().rescore(predictions=answers))
    assert re.search(rf"line 3: column '{column}' holds .*, expected a whole number", found)


@pytest.mark.parametrize("value", [None, "", " ", "nan", "NaN", "None", "null", math.nan])
def test_a_category_that_is_nothing_is_no_category(value: Any, tmp_path: Path) -> None:
    for name, column in (("mmbench", "category"), ("seed_bench", "question_type_id"), ("gqa", "types")):
        table = TABLES[name]()
        for row in table.rows:
            row[column] = {"structural": value} if name == "gqa" else value
        scored = table.suite().rescore(predictions=write(tmp_path / "p.jsonl", *table.rows))
        assert not [key for key in scored.metrics if "nan" in key or "none" in key or "null" in key]
