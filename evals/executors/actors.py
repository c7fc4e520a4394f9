"""Ray's actors of one model or observer: started, watched, replaced; what a lost one was making goes to another."""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .. import screen
from ..batches import Failed
from ..environment import harness_version
from ..errors import EnvironmentProblem, JanusEvalError
from ..types import Json
from . import Batch, Done, Making, Plugin
from .worker import Remote

_FULL = "Ray's object store is full, and the disk to which it spills: ray start --object-store-memory BYTES gives more"
TRIES = 3
"""After so many lost workers a batch is given up: it kills them."""


@dataclass(frozen=True, slots=True)
class Spot:
    """Where an actor shall be: Ray's options, and options of the plugin there (its device)."""

    where: Mapping[str, Any]
    options: Mapping[str, Any]


@dataclass(eq=False, slots=True)
class Actor:
    """One process with the plugin in it; `batches` are those under way, the oldest is the one that is computed."""

    handle: Any
    spot: Spot
    batches: list[Batch] = field(default_factory=list[Batch])
    told: Mapping[str, Json] | None = None
    """Its card and who it is; None until it is ready: no work for one that is not."""


class Pool:
    """All actors of a stage and the batches that wait for one."""

    def __init__(self, stage: Making, plugin: Plugin[Any], card: Mapping[str, Json] | None) -> None:
        self.stage: Making = stage
        self.card = card
        self.waiting: deque[Batch] = deque()
        self.done: deque[Done] = deque()
        self.flying: dict[Any, tuple[Actor, Batch | None]] = {}
        self.started = 0
        self._plugin = plugin
        self._actors: list[Actor] = []
        self._refused: list[str] = []
        self._aside: list[Actor] = []  # refused ones keep their places: the next would come to nothing there too
        self._lost: Counter[int] = Counter()
        self._stillborn = 0
        self._begun = time.monotonic()

    @property
    def ready(self) -> list[Actor]:
        """The actors that may be given work."""
        return [each for each in self._actors if each.told is not None]

    @property
    def under_way(self) -> int:
        """How many batches actors have."""
        return sum(len(each.batches) for each in self._actors)

    def serves(self, plugin: Plugin[Any], card: Mapping[str, Json] | None) -> bool:
        """Return whether these actors hold that plugin, with that card where one is given."""
        if card is not None and self.card is not None and _plain(card) != _plain(self.card):
            return False
        return (plugin.name, dict(plugin.options)) == (self._plugin.name, dict(self._plugin.options))

    def grow(self, spots: Sequence[Spot]) -> None:
        """Start actors up to so many; those that find no room yet wait for a node that joins."""
        for spot in spots[len(self._actors) + len(self._refused) :]:
            self._start(spot)

    def forget(self) -> None:
        """Drop what is under way and waits, for another run."""
        self.waiting.clear()
        self.done.clear()
        self._lost.clear()
        self.flying = {ref: (actor, batch) for ref, (actor, batch) in self.flying.items() if batch is None}
        for each in self._actors:
            each.batches.clear()

    def hand_out(self, send: Callable[[Actor, Batch], Any]) -> None:
        """Give waiting batches to the actors that have least to do, two each at most."""
        from ray.exceptions import ObjectStoreFullError, OutOfDiskError

        while self.waiting and (free := [each for each in self.ready if len(each.batches) < 2]):
            actor = min(free, key=lambda each: len(each.batches))
            batch = self.waiting.popleft()
            try:
                sent = send(actor, batch)
            except (ObjectStoreFullError, OutOfDiskError) as error:
                raise EnvironmentProblem(_FULL) from error
            actor.batches.append(batch)
            self.flying[sent] = (actor, batch)

    def receive(self, ref: Any) -> Done | None:
        """Take note of what came under a reference; of a batch that is done, return it and keep it in `done`."""
        import ray
        from ray.exceptions import ObjectLostError, ObjectStoreFullError, OutOfDiskError, RayError, RayTaskError

        if ref not in self.flying:
            return None
        actor, batch = self.flying.pop(ref)
        try:
            found: Any = ray.get(ref)
        except RayTaskError as error:
            cause = error.cause
            if batch is None and isinstance(cause, JanusEvalError):
                self._refuse(actor, str(cause))
                return None
            if isinstance(cause, ObjectStoreFullError | OutOfDiskError):
                raise EnvironmentProblem(_FULL) from error
            raise cause from None
        except ObjectLostError:  # a picture or an answer that lay on a node that is gone
            self._again(actor, batch)
            return None
        except (RayError, OSError) as error:
            self._die(actor, _reason(str(error)))
            return None
        if batch is None:
            self._welcome(actor, found)
            return None
        actor.batches.remove(batch)
        assert actor.told is not None
        done = Done(batch, found[0], {**actor.told["where"], **found[1]})
        self.done.append(done)
        return done

    def check(self, limit: float) -> None:
        """Raise EnvironmentProblem where nobody is left who could work, or nobody came to be."""
        name = self._plugin.name
        if self.started and not self._actors:
            why = self._refused[-1] if self._refused else "all were lost"
            raise EnvironmentProblem(f"no worker is left for {name}: {why}")
        if self._stillborn > TRIES + len(self._actors):
            raise EnvironmentProblem(f"the workers of {name} die before they are ready: {self._last}")
        if self.started and not self.ready and time.monotonic() - self._begun > limit:
            raise EnvironmentProblem(
                f"no worker of {name} was ready within {limit:g} s: the cluster has no room for one "
                f"({self._actors[0].spot.where}), or its weights load more slowly (start_limit=SECONDS)"
            )

    def close(self) -> None:
        """End all actors."""
        for each in (*self._actors, *self._aside):
            _end(each)
        self._actors.clear()
        self._aside.clear()
        self.flying.clear()

    # -- inside -----------------------------------------------------------------------------------

    _last = ""

    def _start(self, spot: Spot) -> None:
        import ray

        made: Any = ray.remote(Remote).options(max_restarts=0, max_task_retries=0, **spot.where)
        handle = made.remote(self.stage, self._plugin.name, {**self._plugin.options, **spot.options})
        actor = Actor(handle, spot)
        self._actors.append(actor)
        self.flying[handle.ready.remote()] = (actor, None)
        self.started += 1

    def _welcome(self, actor: Actor, told: Mapping[str, Json]) -> None:
        """Make an actor ready, unless it would make another run's outputs."""
        here = harness_version()
        if "+" not in told["version"] or "+" not in here:  # a release and a checkout of it
            here = here.partition("+")[0]
        if not told["version"].startswith(here):
            self._refuse(actor, f"its janus-eval is {told['version']}, here it is {here}")
            return
        if self.card is None:
            self.card = told["card"]
        there, expected = _plain(told["card"]), _plain(self.card)
        for key in dict.fromkeys([*there, *expected]):
            if there.get(key) != expected.get(key):
                why = f"its {key} is {there.get(key, 'unset')}, the run's is {expected.get(key, 'unset')}"
                self._refuse(actor, why)
                return
        actor.told = told
        self._stillborn = 0
        self._begun = time.monotonic()

    def _refuse(self, actor: Actor, why: str) -> None:
        self._refused.append(why)
        screen.say(f"a worker of {self._plugin.name} is not used: {why}")
        self._drop(actor)
        self._aside.append(actor)

    def _again(self, actor: Actor, batch: Batch | None) -> None:
        if batch is not None and batch in actor.batches:
            actor.batches.remove(batch)
            self.waiting.appendleft(batch)

    def _die(self, actor: Actor, why: str) -> None:
        """Replace an actor. Its batches go to others; the one that it was making is given up after three losses."""
        self._last = why
        held = list(actor.batches)
        self._stillborn += actor.told is None
        told = "" if actor.told is None else f" (pid {actor.told['where']['pid']} on {actor.told['where']['host']})"
        screen.say(f"a worker of {self._plugin.name} was lost{told}: its batches go to another")
        self._drop(actor)
        _end(actor)
        if held:
            self._lost[held[0].number] += 1
            if self._lost[held[0].number] >= TRIES:
                over = Failed(f"batch {held[0].number} was given up: {TRIES} workers were lost while they made it")
                self.done.append(Done(held[0], [over] * len(held[0].items), {}))
                held = held[1:]
        self.waiting.extendleft(reversed(held))
        self._start(actor.spot)

    def _drop(self, actor: Actor) -> None:
        self._actors.remove(actor)
        self.flying = {ref: (each, batch) for ref, (each, batch) in self.flying.items() if each is not actor}
        actor.batches.clear()


def _reason(text: str) -> str:
    """Return the last line that names an error, else the beginning: Ray tells its own frames first."""
    lines = [line.strip() for line in text.splitlines() if re.match(r"\s*[\w.]+(Error|Exception): ", line)]
    return (lines[-1] if lines else " ".join(text.split()))[:300]


def _plain(card: Mapping[str, Json]) -> dict[str, Json]:
    """Return a card as JSON has it: one that travelled, or lay in a file, equals one that did not."""
    return json.loads(json.dumps(dict(card)))


def _end(actor: Actor) -> None:
    import ray

    with contextlib.suppress(Exception):  # it is gone already
        ray.kill(actor.handle)
