"""The embedded world's editor: it looks for things in a picture, changes them as it is told, and draws them again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ...evals.errors import JanusEvalError
from ...evals.pictures import open_picture
from ...evals.types import Job, Json, Kind, Output

if TYPE_CHECKING:
    from PIL.Image import Image


class EditToy:
    """Edits scenes of the embedded world by rule (`benchmarks.toy.edits`), offline; no model.

    It finds things by their icons, carries out what it understands (colours, removal, addition, replacement, moves,
    backgrounds, black and white, cut-outs; English and Chinese), and gives any other instruction's picture back as
    it was. The result has the size of the source.
    """

    kinds: frozenset[Kind] = frozenset(("edit",))
    world = "toy"
    independent = True
    image_size = 256

    @property
    def card(self) -> Mapping[str, Json]:
        return {"editor": "toy-rule-1"}

    def predict(self, jobs: Sequence[Job]) -> Sequence[Output]:
        """Return one picture for each job, in order. Raises InvalidImage for a source that cannot be decoded."""
        return [self._edited(job) for job in jobs]

    def _edited(self, job: Job) -> Image:
        from PIL import Image

        from .edits import edited, small, understood

        if not job.sample.images:
            raise JanusEvalError(f"sample {job.sample.id!r} has no picture to edit")
        source = job.sample.images[0]
        picture = open_picture(source.read(), source.name)
        edits = understood(job.sample.prompt)
        if not edits:
            return picture
        made = Image.fromarray(edited(small(picture), edits))
        return made if made.size == picture.size else made.resize(picture.size, Image.Resampling.NEAREST)
