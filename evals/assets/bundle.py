"""A bundle: weights, data and wheels in one tar, to be carried to machines without a network.

Its first member, `bundle.json`, names every other one with size and SHA-256, in their order; the headers follow from
that, byte for byte. So it is written on where it stopped, read (`unbundle.py`) without any trust in what an archive may
hold (links, paths, other kinds of members), and still a plain tar. Members lie under `cache/` (as in our cache), `hub/`
(as in the hub's) and `wheels/`.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import tarfile
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from ..errors import EnvironmentProblem, Locked, UsageError
from ..progress import progress
from .digests import digests
from .fetch import asset, locate

MANIFEST = "bundle.json"
FORMAT = 1
_BLOCK = 4 << 20
END = b"\0" * 1024


@dataclass(frozen=True, slots=True)
class Member:
    """A file of a bundle: its name within, its size in bytes and its SHA-256; `source` is where it is copied from."""

    name: str
    size: int
    sha256: str
    source: Path | None = None

    @property
    def header(self) -> bytes:
        """The tar's header of it: the same bytes wherever and whenever it is made."""
        info = tarfile.TarInfo(self.name)
        info.size, info.mode = self.size, 0o644
        return info.tobuf(tarfile.PAX_FORMAT)

    @property
    def length(self) -> int:
        """How many bytes it takes in the tar."""
        return len(self.header) + self.size + padding(self.size)


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a bundle holds: the assets by name with their licences, every file, and the command that it was made for."""

    members: tuple[Member, ...]
    assets: Mapping[str, str]
    command: str = ""
    version: str = ""

    @property
    def size(self) -> int:
        """How many bytes its files have."""
        return sum(each.size for each in self.members)

    def to_bytes(self) -> bytes:
        """Return the content of `bundle.json`."""
        files = [{"name": each.name, "size": each.size, "sha256": each.sha256} for each in self.members]
        row = {"format": FORMAT, "janus-eval": self.version, "command": self.command, "assets": dict(self.assets)}
        return json.dumps(row | {"files": files}, indent=0).encode() + b"\n"


# -- what goes in -------------------------------------------------------------------------------------


def gather(names: Sequence[str], wheels: Path | None, *, command: str, version: str) -> Manifest:
    """Return what a bundle of these assets, and of a folder of wheels, holds.

    Raises EnvironmentProblem for an asset that is not on this machine, UsageError for a folder without wheels.
    """
    files: dict[str, Path] = {}
    licences: dict[str, str] = {}
    for name in dict.fromkeys(names):
        licences[name] = asset(name).licence
        files |= _files(name)
    if wheels is not None:
        found = sorted(wheels.glob("*.whl")) if wheels.is_dir() else []
        if not found:
            raise UsageError(f"{wheels} holds no wheels: make them with `pip download -d {wheels} ...`")
        files |= {f"wheels/{each.name}": each for each in found}
    if not files:
        raise UsageError("nothing to carry: these runs need no weights and no data beyond the package")
    order = sorted(files)
    found_digests = digests([files[each] for each in order], "sha256")
    members = [
        Member(name, files[name].stat().st_size, each["sha256"], files[name])
        for name, each in zip(order, found_digests, strict=True)
    ]
    return Manifest(tuple(members), licences, command, version)


def _files(name: str) -> dict[str, Path]:
    """Return the files of an asset by their names in a bundle."""
    item = asset(name)
    if item.kind == "folder":
        return {key: path for each in item.files for key, path in _files(each.name).items()}
    path = locate(item)
    if path is None:
        raise EnvironmentProblem(f"{name} is not on this machine: janus-eval data fetch {name}")
    if item.kind == "file":
        return {f"cache/{item.filename}": path}
    repository = path.parent.parent  # models--ORG--NAME/snapshots/COMMIT
    start = f"hub/{repository.name}"
    refs = [each for each in sorted((repository / "refs").rglob("*")) if each.is_file()]
    found = {
        f"{start}/refs/{each.relative_to(repository / 'refs').as_posix()}": each
        for each in refs
        if each.read_text(encoding="utf-8").strip() == path.name
    }
    listing = repository / "trees" / f"{path.name}.json"  # by which the hub's package knows that a snapshot is whole
    found |= {f"{start}/trees/{listing.name}": listing} if listing.is_file() else {}
    inside = [each for each in sorted(path.rglob("*")) if each.is_file()]
    return found | {f"{start}/snapshots/{path.name}/{each.relative_to(path).as_posix()}": each for each in inside}


# -- writing ------------------------------------------------------------------------------------------


def write(path: Path, manifest: Manifest) -> int:
    """Write a bundle, whole or not at all, and return how many bytes an earlier try that was stopped had left.

    What such a try left in `path`.part is read and taken over as far as it is right. Raises Locked where another
    process writes it, EnvironmentProblem where a file changed while it was read.
    """
    part = path.with_name(path.name + ".part")
    part.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    with os.fdopen(handle, "r+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Locked(f"{part} is being written by another process: wait for it, or name another file") from None
        done, kept = _taken_over(file, manifest)
        file.seek(kept)
        file.truncate()
        if kept == 0:
            body = manifest.to_bytes()
            file.write(first(len(body)) + body + b"\0" * padding(len(body)))
        with shown("MB packed", manifest.size) as tick:
            for member in manifest.members[done:]:
                file.write(member.header)
                assert member.source is not None
                with member.source.open("rb") as source:
                    found = copied(source, file, member.size, tick)
                if found != member.sha256:
                    raise EnvironmentProblem(f"{member.source} changed while it was read: the same command goes on")
                file.write(b"\0" * padding(member.size))
        file.write(END)
        file.flush()
        os.fsync(file.fileno())
        part.replace(path)
    return kept


def _taken_over(file: IO[bytes], manifest: Manifest) -> tuple[int, int]:
    """Return how many members an earlier try left whole and right, and how many bytes these are with what is before."""
    body = manifest.to_bytes()
    start = first(len(body)) + body + b"\0" * padding(len(body))
    file.seek(0)
    if file.read(len(start)) != start:
        return 0, 0
    kept = len(start)
    for number, member in enumerate(manifest.members):
        file.seek(kept)
        header = member.header
        if file.read(len(header)) != header or copied(file, None, member.size) != member.sha256:
            return number, kept
        if file.read(padding(member.size)) != b"\0" * padding(member.size):
            return number, kept
        kept += member.length
    return len(manifest.members), kept


# -- bytes --------------------------------------------------------------------------------------------


def first(size: int) -> bytes:
    """Return the header of a manifest of so many bytes."""
    return Member(MANIFEST, size, "").header


def padding(size: int) -> int:
    """Return how many bytes fill up a tar's last block of a member."""
    return -size % tarfile.BLOCKSIZE


def copied(source: IO[bytes], target: IO[bytes] | None, size: int, tick: Any = None) -> str:
    """Copy `size` bytes, or as many as there are, and return their SHA-256."""
    total = hashlib.sha256()
    left = size
    while left and (block := source.read(min(_BLOCK, left))):
        total.update(block)
        if target is not None:
            target.write(block)
        left -= len(block)
        if tick is not None:
            tick(len(block))
    return total.hexdigest()


@contextmanager
def shown(what: str, size: int) -> Generator[Any]:
    """Show how much of many bytes is done."""
    done = 0
    with progress(what, size >> 20) as show:

        def tick(count: int) -> None:
            nonlocal done
            before, done = done, done + count
            show((done >> 20) - (before >> 20))

        yield tick
