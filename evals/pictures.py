"""Pictures opened in one way: decoded whole, within bounds, as 8-bit RGB; what has no such form is refused."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, TypeAlias

from .errors import EnvironmentProblem, InvalidImage, why_undecodable
from .types import Drawn, Output

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image


MOST_PIXELS: Final = 178_956_970
"""PIL's own limit against decompression bombs: twice its MAX_IMAGE_PIXELS."""
MOST_DRAWN: Final = 64_000_000
"""The most pixels of a picture that a model drew: what looks at it holds it several times over."""
MOST_BYTES: Final = 256 << 20
"""No picture of a benchmark is larger; a file that is would fill memory before it could be refused."""
SUFFIXES: Final = ("png", "jpg", "jpeg", "webp", "bmp", "gif", "tif", "tiff")
"""How files of pictures end; what is in them is told by their bytes alone."""
BROKEN: Final = (
    *(OSError, SyntaxError, ValueError, EOFError, LookupError, TypeError, AttributeError),
    *(ArithmeticError, RuntimeError, AssertionError, struct.error, zlib.error),
)
"""What PIL's decoders raise on files that are damaged or made to do harm."""
_DEEP: Final = ("I", "F", "I;16", "I;16L", "I;16B")
"""PIL's modes of more than 8 bits. Its own way to RGB cuts what is above 255: such pictures become white."""
_MULTIPLIED: Final = {"La": "LA", "RGBa": "RGBA"}
_NO_KIND: Final = "no kind of picture that is read"


def open_picture(data: bytes, name: str) -> Image:
    """Return an encoded picture in RGB; raise InvalidImage, with its name, where it cannot be shown as it is.

    8-bit pictures (grey, RGB, palette, CMYK, ...) are as PIL's `convert("RGB")` gives them: that is what the
    reference implementations see. Alpha is dropped, not blended; EXIF orientation and colour profiles are not
    applied; of an animation the first frame is taken. See `rgb` for more than 8 bits.
    """
    try:
        return rgb(decoded(data))
    except InvalidImage as error:
        raise InvalidImage(f"picture {name!r} {error}") from error


def decoded(data: bytes, most: int = MOST_PIXELS) -> Image:
    """Return an encoded picture, decoded whole, in its own mode.

    Raises InvalidImage that says what is wrong, before decoding where there are too many bytes or pixels.
    """
    if len(data) > MOST_BYTES:
        raise _too_large(len(data))
    picture = _opened(io.BytesIO(data), most)
    try:
        picture.load()
    except BROKEN as error:
        raise InvalidImage(f"cannot be decoded: {why_undecodable(error)}") from error
    return picture


def size_of(path: Path, most: int = MOST_PIXELS) -> tuple[int, int]:
    """Return a picture file's width and height, not decoding it. Raises InvalidImage, OSError as `read_file`."""
    with path.open("rb") as file:
        return _opened(file, most).size


def read_file(path: Path) -> bytes:
    """Return a picture file's bytes. Raises InvalidImage where it is too large, OSError where it cannot be read."""
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise _too_large(size)
    return path.read_bytes()


def rgb(picture: Image) -> Image:
    """Return a decoded picture in 8-bit RGB.

    16 bits are scaled by 1/257, so that a picture stored with 16 looks as with 8 (PIL itself keeps the upper 8
    of 16-bit RGB). 32-bit whole numbers have an evident range from 0 to 255 or to 65535, floats from 0 to 1 or
    to 255. Raises InvalidImage for any other.
    """
    picture.info.pop("transparency", None)  # moves no pixel here, and PIL warns about some of its forms
    try:
        shown = _levels(picture) if deep(picture) else picture
        return shown.convert(_MULTIPLIED.get(shown.mode, shown.mode)).convert("RGB")
    except BROKEN as error:
        raise InvalidImage(f"cannot be decoded: {why_undecodable(error)}") from error


def upright(picture: Image) -> Image:
    """Return a decoded picture turned as its EXIF data say: in its own mode, in RGB where that is a deep one."""
    from PIL import ExifTags, ImageOps

    try:
        turned = picture.getexif().get(ExifTags.Base.Orientation)
        shown = rgb(picture) if deep(picture) else picture
        if shown is not picture and turned is not None:
            shown.getexif()[ExifTags.Base.Orientation] = turned
        return ImageOps.exif_transpose(shown)
    except BROKEN as error:
        raise InvalidImage(f"cannot be decoded: {why_undecodable(error)}") from error


def deep(picture: Image) -> bool:
    """Return whether a picture has more than 8 bits in PIL's hands."""
    return picture.mode in _DEEP


def is_blank(picture: Image) -> bool:
    """Return whether all pixels of a picture are equal: a model may draw that, but it is worth a look."""
    extrema: Any = picture.getextrema()
    bands = extrema if isinstance(extrema[0], tuple) else (extrema,)
    return all(low == high for low, high in bands)


def _opened(source: BinaryIO, most: int) -> Image:
    from PIL import Image

    try:
        picture = Image.open(source)
    except Image.DecompressionBombError as error:
        raise InvalidImage(f"has too many pixels: at most {most:,} are read") from error
    except BROKEN as error:
        raise InvalidImage(f"cannot be decoded: {why_undecodable(error)}") from error
    if picture.width * picture.height > most:
        raise InvalidImage(f"has {picture.width}x{picture.height} pixels: at most {most:,} are read")
    if picture.format == "EPS":  # PIL would start Ghostscript for it
        raise InvalidImage(f"is a PostScript program: {_NO_KIND}")
    return picture


def _too_large(size: int) -> InvalidImage:
    return InvalidImage(f"has {size:,} bytes: at most {MOST_BYTES:,} are read")


def _levels(picture: Image) -> Image:
    """Return a picture of more than 8 bits in 8-bit grey."""
    import numpy as np
    from PIL import Image

    tags: Any = getattr(picture, "tag_v2", {})
    values: NDArray[Any] = np.asarray(picture)
    if picture.mode == "F":
        levels = _of_floats(values)
    elif picture.mode == "I" and picture.format != "PPM":
        levels = _of_numbers(values)
    else:
        levels = _of_sixteen(values, 4095 if tags.get(_BITS) == (12,) else 65535)
    if tags.get(_PHOTOMETRIC) == 0:  # white is zero: PIL turns such pictures round where they have 8 bits alone
        levels = 255 - levels
    return Image.fromarray(levels)


_BITS, _PHOTOMETRIC = 258, 262
"""TIFF's tags."""


def _of_sixteen(values: NDArray[Any], top: int) -> NDArray[np.uint8]:
    import numpy as np

    table = (np.arange(65536) * 255 + top // 2) // top
    return table.clip(0, 255).astype(np.uint8)[values]


def _of_numbers(values: NDArray[Any]) -> NDArray[np.uint8]:
    import numpy as np

    low, high = int(values.min()), int(values.max())
    if low < 0 or high > 65535:
        raise InvalidImage(f"holds whole numbers from {low} to {high}: {_NO_KIND}")
    return values.astype(np.uint8) if high <= 255 else _of_sixteen(values, 65535)


def _of_floats(values: NDArray[Any]) -> NDArray[np.uint8]:
    import numpy as np

    low, high = float(values.min()), float(values.max())
    if not (low >= 0 and high <= 255):  # a NaN is in no range
        raise InvalidImage(f"holds float values from {low:g} to {high:g}: {_NO_KIND}")
    return (values * (255 if high <= 1 else 1) + 0.5).astype(np.uint8)


Made: TypeAlias = "Output | bytes"
"""An output as it comes to the store; `bytes` are a picture's that was encoded elsewhere."""


def picture_bytes(output: Made) -> bytes:
    """Return the bytes to store: a finished file's as they are, a picture's as PNG."""
    output = output.file if isinstance(output, Drawn) else output
    if isinstance(output, bytes):
        return output
    if isinstance(output, Path):
        try:
            return output.read_bytes()
        except OSError as error:
            raise EnvironmentProblem(f"{output} cannot be read: {error.strerror}") from error
    picture: Image | Any = output() if callable(output) else output
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
