"""Digests of files and folders, in full or cheap."""

from __future__ import annotations

import hashlib
import shutil
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import EnvironmentProblem, UsageError

SUMS = "SHA256SUMS"
"""A folder's list of its files, as sha256sum writes and checks it."""
_BLOCK = 1 << 20
_WHOLE = 64 << 20


def fingerprint(path: Path) -> str:
    """Return 16 hex digits that name a weights file or folder by its content, cheaply.

    Files under 64 MB are read whole; of larger ones the size, the safetensors header and sixteen
    blocks. Names and contents count, times and places do not; hidden files and *.md are left out.
    """
    if path.is_file():
        return hashlib.sha256(_content(path)).hexdigest()[:16]
    if not path.is_dir():
        raise UsageError(f"{path}: no such file or folder")
    total = hashlib.sha256()
    for file in sorted(path.rglob("*")):
        name = file.relative_to(path)
        if file.is_file() and file.suffix != ".md" and not any(part.startswith(".") for part in name.parts):
            total.update(f"{name.as_posix()}\0{file.stat().st_size}\0".encode() + _content(file))
    return total.hexdigest()[:16]


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


def file_digests(path: Path) -> Digests:
    """Read a file once and return its digests."""
    sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    blob = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            for each in (sha256, md5, blob):
                each.update(block)
    return Digests(sha256.hexdigest(), md5.hexdigest(), blob.hexdigest())


def _content(path: Path) -> bytes:
    """Return a digest of one file's content: whole where small, else of size, header and blocks."""
    size = path.stat().st_size
    total = hashlib.sha256(str(size).encode())
    with path.open("rb") as file:
        if size < _WHOLE:
            shutil.copyfileobj(file, _Sink(total), _BLOCK)
            return total.digest()
        if path.suffix == ".safetensors":
            (header,) = struct.unpack("<Q", file.read(8))
            total.update(file.read(min(header, 100 << 20)))
        for step in range(16):
            file.seek((size - (1 << 16)) * step // 15)
            total.update(file.read(1 << 16))
    return total.digest()


class _Sink:
    """A digest as a file to write to."""

    def __init__(self, total: Any) -> None:
        self._total = total

    def write(self, block: bytes) -> int:
        self._total.update(block)
        return len(block)
