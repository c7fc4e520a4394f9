"""Pictures of a table's rows: base64, bytes of the hub, another row's index or a file beside the table; read late."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from pathlib import Path

from ...evals.errors import InvalidImage, UsageError
from ...evals.types import Json, Picture
from .rows import Deferred, Row, is_picture_column, listed, missing

_EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")
_LONGEST_INDEX = 64
"""VLMEvalKit's rule: a cell of at most this many characters names the row that holds the picture."""
_FILE_COLUMNS = ("image_path", "imagename", "data_id", "imageId")
"""Columns of file names (VLMEvalKit's tables without pictures, the own files of MM-Vet, SEED-Bench and GQA)."""


class Gallery:
    """Finds the pictures of rows that may refer to each other by `index` (or another column)."""

    def __init__(self, rows: Sequence[Row], folders: Sequence[Path] = (), *, index: str = "index") -> None:
        self._rows: Mapping[str, Row] = {str(row.fields[index]): row for row in rows if index in row.fields}
        self._folders = tuple(folders)

    def of(self, row: Row, columns: Sequence[str] | None = None) -> tuple[Picture, ...]:
        """Return a row's pictures in order: of the named columns, or of every picture column (at least one).

        Raises UsageError where a reference leads nowhere.
        """
        names = sorted(filter(is_picture_column, row.fields)) if columns is None else columns
        found = [picture for name in names for picture in self._cell(row, name, row.fields.get(name))]
        if not found and columns is None:
            column = next((name for name in _FILE_COLUMNS if not missing(row.fields.get(name))), "")
            names = [f"{each}.jpg" if column == "imageId" else each for each in _names(row, column)]  # GQA gives the id
            found = [_beside(name, self._file(row, column, name)) for name in names]
            if not found:
                raise UsageError(f"{row.where}: no picture: expected a column image, image_1 or image_path")
        return tuple(found)

    def _cell(self, row: Row, column: str, value: Json, follow: bool = True) -> list[Picture]:
        if missing(value):
            return []
        if isinstance(value, Deferred):
            return [self._late(row, column, value, number) for number in range(value.items)]
        value = _listed(row, column, value)
        if isinstance(value, list):
            return [each for part in value for each in self._cell(row, column, part, follow)]
        if isinstance(value, dict):
            return [Picture(self._name(row, column), lambda: _decoded(row, column, value), row.file)]
        text = str(value)
        if text.lower().endswith(_EXTENSIONS):
            return [_beside(text, self._file(row, column, text))]
        if len(text) <= _LONGEST_INDEX:
            other = self._rows.get(text)
            if other is None or not follow:
                raise UsageError(f"{row.where}: column {column!r} refers to row {text!r}, which holds no picture")
            target = column if column in other.fields and column != "imageId" else "image"
            return self._cell(other, target, other.fields.get(target), follow=False)
        return [Picture(self._name(row, column), lambda: _decoded(row, column, text), row.file)]

    def _late(self, row: Row, column: str, cell: Deferred, number: int) -> Picture:
        def read() -> bytes:
            value = cell.read()
            if isinstance(value, str) and value.startswith("["):
                value = listed(value)
            if isinstance(value, list):
                value = value[number]
            return _decoded(row, column, value)

        suffix = f"-{number + 1}" if cell.items > 1 else ""
        return Picture(self._name(row, column) + suffix, read, row.file)

    def _file(self, row: Row, column: str, name: str) -> Path:
        """Return the picture's path; it must lie inside the table's folder or one given."""
        roots = [*self._folders, row.file.parent, row.file.parent / "images"]
        for root in roots:
            path = (root / name).resolve()
            if path.is_file() and path.is_relative_to(root.resolve()):
                return path
        raise UsageError(f"{row.where}: column {column!r} names {name!r}, which is not in {roots[-2]} or its images/")

    @staticmethod
    def _name(row: Row, column: str) -> str:
        return f"{row.file.name}:{row.line}:{column}"


def _beside(name: str, path: Path) -> Picture:
    return Picture(name, path.read_bytes, path)


def _decoded(row: Row, column: str, value: Json) -> bytes:
    place = f"{row.file.name} line {row.line}"  # without the folder: the reason is stored with the scores
    if isinstance(value, dict) and isinstance(value.get("bytes"), bytes):
        return value["bytes"]
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        text = value.partition("base64,")[2] if value.startswith("data:") else value
        try:
            return base64.b64decode("".join(text.split()), validate=True)
        except (binascii.Error, ValueError) as error:
            raise InvalidImage(f"{place}: column {column!r} is no base64 picture ({error})") from error
    raise InvalidImage(f"{place}: column {column!r} holds no picture bytes")


def _listed(row: Row, column: str, value: Json) -> Json:
    """Return the list that a text in brackets holds, any other value as it is."""
    if not (isinstance(value, str) and value.startswith("[") and value.endswith("]")):
        return value
    try:
        return listed(value)
    except ValueError as error:
        raise UsageError(f"{row.where}: column {column!r}: {error}") from error


def _names(row: Row, column: str) -> list[str]:
    value = _listed(row, column, row.find(column))
    return [str(each) for each in value] if isinstance(value, list) else [] if value is None else [str(value)]
