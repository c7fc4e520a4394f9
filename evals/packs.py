"""Pictures in packs: plain tars, each written by one process alone; a picture's line says where its bytes lie.

    packs/<writer>.tar   a process's own while a run goes on; what no line speaks of is no picture of the run
    packs/<12 hex>.tar   what the end of a run leaves: every picture once, in the order of what was asked

Nobody changes a pack that another process made, so that none needs a lock. The name of the last one is the digest of
what it holds: it can be written before the lines say so and never stands for another content; a kill between the two
leaves lines that fit packs which are there still. A tar's headers are for people and their tools: nothing here reads
them, so that false ones lead nowhere.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
import tarfile
import tempfile
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from .errors import EnvironmentProblem
from .files import disk, publish_lines, write_all
from .pictures import MOST_BYTES
from .types import Json, Packed, Prediction

FOLDER = "packs"
MANY = 20_000
"""Pictures of a run from which they are packed unless it is said otherwise."""
_NAME = re.compile(r"[0-9A-Za-z-]{1,80}", re.ASCII)
_BLOCK = 512
_END = bytes(2 * _BLOCK)
_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_NEW = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
Line = Mapping[str, Json]
"""A stored line of a picture: `image`, `bytes` and `sha256`, of a packed one also `pack` and `at`."""


def is_packed(folder: Path) -> bool:
    """Return whether the pictures of a run are kept in packs."""
    return (folder / FOLDER).is_dir()


def is_place(row: Line) -> bool:
    """Return whether a line that names a pack names one as they are named, and a place within it."""
    pack, at = row.get("pack"), row.get("at")
    return type(pack) is str and _NAME.fullmatch(pack) is not None and type(at) is int


def place_of(folder: Path, row: Line) -> Packed | None:
    """Return where the picture of a line lies in a pack; None of one that is a file."""
    if "pack" not in row:
        return None
    return Packed(folder / FOLDER / f"{row['pack']}.tar", row["at"], row["bytes"], row["sha256"])


# -- reading ------------------------------------------------------------------------------------------


def held(place: Packed) -> bytes | None:
    """Return the bytes of a packed picture; None where they are not there, or are others."""
    if place.at < 0 or not 0 <= place.size <= MOST_BYTES or place.pack.parent.is_symlink():
        return None
    with suppress(OSError), open(place.pack, "rb", opener=_opened) as file:
        found = os.fstat(file.fileno())
        if stat.S_ISREG(found.st_mode) and place.at + place.size <= found.st_size:
            file.seek(place.at)
            data = file.read(place.size)
            return data if hashlib.sha256(data).hexdigest() == place.sha256 else None
    return None


def _opened(path: str, _: int) -> int:
    return os.open(path, _READ)


def unpack(place: Packed) -> bytes:
    """Return the bytes of a packed picture. Raises EnvironmentProblem where they are not what its line tells of."""
    data = held(place)
    if data is None:
        raise EnvironmentProblem(
            f"{place.pack} is damaged, or gone: no picture of {place.size} bytes with its digest lies at {place.at}; "
            "the run that it belongs to makes it again"
        )
    return data


def picture(folder: Path, row: Line) -> bytes:
    """Return the bytes of the picture of a run's line, wherever it lies. Raises EnvironmentProblem."""
    place = place_of(folder, row)
    if place is not None:
        return unpack(place)
    path = file_of(folder, row)
    try:
        if path is not None and path.stat().st_size == row["bytes"] <= MOST_BYTES:
            return path.read_bytes()
    except OSError as error:
        raise EnvironmentProblem(f"{path} cannot be read: {error.strerror}") from error
    raise EnvironmentProblem(f"{folder / str(row['image'])} is not the picture that its line tells of")


def file_of(folder: Path, row: Line) -> Path | None:
    """Return the file that the line of a picture names; None where that would not lie within the run."""
    path = folder / str(row["image"])
    inside = path.is_relative_to(folder) and ".." not in path.parts[len(folder.parts) :]
    return path if inside and _is_name(path) else None


def _is_name(path: Path) -> bool:
    try:
        return b"\0" not in os.fsencode(path)
    except UnicodeEncodeError:  # a lone surrogate that stands for no byte
        return False


@contextmanager
def unpacked(predictions: Sequence[Prediction]) -> Generator[Sequence[Prediction]]:
    """Give predictions whose pictures are files: those of packs lie for so long in a folder that goes away."""
    if all(each.packed is None for each in predictions):
        yield predictions
        return
    with tempfile.TemporaryDirectory(prefix="janus-eval-") as place:
        with disk(Path(place)):
            shown = [_as_file(each, Path(place) / str(number)) for number, each in enumerate(predictions)]
        yield shown


def _as_file(prediction: Prediction, folder: Path) -> Prediction:
    if prediction.packed is None or prediction.image is None:
        return prediction
    folder.mkdir()
    path = folder / prediction.image.name  # what an observer says of a picture may repeat its name
    path.write_bytes(unpack(prediction.packed))
    return replace(prediction, image=path, packed=None)


# -- writing ------------------------------------------------------------------------------------------


class Pack:
    """A pack that this process makes and alone appends to. Raises OSError where that is impossible."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(exist_ok=True)
        if path.parent.is_symlink():
            raise OSError(errno.ENOTDIR, "a link stands where the folder should be", str(path.parent))
        self.path = path
        self._file = os.fdopen(os.open(path, _NEW, 0o644), "ab", buffering=0)

    def add(self, pictures: Sequence[tuple[str, bytes]]) -> list[int]:
        """Append pictures under their names, all or none, and return where the bytes of each begin."""
        parts: list[bytes] = []
        places: list[int] = []
        end = self._file.seek(0, os.SEEK_END)
        for name, data in pictures:
            at, end = span(end, name, len(data))
            places.append(at)
            parts += _member(name, data)
        write_all(self._file, b"".join(parts))
        os.fsync(self._file.fileno())
        return places

    def close(self) -> None:
        """Let go of it."""
        self._file.close()


def span(start: int, name: str, size: int) -> tuple[int, int]:
    """Return where the bytes of a picture lie whose header begins at `start`, and where the next header does."""
    at = start + len(_header(name, size))
    return at, at + size + -size % _BLOCK


def _header(name: str, size: int) -> bytes:
    entry = tarfile.TarInfo(name)  # of no time, and nobody's: equal pictures make equal packs
    entry.size = size
    return entry.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def _member(name: str, data: bytes) -> list[bytes]:
    return [_header(name, len(data)), data, bytes(-len(data) % _BLOCK)]


# -- one order ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Order:
    """The one pack of some lines' pictures in their order: its name ("" where there are none) and its bytes before
    the end mark; `source` is the pack in which they lie just so already."""

    name: str
    size: int
    source: str | None


def order(rows: Iterable[Line]) -> Order:
    """Return the pack that the pictures of these lines make."""
    digest, end = hashlib.sha256(), 0
    sources: set[str | None] = set()
    for row in rows:
        digest.update(f"{row['sha256']} {row['image']}\0".encode("utf-8", "surrogatepass"))
        at, end = span(end, row["image"], row["bytes"])
        sources.add(row["pack"] if row.get("at") == at else None)
    source = sources.pop() if len(sources) == 1 else None
    return Order(digest.hexdigest()[:12] if end else "", end, source)


def is_alone(folder: Path, found: Order) -> bool:
    """Return whether a pack in that order is all that lies among a run's packs."""
    names = {each.name for each in (folder / FOLDER).iterdir()}
    return found.source == (found.name or None) and names == ({f"{found.name}.tar"} if found.name else set())


def gather(folder: Path, rows: Callable[[], Iterable[Line]], own: Path | None) -> str:
    """Leave the pictures of some lines in one pack, in their order, and return its name; other packs stay.

    `own` is a pack that this process made and let go of: where it is just that, it gets a further name and no picture
    is copied. Raises EnvironmentProblem where a picture is not whole any more.
    """
    found = order(rows())
    target = folder / FOLDER / f"{found.name}.tar"
    if not found.name or found.source == found.name:
        return found.name
    if own is None or found.source != own.stem or not _named(own, target, found.size):
        publish_lines(target, _members(folder, rows()))
    return found.name


def _named(own: Path, target: Path, size: int) -> bool:
    """End a pack of ours behind its first `size` bytes and give it another name; False where that is not possible."""
    with own.open("r+b") as file:
        file.truncate(size)
        file.seek(size)
        file.write(_END)
        file.flush()
        os.fsync(file.fileno())
    target.unlink(missing_ok=True)
    try:
        os.link(own, target)
    except OSError:  # a file system without links
        return False
    return True


def _members(folder: Path, rows: Iterable[Line]) -> Iterator[bytes]:
    for row in rows:
        yield from _member(row["image"], picture(folder, row))
    yield _END


def clear(folder: Path, name: str) -> None:
    """Remove what lies among a run's packs, apart from the one of that name."""
    for each in (folder / FOLDER).iterdir():
        if each.name != f"{name}.tar":
            each.unlink(missing_ok=True)
