"""The benchmarks `wise`, `wise_rewritten` and `wise_verified`: one picture a prompt, graded by a judge that sees it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

from ...evals import stats
from ...evals.errors import UsageError
from ...evals.stats import Estimate
from ...evals.types import Evidence, Json, Metric, Prediction, Sample, Score
from ..judging.calibration import trusted
from ..judging.graded import PROTOCOL, graded
from ..reading.cells import whole
from ..reading.prompts import Prompts
from ..reading.rows import Row
from ..reading.tables import read_rows
from . import rules
from .grader import GRADER, VERIFIED_GRADER
from .rules import LEGACY, VERIFIED, Form


class Wise(Prompts):
    """WISE (arXiv 2503.07265, PKU-YuanGroup/WISE eb51174): WiScore from 0 to 1, graded by `--judge MODEL`.

    `data` is "official" (fetched from its makers), "toy", a file or a folder of files in their form. Without a judge
    the pictures stay ungraded. The paper's judge is gpt-4o-2024-05-13, that of WISE_Verified Qwen3.5-35B-A3B.
    """

    observer = "judge"
    headline = f"{PROTOCOL}/overall"
    name = "wise"
    title = "WISE"
    form: Form = LEGACY

    @cached_property
    def files(self) -> tuple[Path, ...]:
        """The files of prompts."""
        if not self.path.is_dir():
            return (self.path,)
        found = tuple(sorted(self.path.glob("*.json")))
        if not found:
            raise UsageError(f"{self.path}: no *.json here; expected the makers' three files of prompts")
        return found

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
        return {"prompts": len(self._samples), **self.named(self.files)}

    def samples(self) -> Sequence[Sample]:
        """Return the prompts by their ids; `target` holds prompt and explanation, the judge's guide."""
        return self._samples

    def image_path(self, position: int, sample: Sample, index: int) -> str:
        """Return where the official scripts look for a picture: ID.png."""
        del position, index
        return f"{sample.id}.png"

    def score(self, sample: Sample, prediction: Prediction, evidence: Evidence | None) -> Sequence[Score]:
        """Return the mean over the judge's runs; no verdict where one of them has none."""
        task = VERIFIED_GRADER if self.form is VERIFIED else GRADER
        return graded(task, sample, prediction, evidence, self._worth, int, dict)

    def _worth(self, verdicts: Sequence[Json]) -> tuple[float, dict[str, Json], str]:
        # Two verdicts in one reply are read as the original reads them, and counted as unparsed.
        if self.form is VERIFIED:
            return sum(map(float, verdicts)) / len(verdicts), {}, ""
        means = {name: sum(each[name] for each in verdicts) / len(verdicts) for name in rules.ASPECTS}
        return sum(map(rules.wiscore, verdicts)) / len(verdicts), {"grades": means}, ""

    def aggregate(self, scores: Sequence[Score]) -> Mapping[str, Metric]:
        return stats.metrics(self.estimates(scores))

    def estimates(self, scores: Sequence[Score]) -> Mapping[str, Estimate]:
        """Return what the metrics are made of: the rules' own, and how far the judge can be trusted."""
        return trusted(scores, rules.estimates(scores, self.form, PROTOCOL))


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
