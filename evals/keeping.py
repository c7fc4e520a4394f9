"""Where a process puts the pictures of a run: a file each, where the official scripts look, or a pack of its own."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from functools import partial
from itertools import islice
from pathlib import Path

from .errors import UsageError
from .files import publish
from .packs import FOLDER, Line, Pack, file_of, is_packed, picture
from .types import Json

Entry = tuple[dict[str, Json], "bytes | None"]
"""A line that is about to be stored, and the bytes of its picture where it has one."""
_TOGETHER = 64
"""Another run's pictures that are in memory at a time."""


class Kept:
    """The pictures of one writer. `packed` says how they are kept: as the run began, else as it is wanted."""

    def __init__(self, folder: Path, writer: str, *, packed: bool) -> None:
        self.packed = is_packed(folder) or (packed and not (folder / "images").exists())
        self._folder, self._writer = folder, writer
        self._pack: Pack | None = None

    def keep(self, made: Sequence[Entry], pool: Executor) -> list[Line]:
        """Put the pictures of a batch on disk, a pack's all or none, and return the batch's lines."""
        drawn = [(row, data) for row, data in made if data is not None]
        if self.packed and drawn:
            self._add(drawn)
        else:
            list(pool.map(self._publish, drawn))
        return [row for row, _ in made]

    def take(self, other: Path, rows: Sequence[Line], pool: Executor) -> Iterator[list[Line]]:
        """Take over the pictures of another run and yield this run's lines of them, some at a time.

        Files become further names of the same bytes where the file system allows it.
        """
        left = iter(rows)
        count = _TOGETHER if any(map(self._to_be_read, rows)) else len(rows)  # nothing is in memory of what is linked
        while some := list(islice(left, count)):
            plain = [{key: value for key, value in row.items() if key not in ("pack", "at")} for row in some]
            drawn = [each for each, row in zip(plain, some, strict=True) if self._to_be_read(row)]
            read = pool.map(partial(picture, other), filter(self._to_be_read, some))
            self.keep(list(zip(drawn, read, strict=True)), pool)
            list(pool.map(partial(self._link, other), (row for row in some if not self._to_be_read(row))))
            yield list(plain)

    def close(self) -> Path | None:
        """Let go of this process's pack and return it, None where there is none; pictures may come all the same."""
        if self._pack is None:
            return None
        self._pack.close()
        path, self._pack = self._pack.path, None
        return path

    def _add(self, drawn: Sequence[tuple[dict[str, Json], bytes]]) -> None:
        if self._pack is None:
            name = self._writer if "-" in self._writer else f"{self._writer}-{secrets.token_hex(4)}"
            self._pack = Pack(self._folder / FOLDER / f"{name}.tar")
        places = self._pack.add([(row["image"], data) for row, data in drawn])
        for (row, _), at in zip(drawn, places, strict=True):
            row |= {"pack": self._pack.path.stem, "at": at}

    def _publish(self, drawn: tuple[dict[str, Json], bytes]) -> None:
        publish(self._place(drawn[0]), drawn[1])

    def _to_be_read(self, row: Line) -> bool:
        return row.get("image") is not None and (self.packed or "pack" in row)

    def _link(self, other: Path, row: Line) -> None:
        if row.get("image") is None:
            return
        target = self._place(row)
        with suppress(OSError):
            os.link(other / row["image"], target)
            return
        shutil.copyfile(other / row["image"], target)

    def _place(self, row: Line) -> Path:
        """Return where a line's picture shall lie, its folder made. Raises UsageError where that is not in the run."""
        path = file_of(self._folder, row)
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        if path is None or not path.parent.resolve().is_relative_to(self._folder.resolve()):
            where = self._folder / str(row["image"])
            raise UsageError(f"{where.parent} leads out of the run: remove the link, or choose another folder with -o")
        return path
