"""The whole flow of a run on one screen: predict, observe, score, aggregate, record."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from . import members, memory, reasoning
from .assets.fetch import fetch
from .batches import Budget, in_order
from .errors import Incomplete, UsageError
from .executors import Executor, Making, Plugin
from .files import disk
from .flow import Flow, Progress
from .plugins import Benchmark, Eyes, Model, Suite
from .shards import Shard
from .store import RunStore
from .stored import Key
from .types import PICTURES, Evidence, Job, Kind, Prediction, RunRecord, RunSpec, Sample, Stage, job_seed
from .verdicts import answers_nothing, key_of, metrics, record_of, verdicts
from .where import others_than, stages, workers


@dataclass(frozen=True, slots=True)
class Settings:
    """What moves only time and patience, never a score."""

    batch_size: int | None = None
    max_errors: int = 10
    allow_unscored: bool = False
    offline: bool = False
    until: Stage = "score"
    ask_refused: bool = False
    shard: Shard | None = None
    packs: bool | None = None
    now: Collection[str] | None = None
    """The samples that are made now, the others being left for later; None: all."""


def run(
    spec: RunSpec,
    model: Plugin[Model],
    benchmark: Benchmark,
    observer: Plugin[Eyes] | None,
    store: RunStore,
    samples: Sequence[Sample],
    settings: Settings,
    progress: Progress,
    environment: Callable[[], Mapping[str, object]],
    executor: Executor,
) -> RunRecord:
    """Carry a run as far as it goes and return its record; what is on disk already is not made again.

    It stops behind the stage `settings.until`; the same run goes on from there.
    Raises Incomplete where more than `settings.max_errors` outputs fail.
    """
    course = _Course.of(spec, model, benchmark, observer, store, samples, settings, environment)
    try:
        predictions, evidence = course.make(executor, progress)
        return course.end(predictions, evidence, course.goal)
    except BaseException as stopped:
        if isinstance(stopped, Incomplete) or not isinstance(stopped, Exception):  # too many failures, or a signal
            course.interrupted()
        raise


def share(
    spec: RunSpec,
    model: Plugin[Model],
    benchmark: Benchmark,
    observer: Plugin[Eyes] | None,
    store: RunStore,
    samples: Sequence[Sample],
    settings: Settings,
    progress: Progress,
    executor: Executor,
) -> Mapping[Making, tuple[int, int]]:
    """Make one shard of a run and return, by stage, how many outputs it is to have and how many there are."""
    course = _Course.of(spec, model, benchmark, observer, store, samples, settings, dict)
    flow = course.flow(executor, progress)
    flow.run()
    stages: tuple[Making, ...] = ("predict", "observe") if course.eyes else ("predict",)
    return {stage: flow.progressed(stage) for stage in stages}


@dataclass(frozen=True)
class _Course:
    """One run under way, with all that its end needs."""

    spec: RunSpec
    model: Plugin[Model]
    suite: Suite
    eyes: Plugin[Eyes] | None
    samples: Sequence[Sample]
    jobs: Sequence[Job]
    store: RunStore
    settings: Settings
    budget: Budget
    environment: Callable[[], Mapping[str, object]]
    started: float = field(default_factory=time.time)

    @classmethod
    def of(
        cls,
        spec: RunSpec,
        model: Plugin[Model],
        benchmark: Benchmark,
        observer: Plugin[Eyes] | None,
        store: RunStore,
        samples: Sequence[Sample],
        settings: Settings,
        environment: Callable[[], Mapping[str, object]],
    ) -> _Course:
        """Return a run that is about to start."""
        suite = members.benchmark(benchmark)
        jobs = jobs_of(suite, samples, spec.seed, model.here.kinds, together=model.here.shares_pictures)
        budget = Budget(store, settings.max_errors)
        eyes = None if settings.until == "predict" else observer
        return cls(spec, model, suite, eyes, samples, jobs, store, settings, budget, environment)

    def make(self, executor: Executor, progress: Progress) -> tuple[Mapping[Key, Prediction], Mapping[Key, Evidence]]:
        """Make what is missing and return what there is then."""
        have = self._there()
        told, evidence = as_read(self.jobs, have, self.suite), self._evidence(have)
        unseen = self.eyes and any(key not in evidence and not answers_nothing(each) for key, each in told.items())
        if len(told) == len(self.jobs) and not unseen:
            return told, evidence
        del told  # of a million rows, the memory of a second table
        flow = self.flow(executor, progress, (have, evidence))
        flow.run()
        return as_read(self.jobs, flow.made, self.suite), self._evidence(flow.made)

    def _there(self) -> dict[Key, Prediction]:
        """Return the outputs that stand; a refusal does not where it is to be asked again."""
        ask = self.settings.ask_refused
        return {key: each for key, each in self.store.predictions().items() if not (each.refused and ask)}

    def _evidence(self, have: Mapping[Key, Prediction]) -> Mapping[Key, Evidence]:
        """Return the evidence that fits the outputs; what the observer doubts is named as damage and made again."""
        if self.eyes is None:
            return {}
        made = as_read(self.jobs, have, self.suite)
        found = self.store.evidence(made)
        for job in self.jobs:
            key = key_of(job)
            if key in found and (why := self.eyes.here.doubt(job.sample, made[key], found[key].data)):
                del found[key]
                self.store.doubt(key, f"{job.sample.id}/{job.index}: {why}; it is made again")
        return found

    def flow(
        self,
        executor: Executor,
        progress: Progress,
        there: tuple[dict[Key, Prediction], Mapping[Key, Evidence]] | None = None,
    ) -> Flow:
        """Return what makes the rest of the run, or its shard's; `there` is what the store has, read by now."""
        have = self._there() if there is None else there[0]
        evidence = self._evidence(have) if there is None else there[1]
        executor.take("predict", self.model, self.spec.model_card)
        executor.take("observe", self.eyes, self.spec.observer_card)
        lacking = sum(key_of(job) not in have for job in self.jobs)
        if lacking:
            count = self.settings.shard.count if self.settings.shard else 1
            self.store.check_room(members.disk_need(self.suite, self.model.here, lacking) // count)
            if not executor.elsewhere:
                memory.check(self.model.here, self.spec.model)
            _fetch_first(self.eyes, self.settings)
        paths = _image_paths(self.suite, self.samples, self.store.folder / "images")
        return Flow(
            *(self._now, self.suite, self.model, self.eyes, self.store, executor, progress, self.budget, paths),
            sizes=self._sizes(executor),
            made=have,
            seen=set(evidence),
            shard=self.settings.shard,
        )

    @property
    def _now(self) -> Sequence[Job]:
        """The outputs that are made now."""
        now = self.settings.now
        return self.jobs if now is None else [job for job in self.jobs if job.sample.id in now]

    def _sizes(self, executor: Executor) -> Mapping[str, int]:
        """Return the batch sizes of plan.json, chosen now where the run has none yet."""
        asked = self.settings.batch_size
        planned = self.store.shrink_plan(asked) if asked and not self.settings.shard else self.store.plan()
        wanted: dict[str, int] = {}
        if "predict" not in planned:
            fits = asked or executor.batch_size(self.jobs)
            if self.settings.shard and not asked:  # four batches a shard at least: the last ones end together
                fits = min(fits, math.ceil(len(self.jobs) / (4 * self.settings.shard.count)))
            wanted["predict"] = max(1, min(fits, len(self.jobs)))
        if self.eyes and "observe" not in planned:
            wanted["observe"] = max(1, asked or self.eyes.here.batch_size)
        return self.store.settle_plan(wanted) if wanted else planned

    @property
    def goal(self) -> str:
        """The state in which the run is when it has come as far as it was to go."""
        if len(self._now) < len(self.jobs):
            return "interrupted"
        return {"predict": "predicted", "observe": "observed"}.get(self.settings.until, "finished")

    def end(
        self, predictions: Mapping[Key, Prediction], evidence: Mapping[Key, Evidence], state: str = "finished"
    ) -> RunRecord:
        """Score what there is and write the record, or what a run leaves that was stopped or is to stop earlier."""
        why = "not made before the run was stopped" if state == "interrupted" else "it gave no output"
        until, allow = self.settings.until, self.settings.allow_unscored
        observed = self.eyes is not None and until != "predict"
        waits = "" if until == "score" else f"not scored yet: the run was to stop behind {until}"
        began = time.monotonic()
        scores = verdicts(
            self.jobs, predictions, evidence, self.suite, self.budget.why, why, observed=observed, waits=waits
        )
        numbers = {} if waits else metrics(self.suite, self.samples, scores, self.spec.limit, allow_unscored=allow)
        told: dict[str, object] = {**self.environment(), "seconds": round(time.time() - self.started, 3)}
        told["workers"] = workers(self.store.folder)
        told["stages"] = {**stages(self.store.folder), "score": round(time.monotonic() - began, 3)}
        spent = self.model.here.spent()
        told |= {"paid": dict(spent)} if spent else {}
        found = record_of(
            self.spec,
            self.suite,
            self.jobs,
            predictions,
            evidence,
            scores,
            numbers,
            (self.budget.count, self.budget.lasting),
            told,
        )
        record = replace(found, state=state, versions=others_than(self.spec.version, told["workers"]))
        if state == "finished" and not self.store.packed:  # else `janus-eval export` makes that folder
            made = [each for each in predictions.values() if not each.refused]
            seen = list(evidence.values())
            with disk(self.store.folder):
                self.suite.export(self.store.folder, self.samples, made, seen, scores)
        keys = [key_of(job) for job in self.jobs]
        self.store.settle(keys, predictions, ended=state != "interrupted")  # last: pictures of packs lie elsewhere then
        self.store.finish(scores, record)
        return record

    def interrupted(self) -> None:
        """Leave a summary of what there is: `show` and `report` open it. The reason of the stop is what counts.

        Where nothing lacks but the record, the run is finished all the same.
        """
        with suppress(Exception):
            have = self.store.predictions()
            predictions, evidence = as_read(self.jobs, have, self.suite), self._evidence(have)
            whole = len(predictions) == len(self.jobs) and (self.eyes is None or len(evidence) == len(predictions))
            self.end(predictions, evidence, self.goal if whole else "interrupted")


def _fetch_first(eyes: Plugin[Eyes] | None, settings: Settings) -> None:
    """Fetch what the observer lacks: its absence shall not be found out after hours of drawing."""
    for name in eyes.here.needs() if eyes else ():
        fetch(name, offline=settings.offline)


# -- what is asked ------------------------------------------------------------------------------------


def jobs_of(
    suite: Suite, samples: Sequence[Sample], seed: int, kinds: Collection[Kind], *, together: bool = False
) -> list[Job]:
    """Return every output of a run that a model of these kinds gives, in the order in which they are asked for."""
    jobs = [
        Job(sample, suite.kind, index, job_seed(seed, sample.id, index))
        for sample in samples
        for index in range(suite.outputs)
    ]
    extra = {*suite.extra_kinds} & {*kinds}
    for kind in filter(extra.__contains__, members.KINDS):
        jobs += [Job(sample, kind, 0, job_seed(seed, sample.id, 0)) for sample in samples]
    return in_order(jobs, together=together)


def _image_paths(suite: Suite, samples: Sequence[Sample], root: Path) -> Callable[[Job], Path]:
    draws = any(kind in PICTURES for kind in (suite.kind, *suite.extra_kinds))
    position = {sample.id: number for number, sample in enumerate(samples)} if draws else dict[str, int]()

    def path(job: Job) -> Path:
        relative = suite.image_path(position[job.sample.id], job.sample, job.index)
        found = root / relative
        if ".." in found.relative_to(root).parts:
            raise UsageError(f"sample {job.sample.id!r} would write outside {root}: {relative!r}")
        return found

    return path


# -- stages -------------------------------------------------------------------------------------------


def as_read(jobs: Sequence[Job], have: Mapping[Key, Prediction], suite: Suite) -> dict[Key, Prediction]:
    """Return the run's outputs as they are observed and scored: reasoning is told, and taken off where asked."""
    strip = suite.reasoning == "strip"
    return {key: reasoning.read(have[key], strip=strip) for key in map(key_of, jobs) if key in have}
