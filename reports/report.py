"""`janus-eval report`: the tables of published and of other suites, measured rows in them, and each beside reported."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from ..evals import stats
from ..evals.errors import UsageError
from ..evals.records import find_runs, read_record
from ..evals.screen import warn
from ..evals.types import Json, RunRecord
from . import dates
from . import reported as published
from .judges import standings
from .names import apart, label, renamed
from .own import layouts_for, unheld
from .paper import fragment, widths
from .render import render
from .reported import Column, Layout, Reported
from .standing import asides, is_toy, marks, shown, stranger, verdict
from .table import Cell, Format, Group, Head, Row, Table, chosen, cleaned, columns, ranked, sort
from .text import some

TOY = "Toy data (compares with nothing above)"
DASH = "-"
Only = Literal["all", "measured", "reported"]


def report(
    runs: Iterable[Path] = (),
    *,
    form: Format = "text",
    order: str | None = None,
    keep: Sequence[str] = (),
    only: Only = "all",
    own: Iterable[Path] = (),
    color: bool = False,
    width: int | None = None,
    which: Sequence[str] = (),
    paper: Paper | None = None,
    rename: Sequence[str] = (),
    since: str | None = None,
) -> str:
    """Return the report as text: what `janus-eval report` prints.

    `runs` are run folders or folders that hold many, `order` a column to sort by, `keep` the
    columns to show, `rename` gives measured rows other names (`old=new`), `own` further files of
    reported numbers, `which` the keys of the tables to show (of a paper's all but the one beside the
    reported), `paper` asks for LaTeX to \\input, `since` leaves out what was published before. Raises UsageError.
    """
    records, numbers = gathered(runs, own)
    records = renamed(records, rename)
    tables = compose([] if only == "reported" else records, numbers, only=only, since=since)
    if which:
        tables = chosen(tables, which)
    elif paper is not None:
        tables = [table for table in tables if table.key != "beside"]
    if order is not None:
        tables = sort(tables, order)
    if keep:
        tables = columns(tables, keep)
    if paper is None:
        return render(tables, form, color=color, width=width)
    tables = [cleaned(table) for table in tables]
    for name, share in widths(tables, wide=paper.wide):
        mend = "fewer --columns make it larger" if paper.wide else "--wide or fewer --columns make it larger"
        warn(f"table {name} is shrunk to about {share:.0%} of \\scriptsize: {mend}")
    signatures = [] if only == "reported" else [record.spec.signature for record in records]
    return fragment(tables, signatures, wide=paper.wide)


@dataclass(frozen=True, slots=True)
class Paper:
    """How LaTeX for a paper is set: over both columns with `wide`."""

    wide: bool = False


def gathered(runs: Iterable[Path], own: Iterable[Path]) -> tuple[list[RunRecord], list[Reported]]:
    """Return the records of runs, and the published numbers with the user's; warn of what fits no run."""
    records = _without_stages([read_record(each) for each in find_runs(runs)])
    files, ran = list(own), {record.spec.benchmark for record in records}
    for each in unheld((row for path in files for row in published.read(path, ran)), records):
        warn(each)
    return records, published.load(files, ran)


def sources(own: Iterable[Path]) -> list[str]:
    """Return the sources that the user's own files name."""
    return list(dict.fromkeys(row.source for path in own for row in published.read(path)))


def compose(
    records: Sequence[RunRecord], numbers: Sequence[Reported], *, only: Only = "all", since: str | None = None
) -> list[Table]:
    """Return the published tables and the one of other suites (those that have rows), then measured beside reported.

    `since` is a year or a month: what was printed before, or nobody knows when, is not shown (`dates.month`).
    """
    if only == "measured" and not records:
        raise UsageError("--only measured: no run was given; name run folders or an output folder")
    kept = numbers if since is None else dates.recent(numbers, since)
    shown = [] if only == "measured" else kept
    layouts = layouts_for(records, shown)
    tables = [_published(layout, shown, numbers, records) for layout in layouts]
    if since is not None and only != "measured":
        tables = [replace(each, notes=(dates.told(numbers, since, each.key), *each.notes)) for each in tables]
    if records:
        # With runs at hand, only the tables that they belong in.
        asked = {record.spec.benchmark for record in records}
        fits = {layout.key for layout in layouts if asked & {c.benchmark for c in layout.columns}}
        tables = [table for table in tables if table.key in fits]
        tables.append(beside(records, kept))
    return [table for table in tables if table.groups]


def _without_stages(records: Sequence[RunRecord]) -> list[RunRecord]:
    """Return the runs without those that stopped behind a stage and were gone on with under another scorer."""
    done = {each.spec.predictions_key for each in records if each.metrics}
    return [each for each in records if each.metrics or each.spec.predictions_key not in done]


def _digest(card: Mapping[str, Json]) -> str:
    return hashlib.sha256(json.dumps(card, sort_keys=True).encode()).hexdigest()


# -- the tables ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Line:
    """Runs of one model under one set of knobs: one measured row."""

    model: str
    name: str
    group: str
    params: str
    cells: Mapping[str, tuple[RunRecord, str]]
    odd: Mapping[str, str]
    """By column: in what a number was made as none of those beside it; it does not rank."""
    toy: bool


def _published(
    layout: Layout, numbers: Sequence[Reported], known: Sequence[Reported], records: Sequence[RunRecord]
) -> Table:
    """Return a published table with its measured rows; `numbers` are shown, `known` say what may rank."""
    mine = [each for each in numbers if each.suite == layout.key]
    lines = _measured(layout, [each for each in known if each.suite == layout.key], records)
    rows: dict[tuple[str, str, str, str], dict[str, Reported]] = {}
    for each in mine:
        source = each.source if each.group not in layout.groups[:2] else ""
        rows.setdefault((each.group, each.model + each.note, each.params, source), {})[each.column] = each
    names = [*layout.groups, *dict.fromkeys(each.group for each in mine if each.group not in layout.groups)]
    groups: list[Group] = []
    for name in names:
        members: list[Row] = []
        waiting = [line for line in lines if line.group == name and not line.toy]
        for (group, model, params, source), cells in rows.items():
            if group != name:
                continue
            label = f"{model} [{source}]" if source else model
            row = _reported_row(layout, label, params, cells, ranks=not source)
            at = source or next(iter(cells.values())).source
            members.append(replace(row, source=at, named_source=bool(source)))
            for line in [each for each in waiting if published.published_name(each.model) == model]:
                members.append(_measured_row(layout, line))
                waiting.remove(line)
        members += [_measured_row(layout, line) for line in waiting]
        groups.append(Group(name, tuple(members)))
    others = [line for line in lines if line.group not in names and not line.toy]
    groups.append(Group("Measured", tuple(_measured_row(layout, line) for line in others)))
    groups.append(Group(TOY, tuple(_measured_row(layout, line) for line in lines if line.toy)))
    heads = [Head("model", "Model", number=False)]
    heads += [Head("params", layout.params)] if layout.params else []
    heads += [Head(column.key, column.header) for column in layout.columns]
    table = Table(
        key=layout.key,
        title=layout.title,
        heads=tuple(heads),
        groups=tuple(group for group in groups if group.rows),
        notes=tuple(_notes(layout, mine, lines)),
        stub=2 if layout.params else 1,
    )
    return ranked(table)


def _notes(layout: Layout, numbers: Sequence[Reported], lines: Sequence[_Line]) -> list[str]:
    notes = list(layout.notes) if numbers else []
    for source, citation in dict.fromkeys((each.source, each.citation) for each in numbers):
        notes.append(f"{source}: {citation}." if source != citation else f"{citation}.")
    headlines = [each for each in layout.columns if each.headlines and each.metrics]
    notes += [f"{each.header}: {', '.join(each.metrics)}." for each in headlines]
    if lines:
        notes.append(f"Measured rows: value ± half of the {stats.METHOD}, or its ends where it is lopsided.")
    return notes


def _measured(layout: Layout, numbers: Sequence[Reported], records: Sequence[RunRecord]) -> list[_Line]:
    """Return one line for each model and set of knobs; two runs never share a cell."""
    lines: dict[tuple[str, ...], dict[str, tuple[RunRecord, str]]] = {}
    for record in records:
        cells = {c.key: (record, key) for c in layout.columns if (key := c.shown(record)) is not None}
        if not cells:
            continue
        flags = ", ".join([*marks(record), *asides(record)])
        spec = record.spec
        base = (spec.model, _digest({**spec.model_card, "tag": spec.tag, "step": spec.step}), flags, record.name)
        again = 0
        while set(lines.get((*base, str(again)), ())) & set(cells):
            again += 1
        lines.setdefault((*base, str(again)), {}).update(cells)
    runs = [list({record.spec.digest: record for record, _ in cells.values()}.values()) for cells in lines.values()]
    names = _names(runs, [flags for _, _, flags, _, _ in lines])
    found: list[_Line] = []
    for (model, *_), cells, name in zip(lines, lines.values(), names, strict=True):
        home = [each for each in numbers if each.model == published.published_name(model)]
        first = next(iter(home), None)
        toy = any(is_toy(record) for record, _ in cells.values())
        group, params = (first.group, first.params) if first else ("", "")
        ranks = (group,) if group in layout.groups[:2] else layout.groups[:2]
        among = [each for each in numbers if each.group in ranks or not ranks]
        columns_here = [column for column in layout.columns if column.key in cells]
        odd = {each.key: stranger(*cells[each.key], each, among, records) for each in columns_here}
        found.append(_Line(model, name, group, params, cells, odd, toy))
    return found


def _names(rows: Sequence[Sequence[RunRecord]], flags: Sequence[str]) -> list[str]:
    """Return the rows' names with what marks them; those that would be the same are told apart."""
    names = [", ".join(each for each in (label(row[0]), said) if each) for row, said in zip(rows, flags, strict=True)]
    for name in {each for each in names if names.count(each) > 1}:
        alike = [number for number, each in enumerate(names) if each == name]
        told = apart([[record.spec for record in rows[number]] for number in alike])
        for number, said in zip(alike, told, strict=True):
            names[number] = f"{name}{' ' if said.startswith('#') else ', '}{said}"
    return names


def _reported_row(layout: Layout, label: str, params: str, cells: Mapping[str, Reported], *, ranks: bool) -> Row:
    found = [Cell(label)]
    found += [Cell(params or DASH)] if layout.params else []
    for column in layout.columns:
        number = cells.get(column.key)
        found.append(Cell(DASH) if number is None or number.value is None else Cell(number.printed, number.value))
    return Row(tuple(found), "reported", ranks)


def _measured_row(layout: Layout, line: _Line) -> Row:
    found = [Cell(line.name)]
    found += [Cell(line.params or DASH)] if layout.params else []
    for column in layout.columns:
        if column.key not in line.cells:
            found.append(Cell(DASH))
            continue
        record, key = line.cells[column.key]
        found.append(_value(record, column, key, line.odd[column.key]))
    whole = all(not marks(record) for record, _ in line.cells.values())
    return Row(tuple(found), "measured", ranked=whole)


def _value(record: RunRecord, column: Column, key: str, odd: str) -> Cell:
    metric, mark = shown(record, key)
    if metric.value is None:
        return Cell("withheld")
    text = f"{metric.value:.{column.decimals}f}"
    if metric.low is not None and metric.high is not None:
        text += " " + _interval(metric.value, metric.low, metric.high, column.decimals)
    aside = column.aside(key)
    told = ", ".join(each for each in (aside, "" if aside and odd.startswith("metric ") else odd) if each)
    text += f" ({told})" if told else ""
    if mark or odd:
        return Cell(text + mark)  # no number that could rank
    # Ranks go by what is printed: 0.994 does not beat a published 0.99.
    return Cell(text, round(metric.value, column.decimals))


def _interval(value: float, low: float, high: float, places: int) -> str:
    """Return an interval as ± its half, or where its sides differ by more than the last digit, as its ends."""
    below, above = round(value - low, places), round(high - value, places)
    if abs(above - below) < 1.5 * 10.0**-places:
        return f"±{(high - low) / 2:.{places}f}"
    return f"[{low:.{places}f}, {high:.{places}f}]"


# -- measured beside reported -------------------------------------------------------------------------


def beside(records: Sequence[RunRecord], numbers: Sequence[Reported]) -> Table:
    """Return one line for each measured number and each reported number that it can be held against."""
    heads = (
        Head("model", "Model", number=False),
        Head("metric", "Metric", number=False),
        Head("measured", "Measured"),
        Head("interval", "95 % interval"),
        Head("reported", "Reported"),
        Head("difference", "Difference"),
        Head("verdict", "Verdict", number=False),
        Head("source", "Source", number=False, light=1),
        Head("n", "n", light=2),
        Head("unparsed", "Unp.", light=4),
        Head("unscored", "Unsc.", light=3),
        Head("run", "Run", number=False),
    )
    groups: dict[str, list[Row]] = {}
    bases: dict[str, set[str]] = {}
    columns = [(layout.key, column) for layout in layouts_for(records, numbers) for column in layout.columns]
    for record in records:
        rows = groups.setdefault(record.spec.benchmark + (", toy data" if is_toy(record) else ""), [])
        rows += [] if record.metrics else [_waiting_row(record)]
        for key, decimals, held in _pairs(record, numbers, columns):
            rows += [_beside_row(record, key, decimals, number) for number in held or [None]]
            for number in held:
                bases.setdefault(number.source, set()).add(number.basis)
    notes = [
        f"Intervals: {stats.METHOD}. Noise: what two such runs differ by, 95 times in 100.",
        "Unp., unsc.: outputs that the protocol could not read, outputs without a verdict.",
    ]
    notes += [f"{source}: protocol {', '.join(sorted(known))}." for source, known in bases.items()]
    notes += standings(records)
    signatures = tuple(dict.fromkeys(record.spec.signature for record in records))
    return Table(
        key="beside",
        title="Measured beside reported",
        heads=heads,
        groups=tuple(Group(name, tuple(rows)) for name, rows in groups.items()),
        notes=(*notes, *signatures),
        stub=2,
        signatures=signatures,
    )


def _pairs(
    record: RunRecord, numbers: Sequence[Reported], columns: Sequence[tuple[str, Column]]
) -> list[tuple[str, int, list[Reported]]]:
    """Return (metric, decimals, reported numbers of the same thing) for every metric worth a line."""
    model = published.published_name(record.spec.model)
    found: dict[str, tuple[int, list[Reported]]] = {}
    for table, column in columns:
        shown = column.shown(record)
        if shown is None:
            continue
        for number in numbers:
            if (number.suite, number.model) != (table, model) or number.value is None:
                continue
            if not number.belongs(column.key):
                continue
            exact = number.metric in record.metrics
            if number.column != column.key and not exact:
                continue
            found.setdefault(number.metric if exact else shown, (column.decimals, []))[1].append(number)
        found.setdefault(shown, (column.decimals, []))
    places = next(column.decimals for _, column in columns if column.benchmark == record.spec.benchmark)
    found.setdefault(record.headline, (places, []))
    return [(key, decimals, held) for key, (decimals, held) in found.items() if key in record.metrics]


def _waiting_row(record: RunRecord) -> Row:
    """Return the line of a run that has no number yet: it stopped behind a stage."""
    name, unscored = ", ".join([label(record), record.state]), record.counts.get("unscored", 0)
    said = Cell(f"{record.state}, not scored yet: run the same command without --until")
    numbers = (Cell("0", 0.0), Cell("0", 0.0), Cell(str(unscored), float(unscored)))
    dashes = (Cell(DASH),) * 4
    run = Cell("#" + record.spec.digest[:6])
    return Row((Cell(name), Cell(record.headline), *dashes, said, Cell(""), *numbers, run), "measured")


def _beside_row(record: RunRecord, key: str, decimals: int, number: Reported | None) -> Row:
    metric, mark = shown(record, key)
    counts = record.counts
    flags = [*marks(record), *asides(record)]
    name = ", ".join([label(record), *flags])
    places = decimals + 1
    reported, difference = Cell(DASH), Cell(DASH)
    source = Cell("")
    lacks = [f"without {some([*metric.absent], 9)}"] if metric.absent and not record.spec.limit else []
    said = ", ".join([*flags, *lacks])
    if number is not None and number.value is not None:
        reported = Cell(number.printed, number.value)
        source = Cell(number.source)
        said = verdict(record, key, number)
        if metric.value is not None:
            change = metric.value - number.value
            difference = Cell(f"{change:+.{places}f}".replace("-", "−"), change)
    elif not said:
        said = "no reported number"
    bounds = DASH
    if metric.low is not None and metric.high is not None:
        bounds = f"[{metric.low:.{places}f}, {metric.high:.{places}f}]"
    value = Cell("withheld") if metric.value is None else Cell(f"{metric.value:.{places}f}", metric.value)
    numbers = [Cell(str(n), float(n)) for n in (metric.n, counts.get("unparsed", 0), counts.get("unscored", 0))]
    cells = (Cell(name), Cell(key + mark), value, Cell(bounds), reported, difference, Cell(said), source, *numbers)
    return Row((*cells, Cell("#" + record.spec.digest[:6])), "measured")
