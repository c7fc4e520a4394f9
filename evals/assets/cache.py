"""The cache's folder, and its memory of files: their digests, for as long as size, times and inode are as they were."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import stat
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from ..errors import UsageError

Mark: TypeAlias = "tuple[int, int, int, int, int]"
"""What tells a file from what it was: size, time of its content and of its inode (ns), inode, device."""
Hex: TypeAlias = "Mapping[str, str]"
"""Digests by the name of how they are made (`digests.py`)."""

_RACY = 2_000_000_000
"""Nanoseconds: a file that was written so shortly before it was read may change again within the clock's grain."""
_MOST = 256 << 20
"""A file of notes that is larger is none of ours."""
_NAME = re.compile(r"[a-z][a-z0-9_]{0,20}")
_DIGITS = re.compile(r"(?:[0-9a-f]{2}){16,64}")


def cache_root() -> Path:
    """Return the folder for fetched files: $JANUS_EVAL_CACHE, else janus-eval under the user's cache."""
    given = os.environ.get("JANUS_EVAL_CACHE")
    if given:
        return expanded(given, "JANUS_EVAL_CACHE")
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "janus-eval"


def expanded(path: str, what: str) -> Path:
    """Return a path with ~ replaced by the home folder; raise UsageError where `~name` is no user."""
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise UsageError(f"{what} {path}: {path.partition('/')[0]} is nobody's home folder on this machine") from error


def distrusted() -> bool:
    """Return whether JANUS_EVAL_VERIFY asks to read every file again, whatever is remembered of it."""
    return os.environ.get("JANUS_EVAL_VERIFY", "").upper() in ("1", "ON", "YES", "TRUE")


def mark(found: os.stat_result) -> Mark:
    """Return the mark of a file's stat."""
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_dev


def settled(found: Mark, began: int) -> bool:
    """Return whether a file of this mark was at rest when reading it `began` (ns since the epoch).

    As git does: a file written in the same instant in which it is read may be written once more and keep its times.
    """
    return max(found[1], found[2]) + _RACY < began


def recall(files: Mapping[str, Mark]) -> dict[str, Hex]:
    """Return what is remembered of files, by their real paths; nothing of those that are not as they were."""
    if not files:
        return {}
    folder = _folder(files)
    notes = _read(_notes(folder), folder)
    return {path: notes[path][1] for path, found in files.items() if path in notes and notes[path][0] == found}


def remember(files: Mapping[str, tuple[Mark, Hex]], together: Iterable[str]) -> None:
    """Remember digests of files that were asked for `together`: what is recalled together has one file of notes.

    Notes appear whole or not at all. What another process noted in between may be lost and costs only
    reading a file again, as does a cache that cannot be written.
    """
    if not files:
        return
    folder = _folder(together)
    path = _notes(folder)
    known = _read(path, folder)
    for each, (found, digests) in files.items():
        before = known.get(each)
        # A file that was read out of distrust shares nothing with what stood there.
        same = before is not None and before[0] == found and not distrusted()
        known[each] = found, {**(before[1] if before and same else {}), **digests}
    kept = {each: note for each, note in known.items() if each in files or os.path.lexists(each)}
    with contextlib.suppress(OSError):
        _write(path, folder, kept)


# -- notes --------------------------------------------------------------------------------------------


def _folder(paths: Iterable[str]) -> str:
    """Return the folder that all of the paths lie in."""
    return os.path.commonpath({each.rpartition("/")[0] or "/" for each in paths})


def _notes(folder: str) -> Path:
    return cache_root() / "digests" / "files" / f"{hashlib.sha256(os.fsencode(folder)).hexdigest()[:32]}.json"


def _read(path: Path, folder: str) -> dict[str, tuple[Mark, Hex]]:
    """Return the notes about a folder's files; of a file that is damaged or no notes at all, none."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode) or found.st_size > _MOST:  # a pipe would be waited for
            return {}
        total, _, body = path.read_bytes().partition(b"\n")
        if hashlib.sha256(body).hexdigest().encode() != total:
            return {}
        table: Any = json.loads(body)
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(table, dict) or table.get("folder") != folder or not isinstance(table.get("files"), dict):
        return {}
    files: dict[str, Any] = table["files"]
    start = folder.rstrip("/") + "/"
    return {start + name: (tuple(note[0]), note[1]) for name, note in files.items() if _is_note(note)}


def _is_note(note: Any) -> bool:
    if not isinstance(note, list) or len(note) != 2 or not isinstance(note[0], list) or not isinstance(note[1], dict):
        return False
    whole = len(note[0]) == 5 and all(type(each) is int for each in note[0])
    names: dict[str, Any] = note[1]
    return whole and all(
        _NAME.fullmatch(name) and isinstance(digits, str) and _DIGITS.fullmatch(digits)
        for name, digits in names.items()
    )


def _write(path: Path, folder: str, notes: Mapping[str, tuple[Mark, Hex]]) -> None:
    start = folder.rstrip("/") + "/"
    files = {each.removeprefix(start): note for each, note in notes.items()}
    body = json.dumps({"folder": folder, "files": files}, separators=(",", ":"), sort_keys=True).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=".part-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(hashlib.sha256(body).hexdigest().encode() + b"\n" + body)
        Path(draft).chmod(0o644)
        Path(draft).replace(path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise
