"""Published numbers: every cell with its source and the protocol behind it, ours and the user's own."""

from __future__ import annotations

import csv
import math
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ..evals import registry
from ..evals.errors import UsageError, hint
from ..evals.types import RunRecord

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

HERE = Path(__file__).parent
FIELDS = ("suite", "column", "group", "model", "params", "note", "value", "metric", "knobs", "basis", "source")
REQUIRED = ("suite", "column", "model", "value", "source")
OWN = "own"
"""The table of the suites that no published table has; its columns are called as they are."""


@dataclass(frozen=True, slots=True)
class Reported:
    """One published number, or a model's row without one (`value` None).

    `printed` is the number as printed, `metric` the key of the run metric that is computed the
    same way ("" where the source does not say), `knobs` what else that number was made with,
    `basis` how far this is known: documented, inferred, not stated.
    """

    suite: str
    column: str
    group: str
    model: str
    params: str
    note: str
    printed: str
    value: float | None
    metric: str
    knobs: Mapping[str, str]
    basis: str
    source: str
    citation: str

    @property
    def slack(self) -> float:
        """Return half of the last printed digit: what rounding may hide."""
        return 0.5 * 10.0 ** -len(self.printed.partition(".")[2])

    def belongs(self, column: str) -> bool:
        """Say whether this is a number of that column, be it one that is not shown in it (`pope:micro`)."""
        return self.column == column or self.column.startswith(column + ":")


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table. `metrics` are run metrics that belong in it, best match first.

    In a `headlines` column stands each run's headline, whatever it is; `metrics` then are those that occur.
    """

    key: str
    header: str
    benchmark: str
    decimals: int
    metrics: tuple[str, ...]
    headlines: bool = False

    def shown(self, record: RunRecord) -> str | None:
        """Return the metric of a run that stands in this column.

        A protocol under another scorer (`official@SCORER/overall`) stands there too; its verdict
        says that the protocol differs.
        """
        if record.spec.benchmark != self.benchmark:
            return None
        if self.headlines:
            return record.headline if record.headline in record.metrics else None
        exact = next((key for key in self.metrics if key in record.metrics), None)
        return exact or next(
            (key for wanted in self.metrics for key in record.metrics if _scored_by(key, wanted)), None
        )

    def aside(self, key: str) -> str:
        """Return what tells a metric from the column's first: its protocol, or all of it; nothing for the first."""
        if key == self.metrics[0]:
            return ""
        if self.headlines:
            return key
        rests = [each.partition("/")[2] for each in self.metrics]
        return key.removesuffix("/" + next((each for each in rests if key.endswith("/" + each)), ""))


def _scored_by(key: str, wanted: str) -> bool:
    """Say whether `key` is the metric `wanted` under another scorer, whose name may hold slashes."""
    protocol, slash, rest = wanted.partition("/")
    return key.startswith(protocol + "@") and key.endswith(slash + rest)


@dataclass(frozen=True, slots=True)
class Layout:
    """A published table: its columns and row groups. `params` heads the parameter counts, if it has any."""

    key: str
    title: str
    groups: tuple[str, ...]
    params: str
    notes: tuple[str, ...]
    columns: tuple[Column, ...]


@cache
def _catalogue() -> dict[str, Any]:
    return tomllib.loads((HERE / "reported.toml").read_text(encoding="utf-8"))


@cache
def layouts() -> tuple[Layout, ...]:
    """Return the published tables: understanding, GenEval, DPG-Bench."""
    return tuple(
        Layout(
            key=table["key"],
            title=table["title"],
            groups=tuple(table["groups"]),
            params=table.get("params", ""),
            notes=tuple(table.get("notes", ())),
            columns=tuple(
                Column(c["key"], c["header"], c["benchmark"], c["decimals"], tuple(c["metrics"]))
                for c in table["column"]
            ),
        )
        for table in _catalogue()["table"]
    )


def published_name(model: str) -> str:
    """Return the name under which a registered model stands in the published tables, else its own."""
    return _catalogue()["model"].get(model, model)


def unpublished(ran: Collection[str] = ()) -> list[str]:
    """Return the suites that no published table has: those installed, and those that `ran`."""
    published = {column.benchmark for layout in layouts() for column in layout.columns}
    return sorted({*registry.names("benchmarks"), *ran} - published)


def load(own: Iterable[Path] = (), ran: Collection[str] = ()) -> list[Reported]:
    """Return the published numbers and those in the user's files, in file order.

    A user's file has the columns of reported.csv; suite, column, model, value and source are
    required. `ran` names the suites of the runs at hand, which may be installed no more. Raises
    UsageError for a missing column, a cell without a source, no number, or a suite that is none.
    """
    published = read(HERE / "reported.csv", ran)
    mine = [(path, row) for path in own for row in read(path, ran)]
    _must_fit(mine, published)
    return [*published, *(row for _, row in mine)]


def _must_fit(mine: Iterable[tuple[Path, Reported]], published: Sequence[Reported]) -> None:
    """Raise UsageError for a number that its column cannot hold, and for two of one model and source in one cell."""
    tops: dict[tuple[str, str], float] = {}
    for row in published:
        if row.value is not None:
            tops[row.suite, row.column] = max(row.value, tops.get((row.suite, row.column), 0.0))
    seen: dict[tuple[str, ...], str] = {}
    for path, row in mine:
        top = tops.get((row.suite, row.column), math.inf)
        most = 1.0 if top <= 1 else 100.0 if top <= 100 else math.inf
        if row.value is not None and top < math.inf and not 0 <= row.value <= most:
            raise UsageError(
                f"{path}: {row.model}: {row.printed} under {row.suite} {row.column}: expected 0 to {most:g}"
            )
        knobs = " ".join(f"{key}={value}" for key, value in sorted(row.knobs.items()))
        key = (row.suite, row.column, row.group, row.model, row.params, row.note, row.metric, knobs, row.source)
        if seen.setdefault(key, row.printed) != row.printed:
            both = f"{seen[key]} and {row.printed}"
            raise UsageError(
                f"{path}: {row.model} has {both} under {row.suite} {row.column} of one source: which is it?"
            )


def read(path: Path, ran: Collection[str] = ()) -> list[Reported]:
    """Return the numbers of one file (see `load`)."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            heads: Sequence[str] = reader.fieldnames or ()
            lacking = [each for each in REQUIRED if each not in heads]
            if lacking:
                raise UsageError(f"{path}: no column {lacking[0]!r}; a file of numbers has {', '.join(REQUIRED)}")
            foreign = [each for each in heads if each not in FIELDS]
            if foreign:
                raise UsageError(f"{path}: unknown column {foreign[0]!r}; known: {', '.join(FIELDS)}")
            if len(set(heads)) < len(heads):
                raise UsageError(f"{path}: two columns of one name: {', '.join(heads)}")
            return [_row(path, reader.line_num, row, ran) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path} cannot be read as CSV: {error}") from error


def _row(path: Path, line: int, row: Mapping[str | None, Any], ran: Collection[str]) -> Reported:
    where = f"{path} line {line}"
    if None in row or any(value is None for value in row.values()):
        raise UsageError(f"{where}: the line has not as many fields as the heading")
    cell = {key: str(value).strip() for key, value in row.items()}
    if not cell["source"]:
        raise UsageError(f"{where}: a number without a source; say where it is printed")
    suite, column = _place(where, cell["suite"], cell["column"], ran)
    if not cell["model"]:
        raise UsageError(f"{where}: no model")
    return Reported(
        suite=suite,
        column=column,
        group=cell.get("group") or "Your numbers",
        model=cell["model"],
        params=cell.get("params", ""),
        note=cell.get("note", ""),
        printed=cell["value"],
        value=_number(where, cell["value"]),
        metric=cell.get("metric", ""),
        knobs=_knobs(where, cell.get("knobs", "")),
        basis=cell.get("basis") or "not stated",
        source=cell["source"],
        citation=_catalogue()["source"].get(cell["source"], cell["source"]),
    )


def _place(where: str, suite: str, column: str, ran: Collection[str]) -> tuple[str, str]:
    """Return the table and the column of a row, which may name a suite that no published table has."""
    known = {layout.key: [each.key for each in layout.columns] for layout in layouts()}
    table = suite if suite in known else OWN
    if table == OWN:
        others = unpublished(ran)
        known |= {each: [each] for each in others} | {OWN: others}
        column = column if suite == OWN else column or suite
    _known(where, "suite", suite, known)
    if (column or table == OWN) and column not in known[suite]:
        _known(where, "column", column.partition(":")[0], known[suite])  # "pope:micro": see Reported.belongs
    return table, column


def _known(where: str, what: str, name: str, known: Collection[str]) -> None:
    """Raise UsageError for a name that is not among the known ones."""
    if name not in known:
        otherwise = f"; known: {', '.join(known) or 'none'}"
        raise UsageError(f"{where}: unknown {what} {name!r}{hint(name, known, otherwise)}")


def _number(where: str, text: str) -> float | None:
    if not text:
        return None
    try:
        value = float(text) if text.isascii() and "_" not in text else math.nan
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UsageError(f"{where}: {text!r} is no number")
    return value


def _knobs(where: str, text: str) -> dict[str, str]:
    knobs: dict[str, str] = {}
    for part in text.split():
        key, equals, value = part.partition("=")
        if not equals:
            raise UsageError(f"{where}: knobs are written key=value, got {part!r}")
        knobs[key] = value
    return knobs
