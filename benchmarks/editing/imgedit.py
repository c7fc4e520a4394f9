"""The benchmark `imgedit_bench`: nine types of edits, each graded from 1 to 5 by a judge that sees before and after."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Final

from ...evals import stats
from ...evals.stats import Estimate
from ...evals.types import Evidence, Json, Kind, Metric, Prediction, Sample, Score
from ..judging.calibration import trusted
from ..judging.graded import PROTOCOL, graded
from ..judging.task import runs_of
from ..reading.sources import find_world
from . import imgedit_data as data_of
from . import imgedit_rules as rules
from .imgedit_grader import GRADER
from .verdicts import worth

_SPAN: Final = rules.MOST - rules.LEAST


class ImgEditBench:
    """ImgEdit-Bench's Basic suite (arXiv 2505.20275, PKU-YuanGroup/ImgEdit 547185d): the mean grade, 1 to 5.

    `data` is the makers' Benchmark.tar, a folder unpacked of it, a table, "toy", or empty: the hub's. The makers'
    script asks gpt-4o, their table is of GPT-4.1. Without a judge the pictures stay ungraded.
    """

    kind: Kind = "edit"
    outputs = 1
    observer = "judge"
    worlds = ("toy",)
    decimals = 2
    headline = f"{PROTOCOL}/overall"
    inert = ("data", "offline")
    name = "imgedit_bench"
    title = "ImgEdit-Bench"

    def __init__(self, data: str = "", *, offline: bool = False) -> None:
        self.data, self.offline = data, offline

    def assets(self) -> Sequence[str]:
        """Return the makers' tar, where it is read."""
        return () if self.data else (data_of.ASSET,)

    @property
    def card(self) -> Mapping[str, Json]:
        world = {"world": self.data} if self.data and find_world(self.data) else {}
        return {"rows": len(self._samples), **(world or ({"origin": "given"} if self.data else {}))}

    def samples(self) -> Sequence[Sample]:
        """Return the edits in the order of their list; `target` holds the type, which chooses the judge's question."""
        return self._samples

    @cached_property
    def _samples(self) -> tuple[Sample, ...]:
        _, found = data_of.edits(self.data, offline=self.offline)
        return tuple(
            Sample(
                each.key,
                each.prompt,
                (each.picture,),
                target={"type": each.type},
                tags={"type": each.type},
                cluster=each.picture.name,
            )
            for each in found
        )

    def image_path(self, position: int, sample: Sample, index: int) -> str:
        """Return where the official scripts look for a picture: KEY.png."""
        del position, index
        return f"{sample.id}.png"

    def score(self, sample: Sample, prediction: Prediction, evidence: Evidence | None) -> Sequence[Score]:
        """Return the mean grade as a share of its range (1 is 0, 5 is 1); no verdict where the judge has none."""
        return graded(GRADER, sample, prediction, evidence, _WORTH, dict)

    def aggregate(self, scores: Sequence[Score]) -> Mapping[str, Metric]:
        return stats.metrics(self.estimates(scores))

    def estimates(self, scores: Sequence[Score]) -> Mapping[str, Estimate]:
        """Return the mean over the nine types' means and each type's, 1 to 5, and how far the judge can be trusted."""
        parts = {kind: [each for each in scores if each.tags.get("type") == kind] for kind in rules.TYPES}
        means = {kind: stats.over(each, _mean) for kind, each in parts.items() if each}
        overall = stats.average(means.values())
        absent = [kind for kind in rules.TYPES if kind not in means] if means else []
        found = {f"{PROTOCOL}/overall": stats.lacking(overall, absent)}
        found |= {f"{PROTOCOL}/{kind}": each for kind, each in means.items()}
        return trusted(scores, found)

    def export(
        self,
        folder: Path,
        samples: Sequence[Sample],
        predictions: Sequence[Prediction],
        evidence: Sequence[Evidence],
        scores: Sequence[Score],
    ) -> None:
        """Write result.json, the judge's last reply by key, as the makers' step1_get_avgscore.py reads it."""
        del samples, predictions, scores
        replies = {each.sample_id: runs_of(each, dict) for each in evidence if each.error is None}
        said = {key: runs[0]["calls"][-1]["reply"] for key, runs in replies.items() if runs and runs[0].get("calls")}
        if said:
            (folder / "result.json").write_text(json.dumps(said, indent=4), encoding="utf-8")


def _read(verdict: Json) -> tuple[float, dict[str, Json]]:
    average = rules.average(verdict["grades"])
    return (average - rules.LEAST) / _SPAN, {"average": average}


def _mean(scores: Sequence[Score]) -> Estimate:
    values = [float(each.details["average"]) for each in scores]
    clusters = list(map(stats.cluster, scores))
    return stats.mean(values, clusters, floor=float(rules.LEAST), ceiling=float(rules.MOST))


_WORTH: Final = worth(_read)
