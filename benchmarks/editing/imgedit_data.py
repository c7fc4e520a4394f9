"""ImgEdit-Bench's edits as they lie: in the makers' Benchmark.tar, in a folder unpacked of it, or in a table."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from ...evals.assets import fetch as store
from ...evals.errors import EnvironmentProblem, InvalidImage, UsageError
from ...evals.pictures import MOST_BYTES, read_file
from ...evals.types import Picture
from ..reading.cells import shown
from ..reading.pictures import Gallery
from ..reading.sources import find_world
from ..reading.tables import SUFFIXES, read_rows
from .imgedit_rules import TYPES

ASSET: Final = "imgedit-bench"
_NAMES: Final = ("singleturn.json", "basic_edit.json")
"""The list of edits, as the tar and as the repository call it."""
_LIST: Final = 64 << 20
"""Bytes that no list of edits has."""


@dataclass(frozen=True, slots=True)
class Edit:
    """One edit: its key, its instruction, its type and its source."""

    key: str
    prompt: str
    type: str
    picture: Picture


def edits(data: str, *, offline: bool = False) -> tuple[Path, list[Edit]]:
    """Return the file that lists the edits, and the edits. Raises UsageError, EnvironmentProblem."""
    world = find_world(data) if data else None
    place = world("imgedit_bench") if world else store.expanded(data, "--data") if data else None
    if place is None:
        place = store.fetch(ASSET, offline=offline)
    if not place.exists():
        raise UsageError(f"--data {data}: no such file or folder; give Benchmark.tar, or a folder unpacked of it")
    file = _list_in(place) if place.is_dir() else place
    if file.suffix == ".tar":
        return file, _in_tar(file)
    return file, _in_folder(file) if file.name in _NAMES else _in_table(file)


def _list_in(folder: Path) -> Path:
    """Return what lists the edits of a folder: the list, one folder below it, a tar, a table."""
    patterns = [*_NAMES, *(f"**/singleturn/{name}" for name in _NAMES), "*.tar", *(f"*{each}" for each in SUFFIXES)]
    for pattern in patterns:
        found = sorted(each for each in folder.glob(pattern) if each.is_file())
        if len(found) == 1:
            return found[0]
        if found:
            raise UsageError(f"{folder}: {len(found)} of {pattern}: give one with --data")
    raise UsageError(f"{folder}: no edits of ImgEdit-Bench here (looked for {', '.join(patterns[:5])})")


def _in_folder(file: Path) -> list[Edit]:
    if file.stat().st_size > _LIST:
        raise UsageError(f"{file}: too large for a list of edits")
    return _listed(file, file.read_bytes(), partial(_beside, file.parent))


def _beside(folder: Path, name: str) -> Picture:
    """Return a picture that lies in a folder; one that does not raises InvalidImage when it is read."""
    try:
        path = (folder / name).resolve()
        if path.is_relative_to(folder.resolve()) and path.is_file():
            return Picture(name, partial(_file, path, name), path)
    except (OSError, ValueError, RuntimeError):  # a name that is too long or holds a NUL, a loop of links
        pass
    return _lost(name, folder.name)


def _file(path: Path, name: str) -> bytes:
    try:
        return read_file(path)
    except InvalidImage as error:
        raise InvalidImage(f"picture {shown(name)} {error}") from error


def _lost(name: str, where: str) -> Picture:
    def read() -> bytes:
        raise InvalidImage(f"no picture {shown(name)} in {where}")

    return Picture(name, read)


def _in_tar(file: Path) -> list[Edit]:
    """Return the edits of the makers' tar, whose pictures stay in it. Nothing is unpacked."""
    try:
        with tarfile.open(file, "r:") as archive:
            held = {each.name.removeprefix("./"): each for each in archive if each.isreg()}
    except (tarfile.TarError, OSError) as error:
        raise UsageError(f"{file}: no tar that can be read ({error})") from error
    lists = [name for name in held if name.rpartition("/")[2] in _NAMES]
    single = [name for name in lists if "singleturn" in name] or lists
    if len(single) != 1:
        raise UsageError(f"{file}: {len(single)} lists of edits in it, expected one singleturn/{_NAMES[0]}")
    member, root = held[single[0]], single[0].rpartition("/")[0]
    if member.size > _LIST:
        raise UsageError(f"{file}: {single[0]} is too large for a list of edits")

    def find(name: str) -> Picture:
        found = held.get(f"{root}/{name}" if root else name)
        if found is None:
            return _lost(name, file.name)
        return Picture(name, partial(_member, file, found.offset_data, found.size, name), file)

    return _listed(file, _member(file, member.offset_data, member.size, single[0]), find)


def _member(file: Path, at: int, size: int, name: str) -> bytes:
    if size > MOST_BYTES:
        raise InvalidImage(f"picture {shown(name)} has {size:,} bytes: at most {MOST_BYTES:,} are read")
    try:
        with file.open("rb") as held:
            held.seek(at)
            data = held.read(size)
    except OSError as error:
        raise EnvironmentProblem(f"{file} cannot be read: {error.strerror}") from error
    if len(data) != size:
        raise InvalidImage(f"picture {shown(name)} is cut: {file.name} ends within it")
    return data


def _listed(file: Path, text: bytes, find: Callable[[str], Picture]) -> list[Edit]:
    """Return the edits of a list by key, as the makers write it: {key: {"id": file, "prompt", "edit_type"}}."""
    try:
        content: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{file}: its list of edits is no JSON ({error})") from error
    if not isinstance(content, dict) or not content:
        raise UsageError(f"{file}: expected edits by their keys")
    return [_edit(file, str(key), row, find) for key, row in content.items()]


def _edit(file: Path, key: str, row: Any, find: Callable[[str], Picture]) -> Edit:
    row = row if isinstance(row, Mapping) else {}
    texts = [row.get(name) for name in ("prompt", "edit_type", "id")]
    if not all(isinstance(each, str) and each for each in texts):
        raise UsageError(f"{file}: edit {shown(key)} lacks one of the texts id, prompt, edit_type")
    prompt, kind, name = map(str, texts)
    return Edit(key, prompt, _type(kind, f"{file}: edit {shown(key)}"), find(name))


def _type(kind: str, where: str) -> str:
    if kind not in TYPES:
        raise UsageError(f"{where}: edit_type {shown(kind)}, expected one of {', '.join(TYPES)}")
    return kind


def _in_table(file: Path) -> list[Edit]:
    """Return the edits of a table with the columns key, prompt, edit_type and image."""
    rows = read_rows(file)
    gallery = Gallery(rows)
    found = list(_of_rows(rows, gallery))
    gallery.must_show()
    return found


def _of_rows(rows: Sequence[Any], gallery: Gallery) -> Iterator[Edit]:
    for row in rows:
        (picture,) = gallery.of(row, ("image",))[:1]
        yield Edit(row.identity("key"), row.text("prompt"), _type(row.text("edit_type"), row.where), picture)
