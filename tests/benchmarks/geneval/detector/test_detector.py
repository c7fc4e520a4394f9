"""What the detector sees: pixels as cv2 makes them, detections as mmdet's maths has them, evidence from files."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from janus_eval.benchmarks.geneval import observer as observer_module
from janus_eval.benchmarks.geneval.detector import convert, instances, pixels, small
from janus_eval.benchmarks.geneval.detector.pixels import Geometry, Settings
from janus_eval.benchmarks.geneval.observer import GenEvalObserver
from janus_eval.benchmarks.toy import world
from janus_eval.benchmarks.toy.world import Scene, Thing
from janus_eval.evals import registry
from janus_eval.evals.errors import EnvironmentProblem, InvalidImage, OutOfMemory, UsageError
from janus_eval.evals.types import Evidence, Prediction, Sample
from PIL import Image
from support import mmdet_files

# -- pixels -------------------------------------------------------------------------------------------


def fixed_point_resize(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """OpenCV's bilinear resize of uint8, written from its arithmetic: 11-bit weights, integer sums."""

    def axis(size: int, new: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        place = ((np.arange(new) + 0.5) * (size / new) - 0.5).astype(np.float32)
        first = np.floor(place).astype(int)
        share = place - first.astype(np.float32)
        low = np.rint((np.float32(1) - share) * np.float32(2048)).astype(np.int64)
        return first, low, np.rint(share * np.float32(2048)).astype(np.int64)

    rows, columns = image.shape[:2]
    x, x0, x1 = axis(columns, width)
    x0, x1 = np.where(x < 0, 0, np.where(x >= columns - 1, 2048, x0)), np.where(x < 0, 2048, x1)
    x1 = np.where(x >= columns - 1, 0, x1)
    wide = image.astype(np.int64)
    sums = wide[:, x.clip(0, columns - 1)] * x0[:, None] + wide[:, (x + 1).clip(0, columns - 1)] * x1[:, None]
    y, y0, y1 = axis(rows, height)
    upper, lower = sums[y.clip(0, rows - 1)], sums[(y + 1).clip(0, rows - 1)]
    total = ((y0[:, None, None] * (upper >> 4)) >> 16) + ((y1[:, None, None] * (lower >> 4)) >> 16)
    return ((total + 2) >> 2).astype(np.uint8)


@pytest.mark.parametrize("size", [(64, 64, 100, 100), (100, 75, 107, 80), (17, 31, 41, 97), (96, 96, 75, 75)])
def test_resize_is_opencvs_fixed_point_resize(size: tuple[int, int, int, int]) -> None:
    height, width, new_height, new_width = size
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    expected = fixed_point_resize(image, new_height, new_width)
    assert (pixels.resize(image, (new_height, new_width)) == expected).all()


@pytest.mark.parametrize(
    ("original", "resized", "padded"),
    [
        ((512, 512), (800, 800), (800, 800)),
        ((384, 384), (800, 800), (800, 800)),
        ((1024, 1024), (800, 800), (800, 800)),
        ((480, 640), (800, 1067), (800, 1088)),
        ((1, 1), (800, 800), (800, 800)),
        ((200, 8000), (33, 1333), (64, 1344)),
    ],
)
def test_sizes_follow_mmcvs_rule(original: Any, resized: Any, padded: Any) -> None:
    assert Geometry.of(original, Settings()) == Geometry(original, resized, padded)


def test_a_picture_that_would_vanish_is_invalid() -> None:
    with pytest.raises(InvalidImage, match="8000x1 pixels: too thin"):
        Geometry.of((1, 8000), Settings())


def test_mmdet2_pads_with_grey_before_normalising_in_rgb_order() -> None:
    settings = Settings(scale=(64, 48))
    picture = np.zeros((48, 60, 3), np.uint8)
    picture[:] = (10, 20, 30)  # blue, green, red
    found = pixels.network_input(picture, Geometry.of((48, 60), settings), settings, "mmdet2")
    assert found.shape == (3, 64, 64)
    red, padding = (30 - 123.675) / 58.395, (128 - 103.53) / 57.375
    assert found[0, 0, 0] == pytest.approx(red, abs=1e-6)
    assert found[2, 50, 0] == found[2, 0, 63] == pytest.approx(padding, abs=1e-6)


def test_mmdet3_resizes_in_float_and_pads_with_zero_after_normalising() -> None:
    settings = Settings(scale=(64, 48))
    picture = np.random.default_rng(0).integers(0, 256, (24, 30, 3), dtype=np.uint8)
    found = pixels.network_input(picture, Geometry.of((24, 30), settings), settings, "mmdet3")
    red = cv2.resize(picture.astype(np.float32), (60, 48))[:, :, 2]
    assert np.abs(found[0, :48, :60] - (red - 123.675) / 58.395).max() < 1e-5
    assert not found[:, 48:].any() and not found[:, :, 60:].any()


def saved(mode: str, size: tuple[int, int] = (24, 16), **options: Any) -> bytes:
    image = Image.effect_noise(size, 60).convert("RGB") if mode not in ("I;16", "1") else None
    if mode == "I;16":
        values = np.linspace(0, 65535, size[0] * size[1]).astype(np.uint16).reshape(size[1], size[0])
        image = Image.fromarray(values)
    elif image is not None and mode != "RGB":
        image = image.convert(mode)
    assert image is not None
    buffer = io.BytesIO()
    image.save(buffer, options.pop("format", "PNG"), **options)
    return buffer.getvalue()


@pytest.mark.parametrize("mode", ["RGB", "L", "LA", "RGBA", "P", "I;16"])
def test_any_png_is_read_as_8_bit_colour(mode: str) -> None:
    bgr, image = pixels.decode(saved(mode))
    assert bgr.shape == (16, 24, 3) and bgr.dtype == np.uint8
    assert image.size == (24, 16)


def test_sixteen_bits_are_one_picture_for_both_readers() -> None:
    levels = np.arange(256, dtype=np.uint16).reshape(16, 16)
    for deep in (levels * 257, levels.astype(np.float32) / 255):
        buffer = io.BytesIO()
        Image.fromarray(deep).save(buffer, "TIFF")
        bgr, image = pixels.decode(buffer.getvalue())
        assert np.array_equal(bgr[:, :, 0], levels) and np.array_equal(np.asarray(image)[:, :, 0], levels)


def test_a_cmyk_jpeg_is_read() -> None:
    bgr, image = pixels.decode(saved("CMYK", format="JPEG"))
    assert bgr.shape == (16, 24, 3) and image.mode == "CMYK"


def test_exif_rotation_is_applied_by_both_readers() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    bgr, image = pixels.decode(saved("RGB", format="JPEG", exif=exif))
    assert bgr.shape == (24, 16, 3) and image.size == (16, 24)


@pytest.mark.parametrize("data", [b"", b"no picture", saved("RGB")[:200], saved("RGB", format="JPEG")[:300]])
def test_a_damaged_picture_is_invalid(data: bytes) -> None:
    with pytest.raises(InvalidImage, match="cannot be decoded"):
        pixels.decode(data)


# -- instances ----------------------------------------------------------------------------------------


def logits(*rows: dict[int, float]) -> torch.Tensor:
    """Return class logits whose softmax has these probabilities; the rest is `none`."""
    table = torch.full((len(rows), 81), 1e-9)
    for query, row in enumerate(rows):
        for label, value in row.items():
            table[query, label] = value
        table[query, 80] = 1 - sum(row.values())
    return table.log()


SQUARE = Geometry((8, 8), (8, 8), (8, 8))


def test_a_query_can_stand_under_two_classes_and_a_score_is_weighted_by_its_mask() -> None:
    mask = torch.full((1, 8, 8), -20.0)
    mask[0, 2:4, 1:6] = 0.5
    found = instances.instances(logits({3: 0.6, 7: 0.3}), mask, SQUARE, 2, -1)
    assert found.labels.tolist() == [3, 7]
    sure = 1 / (1 + np.exp(-0.5))
    assert found.scores.tolist() == pytest.approx([0.6 * sure, 0.3 * sure], abs=1e-6)
    assert found.boxes.tolist() == [[1, 2, 6, 4]] * 2
    assert instances.decode(found.masks[0]).sum() == 10


def test_an_empty_mask_stays_with_score_and_box_of_zero() -> None:
    found = instances.instances(logits({3: 0.9}), torch.full((1, 8, 8), -1.0), SQUARE, 1, -1)
    assert found.scores.tolist() == [0] and found.boxes.tolist() == [[0, 0, 0, 0]]


def test_what_does_not_exceed_the_floor_is_left_out() -> None:
    mask = torch.full((3, 8, 8), 30.0)
    found = instances.instances(logits({0: 0.5}, {1: 0.11}, {2: 0.09}), mask, SQUARE, 100, 0.1)
    assert found.labels.tolist() == [0, 1]


def test_masks_are_resized_twice_and_padding_is_cut_between() -> None:
    geometry = Geometry((20, 14), (40, 28), (64, 32))
    mask = torch.randn(1, 16, 8, generator=torch.Generator().manual_seed(0))
    resize = torch.nn.functional.interpolate
    padded = resize(mask[None], (64, 32), mode="bilinear")
    twice = resize(padded[..., :40, :28], (20, 14), mode="bilinear")[0, 0] > 0
    found = instances.instances(logits({0: 0.9}), mask, geometry, 1, -1)
    assert (instances.decode(found.masks[0]) == twice.numpy()).all()


def test_masks_in_small_groups_are_the_masks_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    mask = torch.randn(9, 8, 8, generator=torch.Generator().manual_seed(0))
    rows = logits(*({each: 0.5} for each in range(9)))
    whole = instances.instances(rows, mask, SQUARE, 100, 0)
    monkeypatch.setattr(instances, "_PIXELS_AT_ONCE", 64)
    parts = instances.instances(rows, mask, SQUARE, 100, 0)
    assert whole.masks == parts.masks and (whole.scores == parts.scores).all()


# -- the observer -------------------------------------------------------------------------------------

ASKED = {"tag": "colors", "include": [{"class": "donut", "count": 1, "color": "red"}], "prompt": "a photo"}


def pair(path: Path, index: int = 0, target: Any = ASKED) -> tuple[Sample, Prediction]:
    return Sample(path.stem, "a photo", target=target), Prediction(path.stem, index, "image", image=path)


@pytest.fixture(scope="module")
def toy() -> GenEvalObserver:
    return registry.create("observers", "geneval-detector", world="toy", device="cpu")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Pictures of the toy world with donuts in them, and one of noise at another size."""
    for number, name in enumerate("abd"):
        things = (Thing("donut", "red", number, 0), Thing("donut", "blue", 0, 5), Thing("cup", "green", 5, 4))
        world.draw(Scene(things, texture=number)).save(tmp_path / f"{name}.png")
    noise = np.random.default_rng(0).integers(0, 256, (70, 50, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "c.png")
    return tmp_path


def test_evidence_holds_boxes_masks_and_a_colour_for_each_box(toy: GenEvalObserver, folder: Path) -> None:
    seen = [each.data for each in toy.observe([pair(folder / f"{name}.png") for name in "abcd"])]
    assert [row["size"] for row in seen] == [[64, 64], [64, 64], [50, 70], [64, 64]]
    for row in (seen[0], seen[1], seen[3]):
        sure = [box for box in row["boxes"]["donut"] if box[4] > 0.9]
        assert len(sure) == 2 and sorted(row["colors"]["donut"][:2]) == ["blue", "red"]
    for row in seen:
        assert len(row["boxes"]["donut"]) == len(row["colors"]["donut"]) == len(row["masks"]["donut"])
        assert row["colors"].keys() == row["masks"].keys() == {"donut"}
        for boxes in row["boxes"].values():
            scores = [box[4] for box in boxes]
            assert scores == sorted(scores, reverse=True) and all(score > 0.1 for score in scores)


def test_a_picture_gives_the_same_evidence_alone_and_among_others(toy: GenEvalObserver, folder: Path) -> None:
    together = toy.observe([pair(folder / f"{name}.png") for name in "abcd"])
    alone = [toy.observe([pair(folder / f"{name}.png")])[0] for name in "abcd"]
    for one, other in zip(together, alone, strict=True):
        assert one.data["colors"] == other.data["colors"]
        assert one.data["boxes"].keys() == other.data["boxes"].keys()
        for name, boxes in one.data["boxes"].items():
            assert np.allclose(boxes, other.data["boxes"][name], atol=1e-4)


def test_a_picture_that_cannot_be_decoded_is_its_own_outcome(toy: GenEvalObserver, folder: Path) -> None:
    (folder / "b.png").write_bytes((folder / "b.png").read_bytes()[:500])
    seen = toy.observe([pair(folder / f"{name}.png") for name in "abc"])
    assert [each.sample_id for each in seen] == ["a", "b", "c"]
    assert "b.png" in seen[1].data["invalid"] and seen[1].error is None
    assert "boxes" in seen[0].data and "boxes" in seen[2].data


def test_a_missing_picture_can_be_tried_again(toy: GenEvalObserver, folder: Path) -> None:
    seen = toy.observe([pair(folder / "gone.png")])
    assert seen[0].data is None and seen[0].error == "gone.png: No such file or directory"


@pytest.mark.parametrize("content", [b"", b"no picture"])
def test_an_invalid_picture_gives_the_same_evidence_in_every_run(
    toy: GenEvalObserver, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "a.png").write_bytes(content)
    (seen,) = toy.observe([pair(tmp_path / "a.png")])
    assert seen.data == {"invalid": "a.png: cannot be decoded: its format cannot be identified"}


@pytest.mark.parametrize("size", [(1, 1), (8000, 200)])
def test_extreme_sizes_are_observed(toy: GenEvalObserver, tmp_path: Path, size: tuple[int, int]) -> None:
    Image.new("RGB", size, "red").save(tmp_path / "x.png")
    seen = toy.observe([pair(tmp_path / "x.png")])
    assert seen[0].data["size"] == list(size)


def test_a_full_device_is_the_packages_own_error(
    toy: GenEvalObserver, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    toy.observe([pair(folder / "a.png")])
    monkeypatch.setattr(toy._detector.model, "forward", full)
    with pytest.raises(OutOfMemory):
        toy.observe([pair(folder / "a.png")])


def test_tf32_is_off_while_the_detector_runs_and_restored_after(
    toy: GenEvalObserver, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bool] = []
    model = toy._detector.model if toy.observe([pair(folder / "a.png")]) else None
    forward = model.forward

    def watched(*arguments: Any, **options: Any) -> Any:
        seen.extend([torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32])
        return forward(*arguments, **options)

    monkeypatch.setattr(model, "forward", watched)
    before = torch.backends.cudnn.allow_tf32
    toy.observe([pair(folder / "a.png")])
    assert seen == [False, False] and torch.backends.cudnn.allow_tf32 == before


@pytest.mark.parametrize("naming", ["2.x", "3.x"])
def test_a_checkpoint_of_either_naming_scores_a_folder(
    naming: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JANUS_EVAL_CACHE", str(tmp_path / "cache"))
    checkpoint = mmdet_files.write_pth(tmp_path / "detector.pth", naming)
    converted = tmp_path / "small"
    convert.convert(checkpoint, converted, small.SMALL_SETTINGS)
    observer = registry.create("observers", "geneval-detector", detector=str(converted), clip="toy", device="cpu")
    seen: list[Evidence] = list(observer.observe([pair(folder / f"{name}.png") for name in "ab"]))
    assert all(each.data["boxes"] for each in seen)
    assert observer.card["detector"].startswith("unpublished-")
    direct = registry.create("observers", "geneval-detector", detector=str(checkpoint), clip="toy", device="cpu")
    assert direct.card["detector"] != observer.card["detector"]  # the same weights under other settings
    convert.convert(checkpoint, tmp_path / "same")
    same = registry.create("observers", "geneval-detector", detector=str(tmp_path / "same"), clip="toy", device="cpu")
    assert direct.card["detector"] == same.card["detector"]


def test_an_unknown_detector_or_clip_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="no such file or folder"):
        GenEvalObserver(detector="nowhere.pth")
    with pytest.raises(UsageError, match="clip 'nowhere'"):
        GenEvalObserver(clip="nowhere")
    with pytest.raises(UsageError, match="mmdet's own checkpoints"):
        GenEvalObserver(detector="toy", detector_backend="mmdet")


def test_the_official_card_needs_no_download() -> None:
    card = GenEvalObserver().card
    assert card["detector"] == "mask2former-swin-s-743b7d99"
    assert card["colour_dtype"] == "float32" and card["floor"] == 0.1 and card["pipeline"] == "mmdet2"


def test_a_missing_package_is_named_before_anything_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observer_module, "_PACKAGES", ("torch", "no_such_package"))
    with pytest.raises(EnvironmentProblem, match=r"no_such_package: pip install .*\[geneval\]"):
        GenEvalObserver().needs()


def test_what_must_be_fetched_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JANUS_EVAL_CACHE", str(tmp_path))
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    assert GenEvalObserver(world="toy").needs() == []
    assert GenEvalObserver(clip="toy").needs() == ["geneval-detector"]
