"""A model or an observer at work, in whatever process: what fails is halved, tried one by one, and told."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast

from ..batches import Elastic, tried
from ..packs import unpacked
from ..plugins import Eyes, Model
from ..types import PICTURES, Answer, Drawn, Job, Json, Output, Refusal
from . import Batch, Making, Pair


class Worker:
    """A plugin with its patience. `around` wraps the call that is made for each batch, and for each half of one."""

    def __init__(self, stage: Making, plugin: Model | Eyes, around: Callable[[Any], Any] | None = None) -> None:
        self.plugin = plugin
        self._stage: Making = stage
        call: Any = partial(_asked, cast(Model, plugin)) if stage == "predict" else cast(Eyes, plugin).observe
        self._call: Elastic[Any, Any] = Elastic(around(call) if around else call)

    def work(self, batch: Batch) -> tuple[list[Any], Mapping[str, Json]]:
        """Return what came of each item of a batch, and what it cost: seconds, and bytes of a GPU at most."""
        began = time.perf_counter()
        found = tried(self._call, batch.items, self._stage, batch.patience)
        cost: dict[str, Json] = {"seconds": round(time.perf_counter() - began, 4)}
        torch = sys.modules.get("torch")
        if torch is not None and torch.cuda.is_available():
            cost["gpu_bytes"] = torch.cuda.max_memory_allocated()
        return found, cost


def _asked(model: Model, jobs: Sequence[Job]) -> Sequence[Output]:
    """Return the model's outputs. Raises TypeError for what is no output of its job's kind."""
    outputs = model.predict(jobs)
    for job, output in zip(jobs, outputs, strict=False):  # their number is the caller's to check
        if not _fits(job, output):
            raise TypeError(f"{job.kind} was asked for, the model gave {output!r:.80}")
    return outputs


def _fits(job: Job, output: Any) -> bool:
    if isinstance(output, Refusal):
        return True
    if job.kind == "text":
        said: Any = output.text if isinstance(output, Answer) else output
        return isinstance(said, str)
    if job.kind in PICTURES:
        return (
            callable(output) or isinstance(output, Path | Drawn) or hasattr(output, "save")
        )  # a PIL picture, not imported
    if not isinstance(output, tuple | list) or len(output) != len(job.sample.options):
        return False
    return all(isinstance(each, int | float) and each == each for each in output)  # a NaN is no likelihood


@contextmanager
def shown(batch: Batch) -> Generator[Batch]:
    """Give a batch whose pictures are files for so long, wherever the run keeps them."""
    if batch.stage == "predict":
        yield batch
        return
    samples, predictions = zip(*cast("Sequence[Pair]", batch.items), strict=True)
    with unpacked(predictions) as given:
        yield replace(batch, items=list(zip(samples, given, strict=True)))
