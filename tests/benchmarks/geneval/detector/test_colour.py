"""Colours are asked of CLIP as the official script asks: its crops, its transform, its templates."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from janus_eval.benchmarks.geneval.detector import colour
from janus_eval.benchmarks.geneval.detector.colour import ColourNames, TransformersClip
from janus_eval.benchmarks.geneval.prompts import COLORS
from janus_eval.evals.errors import EnvironmentProblem, UsageError
from PIL import Image
from support import clip_files


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clip")
    clip_files.write_clip(path)
    return path


def test_a_crop_is_grey_outside_the_mask() -> None:
    picture = Image.new("RGB", (8, 6), (255, 0, 0))
    mask = np.zeros((6, 8), np.bool_)
    mask[2:4, 3:6] = True
    found = np.asarray(colour.crop(picture, mask, (2.0, 1.0, 6.0, 4.0, 0.9)))
    assert found.shape == (3, 4, 3)
    assert found[1, 1].tolist() == [255, 0, 0] and found[0, 0].tolist() == [0x99] * 3


def test_a_crop_is_what_pil_composes() -> None:
    rng = np.random.default_rng(0)
    picture = Image.fromarray(rng.integers(0, 256, (20, 30, 3), dtype=np.uint8))
    mask = rng.random((20, 30)) < 0.5
    box = (3.0, 2.0, 17.0, 19.0)
    expected = Image.composite(picture, Image.new("RGB", (30, 20), "#999"), Image.fromarray(mask)).crop(box)
    assert (np.asarray(colour.crop(picture, mask, box)) == np.asarray(expected)).all()


def test_a_mask_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="a mask of 8x6 for a picture of 6x8"):
        colour.crop(Image.new("RGB", (6, 8)), np.zeros((6, 8), np.bool_), (0, 0, 1, 1))


@pytest.mark.parametrize("size", [(224, 224), (225, 300), (301, 90), (1, 1), (3, 400), (50, 77)])
def test_pixels_follow_torchvisions_resize_and_crop(size: tuple[int, int]) -> None:
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))
    found = colour.pixels(picture, 224)
    assert found.shape == (3, 224, 224) and found.dtype == np.float32
    width, height = size
    target = (224, int(224 * height / width)) if width <= height else (int(224 * width / height), 224)
    resized = np.asarray(picture.resize(target, Image.Resampling.BICUBIC), np.float32) / 255
    top, left = round((target[1] - 224) / 2.0), round((target[0] - 224) / 2.0)
    red = (resized[top : top + 224, left : left + 224, 0] - 0.48145466) / 0.26862954
    assert np.abs(found[0] - red).max() < 1e-5


class Words:
    """A CLIP whose text features are written by hand: a text points where its colour word says."""

    image_size = 4

    def __init__(self) -> None:
        self.asked: list[str] = []

    def images(self, pixels: torch.Tensor) -> torch.Tensor:
        return torch.eye(10)[pixels[:, 0, 0, 0].long()]

    def texts(self, texts: Sequence[str]) -> torch.Tensor:
        self.asked += texts
        return torch.stack([torch.eye(10)[next(i for i, each in enumerate(COLORS) if each in text)] for text in texts])


def test_each_crop_gets_the_colour_whose_texts_are_nearest_and_texts_are_asked_once() -> None:
    words = Words()
    names = ColourNames(words, "cpu")
    inputs = [np.full((3, 4, 4), index, np.float32) for index in (3, 0, 9)]
    assert names.name(inputs, ["cow", "cup", "cow"]) == ["green", "red", "white"]
    assert len(words.asked) == len({*words.asked}) == 10 * (2 * 2 + 1)  # what names no class is shared
    assert words.asked[:3] == ["a photo of a red cow", "a photo of a red-colored cow", "a photo of a red object"]


def test_batches_do_not_change_a_colour(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ColourNames(TransformersClip(folder, "cpu"), "cpu")
    rng = np.random.default_rng(0)
    crops = [Image.fromarray(rng.integers(0, 256, (40, 30, 3), dtype=np.uint8)) for _ in range(5)]
    inputs = names.prepare(crops)
    together = names.name(inputs, ["cow"] * 5)
    monkeypatch.setattr(colour, "_BATCH", 2)
    assert names.name(inputs, ["cow"] * 5) == together
    assert all(each in COLORS for each in together)


def test_features_are_the_models_own(folder: Path) -> None:
    from transformers import CLIPModel

    clip = TransformersClip(folder, "cpu")
    model = CLIPModel.from_pretrained(folder).eval()
    pixels = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    tokens = clip._tokenizer(["a photo of a red cow", "a photo"], padding="max_length", return_tensors="pt")
    with torch.no_grad():
        output = model(pixel_values=pixels, **tokens)
        for found, expected in (
            (clip.images(pixels), output.image_embeds),
            (clip.texts(["a photo of a red cow", "a photo"]), output.text_embeds),
        ):
            assert torch.allclose(torch.nn.functional.normalize(found, dim=-1), expected, atol=1e-5)


def test_texts_are_spelled_for_the_model(folder: Path) -> None:
    tokens = TransformersClip(folder, "cpu")._tokenizer(["A cow"]).input_ids[0]
    assert tokens[0] == 512 and tokens[-1] == 513
    assert len(tokens) == 2 + len("acow")


def test_half_precision_is_refused_where_it_is_not_the_official_behaviour() -> None:
    with pytest.raises(UsageError, match="on cpu use float32"):
        ColourNames(Words(), "cpu", "fp16-autocast")


def test_an_incomplete_clip_folder_is_refused(folder: Path, tmp_path: Path) -> None:
    import shutil

    from safetensors.torch import load_file, save_file

    shutil.copytree(folder, tmp_path / "x")
    tensors = load_file(tmp_path / "x" / "model.safetensors")
    del tensors["visual_projection.weight"]
    save_file(tensors, tmp_path / "x" / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UsageError, match=r"missing tensors: visual_projection\.weight"):
        TransformersClip(tmp_path / "x", "cpu")
    (tmp_path / "x" / "config.json").write_text(json.dumps({"model_type": "bert"})[:-3])
    with pytest.raises(EnvironmentProblem, match="cannot be loaded"):
        TransformersClip(tmp_path / "x", "cpu")
