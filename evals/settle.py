"""One order of lines, whoever wrote them: the bytes of a finished run do not tell how many machines there were."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from . import packs
from .files import dump, publish_lines, seal
from .packs import Line
from .stored import Key, files, is_foreign, line_key, read_line, says_whose, whose

Place = tuple[Path, int, int]
"""A line within a file: where it begins, how long it is."""
MAIN = "0"
"""The writer that holds a run's lock."""


def settle(
    folder: Path,
    stream: str,
    keys: Sequence[Key],
    fits: Callable[[Key, Line], bool],
    *,
    torn: bool,
    own: Path | None = None,
    lost: Collection[Key] = (),
) -> None:
    """Leave the lines of `predictions` or `evidence` in one file, one a key, in the order of `keys`.

    Of several lines of one key the last that `fits` stays, else the last; `torn` lines, another run's and those of the
    keys that are `lost` are left out.
    Where pictures are packed, one pack is left, in the same order, and a picture that does not fit has no line; `own`
    is the pack that this process wrote.
    """
    found = files(folder, stream)
    packed = stream == "predictions" and packs.is_packed(folder)
    alone = all(path.stem == MAIN for path in found) and not torn and all(_in_order(path, keys) for path in found)
    if alone and not (packed and not packs.is_alone(folder, packs.order(_pictures(_every(found))))):
        return
    places: dict[Key, list[Place]] = {}
    ours = whose(folder, stream)
    for path in found:
        marked = says_whose(path)
        for place, line in _placed(path):
            row = read_line(line, stream)
            if row is not None and not is_foreign(row, ours, marked=marked) and line_key(row) not in lost:
                places.setdefault(line_key(row), []).append(place)
    known = set(keys)
    order = [*keys, *sorted(key for key in places if key not in known)]
    main = folder / stream / f"{MAIN}.jsonl"
    chosen = (_chosen(key, places[key], stream, fits, packed=packed) for key in order if key in places)
    if packed:
        kept = [place for place in chosen if place is not None]
        name = packs.gather(folder, lambda: _pictures(map(_read, kept)), own)
        loose = [row["image"] for row in _pictures(map(_read, kept)) if "pack" not in row]
        publish_lines(main, _moved(map(_read, kept), name))
        packs.clear(folder, name)
        for image in loose:  # of a shard that kept files
            _remove(folder, folder / image)
    else:
        publish_lines(main, (_read(place) for place in chosen if place is not None))
    for path in found:
        if path.stem != MAIN:
            path.unlink(missing_ok=True)


def _in_order(path: Path, keys: Sequence[Key]) -> bool:
    """Return whether each key has at most one line, in order; their heads are compared, nothing is parsed."""
    heads = map(_head, keys)
    with path.open("rb") as file:
        for line in file:
            told = line[_SUM:]
            if not any(told.startswith(head) for head in heads):  # goes on where the last line was found
                return False
    return True


_SUM = len('{"sum":"01234567",')


def _head(key: Key) -> bytes:
    kind, sample_id, index = key
    return f'"sample_id":{dump(sample_id)},"index":{index},"kind":"{kind}",'.encode()


def _placed(path: Path) -> Iterator[tuple[Place, bytes]]:
    start = 0
    with path.open("rb") as file:
        for line in file:
            yield (path, start, len(line)), line
            start += len(line)


def _chosen(
    key: Key, places: Sequence[Place], stream: str, fits: Callable[[Key, Line], bool], *, packed: bool
) -> Place | None:
    if len(places) == 1 and not packed:
        return places[0]
    rows = [(place, read_line(_read(place), stream)) for place in places]
    least = None if packed else places[-1]
    return next((place for place, row in reversed(rows) if row is not None and fits(key, row)), least)


def _every(found: Sequence[Path]) -> Iterator[bytes]:
    for path in found:
        with path.open("rb") as file:
            yield from file


def _pictures(lines: Iterable[bytes]) -> Iterator[Line]:
    """Yield the rows of the lines that tell of pictures."""
    for line in lines:
        row = read_line(line, "predictions")
        if row is not None and row.get("image") is not None:
            yield row


def _moved(lines: Iterable[bytes], pack: str) -> Iterator[bytes]:
    """Yield lines, those of pictures as they lie one behind the other in a pack."""
    end = 0
    for line in lines:
        row = next(_pictures([line]), None)
        if row is None:
            yield line
            continue
        at, end = packs.span(end, row["image"], row["bytes"])
        told = {**row, "pack": pack, "at": at}
        if "for" in row:  # behind the place, as where a pack was written from the start
            told = {key: each for key, each in told.items() if key != "for"} | {"for": row["for"]}
        yield f"{seal(told)}\n".encode()


def _remove(folder: Path, path: Path) -> None:
    """Remove a file and the folders that are empty then, up to the run's; what a link leads to elsewhere stays."""
    if not path.parent.resolve().is_relative_to(folder.resolve()):
        return
    path.unlink(missing_ok=True)
    with suppress(OSError):
        for each in path.relative_to(folder).parents:
            if each.name:
                (folder / each).rmdir()


def _read(place: Place) -> bytes:
    path, start, size = place
    with path.open("rb") as file:
        file.seek(start)
        return file.read(size).rstrip(b"\n") + b"\n"
