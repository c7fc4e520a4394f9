"""This process: one batch after the other; an observer may look at what is stored while the next batch is made."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, cast

from .. import memory, screen
from ..errors import EnvironmentProblem, OutOfMemory
from ..plugins import Eyes, Model
from ..types import Job, Json
from ..where import here
from . import Batch, Done, Making, Plugin
from .worker import Worker, shown


class Local:
    """The default executor. `overlap`: the observer works in a thread beside the model; None where both fit.

    Batches are whole, as they are without it. Where memory turns out to be short for both, the batch that failed is
    made again alone, and they take turns from there. The first batch of each, which loads its weights, is made alone.
    """

    elsewhere = False

    def __init__(self, *, overlap: bool | None = None) -> None:
        self._asked = overlap
        self._card: Mapping[str, Json] = {}
        self._workers: dict[Making, Worker] = {}
        self._warm: set[Making] = set()
        self._waiting: deque[Batch] = deque()
        self._looking: deque[tuple[Batch, Future[Done]]] = deque()
        self._thread = ThreadPoolExecutor(1)
        self._home = 0
        self.pipelined = False

    def card(self, plugin: Plugin[Model]) -> Mapping[str, Json]:
        return plugin.here.card

    def take(self, stage: Making, plugin: Plugin[Any] | None, card: Mapping[str, Json] | None = None) -> None:
        self._home = threading.get_ident()
        self._waiting.clear()
        for _, each in self._looking:
            each.cancel()
        self._rest()
        self._looking.clear()
        self._workers.pop(stage, None)
        self._warm.discard(stage)
        if plugin is not None:
            self._workers[stage] = Worker(stage, plugin.here, self._careful)
        self._card = card or {} if stage == "predict" else self._card
        self.pipelined = len(self._workers) == 2 and self._overlaps()

    def batch_size(self, jobs: Sequence[Job]) -> int:
        return cast(Model, self._workers["predict"].plugin).batch_size(jobs)

    def wants(self, stage: Making) -> bool:
        return not self._waiting and (stage == "predict" or len(self._looking) < 2)

    def submit(self, batch: Batch) -> None:
        if batch.stage == "observe" and self.pipelined and len(self._warm) == 2:
            self._looking.append((batch, self._thread.submit(self._work, batch)))
        else:
            self._waiting.append(batch)

    def next(self) -> Done:
        if not self._looking or (self._waiting and not self._looking[0][1].done()):
            return self._work(self._waiting.popleft())
        batch, future = self._looking.popleft()
        try:
            return future.result()
        except _Crowded:
            self._turns()
            return self._work(batch)

    def close(self) -> None:
        """Let go of the plugins; what a thread computes is not waited for."""
        self._thread.shutdown(wait=False, cancel_futures=True)
        self._workers.clear()

    # -- inside -----------------------------------------------------------------------------------

    def _overlaps(self) -> bool:
        if self._asked is not None:
            return self._asked
        model, eyes = (self._workers[stage].plugin for stage in ("predict", "observe"))
        return memory.beside(cast(Model, model), cast(Eyes, eyes), self._card)[0]

    def _reads_ahead(self) -> bool:
        """Return whether a thread may read the next batch: on a CPU it wants the cores of the present one."""
        return self._card.get("device") != "cpu" if self._asked is None else self._asked

    def _work(self, batch: Batch) -> Done:
        if batch.then and self._reads_ahead():
            cast(Model, self._workers["predict"].plugin).ahead(batch.then)
        with shown(batch) as given:
            outputs, cost = self._workers[batch.stage].work(given)
        self._warm.add(batch.stage)
        return Done(batch, outputs, {**here(), **cost})

    def _careful(self, call: Callable[[Sequence[Any]], Any]) -> Callable[[Sequence[Any]], Any]:
        """Return `call` that is not the worse for memory that the other one takes at the same time."""

        def careful(items: Sequence[Any]) -> Any:
            try:
                return call(items)
            except OutOfMemory as error:
                if not self.pipelined:
                    raise
                if threading.get_ident() != self._home:
                    raise _Crowded("memory is short") from error
                self._turns()
            return call(items)

        return careful

    def _turns(self) -> None:
        """Let model and observer take turns from here; nobody works any more when it returns."""
        if self.pipelined:
            screen.say("memory is short for model and scorer at the same time: they take turns from here")
        self.pipelined = False
        self._rest()

    def _rest(self) -> None:
        wait([future for _, future in self._looking])


class _Crowded(EnvironmentProblem):
    """An observer's batch did not fit beside the model."""
