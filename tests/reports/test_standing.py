"""What ranks in a published table: only what was made as the numbers beside it, under a name that says what it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from janus_eval.evals.types import Json, Metric, RunRecord
from janus_eval.reports import reported
from janus_eval.reports.report import compose
from janus_eval.reports.reported import Column, Layout, Reported
from janus_eval.reports.standing import marks
from janus_eval.reports.table import Row
from support import runs

NAMES = {
    "Janus": "janus-1.3b",
    "Janus-Pro-1B": "janus-pro-1b",
    "Janus-Pro-7B": "janus-pro-7b",
    "SD3-Medium": "sd3-medium",
}


def stated() -> list[tuple[Layout, Column, Reported]]:
    """Return the numbers of our models whose making is stated, in columns that show their metric."""
    columns = [(layout, column) for layout in reported.layouts() for column in layout.columns]
    return [
        (layout, column, each)
        for layout, column in columns
        for each in reported.load()
        if each.suite == layout.key and each.belongs(column.key) and each.knobs and each.model in NAMES
        if each.group in layout.groups[:2]  # what others measured again stands apart, without ranks
        if each.metric == column.metrics[0] or (not each.metric and each.column == column.key)
    ]


def made(number: Reported, column: Column, **changes: Json) -> RunRecord:
    """Return the record of a whole run made as a number says, far better than any."""
    card: dict[str, Json] = {key: wanted.split("|")[0] for key, wanted in number.knobs.items()}
    key = column.metrics[0]
    spec: dict[str, Any] = {"benchmark": column.benchmark, "benchmark_card": card, "observer_card": {}} | changes
    counts = {"expected": 900, "predicted": 900, "scored": 900, "unparsed": 0, "unscored": 0}
    what = runs.spec(spec.pop("model", NAMES[number.model]), **spec)
    return RunRecord(what, key, {key: Metric(99999.0, 900, 99998.0, 99999.5)}, counts, complete=True)


def row_of(record: RunRecord, layout: Layout, only: str = "all") -> Row:
    tables = compose([record], reported.load(), only=only)  # type: ignore[arg-type]
    table = next(each for each in tables if each.key == layout.key)
    return next(row for _, row in table.rows() if row.kind == "measured")


def best(record: RunRecord, layout: Layout) -> bool:
    return any(cell.rank for cell in row_of(record, layout).cells)


def other(card: Mapping[str, Json], knob: str) -> dict[str, Json]:
    return {**card, knob: "of another kind"}


def test_there_is_enough_to_try() -> None:
    assert len(stated()) > 30
    assert {column.benchmark for _, column, _ in stated()} >= {"pope", "mme", "gqa", "mmmu", "geneval", "dpg_bench"}


@pytest.mark.parametrize(("layout", "column", "number"), stated())
def test_a_run_made_as_a_published_number_ranks_and_in_nothing_else(
    layout: Layout, column: Column, number: Reported
) -> None:
    whole = made(number, column)
    assert best(whole, layout)
    assert row_of(whole, layout).cells[0].text == whole.spec.model
    strange: list[dict[str, Any]] = [
        {"benchmark_card": {**whole.spec.benchmark_card, "origin": "given"}},
        {"model_card": {"weights": "checkpoint-500#0123456789abcdef"}},
        {"model_card": {}},
        {"step": 500},
        {"tag": "mine"},
    ]
    for changes in strange:
        record = made(number, column, **changes)
        assert not best(record, layout) and row_of(record, layout).cells[0].text != record.spec.model
        assert marks(record)[0] in row_of(record, layout).cells[0].text
    pool = [each for _, _, each in stated() if (each.suite, each.belongs(column.key)) == (number.suite, True)]
    for knob in number.knobs:
        if all(knob in each.knobs for each in pool):  # else it is stated of some, and none says what it must be
            record = made(number, column, benchmark_card=other(whole.spec.benchmark_card, knob))
            assert not best(record, layout), knob
            told = " ".join(cell.text for cell in row_of(record, layout, "measured").cells)
            assert f"{knob} of another kind" in told


def test_a_table_of_forty_rows_is_no_gqa() -> None:
    layout, column, number = next(each for each in stated() if each[1].benchmark == "gqa")
    forty = made(number, column, benchmark_card={"preset": "janus-pr541", "rows": 40, "origin": "given"})
    assert not best(forty, layout)
    assert [cell.text for cell in row_of(forty, layout).cells if "99999" in cell.text] == [
        "99999.0 [99998.0, 99999.5] (rows 40)"
    ]
    assert row_of(forty, layout).cells[0].text == "janus-1.3b, own data"


def test_a_model_of_ones_own_ranks_under_its_own_name() -> None:
    layout, column, number = next(each for each in stated() if each[1].benchmark == "gqa")
    mine = made(number, column, model="mine", step=500, model_card={"weights": "checkpoint-500#0123"})
    assert row_of(mine, layout).ranked and row_of(mine, layout).cells[0].text == "mine (checkpoint-500), step 500"


def test_of_a_suite_that_nobody_published_only_like_is_ranked_with_like() -> None:
    def records(second: dict[str, Json]) -> list[RunRecord]:
        cards: list[dict[str, Json]] = [{"rows": 100}, second]
        specs = [
            runs.spec(model, benchmark="own", benchmark_card=card)
            for model, card in zip(("a", "b"), cards, strict=True)
        ]
        values = {"acc": Metric(0.5, 100)}
        return [RunRecord(spec, "acc", values, {"expected": 1, "predicted": 1}, complete=True) for spec in specs]

    for second, told in ({"rows": 100}, False), ({"rows": 40}, True):
        table = compose(records(second), reported.load())[0]
        text = " ".join(cell.text for _, row in table.rows() for cell in row.cells)
        assert ("other data or rules" in text) is told
