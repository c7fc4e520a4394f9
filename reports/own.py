"""The table of the suites that no published table has: a column each, headed as the suite says."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, cast

from ..evals import members, registry
from ..evals.errors import JanusEvalError
from ..evals.types import RunRecord
from .reported import OWN, Column, Layout, Reported, layouts


def layouts_for(records: Sequence[RunRecord], numbers: Sequence[Reported]) -> list[Layout]:
    """Return the published tables and, where a run or a number needs it, the one of the other suites."""
    published = {column.benchmark for layout in layouts() for column in layout.columns}
    named = {record.spec.benchmark for record in records} - published
    named |= {each.column for each in numbers if each.suite == OWN and ":" not in each.column}
    columns = tuple(_column(name, [each for each in records if each.spec.benchmark == name]) for name in sorted(named))
    return [*layouts(), *([Layout(OWN, "Other suites", (), "", (), columns)] if columns else [])]


def unheld(numbers: Iterable[Reported], records: Sequence[RunRecord]) -> list[str]:
    """Return a line for each number of the user's whose metric none of its suite's runs has: misspelt, it would stand
    beside nothing in silence."""
    suites = {(layout.key, column.key): column.benchmark for layout in layouts() for column in layout.columns}
    told: list[str] = []
    for each in numbers:
        suite = suites.get((each.suite, each.column.partition(":")[0]), each.column)
        metrics = {key for record in records if record.spec.benchmark == suite for key in record.metrics}
        if each.metric and metrics and each.metric not in metrics:
            told.append(f"{each.source}: no run of {suite} has the metric {each.metric!r} of {each.model}")
    return told


def _column(name: str, records: Sequence[RunRecord]) -> Column:
    headlines = tuple(dict.fromkeys(each.headline for each in records if each.headline in each.metrics))
    title, decimals = _told(name)
    if decimals is None:
        # Nothing says in what unit it counts: a share wants four decimals, a percentage one.
        values = [each.metrics[each.headline].value for each in records if each.headline in each.metrics]
        decimals = 4 if all(abs(value) <= 1 for value in values if value is not None) else 1
    return Column(name, title or name, name, decimals, headlines, headlines=True)


def _told(name: str) -> tuple[str, int | None]:
    """Return the title and the decimals that a suite's factory carries; nothing where it is not installed.

    The suite itself is not made: that may want options, data or weights.
    """
    shape, _, given = name.partition(":")
    try:
        if shape not in registry.names("benchmarks"):
            return "", None
        factory = cast(Any, members.of_factory(registry.load("benchmarks", name)))
    except JanusEvalError:  # it is installed in part: records are read without it
        return "", None
    # A class whose title depends on its options has a property there, which tells nothing yet.
    title = given or (factory.title if isinstance(factory.title, str) else "")
    return title, factory.decimals if isinstance(factory.decimals, int) else None
