"""Models without weights: for tests, for gating the harness itself, and as a floor in a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ..evals.errors import JanusEvalError, UsageError
from ..evals.pictures import open_picture
from ..evals.types import Job, Json, Kind, Output

if TYPE_CHECKING:
    from PIL.Image import Image


class FixedAnswer:
    """Gives one answer to every question, and every option the same likelihood."""

    kinds: frozenset[Kind] = frozenset(("text", "likelihood"))
    inert = ("answer",)

    def __init__(self, answer: str) -> None:
        self.answer = answer

    @property
    def card(self) -> Mapping[str, Json]:
        return {"answer": self.answer}

    def predict(self, jobs: Sequence[Job]) -> Sequence[Output]:
        return [self.answer if job.kind == "text" else (0.0,) * len(job.sample.options) for job in jobs]


def always_yes(*, answer: str = "Yes") -> FixedAnswer:
    """Return the model that says yes, or whatever else `answer` is."""
    return FixedAnswer(answer)


def first_option(*, answer: str = "A") -> FixedAnswer:
    """Return the model that always chooses the first option."""
    return FixedAnswer(answer)


class BlankImage:
    """Draws a square of one grey, `size` pixels wide, whatever the prompt."""

    kinds: frozenset[Kind] = frozenset(("image",))
    inert = ("size", "grey")

    def __init__(self, *, size: int = 64, grey: int = 255) -> None:
        self.size = _positive(size)
        self.grey = grey

    @property
    def card(self) -> Mapping[str, Json]:
        return {"size": self.size, "grey": self.grey}

    def predict(self, jobs: Sequence[Job]) -> Sequence[Output]:
        from PIL import Image

        return [Image.new("RGB", (self.size, self.size), (self.grey,) * 3) for _ in jobs]


class SamePicture:
    """Edits nothing: gives the picture back that it was to edit, the floor of a table of editors."""

    kinds: frozenset[Kind] = frozenset(("edit",))
    independent = True

    @property
    def card(self) -> Mapping[str, Json]:
        return {}

    def predict(self, jobs: Sequence[Job]) -> Sequence[Output]:
        """Return each job's first picture. Raises InvalidImage where that cannot be decoded."""
        return [self._first(job) for job in jobs]

    def _first(self, job: Job) -> Image:
        if not job.sample.images:
            raise JanusEvalError(f"sample {job.sample.id!r} has no picture to edit")
        source = job.sample.images[0]
        return open_picture(source.read(), source.name)


class NoiseImage:
    """Draws noise that depends on the job's seed alone: 8 by 8 coloured tiles, so that files stay small."""

    kinds: frozenset[Kind] = frozenset(("image",))
    inert = ("size",)

    def __init__(self, *, size: int = 64) -> None:
        self.size = _positive(size)

    @property
    def card(self) -> Mapping[str, Json]:
        return {"size": self.size}

    def predict(self, jobs: Sequence[Job]) -> Sequence[Output]:
        return [self._draw(job.seed) for job in jobs]

    def _draw(self, seed: int) -> Image:
        import hashlib

        from PIL import Image

        # SHAKE, not a library's generator: the same picture under every version of every package.
        tiles = Image.frombytes("RGB", (8, 8), hashlib.shake_256(str(seed).encode()).digest(8 * 8 * 3))
        return tiles.resize((self.size, self.size), Image.Resampling.NEAREST)


def _positive(size: int) -> int:
    if not 1 <= size <= 8192:
        raise UsageError(f"size: expected 1 to 8192 pixels, found {size}")
    return size
