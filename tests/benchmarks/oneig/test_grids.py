"""The makers' grids cut into the pictures that `score --images` finds."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from janus_eval.benchmarks.oneig import grids
from janus_eval.benchmarks.oneig.shown import jpeg
from PIL import Image, ImageColor

COLORS = ("red", "green", "blue", "black")


def grid(path: Path, columns: int = 2, side: int = 16) -> Image.Image:
    """Write four squares of one colour each, and a column of pixels that fills none."""
    picture = Image.new("RGB", (columns * side + 1, 4 // columns * side))
    for at, color in enumerate(COLORS):
        row, column = divmod(at, columns)
        picture.paste(Image.new("RGB", (side, side), color), (column * side, row * side))
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path, lossless=True)
    return picture


def test_squares_are_named_by_category_prompt_and_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = grid(tmp_path / "images" / "anime" / "m" / "007.webp")
    grid(tmp_path / "images" / "text" / "m" / "000.png")
    grid(tmp_path / "images" / "text" / "other" / "001.png")
    (tmp_path / "images" / "text" / "m" / "notes.txt").write_text("")
    assert grids.main([str(tmp_path / "images"), "m", str(tmp_path / "cut")]) == 0
    assert capsys.readouterr().out == f"8 pictures in {tmp_path / 'cut'}\n"
    names = sorted(each.name for each in (tmp_path / "cut").iterdir())
    assert names == [f"{name}_{at}.png" for name in ("anime_007", "text_000") for at in range(4)]
    for at, color in enumerate(COLORS):
        with Image.open(tmp_path / "cut" / f"text_000_{at}.png") as picture:
            assert picture.getpixel((3, 3)) == ImageColor.getrgb(color)
    expected = io.BytesIO()
    whole.crop((16, 0, 32, 16)).save(expected, "JPEG")  # what the makers' script hands to their judge
    assert jpeg((tmp_path / "cut" / "anime_007_1.png").read_bytes(), "x") == expected.getvalue()


def test_another_grid_is_columns_by_rows(tmp_path: Path) -> None:
    grid(tmp_path / "text" / "m" / "000.png", columns=1)
    assert grids.main([str(tmp_path), "m", str(tmp_path / "cut"), "1,4"]) == 0
    with Image.open(tmp_path / "cut" / "text_000_2.png") as picture:
        assert picture.size == (17, 16)


def test_what_is_no_grid_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = [str(tmp_path), "m", str(tmp_path / "cut")]
    for wrong in (asked[:2], [*asked, "2x2"], [*asked, "0,2"], [*asked, "2,2", "x"]):
        assert grids.main(wrong) == 2 and capsys.readouterr().err.startswith("usage: ")
    assert grids.main(asked) == 2 and "no grid in" in capsys.readouterr().err
    grid(tmp_path / "text" / "m" / "000.png")
    grid(tmp_path / "text" / "m" / "000.webp")
    assert grids.main(asked) == 2 and "both the grid of text_000" in capsys.readouterr().err
    (tmp_path / "text" / "m" / "000.webp").write_bytes(b"RIFF")
    (tmp_path / "text" / "m" / "000.png").unlink()
    assert grids.main(asked) != 0 and "000.webp" in capsys.readouterr().err
    Image.new("RGB", (1, 1)).save(tmp_path / "text" / "m" / "000.webp")
    assert grids.main(asked) != 0 and "no grid of 2 by 2" in capsys.readouterr().err
