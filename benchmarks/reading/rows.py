"""Rows of a table: JSON, JSON lines, TSV, CSV or Parquet, each with its file and line; pictures stay on disk."""

from __future__ import annotations

import ast
import csv
import importlib
import io
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...evals.errors import EnvironmentProblem, UsageError
from ...evals.types import Json

SUFFIXES = (".jsonl", ".json", ".tsv", ".csv", ".parquet")
HEAVY = 1024
"""A text of a picture column that is longer than this many characters stays on disk."""


@dataclass(frozen=True, slots=True)
class Deferred:
    """A cell that stays on disk until it is asked for; `items` pictures lie in it."""

    read: Callable[[], Json] = field(repr=False)
    items: int = 1


@dataclass(frozen=True, slots=True)
class Row:
    """One row, with the place it came from (`line` counts from 1)."""

    fields: Mapping[str, Json]
    file: Path
    line: int

    @property
    def where(self) -> str:
        return f"{self.file} line {self.line}"

    def find(self, *names: str) -> Json:
        """Return the first of the named columns that holds something, else None."""
        for name in names:
            value = self.fields.get(name)
            if not missing(value):
                return value
        return None

    def need(self, *names: str, hint: str = "") -> Json:
        """Return the first of the named columns that holds something; raise UsageError where none does."""
        value = self.find(*names)
        if value is None:
            raise self.lacks(names, hint)
        return value

    def lacks(self, names: Sequence[str], hint: str = "") -> UsageError:
        """Return the error for a row without a value in any of the named columns."""
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
            if name in self.fields and self.fields[name] is not None:
                value = self.fields[name]
                if not isinstance(value, str):
                    raise UsageError(f"{self.where}: column {name!r} holds {_kind(value)}, expected text")
                return value
        raise self.lacks(names, hint)

    def wrong(self, column: str, value: Json, expected: str) -> UsageError:
        """Return the error for a value that a column cannot hold."""
        return UsageError(f"{self.where}: column {column!r} holds {value!r}, expected {expected}")


def missing(value: Json) -> bool:
    """Return whether a cell is empty: null, an empty text, a float nan, or the text "nan"."""
    return value is None or value == "" or value == "nan" or (isinstance(value, float) and value != value)


def read_rows(path: Path) -> list[Row]:
    """Return all rows of a file; raise UsageError naming file and line where it cannot be read.

    A pipe (`<(command)`) is read once, as JSON or JSON lines.
    """
    if not path.exists():
        raise UsageError(f"{path}: no such file")
    if not (path.is_file() or path.is_fifo()):
        raise UsageError(f"{path}: not a regular file, expected one of {', '.join(SUFFIXES)}")
    reader = {".tsv": _delimited, ".csv": _delimited, ".parquet": _parquet}.get(path.suffix.lower(), _json)
    try:
        rows = list(reader(path))
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start})") from error
    except csv.Error as error:
        raise UsageError(f"{path}: not a table ({error})") from error
    except RecursionError as error:
        raise UsageError(f"{path}: lists or objects are nested too deeply in it") from error
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror})") from error
    if not rows:
        raise UsageError(f"{path}: empty, expected at least one row")
    return rows


def read_tables(paths: Sequence[Path]) -> list[Row]:
    """Return the rows of several files, one after the other."""
    return [row for path in paths for row in read_rows(path)]


def is_picture_column(name: str) -> bool:
    """Return whether a column of this name holds pictures (image, images, image_1 ...)."""
    stem, _, number = name.partition("_")
    return stem in ("image", "images") and (not number or number.isdigit())


# -- JSON ---------------------------------------------------------------------------------------------


def _json(path: Path) -> Iterator[Row]:
    piped = None if path.is_file() else path.read_bytes()
    if piped or (piped is None and path.suffix.lower() == ".json"):
        content = _whole(path, (piped or path.read_bytes()).decode("utf-8-sig"))
        if content is not None:
            yield from _from_json(path, content)
            return
    yield from _json_lines(path, piped)


def _whole(path: Path, text: str) -> Json:
    """Return the text as one JSON value, None where it is JSON lines."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        if error.msg == "Extra data":
            return None
        raise UsageError(f"{path} line {error.lineno}: not JSON ({error.msg}): half-written?") from error
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, a list in a list in a list ...
        raise UsageError(f"{path}: not JSON that can be read ({error})") from error


def _from_json(path: Path, content: Json) -> Iterator[Row]:
    if isinstance(content, dict) and isinstance(content.get("questions"), list):
        names = {number: name for name, number in (content.get("question_type") or {}).items()}
        for number, each in enumerate(content["questions"], 1):
            kind = each.get("question_type_id") if isinstance(each, dict) else None
            yield Row({**_object(path, number, each), "type": names.get(kind, kind)}, path, number)
    elif isinstance(content, dict) and {"id", "question_id", "questionId", "index"} & set(content):
        yield Row(content, path, 1)  # JSON lines of one line
    elif isinstance(content, dict):
        for number, (key, value) in enumerate(content.items(), 1):
            fields = value if isinstance(value, dict) else {"response": value}
            yield Row({"id": key, **fields}, path, number)
    elif isinstance(content, list):
        for number, each in enumerate(content, 1):
            yield Row(_object(path, number, each), path, number)
    else:
        raise UsageError(f"{path}: holds {_kind(content)}, expected rows")


def _json_lines(path: Path, piped: bytes | None) -> Iterator[Row]:
    size = path.stat().st_size if piped is None else len(piped)
    with path.open("rb") if piped is None else io.BytesIO(piped) as file:
        start = 0
        for number, line in enumerate(file, 1):
            end = start + len(line)
            if line.strip():
                fields = _object(path, number, _line(path, number, line, last=end == size))
                if piped is None:  # a pipe cannot be read again: its pictures stay in memory
                    for name in [name for name in fields if is_picture_column(name) and _long(fields[name])]:
                        fields[name] = _defer(path, (start, end), name, fields[name])
                yield Row(fields, path, number)
            start = end


def _line(path: Path, number: int, line: bytes, *, last: bool) -> Json:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        why = "half-written last line; remove or complete it" if last and not line.endswith(b"\n") else str(error)
        raise UsageError(f"{path} line {number}: not JSON ({why})") from error


def _object(path: Path, number: int, value: Json) -> dict[str, Json]:
    if not isinstance(value, dict):
        raise UsageError(f"{path} line {number}: holds {_kind(value)}, expected an object of columns")
    return value


def _long(value: Json) -> bool:
    return len(value) > HEAVY if isinstance(value, str) else isinstance(value, list) and any(map(_long, value))


def _defer(path: Path, span: tuple[int, int], column: str, value: Json) -> Deferred:
    def read() -> Json:
        with path.open("rb") as file:
            file.seek(span[0])
            return json.loads(file.read(span[1] - span[0]))[column]

    return Deferred(read, len(value) if isinstance(value, list) else 1)


# -- TSV and CSV --------------------------------------------------------------------------------------


class _Counted:
    """Decodes a file line by line and knows how many bytes were taken."""

    def __init__(self, lines: Iterable[bytes]) -> None:
        self.lines = lines
        self.taken = 0

    def __iter__(self) -> Iterator[str]:
        for line in self.lines:
            text = line.decode("utf-8-sig" if self.taken == 0 else "utf-8")
            self.taken += len(line)
            yield text


def _delimited(path: Path) -> Iterator[Row]:
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    csv.field_size_limit(sys.maxsize)  # a picture in base64 is far longer than csv's default of 128 KiB
    with path.open("rb") as file:
        lines = _Counted(file)
        reader = csv.reader(lines, delimiter=delimiter)
        header = next(reader, None)
        if header is None:
            return
        if len(set(header)) < len(header):
            raise UsageError(f"{path} line 1: a column name occurs twice: {', '.join(header)}")
        start = lines.taken
        for cells in reader:
            span, start = (start, lines.taken), lines.taken
            if not cells:
                continue
            if len(cells) != len(header):
                raise UsageError(
                    f"{path} line {reader.line_num}: {len(cells)} cells, the header has {len(header)} columns"
                    " (half-written?)"
                )
            fields: dict[str, Json] = dict(zip(header, cells, strict=True))
            for number, (name, cell) in enumerate(zip(header, cells, strict=True)):
                if len(cell) > HEAVY and is_picture_column(name):
                    items = _count(path, reader.line_num, name, cell) if cell.startswith("[") else 1
                    fields[name] = Deferred(_cell_reader(path, span, number, delimiter), items)
            yield Row(fields, path, reader.line_num)


def _count(path: Path, line: int, column: str, cell: str) -> int:
    try:
        return len(listed(cell))
    except ValueError as error:
        raise UsageError(f"{path} line {line}: column {column!r}: {error}") from error


def _cell_reader(path: Path, span: tuple[int, int], column: int, delimiter: str) -> Callable[[], Json]:
    def read() -> Json:
        with path.open("rb") as file:
            file.seek(span[0])
            text = file.read(span[1] - span[0]).decode("utf-8")
        return next(csv.reader(text.splitlines(keepends=True), delimiter=delimiter))[column]

    return read


def listed(text: str) -> list[str]:
    """Return a list that a text cell holds in Python's or JSON's notation."""
    try:
        found = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        found = None
    if not isinstance(found, list):
        raise ValueError(f"expected a list, found {text[:60]!r}")
    return [str(each) for each in found]


# -- Parquet ------------------------------------------------------------------------------------------


def _parquet(path: Path) -> Iterator[Row]:
    """Yield rows through `datasets`, which maps the file into memory: any row is read alone."""
    try:
        import datasets
        import pyarrow as pa
        from datasets.exceptions import DatasetGenerationError

        # Its functions are made when it is imported: no type checker sees them.
        compute: Any = importlib.import_module("pyarrow.compute")
    except ImportError as error:
        raise EnvironmentProblem(f'{path} needs the package {error.name}: pip install "janus-eval[data]"') from error
    try:
        datasets.disable_progress_bars()  # the command has its own
        table: Any = datasets.Dataset.from_parquet(str(path))
    except (pa.ArrowInvalid, DatasetGenerationError) as error:
        raise UsageError(f"{path}: not a readable Parquet file ({error})") from error
    for name, feature in table.features.items():
        if isinstance(feature, datasets.Image):
            table = table.cast_column(name, datasets.Image(decode=False))
        elif isinstance(getattr(feature, "feature", None), datasets.Image):
            table = table.cast_column(name, datasets.List(datasets.Image(decode=False)))
    pictures = [name for name in table.column_names if is_picture_column(name)]
    counts: dict[str, list[int]] = {}
    for name in pictures:
        column = table.data.column(name)
        if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
            counts[name] = [each or 0 for each in compute.list_value_length(column).to_pylist()]
        else:
            counts[name] = [int(valid) for valid in compute.is_valid(column).to_pylist()]
    plain = table.select_columns([name for name in table.column_names if name not in pictures])
    for number in range(len(table)):
        fields: dict[str, Json] = dict(plain[number])
        for name in pictures:
            items = counts[name][number]
            fields[name] = Deferred(_arrow_reader(table, number, name), items) if items else None
        yield Row(fields, path, number + 1)


def _arrow_reader(table: Any, number: int, column: str) -> Callable[[], Json]:
    only = table.select_columns([column])
    return lambda: only[number][column]


def _or(names: Sequence[str]) -> str:
    return f" (nor {', '.join(map(repr, names))})" if names else ""


def _kind(value: Json) -> str:
    names = {dict: "an object", list: "a list", str: "a text", bool: "a truth value", type(None): "null"}
    return names.get(type(value), "a number" if isinstance(value, int | float) else type(value).__name__)
