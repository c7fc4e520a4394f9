"""What suites of prompts share: files of their makers, which are fetched, the embedded world's, or given."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from ...evals.assets import fetch as sources
from ...evals.errors import UsageError
from ...evals.types import Json, Kind


class Prompts:
    """A suite of pictures for prompts. `data` is "official" (fetched from its makers), "toy", or a path."""

    name = ""
    kind: Kind = "image"
    outputs = 1
    worlds = ("toy",)
    decimals = 2
    names_its_samples = True
    inert = ("data", "world", "offline")

    def __init__(self, data: str = "official", *, world: str = "official", offline: bool = False) -> None:
        self.data = "toy" if data == "official" and world == "toy" else data
        self.offline = offline

    @property
    def _asset(self) -> str:
        return self.name.replace("_", "-")

    def assets(self) -> Sequence[str]:
        """Return what holds the prompts, as `janus-eval data fetch` names it, where they are the official ones."""
        return (self._asset,) if self.data == "official" else ()

    @cached_property
    def path(self) -> Path:
        """The file or folder of prompts, fetched where it is the official one."""
        if self.data == "toy":
            from ..toy import data as toy_world  # draws pictures: numpy and PIL stay out of scoring

            return toy_world.file(self.name)
        if self.data == "official":
            return sources.fetch(self._asset, offline=self.offline)
        return sources.expanded(self.data, "--data")

    def makers(self, names: Sequence[str]) -> tuple[Path, ...]:
        """Return the makers' files in the folder, in this order, or the one table that was given in their place.

        Raises UsageError for a folder that lacks one.
        """
        if not self.path.is_dir():
            return (self.path,)
        lacking = next((each for each in names if not (self.path / each).is_file()), None)
        if lacking:
            raise UsageError(f"{self.path}: no {lacking} here; expected {', '.join(names)}")
        return tuple(self.path / each for each in names)

    def named(self, files: Sequence[Path]) -> dict[str, Json]:
        """Return what a card tells of the files: their digest, and their world or origin if not official."""
        digest = hashlib.sha256(b"".join(each.read_bytes() for each in files)).hexdigest()[:16]
        return {"sha256": digest, **self._origin()}

    def _origin(self) -> Mapping[str, Json]:
        if self.data in ("toy", "official"):
            return {"world": "toy"} if self.data == "toy" else {}
        return {} if sources.is_published(self._asset, self.path) else {"origin": "given"}


def object_of(path: Path) -> dict[str, Any]:
    """Return the JSON object that a makers' file holds. Raises UsageError where it is none, or an empty one."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(found, dict) or not found:
        raise UsageError(f"{path}: expected an object that is not empty")
    return {str(key): value for key, value in found.items()}
