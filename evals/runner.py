"""The whole flow of a run on one screen: predict, observe, score, aggregate, record."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from . import members, stats
from .assets.fetch import fetch
from .batches import Budget, Elastic, chunks, guarded, handed_out, put
from .errors import Incomplete, UsageError
from .files import disk
from .plugins import Benchmark, Eyes, Model, ModelAdapter, Observer, Suite
from .store import RunStore
from .stored import Key
from .types import (
    Answer,
    Evidence,
    Job,
    Metric,
    Output,
    Prediction,
    RunRecord,
    RunSpec,
    Sample,
    Score,
    job_seed,
)


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
    makers, suite = [members.model(each) for each in models], members.benchmark(benchmark)
    eyes = members.observer(observer) if observer else None
    jobs = _jobs(spec, makers[0], suite, samples)
    paths = _image_paths(suite, samples, store.folder / "images")
    budget = Budget(store, settings.max_errors)
    course = _Course(spec, suite, eyes, samples, jobs, store, settings, budget, environment)
    try:
        have = store.predictions()
        lacking = sum(_key(job) not in have for job in jobs)
        if lacking:
            store.check_room(members.disk_need(suite, makers[0], lacking))
            _fetch_first(eyes, settings)
            have = _predict(jobs, have, makers, store, paths, settings, progress, budget)
        predictions = {key: have[key] for key in map(_key, jobs) if key in have}
        evidence = _observe(jobs, predictions, eyes, store, settings, progress, budget) if eyes else {}
        return course.end(predictions, evidence)
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

    def end(
        self, predictions: Mapping[Key, Prediction], evidence: Mapping[Key, Evidence], state: str = "finished"
    ) -> RunRecord:
        """Score what there is and write the record, or what an interrupted run leaves."""
        why = "it gave no output" if state == "finished" else "not made before the run was stopped"
        scores = _score(self.jobs, predictions, evidence, self.suite, self.budget, why, observed=self.eyes is not None)
        told = {**self.environment(), "seconds": round(time.time() - self.started, 3)}
        allow = self.settings.allow_unscored
        metrics = _metrics(self.suite, self.samples, scores, self.spec.limit, allow_unscored=allow)
        found = _record(self.spec, self.suite, self.jobs, predictions, scores, metrics, self.budget, told)
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
            predictions = {key: have[key] for key in map(_key, self.jobs) if key in have}
            evidence = self.store.evidence(predictions) if self.eyes else {}
            whole = len(predictions) == len(self.jobs) and (self.eyes is None or len(evidence) == len(predictions))
            self.end(predictions, evidence, "finished" if whole else "interrupted")


def _fetch_first(eyes: Eyes | None, settings: Settings) -> None:
    """Fetch what the observer lacks: its absence shall not be found out after hours of drawing."""
    for name in eyes.needs() if eyes else ():
        fetch(name, offline=settings.offline)


# -- what is asked ------------------------------------------------------------------------------------


def _jobs(spec: RunSpec, model: Model, suite: Suite, samples: Sequence[Sample]) -> list[Job]:
    """Return every output of the run; pictures by prompt length, so that a batch pads little."""
    jobs = [
        Job(sample, suite.kind, index, job_seed(spec.seed, sample.id, index))
        for sample in samples
        for index in range(suite.outputs)
    ]
    extra = {*suite.extra_kinds} & {*model.kinds}
    for kind in filter(extra.__contains__, members.KINDS):
        jobs += [Job(sample, kind, 0, job_seed(spec.seed, sample.id, 0)) for sample in samples]
    return sorted(jobs, key=lambda job: (job.kind, len(job.sample.prompt)))


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
    missing = [job for job in jobs if _key(job) not in have]
    wanted = settings.batch_size or models[0].batch_size(jobs)
    size = store.batch_size("predict", max(1, min(wanted, len(jobs))))
    # A batch is made whole even when one picture of it is missing: its members must see the same
    # neighbours as in an uninterrupted run. What has no neighbours (an endpoint that is paid by request)
    # is asked for what is missing alone.
    asked = missing if models[0].independent else jobs
    todo = [chunk for chunk in chunks(asked, size) if any(_key(job) not in have for job in chunk)]
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
            keep = [(_at(job, paths), output) for job, output in made if _key(job) not in have]
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
    pairs = [(job.sample, predictions[_key(job)]) for job in jobs if _key(job) in predictions]
    missing = [pair for pair in pairs if _pair_key(pair) not in have]
    if missing:
        size = store.batch_size("observe", max(1, settings.batch_size or eyes.batch_size))
        elastic: Elastic[tuple[Sample, Prediction], Evidence] = Elastic(eyes.observe)
        with progress("observe", len(pairs), len(pairs) - len(missing)) as tick:
            for chunk in chunks(missing if eyes.independent else pairs, size):
                todo = [pair for pair in chunk if _pair_key(pair) not in have]
                if not todo:
                    continue
                made = guarded(elastic, chunk, budget, "observe", lambda pair: (pair[1].sample_id, pair[1].index))
                keep = [(pair[1], evidence) for pair, evidence in made if _pair_key(pair) not in have]
                store.add_evidence(keep)  # before the errors are counted: they may stop the run
                for prediction, evidence in keep:
                    if evidence.error is not None:
                        where = (prediction.sample_id, prediction.index)
                        budget.note("observe", *where, evidence.error, lasting=evidence.lasting)
                tick(len(todo))
        have = store.evidence(predictions)
    return have


def _score(
    jobs: Sequence[Job],
    predictions: Mapping[Key, Prediction],
    evidence: Mapping[Key, Evidence],
    suite: Suite,
    budget: Budget,
    nothing: str,
    *,
    observed: bool,
) -> list[Score]:
    scores: list[Score] = []
    for job in sorted(jobs, key=lambda job: (job.sample.id, job.kind, job.index)):
        key = _key(job)
        if key not in predictions:
            why = budget.why.get((job.sample.id, job.index))
            scores.append(_no_verdict(job, f"missing: {f'the model failed: {why}' if why else nothing}"))
        elif observed and job.kind == suite.kind and key not in evidence:
            why = budget.why.get((job.sample.id, job.index), "it gave no evidence")
            scores.append(_no_verdict(job, f"unscored: the observer failed: {why}"))
        else:
            scores += map(_finite, suite.score(job.sample, predictions[key], evidence.get(key)))
    return scores


def _finite(score: Score) -> Score:
    """Return the score; a value that is no number is no verdict."""
    if score.value is None or math.isfinite(score.value):
        return score
    return replace(score, value=None, reason=f"unscored: the rule gave {score.value}; {score.reason}")


def _no_verdict(job: Job, reason: str) -> Score:
    return Score(job.sample.id, job.index, "", None, reason=reason, tags=job.sample.tags, cluster=job.sample.cluster)


def _metrics(
    suite: Suite, samples: Sequence[Sample], scores: Sequence[Score], limit: str | None, *, allow_unscored: bool
) -> Mapping[str, Metric]:
    """Return the metrics of the suite; those that are over a part of it say so (`stats.metrics`).

    What was not asked takes part without a verdict, so that each metric knows what it is over. A suite that
    leaves that to nobody has each of its numbers marked where anything lacks.
    """
    asked = {each.id for each in samples}
    rest = [each for each in suite.samples() if each.id not in asked]
    unasked = [
        Score(each.id, index, "", None, reason=f"{stats.NOT_ASKED}: {limit}", tags=each.tags, cluster=each.cluster)
        for each in rest
        for index in range(suite.outputs)
    ]
    knows = suite.estimates([]) is not None
    found = suite.aggregate([*scores, *unasked] if knows else scores)
    absent = stats.absent([*scores, *unasked])
    marked: dict[str, Metric] = {}
    for key, each in found.items():
        lacks = absent and not each.absent and (key == suite.headline or not knows)
        marked |= stats.parted(key, replace(each, absent=absent)) if lacks else {key: each}
    return stats.kept(marked) if allow_unscored else marked


def _record(
    spec: RunSpec,
    suite: Suite,
    jobs: Sequence[Job],
    predictions: Mapping[Key, Prediction],
    scores: Sequence[Score],
    metrics: Mapping[str, Metric],
    budget: Budget,
    environment: Mapping[str, object],
) -> RunRecord:

    def outputs(holds: Callable[[Score], bool]) -> set[tuple[str, int]]:
        return {(each.sample_id, each.index) for each in scores if holds(each)}

    asked, scored = {(job.sample.id, job.index) for job in jobs}, outputs(lambda each: each.value is not None)
    unparsed = outputs(lambda each: each.unparsed)
    invalid = outputs(lambda each: each.value is None and each.reason.startswith("invalid image"))
    counts = {
        "expected": len(jobs),
        "predicted": len(predictions),
        "scored": len(scored),
        "unparsed": len(unparsed),
        "unscored": len(asked - scored),
        "invalid_images": len(invalid),
        "errors": budget.count,
        "cut": sum(each.finish == "length" for each in predictions.values()),
        "refused": budget.refused,
    }
    return RunRecord(
        spec=spec,
        headline=suite.headline,
        metrics=metrics,
        counts=counts,
        complete=asked == scored and bool(jobs),
        missing=tuple(f"{job.sample.id}/{job.index}" for job in jobs if _key(job) not in predictions),
        environment=environment,
    )


# -- small parts --------------------------------------------------------------------------------------


def _key(job: Job) -> Key:
    return (job.kind, job.sample.id, job.index)


def _pair_key(pair: tuple[Sample, Prediction]) -> Key:
    return (pair[1].kind, pair[1].sample_id, pair[1].index)


def _at(job: Job, paths: Callable[[Job], Path]) -> Prediction:
    image = paths(job) if job.kind == "image" else None
    return Prediction(job.sample.id, job.index, job.kind, image=image)
