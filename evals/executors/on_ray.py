"""Ray: a model on every device of a cluster, observers beside them; this process hands out and alone writes.

Ray Core's actors, not its Data: batches are fixed and a run goes on from what is on disk. Retries are ours, so that
they are seen and bounded. Pictures go from the actor that drew them to the one that looks as object references.
"""

from __future__ import annotations

import importlib.util
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .. import registry
from ..errors import EnvironmentProblem, UsageError
from ..plugins import Model
from ..types import Job, Json
from . import Batch, Done, Making, Plugin
from .actors import TRIES, Crew
from .carried import Carried
from .cluster import connect, disconnect
from .fetched import Lost, Missing, fetched
from .pool import Pool
from .remote import portable
from .room import Room

_TICK = 10.0
"""Seconds after which the cluster is looked at again: for nodes that joined, for workers that never became ready."""


class Ray:
    """The executor `ray`. `devices` names several of this machine, comma-joined; else GPUs are Ray's to give."""

    elsewhere = pipelined = True

    def __init__(
        self,
        *,
        ray_address: str = "local",
        workers: int | None = None,
        observers: int | None = None,
        gpus_per_worker: float = 0.75,
        gpus_per_observer: float = 0.25,
        model_python: Path | None = None,
        devices: str = "",
        start_limit: int = 600,
    ) -> None:
        if start_limit < 1:
            raise UsageError(f"start_limit {start_limit}: expected a whole number from 1")
        own = tuple(each for each in devices.split(",") if each)
        self._room = Room(workers, observers, gpus_per_worker, gpus_per_observer, model_python, own)
        self._address, self._limit = ray_address, start_limit
        self._pools: dict[Making, Pool] = {}
        self._carried = Carried()
        self._ours: bool | None = None  # the cluster; None while there is none
        self._looked = time.monotonic()

    def card(self, plugin: Plugin[Model]) -> Mapping[str, Json]:
        self.take("predict", plugin)
        crew = self._open("predict").crew
        while crew.card is None:
            self._wait()
        return crew.card

    def take(self, stage: Making, plugin: Plugin[Any] | None, card: Mapping[str, Json] | None = None) -> None:
        pool = self._pools.get(stage)
        self._carried.clear()
        if pool is not None and plugin is not None and pool.crew.serves(plugin, card):
            pool.forget()
            return
        if pool is not None:
            pool.crew.close()
            del self._pools[stage]
        if plugin is not None:
            if not plugin.name:
                raise UsageError(f"{type(plugin.here).__name__} lives in this process; give one device and no executor")
            if importlib.util.find_spec("ray") is None:
                raise registry.missing_package(ModuleNotFoundError(name="ray"), "the executor ray")
            self._pools[stage] = Pool(stage, Crew(stage, plugin, card))

    def batch_size(self, jobs: Sequence[Job]) -> int:
        crew = self._open("predict").crew
        asked = [portable(job, empty=True) for job in jobs]
        most = math.ceil(len(jobs) / (4 * len(self._room.spots("predict"))))
        for _ in range(TRIES):
            while not crew.ready:
                self._wait()
            try:
                fits: int = fetched(crew.ready[0].handle.batch_size.remote(asked))
                return max(1, min(fits, most))
            except (Lost, Missing) as error:
                crew.replace(crew.ready[0], str(error))
        raise EnvironmentProblem(f"{TRIES} workers were lost while they told how large a batch may be")

    def wants(self, stage: Making) -> bool:
        if stage == "observe":
            return True  # they wait here; drawing stops while too many do
        looking, drawing = self._pools.get("observe"), self._pools["predict"]
        if looking and len(looking.waiting) > 4 * max(1, len(looking.crew.ready)):
            return False
        return len(drawing.waiting) + drawing.crew.under_way < 2 * max(1, len(drawing.crew.ready))

    def submit(self, batch: Batch) -> None:
        self._open(batch.stage).waiting.append(batch)

    def next(self) -> Done:
        while True:
            for pool in self._pools.values():
                if pool.done:
                    return pool.done.popleft()
                pool.hand_out(self._carried.send)
            self._wait()

    def close(self) -> None:
        for pool in self._pools.values():
            pool.crew.close()
        self._pools.clear()
        if self._ours:
            disconnect()
        self._ours = None

    def _open(self, stage: Making) -> Pool:
        """Return a stage's actors, started where they are not."""
        if self._ours is None:
            self._ours = connect(self._address, self._room.least)
        pool = self._pools[stage]
        if not pool.crew.started:
            pool.crew.grow(self._room.spots(stage))
        return pool

    def _wait(self) -> None:
        """Wait for something to happen in the cluster and take note of it."""
        import ray

        asked = [ref for pool in self._pools.values() for ref in pool.asked]
        due = time.monotonic() - self._looked >= _TICK  # nodes may have joined
        self._looked = time.monotonic() if due else self._looked
        happened, _ = ray.wait(asked, num_returns=1, timeout=_TICK) if asked else ([], [])
        for pool in self._pools.values():
            for ref in happened:
                done = pool.receive(ref)
                if done is not None and pool.stage == "predict" and "observe" in self._pools:
                    self._carried.keep(done, ref)
            pool.crew.check(self._limit)
            if pool.crew.started and (due or not happened):
                pool.crew.grow(self._room.spots(pool.stage))
        time.sleep(0 if asked else 1)
