"""One Table model that every report fills: ranks, order, columns, and texts that are safe to print."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, get_args

from ..evals.errors import UsageError, hint
from ..evals.screen import clean

if TYPE_CHECKING:
    import pandas as pd

Format = Literal["text", "markdown", "latex", "html", "csv", "json"]
FORMATS: tuple[Format, ...] = get_args(Format)


@dataclass(frozen=True, slots=True)
class Cell:
    """What stands in one place: the text every format shows, the number behind it, its rank."""

    text: str = ""
    value: float | None = None
    rank: Literal["", "best", "second"] = ""


@dataclass(frozen=True, slots=True)
class Head:
    """A column: `key` names it to --sort and --columns. Numbers stand to the right.

    Where a terminal is too narrow, the column with the largest `light` is left out first, one of 0 never.
    """

    key: str
    text: str
    number: bool = True
    light: int = 0


@dataclass(frozen=True, slots=True)
class Row:
    """A row; `kind` is what the row rests on. Only `ranked` rows can be best or second.

    `source` is where a reported row stands; with `named_source` its name ends in it, " [SOURCE]".
    """

    cells: tuple[Cell, ...]
    kind: Literal["reported", "measured"] = "reported"
    ranked: bool = False
    source: str = ""
    named_source: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """Rows under one heading ("" for none)."""

    name: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table with its notes. The first `stub` columns name the row: they are always kept.

    `signatures` are those that stand in the notes: the terminal shows their ends only.
    """

    key: str
    title: str
    heads: tuple[Head, ...]
    groups: tuple[Group, ...]
    notes: tuple[str, ...] = field(default=())
    stub: int = 1
    signatures: tuple[str, ...] = ()

    def rows(self) -> list[tuple[str, Row]]:
        """Return (group name, row) from top to bottom."""
        return [(group.name, row) for group in self.groups for row in group.rows]

    def with_rows(self, change: Callable[[Row], Row]) -> Table:
        """Return the table with each row changed."""
        return replace(self, groups=tuple(replace(g, rows=tuple(map(change, g.rows))) for g in self.groups))

    def frame(self) -> pd.DataFrame:
        """Return the texts as a pandas DataFrame: a column `group`, then the table's own."""
        import pandas as pd

        data = [[name, *(cell.text for cell in row.cells)] for name, row in self.rows()]
        return pd.DataFrame(data, columns=["group", *(head.text for head in self.heads)], dtype="string")


def ranked(table: Table) -> Table:
    """Return the table with the best and the second value of each column and group marked; ties share."""
    return replace(table, groups=tuple(replace(group, rows=_ranked(table, group.rows)) for group in table.groups))


def _ranked(table: Table, rows: Sequence[Row]) -> tuple[Row, ...]:
    marks: dict[tuple[int, int], Literal["best", "second"]] = {}
    for column in range(table.stub, len(table.heads)):
        values = {number: row.cells[column].value for number, row in enumerate(rows) if row.ranked}
        known = sorted({value for value in values.values() if value is not None}, reverse=True)
        if len(known) < 2:
            continue  # nothing to rank against
        best = [number for number, value in values.items() if value == known[0]]
        second = [] if len(best) > 1 else [number for number, value in values.items() if value == known[1]]
        for number in best:
            marks[number, column] = "best"
        for number in second:
            marks[number, column] = "second"
    return tuple(
        replace(row, cells=tuple(replace(c, rank=marks.get((number, i), "")) for i, c in enumerate(row.cells)))
        for number, row in enumerate(rows)
    )


def sort(tables: Sequence[Table], key: str) -> list[Table]:
    """Return the tables with the rows of each group sorted by column `key`, best first (`-key`: last first).

    Raises UsageError where no table has the column.
    """
    upwards, name = key.startswith("-"), key.removeprefix("-")
    _known(tables, [name], "--sort")

    def order(table: Table) -> Table:
        if name not in (keys := [head.key for head in table.heads]):
            return table
        column = keys.index(name)

        def place(row: Row) -> tuple[bool, float, str]:
            cell = row.cells[column]
            if cell.value is None:  # words in alphabetical order, empty cells last
                return (not cell.text, 0.0, cell.text)
            return (False, cell.value if upwards else -cell.value, "")

        return replace(table, groups=tuple(replace(g, rows=tuple(sorted(g.rows, key=place))) for g in table.groups))

    return [order(table) for table in tables]


def columns(tables: Sequence[Table], keys: Sequence[str]) -> list[Table]:
    """Return the tables with only the named columns beside the row's name; tables left with none are dropped.

    Raises UsageError where no table has one of them.
    """
    _known(tables, keys, "--columns")

    def cut(table: Table) -> Table:
        keep = [i for i, head in enumerate(table.heads) if i < table.stub or head.key in keys]
        groups = tuple(
            replace(g, rows=tuple(replace(r, cells=tuple(r.cells[i] for i in keep)) for r in g.rows))
            for g in table.groups
        )
        return replace(table, heads=tuple(table.heads[i] for i in keep), groups=groups)

    return [small for small in map(cut, tables) if len(small.heads) > small.stub]


def chosen(tables: Sequence[Table], keys: Sequence[str]) -> list[Table]:
    """Return the tables of these keys, in their order. Raises UsageError for a key that none has."""
    found = {table.key: table for table in tables}
    for each in keys:
        if each not in found:
            otherwise = f"; there are {', '.join(found) or 'none'}"
            raise UsageError(f"--table: no table {each!r} here{hint(each, found, otherwise)}")
    return [found[each] for each in dict.fromkeys(keys)]


def _known(tables: Iterable[Table], wanted: Sequence[str], flag: str) -> None:
    known = list(dict.fromkeys(head.key for table in tables for head in table.heads))
    for each in wanted:
        if each not in known:
            near = difflib.get_close_matches(each, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
            raise UsageError(f"{flag}: no column {each!r}; {hint}")


def cleaned(table: Table) -> Table:
    """Return the table with every text made safe to print (see `clean`)."""
    return Table(
        key=table.key,
        title=clean(table.title),
        heads=tuple(replace(head, text=clean(head.text)) for head in table.heads),
        groups=tuple(
            Group(
                clean(group.name),
                tuple(
                    replace(r, cells=tuple(replace(c, text=clean(c.text)) for c in r.cells), source=clean(r.source))
                    for r in group.rows
                ),
            )
            for group in table.groups
        ),
        notes=tuple(clean(note) for note in table.notes),
        stub=table.stub,
        signatures=tuple(clean(each) for each in table.signatures),
    )
