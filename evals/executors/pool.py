"""The batches of a stage on Ray: handed out, received; what a lost actor was making goes to another, three times."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from typing import Any

from ..batches import Failed
from ..errors import EnvironmentProblem
from . import Batch, Done, Making
from .actors import TRIES, Actor, Crew
from .fetched import FULL, Lost, Missing, fetched


class Pool:
    """Batches that wait for an actor of the crew, that are under way, and that are done."""

    def __init__(self, stage: Making, crew: Crew) -> None:
        self.stage: Making = stage
        self.crew = crew
        self.waiting: deque[Batch] = deque()
        self.done: deque[Done] = deque()
        self._flying: dict[Any, tuple[Actor, Batch]] = {}
        self._lost: Counter[int] = Counter()

    @property
    def asked(self) -> list[Any]:
        """The references under which something will come."""
        return [*self.crew.coming, *self._flying]

    def forget(self) -> None:
        """Drop what is under way and waits, for another run."""
        for each in (self.waiting, self.done, self._lost, self._flying):
            each.clear()
        self.crew.idle()

    def hand_out(self, send: Callable[[Actor, Batch], Any]) -> None:
        """Give waiting batches to the actors that have least to do, two each at most."""
        from ray.exceptions import ObjectStoreFullError, OutOfDiskError

        while self.waiting and (free := [each for each in self.crew.ready if len(each.batches) < 2]):
            actor = min(free, key=lambda each: len(each.batches))
            batch = self.waiting.popleft()
            try:
                sent = send(actor, batch)
            except (ObjectStoreFullError, OutOfDiskError) as error:
                raise EnvironmentProblem(FULL) from error
            actor.batches.append(batch)
            self._flying[sent] = (actor, batch)

    def receive(self, ref: Any) -> Done | None:
        """Take note of what came under a reference; of a batch that is done, return it and keep it in `done`."""
        if ref in self.crew.coming:
            self.crew.greet(ref)
        if ref not in self._flying:
            return None
        actor, batch = self._flying.pop(ref)
        try:
            outputs, cost = fetched(ref)
        except Missing:
            actor.batches.remove(batch)
            self.waiting.appendleft(batch)
            return None
        except Lost as error:
            self._replace(actor, str(error))
            return None
        actor.batches.remove(batch)
        assert actor.told is not None
        done = Done(batch, outputs, {**actor.told["where"], **cost})
        self.done.append(done)
        return done

    def _replace(self, actor: Actor, why: str) -> None:
        """Replace an actor. Its batches go to others; the one that it was making is given up after three losses."""
        self._flying = {ref: each for ref, each in self._flying.items() if each[0] is not actor}
        held = list(actor.batches)
        if held:
            self._lost[held[0].number] += 1
            if self._lost[held[0].number] >= TRIES:
                over = Failed(f"batch {held[0].number} was given up: {TRIES} workers were lost while they made it")
                self.done.append(Done(held[0], [over] * len(held[0].items), {}))
                held = held[1:]
        self.waiting.extendleft(reversed(held))
        self.crew.replace(actor, why)
