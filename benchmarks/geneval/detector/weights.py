"""The detector's weights by name: where they come from, what identifies them, converted once."""

from __future__ import annotations

import os
import shutil
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ....evals.assets import fetch as data
from ....evals.assets.fetch import sha256
from ....evals.errors import UsageError
from ...toy import weights as toy_world
from .checkpoint import KNOWN_DIGESTS
from .convert import convert
from .folder import SETTINGS_FILE, source_digest

_ASSETS = {"official": ("geneval-detector", "743b7d99"), "official-3x": ("geneval-detector-3x", "c9d0c4f2")}
_FORMAT = 1
"""Counts changes of what a conversion writes, so that an older converted copy is not taken for a new one."""


@dataclass(frozen=True)
class Weights:
    """A detector as the user named it: official, official-3x, toy, hub:ORG/NAME, a checkpoint or a folder."""

    name: str
    offline: bool = False

    def __post_init__(self) -> None:
        if self.kind == "path" and not Path(self.name).exists():
            raise UsageError(
                f"detector {self.name!r}: no such file or folder; give official, official-3x, toy, "
                "hub:ORG/NAME, a checkpoint of mmdet (.pth, .safetensors) or a converted folder"
            )

    @property
    def kind(self) -> str:
        if self.name in _ASSETS or self.name == "toy":
            return self.name
        return "hub" if self.name.startswith("hub:") else "path"

    @property
    def asset(self) -> str | None:
        """The catalogue's name of what has to be fetched; None for what lies on this machine."""
        if self.kind in _ASSETS:
            return _ASSETS[self.kind][0]
        return self.name if self.kind == "hub" else None

    @property
    def place(self) -> Path | None:
        """Where the weights lie on this machine, as they were fetched; None where they do not."""
        if self.kind == "toy":
            return toy_world.packaged("detector")
        return Path(self.name) if self.asset is None else data.locate(self.asset)

    @cached_property
    def identity(self) -> str:
        """What the signature says: a known checkpoint, or what else was taken and its digest."""
        if self.kind in _ASSETS:
            return f"mask2former-swin-s-{_ASSETS[self.kind][1]}"
        if self.kind == "toy":
            return toy_world.identity("detector")
        if self.kind == "hub":
            digest = data.fingerprint(self._snapshot())
            return f"{self.name}#{digest} (approximation: another training run than GenEval's)"
        path = Path(self.name)
        digest = (source_digest(path) or data.fingerprint(path)) if path.is_dir() else sha256(path)
        if digest[:8] in KNOWN_DIGESTS:
            return f"mask2former-swin-s-{digest[:8]}"
        return f"unpublished-{digest[:12]}"

    def _snapshot(self) -> Path:
        patterns = ("config.json", "preprocessor_config.json", "model.safetensors")
        return data.hub_folder(self.name[4:], offline=self.offline, patterns=patterns)

    def checkpoint(self) -> Path:
        """Return mmdet's own file, fetched where it is the official one. Raises UsageError for anything else."""
        if self.kind in _ASSETS:
            return data.fetch(_ASSETS[self.kind][0], offline=self.offline)
        if self.kind == "path" and Path(self.name).is_file():
            return Path(self.name)
        raise UsageError(f"detector {self.name!r} is no checkpoint of mmdet: give official or a .pth file")

    def folder(self) -> AbstractContextManager[Path]:
        """Return the folder that transformers loads, converted where need be; it may go when the context ends."""
        if self.kind == "hub":
            return nullcontext(self._snapshot())
        if self.kind == "toy":
            return nullcontext(toy_world.packaged("detector"))
        if self.kind == "path" and Path(self.name).is_dir():
            return nullcontext(Path(self.name))
        return nullcontext(self._converted(self.checkpoint()))

    @staticmethod
    def _converted(path: Path) -> Path:
        folder = data.cache_root() / "geneval" / "converted" / f"{sha256(path)[:16]}-{_FORMAT}"
        if (folder / SETTINGS_FILE).is_file():
            return folder
        # Under a name of its own first: another process may be at the same, and the first to end is kept.
        mine = folder.with_name(f"{folder.name}.{os.getpid()}")
        convert(path, mine)
        try:
            mine.rename(folder)
        except OSError:
            shutil.rmtree(mine, ignore_errors=True)
            if not (folder / SETTINGS_FILE).is_file():
                raise
        return folder
