"""The benchmark `unigenbench`: four pictures a prompt, each judged by the prompt's checkpoints."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Final

from ...evals import stats
from ...evals.assets import fetch as sources
from ...evals.errors import UsageError
from ...evals.stats import Estimate
from ...evals.types import Evidence, Json, Kind, Metric, Prediction, Sample, Score
from ..judging.calibration import heard, mixed, standing
from ..judging.task import runs_of
from ..reading.cells import whole
from ..reading.rows import Row
from ..reading.tables import read_rows
from . import rules

PROTOCOL: Final = "official"
ASSET: Final = "unigenbench"


class UniGenBench:
    """UniGenBench (arXiv 2508.20751, 2510.18701; CodeGoat24/UniGenBench 49d0bce) by `--judge MODEL`, in percent.

    The English short prompts. `data` is "official" (fetched from its makers), "toy" or a table in their form. Without
    a judge the pictures stay ungraded. The makers' judge is gemini-2.5-pro.
    """

    name = "unigenbench"
    title = "UniGenBench"
    kind: Kind = "image"
    outputs = 4
    observer = "judge"
    worlds = ("toy",)
    decimals = 2
    names_its_samples = True
    headline = f"{PROTOCOL}/overall"
    inert = ("data", "world", "offline")

    def __init__(self, data: str = "official", *, world: str = "official", offline: bool = False) -> None:
        self.data = "toy" if data == "official" and world == "toy" else data
        self.offline = offline

    def assets(self) -> Sequence[str]:
        """Return the table of prompts, where it is the official one."""
        return (ASSET,) if self.data == "official" else ()

    @cached_property
    def path(self) -> Path:
        """The table of prompts, fetched where it is the official one."""
        if self.data == "toy":
            from ..toy import data as toy_world  # draws pictures: numpy and PIL stay out of scoring

            return toy_world.file(self.name)
        if self.data == "official":
            return sources.fetch(ASSET, offline=self.offline)
        return sources.expanded(self.data, "--data")

    @cached_property
    def _samples(self) -> tuple[Sample, ...]:
        samples = tuple(map(_sample, read_rows(self.path)))
        seen: set[str] = set()
        for each in samples:
            if each.id in seen:
                raise UsageError(f"{self.path}: index {each.id} stands twice; give each prompt once")
            seen.add(each.id)
        return samples

    @cached_property
    def card(self) -> Mapping[str, Json]:
        official = self.data == "official" or sources.is_published(ASSET, self.path)
        return {
            "prompts": len(self._samples),
            "checkpoints": sum(len(each.target["checkpoints"]) for each in self._samples),
            "sha256": hashlib.sha256(self.path.read_bytes()).hexdigest()[:16],
        } | ({"world": "toy"} if self.data == "toy" else {} if official else {"origin": "given"})

    def samples(self) -> Sequence[Sample]:
        """Return the prompts; `target` holds the kinds of their checkpoints and what each means here."""
        return self._samples

    def image_path(self, position: int, sample: Sample, index: int) -> str:
        """Return where the makers' script looks for a picture: INDEX_N.png."""
        del position
        return f"{sample.id}_{index}.png"

    def score(self, sample: Sample, prediction: Prediction, evidence: Evidence | None) -> Sequence[Score]:
        """Return the share of checkpoints that are met, the mean over the judge's runs."""
        runs = runs_of(evidence, list)
        base = Score(sample.id, prediction.index, PROTOCOL, None, tags=sample.tags, cluster=sample.cluster)
        said = [each["value"] for each in runs if each.get("value") is not None]
        if not said or len(said) < len(runs):
            reasons = [str(each["reason"]) for each in runs if each.get("reason")]
            why = (evidence.error if evidence else None) or next(iter(reasons), "") or "not graded"
            return [replace(base, reason=why if why.startswith("invalid image") else f"unscored: {why}")]
        kinds: Sequence[str] = sample.target["checkpoints"]
        if any(len(each) != len(kinds) or any(one not in (0, 1) for one in each) for each in said):
            raise UsageError(f"a judgement of {sample.id} is none of {self.name}'s: remove it to judge again")
        met = [sum(column) / len(said) for column in zip(*said, strict=True)]
        details = {"checkpoints": list(kinds), "met": met, "judge": heard(evidence)}
        missed = next((kind for kind, each in zip(kinds, met, strict=True) if each < 1), "")
        reason = f"not met: {missed}" if missed else ""
        return [replace(base, value=sum(met) / len(met), answer=said, reason=reason, details=details)]

    def aggregate(self, scores: Sequence[Score]) -> Mapping[str, Metric]:
        return stats.metrics(self.estimates(scores))

    def estimates(self, scores: Sequence[Score]) -> Mapping[str, Estimate]:
        """Return what the metrics are made of: the rules' own, lacking what another version of the judge graded, and
        how far the judge can be trusted (`judging.calibration.standing`)."""
        others = mixed(scores)
        found = rules.estimates(scores, PROTOCOL)
        found = {key: replace(each, absent={**each.absent, **others}) for key, each in found.items()}
        return {**found, **standing(scores)}


def _sample(row: Row) -> Sample:
    number = whole(row.need("index"))
    if number is None or number < 0:
        raise row.wrong("index", row.fields["index"], "a whole number from 0")
    cell = row.text("sub_dims_en")
    try:
        told = json.loads(cell)
        kinds, meant = told["Testpoints"], told["Testpoint Description"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise row.wrong("sub_dims_en", cell, "JSON with Testpoints and Testpoint Description") from None
    lists = isinstance(kinds, list) and isinstance(meant, list) and len(kinds) == len(meant) > 0
    if not lists or not all(isinstance(each, str) for each in [*kinds, *meant]):
        raise row.wrong("sub_dims_en", cell, "two lists of texts, of one length")
    foreign = next((each for each in kinds if each not in rules.checkpoints()), None)
    if foreign is not None:
        raise row.wrong("sub_dims_en", foreign, "UniGenBench's 27 kinds of checkpoints")
    return Sample(
        str(number),
        row.text("prompt_en"),
        target={"checkpoints": kinds, "descriptions": meant},
        tags={"theme": str(told.get("Primary Categories", ""))[:60]},
        cluster=str(number),
    )
