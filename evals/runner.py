"""The whole flow of a run on one screen: predict, observe, score, aggregate, record."""

from __future__ import annotations

import math
import re
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from threading import Lock
from typing import Any, Generic, Protocol, TypeVar

from .assets import fetch as data
from .errors import EnvironmentProblem, Incomplete, InvalidImage, JanusEvalError, Locked, OutOfMemory, UsageError
from .registry import missing_package
from .store import Key, RunStore
from .types import (
    Benchmark,
    Evidence,
    Job,
    Kind,
    Metric,
    ModelAdapter,
    Observer,
    Output,
    Prediction,
    RunRecord,
    RunSpec,
    Sample,
    Score,
    job_seed,
)

T = TypeVar("T")
R = TypeVar("R")


class Ticker(Protocol):
    """A progress bar of one stage."""

    def __call__(self, done: int, /) -> None: ...


Progress = Callable[[str, int, int], AbstractContextManager[Ticker]]
"""Opens a progress bar: (label, total, already done)."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What moves only time and patience, never a score."""

    batch_size: int | None = None
    max_errors: int = 10
    allow_unscored: bool = False
    offline: bool = False


def run(
    spec: RunSpec,
    models: Sequence[ModelAdapter],
    benchmark: Benchmark,
    observer: Observer | None,
    store: RunStore,
    samples: Sequence[Sample],
    settings: Settings,
    progress: Progress,
    environment: Callable[[], Mapping[str, object]],
) -> RunRecord:
    """Carry a run as far as it goes and return its record; what is on disk already is not made again.

    `models` are one adapter, or one for each device: batches are handed out to whichever is free.
    Raises Incomplete where more than `settings.max_errors` outputs fail.
    """
    started = time.time()
    jobs = _jobs(spec, models[0], benchmark, samples)
    paths = _image_paths(benchmark, samples, store.folder / "images")
    budget = _Budget(store, settings.max_errors)

    have = store.predictions()
    if any(_key(job) not in have for job in jobs):
        _fetch_first(observer, settings)
        have = _predict(jobs, have, models, store, paths, settings, progress, budget)
    predictions = {key: have[key] for key in map(_key, jobs) if key in have}
    evidence = _observe(jobs, predictions, observer, store, settings, progress, budget) if observer else {}

    scores = _score(jobs, predictions, evidence, benchmark, budget, needs_evidence=observer is not None)
    seconds = round(time.time() - started, 3)
    record = _record(spec, benchmark, jobs, predictions, scores, budget, {**environment(), "seconds": seconds})
    if not settings.allow_unscored:
        record = _withhold(record)
    export = getattr(benchmark, "export", None)
    if export is not None:
        export(store.folder, samples, list(predictions.values()), list(evidence.values()), scores)
    store.finish(scores, record)
    return record


def _fetch_first(observer: Observer | None, settings: Settings) -> None:
    """Fetch what the observer lacks: its absence shall not be found out after hours of drawing."""
    needs: Callable[[], Sequence[str]] = getattr(observer, "needs", tuple)
    for name in needs():
        data.fetch(name, offline=settings.offline)


# -- what is asked ------------------------------------------------------------------------------------


def _jobs(spec: RunSpec, model: ModelAdapter, benchmark: Benchmark, samples: Sequence[Sample]) -> list[Job]:
    """Return every output of the run; pictures by prompt length, so that a batch pads little."""
    jobs = [
        Job(sample, benchmark.kind, index, job_seed(spec.seed, sample.id, index))
        for sample in samples
        for index in range(benchmark.outputs)
    ]
    extra: frozenset[Kind] = getattr(benchmark, "extra_kinds", frozenset[Kind]())
    for kind in sorted(extra & model.kinds):
        jobs += [Job(sample, kind, 0, job_seed(spec.seed, sample.id, 0)) for sample in samples]
    return sorted(jobs, key=lambda job: (job.kind, len(job.sample.prompt)))


def _image_paths(benchmark: Benchmark, samples: Sequence[Sample], root: Path) -> Callable[[Job], Path]:
    position = {sample.id: number for number, sample in enumerate(samples)}
    layout: Callable[[int, Sample, int], str] = getattr(benchmark, "image_path", _plain_layout)

    def path(job: Job) -> Path:
        relative = layout(position[job.sample.id], job.sample, job.index)
        found = root / relative
        if ".." in found.relative_to(root).parts:
            raise UsageError(f"sample {job.sample.id!r} would write outside {root}: {relative!r}")
        return found

    return path


def _plain_layout(position: int, sample: Sample, index: int) -> str:
    return f"{position:05d}-{re.sub(r'[^A-Za-z0-9._-]+', '_', sample.id)[:80]}/{index}.png"


# -- stages -------------------------------------------------------------------------------------------


def _predict(
    jobs: Sequence[Job],
    have: Mapping[Key, Prediction],
    models: Sequence[ModelAdapter],
    store: RunStore,
    paths: Callable[[Job], Path],
    settings: Settings,
    progress: Progress,
    budget: _Budget,
) -> Mapping[Key, Prediction]:
    """Make what is missing and return all predictions that the store then has."""
    missing = [job for job in jobs if _key(job) not in have]
    suggest: Callable[[Sequence[Job]], int] = getattr(models[0], "batch_size", lambda _: 16)
    wanted = settings.batch_size or suggest(jobs)
    size = store.batch_size("predict", max(1, min(wanted, len(jobs))))
    # A batch is made whole even when one picture of it is missing: its members must see the same
    # neighbours as in an uninterrupted run. What has no neighbours (an endpoint that is paid by request)
    # is asked for what is missing alone.
    asked = missing if getattr(models[0], "independent", False) else jobs
    chunks = [chunk for chunk in _chunks(asked, size) if any(_key(job) not in have for job in chunk)]
    workers = [_Elastic[Job, Output](partial(_asked, model)) for model in models]

    def work(worker: _Elastic[Job, Output], chunk: Sequence[Job]) -> list[tuple[Job, Output]]:
        return _guarded(worker, chunk, budget, "predict", lambda job: (job.sample.id, job.index))

    # A batch is put on disk while the next one is computed; one at a time, so that a kill loses
    # no more than the batch in flight.
    with (
        ThreadPoolExecutor(4) as writers,
        ThreadPoolExecutor(1) as storing,
        progress("predict", len(jobs), len(jobs) - len(missing)) as tick,
    ):
        stored = storing.submit(int)
        for made in _handed_out(workers, chunks, work):
            keep = [(_at(job, paths), output) for job, output in made if _key(job) not in have]
            stored.result()
            stored = storing.submit(_put, store, keep, writers, budget)
            tick(len(keep))
        stored.result()
    return store.predictions()


def _asked(model: ModelAdapter, jobs: Sequence[Job]) -> Sequence[Output]:
    """Return the model's outputs. Raises TypeError for what is no output of its job's kind."""
    outputs = model.predict(jobs)
    for job, output in zip(jobs, outputs, strict=False):  # their number is the caller's to check
        if not _fits(job, output):
            raise TypeError(f"{job.kind} was asked for, the model gave {output!r:.80}")
    return outputs


def _fits(job: Job, output: Any) -> bool:
    if job.kind == "text":
        return isinstance(output, str)
    if job.kind == "image":
        return callable(output) or isinstance(output, Path) or hasattr(output, "save")
    if not isinstance(output, tuple | list) or len(output) != len(job.sample.options):
        return False
    return all(isinstance(each, int | float) and each == each for each in output)  # a NaN is no likelihood


def _observe(
    jobs: Sequence[Job],
    predictions: Mapping[Key, Prediction],
    observer: Observer,
    store: RunStore,
    settings: Settings,
    progress: Progress,
    budget: _Budget,
) -> dict[Key, Evidence]:
    have = store.evidence(predictions)
    pairs = [(job.sample, predictions[_key(job)]) for job in jobs if _key(job) in predictions]
    missing = [pair for pair in pairs if _pair_key(pair) not in have]
    if missing:
        asked: int = getattr(observer, "batch_size", 8)
        size = store.batch_size("observe", max(1, settings.batch_size or asked))
        elastic: _Elastic[tuple[Sample, Prediction], Evidence] = _Elastic(observer.observe)
        with progress("observe", len(pairs), len(pairs) - len(missing)) as tick:
            for chunk in _chunks(missing if getattr(observer, "independent", False) else pairs, size):
                todo = [pair for pair in chunk if _pair_key(pair) not in have]
                if not todo:
                    continue
                made = _guarded(elastic, chunk, budget, "observe", lambda pair: (pair[1].sample_id, pair[1].index))
                keep = [(pair[1], evidence) for pair, evidence in made if _pair_key(pair) not in have]
                store.add_evidence(keep)  # before the errors are counted: they may stop the run
                for prediction, evidence in keep:
                    if evidence.error is not None:
                        budget.note("observe", prediction.sample_id, prediction.index, evidence.error)
                tick(len(todo))
        have = store.evidence(predictions)
    return have


def _score(
    jobs: Sequence[Job],
    predictions: Mapping[Key, Prediction],
    evidence: Mapping[Key, Evidence],
    benchmark: Benchmark,
    budget: _Budget,
    *,
    needs_evidence: bool,
) -> list[Score]:
    scores: list[Score] = []
    for job in sorted(jobs, key=lambda job: (job.sample.id, job.kind, job.index)):
        key = _key(job)
        if key not in predictions:
            why = budget.why.get((job.sample.id, job.index), "it gave no output")
            scores.append(_no_verdict(job, f"missing: the model failed: {why}"))
        elif needs_evidence and job.kind == benchmark.kind and key not in evidence:
            why = budget.why.get((job.sample.id, job.index), "it gave no evidence")
            scores.append(_no_verdict(job, f"unscored: the observer failed: {why}"))
        else:
            scores += map(_finite, benchmark.score(job.sample, predictions[key], evidence.get(key)))
    return scores


def _finite(score: Score) -> Score:
    """Return the score; a value that is no number is no verdict."""
    if score.value is None or math.isfinite(score.value):
        return score
    return replace(score, value=None, reason=f"unscored: the rule gave {score.value}; {score.reason}")


def _no_verdict(job: Job, reason: str) -> Score:
    return Score(job.sample.id, job.index, "", None, reason=reason, tags=job.sample.tags, cluster=job.sample.cluster)


def _record(
    spec: RunSpec,
    benchmark: Benchmark,
    jobs: Sequence[Job],
    predictions: Mapping[Key, Prediction],
    scores: Sequence[Score],
    budget: _Budget,
    environment: Mapping[str, object],
) -> RunRecord:
    asked = {(job.sample.id, job.index) for job in jobs}
    scored = {(each.sample_id, each.index) for each in scores if each.value is not None}
    invalid = {(s.sample_id, s.index) for s in scores if s.value is None and s.reason.startswith("invalid image")}
    counts = {
        "expected": len(jobs),
        "predicted": len(predictions),
        "scored": len(scored),
        "unparsed": len({(each.sample_id, each.index) for each in scores if each.unparsed}),
        "unscored": len(asked - scored),
        "invalid_images": len(invalid),
        "errors": budget.count,
    }
    return RunRecord(
        spec=spec,
        headline=benchmark.headline,
        metrics=dict(benchmark.aggregate(scores)),
        counts=counts,
        complete=asked == scored and bool(jobs),
        missing=tuple(f"{job.sample.id}/{job.index}" for job in jobs if _key(job) not in predictions),
        environment=environment,
    )


def _withhold(record: RunRecord) -> RunRecord:
    """Return the record without its headline number where the suite is not whole."""
    headline = record.metrics.get(record.headline)
    if record.complete or headline is None:
        return record
    return replace(record, metrics={**record.metrics, record.headline: Metric(None, headline.n)})


# -- batches that fail --------------------------------------------------------------------------------


class _Elastic(Generic[T, R]):
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


class _Budget:
    """Counts failed outputs, writes them down and stops the run when they are too many."""

    def __init__(self, store: RunStore, most: int) -> None:
        self.store = store
        self.most = most
        self.count = 0
        self.why: dict[tuple[str, int], str] = {}
        self.lock = Lock()

    def note(self, stage: str, sample_id: str, index: int, error: str, *, counts: bool = True) -> None:
        why = error.strip().splitlines()[-1] if error.strip() else "no message"
        last = f"{stage} {sample_id}/{index}: {why}"
        with self.lock:
            self.why[sample_id, index] = why
            self.count += counts
            self.store.add_error(stage, sample_id, index, error)
        if self.count > self.most:
            raise Incomplete(
                f"stopped after {self.count} failed outputs (--max-errors {self.most}); the last: {last}; "
                f"all in {self.store.folder / 'errors.jsonl'}; run the same command again to resume"
            )


def _guarded(
    call: Callable[[Sequence[T]], list[R]],
    items: Sequence[T],
    budget: _Budget,
    stage: str,
    name: Callable[[T], tuple[str, int]],
) -> list[tuple[T, R]]:
    """Return the outputs of a batch; where the batch fails, those of its members that succeed alone.

    The one place that catches Exception: a failure is written down for its sample and counted.
    """
    try:
        return list(zip(items, call(items), strict=True))
    except (EnvironmentProblem, Locked, UsageError):
        raise
    except ModuleNotFoundError as error:  # of the machine, not of this sample
        raise missing_package(error, stage) from error
    except OutOfMemory as error:
        raise EnvironmentProblem(f"the device cannot hold even one sample: {error}") from error
    except Exception as error:
        if len(items) == 1:
            sample_id, index = name(items[0])
            text = str(error) if isinstance(error, JanusEvalError) else traceback.format_exc()
            # A picture that a folder lacks is a gap in the data, named among the missing, not a fault.
            budget.note(stage, sample_id, index, text, counts=not isinstance(error, InvalidImage))
            return []
    return [pair for item in items for pair in _guarded(call, [item], budget, stage, name)]


def _put(
    store: RunStore, batch: Sequence[tuple[Prediction, Output]], writers: ThreadPoolExecutor, budget: _Budget
) -> None:
    """Store a batch; a picture that fails while it is fetched costs only itself."""
    try:
        store.add_predictions(batch, writers)
    except (EnvironmentProblem, UsageError):
        raise
    except Exception as error:
        if len(batch) > 1:
            for each in batch:
                _put(store, [each], writers, budget)
            return
        text = str(error) if isinstance(error, JanusEvalError) else traceback.format_exc()
        budget.note("predict", batch[0][0].sample_id, batch[0][0].index, text)


def _handed_out(
    workers: Sequence[_Elastic[T, R]],
    chunks: Sequence[Sequence[T]],
    work: Callable[[_Elastic[T, R], Sequence[T]], list[tuple[T, R]]],
) -> Iterator[list[tuple[T, R]]]:
    """Yield the results of the chunks as they come, each made by whichever worker is free."""
    if len(workers) == 1:
        yield from (work(workers[0], chunk) for chunk in chunks)
        return
    free: SimpleQueue[_Elastic[T, R]] = SimpleQueue()
    for each in workers:
        free.put(each)

    def one(chunk: Sequence[T]) -> list[tuple[T, R]]:
        worker = free.get()
        try:
            return work(worker, chunk)
        finally:
            free.put(worker)

    with ThreadPoolExecutor(len(workers)) as pool:
        pending = [pool.submit(one, chunk) for chunk in chunks]
        try:
            yield from (each.result() for each in as_completed(pending))
        finally:
            for each in pending:
                each.cancel()


# -- small parts --------------------------------------------------------------------------------------


def _chunks(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _key(job: Job) -> Key:
    return (job.kind, job.sample.id, job.index)


def _pair_key(pair: tuple[Sample, Prediction]) -> Key:
    return (pair[1].kind, pair[1].sample_id, pair[1].index)


def _at(job: Job, paths: Callable[[Job], Path]) -> Prediction:
    image = paths(job) if job.kind == "image" else None
    return Prediction(job.sample.id, job.index, job.kind, image=image)
