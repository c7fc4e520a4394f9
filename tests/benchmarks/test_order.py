"""The order in which the rows of a file stand moves no metric: rows are joined by what they say."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from janus_eval.benchmarks.dpg_bench.benchmark import DpgBench
from janus_eval.benchmarks.geneval.benchmark import GenEval
from janus_eval.benchmarks.mme import Mme
from janus_eval.benchmarks.mmmu.benchmark import Mmmu
from janus_eval.benchmarks.seed_bench import SeedBench
from janus_eval.evals.errors import UsageError
from janus_eval.evals.types import Prediction, Scored
from support.dpg_questions import HEAD
from support.dpg_questions import row as question_row
from support.predictions import lines, part, write
from support.suite_rows import PNG, TABLES, Row, data_of, mme, seed_bench

SHUFFLES = 12


def numbers(scored: Scored) -> dict[str, Any]:
    return {name: pytest.approx(each.value, abs=1e-9) for name, each in scored.metrics.items()} | {
        "n": scored.n,
        "unparsed": scored.unparsed,
        "unscored": scored.unscored,
        "missing": len(scored.extra["missing"]),
    }


def same(one: Scored, other: Scored) -> None:
    wanted = numbers(one)
    assert {**{name: each.value for name, each in other.metrics.items()}, **counts(other)} == wanted


def counts(scored: Scored) -> Mapping[str, int]:
    missing = len(scored.extra["missing"])
    return {"n": scored.n, "unparsed": scored.unparsed, "unscored": scored.unscored, "missing": missing}


@pytest.mark.parametrize("name", [each for each in TABLES if each != "mmmu"])
@pytest.mark.claim("R20", cases=SHUFFLES)
def test_shuffled_answers_give_the_same_metrics(name: str, tmp_path: Path) -> None:
    table, chance = TABLES[name](), random.Random(name)
    data = write(tmp_path / "d.jsonl", *data_of(table))
    rows = list(table.rows)
    path = write(tmp_path / "p.jsonl", *rows)
    alone, joined = table.suite().rescore(predictions=path), table.suite().rescore(predictions=path, data=data)
    for _ in range(SHUFFLES):
        chance.shuffle(rows)
        write(path, *rows)
        same(alone, table.suite().rescore(predictions=path))
        same(joined, table.suite().rescore(predictions=path, data=data))
        chance.shuffle(shuffled := data_of(table))
        same(joined, table.suite().rescore(predictions=path, data=write(tmp_path / "e.jsonl", *shuffled)))


@pytest.mark.parametrize("name", [each for each in TABLES if each != "mm_vet"])
def test_answers_that_say_only_what_they_answer_are_joined_in_any_order(name: str, tmp_path: Path) -> None:
    """Each row has its key, its question and its response; the rest comes from the data set."""
    table, chance = TABLES[name](), random.Random(name)
    data = write(tmp_path / "d.jsonl", *data_of(table))
    keys = ("id", "index", "question_id", "category", "image_path", "question", "response")
    rows = [{key: each[key] for key in keys if key in each} for each in table.rows][1:]
    path = write(tmp_path / "p.jsonl", *rows)
    joined = table.suite().rescore(predictions=path, data=data)
    assert joined.n == len(table.rows)
    for _ in range(SHUFFLES):
        chance.shuffle(rows)
        same(joined, table.suite().rescore(predictions=write(path, *rows), data=data))


@pytest.mark.parametrize("name", list(TABLES))
@pytest.mark.claim("R20")
def test_a_shuffled_data_set_gives_a_run_the_same_metrics(name: str, tmp_path: Path) -> None:
    table, chance = TABLES[name](), random.Random(name)
    rows = data_of(table)
    said = {row["question"]: row["response"] for row in table.rows}

    def metrics() -> Mapping[str, Any]:
        suite = table.suite(data=str(write(tmp_path / "d.jsonl", *rows)), preset="official")
        answers = {each.id: said[row["question"]] for each, row in zip(suite.samples(), rows, strict=True)}
        scores = [
            each
            for sample in suite.samples()
            for each in suite.score(sample, Prediction(sample.id, text=answers[sample.id]))
        ]
        return {key: each.value for key, each in suite.aggregate(scores).items()}

    first = metrics()
    for _ in range(3):
        chance.shuffle(rows)
        again = metrics()
        drawn = name == "mmmu"  # guesses are drawn in the data set's order
        for key in first:
            assert drawn or again[key] == pytest.approx(first[key], abs=1e-9), key


# -- MMMU: guesses are drawn in an order, which must be a known one -------------------------------------


def test_mmmu_draws_its_guesses_in_the_data_sets_order(tmp_path: Path) -> None:
    table, chance = TABLES["mmmu"](), random.Random(1)
    data = write(tmp_path / "d.jsonl", *data_of(table))
    rows = list(table.rows)
    path = write(tmp_path / "p.jsonl", *rows)
    joined = Mmmu().rescore(predictions=path, data=data)
    assert joined.metrics["official/fallbacks"].value == 4
    drawn = {line["id"]: line.get("guessed") for line in lines(joined)}
    for _ in range(SHUFFLES):
        chance.shuffle(rows)
        again = Mmmu().rescore(predictions=write(path, *rows), data=data)
        same(joined, again)
        assert {line["id"]: line.get("guessed") for line in lines(again)} == drawn
    assert "order" not in joined.extra


def test_mmmu_without_the_data_set_says_whose_order_it_drew_in(tmp_path: Path) -> None:
    rows = TABLES["mmmu"]().rows
    scored = Mmmu().rescore(predictions=write(tmp_path / "p.jsonl", *rows))
    assert scored.extra["order"].startswith("guesses were drawn in the order of the file's rows; with --data PATH")
    read = [each for each in rows if each["response"] == "A"]
    assert "order" not in Mmmu().rescore(predictions=write(tmp_path / "q.jsonl", *read)).extra


# -- MME: two questions about a picture ----------------------------------------------------------------


def without(rows: list[Row], *columns: str) -> list[Row]:
    return [{key: value for key, value in each.items() if key not in columns} for each in rows]


def bare_mme() -> list[Row]:
    return without(mme(), "question", "answer")


def mme_data(folder: Path) -> Path:
    return write(folder / "d.jsonl", *({**each, "image": PNG} for each in without(mme(), "response")))


def test_mme_answers_without_questions_are_refused_where_the_data_set_knows_the_right_ones(tmp_path: Path) -> None:
    path = write(tmp_path / "p.jsonl", *bare_mme())
    with pytest.raises(
        UsageError, match=r"p\.jsonl line 1: 'color/a' stands 2 times in the data set, .*add the column 'question'"
    ):
        Mme().rescore(predictions=path, data=mme_data(tmp_path))


@pytest.mark.parametrize("with_data", [True, False])
def test_mme_answers_that_carry_the_right_ones_need_no_question(tmp_path: Path, with_data: bool) -> None:
    wanted = Mme().rescore(predictions=write(tmp_path / "p.jsonl", *mme()))
    rows, chance = without(mme(), "question"), random.Random(2)
    for _ in range(SHUFFLES):
        chance.shuffle(rows)
        path = write(tmp_path / "p.jsonl", *rows)
        same_values(wanted, Mme().rescore(predictions=path, data=mme_data(tmp_path) if with_data else None))


def same_values(one: Scored, other: Scored) -> None:
    for key in ("official/color", "official/OCR", "vlmevalkit-2024/color", "lmms-eval/code_reasoning"):
        assert number(one, key) == pytest.approx(number(other, key))


def number(scored: Scored, key: str) -> float | None:
    return scored.metrics.get(f"{key} (part)", scored.metrics[key]).value


@pytest.mark.parametrize(
    "written",
    [
        lambda text: text,
        lambda text: f"\n{text} ",
        lambda text: text.replace(" Please answer yes or no.", ""),
        lambda text: text.replace(" Please", "  Please"),
        lambda text: text + "\nAnswer the question using a single word or phrase.",
        lambda text: (
            "<image>\n"
            + text.replace(" Please answer yes or no.", "")
            + "\nAnswer the question using a single word or phrase."
        ),
    ],
)
@pytest.mark.parametrize("column", ["question", "prompt"])
def test_an_mme_question_is_known_under_the_prompts_of_the_field(tmp_path: Path, written: Any, column: str) -> None:
    wanted = mme()
    rows = [{**each, column: written(full["question"])} for each, full in zip(bare_mme(), wanted, strict=True)]
    joined = Mme().rescore(predictions=write(tmp_path / "p.jsonl", *reversed(rows)), data=mme_data(tmp_path))
    same_values(Mme().rescore(predictions=write(tmp_path / "q.jsonl", *wanted)), joined)


def test_an_mme_question_that_the_data_set_does_not_ask_has_no_verdict(tmp_path: Path) -> None:
    rows = without(mme(), "answer")
    rows[3]["question"] = "Is it another?"
    scored = Mme().rescore(predictions=write(tmp_path / "p.jsonl", *rows), data=mme_data(tmp_path))
    (why,) = scored.extra["odd_rows"]
    assert re.search(r"line 4: the data set asks another question under 'color/b'", why)
    assert len(scored.extra["missing"]) == 1 and scored.metrics["official/color"].value is None


def test_llavas_mme_answers_name_subtask_and_picture_in_one(tmp_path: Path) -> None:
    rows = [{"question_id": each["image_path"], "prompt": each["question"], "text": each["response"]} for each in mme()]
    joined = Mme().rescore(predictions=write(tmp_path / "p.jsonl", *reversed(rows)), data=mme_data(tmp_path))
    same_values(Mme().rescore(predictions=write(tmp_path / "q.jsonl", *mme())), joined)


# -- SEED-Bench: one id stands twice -------------------------------------------------------------------


def twice(*more: Row) -> list[Row]:
    rows = [{"question_id": "49914", "response": text, **each} for text, each in zip("AD", more, strict=True)]
    return [*rows, {"question_id": "101", "response": "B"}]


SEEN = {"question": "What is in picture 3?", "answer": "D", "data_id": "d3"}
OTHER = {"question": "And who is there?", "answer": "A", "data_id": "x"}


def seed_data(folder: Path) -> Path:
    rows = without(seed_bench(), "response")
    rows[3]["question_id"] = rows[7]["question_id"] = "49914"
    return write(folder / "d.jsonl", *rows)


@pytest.mark.parametrize("column", ["question", "answer", "data_id", "prompt"])
def test_a_repeated_id_is_told_by_what_the_row_says(tmp_path: Path, column: str) -> None:
    source = "question" if column == "prompt" else column
    tail = "\nA. a cat\nB. a dog\nAnswer with the option's letter from the given choices directly." * (
        column == "prompt"
    )
    rows = twice({column: OTHER[source] + tail}, {column: SEEN[source] + tail})
    for order in (rows, rows[::-1]):
        scored = SeedBench().rescore(predictions=write(tmp_path / "p.jsonl", *order), data=seed_data(tmp_path))
        assert scored.n == 8 and len(scored.extra["missing"]) == 5
        assert [line["correct"]["official"] for line in lines(scored)] == [True] * 3
        assert part(scored, "official/image_accuracy") == 100


def test_one_row_of_a_repeated_id_leaves_the_other_missing(tmp_path: Path) -> None:
    for said, missing in ((OTHER, "49914"), (SEEN, "49914#2")):
        rows = [{"question_id": "49914", "response": "A", "question": said["question"]}]
        scored = SeedBench().rescore(predictions=write(tmp_path / "p.jsonl", *rows), data=seed_data(tmp_path))
        assert missing in scored.extra["missing"]


def test_a_row_that_does_not_say_which_of_two_it_means_is_refused(tmp_path: Path) -> None:
    data = seed_data(tmp_path)
    with pytest.raises(
        UsageError, match=r"line 1: '49914' stands 2 times in the data set, .*add the column 'question'"
    ):
        SeedBench().rescore(predictions=write(tmp_path / "p.jsonl", *twice({}, {})), data=data)
    with pytest.raises(UsageError, match="line 1: '49914' stands 2 times"):
        SeedBench().rescore(predictions=write(tmp_path / "p.jsonl", twice({}, {})[0]), data=data)
    with pytest.raises(UsageError, match="the data set asks another question under '49914'"):
        SeedBench().rescore(predictions=write(tmp_path / "p.jsonl", *twice({"question": "Why?"}, {})), data=data)


def test_equal_answers_to_both_need_not_be_told_apart(tmp_path: Path) -> None:
    rows = [{**each, "response": "A"} for each in twice({}, {})[:2]]
    scored = SeedBench().rescore(predictions=write(tmp_path / "p.jsonl", *rows), data=seed_data(tmp_path))
    assert part(scored, "official/image_accuracy") == 50


def test_the_one_that_is_left_is_the_others(tmp_path: Path) -> None:
    rows = twice({"question": OTHER["question"]}, {})
    for order in (rows, rows[::-1]):
        scored = SeedBench().rescore(predictions=write(tmp_path / "p.jsonl", *order), data=seed_data(tmp_path))
        assert part(scored, "official/image_accuracy") == 100


# -- what is no table of questions ----------------------------------------------------------------------


def test_mm_vet_grades_stand_in_any_order_and_once(tmp_path: Path) -> None:
    table = TABLES["mm_vet"]()
    grades = [{"id": each["id"], "grades": each["grades"]} for each in table.rows]
    path = write(tmp_path / "p.jsonl", *without(table.rows, "grades"))
    file = write(tmp_path / "g.jsonl", *grades)
    first = table.suite().rescore(predictions=path, grades=file)
    same(first, table.suite().rescore(predictions=path, grades=write(file, *grades[::-1])))
    with pytest.raises(UsageError, match=r"g\.jsonl line 8: id 'v1_0' has grades twice"):
        table.suite().rescore(predictions=path, grades=write(file, *grades, {"id": "v1_0", "grades": [0, 0]}))


def dpg_questions(folder: Path) -> Path:
    kinds = list(enumerate(("entity", "attribute", "relation"), 1))
    rows = [
        question_row(item, number, "0" if number == 1 else "1", f"{kind} - x (y)")
        for item in ("a", "b")
        for number, kind in kinds
    ]
    (folder / "q.csv").write_text(HEAD + "".join(rows), encoding="utf-8")
    return folder / "q.csv"


def test_dpg_answers_stand_in_any_order(tmp_path: Path) -> None:
    suite, chance = DpgBench(str(dpg_questions(tmp_path))), random.Random(3)
    for names in (range(4), ("mia", "10", "2", "ben")):
        rows = [
            {"item_id": item, "image": image, "proposition_id": number, "answer": chance.choice(("yes", "no"))}
            for item in ("a", "b")
            for image in names
            for number in (1, 2, 3)
        ]
        rows = [{**each, "cut": each["proposition_id"] == 2} for each in rows]
        rows.append(dict(rows[1], cut=False))  # said again, without the remark
        path = write(tmp_path / "p.jsonl", *rows)
        first = suite.rescore(predictions=path)
        for _ in range(SHUFFLES):
            chance.shuffle(rows)
            again = suite.rescore(predictions=write(path, *rows))
            assert values(again) == {name: pytest.approx(each, abs=1e-9) for name, each in values(first).items()}


def values(scored: Scored) -> dict[str, float | None]:
    return {name: each.value for name, each in scored.metrics.items()}


def test_geneval_evidence_stands_in_any_order(tmp_path: Path) -> None:
    chance = random.Random(4)
    rows = []
    for number in range(24):
        tag = ("single_object", "counting", "own")[number % 3]
        asked = {"tag": tag, "prompt": f"p{number // 4}", "include": [{"class": "cat", "count": 1 + number % 2}]}
        boxes = {"cat": [[0, 0, 9, 9, chance.choice((0.95, 0.5))] for _ in range(chance.randrange(3))]}
        rows.append({"id": number, "metadata": asked, "boxes": boxes, "colors": {}})
    path = write(tmp_path / "e.jsonl", *rows)
    first = GenEval().rescore(evidence=path)
    for _ in range(SHUFFLES):
        chance.shuffle(rows)
        again = GenEval().rescore(evidence=write(path, *rows))
        assert values(again) == {name: pytest.approx(each, abs=1e-9) for name, each in values(first).items()}
