"""One order of lines, whoever wrote them: the bytes of a finished run do not tell how many machines there were."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from .files import dump, publish_lines
from .stored import Key, Line, files, is_foreign, line_key, read_line, whose

Place = tuple[Path, int, int]
"""A line within a file: where it begins, how long it is."""
MAIN = "0"
"""The writer that holds a run's lock."""


def settle(folder: Path, stream: str, keys: Sequence[Key], fits: Callable[[Key, Line], bool], *, torn: bool) -> None:
    """Leave the lines of `predictions` or `evidence` in one file, one a key, in the order of `keys`.

    Of several lines of one key the last that `fits` stays, else the last; `torn` lines and another run's are left out.
    """
    found = files(folder, stream)
    alone = all(path.stem == MAIN for path in found)
    if alone and not torn and all(_in_order(path, keys) for path in found):
        return
    places: dict[Key, list[Place]] = {}
    ours = whose(folder, stream)
    for path in found:
        for place, line in _placed(path):
            row = read_line(line, stream)
            if row is not None and not is_foreign(row, ours):
                places.setdefault(line_key(row), []).append(place)
    known = set(keys)
    order = [*keys, *sorted(key for key in places if key not in known)]
    lines = (_chosen(key, places[key], stream, fits) for key in order if key in places)
    publish_lines(folder / stream / f"{MAIN}.jsonl", lines)
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


def _chosen(key: Key, places: Sequence[Place], stream: str, fits: Callable[[Key, Line], bool]) -> bytes:
    lines = [_read(place) for place in places]
    if len(lines) == 1:
        return lines[0]
    rows = [(line, read_line(line, stream)) for line in lines]
    return next((line for line, row in reversed(rows) if row is not None and fits(key, row)), lines[-1])


def _read(place: Place) -> bytes:
    path, start, size = place
    with path.open("rb") as file:
        file.seek(start)
        return file.read(size).rstrip(b"\n") + b"\n"
