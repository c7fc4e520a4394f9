"""Pictures as parts of a message: opened before they are sent, and sent in a form that every endpoint knows."""

from __future__ import annotations

import base64
import io
from collections.abc import Collection
from typing import TYPE_CHECKING, Any, Literal

from ..errors import InvalidImage
from ..pictures import decoded, deep, rgb

if TYPE_CHECKING:
    from PIL.Image import Image

Medium = Literal["png", "jpeg", "gif", "webp"]


def picture_part(image: bytes, name: str) -> dict[str, Any]:
    """Return an encoded picture as a part of a message's content.

    PNG, JPEG, GIF and WebP go as they are, whatever else can be decoded as an RGB PNG. Raises
    InvalidImage for bytes that are no whole picture: they are never sent.
    """
    return part(*sent(image, name))


def sent(image: bytes, name: str, also: Collection[Medium] = ("gif",)) -> tuple[Medium, bytes]:
    """Return a picture as it is sent, and its medium: PNG, JPEG, WebP and `also` as they are, all else as an RGB PNG.

    Raises InvalidImage for bytes that are no whole picture.
    """
    try:
        picture = decoded(image)
        medium = _medium(image)
        if medium is None or deep(picture) or (medium == "gif" and medium not in also):
            return "png", png(rgb(picture))
    except InvalidImage as error:
        raise InvalidImage(f"picture {name!r} {error}") from error
    return medium, image


def part(medium: Medium, data: bytes) -> dict[str, Any]:
    """Return the part of a message's content that holds these bytes."""
    url = f"data:image/{medium};base64,{base64.b64encode(data).decode()}"
    return {"type": "image_url", "image_url": {"url": url}}


def png(picture: Image) -> bytes:
    """Return a picture as PNG."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def _medium(image: bytes) -> Medium | None:
    """Return the media type of bytes that need no other form; a PNG of 16 bits a channel needs one."""
    if image.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png" if image[24:25] != b"\x10" else None
    if image.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if image.startswith((b"GIF87a", b"GIF89a")):
        return "gif"
    return "webp" if image[:4] == b"RIFF" and image[8:12] == b"WEBP" else None
