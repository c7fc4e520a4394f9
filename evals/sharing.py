"""A run that several machines share: they agree that it is one run, and one of them ends it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from .errors import Incomplete, UsageError
from .executors import Batch, Executor, Making
from .executors.local import Local
from .files import disk, publish_new, read_json, read_object
from .plan import Pair, pairs
from .records import read_spec
from .request import Request
from .store import RunStore
from .types import Job, RunSpec


def agree(store: RunStore) -> None:
    """Raise UsageError where another shard of the same request has another card: its outputs would be another run's.

    The first one says which run it is, by link(2), in a file beside the runs.
    """
    place = _place(store.folder)
    with disk(place):
        publish_new(place, store.folder.name.encode())
        first = store.folder.parent / Path(place.read_text(encoding="utf-8")).name
        if first == store.folder:
            return
        if not (first / "spec.json").is_file() or (first / "record.json").is_file():  # gone, or ended long ago
            place.unlink(missing_ok=True)
            publish_new(place, store.folder.name.encode())
            return
    knobs = ", ".join(_differing(read_spec(first), store.spec)) or "an option"
    raise UsageError(f"this shard would make another run than {first}, which others of it began: {knobs}")


def part(folder: Path) -> None:
    """Forget who began a run: it is ended."""
    if (folder / "asked.json").is_file():
        place = _place(folder)
        for each in (place, *place.parent.glob(f".part-{place.name}-*")):
            each.unlink(missing_ok=True)


def _place(folder: Path) -> Path:
    asked = json.dumps(read_json(folder / "asked.json"), sort_keys=True)
    return folder.parent / f".shards-{hashlib.sha256(asked.encode()).hexdigest()[:12]}"


_ASKED = ("model", "benchmark", "seed", "limit", "model_options", "tag", "step")
"""What of a run is as it was asked, on whatever machine."""


def _differing(one: RunSpec, other: RunSpec) -> Iterator[str]:
    cards: Sequence[tuple[str, Mapping[str, object], Mapping[str, object]]] = (
        ("model", one.model_card, other.model_card),
        ("observer", one.observer_card, other.observer_card),
    )
    for who, there, here in cards:
        for key in dict.fromkeys([*there, *here]):
            if there.get(key) != here.get(key):
                yield f"{who}.{key} is {there.get(key, 'unset')} there, {here.get(key, 'unset')} here"


def again(folder: Path, request: Request, executor: Executor) -> tuple[Pair, Executor]:
    """Return a stored run as it was asked, and what may make the rest of it here.

    Its spec is the stored one. Where this machine would make other outputs, nothing is made: Incomplete then says what
    is missing. Raises UsageError where the run's data changed.
    """
    stored = read_spec(folder)
    if not (folder / "asked.json").is_file():
        raise UsageError(
            f"{folder} does not say what it was asked: no asked.json (an object, an old run, or a shard "
            "that was killed as it began: start one again)"
        )
    told = re.search(r"--([0-9a-f]{12})$", folder.resolve().name)
    if told is not None and told[1] != stored.digest:
        raise UsageError(f"{folder / 'spec.json'} says another run (#{stored.digest}) than its folder's name")
    asked = request.again(read_json(folder / "asked.json"))
    (pair,) = pairs(replace(asked, output=folder.parent), executor, tolerant=True)
    changed = [each for each in _ASKED if getattr(pair.spec, each) != getattr(stored, each)]
    if changed:
        raise UsageError(f"{folder}: spec.json and asked.json disagree about {', '.join(changed)}: one was changed")
    if (pair.spec.benchmark_card, pair.spec.benchmark_options) != (stored.benchmark_card, stored.benchmark_options):
        raise UsageError(
            f"{folder}: the data of {stored.benchmark} are not those that were asked, or are read otherwise"
        )
    found = replace(pair, spec=stored, folder=folder, suite_options=read_object(folder / "options.json"))
    if pair.spec.digest == stored.digest:
        return found, executor
    return found, Nobody(f"{folder} lacks outputs, and this machine would make others", _differing(stored, pair.spec))


class Nobody(Local):
    """Makes nothing: whoever asks is told why."""

    def __init__(self, why: str, knobs: Iterator[str]) -> None:
        super().__init__()
        self._why = f"{why} ({', '.join(knobs) or 'an option'}): start the shards that lack again, then finish"

    def batch_size(self, jobs: Sequence[Job]) -> int:
        raise Incomplete(self._why)

    def take(self, stage: Making, plugin: object, card: object = None) -> None:
        raise Incomplete(self._why)

    def submit(self, batch: Batch) -> None:
        raise Incomplete(self._why)
