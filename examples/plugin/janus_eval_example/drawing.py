"""The quiz's pictures: a ground of one colour with a small square of another in its middle."""

from __future__ import annotations

import io


def draw(ground: str, spot: str) -> bytes:
    """Return the picture of two colours, by PIL's names for them, as a PNG."""
    from PIL import Image

    picture = Image.new("RGB", (64, 64), ground)
    picture.paste(spot, (20, 20, 44, 44))
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()
