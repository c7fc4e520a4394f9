"""Ray's actors of one model or observer: started, welcomed or refused, watched and replaced."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .. import screen
from ..errors import EnvironmentProblem, JanusEvalError
from ..types import Json
from . import Batch, Making, Plugin
from .fetched import Lost, Missing, fetched
from .remote import Remote, differing, plain
from .room import Spot

TRIES = 3
"""After so many lost workers a batch is given up: it kills them."""


@dataclass(eq=False, slots=True)
class Actor:
    """One process with the plugin in it; `batches` are those under way, the oldest is the one that is computed."""

    handle: Any
    spot: Spot
    batches: list[Batch] = field(default_factory=list[Batch])
    told: Mapping[str, Json] | None = None
    """Its card and who it is; None until it is ready: no work for one that is not."""


class Crew:
    """The actors of a stage. `coming` are those that are not ready yet, by what will say so."""

    def __init__(self, stage: Making, plugin: Plugin[Any], card: Mapping[str, Json] | None) -> None:
        self.card = card
        self.coming: dict[Any, Actor] = {}
        self._stage: Making = stage
        self._plugin = plugin
        self._actors: list[Actor] = []
        self._refused: list[str] = []
        self._aside: list[Actor] = []  # refused ones keep their places: the next would come to nothing there too
        self._stillborn = 0
        self._last = ""
        self._begun = time.monotonic()

    @property
    def started(self) -> bool:
        """Whether any was started."""
        return bool(self._actors or self._refused)

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
        if card is not None and self.card is not None and plain(card) != plain(self.card):
            return False
        return (plugin.name, dict(plugin.options)) == (self._plugin.name, dict(self._plugin.options))

    def grow(self, spots: Sequence[Spot]) -> None:
        """Start actors up to so many; those that find no room yet wait for a node that joins."""
        for spot in spots[len(self._actors) + len(self._refused) :]:
            self._start(spot)

    def greet(self, ref: Any) -> None:
        """Make the actor ready that says so, unless it would make another run's outputs."""
        actor = self.coming.pop(ref)
        try:
            told: Mapping[str, Json] = fetched(ref)
        except JanusEvalError as error:
            self._refuse(actor, str(error))
        except (Lost, Missing) as error:
            self._stillborn += 1
            self.replace(actor, str(error))
        else:
            self.card = told["card"] if self.card is None else self.card
            if why := differing(told, self.card):
                self._refuse(actor, why)
                return
            actor.told = told
            self._stillborn = 0
            self._begun = time.monotonic()

    def replace(self, actor: Actor, why: str) -> None:
        """Start another in the place of one that was lost."""
        self._last = why
        told = "" if actor.told is None else f" (pid {actor.told['where']['pid']} on {actor.told['where']['host']})"
        screen.say(f"a worker of {self._plugin.name} was lost{told}: its batches go to another")
        self._actors.remove(actor)
        _end(actor)
        self._start(actor.spot)

    def check(self, limit: float) -> None:
        """Raise EnvironmentProblem where nobody is left who could work, or nobody came to be."""
        name = self._plugin.name
        if self._refused and not self._actors:
            raise EnvironmentProblem(f"no worker is left for {name}: {self._refused[-1]}")
        if self._stillborn > TRIES + len(self._actors):
            raise EnvironmentProblem(f"the workers of {name} die before they are ready: {self._last}")
        if self.started and not self.ready and time.monotonic() - self._begun > limit:
            raise EnvironmentProblem(
                f"no worker of {name} was ready within {limit:g} s: the cluster has no room for one "
                f"({self._actors[0].spot.where}), or its weights load more slowly (start_limit=SECONDS)"
            )

    def idle(self) -> None:
        """Forget what actors have to do."""
        for each in self._actors:
            each.batches.clear()

    def close(self) -> None:
        """End all actors."""
        for each in (*self._actors, *self._aside):
            _end(each)

    def _start(self, spot: Spot) -> None:
        import ray

        made: Any = ray.remote(Remote).options(max_restarts=0, max_task_retries=0, **spot.where)
        handle = made.remote(self._stage, self._plugin.name, {**self._plugin.options, **spot.options})
        actor = Actor(handle, spot)
        self._actors.append(actor)
        self.coming[handle.ready.remote()] = actor

    def _refuse(self, actor: Actor, why: str) -> None:
        self._refused.append(why)
        screen.say(f"a worker of {self._plugin.name} is not used: {why}")
        self._actors.remove(actor)
        self._aside.append(actor)


def _end(actor: Actor) -> None:
    import ray

    with contextlib.suppress(Exception):  # it is gone already
        ray.kill(actor.handle)
