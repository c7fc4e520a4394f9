"""The picture as OneIG-Bench's judge sees it: a square of the makers' grid, which their scripts save as JPEG."""

from __future__ import annotations

import io
from collections.abc import Sequence

from ...evals.errors import InvalidImage
from ...evals.pictures import open_picture
from ...evals.types import Picture, Prediction, Sample


def as_judged(sample: Sample, prediction: Prediction) -> Sequence[Picture]:
    """Return the picture to judge, none where there is none; reading it raises InvalidImage for a black one."""
    pictures = sample.images if prediction.image is None else (Picture.file(prediction.image),)
    return [Picture(f"{each.name}.jpg", lambda each=each: jpeg(each.read(), each.name)) for each in pictures[:1]]


def jpeg(data: bytes, name: str) -> bytes:
    """Return an encoded picture as PIL saves a JPEG where nothing is said of quality (75, colours at half size).

    Raises InvalidImage for a picture that cannot be read, and for one that is black all over: the makers' script for
    drawing puts such ones where a model gave none, and their scripts for scoring leave them out.
    """
    picture = open_picture(data, name)
    if picture.getbbox() is None:
        raise InvalidImage(f"picture {name!r} is black all over")
    found = io.BytesIO()
    try:
        picture.save(found, "JPEG")
    except (OSError, ValueError) as error:
        raise InvalidImage(f"picture {name!r} of {picture.width}x{picture.height} is too large for a JPEG") from error
    return found.getvalue()
