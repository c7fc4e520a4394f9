"""How files of other harnesses are read: each is known by looking at it, and becomes rows in our columns.

A harness is one small file here that says what its tables (`FORMS`) and folders (`FOLDERS`) look like, and its name
in the lists below; the first that fits is taken, and what a file was taken for is said.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from ....evals.errors import UsageError
from ....evals.types import Json
from ..rows import Row
from ..tables import container, read_rows
from . import llava, lmms_eval, logs, official, vlmevalkit
from .form import Folder, Form, with_columns

FORMS: Final = (*lmms_eval.FORMS, *logs.FORMS, *official.FORMS, *llava.FORMS, *vlmevalkit.FORMS)
FOLDERS: Final = (*vlmevalkit.FOLDERS, *lmms_eval.FOLDERS, *official.FOLDERS)
_PLAIN: Final = Form("a table ({})", lambda fields: True)


@dataclass(frozen=True, slots=True)
class Taken:
    """What a file or folder was taken for, and its rows in our columns. `lacks` ends the message of a refusal."""

    rows: Sequence[Row]
    name: str
    lacks: str = ""

    @property
    def told(self) -> str:
        """What is said of it: VLMEvalKit's xlsx, 4377 rows."""
        return f"{self.name}, {len(self.rows)} row{'s' if len(self.rows) != 1 else ''}"


def take(path: Path, suite: str = "") -> Taken:
    """Read what others left for a suite: a file, or a folder as a harness leaves it.

    Raises UsageError where it cannot be read, or is a folder of no harness that is known here.
    """
    if not path.is_dir():
        return _taken(read_rows(path, lenient=True), container(path), suite)
    for folder in FOLDERS:
        files = folder.files(path, suite)
        if files:
            read = folder.read
            rows = [row for file in files for row in (read(file) if read else _file(file, suite))]
            if not rows:
                raise UsageError(f"{path}: read as {folder.name}, which is empty")
            return Taken(rows, f"{folder.name} ({_named(files)})")
    known = ", ".join(f"{each.name} ({each.looks})" for each in FOLDERS)
    raise UsageError(
        f"{path}: a folder without answers{suite and ' of ' + suite} that are known here: {known}; or name a file"
    )


def taken_all(paths: Sequence[Path], suite: str = "") -> Taken:
    """Read the tables of a data set, each as `take` does; a row that is none is an error here."""
    found = [_gold(path, suite) for path in paths]
    rows = [row for each in found for row in each.rows]
    for row in rows:
        if "" in row.odd:
            raise row.lacks(("",))
    return Taken(rows, found[0].name, found[0].lacks)


def lent(gold: Sequence[Row], answers: Sequence[Row], key: Callable[[Row], str]) -> Sequence[Row]:
    """Return rows of right answers, those without options with the options that an answer of the same id carries."""
    bare = [row for row in gold if not any(name in row.fields for name in _OPTIONS)]
    if not bare or not any(name in row.fields for row in answers[:1] for name in _OPTIONS):
        return gold
    carried: dict[str, dict[str, Json]] = {}
    for row in answers:
        with suppress(UsageError):
            carried[key(row)] = {name: row.fields[name] for name in _OPTIONS if name in row.fields}
    return [replace(row, fields={**carried.get(key(row), {}), **row.fields}) for row in gold]


_OPTIONS: Final = (
    "index2ans",
    "all_choices",
    "options",
    "choices",
    *"ABCDEFGHI",
    *(f"choice_{each}" for each in "abcd"),
)


def _gold(path: Path, suite: str) -> Taken:
    if suite == "mme" and path.suffix == ".txt":
        return Taken(list(official.mme_lines(path)), "MME's official folder")
    return _taken(read_rows(path), container(path), suite, as_data=True)


def _file(path: Path, suite: str) -> Sequence[Row]:
    return _taken(read_rows(path, lenient=True), container(path), suite).rows


def _taken(rows: Sequence[Row], kind: str, suite: str, *, as_data: bool = False) -> Taken:
    first = next((row.fields for row in rows if "" not in row.odd), {})
    form = next((form for form in FORMS if form.fits(first)), _PLAIN)
    if as_data and form.name.startswith("POPE's"):
        form = _PLAIN
    made = [row if "" in row.odd or not form.fits(row.fields) else form.row(row, suite) for row in rows]
    return Taken(made, form.name.format(kind), form.lacks)


def _named(files: Sequence[Path]) -> str:
    return files[0].name if len(files) == 1 else f"{len(files)} files"


__all__ = ["FOLDERS", "FORMS", "Folder", "Form", "Taken", "lent", "take", "taken_all", "with_columns"]
