"""A model or an observer at work, in whatever process: what fails is halved, tried one by one, and told."""

from __future__ import annotations

import os
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, cast

from .. import members, registry
from ..batches import Elastic, Failed, told, tried
from ..environment import harness_version
from ..packs import unpacked
from ..pictures import Made, picture_bytes
from ..plugins import Eyes, Model
from ..types import Answer, Drawn, Job, Json, Output, Picture, Refusal, Sample
from . import Batch, Making, Pair


class Worker:
    """A plugin with its patience."""

    def __init__(self, stage: Making, plugin: Model | Eyes) -> None:
        self.plugin = plugin
        self._stage: Making = stage
        call: Any = partial(_asked, cast(Model, plugin)) if stage == "predict" else cast(Eyes, plugin).observe
        self._call: Elastic[Any, Any] = Elastic(call)

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
    if job.kind == "image":
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


# -- in another process -------------------------------------------------------------------------------


class Remote:
    """A worker that makes its plugin itself, on the machine where it is; pictures come and go as bytes."""

    def __init__(self, stage: Making, name: str, options: Mapping[str, Any]) -> None:
        self._stage: Making = stage
        self._name, self._options = name, options

    @cached_property
    def _worker(self) -> Worker:
        if self._stage == "predict":
            model = members.model(registry.create("models", self._name, **self._options), self._name)
            return Worker("predict", model)
        eyes = members.observer(registry.create("observers", self._name, **self._options), self._name)
        return Worker("observe", eyes)

    def ready(self) -> Mapping[str, Json]:
        """Return the plugin's card here, and whose answer it is."""
        card = dict(self._worker.plugin.card)
        return {"card": card, "version": harness_version(), "where": self._where()}

    def batch_size(self, jobs: Sequence[Job]) -> int:
        """Return the largest batch of these jobs that is expected to fit here."""
        return cast(Model, self._worker.plugin).batch_size(jobs)

    def draw(self, batch: Batch) -> tuple[list[Made | Failed | None], Mapping[str, Json]]:
        """Return the outputs of a batch of jobs, each picture as the bytes that the store keeps, and their cost."""
        found, cost = self._worker.work(batch)
        jobs = cast("Sequence[Job]", batch.items)
        return [encoded(out) if job.kind == "image" else out for job, out in zip(jobs, found, strict=True)], cost

    def look(
        self, batch: Batch, places: Sequence[tuple[int, int] | None], *made: tuple[Sequence[Any], Any]
    ) -> tuple[list[Any], Mapping[str, Json]]:
        """Return the evidence of a batch of pairs, and its cost; a pair's picture is the n-th output of the m-th of
        `made`, each as `draw` returns it."""
        with tempfile.TemporaryDirectory(prefix="janus-eval-") as folder:
            pairs = [
                _with_picture(pair, Path(folder) / str(number), None if at is None else made[at[0]][0][at[1]])
                for number, (pair, at) in enumerate(zip(cast("Sequence[Pair]", batch.items), places, strict=True))
            ]
            return self._worker.work(replace(batch, items=pairs))

    def _where(self) -> Mapping[str, Json]:
        found: dict[str, Json] = {"host": socket.gethostname(), "pid": os.getpid()}
        torch = sys.modules.get("torch")
        if torch is not None and torch.cuda.is_available():
            found["device"] = torch.cuda.get_device_name()
        return found


def encoded(output: Any) -> Any:
    """Return a picture as the bytes to store, or why there are none."""
    if output is None or isinstance(output, Failed):
        return output
    try:
        data = picture_bytes(output)
        return replace(output, file=data) if isinstance(output, Drawn) else data
    except Exception as error:  # a picture that fails while it is fetched costs only itself
        return Failed(told(error))


def _with_picture(pair: Pair, folder: Path, picture: Any) -> Pair:
    sample, prediction = pair
    if prediction.image is None or not isinstance(picture, bytes):
        return pair
    folder.mkdir()
    path = folder / prediction.image.name  # what an observer says of a picture may repeat its name
    path.write_bytes(picture)
    return sample, replace(prediction, image=path, packed=None)


def portable(item: Any, *, empty: bool = False) -> Any:
    """Return a job or a pair with its sample's pictures' bytes in hand (`empty`: without them): a lazy reader does not
    travel."""
    if isinstance(item, Job):
        return replace(item, sample=_portable(item.sample, empty=empty))
    return _portable(item[0], empty=empty), item[1]


def _portable(sample: Sample, *, empty: bool) -> Sample:
    pictures = ((each.name, partial(_same, b"") if empty else _read(each.read)) for each in sample.images)
    return replace(sample, images=tuple(Picture(name, read) for name, read in pictures))


def _read(read: Callable[[], bytes]) -> Callable[[], bytes]:
    try:
        return partial(_same, read())
    except Exception as error:  # the sample's own trouble: met again, and counted, where it is asked
        return partial(_raise, RuntimeError(told(error)) if type(error).__module__ != "builtins" else error)


def _same(data: bytes) -> bytes:
    return data


def _raise(error: Exception) -> bytes:
    raise error
