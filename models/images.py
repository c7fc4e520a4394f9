"""A system that is only a folder of pictures: `images:DIR`, made by anyone and anyhow."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from ..evals.assets import fetch as data
from ..evals.errors import InvalidImage, UsageError
from ..evals.types import Job, Json, Kind, Output

_NUMBERED = re.compile(r"(\d{1,9})\.(?:png|jpg|jpeg|webp)", re.ASCII | re.IGNORECASE)
_MOST_BYTES = 256 << 20
"""No picture of a benchmark is larger; a file that is would fill memory before it could be refused."""


class Images:
    """Pictures at DIR/<sample id>/samples/<number>.png (GenEval's layout) or DIR/<sample id>/<number>.png.

    Numbers may have any leading zeros and count from 0, or from 1 where a sample has no 0. PNG, JPEG
    and WebP are taken, bytes unchanged. Nothing outside of DIR is ever read, symbolic links included.
    Where DIR/<sample id>/metadata.jsonl says which prompt was drawn, it must be the one asked for.
    """

    kinds: frozenset[Kind] = frozenset(("image",))
    inert = ("folder",)

    def __init__(self, folder: Path) -> None:
        """Raises UsageError where `folder` is no folder."""
        if not folder.is_dir():
            raise UsageError(f"images:{folder}: no such folder; expected DIR/00000/samples/0000.png and so on")
        self.folder = folder.resolve()
        self._found: dict[str, Mapping[int, Path]] = {}

    @cached_property
    def card(self) -> Mapping[str, Json]:
        """Return how many pictures there are and a digest of their names and bytes, wherever DIR lies."""
        files = sorted(path for path in self.folder.rglob("*") if _NUMBERED.fullmatch(path.name) and self._inside(path))
        digest = hashlib.sha256()
        for path, found in zip(files, data.digests(files, "sha256"), strict=True):
            name = path.relative_to(self.folder).as_posix().encode(errors="surrogateescape")
            digest.update(name + b"\0" + bytes.fromhex(found["sha256"]))
        return {"pictures": len(files), "sha256": digest.hexdigest()[:12]}

    def batch_size(self, jobs: Sequence[Job]) -> int:
        return min(len(jobs), 64)

    def predict(self, jobs: Sequence[Job]) -> Sequence[Output]:
        """Return the file of each job. Raises InvalidImage naming the one that is missing or refused."""
        return [self._file(job) for job in jobs]

    def _file(self, job: Job) -> Path:
        name = job.sample.id
        pictures = self._found.get(name)
        if pictures is None:
            pictures = self._found[name] = self._pictures(name, job.sample.prompt)
        first = 0 if 0 in pictures or 1 not in pictures else 1
        path = pictures.get(job.index + first)
        if path is None:
            wanted = self.folder / name / "samples" / f"{job.index:04d}.png"
            raise InvalidImage(f"no picture {job.index} of sample {name!r}: expected {wanted}; found {len(pictures)}")
        if not self._inside(path):
            raise InvalidImage(f"{path} is refused: it is no regular file inside {self.folder}")
        if path.stat().st_size > _MOST_BYTES:
            raise InvalidImage(f"{path} is refused: {path.stat().st_size} bytes is no picture of a benchmark")
        return path

    def _pictures(self, name: str, prompt: str) -> dict[int, Path]:
        """Return a sample's files by number; of several spellings of a number the first by name."""
        if name in ("", ".", "..") or "/" in name or "\0" in name:
            raise InvalidImage(f"sample {name!r} cannot name a folder inside {self.folder}")
        self._check_prompt(self.folder / name / "metadata.jsonl", name, prompt)
        pictures: dict[int, Path] = {}
        for place in (self.folder / name / "samples", self.folder / name):
            if not place.is_dir() or not place.resolve().is_relative_to(self.folder):
                continue
            for path in sorted(place.iterdir()):
                number = _NUMBERED.fullmatch(path.name)
                if number:
                    pictures.setdefault(int(number[1]), path)
            if pictures:
                break
        return pictures

    def _check_prompt(self, path: Path, name: str, prompt: str) -> None:
        """Refuse pictures that were drawn for another prompt: they would be judged by the wrong one."""
        if not self._inside(path) or path.stat().st_size > 1 << 20:
            return
        try:
            row: Any = json.loads(path.read_bytes())
        except (ValueError, RecursionError):
            return  # not ours to judge: the benchmark that reads it says what is wrong with it
        drawn: Any = row.get("prompt") if isinstance(row, dict) else None
        if isinstance(drawn, str) and drawn != prompt:
            raise UsageError(
                f"{path}: drawn for {drawn!r}, but {name!r} asks for {prompt!r}; name the suite they were drawn for "
                f"(--data {self.folder})"
            )

    def _inside(self, path: Path) -> bool:
        try:
            return path.is_file() and path.resolve().is_relative_to(self.folder)
        except (OSError, RuntimeError):  # a loop of links
            return False
