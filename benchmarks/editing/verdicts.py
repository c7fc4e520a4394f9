"""What the suites of edits share: a judge's verdicts as one score, and what names their data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from ...evals.errors import UsageError
from ...evals.types import Evidence, Json, Prediction, Sample, Score
from ..judging.calibration import heard
from ..judging.task import runs_of
from ..reading.sources import Source, find_world

PROTOCOL: Final = "official"
Read = Callable[[Json], tuple[float, dict[str, Json]]]
"""What a verdict is worth, from 0 to 1, and its grades by name."""


def data_card(source: Source, data: str) -> Mapping[str, Json]:
    """Return the data's world or origin, where they are not the makers' own."""
    if data and find_world(data):
        return {"world": data}
    return {"origin": "given"} if source.is_given(data) else {}


def scored(sample: Sample, prediction: Prediction, evidence: Evidence | None, read: Read) -> Sequence[Score]:
    """Return the mean over the judge's runs, each grade's mean in `details`; no verdict where one of them has none."""
    runs = runs_of(evidence, dict)
    base = Score(sample.id, prediction.index, PROTOCOL, None, tags=sample.tags, cluster=sample.cluster)
    reasons = [str(each["reason"]) for each in runs if each.get("reason")]
    verdicts = [each["value"] for each in runs if each.get("value") is not None]
    if not verdicts or len(verdicts) < len(runs):
        why = (evidence.error if evidence else None) or next(iter(reasons), "") or "not graded"
        return [replace(base, reason=why if why.startswith("invalid image") else f"unscored: {why}")]
    try:
        known = [read(each) for each in verdicts]
    except (TypeError, KeyError, ValueError, ZeroDivisionError) as error:
        raise UsageError(f"the judgement of {sample.id} holds {verdicts!r:.60}: remove it to judge again") from error
    details: dict[str, Json] = {"judge": heard(evidence)}
    for name in known[0][1]:
        details[name] = sum(grades[name] for _, grades in known) / len(known)
    value = sum(worth for worth, _ in known) / len(known)
    # What was read of a reply in another form than the one asked for is counted as unparsed.
    told = " ".join(reasons)
    return [replace(base, value=value, answer=verdicts, reason=told, unparsed=bool(reasons), details=details)]
