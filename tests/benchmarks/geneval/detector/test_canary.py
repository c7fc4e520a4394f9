"""The check before scoring passes here and stops a run for each planted fault."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from janus_eval.benchmarks.geneval import rule
from janus_eval.benchmarks.geneval.detector import backends as detector
from janus_eval.benchmarks.geneval.detector import canary, instances, pixels, small
from janus_eval.benchmarks.geneval.detector.folder import load
from janus_eval.benchmarks.geneval.detector.pixels import Settings
from janus_eval.benchmarks.geneval.observer import GenEvalObserver
from janus_eval.evals.errors import EnvironmentProblem, UsageError


@pytest.fixture(autouse=True)
def unmemorised() -> Iterator[None]:
    canary.check_package.cache_clear()
    yield
    canary.check_package.cache_clear()


def stops(match: str) -> Any:
    return pytest.raises(EnvironmentProblem, match=f"fails its check before scoring: .*{match}")


def test_a_sound_package_passes() -> None:
    canary.check_package("cpu")


@pytest.mark.claim("R15")
def test_a_swapped_channel_order_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    right = pixels.network_input
    monkeypatch.setattr(canary, "network_input", lambda picture, *rest: right(picture[:, :, ::-1], *rest))
    with stops("input is off"):
        canary.check_package("cpu")


@pytest.mark.claim("R15")
def test_a_swapped_channel_order_in_the_detector_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    right = pixels.network_input
    monkeypatch.setattr(detector, "network_input", lambda picture, *rest: right(picture[:, :, ::-1], *rest))
    with stops("small network|at "):
        canary.check_package("cpu")


def test_another_resize_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import Image

    def antialiased(image: Any, size: tuple[int, int]) -> Any:
        return np.asarray(Image.fromarray(image).resize((size[1], size[0]), Image.Resampling.BICUBIC))

    monkeypatch.setattr(pixels, "resize", antialiased)
    with stops("input is off"):
        canary.check_package("cpu")


def test_a_wrong_normalisation_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canary, "Settings", lambda: Settings(mean=(127.5, 127.5, 127.5)))
    with stops("input is off"):
        canary.check_package("cpu")


def test_a_wrong_padding_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canary, "Settings", lambda: Settings(pad_value=0))
    with stops("input is off"):
        canary.check_package("cpu")


@pytest.mark.claim("R15")
def test_a_wrong_class_list_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    names = list(canary.CLASSES)
    names[3], names[4] = names[4], names[3]
    monkeypatch.setattr(canary, "CLASSES", tuple(names))
    with stops("class list"):
        canary.check_package("cpu")


@pytest.mark.claim("R15")
def test_labels_off_by_one_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    right = canary.by_class
    monkeypatch.setattr(canary, "by_class", lambda found: right(replace(found, labels=(found.labels + 1) % 80)))
    with stops("small network"):
        canary.check_package("cpu")


@pytest.mark.parametrize(("name", "value"), [("threshold", 0.5), ("threshold", 0.25), ("counting_threshold", 0.3)])
@pytest.mark.claim("R15")
def test_a_wrong_threshold_of_the_rule_is_caught(monkeypatch: pytest.MonkeyPatch, name: str, value: float) -> None:
    monkeypatch.setattr(canary, "Options", lambda: rule.Options(**{name: value}))
    with stops("threshold"):
        canary.check_package("cpu")


@pytest.mark.claim("R15")
def test_a_wrong_floor_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    right = instances.instances
    monkeypatch.setattr(detector, "instances", lambda *given: right(*given[:-1], 0.3))
    with stops("small network"):
        canary.check_package("cpu")


def test_a_wrong_mask_threshold_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    right = instances._resized
    monkeypatch.setattr(instances, "_resized", lambda *given: right(*given) - 1.0)
    with stops("."):
        canary.check_package("cpu")


def test_reduced_precision_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    right = detector.TransformersDetector.logits

    def coarse(self: Any, pictures: Any) -> Any:
        with torch.autocast("cpu", torch.bfloat16):
            return right(self, pictures)

    monkeypatch.setattr(detector.TransformersDetector, "logits", coarse)
    with stops("."):
        canary.check_package("cpu")


@pytest.mark.claim("R15")
def test_a_network_that_answers_otherwise_than_at_its_conversion_is_caught(tmp_path: Path) -> None:
    small.write_detector(tmp_path)
    loaded = detector.TransformersDetector(tmp_path, device="cpu")
    canary.check_network(loaded, tmp_path)
    with torch.no_grad():
        loaded.model.class_predictor.weight[:40].neg_()
    with stops("answers otherwise"):
        canary.check_network(loaded, tmp_path)


@pytest.mark.claim("R15")
def test_a_wrong_weights_file_stops_the_observer(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    small.write_detector(tmp_path / "a", seed=1)
    small.write_detector(tmp_path / "b", seed=2)
    (tmp_path / "a" / "model.safetensors").write_bytes((tmp_path / "b" / "model.safetensors").read_bytes())
    observer = GenEvalObserver(detector=str(tmp_path / "a"), clip="toy", device="cpu")
    with pytest.raises(EnvironmentProblem, match="not the file that the conversion wrote"):
        observer.observe([])


@pytest.mark.claim("R15")
def test_a_shuffled_label_table_stops_the_observer(tmp_path: Path) -> None:
    small.write_detector(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    labels = config["id2label"]
    labels["8"], labels["9"] = labels["9"], labels["8"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(UsageError, match="class 8 is 'traffic light'"):
        load(str(tmp_path))
