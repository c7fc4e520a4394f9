"""What the first page shows: a dot chart for each column that a run stands in, the tables, and what is incomplete."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..own import layouts_for
from ..report import compose
from ..reported import Reported
from ..standing import marks, shown
from ..table import Table
from .runs import Run

WIDTH, LEFT, RIGHT, STEP, TOP = 640, 210, 70, 24, 10
_OTHERS = 12


@dataclass(frozen=True, slots=True)
class Dot:
    """One line of a chart, places in its own units; `low` and `high` are None where there is no interval."""

    label: str
    text: str
    y: float
    x: float
    low: float | None
    high: float | None
    own: bool


@dataclass(frozen=True, slots=True)
class Chart:
    """A dot chart: the user's runs first, then the published numbers, best first."""

    title: str
    dots: tuple[Dot, ...]
    ticks: tuple[tuple[float, str], ...]
    height: float
    left_out: int


def charts(runs: Sequence[Run], numbers: Sequence[Reported]) -> list[Chart]:
    """Return a chart for each column of the published tables in which a run has a number."""
    found: list[Chart] = []
    records = [each.record for each in runs]
    for layout in layouts_for(records, numbers):
        for column in layout.columns:
            own: list[tuple[str, float, float | None, float | None]] = []
            for run in runs:
                key = column.shown(run.record)
                metric = None if key is None else shown(run.record, key)[0]
                if metric is not None and metric.value is not None:
                    flags = marks(run.record)
                    label = f"{run.label} ({flags[0]})" if flags else run.label
                    own.append((label, metric.value, metric.low, metric.high))
            if not own:
                continue
            others = [
                (each.model, each.value, None, None)
                for each in numbers
                if each.suite == layout.key and each.column == column.key and each.value is not None
            ]
            others.sort(key=lambda each: -each[1])
            title = f"{layout.title}: {column.header}" if len(layout.title) < 40 else column.header
            found.append(_chart(title, own, others, column.decimals))
    return found


def _chart(
    title: str,
    own: Sequence[tuple[str, float, float | None, float | None]],
    others: Sequence[tuple[str, float, None, None]],
    decimals: int,
) -> Chart:
    kept = [*((each, True) for each in own), *((each, False) for each in others[:_OTHERS])]
    values = [one for each, _ in kept for one in each[1:] if one is not None]
    low, high = min(values), max(values)
    pad = (high - low) * 0.06 or abs(high) * 0.05 or 1.0
    low, high = max(0.0, low - pad) if low >= 0 else low - pad, high + pad
    scale = (WIDTH - LEFT - RIGHT) / (high - low)

    def place(value: float) -> float:
        return round(LEFT + (value - low) * scale, 1)

    dots = tuple(
        Dot(
            label if len(label) <= 30 else label[:29] + "…",
            f"{value:.{decimals}f}",
            TOP + STEP * number + STEP / 2,
            place(value),
            None if least is None else place(least),
            None if most is None else place(most),
            mine,
        )
        for number, ((label, value, least, most), mine) in enumerate(kept)
    )
    marked = [low + (high - low) * part / 4 for part in range(5)]
    ticks = tuple((place(each), f"{each:.{decimals}f}") for each in marked)
    return Chart(title, dots, ticks, TOP + STEP * len(kept) + 26, len(others) - len(others[:_OTHERS]))


def tables(runs: Sequence[Run], numbers: Sequence[Reported]) -> list[Table]:
    """Return the tables of `janus-eval report`."""
    return compose([each.record for each in runs if each.record.metrics or each.record.headline], numbers)


def verdict_kind(text: str) -> str:
    """Return the class of a verdict's chip: good, odd, bad, or nothing for what compares with nothing."""
    heads = {"inside noise": "good", "protocol differs": "odd", "unexplained": "bad"}
    return next((kind for head, kind in heads.items() if text.startswith(head)), "none")


def incomplete(runs: Sequence[Run]) -> list[tuple[Run, str]]:
    """Return each run that is not a whole result, and what keeps it from being one."""
    found: list[tuple[Run, str]] = []
    for run in runs:
        said = marks(run.record)
        if said:
            found.append((run, ", ".join(said)))
    return found
