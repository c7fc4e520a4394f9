"""A system that is only a folder of pictures: `images:DIR`, made by anyone and anyhow."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from ..evals.assets import fetch as data
from ..evals.errors import InvalidImage, UsageError
from ..evals.layouts import Folder
from ..evals.types import Job, Json, Kind, Output


class Images:
    """Pictures in a folder, `images:DIR`, in any layout that `evals.layouts` reads, or named as `pattern` states.

    `pattern` is one such as '{prompt:05d}_{index}.png', or a CSV with the columns file and prompt (or id). Where
    DIR/<sample id>/metadata.jsonl says which prompt was drawn, it must be the one asked for.
    """

    kinds: frozenset[Kind] = frozenset(("image", "edit"))
    inert = ("folder", "pattern")

    def __init__(self, folder: Path, *, pattern: str | None = None) -> None:
        """Raises UsageError where `folder` is no folder, or the pattern none."""
        if not folder.is_dir():
            raise UsageError(f"images:{folder}: no such folder; expected DIR/00000/samples/0000.png and so on")
        self.folder = folder.resolve()
        self._pattern = pattern
        self._found: dict[str, Sequence[Path] | InvalidImage] = {}

    @cached_property
    def _pictures(self) -> Folder:
        return Folder(self.folder, self._pattern)

    @cached_property
    def card(self) -> Mapping[str, Json]:
        """Return how many pictures there are, a digest of names and bytes wherever DIR lies, and how they are named."""
        files = self._pictures.files()
        digest = hashlib.sha256()
        for path, found in zip(files, data.digests(files, "sha256"), strict=True):
            name = path.relative_to(self.folder).as_posix().encode(errors="surrogateescape")
            digest.update(name + b"\0" + bytes.fromhex(found["sha256"]))
        card: dict[str, Json] = {"pictures": len(files), "sha256": digest.hexdigest()[:12]}
        if self._pattern is not None:
            is_pattern = "{" in self._pattern
            table = b"" if is_pattern else Path(self._pattern).read_bytes()
            card["pattern"] = self._pattern if is_pattern else f"csv:{hashlib.sha256(table).hexdigest()[:12]}"
        return card

    def batch_size(self, jobs: Sequence[Job]) -> int:
        return min(len(jobs), 64)

    def predict(self, jobs: Sequence[Job]) -> Sequence[Output]:
        """Return the file of each job. Raises InvalidImage naming the one that is missing or refused."""
        return [self._file(job) for job in jobs]

    def _file(self, job: Job) -> Path:
        name = job.sample.id
        if name not in self._found:
            self._found[name] = self._of(name, job.sample.prompt)
        found = self._found[name]
        if isinstance(found, InvalidImage):
            raise found
        if job.index >= len(found):
            wanted = self.folder / name / "samples" / f"{job.index:04d}.png"
            have = f"{len(found)}" + (f" ({', '.join(path.name for path in found[:8])})" if found else "")
            raise InvalidImage(f"no picture {job.index} of sample {name!r}: expected {wanted}; found {have}")
        return self._pictures.check(found[job.index])

    def _of(self, name: str, prompt: str) -> Sequence[Path] | InvalidImage:
        """Return a sample's files, or why they cannot be used. Raises UsageError for a folder that fits nothing."""
        try:
            found = self._pictures.of(name, prompt)
        except InvalidImage as error:
            return error
        if not found and not self._pictures.fits(name):
            raise UsageError(f"images:{self._pictures.unfit(name)}")
        for place in {path.parent.parent if path.parent.name == "samples" else path.parent for path in found[:1]}:
            self._check_prompt(place / "metadata.jsonl", name, prompt)
        return found

    def _check_prompt(self, path: Path, name: str, prompt: str) -> None:
        """Refuse pictures that were drawn for another prompt: they would be judged by the wrong one."""
        if not self._pictures.is_inside(path) or path.stat().st_size > 1 << 20:
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
