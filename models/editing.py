"""How pipelines of diffusers edit: what takes the sources, what stands before the instruction, the result's size."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ..evals.errors import JanusEvalError
from ..evals.pictures import open_picture
from ..evals.types import Job, Kind

if TYPE_CHECKING:
    from PIL.Image import Image

_STEP: Final = 32
"""Pixels: a side of an edited picture is a multiple of it, which the pipelines below all take."""


@dataclass(frozen=True, slots=True)
class Editing:
    """How one pipeline class edits.

    `argument` takes the sources, at most `most` of them; `mark`, where there is one, stands before the instruction for
    each source, with its number from 1. `draws` says that the class draws without a source too; `area` is an argument
    that bounds the pixels.
    """

    argument: str = "image"
    most: int = 1
    mark: str = ""
    draws: bool = True
    area: str = ""


EDITORS: Final[Mapping[str, Editing]] = {
    "FluxKontextPipeline": Editing(draws=False, area="max_area"),
    "QwenImageEditPipeline": Editing(draws=False),
    "Flux2Pipeline": Editing(most=4),
    "Flux2KleinPipeline": Editing(most=4),
    "OmniGenPipeline": Editing("input_images", 3, "<img><|image_{}|></img> "),
}
"""By class, as diffusers 0.42.1 has them; OmniGen's mark is that of its documentation."""


def kinds_of(pipeline: str) -> frozenset[Kind]:
    """Return what a pipeline class gives: drawings, edits or both."""
    found = EDITORS.get(pipeline)
    if found is None:
        return frozenset(("image",))
    return frozenset(("image", "edit")) if found.draws else frozenset(("edit",))


def asked(pipeline: str, job: Job, side: int | None) -> dict[str, Any]:
    """Return what a pipeline is asked for one edit: sources, prompt, and, of about `side` squared pixels in the first
    source's shape, the size. Raises JanusEvalError where the sources are too many or none."""
    editor = EDITORS[pipeline]
    pictures = [open_picture(each.read(), each.name) for each in job.sample.images]
    if not 1 <= len(pictures) <= editor.most:
        raise JanusEvalError(
            f"sample {job.sample.id!r} has {len(pictures)} pictures to edit: a {pipeline} takes 1"
            + (f" to {editor.most}" if editor.most > 1 else "")
        )
    marks = "".join(editor.mark.format(number) for number in range(1, len(pictures) + 1))
    found: dict[str, Any] = {"prompt": marks + job.sample.prompt}
    found[editor.argument] = pictures if editor.most > 1 else pictures[0]
    if side is not None:
        width, height = size(pictures[0], side)
        found |= {"width": width, "height": height} | ({editor.area: width * height} if editor.area else {})
    return found


def size(picture: Image, side: int) -> tuple[int, int]:
    """Return width and height in a picture's shape, about side x side pixels, each a multiple of 32."""
    shape = math.sqrt(picture.width / picture.height)
    width, height = (max(_STEP, round(each / _STEP) * _STEP) for each in (side * shape, side / shape))
    return width, height
