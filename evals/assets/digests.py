"""Digests of files and folders, always of whole contents; what has not changed since it was read is not read again."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Event, Lock

from ..errors import EnvironmentProblem, UsageError
from ..progress import progress
from . import cache

SUMS = "SHA256SUMS"
"""A folder's list of its files, as sha256sum writes and checks it."""
_BLOCK = 4 << 20
_READERS = 4
_LONG = 1 << 30
"""Bytes: reading more than these shows how far it is."""
_WAYS = {"sha256": ("sha256", ""), "md5": ("md5", ""), "git_blob": ("sha1", "blob {}\0"), "sized": ("sha256", "{}")}
"""How digests are made: the hash, and what it takes in of the file's size before the content."""


def fingerprint(path: Path) -> str:
    """Return 16 hex digits that name a weights file or folder by its content.

    Names and contents count, every byte of them; places and times do not; hidden files and *.md are left out.
    Raises UsageError where there is nothing, EnvironmentProblem where a file cannot be read.
    """
    if path.is_file():
        return hashlib.sha256(bytes.fromhex(digests([path], "sized")[0]["sized"])).hexdigest()[:16]
    if not path.is_dir():
        raise UsageError(f"{path}: no such file or folder")
    files = [each for each in sorted(path.rglob("*")) if each.suffix != ".md" and each.is_file()]
    files = [each for each in files if not any(part.startswith(".") for part in each.relative_to(path).parts)]
    total = hashlib.sha256()
    for file, found in zip(files, digests(files, "sized"), strict=True):
        name = file.relative_to(path).as_posix().encode(errors="surrogateescape")
        total.update(name + f"\0{file.stat().st_size}\0".encode() + bytes.fromhex(found["sized"]))
    return total.hexdigest()[:16]


def sha256(path: Path) -> str:
    """Return the hex SHA-256 of a file. Raises EnvironmentProblem where it cannot be read."""
    return digests([path], "sha256")[0]["sha256"]


def sums(folder: Path) -> str:
    """Return the list of a folder's files, SUMS itself left out: a line each, SHA-256 and name."""
    files = sorted(each for each in folder.iterdir() if each.name != SUMS)
    return "".join(f"{hashlib.sha256(each.read_bytes()).hexdigest()}  {each.name}\n" for each in files)


def check(folder: Path, expected: str, remedy: str) -> Path:
    """Return the folder where its SUMS has the SHA-256 `expected` and its files have those that stand in SUMS.

    Raises EnvironmentProblem for the first file that is missing or another one, with both digests and
    the remedy.
    """
    wanted = {SUMS: expected}
    while wanted:
        name, digest = wanted.popitem()
        try:
            content = (folder / name).read_bytes()
            found = hashlib.sha256(content).hexdigest()
        except OSError as error:
            content, found = b"", (error.strerror or str(error)).lower()
        if found != digest:
            raise EnvironmentProblem(
                f"{folder / name} is damaged or missing: expected SHA-256 {digest}, found {found}; {remedy}"
            )
        if name == SUMS:
            wanted = {line[66:]: line[:64] for line in content.decode().splitlines()}
    return folder


@dataclass(frozen=True, slots=True)
class Digests:
    """A file's digests, hex; `git_blob` is the object id that git gives its content."""

    sha256: str
    md5: str
    git_blob: str


def file_digests(path: Path, *, again: bool = False) -> Digests:
    """Return a file's digests; `again` reads it whatever is remembered of it."""
    return Digests(**digests([path], "sha256", "md5", "git_blob", again=again)[0])


def digests(paths: Sequence[Path], *ways: str, again: bool = False) -> list[cache.Hex]:
    """Return each file's digests in hex, made in the ways that `_WAYS` names.

    A file that is as it was when it was last read (`cache.Mark`) is not read again, unless `again` or
    JANUS_EVAL_VERIFY asks for it. Raises EnvironmentProblem where one cannot be read.
    """
    began = time.time_ns()
    places = [os.path.realpath(each) for each in paths]
    marks = {place: _mark(place) for place in places}
    known = {} if again or cache.distrusted() else cache.recall(marks)
    missing = [place for place in marks if not known.get(place, {}).keys() >= set(ways)]
    fresh: dict[str, cache.Hex] = {}
    certain: dict[str, tuple[cache.Mark, cache.Hex]] = {}
    try:
        for place, found, made in _read_all(missing, ways, sum(marks[each][0] for each in missing)):
            fresh[place] = made
            if found == marks[place] and cache.settled(found, began):
                certain[place] = found, made
    finally:  # of many files that were to be read, those that were read before this one failed
        cache.remember(certain, marks)
    return [fresh.get(each) or known[each] for each in places]


def _mark(place: str) -> cache.Mark:
    with _told(place):
        return cache.mark(os.stat(place))  # noqa: PTH116 -- thousands of them at each start


def _read_all(places: Sequence[str], ways: Sequence[str], size: int) -> Iterator[tuple[str, cache.Mark, cache.Hex]]:
    """Yield each file with its mark and its digests, several being read at a time."""
    from concurrent.futures import ThreadPoolExecutor

    stop = Event()
    with _shown(size) as tick, ThreadPoolExecutor(_READERS) as pool:
        try:
            yield from pool.map(partial(_read, ways=ways, tick=tick, stop=stop), places)
        finally:
            stop.set()  # an interrupt shall not wait for gigabytes


def _read(
    place: str, ways: Sequence[str], tick: Callable[[int], None], stop: Event
) -> tuple[str, cache.Mark, cache.Hex]:
    with _told(place), open(place, "rb", buffering=0) as file:  # noqa: PTH123 -- as above
        size = os.fstat(file.fileno()).st_size
        made = [(_WAYS[each][0], _WAYS[each][1].format(size).encode()) for each in ways]
        hashes = [hashlib.new(name, start, usedforsecurity=False) for name, start in made]
        view = memoryview(bytearray(min(max(size, 1), _BLOCK)))
        while (count := file.readinto(view)) and not stop.is_set():
            for each in hashes:
                each.update(view[:count])
            tick(count)
        found = cache.mark(os.fstat(file.fileno()))
    return place, found, {way: each.hexdigest() for way, each in zip(ways, hashes, strict=True)}


@contextmanager
def _told(place: str) -> Generator[None]:
    """Turn a file that cannot be read into one clear line."""
    try:
        yield
    except OSError as error:
        raise EnvironmentProblem(f"{place} cannot be read: {error.strerror or error}") from error


@contextmanager
def _shown(size: int) -> Generator[Callable[[int], None]]:
    """Show how much of many bytes is read; yields what is told of each block, by any thread."""
    if size < _LONG:
        yield lambda count: None
        return
    lock, done = Lock(), 0
    with progress("MB hashed", size >> 20) as tick:

        def read(count: int) -> None:
            nonlocal done
            with lock:
                before, done = done, done + count
                if done >> 20 > before >> 20:
                    tick((done >> 20) - (before >> 20))

        yield read
