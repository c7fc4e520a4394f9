"""A small world that the real command runs while it is killed, starved and watched: a painter, a suite, an eye."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from janus_eval.evals.errors import EnvironmentProblem
from janus_eval.evals.files import publish
from janus_eval.evals.types import Evidence, Job, Metric, Prediction, Sample, Score
from PIL import Image


def note(what: str, sample_id: str, index: int, seed: int = 0) -> None:
    """Write down, outside of the run, what was asked for: what a killed process had begun is known afterwards."""
    ledger = os.environ.get("SQUARES_LEDGER")
    if ledger:
        with Path(ledger).open("a", encoding="utf-8") as file:
            file.write(f"{what} {sample_id}/{index} {seed}\n")


def pause(name: str = "SQUARES_PAUSE") -> None:
    """Sleep for so many seconds as the environment says."""
    time.sleep(float(os.environ.get(name, "0")))


class Painter:
    """Paints a square in the colour of its job's seed."""

    kinds = frozenset(["image"])
    inert = ("device",)
    image_size = 8

    def __init__(self, *, device: str = "cpu") -> None:
        self.device = device

    @property
    def card(self) -> dict[str, str]:
        if os.environ.get("SQUARES_LACKS"):
            raise EnvironmentProblem("the painter's weights are not on this machine")
        return {"weights": "none", "device": os.environ.get("SQUARES_DEVICE", "cpu")}

    def batch_size(self, jobs: Sequence[Job]) -> int:
        del jobs
        once = os.environ.get("SQUARES_UNSIZED")
        if once and not Path(once).exists():
            Path(once).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return 16

    def predict(self, jobs: Sequence[Job]) -> list[Any]:
        for job in jobs:
            note("painted", job.sample.id, job.index, job.seed)
            if job.sample.id == os.environ.get("SQUARES_KILLER"):
                os.kill(os.getpid(), signal.SIGKILL)
        pause()
        colours = [tuple(hashlib.sha256(str(job.seed).encode()).digest()[:3]) for job in jobs]
        return [Image.new("RGB", (8, 8), colour) for colour in colours]


class Eye:
    """Sees the red value of a picture."""

    card = {"eye": 1}
    batch_size = 4
    beside = True

    def observe(self, pairs: Sequence[tuple[Sample, Prediction]]) -> list[Evidence]:
        pause()
        pause("SQUARES_LOOK")
        found: list[Evidence] = []
        for sample, prediction in pairs:
            note("seen", sample.id, prediction.index)
            assert prediction.image is not None
            with Image.open(prediction.image) as picture:
                found.append(Evidence(sample.id, prediction.index, {"red": picture.convert("RGB").getpixel((0, 0))[0]}))
        return found


class Squares:
    """Asks twice for each of `size` squares; red above 127 is correct."""

    name = "squares"
    kind = "image"
    outputs = 2
    observer = "squares-eye"
    headline = "official/red"

    def __init__(self, *, size: int = 20) -> None:
        self.size = size
        self.card = {"version": "1", "size": size}

    def samples(self) -> list[Sample]:
        return [Sample(f"{n:03d}", f"a square {'x' * (n % 3)}", cluster=str(n)) for n in range(self.size)]

    def score(self, sample: Sample, prediction: Prediction, evidence: Evidence | None) -> list[Score]:
        pause("SQUARES_SLOW")
        assert evidence is not None
        red = evidence.data["red"]
        return [Score(sample.id, prediction.index, "official", float(red > 127), red, f"red {red}", cluster=sample.id)]

    def aggregate(self, scores: Sequence[Score]) -> dict[str, Metric]:
        values = [each.value for each in scores if each.value is not None]
        return {"official/red": Metric(sum(values) / len(values) if values else None, len(values))}

    def export(self, folder: Path, samples: Any, predictions: Any, evidence: Any, scores: Sequence[Score]) -> None:
        rows = sorted((asdict(each) for each in scores), key=lambda row: (row["sample_id"], row["index"]))
        publish(folder / "squares.json", json.dumps(rows).encode())
