"""The benchmarks `wise`, `wise_rewritten` and `wise_verified`: one picture a prompt, graded by a judge that sees it."""

from __future__ import annotations

import hashlib
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
from ..judging.replay import believed
from ..reading.cells import whole
from ..reading.rows import Row
from ..reading.tables import read_rows
from . import rules
from .grader import GRADER, VERIFIED_GRADER
from .rules import LEGACY, VERIFIED, Form

PROTOCOL: Final = "official"


class Wise:
    """WISE (arXiv 2503.07265, PKU-YuanGroup/WISE eb51174): WiScore from 0 to 1, graded by `--judge MODEL`.

    `data` is "official" (fetched from its makers), "toy", a file or a folder of files in their form. Without a judge
    the pictures stay ungraded. The paper's judge is gpt-4o-2024-05-13, that of WISE_Verified Qwen3.5-35B-A3B.
    """

    kind: Kind = "image"
    outputs = 1
    observer = "judge"
    worlds = ("toy",)
    decimals = 2
    names_its_samples = True
    headline = f"{PROTOCOL}/overall"
    inert = ("data", "world", "offline")
    name = "wise"
    title = "WISE"
    form: Form = LEGACY

    def __init__(self, data: str = "official", *, world: str = "official", offline: bool = False) -> None:
        self.data = "toy" if data == "official" and world == "toy" else data
        self.offline = offline

    @cached_property
    def files(self) -> tuple[Path, ...]:
        """The files of prompts, fetched where they are the official ones."""
        if self.data == "toy":
            from ..toy import data as toy_world  # draws pictures: numpy and PIL stay out of scoring

            return (toy_world.file(self.name),)
        named = self.assets()
        path = sources.fetch(*named, offline=self.offline) if named else sources.expanded(self.data, "--data")
        if not path.is_dir():
            return (path,)
        found = tuple(sorted(path.glob("*.json")))
        if not found:
            raise UsageError(f"{path}: no *.json here; expected the makers' three files of prompts")
        return found

    def assets(self) -> Sequence[str]:
        """Return the files of prompts, where they are the official ones."""
        return (self.name.replace("_", "-"),) if self.data == "official" else ()

    @cached_property
    def _samples(self) -> tuple[Sample, ...]:
        samples = [self._sample(row) for file in self.files for row in read_rows(file)]
        seen: set[str] = set()
        for each in samples:
            if each.id in seen:
                raise UsageError(f"{self.files[0].parent}: prompt_id {each.id} stands twice; give each prompt once")
            seen.add(each.id)
        return tuple(sorted(samples, key=lambda each: int(each.id)))

    def _sample(self, row: Row) -> Sample:
        number = whole(row.need("prompt_id"))
        category = None if number is None else self.form.category(number)
        if category is None:
            raise row.wrong("prompt_id", row.fields["prompt_id"], f"a whole number from 1 to {self.form.ends[-1]}")
        prompt, explanation = row.text("Prompt"), row.text("Explanation")
        return Sample(
            str(number),
            prompt,
            target={"prompt": prompt, "explanation": explanation},
            tags={"category": category, "subcategory": row.words("Subcategory") or ""},
            cluster=str(number),
        )

    @cached_property
    def card(self) -> Mapping[str, Json]:
        digest = hashlib.sha256(b"".join(each.read_bytes() for each in self.files)).hexdigest()[:16]
        origin = {"world": "toy"} if self.data == "toy" else {} if self.data == "official" else {"origin": "given"}
        return {"prompts": len(self._samples), "sha256": digest, **origin}

    def samples(self) -> Sequence[Sample]:
        """Return the prompts by their ids; `target` holds prompt and explanation, the judge's guide."""
        return self._samples

    def image_path(self, position: int, sample: Sample, index: int) -> str:
        """Return where the official scripts look for a picture: ID.png."""
        del position, index
        return f"{sample.id}.png"

    def score(self, sample: Sample, prediction: Prediction, evidence: Evidence | None) -> Sequence[Score]:
        """Return the mean over the judge's runs; no verdict where one of them has none."""
        runs = believed(VERIFIED_GRADER if self.form is VERIFIED else GRADER, sample, prediction, evidence, int, dict)
        values = [None if each.get("value") is None else self._value(each["value"]) for each in runs]
        known = [each for each in values if each is not None]
        reasons = [str(each["reason"]) for each in runs if each.get("reason")]
        base = Score(sample.id, prediction.index, PROTOCOL, None, tags=sample.tags, cluster=sample.cluster)
        if not known or len(known) < len(values):
            why = (evidence.error if evidence else None) or next(iter(reasons), "") or "not graded"
            return [replace(base, reason=why if why.startswith("invalid image") else f"unscored: {why}")]
        details: dict[str, Json] = {"judge": heard(evidence)}
        if self.form is not VERIFIED:
            means = {name: sum(each["value"][name] for each in runs) / len(runs) for name in rules.ASPECTS}
            details["grades"] = means
        value = sum(known) / len(known)
        answer = [each["value"] for each in runs]
        # Two verdicts in one reply are read as the original reads them, and counted as unparsed.
        return [
            replace(base, value=value, answer=answer, reason=" ".join(reasons), unparsed=bool(reasons), details=details)
        ]

    def _value(self, said: Json) -> float:
        try:
            return float(said) if self.form is VERIFIED else rules.wiscore(said)
        except (TypeError, KeyError) as error:
            raise UsageError(f"a judgement {said!r:.60} is none of {self.name}'s: remove it to judge again") from error

    def aggregate(self, scores: Sequence[Score]) -> Mapping[str, Metric]:
        return stats.metrics(self.estimates(scores))

    def estimates(self, scores: Sequence[Score]) -> Mapping[str, Estimate]:
        """Return what the metrics are made of: the rules' own, lacking what another version of the judge graded, and
        how far the judge can be trusted (`judging.calibration.standing`)."""
        found = rules.estimates(scores, self.form, PROTOCOL)
        others = mixed(scores)
        found = {key: replace(each, absent={**each.absent, **others}) for key, each in found.items()}
        return {**found, **standing(scores)}


class WiseRewritten(Wise):
    """WISE with its makers' rewritten prompts, which name what the original ones ask the model to know.

    The same explanations, judge and weights as `wise`: the difference is what knowledge costs, never one column.
    """

    name = "wise_rewritten"
    title = "WISE, rewritten"


class WiseVerified(Wise):
    """WISE_Verified (2026-04): about 200 prompts renewed, 0 or 1 from one judge with open weights, weights of its own.

    As `wise`; its makers' judge is Qwen3.5-35B-A3B behind vLLM: `--judge Qwen3.5-35B-A3B --judge-thinking off`.
    """

    name = "wise_verified"
    title = "WISE Verified"
    form = VERIFIED
