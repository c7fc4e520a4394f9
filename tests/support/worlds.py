"""Small real plugins for tests of the core: a counting model, a parity benchmark, a brightness observer."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from janus_eval.evals.errors import OutOfMemory
from janus_eval.evals.types import Evidence, Job, Metric, Prediction, RunSpec, Sample, Score
from PIL import Image


@dataclass
class Painter:
    """Paints a plain picture whose colour is its job's seed; counts what it was asked for."""

    fail_ids: frozenset[str] = frozenset()
    fits: int = 10_000
    asked: list[tuple[str, int]] = field(default_factory=list)
    kinds = frozenset(["image"])
    card = {"weights": "none"}

    def predict(self, jobs: Sequence[Job]) -> list[Any]:
        if len(jobs) > self.fits:
            raise OutOfMemory(f"{len(jobs)} jobs")
        for job in jobs:
            if job.sample.id in self.fail_ids:
                raise RuntimeError(f"cannot paint {job.sample.id}")
        self.asked += [(job.sample.id, job.index) for job in jobs]
        return [Image.new("RGB", (8, 8), tuple(hashlib.sha256(str(job.seed).encode()).digest()[:3])) for job in jobs]


@dataclass
class Eye:
    """Sees the red value of a picture; cannot look at the ids in `blind`."""

    blind: frozenset[str] = frozenset()
    seen: list[tuple[str, int]] = field(default_factory=list)
    card = {"eye": 1}

    def observe(self, pairs: Sequence[tuple[Sample, Prediction]]) -> list[Evidence]:
        found: list[Evidence] = []
        for sample, prediction in pairs:
            self.seen.append((sample.id, prediction.index))
            if sample.id in self.blind:
                found.append(Evidence(sample.id, prediction.index, error="the eye is shut"))
                continue
            with Image.open(prediction.image) as picture:
                found.append(Evidence(sample.id, prediction.index, {"red": picture.getpixel((0, 0))[0]}))
        return found


@dataclass
class Redness:
    """Asks for pictures and calls a red value above 127 correct."""

    size: int = 5
    name = "redness"
    kind = "image"
    outputs = 2
    observer = "eye"
    headline = "official/red"
    card = {"version": "1"}

    def samples(self) -> list[Sample]:
        return [Sample(f"{n:03d}", f"prompt {'x' * (n % 3)}", cluster=str(n)) for n in range(self.size)]

    def score(self, sample: Sample, prediction: Prediction, evidence: Evidence | None) -> list[Score]:
        assert evidence is not None
        return [Score(sample.id, prediction.index, "official", float(evidence.data["red"] > 127))]

    def aggregate(self, scores: Sequence[Score]) -> dict[str, Metric]:
        values = [each.value for each in scores if each.value is not None]
        return {"official/red": Metric(sum(values) / len(values) if values else None, len(values))}


def spec(seed: int = 0) -> RunSpec:
    """Return the spec of a Painter on Redness."""
    return RunSpec("painter", "redness", seed, None, Painter.card, Redness.card, Eye.card, "test")
