"""Pictures of every kind: shown as they are, or refused by name; nothing white, black or endless in between."""

from __future__ import annotations

import io
import tracemalloc
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from janus_eval.evals import pictures
from janus_eval.evals.errors import InvalidImage
from janus_eval.evals.pictures import decoded, is_blank, open_picture, read_file, rgb, size_of, upright
from PIL import Image

GREY = np.arange(22, 246, dtype=np.uint8).reshape(14, 16)
COLOUR = np.random.default_rng(0).integers(0, 256, (14, 16, 3), dtype=np.uint8)


def encoded(picture: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def of(levels: Any, kind: str = "TIFF", **options: Any) -> bytes:
    return encoded(Image.fromarray(levels), kind, **options)


def pgm(levels: Any) -> bytes:
    return b"P5 16 14 65535\n" + levels.astype(">u2").tobytes()


@pytest.mark.parametrize(
    "data",
    [
        of(GREY, "PNG"),
        of(GREY.astype(np.uint16) * 257, "PNG"),
        of(GREY.astype(np.uint16) * 257),
        of(GREY.astype(">u2") * 257),
        of(GREY.astype(np.int32)),
        of(GREY.astype(np.int32) * 257),
        of(GREY.astype(np.float32) / 255),
        of(GREY.astype(np.float32)),
        pgm(GREY.astype(np.uint16) * 257),
        of((65535 - GREY.astype(np.uint16) * 257), tiffinfo={262: 0}),  # white is zero
        encoded(Image.fromarray(GREY).convert("LA")),
    ],
)
def test_one_grey_picture_looks_the_same_however_it_is_stored(data: bytes) -> None:
    shown = open_picture(data, "x")
    assert shown.mode == "RGB"
    assert np.array_equal(np.asarray(shown), np.repeat(GREY[:, :, None], 3, axis=2))


@pytest.mark.parametrize(
    ("levels", "told"),
    [
        (np.array([[-3, 900]], np.float32), "holds float values from -3 to 900"),
        (np.array([[-0.5, 1]], np.float32), "holds float values from -0.5 to 1"),
        (np.array([[0.5, np.nan]], np.float32), "holds float values from nan to nan"),
        (np.array([[0, np.inf]], np.float32), "holds float values from 0 to inf"),
        (np.array([[0, 70_000]], np.int32), "holds whole numbers from 0 to 70000"),
        (np.array([[-1, 7]], np.int32), "holds whole numbers from -1 to 7"),
    ],
)
def test_numbers_without_an_evident_range_are_refused_by_name(levels: Any, told: str) -> None:
    with pytest.raises(InvalidImage, match=rf"'a\.tif' {told}: no kind of picture that is read"):
        open_picture(of(levels), "a.tif")


def test_twelve_bits_are_scaled_from_twelve() -> None:
    row = b"".join((high << 12 | low).to_bytes(3, "big") for high, low in ((0, 4095), (2048, 1)))
    header = b"II*\0\x08\0\0\0"
    tags = ((256, 4, 4), (257, 4, 1), (258, 3, 12), (259, 3, 1), (262, 3, 1), (273, 4, 110), (277, 3, 1), (279, 4, 6))
    entries = b"".join(
        tag.to_bytes(2, "little") + kind.to_bytes(2, "little") + (1).to_bytes(4, "little") + value.to_bytes(4, "little")
        for tag, kind, value in tags
    )
    data = header + len(tags).to_bytes(2, "little") + entries + bytes(4)
    assert np.asarray(open_picture(data + row, "x"))[0, :, 0].tolist() == [0, 255, 128, 0]


def eight_bit_files() -> dict[str, bytes]:
    colour = Image.fromarray(COLOUR)
    palette = colour.quantize(40)
    alpha = Image.merge("RGBA", (*colour.split(), Image.fromarray(GREY)))
    return {
        "RGB": encoded(colour),
        "RGBA": encoded(alpha),
        "L": encoded(Image.fromarray(GREY)),
        "1": encoded(Image.fromarray(GREY).convert("1")),
        "P": encoded(palette),
        "P with one transparent colour": encoded(palette, transparency=3),
        "P with transparent colours": encoded(palette, transparency=bytes(range(40))),
        "L with a transparent grey": encoded(Image.fromarray(GREY), transparency=40),
        "CMYK": encoded(colour.convert("CMYK"), "JPEG"),
        "JPEG": encoded(colour, "JPEG"),
        "YCbCr": encoded(colour.convert("YCbCr"), "TIFF"),
        "LAB": encoded(colour.convert("LAB"), "TIFF"),
        "GIF": encoded(palette, "GIF", save_all=True, append_images=[palette.rotate(90)]),
        "WEBP": encoded(alpha, "WEBP"),
        "turned": encoded(colour, "JPEG", exif=turned(6)),
    }


def turned(how: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = how
    return exif


@pytest.mark.parametrize("kind", list(eight_bit_files()))
def test_eight_bits_are_what_pil_itself_makes_of_them(kind: str) -> None:
    data = eight_bit_files()[kind]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PIL's own way warns about transparency in a palette
        reference = Image.open(io.BytesIO(data)).convert("RGB")
    assert open_picture(data, "x").tobytes() == reference.tobytes()


def test_sixteen_bits_of_colour_keep_the_upper_eight() -> None:
    rows = b"".join(b"\0" + bytes(value for level in row.reshape(-1) for value in (level, level)) for row in COLOUR)
    data = png(16, 14, depth=16, kind=2, rows=rows)
    assert np.array_equal(np.asarray(open_picture(data, "x")), COLOUR)


def png(width: int, height: int, *, depth: int, kind: int, rows: bytes | None = None) -> bytes:
    """Return a PNG; without rows all zero, and small however many pixels it says it has."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return len(body).to_bytes(4, "big") + name + body + zlib.crc32(name + body).to_bytes(4, "big")

    size = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    body = zlib.compress(bytes(1000) if rows is None else rows)
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", size + bytes([depth, kind, 0, 0, 0])),
            chunk(b"IDAT", body),
            chunk(b"IEND", b""),
        )
    )


@pytest.mark.parametrize("size", [(14_000, 14_000), (60_000, 60_000)])
def test_a_bomb_is_refused_before_it_is_decoded(size: tuple[int, int], tmp_path: Path) -> None:
    data = png(*size, depth=8, kind=2)
    tracemalloc.start()
    with pytest.raises(InvalidImage, match=r"'bomb\.png' has .*pixels: at most 178,956,970 are read"):
        open_picture(data, "bomb.png")
    (tmp_path / "bomb.png").write_bytes(data)
    with pytest.raises(InvalidImage, match=r"has .*pixels"):
        size_of(tmp_path / "bomb.png")
    assert tracemalloc.get_traced_memory()[1] < 20 << 20
    tracemalloc.stop()


def test_a_bound_of_the_callers_own_is_kept() -> None:
    with pytest.raises(InvalidImage, match="has 16x14 pixels: at most 100 are read"):
        decoded(of(GREY, "PNG"), 100)


def test_a_file_of_too_many_bytes_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (tmp_path / "a.png").open("wb") as file:
        file.truncate(pictures.MOST_BYTES + 1)  # a sparse file: no disk is filled
    with pytest.raises(InvalidImage, match="has 268,435,457 bytes: at most 268,435,456 are read"):
        read_file(tmp_path / "a.png")
    monkeypatch.setattr(pictures, "MOST_BYTES", 10)
    with pytest.raises(InvalidImage, match="bytes: at most 10 are read"):
        open_picture(of(GREY, "PNG"), "x")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "JPEG2000"])
@pytest.mark.claim("R7")
def test_a_picture_cut_anywhere_is_invalid(kind: str) -> None:
    data = encoded(Image.fromarray(COLOUR), kind)
    whole = open_picture(data, "x").tobytes()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PIL tells of damaged metadata as well
        for cut in range(0, len(data) - 1, 7):
            try:
                assert open_picture(data[:cut], "x").tobytes() == whole
            except InvalidImage as error:
                assert str(error).startswith("picture 'x' ")


def test_what_is_decoded_is_decoded_whole() -> None:
    with pytest.raises(InvalidImage, match=r"^cannot be decoded: "):
        decoded(of(GREY, "PNG")[:-30])


def test_postscript_is_not_run() -> None:
    with pytest.raises(InvalidImage, match="is a PostScript program"):
        open_picture(encoded(Image.fromarray(COLOUR), "EPS"), "x")


def test_a_hostile_name_stays_on_one_line() -> None:
    with pytest.raises(InvalidImage) as caught:
        open_picture(b"", "a\nb\u202egnp.exe")
    assert str(caught.value) == r"picture 'a\nb\u202egnp.exe' cannot be decoded: its format cannot be identified"


@pytest.mark.parametrize("mode", ["La", "RGBa", "PA", "HSV", "RGBX"])
def test_modes_that_few_files_have_are_shown_too(mode: str) -> None:
    through = {"La": "LA", "RGBa": "RGBA", "PA": "RGBA"}.get(mode, "RGB")
    picture = Image.fromarray(COLOUR).convert(through).convert(mode)
    assert rgb(picture).mode == "RGB"


def test_upright_turns_deep_pictures_too() -> None:
    deep = decoded(of(GREY.astype(np.uint16) * 257, "PNG", exif=turned(6)))
    assert upright(deep).size == (14, 16)
    assert np.array_equal(np.asarray(upright(deep))[:, :, 0], np.rot90(GREY, -1))
    assert rgb(deep).size == (16, 14)  # as models are shown it


def test_blank_is_one_colour_everywhere() -> None:
    assert is_blank(Image.new("RGB", (4, 4), (9, 8, 7)))
    assert is_blank(Image.new("L", (4, 4), 255))
    spotted = Image.new("RGB", (4, 4), (9, 8, 7))
    spotted.putpixel((3, 3), (9, 8, 6))
    assert not is_blank(spotted)
