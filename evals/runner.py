"""The whole flow of a run on one screen: predict, observe, score, aggregate, record."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from . import members, memory, reasoning
from .assets.fetch import fetch
from .batches import Budget, Elastic, chunks, guarded, handed_out, in_order, put, subject
from .errors import Incomplete, UsageError
from .files import disk
from .plugins import Benchmark, Eyes, Model, ModelAdapter, Observer, Suite
from .store import RunStore
from .stored import Key
from .types import (
    Answer,
    Evidence,
    Job,
    Output,
    Prediction,
    RunRecord,
    RunSpec,
    Sample,
    Stage,
    job_seed,
)
from .verdicts import answers_nothing, key_of, metrics, record_of, verdicts


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
    until: Stage = "score"


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
    It stops behind the stage `settings.until`; the same run goes on from there.
    Raises Incomplete where more than `settings.max_errors` outputs fail.
    """
    makers, suite = [members.model(each) for each in models], members.benchmark(benchmark)
    eyes = members.observer(observer) if observer else None
    jobs = _jobs(spec, makers[0], suite, samples)
    paths = _image_paths(suite, samples, store.folder / "images")
    budget = Budget(store, settings.max_errors)
    course = _Course(spec, suite, eyes, samples, jobs, store, settings, budget, environment)
    try:
        have = store.predictions()
        lacking = sum(key_of(job) not in have for job in jobs)
        if lacking:
            store.check_room(members.disk_need(suite, makers[0], lacking))
            memory.check(makers[0], spec.model)
            if settings.until != "predict":
                _fetch_first(eyes, settings)
            have = _predict(jobs, have, makers, store, paths, settings, progress, budget)
        predictions = _read(jobs, have, suite)
        eyes = None if settings.until == "predict" else eyes
        evidence = _observe(jobs, predictions, eyes, store, settings, progress, budget) if eyes else {}
        return course.end(predictions, evidence, course.goal)
    except BaseException as stopped:
        if isinstance(stopped, Incomplete) or not isinstance(stopped, Exception):  # too many failures, or a signal
            course.interrupted()
        raise


@dataclass(frozen=True)
class _Course:
    """One run under way, with all that its end needs."""

    spec: RunSpec
    suite: Suite
    eyes: Eyes | None
    samples: Sequence[Sample]
    jobs: Sequence[Job]
    store: RunStore
    settings: Settings
    budget: Budget
    environment: Callable[[], Mapping[str, object]]
    started: float = field(default_factory=time.time)

    @property
    def goal(self) -> str:
        """The state in which the run is when it has come as far as it was to go."""
        return {"predict": "predicted", "observe": "observed"}.get(self.settings.until, "finished")

    def end(
        self, predictions: Mapping[Key, Prediction], evidence: Mapping[Key, Evidence], state: str = "finished"
    ) -> RunRecord:
        """Score what there is and write the record, or what a run leaves that was stopped or is to stop earlier."""
        why = "not made before the run was stopped" if state == "interrupted" else "it gave no output"
        until, allow = self.settings.until, self.settings.allow_unscored
        observed = self.eyes is not None and until != "predict"
        waits = "" if until == "score" else f"not scored yet: the run was to stop behind {until}"
        scores = verdicts(
            self.jobs, predictions, evidence, self.suite, self.budget, why, observed=observed, waits=waits
        )
        told = {**self.environment(), "seconds": round(time.time() - self.started, 3)}
        numbers = {} if waits else metrics(self.suite, self.samples, scores, self.spec.limit, allow_unscored=allow)
        found = record_of(self.spec, self.suite, self.jobs, predictions, scores, numbers, self.budget, told)
        record = replace(found, state=state)
        if state == "finished":
            made, seen = list(predictions.values()), list(evidence.values())
            with disk(self.store.folder):
                self.suite.export(self.store.folder, self.samples, made, seen, scores)
        self.store.finish(scores, record)
        return record

    def interrupted(self) -> None:
        """Leave a summary of what there is: `show` and `report` open it. The reason of the stop is what counts.

        Where nothing lacks but the record, the run is finished all the same.
        """
        with suppress(Exception):
            have = self.store.predictions()
            predictions = _read(self.jobs, have, self.suite)
            eyes = None if self.settings.until == "predict" else self.eyes
            evidence = self.store.evidence(predictions) if eyes else {}
            whole = len(predictions) == len(self.jobs) and (eyes is None or len(evidence) == len(predictions))
            self.end(predictions, evidence, self.goal if whole else "interrupted")


def _fetch_first(eyes: Eyes | None, settings: Settings) -> None:
    """Fetch what the observer lacks: its absence shall not be found out after hours of drawing."""
    for name in eyes.needs() if eyes else ():
        fetch(name, offline=settings.offline)


# -- what is asked ------------------------------------------------------------------------------------


def _jobs(spec: RunSpec, model: Model, suite: Suite, samples: Sequence[Sample]) -> list[Job]:
    """Return every output of the run, in the order in which they are asked for."""
    jobs = [
        Job(sample, suite.kind, index, job_seed(spec.seed, sample.id, index))
        for sample in samples
        for index in range(suite.outputs)
    ]
    extra = {*suite.extra_kinds} & {*model.kinds}
    for kind in filter(extra.__contains__, members.KINDS):
        jobs += [Job(sample, kind, 0, job_seed(spec.seed, sample.id, 0)) for sample in samples]
    return in_order(jobs, together=model.shares_pictures)


def _image_paths(suite: Suite, samples: Sequence[Sample], root: Path) -> Callable[[Job], Path]:
    position = {sample.id: number for number, sample in enumerate(samples)}

    def path(job: Job) -> Path:
        relative = suite.image_path(position[job.sample.id], job.sample, job.index)
        found = root / relative
        if ".." in found.relative_to(root).parts:
            raise UsageError(f"sample {job.sample.id!r} would write outside {root}: {relative!r}")
        return found

    return path


# -- stages -------------------------------------------------------------------------------------------


def _predict(
    jobs: Sequence[Job],
    have: Mapping[Key, Prediction],
    models: Sequence[Model],
    store: RunStore,
    paths: Callable[[Job], Path],
    settings: Settings,
    progress: Progress,
    budget: Budget,
) -> Mapping[Key, Prediction]:
    """Make what is missing and return all predictions that the store then has."""
    missing = [job for job in jobs if key_of(job) not in have]
    wanted = settings.batch_size or models[0].batch_size(jobs)
    size = store.batch_size("predict", max(1, min(wanted, len(jobs))), asked=settings.batch_size)
    # A batch is made whole even when one picture of it is missing: its members must see the same
    # neighbours as in an uninterrupted run. What has no neighbours (an endpoint that is paid by request)
    # is asked for what is missing alone.
    asked = missing if models[0].independent else jobs
    together = subject if models[0].shares_pictures else None
    todo = [chunk for chunk in chunks(asked, size, together) if any(key_of(job) not in have for job in chunk)]
    workers = [Elastic[Job, Output](partial(_asked, model)) for model in models]

    def work(worker: Elastic[Job, Output], chunk: Sequence[Job]) -> list[tuple[Job, Output]]:
        return guarded(worker, chunk, budget, "predict", lambda job: (job.sample.id, job.index))

    # A batch is put on disk while the next one is computed; one at a time, so that a kill loses
    # no more than the batch in flight.
    with (
        ThreadPoolExecutor(4) as writers,
        ThreadPoolExecutor(1) as storing,
        progress("predict", len(jobs), len(jobs) - len(missing)) as tick,
    ):
        stored = storing.submit(int)
        for made in handed_out(workers, todo, work):
            keep = [(_at(job, paths), output) for job, output in made if key_of(job) not in have]
            stored.result()
            stored = storing.submit(put, store, keep, writers, budget)
            tick(len(keep))
        stored.result()
    return store.predictions()


def _asked(model: Model, jobs: Sequence[Job]) -> Sequence[Output]:
    """Return the model's outputs. Raises TypeError for what is no output of its job's kind."""
    outputs = model.predict(jobs)
    for job, output in zip(jobs, outputs, strict=False):  # their number is the caller's to check
        if not _fits(job, output):
            raise TypeError(f"{job.kind} was asked for, the model gave {output!r:.80}")
    return outputs


def _fits(job: Job, output: Any) -> bool:
    if job.kind == "text":
        said: Any = output.text if isinstance(output, Answer) else output
        return isinstance(said, str)
    if job.kind == "image":
        return callable(output) or isinstance(output, Path) or hasattr(output, "save")  # a PIL picture, not imported
    if not isinstance(output, tuple | list) or len(output) != len(job.sample.options):
        return False
    return all(isinstance(each, int | float) and each == each for each in output)  # a NaN is no likelihood


def _read(jobs: Sequence[Job], have: Mapping[Key, Prediction], suite: Suite) -> dict[Key, Prediction]:
    """Return the run's outputs as they are observed and scored: reasoning is told, and taken off where asked."""
    strip = suite.reasoning == "strip"
    return {key: reasoning.read(have[key], strip=strip) for key in map(key_of, jobs) if key in have}


def _observe(
    jobs: Sequence[Job],
    predictions: Mapping[Key, Prediction],
    eyes: Eyes,
    store: RunStore,
    settings: Settings,
    progress: Progress,
    budget: Budget,
) -> dict[Key, Evidence]:
    have = store.evidence(predictions)
    made = [(job.sample, predictions[key_of(job)]) for job in jobs if key_of(job) in predictions]
    pairs = [pair for pair in made if not answers_nothing(pair[1])]
    missing = [pair for pair in pairs if _pair_key(pair) not in have]
    if missing:
        size = store.batch_size("observe", max(1, settings.batch_size or eyes.batch_size), asked=settings.batch_size)
        elastic: Elastic[tuple[Sample, Prediction], Evidence] = Elastic(eyes.observe)
        with progress("observe", len(pairs), len(pairs) - len(missing)) as tick:
            for chunk in chunks(missing if eyes.independent else pairs, size):
                todo = [pair for pair in chunk if _pair_key(pair) not in have]
                if not todo:
                    continue
                seen = guarded(elastic, chunk, budget, "observe", lambda pair: (pair[1].sample_id, pair[1].index))
                keep = [(pair[1], evidence) for pair, evidence in seen if _pair_key(pair) not in have]
                store.add_evidence(keep)  # before the errors are counted: they may stop the run
                for prediction, evidence in keep:
                    if evidence.error is not None:
                        where = (prediction.sample_id, prediction.index)
                        budget.note("observe", *where, evidence.error, lasting=evidence.lasting)
                tick(len(todo))
        have = store.evidence(predictions)
    return have


# -- small parts --------------------------------------------------------------------------------------


def _pair_key(pair: tuple[Sample, Prediction]) -> Key:
    return (pair[1].kind, pair[1].sample_id, pair[1].index)


def _at(job: Job, paths: Callable[[Job], Path]) -> Prediction:
    image = paths(job) if job.kind == "image" else None
    return Prediction(job.sample.id, job.index, job.kind, image=image)
