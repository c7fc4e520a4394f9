"""The official layout where pictures or the disk are in a bad way."""

import io
import tracemalloc

import numpy as np
import pytest
from janus_eval.benchmarks.geneval import official
from janus_eval.evals.errors import EnvironmentProblem
from janus_eval.evals.types import Prediction, Sample
from PIL import Image


def paint(path, size=(4, 4)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, "white").save(path)
    return path


def test_a_picture_cut_in_half_stays_black_in_the_grid(tmp_path):
    whole, cut = paint(tmp_path / "a.png"), paint(tmp_path / "b.png")
    cut.write_bytes(cut.read_bytes()[:30])
    with Image.open(io.BytesIO(official.grid([whole, cut, None, whole]))) as grid:
        assert grid.size == (14, 14)
        assert [grid.getpixel(at)[0] for at in ((3, 3), (9, 3), (3, 9), (9, 9))] == [255, 0, 0, 255]


def test_pictures_of_unequal_sizes_share_a_grid(tmp_path):
    paths = [paint(tmp_path / "a.png", (4, 8)), paint(tmp_path / "b.png", (6, 2)), paint(tmp_path / "c.png")]
    with Image.open(io.BytesIO(official.grid(paths))) as grid:
        assert grid.size == (2 + 2 * 8, 2 + 2 * 10)


def test_a_huge_picture_is_not_decoded_for_the_grid(tmp_path):
    path = tmp_path / "bomb.png"
    Image.new("1", (8_100, 8_100)).save(path)
    with Image.open(io.BytesIO(official.grid([path]))) as grid:
        assert grid.size == (5, 5)


def test_a_grid_that_would_fill_memory_is_left_out_and_said(tmp_path):
    huge = tmp_path / "00000" / "samples" / "0000.png"
    huge.parent.mkdir(parents=True)
    Image.new("1", (7_900, 7_900)).save(huge)
    samples = [Sample("00000", "x", target={}), Sample("00001", "y", target={})]
    small = paint(tmp_path / "00001" / "samples" / "0000.png")
    predictions = [Prediction("00000", image=huge), Prediction("00001", image=small)]
    tracemalloc.start()
    without = official.write_layout(tmp_path, samples, predictions, 4)
    assert tracemalloc.get_traced_memory()[1] < 20 << 20
    tracemalloc.stop()
    assert without == {"00000": "a grid of 15806x15806 pixels is not made: at most 36,000,000"}
    assert not (tmp_path / "00000" / "grid.png").exists()
    assert (tmp_path / "00001" / "grid.png").exists()


def test_sixteen_bits_are_seen_in_the_grid(tmp_path):
    Image.fromarray(np.full((4, 4), 128 * 257, np.uint16)).save(tmp_path / "a.png")
    with Image.open(io.BytesIO(official.grid([tmp_path / "a.png"]))) as grid:
        assert grid.getpixel((3, 3)) == (128, 128, 128)


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "00000").write_text("in the way")
    picture = paint(tmp_path / "elsewhere.png")
    with pytest.raises(EnvironmentProblem, match=r"cannot write .*00000"):
        official.write_layout(tmp_path, [Sample("00000", "x", target={})], [Prediction("00000", image=picture)], 4)
