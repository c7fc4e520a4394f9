"""This process: one batch after the other, in the order in which they come."""

from __future__ import annotations

import os
import socket
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, cast

from ..plugins import Model
from ..types import Job, Json
from . import Batch, Done, Making, Plugin
from .worker import Worker, shown


class Local:
    """The default executor."""

    pipelined = False

    def __init__(self) -> None:
        self._workers: dict[Making, Worker] = {}
        self._waiting: deque[Batch] = deque()

    def card(self, plugin: Plugin[Model]) -> Mapping[str, Json]:
        return plugin.here.card

    def take(self, stage: Making, plugin: Plugin[Any] | None, card: Mapping[str, Json] | None = None) -> None:
        self._waiting.clear()
        self._workers.pop(stage, None)
        if plugin is not None:
            self._workers[stage] = Worker(stage, plugin.here)

    def batch_size(self, jobs: Sequence[Job]) -> int:
        return cast(Model, self._workers["predict"].plugin).batch_size(jobs)

    def wants(self, stage: Making) -> bool:
        return not self._waiting

    def submit(self, batch: Batch) -> None:
        self._waiting.append(batch)

    def next(self) -> Done:
        batch = self._waiting.popleft()
        with shown(batch) as given:
            outputs, cost = self._workers[batch.stage].work(given)
        return Done(batch, outputs, {"host": socket.gethostname(), "pid": os.getpid(), **cost})

    def close(self) -> None:
        """Nothing was started."""
        self._workers.clear()
