"""Pictures of a table's rows: base64, bytes of the hub, another row's index or a file beside the table; read late.

A row whose picture cannot be found is no fault of the others: it gets a picture that is invalid when it is read.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from pathlib import Path

from ...evals.errors import InvalidImage, UsageError
from ...evals.pictures import MOST_BYTES, read_file
from ...evals.types import Json, Picture
from .cells import kind, listed, nowhere, shown, whole
from .rows import Deferred, Row, is_picture_column, picture_columns

_EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")
_LONGEST_INDEX = 64
"""VLMEvalKit's rule: a cell of at most this many characters names the row that holds the picture."""
_FILE_COLUMNS = ("image_path", "imagename", "data_id", "imageId")
"""Columns of file names (VLMEvalKit's tables without pictures, the own files of MM-Vet, SEED-Bench and GQA)."""


class _Lost(Exception):
    """A picture that is nowhere, and why."""


class Gallery:
    """Finds the pictures of rows that may refer to each other by `index` (or another column).

    `columns` are those that hold pictures where a caller names none; without them every picture column does.
    """

    def __init__(
        self,
        rows: Sequence[Row],
        folders: Sequence[Path] = (),
        *,
        index: str = "index",
        columns: Sequence[str] | None = None,
    ) -> None:
        self._rows: Mapping[str, Row] = {_key(row.fields[index]): row for row in rows if index in row.fields}
        self.pictured = any(shows_pictures(row) for row in rows)
        """Whether any row has a column of pictures: then one without has lost its own."""
        self._folders = tuple(folders)
        self._columns = columns
        self._found = False
        self._lost: list[UsageError] = []
        self._shared: dict[tuple[str, str], list[Picture]] = {}  # one object for the many questions about a picture
        self._files_found: dict[tuple[Path, str], Picture] = {}

    def of(self, row: Row, columns: Sequence[str] | None = None, *, optional: bool = False) -> tuple[Picture, ...]:
        """Return a row's pictures in order: of the named columns, or of every picture column.

        What cannot be found is a picture whose reading raises InvalidImage. A row without any has none where
        that is `optional`.
        """
        columns = self._columns if columns is None else columns
        if columns is not None:
            pictures = [each for name in columns for each in self._column(row, name)]
        else:
            found = [each for name in picture_columns(row.fields) for each in self._cell(row, name)]
            pictures = found or self._files(row)
            if not pictures and not optional:
                pictures = [self._broken(row, "image", "no picture: expected a column image, image_1 or image_path")]
        return tuple(pictures)

    def must_show(self) -> None:
        """Raise UsageError, the first row's, where no row that was asked about has a picture that could be found."""
        if self._lost and not self._found:
            raise self._lost[0]

    def _column(self, row: Row, column: str) -> list[Picture]:
        """Return the pictures of a column that must hold some."""
        return self._cell(row, column) or [self._broken(row, column, f"column {column!r} holds no picture")]

    def _cell(self, row: Row, column: str) -> list[Picture]:
        try:
            found = self._pictures(row, column, row.fields.get(column))
        except _Lost as error:
            return [self._broken(row, column, str(error))]
        self._found = self._found or bool(found)
        return found

    def _broken(self, row: Row, column: str, why: str) -> Picture:
        self._lost.append(UsageError(f"{row.where}: {why}"))

        def read() -> bytes:
            raise InvalidImage(f"{_place(row)}: {why}")

        return Picture(_name(row, column), read)

    def _pictures(self, row: Row, column: str, value: Json, follow: bool = True) -> list[Picture]:
        if isinstance(value, Deferred):
            return [_late(row, column, value, number) for number in range(value.items)]
        if nowhere(value):
            return []
        value = _listed(column, value)
        if isinstance(value, list):
            if any(isinstance(part, list) for part in value):
                raise _Lost(f"column {column!r} holds lists within a list, expected pictures")
            return [each for part in value for each in self._pictures(row, column, part, follow)]
        if isinstance(value, dict):
            return [Picture(_name(row, column), lambda: _decoded(row, column, value), row.file)]
        text = _key(value)
        if text.lower().endswith(_EXTENSIONS):
            return [self._file(row, column, text)]
        if len(text) <= _LONGEST_INDEX:
            other = self._rows.get(text)
            if other is None or not follow:
                raise _Lost(f"column {column!r} refers to row {shown(text)}, which holds no picture")
            target = column if column in other.fields and column != "imageId" else "image"
            found = self._shared.get((text, target))
            if found is None:
                found = self._pictures(other, target, other.fields.get(target), follow=False)
                self._shared[text, target] = found
            if not found:
                raise _Lost(f"column {column!r} refers to row {shown(text)}, which holds no picture")
            return found
        return [Picture(_name(row, column), lambda: _decoded(row, column, text), row.file)]

    def _files(self, row: Row) -> list[Picture]:
        """Return the pictures that a row names in a column of file names."""
        column = next((name for name in _FILE_COLUMNS if not nowhere(row.fields.get(name))), None)
        if column is None:
            return []
        try:
            value = _listed(column, row.fields[column])
            names = [_key(each) for each in (value if isinstance(value, list) else [value])]
            names = [f"{each}.jpg" if column == "imageId" else each for each in names]  # GQA gives the id
            found = [self._file(row, column, name) for name in names]
        except _Lost as error:
            return [self._broken(row, column, str(error))]
        self._found = True
        return found

    def _file(self, row: Row, column: str, name: str) -> Picture:
        """Return a picture file; it must lie inside the table's folder or one given."""
        found = self._files_found.get((row.file.parent, name))
        if found is not None:
            return found
        roots = [*self._folders, row.file.parent, row.file.parent / "images"]
        path = next(filter(None, (_inside(root, name) for root in roots)), None)
        if path is not None:
            found = self._files_found[row.file.parent, name] = Picture(name, lambda: _bytes(name, path), path)
            return found
        raise _Lost(f"column {column!r} names {shown(name)}, which is not in the table's folder or its images/")


def shows_pictures(row: Row) -> bool:
    """Return whether a row has a column that holds or names pictures, though it may be empty."""
    return any(is_picture_column(name) or name == "image_path" for name in row.fields)


def _inside(root: Path, name: str) -> Path | None:
    """Return the file of this name in a folder; None where there is none, or where it leads out of the folder."""
    try:
        path = (root / name).resolve()
        return path if path.is_relative_to(root.resolve()) and path.is_file() else None
    except (OSError, ValueError, RuntimeError):  # a name that is too long or holds a NUL, a loop of links
        return None


def _late(row: Row, column: str, cell: Deferred, number: int) -> Picture:
    def read() -> bytes:
        value = cell.read()
        try:
            value = _listed(column, value)
        except _Lost as error:
            raise InvalidImage(f"{_place(row)}: {error}") from error
        return _decoded(row, column, value[number] if isinstance(value, list) else value)

    suffix = f"-{number + 1}" if cell.items > 1 else ""
    return Picture(_name(row, column) + suffix, read, row.file)


def _bytes(name: str, path: Path) -> bytes:
    try:
        return read_file(path)
    except InvalidImage as error:
        raise InvalidImage(f"picture {shown(name)} {error}") from error


def _decoded(row: Row, column: str, value: Json) -> bytes:
    if isinstance(value, dict) and isinstance(value.get("bytes"), bytes):
        return value["bytes"]
    if isinstance(value, bytes):
        return value
    if not isinstance(value, str):
        raise InvalidImage(f"{_place(row)}: column {column!r} holds no picture bytes")
    if len(value) > MOST_BYTES * 3 // 2:  # four characters stand for three bytes, line ends between them
        raise InvalidImage(f"{_place(row)}: column {column!r} holds {len(value):,} characters: no picture is so large")
    text = value.partition("base64,")[2] if value.startswith("data:") else value
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidImage(f"{_place(row)}: column {column!r} is no base64 picture ({error})") from error


def _key(value: Json) -> str:
    """Return what a cell calls a row or a file: 7, 7.0 and "7" are one."""
    number = None if isinstance(value, str) and "." not in value else whole(value)
    return str(value) if number is None else str(number)


def _place(row: Row) -> str:
    return f"{row.file.name} line {row.line}"  # without the folder: the reason is stored with the scores


def _name(row: Row, column: str) -> str:
    return f"{row.file.name}:{row.line}:{column}"


def _listed(column: str, value: Json) -> Json:
    """Return the list that a text in brackets holds, any other value as it is."""
    if not isinstance(value, str | int | float | list | dict | bytes):
        raise _Lost(f"column {column!r} holds {kind(value)}, expected a picture")
    if not (isinstance(value, str) and value.startswith("[") and value.endswith("]")):
        return value
    try:
        return listed(value)
    except ValueError as error:
        raise _Lost(f"column {column!r}: {error}") from error
