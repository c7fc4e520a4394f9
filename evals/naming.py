"""How pictures are named, as their owner states it: a pattern, or a CSV of files and prompts."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from string import Formatter
from typing import Final

from .errors import UsageError
from .pictures import SUFFIXES

FIELDS: Final = {
    "id": "the sample's id",
    "prompt": "the number of its prompt, from 0, where prompt 0 is there",
    "prompt0": "the same, counted from 0",
    "prompt1": "the same, counted from 1",
    "index": "the picture's number, in whose order pictures of a sample count",
}
_WIDTH: Final = re.compile(r"(?:0?(\d{1,2}))?d?", re.ASCII)
_NUMBERED_SAMPLE: Final = re.compile(r"\d{5,9}", re.ASCII)
_MOST_BYTES: Final = 64 << 20

Key = str | int
Numbers = dict[int, list[Path]]


class Naming:
    """Pictures below a folder by what their names say: a sample's id, its number, or (CSV) its prompt.

    A pattern such as '{prompt:05d}_{index}.png' may have the fields of `FIELDS` and folders; without a suffix it
    takes any picture. A CSV has a column `file`, a path below the folder, and `id` or `prompt` (its whole text);
    with no column `index` a sample's pictures count in the order of the rows.
    """

    def __init__(self, text: str, root: Path) -> None:
        """Raises UsageError for a pattern or a CSV that does not say which picture is whose."""
        self._root = root
        self._asked: dict[Key, str] = {}
        self.found: dict[Key, Numbers] = {}
        if "{" in text:
            self.told = repr(text)
            self.kind, expression, fields = _compiled(text)
            self._walk(expression, fields)
        else:
            self.told = f"as {text} says"
            self.kind = self._table(Path(text))
        if self.kind == "prompt" and self.found and 0 not in self.found:
            raise UsageError(
                f"--pattern {text!r}: there is no picture of prompt 0: write {{prompt1}} where the first prompt is 1, "
                "{prompt0} where it is 0"
            )

    def of(self, sample: str, prompt: str) -> Numbers:
        """Return a sample's files by number. Raises UsageError where samples cannot be told apart by what is stated."""
        key: Key = sample
        if self.kind == "text":
            key = prompt
        elif self.kind != "id":
            if not _NUMBERED_SAMPLE.fullmatch(sample):
                raise UsageError(
                    f"--pattern {self.told}: sample {sample!r} has a name, no number: write {{id}}, or name a CSV with "
                    "the columns file and id"
                )
            key = int(sample)
        first = self._asked.setdefault(key, sample)
        if first != sample:
            raise UsageError(f"samples {first!r} and {sample!r} ask for one prompt: give the CSV a column id")
        return self.found.get(key, {})

    def _walk(self, expression: re.Pattern[str], fields: list[str]) -> None:
        for path in sorted(self._root.rglob("*")):
            match = expression.fullmatch(path.relative_to(self._root).as_posix())
            if match is None or path.suffix[1:].lower() not in SUFFIXES:
                continue
            values: dict[str, Key] = {}
            for name, value in zip(fields, match.groups(), strict=True):
                each: Key = value if name == "id" else int(value)
                if values.setdefault(name, each) != each:
                    break
            else:
                key = values.get("id", values.get("prompt", values.get("prompt0", -1)))
                if "prompt1" in values:
                    key = int(values["prompt1"]) - 1
                self._add(key, int(values.get("index", 0)), path)

    def _table(self, path: Path) -> str:
        rows = _read(path)
        columns = rows[0][1].keys() if rows else ()
        if "file" not in columns or not {"id", "prompt"} & set(columns):
            found = ", ".join(map(repr, columns)) or "nothing"
            raise UsageError(f"{path}: expected the columns file and id (or prompt), found {found}")
        by, seen = ("id" if "id" in columns else "prompt"), set[Path]()
        for line, row in rows:
            name, key, index = row["file"], row[by], row.get("index")
            file = self._root / name
            if not name or not key or file in seen:
                raise UsageError(f"{path} line {line}: {'the file stands above already' if file in seen else 'empty'}")
            seen.add(file)
            if Path(name).suffix[1:].lower() not in SUFFIXES or not _inside(file, self._root):
                raise UsageError(f"{path} line {line}: {name!r} is no picture below {self._root}")
            if index is not None and not re.fullmatch(r"\d{1,9}", index, re.ASCII):
                raise UsageError(f"{path} line {line}: index {index!r:.40}, expected a whole number")
            self._add(key, len(self.found.get(key, ())) if index is None else int(index), file)
        return "id" if by == "id" else "text"

    def _add(self, key: Key, number: int, path: Path) -> None:
        self.found.setdefault(key, {}).setdefault(number, []).append(path)


def _compiled(text: str) -> tuple[str, re.Pattern[str], list[str]]:
    """Return by what a pattern names samples, its expression, and the field of each group."""
    try:
        parts = list(Formatter().parse(text))
    except ValueError as error:
        raise UsageError(f"--pattern {text!r}: {error}") from error
    expression, fields, apart = "", list[str](), True
    for literal, name, spec, conversion in parts:
        expression += re.escape(literal)
        if name is None:
            continue
        width = _WIDTH.fullmatch(spec or "")
        if name not in FIELDS or conversion or width is None or (name == "id" and spec):
            known = ", ".join(f"{{{each}}}" for each in FIELDS)
            raise UsageError(f"--pattern {text!r}: {{{name}}} is no field of it; known: {known}, widths such as :05d")
        if not literal and not apart:
            raise UsageError(f"--pattern {text!r}: two fields without anything between them cannot be told apart")
        least = int(width[1] or 1)
        expression += "([^/]+?)" if name == "id" else f"(\\d{{{least},9}})"
        fields.append(name)
        apart = False
    whose = {"id", "prompt", "prompt0", "prompt1"} & set(fields)
    if len(whose) != 1:
        raise UsageError(f"--pattern {text!r}: expected one of {{id}}, {{prompt}}, {{prompt0}}, {{prompt1}}")
    if PurePosixPath(text).suffix[1:].lower() not in SUFFIXES:
        expression += r"\.[A-Za-z]+"
    return whose.pop(), re.compile(expression, re.ASCII | re.DOTALL), fields


def _read(path: Path) -> list[tuple[int, Mapping[str, str]]]:
    """Return a CSV's rows with their lines. Raises UsageError where it cannot be read."""
    try:
        if not path.is_file() or path.stat().st_size > _MOST_BYTES:
            raise UsageError(
                f"--pattern {str(path)!r}: no such file; expected a pattern such as "
                "'{prompt:05d}_{index}.png' or a CSV with the columns file and prompt"
            )
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            found: list[tuple[int, Mapping[str, str]]] = []
            for row in reader:
                if None in row or None in row.values():
                    raise UsageError(f"{path} line {reader.line_num}: not as many cells as the header")
                found.append((reader.line_num, row))
            return found
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: no UTF-8 text ({error.reason})") from error
    except csv.Error as error:
        raise UsageError(f"{path}: no CSV ({error})") from error
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error


def _inside(path: Path, root: Path) -> bool:
    try:
        return path.resolve().is_relative_to(root)
    except (OSError, RuntimeError, ValueError):  # a loop of links; a NUL
        return False
