"""What suites share whose outputs a judge grades: its judgements of one output as one score."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from ...evals.errors import UsageError
from ...evals.types import Evidence, Json, Prediction, Sample, Score
from .calibration import heard
from .replay import believed
from .task import JudgeTask

PROTOCOL: Final = "official"
Worth = Callable[[Sequence[Json]], tuple[float, Mapping[str, Json], str]]
"""What the verdicts on one output come to: a value from 0 to 1, what its details hold, and what is to be said of it."""


def graded(
    task: JudgeTask,
    sample: Sample,
    prediction: Prediction,
    evidence: Evidence | None,
    worth: Worth,
    *values: type,
    known: Mapping[str, Json] | None = None,
) -> Sequence[Score]:
    """Return one Score of the judge's runs; without a verdict where one of them has none.

    Each verdict is null or of `values`; `known` are details that an output without a verdict has too. What was read of
    a reply in another form than the one asked for is counted as unparsed. Raises UsageError for what no judge wrote.
    """
    runs = believed(task, sample, prediction, evidence, *values)
    base = Score(sample.id, prediction.index, PROTOCOL, None, tags=sample.tags, cluster=sample.cluster)
    base = base if known is None else replace(base, details=dict(known))
    reasons = [str(each["reason"]) for each in runs if each.get("reason")]
    verdicts = [each["value"] for each in runs if each.get("value") is not None]
    if not verdicts or len(verdicts) < len(runs):
        why = (evidence.error if evidence else None) or next(iter(reasons), "") or "not graded"
        return [replace(base, reason=why if why.startswith("invalid image") else f"unscored: {why}")]
    try:
        value, details, told = worth(verdicts)
    except (TypeError, KeyError, ValueError, AttributeError, ZeroDivisionError) as error:
        what = f"the judgement of {sample.id} holds {verdicts!r:.60}"
        raise UsageError(f"{what}: none of {task.name}'s; remove it to judge again") from error
    return [
        replace(
            base,
            value=value,
            answer=verdicts,
            reason=" ".join(reasons) or told,
            unparsed=bool(reasons),
            details={**(known or {}), "judge": heard(evidence), **details},
        )
    ]
