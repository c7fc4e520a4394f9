"""The first sheet of an .xlsx file as rows of texts, as a TSV would hold it; nothing in it is computed or trusted.

By zipfile and expat rather than a spreadsheet library: what must be known before a cell is believed (how large it
unpacks, whether it is a formula, a date, a part of merged cells) is what the libraries' fast readers do not tell.
ECMA-376 part 1, 18.3 (worksheets) and 18.8 (styles).
"""

from __future__ import annotations

import posixpath
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar
from xml.parsers import expat

from ...evals.errors import UsageError
from ...evals.types import Json
from .rows import Row

MOST_BYTES: Final = 1 << 28
"""No part of a workbook may unpack to more; the largest suite's answers are 5 MB."""
MOST_CELLS: Final = 4_000_000
_RATIO: Final = 200
_SURE: Final = 1 << 24
"""Below so many bytes no ratio of packing is suspicious: they fit in memory."""
_FORMULA: Final = "a formula: save the sheet with values instead"
_DATE: Final = "a date, into which a spreadsheet has turned what was written there"
_MERGED: Final = "a part of merged cells: split them"
_DATES: Final = frozenset((*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)))
_REFERENCE: Final = re.compile(r"([A-Z]{1,3})(\d{1,7})", re.ASCII)
_ESCAPED: Final = re.compile(r"_x([0-9A-Fa-f]{4})_")


def sheet_rows(path: Path) -> Iterator[Row]:
    """Yield the rows of the first sheet; its first row names the columns.

    Raises UsageError for a file that is no workbook, that unpacks to too much, or whose header cannot be read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
            if "xl/workbook.xml" not in names:
                raise UsageError(f"{path}: {_not_a_workbook(names)}")
            cells = _Sheet(path, _texts(archive, path), _dates(archive, path))
            sheet = _parse(archive, path, _first_sheet(archive, path), cells)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, KeyError) as error:
        raise UsageError(f"{path}: an .xlsx that cannot be unpacked ({error}): half-written?") from error
    yield from _rows(path, sheet)


def _not_a_workbook(names: set[str]) -> str:
    if "header.json" in names or "_journal/start.json" in names:
        return "inspect's .eval archive: write it as JSON first: inspect log convert --to json FILE --output-dir DIR"
    if "content.xml" in names:
        return "a spreadsheet of another kind (.ods): save it as .xlsx, .tsv or .csv"
    if any(name.startswith("xl/") and name.endswith(".bin") for name in names):
        return "a binary spreadsheet (.xlsb): save it as .xlsx, .tsv or .csv"
    if any(name.endswith("data.pkl") for name in names):
        return "weights of torch, no table"
    return "a zip archive, no .xlsx: unpack it and name the file or the folder in it"


# -- the parts of a workbook --------------------------------------------------------------------------


class _Part:
    """What reads one XML part: told of each element's start and end, and of the text within."""

    def start(self, name: str, given: Mapping[str, str]) -> None: ...
    def end(self, name: str) -> None: ...
    def text(self, text: str) -> None: ...


P = TypeVar("P", bound=_Part)


def _parse(archive: zipfile.ZipFile, path: Path, name: str, part: P) -> P:
    info = archive.getinfo(name)
    bomb = info.file_size > _SURE and info.file_size > _RATIO * max(1, info.compress_size)
    if info.file_size > MOST_BYTES or bomb:
        raise UsageError(
            f"{path}: {name} unpacks from {info.compress_size:,} to {info.file_size:,} bytes: not read (a zip bomb?)"
        )
    parser = expat.ParserCreate(namespace_separator="}")
    parser.buffer_text = True
    parser.StartElementHandler = lambda tag, given: part.start(tag.rpartition("}")[2], given)
    parser.EndElementHandler = lambda tag: part.end(tag.rpartition("}")[2])
    parser.CharacterDataHandler = part.text

    def refuse(*_: object) -> None:
        raise UsageError(f"{path}: {name} declares a document type, which no .xlsx has: not read")

    parser.StartDoctypeDeclHandler = refuse
    try:
        with archive.open(info) as file:
            while chunk := file.read(1 << 16):
                parser.Parse(chunk)
            parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise UsageError(f"{path}: {name} is no whole XML ({error}): half-written?") from error
    return part


@dataclass
class _Names(_Part):
    """The first sheet's key in a workbook, and where the keys of its relations lead."""

    first: str = ""
    targets: dict[str, str] = field(default_factory=dict[str, str])

    def start(self, name: str, given: Mapping[str, str]) -> None:
        if name == "sheet" and not self.first:
            self.first = next((value for key, value in given.items() if key.endswith("relationships}id")), "")
        elif name == "Relationship":
            self.targets[given.get("Id", "")] = given.get("Target", "")


def _first_sheet(archive: zipfile.ZipFile, path: Path) -> str:
    found = _parse(archive, path, "xl/workbook.xml", _Names())
    if "xl/_rels/workbook.xml.rels" in archive.namelist():
        _parse(archive, path, "xl/_rels/workbook.xml.rels", found)
    name = posixpath.normpath(posixpath.join("/xl", found.targets.get(found.first, "worksheets/sheet1.xml"))).lstrip(
        "/"
    )
    if name not in archive.namelist():
        raise UsageError(f"{path}: a workbook without a sheet of cells")
    return name


@dataclass
class _Texts(_Part):
    """The shared texts of a workbook; the reading aids of Asian texts (rPh) are left out."""

    found: list[str] = field(default_factory=list[str])
    pieces: list[str] = field(default_factory=list[str])
    within: bool = False
    aside: bool = False

    def start(self, name: str, given: Mapping[str, str]) -> None:
        if name == "si":
            self.pieces = []
        elif name == "rPh":
            self.aside = True
        elif name == "t":
            self.within = not self.aside

    def end(self, name: str) -> None:
        if name == "t":
            self.within = False
        elif name == "rPh":
            self.aside = False
        elif name == "si":
            self.found.append(_unescaped("".join(self.pieces)))

    def text(self, text: str) -> None:
        if self.within:
            self.pieces.append(text)


def _texts(archive: zipfile.ZipFile, path: Path) -> list[str]:
    name = "xl/sharedStrings.xml"
    return _parse(archive, path, name, _Texts()).found if name in archive.namelist() else []


@dataclass
class _Styles(_Part):
    """Which styles of a workbook show a number as a date."""

    custom: set[int] = field(default_factory=set[int])
    dates: list[bool] = field(default_factory=list[bool])
    within: bool = False

    def start(self, name: str, given: Mapping[str, str]) -> None:
        if name == "numFmt" and _shows_a_date(given.get("formatCode", "")):
            self.custom.add(_number(given.get("numFmtId")))
        elif name == "cellXfs":
            self.within = True
        elif name == "xf" and self.within:
            code = _number(given.get("numFmtId"))
            self.dates.append(code in _DATES or code in self.custom)

    def end(self, name: str) -> None:
        if name == "cellXfs":
            self.within = False


def _dates(archive: zipfile.ZipFile, path: Path) -> list[bool]:
    return _parse(archive, path, "xl/styles.xml", _Styles()).dates if "xl/styles.xml" in archive.namelist() else []


def _shows_a_date(code: str) -> bool:
    """Return whether a number format has days, months, years, hours or seconds outside of its quoted texts."""
    return re.search(r"[dmyhs]", re.sub(r'"[^"]*"|\\.|\[[^\]]*\]|General', "", code), re.IGNORECASE) is not None


# -- the sheet ----------------------------------------------------------------------------------------


@dataclass
class _Cell:
    text: str = ""
    why: str = ""
    """Why it cannot be read."""


@dataclass
class _Sheet(_Part):
    """The cells of a sheet by row number and column, and its merged ranges."""

    path: Path
    texts: list[str]
    dates: list[bool]
    rows: dict[int, dict[int, _Cell]] = field(default_factory=dict[int, dict[int, _Cell]])
    merged: list[str] = field(default_factory=list[str])
    row: int = 0
    column: int = -1
    count: int = 0
    kind: str = ""
    date: bool = False
    formula: bool = False
    pieces: list[str] = field(default_factory=list[str])
    within: bool = False
    aside: bool = False

    def start(self, name: str, given: Mapping[str, str]) -> None:
        if name == "row":
            self.row = _number(given.get("r")) or self.row + 1
            self.column = -1
        elif name == "c":
            place = _REFERENCE.fullmatch(given.get("r", ""))
            self.column = _column(place[1]) if place else self.column + 1
            self.count += 1
            if self.count > MOST_CELLS:
                raise UsageError(f"{self.path}: a sheet of more than {MOST_CELLS:,} cells")
            style = _number(given.get("s"))
            self.kind, self.formula, self.pieces = given.get("t", "n"), False, []
            self.date = style < len(self.dates) and self.dates[style]
        elif name == "f":
            self.formula = True
        elif name == "rPh":
            self.aside = True
        elif name in ("v", "t"):
            self.within = not self.aside
        elif name == "mergeCell":
            self.merged.append(given.get("ref", ""))

    def end(self, name: str) -> None:
        if name in ("v", "t"):
            self.within = False
        elif name == "rPh":
            self.aside = False
        elif name == "c":
            cell = self._cell("".join(self.pieces))
            if cell.text or cell.why:
                self.rows.setdefault(self.row, {})[self.column] = cell

    def text(self, text: str) -> None:
        if self.within:
            self.pieces.append(text)

    def _cell(self, text: str) -> _Cell:
        if self.formula:
            return _Cell(why=_FORMULA)
        if self.kind == "e":
            return _Cell(why=f"the spreadsheet's error {text[:20]}")
        if self.kind == "s":
            at = _number(text)
            return (
                _Cell(self.texts[at]) if text.isdigit() and at < len(self.texts) else _Cell(why="no text of this file")
            )
        if self.kind == "b":
            return _Cell("True" if text == "1" else "False")
        if self.kind == "d" or (self.kind == "n" and self.date and text):
            return _Cell(why=_DATE)
        return _Cell(_unescaped(text) if self.kind in ("inlineStr", "str") else text)


def _rows(path: Path, sheet: _Sheet) -> Iterator[Row]:
    _mark_merged(sheet)
    numbers = sorted(sheet.rows)
    if not numbers:
        return
    header = sheet.rows[numbers[0]]
    if any(cell.why for cell in header.values()):
        why = next(cell.why for cell in header.values() if cell.why)
        raise UsageError(f"{path} line {numbers[0]}: a column's name is {why}")
    names = {column: cell.text for column, cell in sorted(header.items())}
    if len(set(names.values())) < len(names):
        raise UsageError(
            f"{path} line {numbers[0]}: a column name occurs twice: {', '.join(map(repr, names.values()))}"
        )
    for number in numbers[1:]:
        cells = sheet.rows[number]
        found = {name: cells.get(column, _Cell()) for column, name in names.items()}
        fields: dict[str, Json] = {name: cell.text for name, cell in found.items()}
        yield Row(fields, path, number, {name: cell.why for name, cell in found.items() if cell.why})


def _mark_merged(sheet: _Sheet) -> None:
    """Have every cell of a merged range but its first say that it is none; what it means nobody knows."""
    width = max((column for cells in sheet.rows.values() for column in cells), default=0)
    for each in sheet.merged[:10_000]:
        first, _, last = each.partition(":")
        start, end = _REFERENCE.fullmatch(first), _REFERENCE.fullmatch(last)
        if start is None or end is None:
            continue
        top, left = int(start[2]), _column(start[1])
        for number, cells in sheet.rows.items():
            if top <= number <= int(end[2]):
                for column in range(left, min(_column(end[1]), width) + 1):
                    if (number, column) != (top, left):
                        cells[column] = _Cell(why=_MERGED)


def _column(letters: str) -> int:
    number = 0
    for letter in letters:
        number = 26 * number + ord(letter) - 64
    return number - 1


def _number(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 10 else 0


def _unescaped(text: str) -> str:
    """Return a text with the control codes that XML cannot hold (_x000D_) as they are."""
    decode: Callable[[re.Match[str]], str] = lambda found: chr(int(found[1], 16))  # noqa: E731 -- one expression
    return _ESCAPED.sub(decode, text) if "_x" in text else text
