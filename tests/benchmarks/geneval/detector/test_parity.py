"""The parity command compares a folder of reference numbers and fails where one is off."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from janus_eval.benchmarks.geneval.detector import canary, parity, small
from janus_eval.benchmarks.geneval.detector.backends import TransformersDetector
from janus_eval.benchmarks.geneval.detector.instances import decode
from safetensors.torch import save_file
from support import mmdet_files


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in the format of the reference numbers, filled by the small network."""
    root = tmp_path_factory.mktemp("parity")
    settings = small.SMALL_SETTINGS
    test = {"img_scale_long_short": settings.scale, "size_divisor": 32, "pad_value_before_normalise": 128}
    test |= {"mean_rgb": settings.mean, "std_rgb": settings.std, "max_per_image": settings.max_per_image}
    (root / "config.json").write_text(json.dumps({"test": test}))
    state = {key: value.contiguous() for key, value in mmdet_files.state_dict().items()}
    save_file(state, root / "state_dict_2x.safetensors")
    (root / "network").mkdir()
    small.write_detector(root / "network")
    detector = TransformersDetector(root / "network", device="cpu")
    picture = canary.pictures()[1]
    cv2.imwrite(str(root / "input_wide.png"), picture)
    prepared = detector.prepare(picture)
    with torch.inference_mode():
        output = detector.model.double()(pixel_values=torch.from_numpy(prepared.input)[None].double())
    detector.model.float()
    (found,) = detector.detect([prepared], -1.0)
    masks = np.stack([decode(each) for each in found.masks])
    geometry = prepared.geometry
    np.savez(
        root / "expected_wide.npz",
        original_hw=geometry.original,
        resized_hw=geometry.resized,
        padded_hw=geometry.padded,
        network_input=prepared.input,
        class_logits=output.class_queries_logits[0].numpy(),
        mask_logits=output.masks_queries_logits[0].numpy(),
        det_boxes=found.boxes,
        det_scores=found.scores,
        det_labels=found.labels,
        det_masks_packed=np.packbits(masks, axis=-1),
        det_masks_shape=masks.shape,
    )
    return root


def test_equal_numbers_hold(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert parity.main([str(folder)]) == 0
    printed = capsys.readouterr().out
    assert "detections: boxes" in printed and "every comparison holds" in printed and "FAIL" not in printed


@pytest.mark.parametrize("key", ["class_logits", "det_boxes", "det_scores", "network_input", "padded_hw"])
def test_a_number_that_is_off_fails(folder: Path, key: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for each in folder.iterdir():
        if each.is_file():
            (tmp_path / each.name).write_bytes(each.read_bytes())
    known = dict(np.load(folder / "expected_wide.npz"))
    known[key] = known[key] + known[key].dtype.type(1)
    np.savez(tmp_path / "expected_wide.npz", **known)
    assert parity.main([str(tmp_path)]) == 3
    assert "FAIL" in capsys.readouterr().out


def test_a_folder_without_numbers_is_a_usage_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert parity.main([str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith("error: ")
