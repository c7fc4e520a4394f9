"""Pictures in and out of Janus: truncated sizes, padding, scaling, truncated levels."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from janus_eval.evals.errors import EnvironmentProblem, InvalidImage
from janus_eval.models.janus.pixels import (
    PixelRule,
    open_picture,
    pixel_values,
    read_rule,
    resized_size,
    squared,
    to_bytes,
)
from PIL import Image


@pytest.mark.parametrize(
    ("size", "wanted"),
    [
        ((640, 426), (384, 255)),  # 255.6 and 255.7: rounding would give 256
        ((500, 333), (384, 255)),
        ((333, 500), (255, 384)),
        ((640, 480), (384, 288)),
        ((1000, 10), (384, 14)),
    ],
)
def test_the_short_side_is_truncated_and_at_least_fourteen(size: tuple[int, int], wanted: tuple[int, int]) -> None:
    assert resized_size(*size, 384) == wanted


def test_padding_is_grey_and_centred_downwards() -> None:
    picture = squared(Image.new("RGB", (640, 426), (255, 0, 0)), PixelRule(384))
    levels = np.asarray(picture)
    assert levels.shape == (384, 384, 3)
    # 384 - 255 = 129 rows to fill: 64 above, 65 below.
    assert (levels[63] == 127).all() and (levels[64] == (255, 0, 0)).all()
    assert (levels[318] == (255, 0, 0)).all() and (levels[319] == 127).all()


def test_pixels_are_scaled_and_normalised_as_the_folder_says() -> None:
    picture = Image.new("L", (30, 30), 255)
    assert pixel_values(picture, PixelRule(16)).max() == pytest.approx(1.0)
    raw = pixel_values(picture, PixelRule(16, normalize=False))
    assert raw.dtype == np.float32 and raw.min() == pytest.approx(1.0)
    dark = pixel_values(Image.new("L", (30, 30), 0), PixelRule(16))
    assert dark.min() == -1.0


def test_transparency_is_dropped_not_blended() -> None:
    buffer = io.BytesIO()
    Image.new("RGBA", (4, 4), (10, 20, 30, 0)).save(buffer, "PNG")
    assert open_picture(buffer.getvalue(), "x.png").getpixel((0, 0)) == (10, 20, 30)


@pytest.mark.parametrize("data", [b"", b"no picture", "half"])
def test_a_broken_picture_is_an_invalid_image_with_its_name(data: bytes | str) -> None:
    if isinstance(data, str):
        buffer = io.BytesIO()
        Image.effect_noise((64, 64), 50).save(buffer, "PNG")
        data = buffer.getvalue()[: len(buffer.getvalue()) // 2]
    with pytest.raises(InvalidImage, match=r"'cut\.png'"):
        open_picture(data, "cut.png")


def test_levels_are_truncated_and_clipped() -> None:
    # (0.99 + 1) / 2 * 255 = 253.7; (-0.5 + 1) / 2 * 255 = 63.75
    pixels = torch.tensor([0.99, -0.5, 1.7, -3.0]).view(1, 1, 2, 2).expand(1, 3, 2, 2)
    assert to_bytes(pixels)[0, :, :, 0].flatten().tolist() == [253, 63, 255, 0]


@pytest.mark.parametrize("key", ["image_mean", "image_std"])
@pytest.mark.parametrize("value", ["../../etc/passwd", None, True, [0.5], {}, float("nan"), float("-inf"), 10**400])
def test_a_rule_with_a_number_that_is_none_is_refused(tmp_path: Path, key: str, value: object) -> None:
    path = tmp_path / "preprocessor_config.json"
    path.write_text(json.dumps({"image_size": 384, key: [0.5, value, 0.5]}))
    with pytest.raises(EnvironmentProblem, match=f"{key} is .*, expected three numbers") as told:
        read_rule(tmp_path, 384)
    assert len(str(told.value)) < 300 + len(str(path))


def test_a_rule_that_would_divide_by_nothing_is_refused(tmp_path: Path) -> None:
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"image_std": [0.5, 0, 0.5]}))
    with pytest.raises(EnvironmentProblem, match="above 0"):
        read_rule(tmp_path, 384)


def test_the_rule_is_read_from_either_format(tmp_path: Path) -> None:
    path = tmp_path / "preprocessor_config.json"
    path.write_text(json.dumps({"image_size": 384, "do_normalize": False, "image_mean": [0.4, 0.5, 0.6]}))
    rule = read_rule(tmp_path, 384)
    assert not rule.normalize and rule.mean == (0.4, 0.5, 0.6)
    path.write_text(json.dumps({"size": {"height": 384, "width": 384}}))
    assert read_rule(tmp_path, 384).normalize
    with pytest.raises(EnvironmentProblem, match="384 pixels, the vision tower takes 64"):
        read_rule(tmp_path, 64)
    path.write_text("not json")
    with pytest.raises(EnvironmentProblem, match="no JSON"):
        read_rule(tmp_path, 384)
    path.unlink()
    with pytest.raises(EnvironmentProblem, match=r"no preprocessor_config\.json"):
        read_rule(tmp_path, 384)
