"""What judges by rule share: the embedded world's VQA model that answers, and pictures for calibration sets."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

from ...evals.pictures import open_picture
from ..toy.weights import packaged

if TYPE_CHECKING:
    from ..dpg_bench.vqa.observer import MPlugVqa


def drawn(thing: str, color: str) -> bytes:
    """Return a PNG of one thing of the embedded world, 512 pixels wide."""
    from PIL.Image import Resampling

    from ..toy.world import SIDE, Scene, Thing, draw

    buffer = io.BytesIO()
    picture = draw(Scene((Thing(thing, color, 2, 2),)))
    picture.resize((8 * SIDE, 8 * SIDE), Resampling.BICUBIC).save(buffer, "PNG")
    return buffer.getvalue()


def answered(url: str, questions: Sequence[str]) -> list[str]:
    """Return "yes" or "no" to each question about the picture of a data URL."""
    picture = open_picture(base64.b64decode(url.partition(",")[2]), "the picture")
    (said,) = _model().ask([picture], [list(questions)])
    return ["yes" if text == "yes" else "no" for text, _ in said]


@cache
def _model() -> MPlugVqa:
    import torch

    from ..dpg_bench.vqa.observer import MPlugVqa
    from ..dpg_bench.vqa.weights import load

    return MPlugVqa(*load(packaged("vqa"), "cpu", torch.float32), "cpu", torch.float32)
