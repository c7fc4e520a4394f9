"""What the first page shows: a dot chart for each suite with published numbers, one over all suites, and the tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ...evals.types import Metric, RunRecord
from ..own import layouts_for
from ..report import compose
from ..reported import Column, Layout, Reported, published_name
from ..standing import marks, shown, verdict
from ..table import Table
from .runs import Run

_OTHERS = 12
_MODELS = 6
_MOST = {"mme": 2000.0}
"""What a suite can give where that is neither 1 nor 100: MME's perception has ten subtasks of 200."""


@dataclass(frozen=True, slots=True)
class Chip:
    """A word beside a number: its kind is good, odd, bad or none, `text` what it says at length."""

    kind: str
    word: str
    text: str


@dataclass(frozen=True, slots=True)
class Dot:
    """One line of a chart, its places in per cent of the width; `low` and `high` are None without an interval."""

    label: str
    text: str
    x: float
    low: float | None = None
    high: float | None = None
    own: bool = False
    chips: tuple[Chip, ...] = ()
    page: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Chart:
    """A dot chart: the user's runs first, then the published numbers, best first."""

    title: str
    dots: tuple[Dot, ...]
    ends: tuple[str, str]
    left_out: int
    parts: tuple[Chart, ...] = ()
    """The charts of its categories."""


@dataclass(frozen=True, slots=True)
class Lane:
    """A suite in the chart over all suites: (number of its model, height, dot) of each, the best published one."""

    title: str
    dots: tuple[tuple[int, float, Dot], ...]
    best: Dot | None


def charts(runs: Sequence[Run], numbers: Sequence[Reported]) -> list[Chart]:
    """Return a chart for each suite of which a run has a number; categories stand in the `parts` of the whole."""
    found: list[Chart] = []
    for layout in layouts_for([each.record for each in runs], numbers):
        suites: dict[str, list[Column]] = {}
        for column in layout.columns:
            suites.setdefault(column.benchmark, []).append(column)
        for *parts, whole in suites.values():  # a suite's overall number is its last column
            title = f"{layout.title}, overall" if parts else whole.header
            top = _chart(layout, whole, runs, numbers, title)
            before = "" if top is not None else f"{layout.title}: "
            made = [_chart(layout, each, runs, numbers, before + each.header) for each in parts]
            kept = tuple(each for each in made if each is not None)
            found += kept if top is None else (replace(top, parts=kept),)
    return found


def _chart(
    layout: Layout, column: Column, runs: Sequence[Run], numbers: Sequence[Reported], title: str
) -> Chart | None:
    mine = _own(column, runs)
    if not mine:
        return None
    here = [each for each in numbers if (each.suite, each.column) == (layout.key, column.key)]
    here = sorted([each for each in here if each.value is not None], key=lambda each: -(each.value or 0.0))
    names = {published_name(run.record.spec.model) for run, _, _ in mine}
    told = [each for place, each in enumerate(here) if place < _OTHERS or each.model in names]
    values = [one for _, _, each in mine for one in (each.value, each.low, each.high) if one is not None]
    values += [each.value for each in told if each.value is not None]
    low, high = min(values), max(values)
    pad = (high - low) * 0.06 or abs(high) * 0.05 or 1.0  # never past what a share or a percentage can be
    top = next((each for each in (1.0, 100.0) if high <= each), high + pad)
    low, high = max(0.0, low - pad) if low >= 0 else low - pad, min(top, high + pad)
    own = [_own_dot(run, key, each, here, column, low, high) for run, key, each in mine]
    others = [
        Dot(each.model + each.note, each.printed, _place(each.value or 0.0, low, high), source=each.citation)
        for each in told
    ]
    ends = (f"{low:.{column.decimals}f}", f"{high:.{column.decimals}f}")
    return Chart(title, (*own, *others), ends, len(here) - len(told))


def _own(column: Column, runs: Sequence[Run]) -> list[tuple[Run, str, Metric]]:
    found: list[tuple[Run, str, Metric]] = []
    for run in runs:
        key = column.shown(run.record)
        metric = None if key is None else shown(run.record, key)[0]
        if key is not None and metric is not None and metric.value is not None:
            found.append((run, key, metric))
    return found


def _own_dot(
    run: Run, key: str, metric: Metric, here: Sequence[Reported], column: Column, low: float, high: float
) -> Dot:
    rivals = [each for each in here if each.model == published_name(run.record.spec.model)]
    said = [verdict(run.record, key, each) for each in rivals] if not marks(run.record) else []
    kinds = [Chip(verdict_kind(each), each.partition(":")[0], each) for each in dict.fromkeys(said)]
    kinds += [Chip("none", each, each) for each in marks(run.record)]
    return Dot(
        run.label,
        f"{metric.value:.{column.decimals}f}",
        _place(metric.value or 0.0, low, high),
        None if metric.low is None else _place(metric.low, low, high),
        None if metric.high is None else _place(metric.high, low, high),
        own=True,
        chips=tuple(kinds),
        page=f"run-{run.key}.html",
    )


def _place(value: float, low: float, high: float) -> float:
    return round(100 * (value - low) / (high - low), 2)


def lanes(runs: Sequence[Run], numbers: Sequence[Reported]) -> tuple[list[str], list[Lane]]:
    """Return the models of the chart over all suites and its lanes; nothing where there are fewer than two suites."""
    models = list(dict.fromkeys(each.label for each in runs))[:_MODELS]
    found: list[Lane] = []
    for layout in layouts_for([each.record for each in runs], numbers):
        last = {column.benchmark: column for column in layout.columns}
        for suite, column in last.items():
            by_model = {run.label: each for run, _, each in _own(column, runs) if run.label in models}
            rivals = [each.value for each in numbers if (each.suite, each.column) == (layout.key, column.key)]
            highest = max((each for each in rivals if each is not None), default=None)
            if not by_model:
                continue
            most = max([each.value or 0.0 for each in by_model.values()] + [highest or 0.0])
            top = _MOST.get(suite, 1.0 if most <= 1 else 100.0)
            places = column.decimals
            dots = [
                (models.index(each), 50 + (place - (len(by_model) - 1) / 2) * 24, _lane_dot(each, metric, top, places))
                for place, (each, metric) in enumerate(by_model.items())
            ]
            mark = None if highest is None else Dot("", f"{highest:.{places}f}", _place(highest, 0, top))
            title = layout.title if sum(each.benchmark == suite for each in layout.columns) > 1 else column.header
            found.append(Lane(title, tuple(dots), mark))
    return (models, found) if len(found) > 1 else ([], [])


def _lane_dot(label: str, metric: Metric, top: float, decimals: int) -> Dot:
    low, high = (None if each is None else _place(each, 0, top) for each in (metric.low, metric.high))
    value = metric.value or 0.0
    return Dot(label, f"{value:.{decimals}f}", _place(value, 0, top), low, high)


def best(record: RunRecord) -> tuple[Metric | None, str]:
    """Return the number that a run is known by and its name; None where it has none yet."""
    if record.headline not in record.metrics:
        return None, record.headline
    metric, part = shown(record, record.headline)
    return metric, record.headline + part


def number(metric: Metric) -> str:
    """Return a headline as people read it: a share with three decimals, any other number with one."""
    return "" if metric.value is None else f"{metric.value:.{_decimals(metric)}f}"


def interval(metric: Metric) -> str:
    """Return [low, high] with as many decimals as the value, "" where there is none."""
    if metric.value is None or metric.low is None or metric.high is None:
        return ""
    decimals = _decimals(metric)
    return f"[{metric.low:.{decimals}f}, {metric.high:.{decimals}f}]"


def _decimals(metric: Metric) -> int:
    return 3 if max(abs(metric.value or 0.0), metric.high or 0.0) <= 1 else 1


def tables(runs: Sequence[Run], numbers: Sequence[Reported]) -> list[Table]:
    """Return the tables of `janus-eval report`."""
    return compose([each.record for each in runs if each.record.metrics or each.record.headline], numbers)


def verdict_kind(text: str) -> str:
    """Return the class of a verdict's chip: good, odd, bad, or nothing for what compares with nothing."""
    heads = {"inside noise": "good", "protocol differs": "odd", "unexplained": "bad"}
    return next((kind for head, kind in heads.items() if text.startswith(head)), "none")
