"""What a judge of edits is shown: the source and what became of it; and the edits whose verdicts are known."""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

from ...evals.pictures import MOST_DRAWN, decoded, rgb, upright
from ...evals.types import Json, Picture, Prediction, Sample
from ..judging.calibration import Fixed

if TYPE_CHECKING:
    from PIL.Image import Image

    from ..toy.edits import Edit, Operation

SIDE: Final = 512
"""Pixels of the calibration set's pictures."""
_SET: Final[Sequence[tuple[Operation, tuple[str, str, str, str, str], tuple[str, str]]]] = (
    ("recolour", ("red", "apple", "blue", "", ""), ("green", "cup")),
    ("remove", ("black", "cat", "", "", ""), ("yellow", "car")),
    ("replace", ("green", "bottle", "orange", "umbrella", ""), ("blue", "chair")),
    ("add", ("", "", "purple", "kite", "upper right"), ("brown", "book")),
)
"""An edit (operation, colour, thing, new colour, new thing, corner) and what else stands in the picture."""


def pair(sample: Sample, prediction: Prediction) -> tuple[Picture, Picture] | None:
    """Return the source and the edited picture; None where one of them is not there.

    An edit of the calibration set has both among `sample.images`, and a prediction without a file.
    """
    if prediction.image is not None and sample.images:
        return sample.images[0], Picture.file(prediction.image)
    if prediction.image is None and len(sample.images) == 2:
        return sample.images[0], sample.images[1]
    return None


def as_jpeg(picture: Picture) -> Picture:
    """Return a picture turned upright, as JPEG of PIL's default quality: how VIEScore's client sends it."""
    return Picture(f"{picture.name}.jpg", lambda: _jpeg(picture))


def fitted(picture: Picture, source: Picture) -> Picture:
    """Return a picture in the size of its source, as JPEG."""

    def read() -> bytes:
        size = decoded(source.read()).size
        return _encoded(rgb(decoded(picture.read(), MOST_DRAWN)).resize(size))

    return Picture(f"{picture.name}.jpg", read)


def _jpeg(picture: Picture) -> bytes:
    return _encoded(rgb(upright(decoded(picture.read()))))


def _encoded(picture: Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG")
    return buffer.getvalue()


def calibration(expected: Sequence[Json], targets: Sequence[Json]) -> Sequence[Fixed]:
    """Return eight edits of the embedded world, each as it was asked for and left undone.

    `expected` are the verdicts on a right and on a wrong edit, `targets` what the task's samples hold beside the
    instruction, one for each of recolour, remove, replace, add.
    """
    from ..toy.edits import Edit, worded

    found: list[Fixed] = []
    for (operation, words, other), target in zip(_SET, targets, strict=True):
        edit = Edit(operation, *words)
        text = worded([edit])
        for right in (True, False):
            name = f"{operation}-{'right' if right else 'undone'}"
            pictures = tuple(
                Picture(f"{name}-{when}.png", partial(_drawn, edit, other, done=done))
                for when, done in (("before", False), ("after", right))
            )
            sample = Sample(name, text, pictures, target=target)
            found.append(Fixed(sample, Prediction(name, kind="edit"), expected[not right]))
    return found


def _drawn(edit: Edit, other: tuple[str, str], *, done: bool) -> bytes:
    """Return a PNG of a scene before or after an edit: the thing upper left, the other lower left."""
    from PIL import Image

    from ..toy.edits import edited
    from ..toy.world import LAST, Scene, Thing, pixels

    things = [Thing(edit.name, edit.color, 0, 0)] if edit.name else []
    before = pixels(Scene((*things, Thing(other[1], other[0], LAST, 0))))
    picture = Image.fromarray(edited(before, [edit]) if done else before)
    buffer = io.BytesIO()
    picture.resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(buffer, "PNG")
    return buffer.getvalue()
