"""Batches that fail: halved when memory is short, tried one by one when they break, counted until it is too much."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from threading import Lock
from typing import Any, Generic, TypeVar

from .errors import (
    EnvironmentProblem,
    Incomplete,
    InvalidImage,
    JanusEvalError,
    Locked,
    OutOfMemory,
    UsageError,
    without_secrets,
)
from .pictures import Made
from .registry import missing_package
from .store import RunStore
from .types import Job, Prediction

T = TypeVar("T")
R = TypeVar("R")


class Elastic(Generic[T, R]):
    """Calls a batch function, halving on OutOfMemory and growing again after ten whole batches.

    The halves see other neighbours than the whole batch would: in float32 that changes no result
    beyond rounding, and the limit that was hit is part of no score.
    """

    def __init__(self, call: Callable[[Sequence[T]], Sequence[R]]) -> None:
        self.call = call
        self.limit: int | None = None
        self.calm = 0

    def __call__(self, items: Sequence[T]) -> list[R]:
        done: list[R] = []
        while len(done) < len(items):
            rest = len(items) - len(done)
            size = min(rest, self.limit or rest)
            part = items[len(done) : len(done) + size]
            try:
                results = list(self.call(part))
            except OutOfMemory:
                if size == 1:
                    raise
                self.limit, self.calm = size // 2, 0
                continue
            if len(results) != len(part):
                raise TypeError(f"asked for {len(part)} outputs, got {len(results)}")
            done += results
            self.calm += 1
            if self.limit is not None and self.calm >= 10:
                self.limit, self.calm = self.limit * 2, 0
        return done


class Budget:
    """Counts failed outputs, writes them down and stops the run when they are too many."""

    def __init__(self, store: RunStore, most: int) -> None:
        self.store = store
        self.most = most
        self.count = 0
        self.lasting = 0
        self.why: dict[tuple[str, int], str] = {}
        self.lock = Lock()

    @property
    def left(self) -> int:
        """How many more may fail before the run stops."""
        return max(0, self.most - self.count)

    def note(
        self, stage: str, sample_id: str, index: int, error: str, *, counts: bool = True, lasting: bool = False
    ) -> None:
        """Write down one failure; `lasting` is one that the same command meets again. Raises Incomplete."""
        error = without_secrets(error)
        why = error.strip().splitlines()[-1] if error.strip() else "no message"
        last = f"{stage} {sample_id}/{index}: {why}"
        with self.lock:
            self.why[sample_id, index] = why
            self.count += counts
            self.lasting += counts and lasting
            self.store.add_error(stage, sample_id, index, error)
        if self.count > self.most:
            mend = "run the same command again to resume"
            if self.lasting == self.count:
                mend = "the same command would be refused again: mend what the line says, or leave these samples out"
            raise Incomplete(
                f"stopped after {self.count} failed outputs (--max-errors {self.most}); the last: {last}; "
                f"all in {self.store.folder / 'errors.jsonl'}; {mend}"
            )


@dataclass(frozen=True, slots=True)
class Failed:
    """Why an item gave no output. `counts` is False for a gap in the data, `lasting` where asking again cannot help."""

    error: str
    counts: bool = True
    lasting: bool = False


def tried(call: Callable[[Sequence[T]], list[R]], items: Sequence[T], stage: str, patience: int) -> list[Any]:
    """Return the outputs of a batch; where the batch fails, those of its members that succeed alone, else a Failed.

    The one place that catches Exception. After `patience` failures and one the rest is left as None.
    """
    try:
        return list(call(items))
    except (EnvironmentProblem, Incomplete, Locked, UsageError):
        raise
    except ModuleNotFoundError as error:  # of the machine, not of this sample
        raise missing_package(error, stage) from error
    except OutOfMemory as error:
        raise EnvironmentProblem(f"the device cannot hold even one sample: {error}") from error
    except Exception as error:
        if len(items) == 1:
            # A picture that a folder lacks is a gap in the data, named among the missing, not a fault.
            counts = not isinstance(error, InvalidImage)
            return [Failed(told(error), counts, isinstance(error, JanusEvalError) and error.lasting)]
    found: list[Any] = []
    for item in items:
        over = sum(isinstance(each, Failed) and each.counts for each in found) > patience
        found += [None] if over else tried(call, [item], stage, patience)
    return found


def put(
    store: RunStore, batch: Sequence[tuple[Prediction, Made]], writers: ThreadPoolExecutor, budget: Budget
) -> list[Prediction]:
    """Store a batch and return what then lies there; a picture that fails while it is fetched costs only itself."""
    try:
        return store.add_predictions(batch, writers)
    except (EnvironmentProblem, UsageError):
        raise
    except Exception as error:
        if len(batch) > 1:
            return [made for each in batch for made in put(store, [each], writers, budget)]
        budget.note("predict", batch[0][0].sample_id, batch[0][0].index, told(error))
        return []


def told(error: Exception) -> str:
    """Return our own errors as their line, any other with its traceback."""
    return str(error) if isinstance(error, JanusEvalError) else traceback.format_exc()


def chunks(items: Sequence[T], size: int, together: Callable[[T], Hashable] | None = None) -> Iterator[Sequence[T]]:
    """Yield the items in order, at most `size` at a time.

    Neighbours of one `together` are in one chunk; where it does not hold them they are split evenly.
    """
    parts = _families(items, size, together) if together else ([each] for each in items)
    chunk: list[T] = []
    for part in parts:
        if len(chunk) + len(part) > size:
            yield chunk
            chunk = []
        chunk += part
    if chunk:
        yield chunk


def _families(items: Sequence[T], size: int, together: Callable[[T], Hashable]) -> Iterator[Sequence[T]]:
    for _, family in groupby(items, together):
        members = [*family]
        count = -(-len(members) // size)
        width = -(-len(members) // count)
        yield from (members[start : start + width] for start in range(0, len(members), width))


def subject(job: Job) -> Hashable:
    """Return what a question is about: its pictures, as far as their names tell; of any other job, its sample."""
    sample = job.sample
    if not sample.images:
        return job.kind, sample.id
    return job.kind, "", sample.cluster or tuple(each.name for each in sample.images)


def in_order(jobs: Sequence[Job], *, together: bool) -> list[Job]:
    """Return jobs by prompt length, so that a batch pads little; `together` keeps those of one subject side by side."""
    if not together:
        return sorted(jobs, key=lambda job: (job.kind, len(job.sample.prompt)))
    longest: dict[Hashable, int] = {}
    first: dict[Hashable, int] = {}
    for place, job in enumerate(jobs):
        key = subject(job)
        first.setdefault(key, place)
        longest[key] = max(longest.get(key, 0), len(job.sample.prompt))

    def rank(job: Job) -> tuple[str, int, int, int]:
        key = subject(job)
        return job.kind, longest[key], first[key], len(job.sample.prompt)

    return sorted(jobs, key=rank)
