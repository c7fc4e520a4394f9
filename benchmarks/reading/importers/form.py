"""What an importer is: a harness's way to leave answers, known by looking at it, and how it becomes our rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ....evals.types import Json
from ..rows import Row


@dataclass(frozen=True, slots=True)
class Form:
    """A harness's file. `{}` in its name is the kind of table: VLMEvalKit's {} is VLMEvalKit's xlsx.

    `fits` looks at the columns of the first whole row; `row` returns one row in our columns (`id`, `response`,
    `answer`, `category`, `question`, `options` ...), told the suite's name, which is empty where nobody knows it.
    `lacks` says what such a file never holds, and what brings it: it ends the message of a refusal.
    """

    name: str
    fits: Callable[[Mapping[str, Json]], bool]
    row: Callable[[Row, str], Row] = lambda row, suite: row
    lacks: str = ""


@dataclass(frozen=True, slots=True)
class Folder:
    """A harness's folder: `files` returns those with a suite's rows, none where it is another's; `read` reads one,
    where they are not tables of a `Form`. `looks` tells a reader of a message what such a folder looks like."""

    name: str
    looks: str
    files: Callable[[Path, str], Sequence[Path]]
    read: Callable[[Path], Iterable[Row]] | None = None


def with_columns(row: Row, **columns: Json) -> Row:
    """Return a row with further columns; a value of None leaves the row as it is."""
    return replace(row, fields={**row.fields, **{name: value for name, value in columns.items() if value is not None}})


def has(*names: str) -> Callable[[Mapping[str, Json]], bool]:
    """Return the test whether a row has all of some columns."""
    return lambda fields: all(name in fields for name in names)


def inner(value: Json, *path: str | int) -> Json:
    """Return what lies at a path of keys and places inside a value, None where nothing does."""
    for step in path:
        if isinstance(step, int) and isinstance(value, list) and step < len(value):
            value = value[step]
        elif isinstance(step, str) and isinstance(value, dict):
            value = value.get(step)
        else:
            return None
    return value


def said(value: Json) -> str | None:
    """Return the text of a message: a text, or the text parts of a list of parts."""
    if isinstance(value, list):
        parts = [inner(part, "text") for part in value]
        value = "\n".join(part for part in parts if isinstance(part, str))
    return value if isinstance(value, str) else None
