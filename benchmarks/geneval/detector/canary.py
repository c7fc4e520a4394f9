"""A check before scoring: known pictures give known tensors, boxes and verdicts, or the run stops.

It catches what would otherwise give a plausible wrong score: a swapped channel order, another
resize, a wrong class list, a wrong or altered weights file, a wrong threshold, a device that does
not compute in float32.

    python -m janus_eval.benchmarks.geneval.detector.canary     # prints the known values anew
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from ....evals.errors import EnvironmentProblem
from ..metadata import read as read_metadata
from ..prompts import CLASSES
from ..rule import Options, verdict
from .backends import TransformersDetector, by_class
from .folder import recorded_response, response
from .instances import Detections, decode
from .pixels import Bgr, Geometry, Settings, network_input
from .small import write_detector

KNOWN_FILE = "canary.json"
FLOOR = 0.1
_SEED = 12
_INPUT_TOLERANCE = 1e-4
_SCORE_TOLERANCE = 2e-3
_RESPONSE_TOLERANCE = {"float64": 0.02, "float32": 0.02, "bfloat16": 0.15, "float16": 0.15}
"""Highest class probabilities may move this much: a flipped bit of an attention mask moves them a little."""


def pictures() -> list[Bgr]:
    """Return three pictures in cv2's channel order, made of whole numbers only: square, wide and tall."""
    made: list[Bgr] = []
    for number, (height, width) in enumerate(((96, 96), (90, 128), (140, 100))):
        rows, columns = np.mgrid[0:height, 0:width]
        blue = (rows * 5 + columns * (number + 1)) % 256
        green = (rows * columns // 7 + 40 * number) % 256
        red = np.where((rows // 16 + columns // 16) % 2 == 0, 230, 30)
        made.append(np.stack([blue, green, red], axis=-1).astype(np.uint8))
    return made


def observed(device: str) -> dict[str, Any]:
    """Return what this machine makes of the pictures: input samples, detections of the small network."""
    with tempfile.TemporaryDirectory() as folder:
        write_detector(Path(folder), seed=_SEED)
        detector = TransformersDetector(Path(folder), device=device)
    official = [_samples(each, Settings()) for each in pictures()]
    prepared = [detector.prepare(each) for each in pictures()]
    found = [next(iter(detector.detect([each], FLOOR))) for each in prepared]
    detections = [{name: _rows(each, places) for name, places in by_class(each).items()} for each in found]
    return {"inputs": official, "detections": detections}


def _rows(found: Detections, places: Sequence[int]) -> list[list[float]]:
    """Return box, score and mask area of detections."""
    return [
        [*found.boxes[each].tolist(), round(float(found.scores[each]), 5), int(decode(found.masks[each]).sum())]
        for each in places
    ]


def _samples(picture: Bgr, settings: Settings) -> list[float]:
    """Return 36 values of a picture's network input, spread over channels, rows and columns."""
    geometry = Geometry.of((picture.shape[0], picture.shape[1]), settings)
    values = network_input(picture, geometry, settings, "mmdet2")
    rows = np.linspace(0, values.shape[1] - 1, 4).astype(int)
    columns = np.linspace(0, values.shape[2] - 1, 3).astype(int)
    return [round(float(each), 5) for each in values[:, rows][:, :, columns].ravel()]


@cache
def check_package(device: str) -> None:
    """Raise EnvironmentProblem unless this package, on this machine, computes the known values."""
    known = json.loads((files(__package__ or "") / KNOWN_FILE).read_text(encoding="utf-8"))
    digest = hashlib.sha256("\n".join(CLASSES).encode()).hexdigest()
    if digest != known["classes_sha256"]:
        raise _stop("the class list is not GenEval's")
    seen = observed(device)
    for want, have in zip(known["inputs"], seen["inputs"], strict=True):
        worst = float(np.abs(np.array(want) - np.array(have)).max())
        if not worst <= _INPUT_TOLERANCE:
            raise _stop(f"the network's input is off by {worst:.3g} (channel order, resize, padding or normalisation)")
    for want, have in zip(known["detections"], seen["detections"], strict=True):
        _compare(want, have)
    _check_rule()


def _compare(want: dict[str, list[list[float]]], have: dict[str, list[list[float]]]) -> None:
    if {name: len(rows) for name, rows in want.items()} != {name: len(rows) for name, rows in have.items()}:
        raise _stop(f"the small network should find {_counted(want)}, it finds {_counted(have)} (classes or floor)")
    for name, rows in want.items():
        for known, found in zip(rows, have[name], strict=True):
            moved = np.abs(np.array(known) - np.array(found))
            if moved[4] > _SCORE_TOLERANCE or moved[:4].max() > 1 or moved[5] > 0.01 * known[5] + 2:
                raise _stop(f"a {name} should be at {known}, it is at {found} (network, mask or score)")


def _counted(rows: dict[str, list[list[float]]]) -> str:
    return ", ".join(f"{len(each)} {name}" for name, each in sorted(rows.items())) or "nothing"


def _check_rule() -> None:
    """The rule's default thresholds at their edges: 0.3, and 0.9 for counting, both to be exceeded."""
    for tag, threshold in (("single_object", 0.3), ("counting", 0.9)):
        prompt = {"tag": tag, "include": [{"class": "cow", "count": 1}], "prompt": "a photo of a cow"}
        for score, expected in ((threshold, False), (threshold + 0.001, True)):
            found = verdict(read_metadata(prompt), {"cow": [[0, 0, 8, 8, score]]}, {}, Options())
            if found.correct is not expected:
                raise _stop(
                    f"a box of score {score} {'does not count' if expected else 'counts'} for {tag} (threshold)"
                )


def check_network(detector: TransformersDetector, folder: Path) -> None:
    """Raise EnvironmentProblem unless the loaded network answers as it did when it was converted."""
    known = recorded_response(folder)
    if known is None:
        return
    found = response(detector.model)
    worst = float(np.abs(np.array(known) - np.array(found)).max())
    if not worst <= _RESPONSE_TOLERANCE[detector.dtype]:
        raise _stop(f"the detector in {folder} answers otherwise than when it was converted (by {worst:.3g})")


def _stop(what: str) -> EnvironmentProblem:
    return EnvironmentProblem(
        f"GenEval's detector fails its check before scoring: {what}. Scores made with it would be wrong; "
        "reinstall janus-eval[geneval], convert the checkpoint again, or report this with `janus-eval doctor`"
    )


def main() -> None:
    known = {"classes_sha256": hashlib.sha256("\n".join(CLASSES).encode()).hexdigest(), **observed("cpu")}
    print(json.dumps(known, indent=1))


if __name__ == "__main__":
    main()
