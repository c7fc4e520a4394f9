"""Pictures on their way to an endpoint: whole ones only, in forms that every endpoint knows."""

from __future__ import annotations

import base64
import io
import struct
import zlib

import numpy as np
import pytest
from janus_eval.evals.endpoint.parts import picture_part
from janus_eval.evals.errors import InvalidImage
from PIL import Image

NOISE = Image.frombytes("RGB", (32, 32), np.random.default_rng(1).integers(0, 256, 3072, dtype=np.uint8).tobytes())


def encoded(form: str, picture: Image.Image = NOISE) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, form)
    return buffer.getvalue()


def sent(image: bytes) -> tuple[str, bytes]:
    head, _, data = picture_part(image, "p")["image_url"]["url"].partition(";base64,")
    return head, base64.b64decode(data)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "WEBP"])
def test_what_endpoints_know_is_sent_as_it_is_under_its_own_name(form: str) -> None:
    assert sent(encoded(form)) == (f"data:image/{form.lower()}", encoded(form))


@pytest.mark.parametrize("form", ["TIFF", "BMP", "PPM", "TGA", "ICO", "JPEG2000"])
def test_what_they_do_not_know_is_sent_as_png(form: str) -> None:
    medium, data = sent(encoded(form))
    with Image.open(io.BytesIO(data)) as shown, Image.open(io.BytesIO(encoded(form))) as whole:
        assert (medium, shown.format, shown.mode) == ("data:image/png", "PNG", "RGB")
        assert shown.tobytes() == whole.convert("RGB").tobytes()


def test_an_avif_that_is_broken_inside_is_none() -> None:
    try:
        whole = bytearray(encoded("AVIF"))
    except (KeyError, OSError):
        pytest.skip("this PIL writes no AVIF")
    for at in range(100, len(whole), 7):  # PIL raises RuntimeError for these
        whole[at] ^= 0xFF
    with pytest.raises(InvalidImage):
        picture_part(bytes(whole), "p")


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_sixteen_bits_become_eight_with_their_whole_range(form: str) -> None:
    ramp = np.linspace(0, 65535, 32 * 32).astype(np.uint16).reshape(32, 32)
    medium, data = sent(encoded(form, Image.fromarray(ramp)))
    with Image.open(io.BytesIO(data)) as shown:
        assert (medium, shown.mode) == ("data:image/png", "RGB")
        assert np.abs(np.asarray(shown)[:, :, 0] - ramp / 257).max() <= 1


def test_a_colour_png_of_sixteen_bits_becomes_one_of_eight() -> None:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    row = b"\0" + b"\xff\xff\0\0\x80\x80" * 4
    deep = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 4, 16, 2, 0, 0, 0))
    deep += chunk(b"IDAT", zlib.compress(row * 4)) + chunk(b"IEND", b"")
    medium, data = sent(deep)
    assert medium == "data:image/png" and data[24] == 8
    with Image.open(io.BytesIO(data)) as shown:
        assert shown.getpixel((0, 0)) == (255, 0, 128)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP"])
@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")  # PIL's own, beside its error
@pytest.mark.parametrize("kept", [0, 3, 20, 0.5])
def test_a_cut_picture_is_none(form: str, kept: float) -> None:
    whole = encoded(form)
    with pytest.raises(InvalidImage, match="picture 'p' cannot be decoded"):
        picture_part(whole[: int(kept if kept != 0.5 else len(whole) / 2)], "p")


@pytest.mark.parametrize(
    "data", [b"<html>", bytes(1000), b"GIF89a", b"\x89PNG\r\n\x1a\n" + bytes(50), b"II*\0" + bytes(40)]
)
def test_what_is_no_picture_is_none(data: bytes) -> None:
    with pytest.raises(InvalidImage):
        picture_part(data, "p")


def test_a_picture_of_too_many_pixels_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(InvalidImage, match="too many pixels"):
        picture_part(encoded("PNG"), "p")


def test_pixels_without_a_range_are_refused() -> None:
    with pytest.raises(InvalidImage, match="float values from -1 to -1"):
        picture_part(encoded("TIFF", Image.new("F", (4, 4), -1)), "p")
