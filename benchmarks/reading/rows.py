"""One row of a table, with its file and line: what its columns hold, and what is said where they do not."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ...evals.errors import UsageError
from ...evals.types import Json
from .cells import kind, missing, nowhere, plain, shown, whole

HEAVY = 1024
"""A text of a picture column that is longer than this many characters stays on disk."""
_LONGEST_LABEL = 200


@dataclass(frozen=True, slots=True)
class Deferred:
    """A cell that stays on disk until it is asked for; `items` pictures lie in it."""

    read: Callable[[], Json] = field(repr=False)
    items: int = 1


@dataclass(frozen=True, slots=True)
class Row:
    """One row, with the place it came from (`line` counts from 1).

    `odd` says of columns why nothing can be read in them (a formula, a date), under "" of the whole row
    (half-written); who asks for such a column gets a UsageError that says so.
    """

    fields: Mapping[str, Json]
    file: Path
    line: int
    odd: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def where(self) -> str:
        return f"{self.file} line {self.line}"

    def find(self, *names: str) -> Json:
        """Return the first of the named columns that holds something, else None."""
        return self._first(names)[1]

    def need(self, *names: str, hint: str = "") -> Json:
        """Return the first of the named columns that holds something; raise UsageError where none does."""
        value = self.find(*names)
        if value is None:
            raise self.lacks(names, hint)
        return value

    def lacks(self, names: Sequence[str], hint: str = "") -> UsageError:
        """Return the error for a row without a value in any of the named columns."""
        self._must_be_whole("")
        empty = [name for name in names if name in self.fields]
        what = f"column {empty[0]!r} is empty" if empty else f"no column {names[0]!r}{_or(names[1:])}"
        return UsageError(f"{self.where}: {what}{hint and '; ' + hint}")

    def name(self, *names: str) -> str:
        """Return the first of the named columns that holds a short text (a file name, an id), else ""."""
        found = (self.fields.get(name) for name in names)
        return next((each for each in found if isinstance(each, str) and 0 < len(each) <= HEAVY), "")

    def text(self, *names: str, hint: str = "") -> str:
        """Return a text column, empty texts included; raise UsageError where it is absent or no text."""
        for name in names:
            self._must_be_whole(name)
            if name in self.fields and self.fields[name] is not None:
                value = self.fields[name]
                if not isinstance(value, str):
                    raise UsageError(f"{self.where}: column {name!r} holds {kind(value)}, expected text")
                return value
        raise self.lacks(names, hint)

    def words(self, *names: str) -> str | None:
        """Return the first of the named columns that holds something, which must be a text or a number; else None."""
        column, value = self._first(names)
        if value is not None and not plain(value):
            raise self.wrong(column, value, "a text")
        return None if value is None else str(value)

    def label(self, *names: str) -> str | None:
        """Return the name of a category, or None: `words`, short, where None, null and nan are nothing."""
        column = next((name for name in names if not nowhere(self._at(name))), None)
        if column is None:
            return None
        value, text = self.fields[column], str(self.words(column)).strip()
        if len(text) > _LONGEST_LABEL:
            raise self.wrong(column, value, f"a name of at most {_LONGEST_LABEL} characters")
        number = whole(value) if isinstance(value, float) else None
        return text if number is None else str(number)

    def identity(self, *names: str, numbers: bool = False, hint: str = "") -> str:
        """Return a row's id: a text, or a whole number in any writing (241, 241.0, "241.0").

        Where ids are `numbers`, a text that is a number of another kind (241.5) is refused as well.
        """
        value = self.need(*names, hint=hint)
        column = self._first(names)[0]
        number = whole(value)
        if number is not None and (not isinstance(value, str) or "." in value):
            return str(number)
        if not isinstance(value, str) or (numbers and number is None and _DECIMAL.fullmatch(value)):
            raise self.wrong(column, value, "a whole number" if numbers else "a text or a whole number")
        return value

    def wrong(self, column: str, value: Json, expected: str) -> UsageError:
        """Return the error for a value that a column cannot hold."""
        return UsageError(f"{self.where}: column {column!r} holds {shown(value)}, expected {expected}")

    def _first(self, names: Sequence[str]) -> tuple[str, Json]:
        found = ((name, self._at(name)) for name in names)
        return next(((name, value) for name, value in found if not missing(value)), ("", None))

    def _at(self, name: str) -> Json:
        self._must_be_whole(name)
        return self.fields.get(name)

    def _must_be_whole(self, name: str) -> None:
        if "" in self.odd:
            raise UsageError(f"{self.where}: {self.odd['']}")
        if name in self.odd:
            raise UsageError(f"{self.where}: column {name!r} holds {self.odd[name]}")


def is_picture_column(name: str) -> bool:
    """Return whether a column of this name holds pictures (image, images, image_1 ..., input_image)."""
    return _is_numbered(name) or name in ("input_image", "input_image_raw")


def _is_numbered(name: str) -> bool:
    stem, _, number = name.partition("_")
    return stem in ("image", "images") and (not number or _is_count(number))


def picture_columns(names: Iterable[str]) -> list[str]:
    """Return those of the columns that hold pictures, image_2 before image_10."""
    parts = [name.partition("_") for name in names if _is_numbered(name)]
    return ["".join(each) for each in sorted(parts, key=lambda each: (each[0], int(each[2] or 0), each[2]))]


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10


_DECIMAL: Final = re.compile(r"[+-]?\d*\.\d+", re.ASCII)


def _or(names: Sequence[str]) -> str:
    return f" (nor {', '.join(map(repr, names))})" if names else ""
