"""Tables as they lie on disk: JSON, JSON lines, TSV, CSV, xlsx, Parquet or Arrow become rows; pictures stay there."""

from __future__ import annotations

import csv
import importlib
import io
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from ...evals.errors import EnvironmentProblem, UsageError
from ...evals.extras import pip_line
from ...evals.types import Json
from .json_rows import json_rows, pictures_in
from .rows import HEAVY, Deferred, Row, is_picture_column

SUFFIXES = (".jsonl", ".json", ".tsv", ".csv", ".parquet", ".arrow", ".xlsx")
_ARROW: Final = b"\xff\xff\xff\xff"
"""How a stream of Arrow begins, the form in which `datasets` saves."""
_PICKLE: Final = (
    "a pickle, which can run any code when it is loaded: it never is; have its harness write a table instead"
    " (VLMEvalKit: PRED_FORMAT=tsv or the .xlsx beside it; pandas: frame.to_csv('rows.tsv', sep='\\t'))"
)
_MARKS: Final = (
    (b"\xd0\xcf\x11\xe0", "an old or locked spreadsheet (.xls): save it as .xlsx, .tsv or .csv"),
    (b"\x1f\x8b", "compressed: unpack it first"),
    (b"7z\xbc\xaf", "compressed: unpack it first"),
    (b"BZh", "compressed: unpack it first"),
    (b"\xfd7zXZ", "compressed: unpack it first"),
    (b"\x28\xb5\x2f\xfd", "compressed: unpack it first"),
    (b"\xff\xfe", "UTF-16 text: save it as UTF-8"),
    (b"\xfe\xff", "UTF-16 text: save it as UTF-8"),
    *((bytes((0x80, protocol)), _PICKLE) for protocol in range(2, 6)),
)
"""How files begin that hold no rows which are read here, whatever their names say."""


def read_rows(path: Path, *, lenient: bool = False) -> list[Row]:
    """Return all rows of a file; raise UsageError naming file and line where it cannot be read.

    What kind of table it is its content says. A `lenient` reader gets a row that is none (half-written) as
    one that says so when it is asked. A pipe (`<(command)`) is read once, as JSON or JSON lines.
    """
    if not path.exists():
        raise UsageError(f"{path}: no such file")
    if not (path.is_file() or path.is_fifo()):
        raise UsageError(f"{path}: not a regular file, expected one of {', '.join(SUFFIXES)}")
    try:
        rows = [_plainly_named(row) for row in _READERS[container(path)](path)]
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start})") from error
    except RecursionError as error:
        raise UsageError(f"{path}: lists or objects are nested too deeply in it") from error
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror})") from error
    if not rows:
        raise UsageError(f"{path}: empty, expected at least one row")
    if not lenient or all("" in row.odd for row in rows):
        broken = next((row for row in rows if "" in row.odd), None)
        if broken is not None:
            raise broken.lacks(("",))
    return rows


def _plainly_named(row: Row) -> Row:
    """Return a row with ` response` and `Response` under the name by which answers are sought.

    Another column that may hold an answer, or the question (`text`), would be taken for it in silence.
    """
    odd = [name for name in row.fields if name not in _ANSWERS and name.strip().lower() in _ANSWERS]
    if not odd:
        return row
    fields = {name.strip().lower() if name in odd else name: value for name, value in row.fields.items()}
    if len(fields) < len(row.fields):
        return replace(row, odd={"": f"columns {', '.join(map(repr, odd))} and {odd[0].strip().lower()!r}: which?"})
    return replace(row, fields=fields)


_ANSWERS: Final = frozenset(("response", "prediction"))


def read_tables(paths: Sequence[Path]) -> list[Row]:
    """Return the rows of several files, one after the other."""
    return [row for path in paths for row in read_rows(path)]


def container(path: Path) -> str:
    """Return what kind of table a file is, by how it begins: xlsx, Parquet, Arrow, JSON, TSV or CSV."""
    if not path.is_file():
        return "JSON"
    with path.open("rb") as file:
        begin = file.read(1 << 16)
    for mark, told in _MARKS:
        if begin.startswith(mark):
            raise UsageError(f"{path}: {told}")
    if path.suffix.lower() in (".pkl", ".pickle"):
        raise UsageError(f"{path}: {_PICKLE}")
    if begin.startswith(b"PK\x03\x04"):
        return "xlsx"
    if begin.startswith(b"PAR1"):
        return "Parquet"
    if begin.startswith(_ARROW):
        return "Arrow"
    text = begin.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text[:1] in (b"{", b"[", b""):
        return "JSON"
    first = text.partition(b"\n")[0]
    if path.suffix.lower() in (".tsv", ".csv"):
        return "TSV" if b"\t" in first or (path.suffix.lower() == ".tsv" and b"," not in first) else "CSV"
    return "TSV" if b"\t" in first else "CSV" if b"," in first else "JSON"


# -- TSV and CSV --------------------------------------------------------------------------------------


class _Lines:
    """Decodes a file line by line, at line feeds alone; knows how many bytes were taken, and holds a row's lines."""

    def __init__(self, path: Path, lines: Iterable[bytes]) -> None:
        self.path, self.lines = path, lines
        self.taken = self.number = 0
        self.held: list[str] = []

    def __iter__(self) -> Iterator[str]:
        for line in self.lines:
            self.number += 1
            where = f"{self.path} line {self.number}"
            text = line.decode("utf-8-sig" if self.taken == 0 else "utf-8", errors="surrogateescape")
            if "\0" in text:
                raise UsageError(f"{where}: a NUL byte: no text table (UTF-16? save it as UTF-8)")
            self.taken += len(line)
            self.held.append(text)
            yield text


def _delimited(path: Path, delimiter: str) -> Iterator[Row]:
    csv.field_size_limit(sys.maxsize)  # a picture in base64 is far longer than csv's default of 128 KiB
    with path.open("rb") as file:
        lines = _Lines(path, file)
        records = _records(lines, delimiter)
        header = next(records, None)
        if header is None:
            return
        if any(map(_no_text, header)):
            raise UsageError(f"{path} line 1: not UTF-8 text")
        if len(header) == 1 and (other := next((each for each in ";|" if header[0].count(each) > 1), None)):
            raise UsageError(f"{path} line 1: its columns are separated by {other!r}, expected a comma or a tab")
        if len(set(header)) < len(header):
            raise UsageError(f"{path} line 1: a column name occurs twice: {', '.join(map(repr, header))}")
        start = lines.taken
        for cells in records:
            span, start = (start, lines.taken), lines.taken
            if not cells:
                continue
            if (why := _why_no_row(cells, header)) is not None:
                yield Row({}, path, lines.number, {"": why})
                continue
            fields: dict[str, Json] = dict(zip(header, cells, strict=True))
            for number, (name, cell) in enumerate(zip(header, cells, strict=True)):
                if len(cell) > HEAVY and is_picture_column(name):
                    fields[name] = Deferred(_cell_reader(path, span, number, delimiter), pictures_in(cell))
            yield Row(fields, path, lines.number)


def _why_no_row(cells: Sequence[str], header: Sequence[str]) -> str | None:
    """Return why some cells are no row under the header, None where they are one."""
    if cells == header:
        return "the header stands here again: take it out"
    if len(cells) != len(header):
        return f"{len(cells)} cells, the header has {len(header)} columns (half-written?)"
    return "not UTF-8 text" if any(map(_no_text, cells)) else None


def _no_text(cell: str) -> bool:
    """Return whether a cell holds bytes that are not UTF-8, which stand in it as lone surrogates."""
    return not cell.isascii() and any("\udc80" <= char <= "\udcff" for char in cell)


def _records(lines: _Lines, delimiter: str) -> Iterator[list[str]]:
    """Yield the cells of each row.

    A cell that opens with a quote and never closes it swallows the rows below in silence: where a row goes
    over several lines, and at the end, the quotes must be whole.
    """
    reader = csv.reader(iter(lines), delimiter=delimiter)
    last: list[str] = []
    while True:
        try:
            cells = next(reader, None)
        except csv.Error as error:
            told = "a carriage return that is no line end (an old Mac's lines? save them with LF)"
            told = told if "new-line" in str(error) else f"not a table ({error})"
            raise UsageError(f"{lines.path} line {lines.number}: {told}") from error
        if cells is None or len(lines.held) > 1:
            _must_close(lines, last if cells is None else lines.held, delimiter)
        if cells is None:
            return
        last, lines.held = lines.held, []
        yield cells


def _must_close(lines: _Lines, held: Sequence[str], delimiter: str) -> None:
    try:
        list(csv.reader(held, delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise UsageError(
            f"{lines.path} line {lines.number - len(held) + 1}: a cell begins with a quote that does not close it:"
            " write the quotes within a cell twice and one around it"
        ) from error


def _cell_reader(path: Path, span: tuple[int, int], column: int, delimiter: str) -> Callable[[], Json]:
    def read() -> Json:
        with path.open("rb") as file:
            file.seek(span[0])
            lines = io.BytesIO(file.read(span[1] - span[0]))
        return next(csv.reader((line.decode("utf-8") for line in lines), delimiter=delimiter))[column]

    return read


# -- Parquet and Arrow ------------------------------------------------------------------------------------------


def _columns(path: Path, name: str) -> Iterator[Row]:
    """Yield rows through `datasets`, which maps the file into memory: any row is read alone."""
    try:
        import datasets
        import pyarrow as pa
        from datasets.exceptions import DatasetGenerationError

        # Its functions are made when it is imported: no type checker sees them.
        compute: Any = importlib.import_module("pyarrow.compute")
    except ImportError as error:
        raise EnvironmentProblem(f"{path} needs the package {error.name}: {pip_line('data')}") from error
    try:
        datasets.disable_progress_bars()  # the command has its own, as it has its own words for what is wrong
        datasets.logging.set_verbosity(datasets.logging.CRITICAL + 1)
        read = datasets.Dataset.from_parquet if name == "Parquet" else datasets.Dataset.from_file
        table: Any = read(str(path))
    except (pa.ArrowInvalid, DatasetGenerationError) as error:
        raise UsageError(f"{path}: not a readable {name} file ({error})") from error
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


def _sheet(path: Path) -> Iterator[Row]:
    from .sheets import sheet_rows

    return sheet_rows(path)


_READERS: Final[Mapping[str, Callable[[Path], Iterator[Row]]]] = {
    "JSON": json_rows,
    "TSV": lambda path: _delimited(path, "\t"),
    "CSV": lambda path: _delimited(path, ","),
    "Parquet": partial(_columns, name="Parquet"),
    "Arrow": partial(_columns, name="Arrow"),
    "xlsx": _sheet,
}
