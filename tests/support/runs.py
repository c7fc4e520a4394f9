"""Finished GenEval-like runs on disk, drawn with a seed: what readers of records are tested on."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from pathlib import Path
from statistics import NormalDist

from janus_eval.evals import stats
from janus_eval.evals.store import RunStore
from janus_eval.evals.types import Json, RunRecord, RunSpec, Score

TASKS = {"single_object": (80, 0.99), "two_object": (99, 0.89), "counting": (80, 0.59)}
TASKS |= {"colors": (94, 0.90), "position": (100, 0.79), "color_attr": (100, 0.66)}
CARD: Mapping[str, Json] = {"version": "1", "suite": "official", "prompts": 553, "images": 4}


WEIGHTS = "owner/name@main#0123456789abcdef"


def spec(model: str, **changes: Json) -> RunSpec:
    base: dict[str, Json] = {
        "model": model,
        "benchmark": "geneval",
        "seed": 0,
        "limit": None,
        "model_card": {"cfg": 5.0, "weights": WEIGHTS},
        "benchmark_card": CARD,
        "observer_card": {"detector": "mask2former"},
        "version": "0.1.0",
    }
    return RunSpec(**{**base, **changes})


def scores(seed: int = 0, *, drop: float = 0.0, share: int = 1) -> list[Score]:
    """Draw a full GenEval run: 553 prompts, 4 images; correlation 0.5 within a prompt and between seeds.

    `drop` lowers every task's true share; `share` keeps one prompt in so many (a small run).
    """
    own, common = random.Random(seed), random.Random(12345)
    found: list[Score] = []
    number = 0
    for task, (prompts, chance) in TASKS.items():
        cut = NormalDist().inv_cdf(max(0.001, chance - drop))
        for _ in range(prompts):
            prompt = math.sqrt(0.5) * common.gauss(0, 1) + math.sqrt(0.5) * own.gauss(0, 1)
            values = [float(math.sqrt(0.5) * prompt + math.sqrt(0.5) * own.gauss(0, 1) < cut) for _ in range(4)]
            name = f"{number:05d}"
            if number % share == 0:
                found += [
                    Score(name, i, "official", v, tags={"task": task}, cluster=name) for i, v in enumerate(values)
                ]
            number += 1
    return found


def estimates(rows: list[Score]) -> dict[str, stats.Estimate]:
    tasks = {
        task: stats.mean(
            [each.value or 0.0 for each in rows if each.tags["task"] == task],
            [each.cluster for each in rows if each.tags["task"] == task],
        )
        for task in TASKS
    }
    found = {f"official/{task}": each for task, each in tasks.items()}
    return {"official/overall": stats.average(tasks.values()), **found}


def write(folder: Path, what: RunSpec, rows: list[Score], *, missing: int = 0) -> Path:
    """Write a finished run below `folder` and return its own folder."""
    counts = {"expected": len(rows) + missing, "predicted": len(rows), "scored": len(rows)}
    counts |= {"unparsed": 0, "unscored": missing, "invalid_images": 0, "errors": 0}
    metrics = stats.metrics(estimates(rows))
    record = RunRecord(what, "official/overall", metrics, counts, not missing, environment={"python": "3.11"})
    path = folder / f"{what.model.replace('/', '_')}--{what.benchmark}--{what.digest}"
    with RunStore(path, what) as store:
        store.finish(rows, record)
    return path
