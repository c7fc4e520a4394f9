"""Ray: a model on every device of a cluster, observers beside them; this process hands out and alone writes.

Ray Core's actors, not its Data: batches are fixed and a run goes on from what is on disk. Retries are ours, so that
they are seen and bounded. Pictures go from the actor that drew them to the one that looks as object references.
"""

from __future__ import annotations

import importlib.util
import math
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .. import registry
from ..errors import EnvironmentProblem, UsageError
from ..packs import unpack
from ..plugins import Model
from ..stored import Key
from ..types import Job, Json, Prediction
from . import Batch, Done, Making, Plugin, item_key
from .actors import Actor, Pool, Spot
from .cluster import check_python, connect, disconnect
from .worker import portable

_KEPT = 4096
"""Pictures that wait in Ray's object store for an observer; one that waits longer is read from the run."""
_TICK = 10.0
"""Seconds after which the cluster is looked at again: for nodes that joined, for workers that never became ready."""


class Ray:
    """The executor `ray`. `devices` names several of this machine, comma-joined; else GPUs are Ray's to give."""

    pipelined = True

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
        for name, count in (("workers", workers), ("observers", observers), ("start_limit", start_limit)):
            if count is not None and count < 1:
                raise UsageError(f"{name} {count}: expected a whole number from 1")
        for name, share in (("gpus_per_worker", gpus_per_worker), ("gpus_per_observer", gpus_per_observer)):
            if not (0 < share <= 1 or share == int(share) >= 0):
                raise UsageError(f"{name} {share}: expected a share up to 1, or a whole number")
        self._address, self._python, self._limit = ray_address, model_python, start_limit
        self._devices = [each for each in devices.split(",") if each]
        self._counts: Mapping[Making, int | None] = {"predict": workers, "observe": observers}
        self._gpus: Mapping[Making, float] = {"predict": gpus_per_worker, "observe": gpus_per_observer}
        self._pools: dict[Making, Pool] = {}
        self._drawn: OrderedDict[Key, tuple[Any, int]] = OrderedDict()
        self._connected = self._ours = False
        self._looked = time.monotonic()

    def card(self, plugin: Plugin[Model]) -> Mapping[str, Json]:
        self.take("predict", plugin)
        pool = self._open("predict")
        while pool.card is None:
            self._wait()
        return pool.card

    def take(self, stage: Making, plugin: Plugin[Any] | None, card: Mapping[str, Json] | None = None) -> None:
        pool = self._pools.get(stage)
        self._drawn.clear()
        if pool is not None and plugin is not None and pool.serves(plugin, card):
            pool.forget()
            return
        if pool is not None:
            pool.close()
            del self._pools[stage]
        if plugin is not None:
            if not plugin.name:
                raise UsageError(f"{type(plugin.here).__name__} lives in this process; give one device and no executor")
            if importlib.util.find_spec("ray") is None:
                raise registry.missing_package(ModuleNotFoundError(name="ray"), "the executor ray")
            self._pools[stage] = Pool(stage, plugin, card)

    def batch_size(self, jobs: Sequence[Job]) -> int:
        pool = self._open("predict")
        most = math.ceil(len(jobs) / (4 * len(self._spots("predict"))))
        return max(1, min(self._ask_size(pool, jobs), most))

    def wants(self, stage: Making) -> bool:
        if stage == "observe":
            return True  # they wait here; drawing stops while too many do
        looking = self._pools.get("observe")
        if looking and len(looking.waiting) > 4 * max(1, len(looking.ready)):
            return False
        pool = self._pools["predict"]
        return len(pool.waiting) + pool.under_way < 2 * max(1, len(pool.ready))

    def submit(self, batch: Batch) -> None:
        self._open(batch.stage).waiting.append(batch)

    def next(self) -> Done:
        while True:
            for pool in self._pools.values():
                if pool.done:
                    return pool.done.popleft()
                pool.hand_out(self._send)
            self._wait()

    def close(self) -> None:
        for pool in self._pools.values():
            pool.close()
        self._pools.clear()
        if self._ours:
            disconnect()
        self._connected = self._ours = False

    # -- inside -----------------------------------------------------------------------------------

    def _open(self, stage: Making) -> Pool:
        """Return a stage's actors, started where they are not."""
        if not self._connected:
            if self._python is not None:
                check_python(self._python)
            self._ours = connect(self._address, max(len(self._devices), self._counts["predict"] or 1))
            self._connected = True
        pool = self._pools[stage]
        if not pool.started:
            pool.grow(self._spots(stage))
        return pool

    def _spots(self, stage: Making) -> list[Spot]:
        """Return where each actor of a stage shall be, as far as the cluster has room today."""
        import ray

        gpus, asked = ray.cluster_resources().get("GPU", 0.0), self._counts[stage]
        nodes = sum(bool(each["Alive"]) for each in ray.nodes())
        workers = self._counts["predict"] or len(self._devices) or int(gpus // self._gpus["predict"]) or nodes
        count = asked or (workers if stage == "predict" else math.ceil(workers / 4))
        where: dict[str, Any] = {"num_cpus": 1 if stage == "predict" else 0, "scheduling_strategy": "SPREAD"}
        if gpus and not self._devices:
            where["num_gpus"] = self._gpus[stage]
        if self._python is not None and stage == "predict":
            where["runtime_env"] = {"py_executable": str(self._python)}
        own = [{"device": self._devices[at % len(self._devices)]} if self._devices else {} for at in range(count)]
        return [Spot(where, each) for each in own]

    def _ask_size(self, pool: Pool, jobs: Sequence[Job]) -> int:
        import ray

        while not pool.ready:
            self._wait()
        found: int = ray.get(pool.ready[0].handle.batch_size.remote([portable(job, empty=True) for job in jobs]))
        return found

    def _wait(self) -> None:
        """Wait for something to happen in the cluster and take note of it."""
        import ray

        asked = [ref for pool in self._pools.values() for ref in pool.flying]
        began = time.monotonic()
        due = began - self._looked >= _TICK  # nodes may have joined
        self._looked = began if due else self._looked
        happened, _ = ray.wait(asked, num_returns=1, timeout=_TICK) if asked else ([], [])
        for pool in self._pools.values():
            for ref in happened:
                done = pool.receive(ref)
                if done is not None and pool.stage == "predict" and "observe" in self._pools:
                    self._keep(done, ref)
            pool.check(self._limit)
            if pool.started and (due or not happened):
                pool.grow(self._spots(pool.stage))
        if not asked:
            time.sleep(max(0.0, min(1.0, _TICK - (time.monotonic() - began))))

    def _keep(self, done: Done, ref: Any) -> None:
        for place, (item, output) in enumerate(zip(done.batch.items, done.outputs, strict=True)):
            if isinstance(output, bytes):
                self._drawn[item_key(item)] = (ref, place)
        while len(self._drawn) > _KEPT:
            self._drawn.popitem(last=False)

    def _send(self, actor: Actor, batch: Batch) -> Any:
        """Give an actor a batch and return the reference of what it will give."""
        travels = Batch(batch.stage, batch.number, [portable(item) for item in batch.items], batch.patience)
        if batch.stage == "predict":
            return actor.handle.draw.remote(travels)
        refs: list[Any] = []
        loose: list[bytes] = []
        places: list[tuple[int, int] | None] = []
        for item in batch.items:
            ref, place = self._drawn.pop(item_key(item), (None, 0))  # once: what is sent again is read from the run
            if ref is not None:
                refs += [ref] if ref not in refs else []
                places.append((1 + refs.index(ref), place))
            else:
                data = _bytes(item[1]) if isinstance(item, tuple) else None
                places.append(None if data is None else (0, len(loose)))
                loose += [] if data is None else [data]
        return actor.handle.look.remote(travels, places, (loose, None), *refs)


def _bytes(prediction: Prediction) -> bytes | None:
    if prediction.packed is not None or prediction.image is None:
        return unpack(prediction.packed) if prediction.packed is not None else None
    try:
        return prediction.image.read_bytes()
    except OSError as error:
        raise EnvironmentProblem(f"{prediction.image} cannot be read: {error.strerror}") from error
