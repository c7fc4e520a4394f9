"""Folders of grids and single pictures as people have them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from janus_eval.benchmarks.dpg_bench.pictures import Source, read_folder, write_grid
from janus_eval.evals.errors import InvalidImage, UsageError
from PIL import Image

COLORS = ["red", "green", "blue", "yellow"]


def single(path: Path, color: str, side: int = 8) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (side, side), color).save(path)
    return path


def colors(sources: dict[int, Source]) -> list[tuple[int, ...]]:
    return [sources[number].read().getpixel((3, 3)) for number in sorted(sources)]


def rgb(*names: str) -> list[tuple[int, ...]]:
    return [Image.new("RGB", (1, 1), name).getpixel((0, 0)) for name in names]


def test_a_grid_is_written_and_read_in_the_official_order(tmp_path: Path) -> None:
    singles = [single(tmp_path / "one" / f"{color}.png", color) for color in COLORS]
    assert write_grid(tmp_path / "grids" / "a.png", singles) is None
    with Image.open(tmp_path / "grids" / "a.png") as grid:
        assert grid.size == (16, 16)
        assert [grid.getpixel(at) for at in ((2, 2), (10, 2), (2, 10), (10, 10))] == rgb(*COLORS)
    found = read_folder(tmp_path / "grids", dict.fromkeys(["a"], ""), 8, None)
    assert found.pictures == 4
    assert colors(found.sources["a"]) == rgb(*COLORS)


def test_the_first_pictures_of_a_grid_can_be_asked_for(tmp_path: Path) -> None:
    write_grid(tmp_path / "a.png", [single(tmp_path / "one" / f"{color}.png", color) for color in COLORS])
    found = read_folder(tmp_path, dict.fromkeys(["a"], ""), 8, 2)
    assert colors(found.sources["a"]) == rgb("red", "green")


def test_single_pictures_are_found_in_folders_and_by_number(tmp_path: Path) -> None:
    single(tmp_path / "a" / "0.png", "red")
    single(tmp_path / "a" / "1.jpg", "blue")
    single(tmp_path / "b_1.webp", "green")
    single(tmp_path / "b_0.webp", "yellow")
    single(tmp_path / "c_1.png", "red")
    found = read_folder(tmp_path, dict.fromkeys(["a", "b", "c", "c_1"], ""), 8, None)
    assert {item: sorted(each) for item, each in found.sources.items()} == {"a": [0, 1], "b": [0, 1], "c_1": [0]}


def test_a_file_is_named_up_to_its_first_dot(tmp_path: Path) -> None:
    single(tmp_path / "a.v2.final.png", "red")
    assert list(read_folder(tmp_path, dict.fromkeys(["a"], ""), 8, None).sources) == ["a"]


def test_grids_without_a_resolution_are_refused(tmp_path: Path) -> None:
    single(tmp_path / "a.png", "red")
    with pytest.raises(UsageError, match="--resolution R"):
        read_folder(tmp_path, dict.fromkeys(["a"], ""), None, None)


def test_wrong_sizes_broken_and_other_files_are_named(tmp_path: Path) -> None:
    Image.new("RGB", (16, 8)).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"\x89PNG nothing")
    single(tmp_path / "c.png", "red")
    single(tmp_path / "nobody.png", "red")
    (tmp_path / "dpg-bench_results.txt").write_text("old")
    single(tmp_path / "c" / "thumb.png", "red")
    found = read_folder(tmp_path, dict.fromkeys(["a", "b", "c"], ""), 8, None)
    assert "a.png is 16x8; expected 16x16 (grid) or 8x8 (single)" in found.broken["a"]
    assert found.broken["b"].startswith("invalid image b.png")
    assert sorted(found.ignored) == ["c/thumb.png", "dpg-bench_results.txt", "nobody.png"]


def test_a_link_that_leaves_the_folder_is_not_followed(tmp_path: Path) -> None:
    secret = single(tmp_path / "elsewhere" / "x.png", "red")
    inside = tmp_path / "inside"
    single(inside / "b.png", "red")
    (inside / "a.png").symlink_to(secret)
    found = read_folder(inside, dict.fromkeys(["a", "b"], ""), 8, None)
    assert list(found.sources) == ["b"]
    assert "a.png is refused: it is no regular file inside" in found.broken["a"]


@pytest.mark.parametrize("make", [False, True])
def test_a_folder_without_a_known_picture_is_refused(tmp_path: Path, make: bool) -> None:
    folder = tmp_path / "pictures"
    if make:
        single(folder / "x.png", "red")
    with pytest.raises(
        UsageError,
        match=r"\'x.png\' and the others are no pictures of a sample; the nearest layouts are a_0.png and a/0.png"
        if make
        else "no such folder",
    ):
        read_folder(folder, dict.fromkeys(["a"], ""), 8, None)


def test_a_truncated_picture_is_an_invalid_image(tmp_path: Path) -> None:
    file = single(tmp_path / "a.png", "red", 200)
    file.write_bytes(file.read_bytes()[:120])
    with pytest.raises(InvalidImage, match=r"invalid image a\.png"):
        Source(file).read()


def test_a_picture_that_is_gone_is_named_without_its_folder(tmp_path: Path) -> None:
    with pytest.raises(InvalidImage) as caught:
        Source(tmp_path / "a.png").read()
    assert str(caught.value) == "invalid image a.png: No such file or directory"


def test_pictures_of_different_sizes_make_no_grid_and_say_so(tmp_path: Path) -> None:
    files = [single(tmp_path / "1.png", "red", 8), single(tmp_path / "2.png", "red", 9)]
    assert "8x8, 9x9 form no grid" in (write_grid(tmp_path / "g" / "a.png", files) or "")
    assert not (tmp_path / "g").exists()


def test_sixteen_bits_are_seen_as_eight(tmp_path: Path) -> None:
    Image.fromarray(np.full((8, 8), 128 * 257, np.uint16)).save(tmp_path / "a.png")
    assert Source(tmp_path / "a.png").read().getpixel((3, 3)) == (128, 128, 128)


def test_a_huge_picture_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    Image.new("1", (8_100, 8_100)).save(tmp_path / "a.png")
    with pytest.raises(InvalidImage, match=r"invalid image a\.png: has 8100x8100 pixels: at most 64,000,000"):
        Source(tmp_path / "a.png").read()
    Image.new("1", (5_000, 5_000)).save(tmp_path / "b.png")
    assert "none is made" in (write_grid(tmp_path / "g" / "b.png", [tmp_path / "b.png"] * 4) or "")
