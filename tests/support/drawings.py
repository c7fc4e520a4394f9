"""What is held of every pipeline that has a recipe: a picture is its own prompt's, seed's and source's."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from janus_eval.evals import registry
from janus_eval.evals.types import Job, Picture, Sample
from PIL import Image
from support.tiny_drawers import SIZE

JOBS = [
    Job(Sample(f"s{seed}", prompt), "image", 0, seed)
    for prompt, seed in (("a", 3), ("a photo of a very blue dog on the moon", 2**62 + 5), ("a red cat", 7))
]


def adapter(short: str, kind: str, folder: Path, **options: str) -> Any:
    given = {"steps": "2", "size": str(SIZE.get(kind, 32)), **options}
    if kind == "SanaPipeline":
        given.setdefault("extra", '{"complex_human_instruction": []}')  # a thousand tokens before each prompt
    return registry.create("models", f"diffusers:{short}", path=str(folder), device="cpu", **given)


def edit(color: str, prompt: str = "make it blue", seed: int = 1, count: int = 1) -> Job:
    """Return an edit of a plain picture of 128 x 64 pixels, or of several such."""
    held = io.BytesIO()
    Image.new("RGB", (128, 64), color).save(held, "PNG")
    return Job(Sample(f"{color}{prompt}", prompt, (Picture("a.png", held.getvalue),) * count), "edit", 0, seed)


def hold_own_source_and_prompt(model: Any) -> None:
    """Assert that an edit depends on its own source, instruction and seed alone, and on each of them."""
    assert "edit" in model.kinds
    jobs = [edit("red"), edit("green"), edit("red", "a photo of a very blue dog on the moon"), edit("red", seed=2)]
    made = draw(model, jobs)
    assert {each.shape for each in made} == {(32, 32, 3)}
    for other in made[1:]:
        assert abs(made[0] - other).max() > 0
    for job, picture in zip(jobs[::-1], draw(model, jobs[::-1]), strict=True):
        assert abs(picture - made[jobs.index(job)]).max() == 0


def draw(model: Any, jobs: list[Job]) -> list[np.ndarray]:
    return [np.asarray(picture).astype(int) for picture in model.predict(jobs)]


def hold_own_seed_and_prompt(model: Any) -> None:
    """Assert that a picture depends on its own prompt and seed alone, and on both."""
    together = draw(model, JOBS)
    for number in (0, 1):
        (alone,) = draw(model, [JOBS[number]])
        assert abs(alone - together[number]).max() <= 1  # float32 rounding may cross one of 256 steps
    prompt, seed = Job(JOBS[1].sample, "image", 0, 3), Job(JOBS[0].sample, "image", 0, 4)
    others = draw(model, [prompt, seed])
    assert all(abs(other - together[0]).max() > 1 for other in others)
