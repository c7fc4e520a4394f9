"""A worker in another process, maybe on another machine: what travels there and back, and whether it is the run's."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, cast

from .. import members, registry
from ..batches import Failed, told
from ..environment import harness_version
from ..pictures import Made, picture_bytes
from ..plugins import Model
from ..types import PICTURES, Drawn, Job, Json, Picture, Sample
from ..where import here
from . import Batch, Making, Pair
from .worker import Worker


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
        return {"card": card, "version": harness_version(), "where": here()}

    def batch_size(self, jobs: Sequence[Job]) -> int:
        """Return the largest batch of these jobs that is expected to fit here."""
        return cast(Model, self._worker.plugin).batch_size(jobs)

    def draw(self, batch: Batch) -> tuple[list[Made | Failed | None], Mapping[str, Json]]:
        """Return the outputs of a batch of jobs, each picture as the bytes that the store keeps, and their cost."""
        found, cost = self._worker.work(batch)
        jobs = cast("Sequence[Job]", batch.items)
        return [encoded(out) if job.kind in PICTURES else out for job, out in zip(jobs, found, strict=True)], cost

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


# -- whether it is the run's --------------------------------------------------------------------------


def differing(told: Mapping[str, Any], card: Mapping[str, Json]) -> str:
    """Return what of a worker that is `ready` differs from the run, "" where it would make the run's outputs."""
    here = harness_version()
    if "+" not in told["version"] or "+" not in here:  # a release and a checkout of it
        here = here.partition("+")[0]
    if not told["version"].startswith(here):
        return f"its janus-eval is {told['version']}, here it is {here}"
    there, expected = plain(told["card"]), plain(card)
    for key in dict.fromkeys([*there, *expected]):
        if there.get(key) != expected.get(key):
            return f"its {key} is {there.get(key, 'unset')}, the run's is {expected.get(key, 'unset')}"
    return ""


def plain(card: Mapping[str, Json]) -> dict[str, Json]:
    """Return a card as JSON has it: one that travelled, or lay in a file, equals one that did not."""
    return json.loads(json.dumps(dict(card)))
