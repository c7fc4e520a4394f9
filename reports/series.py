"""What a figure draws: a series a model, measured or published, with a point on the axis of each suite or task."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..evals.errors import UsageError, hint
from ..evals.screen import clean
from ..evals.types import RunRecord
from .own import layouts_for
from .reported import Column, Layout, Reported, published_name
from .standing import is_toy, marks, shown, stranger

MOST = 8
"""How many series can be told apart in one figure."""
_FULL = {"mme_perception": 2000.0}  # ten subtasks of 200 each
_USUAL = "Janus-Pro-7B"
"""The published model that stands beside runs of a model that no table has."""


@dataclass(frozen=True, slots=True)
class Axis:
    """A suite's number, or one of its tasks; it goes from 0 to `full`."""

    column: Column
    layout: Layout
    label: str
    full: float

    @property
    def key(self) -> str:
        return f"{self.column.benchmark}/{self.column.key}"


@dataclass(frozen=True, slots=True)
class Point:
    """One number; `value` None where it is withheld, `part` where it is over a part, `odd` how else it was made."""

    value: float | None
    low: float | None = None
    high: float | None = None
    part: bool = False
    odd: str = ""


@dataclass(frozen=True, slots=True)
class Series:
    """A model's points by their axes' keys."""

    name: str
    measured: bool
    source: str = ""
    points: Mapping[str, Point] = field(default_factory=dict[str, Point])


def axes(
    records: Sequence[RunRecord], numbers: Sequence[Reported], suites: Sequence[str], *, tasks: bool
) -> list[Axis]:
    """Return an axis for each suite in `suites` (of none: for each that the runs have, else for each that is known).

    With `tasks` the columns of one suite are axes of their own. Raises UsageError for a suite that no table has.
    """
    layouts = layouts_for(records, numbers)
    known = {column.benchmark: layout for layout in layouts for column in layout.columns}
    for each in suites:
        if each not in known:
            otherwise = f"; there are {', '.join(known)}"
            raise UsageError(f"--suites: no suite {each!r}{hint(each, known, otherwise)}")
    ran = {record.spec.benchmark for record in records if record.metrics}
    names = list(dict.fromkeys(suites)) or [each for each in known if each in ran or not ran]
    found: list[Axis] = []
    for name in names:
        layout = known[name]
        columns = [each for each in layout.columns if each.benchmark == name]
        whole = [each for each in columns if each.key == "overall"] or columns[:1]
        if tasks and len(names) == 1:
            found += [_axis(each, layout, each.header, records, numbers) for each in columns]
        else:
            label = layout.title if len(columns) > 1 else columns[0].header
            found += [_axis(each, layout, label, records, numbers) for each in whole]
    return found


def _axis(
    column: Column, layout: Layout, label: str, records: Sequence[RunRecord], numbers: Sequence[Reported]
) -> Axis:
    values = [each.value for each in numbers if each.suite == layout.key and each.belongs(column.key)]
    values += [shown(each, key)[0].value for each in records if (key := column.shown(each)) is not None]
    top = max((abs(each) for each in values if each is not None), default=1.0)
    full = _FULL.get(column.key) or (1.0 if top <= 1 else 100.0 if top <= 100 else 10.0 ** math.ceil(math.log10(top)))
    return Axis(column, layout, clean(label), full)


def series(
    records: Sequence[RunRecord], numbers: Sequence[Reported], where: Sequence[Axis], beside: Sequence[str]
) -> list[Series]:
    """Return the measured series, then the published ones of the models in `beside`.

    Of none named: those of the models that were run, else Janus-Pro-7B; toy runs compare with nothing.
    Raises UsageError for a model that no table has, and for more series than can be told apart.
    """
    mine = _measured(records, numbers, where)
    real = [each for each in records if not is_toy(each)]
    names = list(beside)
    if not names and (real or not records):
        models = {each.model for each in numbers}
        names = [each for each in dict.fromkeys(published_name(record.spec.model) for record in real) if each in models]
        names = names or [_USUAL]
    found = [*mine, *(each for name in names for each in _published(name, numbers, where))]
    if len(found) > MOST:
        raise UsageError(f"{len(found)} series cannot be told apart, {MOST} can: name fewer runs, or fewer --beside")
    return found


def context(numbers: Sequence[Reported], where: Sequence[Axis]) -> list[Series]:
    """Return the published rows that have a number on every axis."""
    names = dict.fromkeys(each.model for each in numbers)
    rows = [each for name in names for each in _published(name, numbers, where)]
    return [each for each in rows if all(axis.key in each.points for axis in where)]


def _measured(records: Sequence[RunRecord], numbers: Sequence[Reported], where: Sequence[Axis]) -> list[Series]:
    """Return a series for each model and set of its knobs; two runs never share a point."""
    lines: list[tuple[str, dict[str, tuple[RunRecord, Point]]]] = []
    for record in records:
        points = {axis.key: (record, each) for axis in where if (each := _point(record, axis, numbers, records))}
        spec = record.spec
        who = json.dumps([spec.model, dict(spec.model_card), spec.tag, spec.step], sort_keys=True)
        free = next((line for name, line in lines if name == who and not line.keys() & points.keys()), None)
        if free is not None:
            free.update(points)
        elif points:
            lines.append((who, dict(points)))
    names = [_name([record for record, _ in line.values()]) for _, line in lines]
    found: list[Series] = []
    for name, (_, line) in zip(names, lines, strict=True):
        if names.count(name) > 1:
            name += " #" + next(iter(line.values()))[0].spec.digest[:6]
        found.append(Series(clean(name), measured=True, points={key: point for key, (_, point) in line.items()}))
    return found


def _name(records: Sequence[RunRecord]) -> str:
    spec = records[0].spec
    said = [spec.tag] if spec.tag else []
    said += [f"step {spec.step}"] if spec.step is not None else []
    said += dict.fromkeys(mark for record in records for mark in marks(record))
    return spec.model + (f" ({', '.join(said)})" if said else "")


def _point(record: RunRecord, axis: Axis, numbers: Sequence[Reported], records: Sequence[RunRecord]) -> Point | None:
    key = axis.column.shown(record)
    if key is None:
        return None
    metric, part = shown(record, key)
    groups = axis.layout.groups[:2]
    among = [each for each in numbers if each.suite == axis.layout.key and (each.group in groups or not groups)]
    odd = stranger(record, key, axis.column, among, records)
    if metric.value is None:
        return Point(None, odd=odd)
    return Point(metric.value, metric.low, metric.high, part=bool(part), odd=odd)


def _published(name: str, numbers: Sequence[Reported], where: Sequence[Axis]) -> list[Series]:
    """Return the rows of a published model, one a source of each table's own and one of the user's."""
    rows = [each for each in numbers if each.model == name]
    if not rows:
        raise UsageError(f"--beside: no published model {name!r}{hint(name, {each.model for each in numbers})}")
    points: dict[str, Point] = {}
    sources: list[str] = []
    for axis in where:
        mine = [each for each in rows if each.suite == axis.layout.key and each.column == axis.column.key]
        mine = [each for each in mine if each.value is not None and each.group not in axis.layout.groups[2:]]
        if mine:
            points[axis.key] = Point(mine[0].value)
            sources += [mine[0].citation]
    told = "; ".join(dict.fromkeys(sources))
    return [Series(clean(name) + " (reported)", measured=False, source=clean(told), points=points)] if points else []


def notes(found: Sequence[Series], where: Sequence[Axis]) -> list[str]:
    """Return what a caption has to say: what is over a part, withheld or made otherwise, whose the numbers are."""
    lines: list[str] = []
    labels = {axis.key: axis.label for axis in where}
    for each in found:
        for key, point in each.points.items():
            said = ["withheld"] if point.value is None else ["over a part"] if point.part else []
            said += [point.odd] if point.odd else []
            if said:
                lines.append(f"{each.name}, {labels[key]}: {'; '.join(map(clean, said))}")
        lacking = [labels[axis.key] for axis in where if axis.key not in each.points]
        lines += [f"{each.name}: no number for {', '.join(lacking)}"] if lacking else []
        lines += [f"{each.name}: {each.source}"] if each.source else []
    return lines
