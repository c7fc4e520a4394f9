"""Pictures to network input, as mmdet's two test pipelines do it: decode, resize, pad, normalise.

A port of behaviour: mmdet 2.28.2 (Resize, Pad before Normalize) and 3.3.0 (DetDataPreprocessor),
with mmcv's rescale rule. Pictures are BGR uint8 of shape (height, width, 3), as cv2 decodes them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from ....evals.errors import InvalidImage, why_undecodable
from ....evals.pictures import MOST_DRAWN, decoded, deep, read_file, upright

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

Pipeline = Literal["mmdet2", "mmdet3"]
Size: TypeAlias = "tuple[int, int]"
"""(height, width) in pixels."""
Bgr: TypeAlias = "NDArray[np.uint8]"


@dataclass(frozen=True)
class Settings:
    """A detector's test settings; they lie beside its weights and come from nowhere else.

    `scale` is (longest, shortest) edge in pixels; `mean` and `std` are RGB on 0..255.
    """

    scale: tuple[int, int] = (1333, 800)
    divisor: int = 32
    pad_value: int = 128
    mean: tuple[float, float, float] = (123.675, 116.28, 103.53)
    std: tuple[float, float, float] = (58.395, 57.12, 57.375)
    max_per_image: int = 100

    @cached_property
    def table(self) -> NDArray[np.float32]:
        """The normalised value of every grey level and RGB channel, shape (256, 3)."""
        import numpy as np

        levels = np.arange(256, dtype=np.float64)[:, None]
        centred = (levels - np.asarray(self.mean)).astype(np.float32)
        return (centred * (1.0 / np.asarray(self.std))).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Geometry:
    """The sizes that one picture has on its way: as it is, as resized, as padded (the network's input)."""

    original: Size
    resized: Size
    padded: Size

    @classmethod
    def of(cls, original: Size, settings: Settings) -> Geometry:
        """Return the sizes by mmcv's rule. Raises InvalidImage where an edge would vanish."""
        height, width = original
        longest, shortest = max(settings.scale), min(settings.scale)
        factor = min(longest / max(original), shortest / min(original))
        resized = (int(height * factor + 0.5), int(width * factor + 0.5))
        if min(resized) < 1:
            raise InvalidImage(f"{width}x{height} pixels: too thin to be resized into {longest}x{shortest}")
        step = settings.divisor
        return cls(original, resized, (-(-resized[0] // step) * step, -(-resized[1] // step) * step))


def decode(data: bytes) -> tuple[Bgr, Image]:
    """Return one encoded picture as the detector sees it (cv2) and as the colour classifier does (PIL).

    Both apply EXIF rotation; the detector's copy has 8 bits and no alpha. A picture that has more than 8 bits
    in PIL's hands is scaled to 8 and shown to both alike: cv2 and PIL differ there, and PIL's would be white.
    Raises InvalidImage where either reader cannot decode the whole picture.
    """
    import cv2
    import numpy as np

    opened = decoded(data, MOST_DRAWN)
    picture = upright(opened)
    if deep(opened):
        return np.ascontiguousarray(np.asarray(picture)[:, :, ::-1]), picture
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise InvalidImage(f"cannot be decoded: {why_undecodable(error)}") from error
    if pixels is None:
        raise InvalidImage(f"cv2 cannot decode this {opened.format or 'picture'}")
    return pixels.astype(np.uint8, copy=False), picture


def read(path: Path) -> tuple[Bgr, Image]:
    """Return `decode` of a file. Raises InvalidImage with the file's name, OSError where it cannot be read."""
    try:
        return decode(read_file(path))
    except InvalidImage as error:
        raise InvalidImage(f"{path.name}: {error}") from error


def resize(pixels: NDArray[Any], size: Size) -> NDArray[Any]:
    """Return cv2's bilinear resize to (height, width): fixed-point on uint8, exact on float32."""
    import cv2

    return cv2.resize(pixels, (size[1], size[0]), interpolation=cv2.INTER_LINEAR)


def network_input(pixels: Bgr, geometry: Geometry, settings: Settings, pipeline: Pipeline) -> NDArray[np.float32]:
    """Return the network's input, float32 of shape (3, height, width) in RGB order."""
    import numpy as np

    (height, width), (full_height, full_width) = geometry.resized, geometry.padded
    if pipeline == "mmdet2":
        # Resized on uint8 (rounded), padded with a grey level, then normalised.
        canvas = np.full((full_height, full_width, 3), settings.pad_value, np.uint8)
        canvas[:height, :width] = resize(pixels, geometry.resized)
        channels = [settings.table[:, rgb][canvas[:, :, 2 - rgb]] for rgb in range(3)]
        return np.stack(channels)
    # Resized on float32, normalised, then padded with zero.
    resized = resize(pixels.astype(np.float32), geometry.resized)[:, :, ::-1].transpose(2, 0, 1)
    result = np.zeros((3, full_height, full_width), np.float32)
    mean, std = (np.asarray(each, np.float32)[:, None, None] for each in (settings.mean, settings.std))
    result[:, :height, :width] = (resized - mean) / std
    return result
