"""Where GenEval's prompts come from: generated, a metadata file, or a folder of pictures with theirs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...evals.assets import fetch as sources
from ...evals.errors import UsageError
from ...evals.layouts import Folder
from ..reading.sources import find_world
from . import metadata, prompts

Row = Mapping[str, Any]
_WORLD_FILE = "evaluation_metadata.jsonl"
LONG = "geneval-long"
LONG_SHA256 = "09472cc9c24e225417b1d5df27e688e5f2a0fcac9ec772f33d9debe4e5d49f27"
"""SHA-256 of BAGEL's evaluation_metadata_long.jsonl, its rows written as the official file's are."""
_MOST_BYTES = 1 << 20
"""No metadata of one prompt is larger; what is, is some other file."""


@dataclass(frozen=True, slots=True)
class Suite:
    """Prompts by id (the official folder names: 00000, 00001, ...); `sha256` is that of the metadata file."""

    rows: Mapping[str, Row]
    sha256: str

    @property
    def official(self) -> bool:
        return self.sha256 == prompts.OFFICIAL_SHA256

    @property
    def name(self) -> str:
        """Return what a run's card calls it."""
        return "official" if self.official else "bagel" if self.sha256 == LONG_SHA256 else self.sha256[:12]

    @property
    def reworded(self) -> bool:
        """Whether it asks what the official suite asks, prompt by prompt, in other words (BAGEL's, Show-o2's)."""
        return not self.official and _asked(self.rows.values()) == _asked(prompts.suite())


def _asked(rows: Iterable[Row]) -> list[Row]:
    return [{key: value for key, value in row.items() if key != "prompt"} for row in rows]


def load_long(data: str, *, offline: bool = False) -> Suite:
    """Return the rewritten prompts: "official" (BAGEL's, fetched), or what `load` takes besides."""
    if data in ("", "official"):
        return of(_file(sources.fetch(LONG, offline=offline)))
    world = find_world(data)
    return of(_file(world("geneval_long") / _WORLD_FILE)) if world is not None else load(data, 0, 0)


def load(data: str, seed: int, size: int) -> Suite:
    """Return the suite that `data` names: "official", a data world that a plugin registers ("toy";
    entry-point group janus_eval.data), a metadata file, or a folder in the official layout.

    "official" generates the suite of `seed` and `size`. A folder whose prompts all stand where that
    suite has them is a part of it: the whole is returned, so that what the folder lacks is missed.
    Raises UsageError naming file, line and field.
    """
    if data in ("", "official"):
        return of(_numbered(prompts.suite(seed, size)))
    world = find_world(data)  # before a folder of that name, which is reached as ./NAME
    if world is not None:
        return of(_file(world("geneval") / _WORLD_FILE))
    path = Path(data)
    if path.is_dir():
        return of(_folder(path, _numbered(prompts.suite(seed, size))))
    if path.is_file():
        return of(_file(path))
    raise UsageError(f"--data {data!r}: no such file or folder; 'official' names GenEval's own prompts")


def pictures(data: str) -> int:
    """Return how many pictures a prompt has in the folder `data`: the most of any, 0 where there are none.

    The official script judges whatever number lies there.
    """
    root = Path(data)
    if data in ("", "official") or find_world(data) or not root.is_dir():
        return 0
    return max((count for name, count in Folder(root).names().items() if _is_number(name)), default=0)


def of(rows: Mapping[str, Row]) -> Suite:
    """Return the suite of these prompts."""
    return Suite(rows, hashlib.sha256(prompts.metadata_bytes(rows.values())).hexdigest())


def _numbered(rows: Sequence[Row]) -> dict[str, Row]:
    return {f"{number:05d}": row for number, row in enumerate(rows)}


def _file(path: Path) -> dict[str, Row]:
    rows = [checked(line, f"{path} line {number}") for number, line in lines(path)]
    if not rows:
        raise UsageError(f"{path} holds no prompts: expected one JSON object a line")
    return _numbered(rows)


def _folder(root: Path, official: Mapping[str, Row]) -> dict[str, Row]:
    """Return the prompts of ROOT/00000/metadata.jsonl, ...; as the official script, any all-digit folder.

    Pictures without metadata are of the official suite, by number from 0. Raises UsageError where the numbers
    leave open which prompt is which.
    """
    names = sorted((each.name for each in numbered_folders(root)), key=_place)
    have = [name for name in names if (root / name / "metadata.jsonl").exists()]
    rows = {name: one(root / name / "metadata.jsonl") for name in have}
    if not have:
        _must_be_official(root, official)
        return dict(official)
    if all(official.get(f"{int(name):05d}") == row for name, row in rows.items()):
        return dict(official)
    if len(have) < len(names):
        bare = next(name for name in names if name not in rows)
        raise UsageError(f"{root / bare} has no metadata.jsonl, and the others are not of the official suite")
    return rows


def numbered_folders(root: Path) -> list[Path]:
    """Return the folders of a layout that are named by a number."""
    return [each for each in root.iterdir() if _is_number(each.name) and each.is_dir()]


def _must_be_official(root: Path, official: Mapping[str, Row]) -> None:
    """Raise UsageError where pictures that say nothing of their prompts need not count the official ones from 0."""
    folder = Folder(root)
    names = sorted(filter(_is_number, folder.names()), key=_place)
    if not names:
        raise UsageError(f"{folder.unfit('00000')}; GenEval's layout also has 00000/metadata.jsonl")
    padded = all(len(name) == 5 for name in names)
    if int(names[-1]) >= len(official) or (int(names[0]) > 0 and not padded):
        raise UsageError(
            f"{root}: prompts are numbered {names[0]} to {names[-1]} and nothing says what they show, GenEval's are "
            "00000 to 00552: add 00000/metadata.jsonl and so on, or say --pattern '{prompt1}/{index}.png' where 1 "
            "is the first"
        )


def _is_number(name: str) -> bool:
    return name.isascii() and name.isdigit()


def _place(name: str) -> tuple[int, str]:
    return int(name), name


def one(path: Path) -> Row:
    """Return the metadata of one prompt, alone in its file."""
    if not path.is_file() or path.stat().st_size > _MOST_BYTES:
        raise UsageError(f"{path} is not the metadata of one prompt: expected a small file")
    with readable(path):
        return checked(path.read_text(encoding="utf-8-sig"), str(path))


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines of a text file that are not blank, with their numbers. Raises UsageError as `readable`."""
    with readable(path), path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                yield number, line


@contextmanager
def readable(path: Path) -> Generator[None, None, None]:
    """Turn a file that is missing or no text into one clear line."""
    try:
        yield
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} cannot be read: it is no UTF-8 text ({error.reason})") from error


def checked(text: str, where: str) -> Row:
    """Return the metadata object that `text` holds, in its own order of keys."""
    try:
        row = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{where}: no JSON object: {error}") from error
    try:
        metadata.read(row)
    except UsageError as error:
        other = isinstance(row, dict) and "vqa_list" in row
        told = "prompts of GenEval 2, which is another suite with another judge: -b geneval2" if other else error
        raise UsageError(f"{where}: {told}") from error
    return row
