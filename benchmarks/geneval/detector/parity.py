"""Own detector against numbers that mmdet gave: prints every difference beside its limit.

    python -m janus_eval.benchmarks.geneval.detector.parity FOLDER

FOLDER holds config.json (its `test` block has the pipeline's settings), a checkpoint
state_dict_2x.safetensors or state_dict_3x.safetensors, pictures input_NAME.png with
expected_NAME.npz (sizes, network input, logits, detections), and optionally keys_3x.txt (3.x name,
shape, 2.x name), resize_cv2.npz (in_NAME, out_NAME) and stages_NAME.npz.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....evals.errors import JanusEvalError, UsageError
from .backends import Prepared, TransformersDetector
from .checkpoint import Checkpoint, read
from .convert import converted, write
from .instances import Detections, decode
from .pixels import Settings, resize
from .pixels import read as read_picture

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Line:
    """One comparison: what, the worst difference, the largest that a right implementation shows."""

    what: str
    worst: float
    limit: float

    @property
    def holds(self) -> bool:
        return self.worst <= self.limit


def compare(folder: Path) -> Iterator[Line]:
    """Yield the comparisons of a folder. Raises UsageError where it holds no checkpoint or no picture."""
    settings = _settings(folder)
    yield from _resizes(folder)
    names = sorted(each.name[len("expected_") : -len(".npz")] for each in folder.glob("expected_*.npz"))
    checkpoints = list(_checkpoints(folder))
    if not checkpoints or not names:
        raise UsageError(f"{folder}: state_dict_2x.safetensors and expected_NAME.npz are expected")
    for naming, checkpoint in checkpoints:
        with tempfile.TemporaryDirectory() as scratch:
            size, which, tensors = converted(checkpoint)
            write(Path(scratch), size, tensors, settings, {"file": checkpoint.path.name, "naming": which})
            detector = TransformersDetector(Path(scratch), device="cpu")
        for name in names:
            for line in _picture(folder, name, detector):
                yield replace(line, what=f"{naming} {name}: {line.what}")


def _settings(folder: Path) -> Settings:
    try:
        test = json.loads((folder / "config.json").read_text(encoding="utf-8"))["test"]
        long, short = test["img_scale_long_short"]
        return Settings(
            scale=(long, short),
            divisor=test["size_divisor"],
            pad_value=test["pad_value_before_normalise"],
            mean=tuple(test["mean_rgb"]),
            std=tuple(test["std_rgb"]),
            max_per_image=test["max_per_image"],
        )
    except (OSError, ValueError, KeyError) as error:
        raise UsageError(f"{folder / 'config.json'}: {error}; a `test` block with the settings is expected") from error


def _checkpoints(folder: Path) -> Iterator[tuple[str, Checkpoint]]:
    """Yield the checkpoint in every naming that the folder gives, by file or by its table of names."""
    for short in ("2x", "3x"):
        path = folder / f"state_dict_{short}.safetensors"
        if path.is_file():
            yield short, read(path)
    table, other = folder / "keys_3x.txt", folder / "state_dict_2x.safetensors"
    if table.is_file() and other.is_file() and not (folder / "state_dict_3x.safetensors").is_file():
        rows = [line.split("\t") for line in table.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
        new = {old: name for name, _, old in rows}
        found = read(other)
        yield "3x", Checkpoint(table, {new[key]: value for key, value in found.tensors.items()}, None)


def _resizes(folder: Path) -> Iterator[Line]:
    path = folder / "resize_cv2.npz"
    if not path.is_file():
        return
    arrays = _arrays(path)
    for key in sorted(key for key in arrays if key.startswith("in_")):
        expected = arrays["out_" + key[3:]]
        found = resize(arrays[key], (expected.shape[0], expected.shape[1]))
        yield Line(f"resize {key[3:]}: values that differ", float((found != expected).sum()), 0)


def _picture(folder: Path, name: str, detector: TransformersDetector) -> Iterator[Line]:
    known = _arrays(folder / f"expected_{name}.npz")
    pixels, _ = read_picture(folder / f"input_{name}.png")
    prepared = detector.prepare(pixels)
    sizes = prepared.geometry
    for what, found in (("original", sizes.original), ("resized", sizes.resized), ("padded", sizes.padded)):
        yield Line(f"{what} size", _worst(np.array(found), known[f"{what}_hw"]), 0)
    yield Line("network input", _worst(prepared.input, known["network_input"]), 1e-6)
    yield from _float64(folder, name, detector, replace(prepared, input=known["network_input"]), known)
    classes, masks = detector.logits([prepared])
    yield Line("class logits, float32", _worst(classes[0].numpy(), known["class_logits"]), 5e-5)
    yield Line("mask logits, float32", _worst(masks[0].numpy(), known["mask_logits"]), 5e-4)
    yield from _detections(next(iter(detector.detect([prepared], -1.0))), known)


def _float64(
    folder: Path, name: str, detector: TransformersDetector, prepared: Prepared, known: Arrays
) -> Iterator[Line]:
    """Compare the network alone, in float64, from the reference's own input; every head and stage that is given."""
    import torch

    network: Any = detector.model.double()
    pixels = torch.from_numpy(prepared.input)[None].double()
    with torch.inference_mode():
        output = network(pixel_values=pixels, output_hidden_states=True, output_auxiliary_logits=True)
    detector.model.float()
    yield Line("class logits, float64", _worst(output.class_queries_logits[0].numpy(), known["class_logits"]), 1e-10)
    yield Line("mask logits, float64", _worst(output.masks_queries_logits[0].numpy(), known["mask_logits"]), 1e-10)
    heads = [*(each["class_queries_logits"] for each in output.auxiliary_logits or []), output.class_queries_logits]
    every = known.get("class_logits_all_heads")
    if every is not None and len(heads) == len(every):
        found = torch.stack([each[0] for each in heads]).numpy()
        yield Line("class logits of every head, float64", _worst(found, every), 1e-10)
    stages = folder / f"stages_{name}.npz"
    if stages.is_file():
        expected = _arrays(stages)
        for index, each in enumerate(output.encoder_hidden_states or []):
            key = f"backbone_stage{index + 1}"
            if key in expected:
                yield Line(f"{key}, float64", _worst(each[0].numpy(), expected[key]), 1e-10)


def _detections(found: Detections, known: Arrays) -> Iterator[Line]:
    """Compare detections class by class, best first; those of score 0 tie with each other and count only."""
    height, width = (int(each) for each in known["det_masks_shape"][1:])
    masks = np.unpackbits(known["det_masks_packed"], axis=-1, count=width).astype(np.bool_)
    ours = sorted(range(len(found.scores)), key=lambda i: (found.labels[i], -found.scores[i]))
    theirs = sorted(range(len(known["det_scores"])), key=lambda i: (known["det_labels"][i], -known["det_scores"][i]))
    yield Line("detections: number", abs(len(ours) - len(theirs)), 0)
    if len(ours) != len(theirs):
        return
    yield Line("detections: labels that differ", float((found.labels[ours] != known["det_labels"][theirs]).sum()), 0)
    yield Line("detections: scores", _worst(found.scores[ours], known["det_scores"][theirs]), 1e-5)
    yield Line("detections: boxes, pixels", _worst(found.boxes[ours], known["det_boxes"][theirs]), 0)
    pairs = [(a, b) for a, b in zip(ours, theirs, strict=True) if known["det_scores"][b] > 0]
    moved = [int((decode(found.masks[a]) != masks[b].reshape(height, width)).sum()) for a, b in pairs]
    yield Line("detections: pixels that differ in one mask", max(moved, default=0), 2)


def _arrays(path: Path) -> Arrays:
    with np.load(path, allow_pickle=False) as file:
        return dict(file)


def _worst(found: NDArray[Any], expected: NDArray[Any]) -> float:
    if found.shape != expected.shape:
        return float("inf")
    return float(np.abs(found.astype(np.float64) - expected.astype(np.float64)).max(initial=0))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="parity", description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args(arguments).folder
    failures = 0
    try:
        for line in compare(folder):
            print(f"{'ok  ' if line.holds else 'FAIL'} {line.what:<55} {line.worst:10.3g}   limit {line.limit:g}")
            failures += not line.holds
    except JanusEvalError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print("every comparison holds" if not failures else f"{failures} comparisons fail")
    return 3 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
