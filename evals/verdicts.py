"""From what a run has to its record: a verdict on every output, the metrics, the counts. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from . import reasoning, stats
from .blanks import shows
from .packs import unpacked
from .plugins import Suite
from .slim import slim
from .stored import Key
from .types import (
    CUT,
    RESIZED,
    REWRITTEN,
    UNNAMED,
    Evidence,
    Job,
    Metric,
    Prediction,
    RunRecord,
    RunSpec,
    Sample,
    Score,
)


def verdicts(
    jobs: Sequence[Job],
    predictions: Mapping[Key, Prediction],
    evidence: Mapping[Key, Evidence],
    suite: Suite,
    failures: Mapping[tuple[str, int], str],
    nothing: str,
    *,
    observed: bool,
    waits: str = "",
) -> list[Score]:
    """Return the scores of every output. `failures` say why one is missing, by sample id and index, else `nothing`
    does; `waits` says why none is scored yet."""
    scores: list[Score] = []
    share = slim()
    for job in sorted(jobs, key=lambda job: (job.sample.id, job.kind, job.index)):
        key = key_of(job)
        if key not in predictions:
            why = failures.get((job.sample.id, job.index))
            scores.append(_no_verdict(job, f"missing: {f'the model failed: {why}' if why else nothing}"))
        elif answers_nothing(predictions[key]):
            refused = predictions[key].refused
            scores.append(_no_verdict(job, f"refused: {refused}" if refused else reasoning.NO_ANSWER))
        elif observed and job.kind == suite.kind and key not in evidence:
            why = failures.get((job.sample.id, job.index), "it gave no evidence")
            scores.append(_no_verdict(job, f"unscored: the observer failed: {why}"))
        elif waits:
            scores.append(_no_verdict(job, waits))
        else:
            told = _scored(suite, job.sample, predictions[key], evidence.get(key))
            scores += (share(_finite(each)) for each in told)
    return scores


def _scored(suite: Suite, sample: Sample, prediction: Prediction, evidence: Evidence | None) -> Sequence[Score]:
    """Return a suite's scores; one without an observer may open the picture: it is given a file."""
    if suite.observer is not None:
        return suite.score(sample, prediction, evidence)
    with unpacked([prediction]) as (shown,):
        return list(suite.score(sample, shown, evidence))


def _finite(score: Score) -> Score:
    """Return the score; a value that is no number is no verdict."""
    if score.value is None or math.isfinite(score.value):
        return score
    return replace(score, value=None, reason=f"unscored: the rule gave {score.value}; {score.reason}")


def _no_verdict(job: Job, reason: str) -> Score:
    return Score(job.sample.id, job.index, "", None, reason=reason, tags=job.sample.tags, cluster=job.sample.cluster)


def metrics(
    suite: Suite, samples: Sequence[Sample], scores: Sequence[Score], limit: str | None, *, allow_unscored: bool
) -> Mapping[str, Metric]:
    """Return the metrics of the suite; those that are over a part of it say so (`stats.metrics`).

    What was not asked takes part without a verdict, so that each metric knows what it is over. A suite that
    leaves that to nobody has each of its numbers marked where anything lacks.
    """
    every = suite.samples()
    asked = {each.id for each in samples} if len(samples) < len(every) else None
    rest = [] if asked is None else [each for each in every if each.id not in asked]
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


def record_of(
    spec: RunSpec,
    suite: Suite,
    jobs: Sequence[Job],
    predictions: Mapping[Key, Prediction],
    evidence: Mapping[Key, Evidence],
    scores: Sequence[Score],
    found: Mapping[str, Metric],
    failed: tuple[int, int],
    environment: Mapping[str, object],
) -> RunRecord:
    """Return the record of a run that is finished; `failed` are how many outputs failed, and how many for good."""

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
        "errors": failed[0],
        "cut": sum(each.finish == CUT for each in predictions.values()),
        "lasting": failed[1],
        "refused": sum(bool(each.refused) for each in predictions.values()),
    }
    held = reasoning.counted(predictions.values(), strip=suite.reasoning == "strip")
    counts |= {f"reasoning_{how}": count for how, count in held.items()}
    models = Counter(each.served for each in predictions.values() if not each.refused)  # nobody answered
    judges = Counter(evidence[key].served for key in predictions if key in evidence and evidence[key].served)
    served = {
        "other_model": _others(models),
        "other_judge": _others(judges, joined=", "),
        "blank": sum(each.text is not None and not shows(each.text) for each in predictions.values()),
        REWRITTEN: sum(REWRITTEN in each.notes for each in predictions.values()),
        RESIZED: sum(RESIZED in each.notes for each in predictions.values()),
    }
    counts |= {what: count for what, count in served.items() if count}
    return RunRecord(
        spec=spec,
        headline=suite.headline,
        metrics=found,
        counts=counts,
        complete=asked == scored and bool(jobs),
        missing=tuple(f"{job.sample.id}/{job.index}" for job in jobs if key_of(job) not in predictions),
        environment=environment,
        served={what: names for what, each in (("model", models), ("judge", judges)) if (names := _named(each))},
    )


def _others(served: Counter[str], joined: str = "") -> int:
    """Return how many outputs are of another model than the one that most are of; a service may name none at all.

    What several looked at, whose names are `joined`, is no single model's.
    """
    alone = [count for name, count in served.items() if not joined or joined not in name]
    return served.total() - max(alone, default=0)


def _named(served: Counter[str]) -> tuple[str, ...]:
    """Return the models that a service names, the commonest first; what names none beside them is "unnamed"."""
    found = [each or UNNAMED for each in sorted(served, key=lambda name: (-served[name], name))]
    return tuple(found) if {*found} - {UNNAMED} else ()


def key_of(job: Job) -> Key:
    """Return what names a job's output within the run."""
    return (job.kind, job.sample.id, job.index)


def answers_nothing(prediction: Prediction) -> bool:
    """Return whether there is nothing to look at or score: a refusal, or an answer that is nothing but reasoning."""
    return bool(prediction.refused) or (prediction.kind == "text" and prediction.text is None)
