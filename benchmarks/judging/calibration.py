"""A judge's calibration: answers whose right verdicts are known, judged with every run, so that its drift is seen."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

from ...evals.stats import Estimate
from ...evals.types import Evidence, Json, Prediction, Sample, Score
from ..reading.scores import plain


@dataclass(frozen=True, slots=True)
class Fixed:
    """One answer to judge, the same for ever; its target tells what `sample.images` show.

    `expected` is the verdict's value; of a verdict with parts, those of its parts that are known.
    """

    sample: Sample
    prediction: Prediction
    expected: Json


@runtime_checkable
class Calibrated(Protocol):
    """A judge's task that has a calibration set."""

    def calibration(self) -> Sequence[Fixed]: ...


def set_digest(fixed: Sequence[Fixed]) -> str:
    """Return 8 hex digits over a set's items: ids, targets, expected verdicts."""
    text = json.dumps([[each.sample.id, each.sample.target, each.expected] for each in fixed], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def marked(fixed: Sequence[Fixed], said: Sequence[Json]) -> dict[str, Json]:
    """Return {"set": digest, "marks": a letter an item}: 1 as expected, 0 otherwise, - without a verdict."""
    marks = "".join(
        "-" if value is None else str(int(_is_expected(value, each.expected)))
        for each, value in zip(fixed, said, strict=True)
    )
    return {"set": set_digest(fixed), "marks": marks}


def _is_expected(value: Json, expected: Json) -> bool:
    if isinstance(expected, dict):
        return isinstance(value, dict) and all(value.get(name) == each for name, each in expected.items())
    return value == expected


def heard(evidence: Evidence | None) -> dict[str, Json]:
    """Return what a score keeps of its judge: the versions that replied, and how they were calibrated."""
    data: Json = evidence.data if evidence is not None and isinstance(evidence.data, dict) else {}
    models = {str(call.get("model")) for run in data.get("runs", ()) for call in run.get("calls", ())}
    marks: Json = data.get("calibration")
    return {"models": sorted(models)} | ({"calibration": marks} if marks else {})


def standing(scores: Sequence[Score]) -> Mapping[str, Estimate]:
    """Return how far the judge of a run can be trusted, from the `heard` in each score's details under "judge".

    `judge/calibration`: percent of the calibration set judged as expected, the mean over the outputs' own
    calibrations. `judge/drift`: items of it that were judged differently at different times. `judge/versions`: how
    many models answered under the judge's name.
    """
    known = [each.details["judge"] for each in scores if isinstance(each.details, dict) and "judge" in each.details]
    if not known:
        return {}
    versions = {model for each in known for model in each["models"]}
    found = {"judge/versions": plain(float(len(versions)), len(known))}
    marks = [each["calibration"]["marks"] for each in known if "calibration" in each]
    if marks:
        size = len(marks[0])
        shares = [each.count("1") / len(each) for each in marks]
        drift = sum(len(set(column)) > 1 for column in zip(*dict.fromkeys(marks), strict=False))
        found["judge/calibration"] = plain(100 * sum(shares) / len(shares), size)
        found["judge/drift"] = plain(float(drift), size)
    return found


def trusted(scores: Sequence[Score], found: Mapping[str, Estimate]) -> dict[str, Estimate]:
    """Return the estimates, lacking what another version of the judge graded, and with them its `standing`."""
    others = _mixed(scores)
    lacking = {key: replace(each, absent={**each.absent, **others}) for key, each in found.items()}
    return {**lacking, **standing(scores)}


def _mixed(scores: Sequence[Score]) -> Mapping[str, int]:
    """Return what a number lacks where several versions of a judge gave it: the outputs of all but the first."""
    models = [tuple(each.details["judge"]["models"]) for each in scores if _is_judged(each)]
    first = next((each for each in models if each), ())
    others = sum(each != first for each in models if each)
    return {"judged by another version of the judge": others} if others else {}


def _is_judged(score: Score) -> bool:
    return score.value is not None and isinstance(score.details, dict) and "judge" in score.details
