"""Bytes on disk: sealed lines, files that appear whole or not at all, locks, and a full disk told in one line."""

from __future__ import annotations

import errno
import glob
import hashlib
import itertools
import json
import mmap
import os
import re
import shutil
import socket
import stat
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from .errors import EnvironmentProblem, Locked, UsageError
from .types import Json


def dump(value: Json) -> str:
    """Return a value as JSON on one line, in UTF-8 where UTF-8 can hold it."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate in a model's answer
        return json.dumps(value, separators=(",", ":"))
    return text


def seal(row: Mapping[str, Json]) -> str:
    """Return an object as one line with its checksum first."""
    body = dump(row)
    return f'{{"sum":"{hashlib.sha256(body.encode()).hexdigest()[:8]}",{body[1:]}'


def unseal(line: bytes) -> dict[str, Json] | None:
    """Return the object of a sealed line, None where it is not whole."""
    try:
        row = json.loads(line)
        total = row.pop("sum")
        body = dump(row).encode()
    except (ValueError, AttributeError, KeyError, TypeError, RecursionError):
        return None
    return row if hashlib.sha256(body).hexdigest()[:8] == total else None


def read_json(path: Path) -> Any:
    """Return the JSON of a file of ours. Raises UsageError where it is damaged, or a pipe."""
    try:
        if path.exists() and not path.is_file():
            raise UsageError(f"{path} is no regular file")
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is damaged: {error}") from error
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error


def read_object(path: Path) -> dict[str, Any]:
    """Return the JSON object of a file of ours. Raises UsageError where it is damaged, or holds none."""
    found = read_json(path)
    if not isinstance(found, dict):
        raise UsageError(f"{path} is damaged: no JSON object")
    return found


READS = (1, 2)
"""The formats of a record that this version reads."""
SERVICE = "service"
"""The folder of a run in which a paid service's pictures arrive."""
RECORDS = ("record.json", "stage.json", "interrupted.json")
"""The record of a finished run; of one that was to stop behind an earlier stage; what an interrupted one left."""


def unsealed(row: Json, where: str) -> Json:
    """Return a record's JSON without its checksum. Raises UsageError where they do not fit.

    Format 1 had none; what claims to be of format 2 must have one.
    """
    if not isinstance(row, dict) or row.get("format") not in READS or (row["format"] == 1 and "sum" not in row):
        return row
    rest = {key: value for key, value in row.items() if key != "sum"}
    if row.get("sum") != seal_of(rest):
        raise UsageError(f"{where} was changed after it was written: its checksum is wrong; run the same command again")
    return rest


def seal_of(row: Mapping[str, Json]) -> str:
    """Return the checksum of a record's JSON."""
    text = json.dumps(row, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def named_digests(folder: Path) -> Mapping[str, str]:
    """Return the digests that a run's record names: of `scores`, `predictions`, `evidence`; {} for format 1."""
    for name in RECORDS:
        if (folder / name).is_file():
            row = unsealed(read_json(folder / name), str(folder / name))
            told = {key: row.get(f"{key}_sha256") for key in (*STREAMS, "scores")} if isinstance(row, dict) else {}
            return {key: each for key, each in told.items() if isinstance(each, str)}
    return {}


QUICK = 2**26
"""Bytes of a run's file that are hashed for a look at one sample."""
STREAMS = ("predictions", "evidence")


def stream_digest(folder: Path, stream: str) -> str:
    """Return the digest of the lines of `predictions` or `evidence`: those of several writers one after the other.

    Where a picture lies, in a file or in a pack, is no part of it.
    """
    total = hashlib.sha256()
    for path in sorted((folder / stream).glob("*.jsonl")):
        with path.open("rb") as file:
            for line in file:
                total.update(_placeless(line) if b'"image":"' in line else line)
    return total.hexdigest()


def _placeless(line: bytes) -> bytes:
    row = unseal(line)
    return line if row is None else dump({key: each for key, each in row.items() if key not in ("pack", "at")}).encode()


def changed(folder: Path, most: int | None = None) -> list[str]:
    """Return a line for each file of outputs that is not the one that a run's record was written with, or what it left
    behind an earlier stage; the files of more than `most` bytes are not looked at."""
    name = next((each for each in ("record.json", "stage.json") if (folder / each).is_file()), None)
    if name is None:  # what was stopped goes on: its files grow
        return []
    told = {key: each for key, each in named_digests(folder).items() if key in STREAMS}
    small = {key: each for key, each in told.items() if most is None or _size(folder / key) <= most}
    return [
        f"{folder / key} was changed after {name} was written: the numbers there are of what lay here before"
        for key, each in small.items()
        if stream_digest(folder, key) != each
    ]


def _size(folder: Path) -> int:
    return sum(each.stat().st_size for each in folder.glob("*.jsonl"))


def sha256(path: Path) -> str:
    """Return the hex SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def remembered() -> Callable[[Path], str]:
    """Return a `sha256` that reads a file once that lay still since: who asks again gets what was found."""
    known: dict[Path, tuple[tuple[int, int, int, int], str]] = {}

    def digest(path: Path) -> str:
        try:
            found = path.stat()
        except OSError:
            return sha256(path)  # which says what is wrong
        mark = (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
        before = known.get(path)
        if before is not None and before[0] == mark:
            return before[1]
        text = sha256(path)
        if time.time() - found.st_ctime > _STILL:
            known[path] = mark, text
        return text

    return digest


_STILL = 2.0
"""Seconds after which a change of a file is sure to have another time than the one before."""


def publish(path: Path, data: bytes) -> None:
    """Write a file by write, fsync, rename: it is there whole or not at all.

    What a killed process left of an earlier try at the same file is removed.
    """
    publish_lines(path, (data,))


def publish_lines(path: Path, lines: Iterable[bytes]) -> None:
    """Write a file, as `publish` does, from pieces that are never all in memory."""
    with _draft(path, lines) as draft:
        draft.replace(path)


_COUNT = itertools.count()


def publish_new(path: Path, data: bytes) -> None:
    """Write a file where there is none yet; where several processes try at once, one of them does it.

    By link(2), which fails where the name is taken, on network file systems too.
    """
    with _draft(path, (data,)) as draft, suppress(FileExistsError):
        os.link(draft, path)


@contextmanager
def drafted(path: Path) -> Generator[Path]:
    """Give the name of a draft beside `path`, for a file or a folder that takes its place when it is whole.

    What still has that name afterwards is removed, as is what killed processes of this machine left of earlier tries.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    start = f".part-{path.name[:60]}-{_host()}-"
    for left in dead_drafts(path.parent, start):
        remove(left)
    draft = path.with_name(f"{start}{os.getpid()}-{next(_COUNT)}")
    try:
        yield draft
    finally:
        remove(draft)


def dead_drafts(folder: Path, start: str = ".part-") -> list[Path]:
    """Return the drafts in a folder, of names that begin so, whose process was killed on this machine."""
    mine = re.compile(rf".*-{re.escape(_host())}-([0-9]+)-[0-9]+", re.DOTALL)
    named = ((path, mine.fullmatch(path.name)) for path in sorted(folder.glob(f"{glob.escape(start)}*")))
    return [path for path, found in named if found is not None and not _lives(found[1])]


def remove(path: Path) -> None:
    """Remove a file, a link or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _host() -> str:
    return socket.gethostname()[:60]


@contextmanager
def _draft(path: Path, lines: Iterable[bytes]) -> Generator[Path]:
    """Give a whole file beside `path`, which is gone afterwards."""
    with drafted(path) as draft:
        with draft.open("xb") as file:
            file.writelines(lines)
            file.flush()
            os.fsync(file.fileno())
        draft.chmod(0o644)
        yield draft


def _lives(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def write_out(path: Path, data: bytes) -> None:
    """Write a file that the user named, whole or not at all; a pipe or a device is written to as it is.

    Raises EnvironmentProblem where that fails.
    """
    with disk(path):
        if path.exists() and not path.is_file():
            path.write_bytes(data)
        else:
            publish(path.resolve(), data)


def write_all(file: IO[bytes], data: bytes) -> None:
    """Append all of `data`, or nothing where the disk does not take it."""
    start = file.seek(0, os.SEEK_END)
    try:
        view = memoryview(data)
        while view:
            view = view[file.write(view) :]
    except OSError:
        file.truncate(start)  # a full disk must not leave half a batch behind
        raise


class disk:
    """Turn a full disk or a missing permission into one clear line."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if not isinstance(error, OSError):
            return
        reasons = {
            errno.ENOSPC: "the disk is full: free some space and run the same command again",
            errno.EDQUOT: "the disk quota is used up: free some space and run the same command again",
            errno.EFBIG: "a file-size limit was hit: raise it (ulimit -f) and run the same command again",
            errno.EACCES: "permission denied: choose another folder with -o",
            errno.EPERM: "permission denied: choose another folder with -o",
            errno.EROFS: "the filesystem is read-only: choose another folder with -o",
            errno.ENOTDIR: "a file stands where the folder should be: choose another folder with -o",
            errno.ENOENT: "no folder can be made there: choose another folder with -o",
            errno.ENAMETOOLONG: "the name is too long: choose another folder with -o",
            errno.EISDIR: "a folder stands where a file should be: remove it, or choose another folder with -o",
            errno.EEXIST: "a file stands where the folder should be: choose another folder with -o",
        }
        if error.errno in reasons:
            raise EnvironmentProblem(f"cannot write to {self.folder}: {reasons[error.errno]}") from error


def lock(path: Path) -> IO[str]:
    """Hold an advisory lock on `path`; the kernel lets go of it however this process ends.

    Raises UsageError for anything but a regular file of that name: no link is followed.
    """
    import fcntl

    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o644)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO, errno.EISDIR):
            raise UsageError(f"{path} is no regular file: remove it, or choose another folder with -o") from error
        raise
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise UsageError(f"{path} is no regular file: remove it, or choose another folder with -o")
    file = os.fdopen(handle, "r+", encoding="utf-8", errors="replace")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = " ".join(file.read(200).split()) or "another process"
        file.close()
        if error.errno in (errno.EAGAIN, errno.EACCES, errno.EWOULDBLOCK):
            raise Locked(
                f"{path.parent} is locked by {holder}: wait for it, or choose another folder with -o"
            ) from None
        raise
    file.truncate(0)
    file.write(f"pid {os.getpid()} on {socket.gethostname()} since {time.strftime('%Y-%m-%d %H:%M:%S')}")
    file.flush()
    return file


def check_inside(folder: Path, *names: str) -> None:
    """Raise UsageError where something in `folder`, or in a folder of these names inside it, is no file or folder.

    A link would lead elsewhere, a pipe would be waited for.
    """
    for place in (folder, *(folder / name for name in names)):
        for each in sorted(place.iterdir()) if place.is_dir() else ():
            try:
                mode = each.lstat().st_mode
            except FileNotFoundError:  # another writer's draft, which has its name by now
                continue
            if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                what = "a link" if stat.S_ISLNK(mode) else "no regular file"
                raise UsageError(f"{each} is {what}: a run lies in its own folder; remove it, or choose another -o")


def lines_with(path: Path, sample_id: str) -> Iterator[bytes]:
    """Yield the lines of a file of ours that name a sample."""
    if path.stat().st_size == 0:
        return
    needle = b'"sample_id":' + dump(sample_id).encode()
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as held:
        at = held.find(needle)
        while at >= 0:
            start, end = held.rfind(b"\n", 0, at) + 1, held.find(b"\n", at)
            end = len(held) if end < 0 else end
            yield held[start:end]
            at = held.find(needle, end)
