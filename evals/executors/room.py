"""Where a cluster's workers shall be: how many of each, with which share of a GPU, on which device, in which Python."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import UsageError
from . import Making


@dataclass(frozen=True, slots=True)
class Spot:
    """Where an actor shall be: Ray's options, and options of the plugin there (its device)."""

    where: Mapping[str, Any]
    options: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Room:
    """What was asked for; None leaves a number to the cluster. Raises UsageError for what cannot be."""

    workers: int | None
    observers: int | None
    gpus_per_worker: float
    gpus_per_observer: float
    model_python: Path | None
    devices: tuple[str, ...]

    def __post_init__(self) -> None:
        for name in ("workers", "observers"):
            count = getattr(self, name)
            if count is not None and count < 1:
                raise UsageError(f"{name} {count}: expected a whole number from 1")
        for name in ("gpus_per_worker", "gpus_per_observer"):
            share = getattr(self, name)
            if not (0 < share <= 1 or share == int(share) >= 0):
                raise UsageError(f"{name} {share}: expected a share up to 1, or a whole number")

    @property
    def least(self) -> int:
        """How many workers a cluster of our own must hold."""
        return max(len(self.devices), self.workers or 1)

    def spots(self, stage: Making) -> list[Spot]:
        """Return where each actor of a stage shall be, as far as the cluster has room today."""
        import ray

        draws = stage == "predict"
        gpus = ray.cluster_resources().get("GPU", 0.0)
        nodes = sum(bool(each["Alive"]) for each in ray.nodes())
        share = self.gpus_per_worker if draws else self.gpus_per_observer
        fit = int(gpus // self.gpus_per_worker) if self.gpus_per_worker else 0
        workers = self.workers or len(self.devices) or fit or nodes
        count = workers if draws else self.observers or math.ceil(workers / 4)
        where: dict[str, Any] = {"num_cpus": 1 if draws else 0, "scheduling_strategy": "SPREAD"}
        if gpus and not self.devices:
            where["num_gpus"] = share
        if self.model_python is not None and draws:
            where["runtime_env"] = {"py_executable": str(self.model_python)}
        own = [{"device": self.devices[at % len(self.devices)]} if self.devices else {} for at in range(count)]
        return [Spot(where, each) for each in own]
