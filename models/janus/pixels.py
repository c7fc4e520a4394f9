"""Pictures in and out of Janus: the official resize, padding, scaling and the cut to 8 bits.

Port of `janus/models/image_processing_vlm.py` and of the end of `generation_inference.py`
(deepseek-ai/Janus 1daa72f, MIT). transformers from 5.5 on rounds where the official code truncates
the resized side, which shifts the whole picture at sizes such as 640x426.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...evals.errors import EnvironmentProblem
from ...evals.pictures import open_picture as open_picture  # how Janus opens what it is shown
from .weights import read_table

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray
    from PIL.Image import Image


@dataclass(frozen=True, slots=True)
class PixelRule:
    """What preprocessor_config.json says: `size` in pixels, the rest as the official names."""

    size: int
    min_size: int = 14
    rescale: float = 1 / 255
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    std: tuple[float, float, float] = (0.5, 0.5, 0.5)
    normalize: bool = True


def read_rule(folder: Path, size: int) -> PixelRule:
    """Read preprocessor_config.json; `size` is the picture size that the network takes.

    Raises EnvironmentProblem where the file is missing, damaged or made for another size.
    """
    path = folder / "preprocessor_config.json"
    if not path.is_file():
        raise EnvironmentProblem(f"{folder} has no preprocessor_config.json: fetch the whole model folder")
    table = read_table(path)
    said = table.get("image_size", table.get("size", size))
    found = said.get("height", size) if isinstance(said, dict) else said
    if found != size:
        raise EnvironmentProblem(f"{path} says {found} pixels, the vision tower takes {size}: the files do not belong")
    mean, std = _three(path, table, "image_mean", -_MOST), _three(path, table, "image_std", 0)
    numbers = table.get("min_size", 14), table.get("rescale_factor") or 1 / 255
    if not all(type(each) in (int, float) and 0 < each < _MOST for each in numbers):
        raise EnvironmentProblem(f"{path}: min_size and rescale_factor are {numbers!r:.80}: fetch it again")
    return PixelRule(
        size=size,
        min_size=int(numbers[0]),
        rescale=float(numbers[1]),
        mean=mean,
        std=std,
        normalize=bool(table.get("do_normalize", True)),
    )


def resized_size(width: int, height: int, size: int, min_size: int = 14) -> tuple[int, int]:
    """Return (width, height) after the resize: the long side is `size`, the other truncated."""
    longest = max(width, height)
    return max(int(width / longest * size), min_size), max(int(height / longest * size), min_size)


def squared(picture: Image, rule: PixelRule) -> Image:
    """Resize bicubic (antialiased, on 8 bits) and pad to a square of `rule.size` in the mean colour."""
    from PIL import Image

    width, height = resized_size(picture.width, picture.height, rule.size, rule.min_size)
    small = picture.convert("RGB").resize((width, height), Image.Resampling.BICUBIC)
    if width == height:
        return small
    side = max(width, height)
    red, green, blue = (int(255 * each) for each in rule.mean)
    canvas = Image.new("RGB", (side, side), (red, green, blue))
    canvas.paste(small, ((side - width) // 2, (side - height) // 2))
    return canvas


def pixel_values(picture: Image, rule: PixelRule) -> NDArray[np.float32]:
    """Return what the vision tower takes: float32 of shape (3, size, size)."""
    import numpy as np

    values = np.asarray(squared(picture, rule), dtype=np.uint8).transpose(2, 0, 1)
    scaled = (values.astype(np.float64) * rule.rescale).astype(np.float32)
    if rule.normalize:
        mean = np.asarray(rule.mean, dtype=np.float32)[:, None, None]
        std = np.asarray(rule.std, dtype=np.float32)[:, None, None]
        scaled = (scaled - mean) / std
    return np.ascontiguousarray(scaled)


def to_bytes(pixels: torch.Tensor) -> torch.Tensor:
    """Return decoded pixels (B, 3, H, W), about -1 to 1, as uint8 (B, H, W, 3), truncated, on their device."""
    import torch

    levels = ((pixels.float() + 1) / 2 * 255).clamp(0, 255)
    return levels.to(torch.uint8).permute(0, 2, 3, 1).contiguous()


_MOST = 1e9
"""Numbers of a rule of pixels lie below it."""


def _three(path: Path, table: dict[str, Any], key: str, above: float) -> tuple[float, float, float]:
    value = table.get(key) or [0.5, 0.5, 0.5]
    if not isinstance(value, list) or len(value) != 3:
        raise EnvironmentProblem(f"{path}: {key} is {value!r:.80}, expected three numbers")
    if not all(type(each) in (int, float) and above < each < _MOST for each in value):
        raise EnvironmentProblem(f"{path}: {key} is {value!r:.80}, expected three numbers above {above:g}")
    return float(value[0]), float(value[1]), float(value[2])
