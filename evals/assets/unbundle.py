"""A bundle read: listed, verified, and unpacked where its files are looked for. Nothing in it is trusted."""

from __future__ import annotations

import json
import os
import re
import shutil
import tarfile
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from ..errors import EnvironmentProblem, UsageError
from .bundle import END, FORMAT, MANIFEST, Manifest, Member, copied, first, padding, shown
from .cache import cache_root
from .catalogue import CATALOGUE
from .digests import digests
from .hub import hub_cache

_LARGEST = 64 << 20
"""Bytes of a manifest that is read: half a million files."""
_NAME = re.compile(r"[^\x00-\x1f\x7f\\/]{1,255}")
_HUB = re.compile(r"hub/(models|datasets)--[\w.-]+/(refs/|snapshots/[0-9a-f]{7,64}/|trees/[0-9a-f]{7,64}\.json$)")
_WHEEL = re.compile(r"wheels/[\w.+-]+\.whl")


def read(path: Path) -> Manifest:
    """Return what a bundle says that it holds; its files are not read.

    Raises UsageError for a file that is no bundle, and for names that lead elsewhere.
    """
    with _opened(path) as file:
        return _manifest(path, file)[0]


def verify(path: Path) -> Manifest:
    """Read a whole bundle and return what it holds. Raises EnvironmentProblem that names what is damaged."""
    with _opened(path) as file:
        manifest, at = _manifest(path, file)
        damaged: list[str] = []
        with shown("MB read", manifest.size) as tick:
            for member in manifest.members:
                file.seek(at)
                whole = file.read(len(member.header)) == member.header
                if not whole or copied(file, None, member.size, tick) != member.sha256:
                    damaged.append(member.name)
                at += member.length
    _complain(path, damaged)
    return manifest


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did: the names of files that are new, that were there already, and that stand for others now."""

    new: tuple[str, ...]
    there: tuple[str, ...]
    replaced: tuple[str, ...]


def unpack(path: Path, wheels: Path) -> tuple[Manifest, Imported]:
    """Put a bundle's files where they are looked for: our cache, the hub's, and `wheels`; those that are there stay.

    Each appears whole and right or not at all, so that the same command goes on after a stop. Raises
    EnvironmentProblem where the disk is too small, before anything is written, and, after all others are in place,
    for damaged members by name; UsageError for a bundle that is none or leads elsewhere.
    """
    places = {"cache": cache_root(), "hub": hub_cache(), "wheels": wheels}
    new: list[str] = []
    there: list[str] = []
    replaced: list[str] = []
    damaged: list[str] = []
    with _opened(path) as file:
        manifest, at = _manifest(path, file)
        targets = {each.name: _target(places, each.name) for each in manifest.members}
        _must_hold(places, manifest, targets)
        with shown("MB unpacked", manifest.size) as tick:
            for member in manifest.members:
                target = targets[member.name]
                state = _state(member, target)
                if state == "there":
                    there.append(member.name)
                    tick(member.size)
                elif _placed(file, at, member, target, tick):
                    (new if state == "new" else replaced).append(member.name)
                else:
                    damaged.append(member.name)
                at += member.length
    _complain(path, damaged)
    return manifest, Imported(tuple(new), tuple(there), tuple(replaced))


def _manifest(path: Path, file: IO[bytes]) -> tuple[Manifest, int]:
    """Return a bundle's manifest, checked, and where its first file begins."""
    start = file.read(tarfile.BLOCKSIZE)
    try:
        info = tarfile.TarInfo.frombuf(start, "utf-8", "strict")
    except (tarfile.HeaderError, UnicodeDecodeError):
        raise UsageError(f"{path} is no bundle of janus-eval: it does not begin as one") from None
    if info.name != MANIFEST or info.size > _LARGEST or start != first(info.size):
        raise UsageError(f"{path} is no bundle of janus-eval: {MANIFEST} is not its first member")
    body = file.read(info.size)
    try:
        row: Any = json.loads(body)
        members = tuple(Member(str(each["name"]), each["size"], each["sha256"]) for each in row["files"])
        licences = {str(name): str(licence) for name, licence in row["assets"].items()}
        manifest = Manifest(members, licences, str(row["command"]), str(row["janus-eval"]))
        if row["format"] != FORMAT:
            raise UsageError(f"{path} is a bundle of format {row['format']!r}: this janus-eval reads {FORMAT}")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UsageError(f"{path}: its {MANIFEST} cannot be read ({type(error).__name__}): make it again") from error
    _must_be_plain(path, members)
    at = len(start) + len(body) + padding(len(body))
    needed = at + sum(each.length for each in members) + len(END)
    if os.fstat(file.fileno()).st_size < needed:
        found = os.fstat(file.fileno()).st_size
        raise EnvironmentProblem(f"{path} is cut: {found:,} of {needed:,} bytes: copy it again")
    return manifest, at


def _must_be_plain(path: Path, members: Sequence[Member]) -> None:
    """Raise UsageError for names that lead out of their place or stand twice, and for what is no size or digest."""
    known = {f"cache/{each.filename}" for item in CATALOGUE for each in (item, *item.files) if each.urls}
    seen: set[str] = set()
    for each in members:
        parts = each.name.split("/")
        plain = all(_NAME.fullmatch(part) and part not in (".", "..") for part in parts)
        if not plain or not (each.name in known or _HUB.match(each.name) or _WHEEL.fullmatch(each.name)):
            raise UsageError(f"{path} is refused: the name {each.name!r} of a member leads elsewhere")
        if each.name in seen:
            raise UsageError(f"{path} is refused: the name {each.name!r} of a member stands twice")
        if type(each.size) is not int or not 0 <= each.size < 1 << 50 or not re.fullmatch(r"[0-9a-f]{64}", each.sha256):
            raise UsageError(f"{path} is refused: the member {each.name!r} has no size and digest")
        seen.add(each.name)


def _target(places: Mapping[str, Path], name: str) -> Path:
    """Return where a member goes. Raises UsageError where a link below its place would lead elsewhere."""
    part, _, rest = name.partition("/")
    place = places[part]
    for parent in list(Path(rest).parents)[:-1]:
        if (place / parent).is_symlink():
            raise UsageError(f"{place / parent} is a link: a bundle is unpacked into folders alone")
    return place / rest


def _state(member: Member, target: Path) -> str:
    """Return whether a file is there already, is new, or stands where another does (`other`)."""
    if not target.exists() and not target.is_symlink():
        return "new"
    if target.is_dir():
        raise UsageError(f"{target} is a folder: a file of the bundle belongs there")
    if target.is_file() and target.stat().st_size == member.size:
        return "there" if digests([target], "sha256")[0]["sha256"] == member.sha256 else "other"
    return "other"


def _placed(file: IO[bytes], at: int, member: Member, target: Path, tick: Any) -> bool:
    """Copy a member to its place; return False where it is damaged, and leave nothing then."""
    file.seek(at)
    if file.read(len(member.header)) != member.header:
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name[:100]}.{member.sha256[:12]}.part")
    draft.unlink(missing_ok=True)
    try:
        with draft.open("xb") as out:
            if copied(file, out, member.size, tick) != member.sha256:
                return False
            out.flush()
            os.fsync(out.fileno())
        draft.chmod(0o644)
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
    return True


def _must_hold(places: Mapping[str, Path], manifest: Manifest, targets: Mapping[str, Path]) -> None:
    """Raise EnvironmentProblem where a disk has not enough room for what is not there yet."""
    needed: dict[int, int] = {}
    rooms: dict[int, tuple[Path, int]] = {}
    for each in manifest.members:
        place = places[each.name.partition("/")[0]]
        while not place.exists():
            place = place.parent
        disk = place.stat().st_dev
        rooms[disk] = place, shutil.disk_usage(place).free
        target = targets[each.name]
        there = target.is_file() and target.stat().st_size == each.size
        needed[disk] = needed.get(disk, 0) + (0 if there else each.size)
    for disk, size in needed.items():
        place, free = rooms[disk]
        if size > free:
            raise EnvironmentProblem(
                f"{place}: {size / 1e9:,.1f} GB are needed, {free / 1e9:,.1f} GB are free: free some, or set "
                "JANUS_EVAL_CACHE and HF_HOME to another disk"
            )


def _complain(path: Path, damaged: Sequence[str]) -> None:
    if damaged:
        more = f" and {len(damaged) - 1} more" if len(damaged) > 1 else ""
        raise EnvironmentProblem(f"{path}: {damaged[0]}{more} is damaged: copy the bundle again, all else is right")


@contextmanager
def _opened(path: Path) -> Generator[IO[bytes]]:
    """Open a bundle. Raises UsageError for what is no file."""
    if not path.is_file():
        raise UsageError(f"{path}: no such file")
    try:
        file = path.open("rb")
    except OSError as error:
        raise EnvironmentProblem(f"{path} cannot be read: {error.strerror}") from error
    with file:
        yield file
