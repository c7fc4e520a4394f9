"""Batches go out, results come in: what an executor makes at least once is stored once."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Protocol, cast

from . import reasoning
from .batches import Budget, Failed, chunks, put, subject
from .executors import Batch, Done, Executor, Making, Pair, Plugin, item_key, pair_key
from .pictures import Made
from .plugins import Eyes, Model, Suite
from .shards import Shard
from .store import RunStore
from .stored import Key
from .types import PICTURES, Evidence, Job, Prediction
from .verdicts import answers_nothing, key_of


class Ticker(Protocol):
    """A progress bar of one stage."""

    def __call__(self, done: int, /) -> None: ...


Progress = Callable[[str, int, int], AbstractContextManager[Ticker]]
"""Opens a progress bar: (label, total, already done)."""


def spans(group: range, size: int) -> Iterator[range]:
    """Yield the positions of each batch of a group: `size` together."""
    yield from (group[start : start + size] for start in range(0, len(group), size))


@dataclass
class Flow:
    """What a run makes, or a shard of it: `made` and `seen` hold what the store has already, and grow.

    The sizes are those of plan.json. A batch is made whole even when one output of it is missing: its members must
    see the same neighbours as in an uninterrupted run. What has no neighbours (an endpoint that is paid by request)
    is asked for what is missing alone.
    """

    jobs: Sequence[Job]
    suite: Suite
    model: Plugin[Model]
    eyes: Plugin[Eyes] | None
    store: RunStore
    executor: Executor
    progress: Progress
    budget: Budget
    paths: Callable[[Job], Path]
    sizes: Mapping[str, int]
    made: dict[Key, Prediction]
    seen: set[Key]
    shard: Shard | None = None

    def run(self) -> None:
        """Make all that is missing. Raises Incomplete where too much fails."""
        drawing = deque(self._drawing())
        waiting = self._waiting(drawing)
        ready = deque(number for number, keys in waiting.items() if not keys)
        flying = 0
        with ThreadPoolExecutor(4) as writers, ThreadPoolExecutor(1) as storing, _Bars(self) as bars:
            # A batch is put on disk while the next one is computed; one at a time, so that a kill loses no more
            # than the batches in flight.
            stored: Future[list[Key]] = storing.submit(list)
            while not self.store.over:
                flying += self._submit(drawing, ready, bars)
                done = self.executor.next() if flying else None
                for key in stored.result():
                    self._release(key, waiting, ready)
                if done is not None:
                    flying -= 1
                    bars.tick(done.batch.stage, len(self._lacking(done.batch)))
                    stored = storing.submit(self._store, done, writers)
                elif not drawing and not ready:
                    break
            stored.result()

    # -- what is to be made -----------------------------------------------------------------------

    @property
    def _together(self) -> Callable[[Job], Hashable] | None:
        """What questions have in common that are asked in one batch; of drawings nothing is read twice."""
        return subject if self.model.here.shares_pictures and self.suite.kind not in PICTURES else None

    @cached_property
    def _groups(self) -> Sequence[range]:
        """The jobs that belong together: what an observer's batch looks at is drawn within one group, and the questions
        about a picture are asked in one, where the model reads a picture once for all of them."""
        draw, every = self.sizes["predict"], range(len(self.jobs))
        if self._together:
            parts = chunks(every, draw, lambda at: subject(self.jobs[at]))
            return [range(part[0], part[-1] + 1) for part in parts]
        width = max(1, self.sizes.get("observe", draw) // draw) * draw
        return list(spans(every, width))

    def _mine(self, size: int) -> Iterator[tuple[int, range]]:
        """Yield the batches of this process: those of its shard's groups, numbered among all."""
        whose = ((number, span) for number, group in enumerate(self._groups) for span in spans(group, size))
        for number, (group, span) in enumerate(whose):
            if self.shard is None or self.shard.has(group):
                yield number, span

    def _drawing(self) -> Iterator[Batch]:
        found = [(number, [self.jobs[at] for at in span]) for number, span in self._mine(self.sizes["predict"])]
        if self.model.here.independent:
            missing = [job for _, jobs in found for job in jobs if key_of(job) not in self.made]
            found = list(enumerate(map(list, chunks(missing, self.sizes["predict"], self._together))))
        for number, jobs in found:
            if any(key_of(job) not in self.made for job in jobs):
                yield Batch("predict", number, jobs)

    def _waiting(self, drawing: Sequence[Batch]) -> dict[int, set[Key]]:
        """Return, for each batch of an observer, the outputs that it waits for."""
        drawn = {key_of(job) for each in drawing for job in cast("Sequence[Job]", each.items)} - self.made.keys()
        return {number: {key_of(self.jobs[at]) for at in span} & drawn for number, span in self._looks.items()}

    def _release(self, key: Key, waiting: Mapping[int, set[Key]], ready: deque[int]) -> None:
        number = self._look_of.get(key)
        if number is not None and key in waiting[number]:
            waiting[number].discard(key)
            if not waiting[number]:
                ready.append(number)

    @cached_property
    def _looks(self) -> Mapping[int, range]:
        return dict(self._mine(self.sizes["observe"])) if self.eyes else {}

    @cached_property
    def _look_of(self) -> Mapping[Key, int]:
        return {key_of(self.jobs[at]): number for number, span in self._looks.items() for at in span}

    def _looking(self, number: int) -> Batch | None:
        """Return an observer's batch; None where it would see nothing new."""
        assert self.eyes is not None
        keys = [key_of(self.jobs[at]) for at in self._looks[number]]
        pairs = [
            (self.jobs[at].sample, self._read(key))
            for at, key in zip(self._looks[number], keys, strict=True)
            if key in self.made
        ]
        pairs = [pair for pair in pairs if not answers_nothing(pair[1])]
        missing = [pair for pair in pairs if pair_key(pair) not in self.seen]
        pairs = missing if self.eyes.here.independent else pairs
        return Batch("observe", number, pairs) if missing else None

    def _read(self, key: Key) -> Prediction:
        return reasoning.read(self.made[key], strip=self.suite.reasoning == "strip")

    def progressed(self, stage: Making, *, soon: bool = False) -> tuple[int, int]:
        """Return how many outputs this process is to have of a stage, and how many there are.

        An observer is to see what there is to look at, or, `soon`, what there will be.
        """
        have = self.made if stage == "predict" else self.seen
        mine = [key_of(self.jobs[at]) for _, span in self._mine(self.sizes[stage]) for at in span]
        if stage == "observe" and not soon:
            mine = [key for key in mine if key in self.made and not answers_nothing(self._read(key))]
        return len(mine), sum(key in have for key in mine)

    # -- out and in -------------------------------------------------------------------------------

    def _submit(self, drawing: deque[Batch], ready: deque[int], bars: _Bars) -> int:
        """Give the executor what it wants now and return how many batches that was."""
        count = 0
        while ready and (self.executor.pipelined or not drawing) and self.executor.wants("observe"):
            batch = self._looking(ready.popleft())
            if batch is not None:
                bars.open("observe")
                self.executor.submit(replace(batch, patience=self.budget.left))
                count += 1
        while drawing and self.executor.wants("predict"):
            bars.open("predict")
            batch = drawing.popleft()
            then = cast("Sequence[Job]", drawing[0].items) if drawing and not self.executor.elsewhere else ()
            self.executor.submit(replace(batch, patience=self.budget.left, then=then))
            count += 1
        return count

    def _lacking(self, batch: Batch) -> list[Key]:
        have = self.made if batch.stage == "predict" else self.seen
        return [key for key in map(item_key, batch.items) if key not in have]

    def _store(self, done: Done, writers: ThreadPoolExecutor) -> list[Key]:
        """Store what is new in a batch, then count what failed; return the keys of the batch."""
        lacking = set(self._lacking(done.batch))
        every = zip(done.batch.items, done.outputs, strict=True)
        new = [(item, out) for item, out in every if item_key(item) in lacking]
        good = [(item, out) for item, out in new if not isinstance(out, Failed) and out is not None]
        if done.batch.stage == "predict":
            keep = [(self._at(cast(Job, item)), cast(Made, out)) for item, out in good]
            stored = put(self.store, keep, writers, self.budget)
            self.made |= {(each.kind, each.sample_id, each.index): each for each in stored}
        else:
            looked = [(cast(Pair, item)[1], cast(Evidence, out)) for item, out in good]
            self.store.add_evidence(looked)  # before the errors are counted: they may stop the run
            self.seen |= {(each.kind, each.sample_id, each.index) for each, out in looked if out.error is None}
            for prediction, out in looked:
                if out.error is not None:
                    where = (prediction.sample_id, prediction.index)
                    self.budget.note("observe", *where, out.error, lasting=out.lasting)
        told = {"stage": done.batch.stage, "batch": done.batch.number, "count": len(good)}
        self.store.add_where(told | dict(done.where))
        for item, out in new:
            if isinstance(out, Failed):
                _, sample_id, index = item_key(item)
                self.budget.note(done.batch.stage, sample_id, index, out.error, counts=out.counts, lasting=out.lasting)
        return [item_key(item) for item in done.batch.items] if done.batch.stage == "predict" else []

    def _at(self, job: Job) -> Prediction:
        image = self.paths(job) if job.kind in PICTURES else None
        return Prediction(job.sample.id, job.index, job.kind, image=image)


class _Bars:
    """A progress bar for each stage, from its first batch to its last."""

    def __init__(self, flow: Flow) -> None:
        self._flow = flow
        self._stack = ExitStack()
        self._ticks: dict[str, Ticker] = {}

    def __enter__(self) -> _Bars:
        return self

    def __exit__(self, *how: object) -> None:
        self._stack.close()

    def open(self, stage: Making) -> None:
        """Begin to show a stage; a bar before it that nothing moves any more ends."""
        if stage in self._ticks:
            return
        if not self._flow.executor.pipelined:
            self._stack.close()
        total, there = self._flow.progressed(stage, soon=True)
        self._ticks[stage] = self._stack.enter_context(self._flow.progress(stage, total, there))

    def tick(self, stage: Making, count: int) -> None:
        """Show that so much more is done."""
        self._ticks[stage](count)
