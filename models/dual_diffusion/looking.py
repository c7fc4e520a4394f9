"""Pictures in and out of D-DiT: what it is shown as latents, what it drew as 8 bits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...evals.errors import InvalidImage, JanusEvalError
from ...evals.pictures import MOST_PIXELS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image
    from torch import Tensor


def shown(picture: Image, size: int) -> NDArray[np.float32]:
    """Return float32 (3, size, size) from -1 to 1: the short side resized bicubic to `size`, the middle cut out.

    Sizes are rounded as torchvision's Resize and CenterCrop do, which the authors use (sd3_modules/
    dual_diff_pipeline.py). Raises InvalidImage for a picture so narrow that it would be gigantic.
    """
    import numpy as np
    from PIL import Image

    short, long = sorted(picture.size)
    other = size * long // short
    if size * other > MOST_PIXELS:
        raise InvalidImage(f"a picture of {picture.width} x {picture.height} has {size} x {other} pixels when resized")
    width, height = (size, other) if picture.width <= picture.height else (other, size)
    resized = picture.convert("RGB").resize((width, height), Image.Resampling.BICUBIC)
    left, top = round((width - size) / 2), round((height - size) / 2)
    levels = np.asarray(resized.crop((left, top, left + size, top + size)), dtype=np.float32)
    return ((levels / 255 - 0.5) / 0.5).transpose(2, 0, 1)


def drawn(pixels: Tensor) -> Image:
    """Return decoded pixels (3, H, W), about -1 to 1, as an RGB picture, clipped and rounded.

    Raises JanusEvalError where they are no finite numbers.
    """
    import torch
    from PIL import Image

    if not bool(torch.isfinite(pixels).all()):
        raise JanusEvalError("the decoder gave pixels that are no numbers: the weights or the dtype are at fault")
    levels = ((pixels.float() / 2 + 0.5).clamp(0, 1) * 255).round().to(torch.uint8)
    return Image.fromarray(levels.permute(1, 2, 0).contiguous().cpu().numpy())
