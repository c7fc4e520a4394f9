"""The benchmarks `oneig_alignment` and `oneig_text`, and their Chinese halves: four pictures a prompt, and a judge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

from ...evals import stats
from ...evals.stats import Estimate
from ...evals.types import Evidence, Json, Metric, Prediction, Sample, Score
from ..judging.calibration import trusted
from ..judging.graded import PROTOCOL, graded
from ..reading.prompts import Prompts
from . import lettering, questions, rules
from .grader import ALIGNMENT, TEXT


class _OneIg(Prompts):
    """What both have in common: single pictures, which stand for the squares of the makers' grid of 2 x 2."""

    outputs = 4
    observer = "judge"
    decimals = 3
    prompt = "prompt_en"

    def image_path(self, position: int, sample: Sample, index: int) -> str:
        """Return where a picture lies; the makers have the four of a prompt in one file."""
        del position
        return f"{sample.id}_{index}.png"


class OneIgAlignment(_OneIg):
    """OneIG-Bench's alignment (arXiv 2506.07977, OneIG-Bench/OneIG-Benchmark 41b4983) by `--judge MODEL`, 0 to 1.

    `data` is "official" (fetched from its makers), "toy", a folder of the makers' files or one table with the keys of
    all of them. Without a judge the pictures stay ungraded. The makers' judge is Qwen2.5-VL-7B-Instruct.
    """

    name = "oneig_alignment"
    title = "OneIG-Bench alignment"
    headline = f"{PROTOCOL}/alignment"
    categories: tuple[str, ...] = ("anime", "human", "object")
    table = "OneIG-Bench.csv"
    suffix = ""

    @cached_property
    def files(self) -> tuple[Path, ...]:
        """The makers' table and their files of questions, or the one table that was given."""
        return self.makers([self.table, *(f"{each}{self.suffix}.json" for each in self.categories)])

    @cached_property
    def _samples(self) -> tuple[Sample, ...]:
        return questions.once(self.path, questions.asked(self.files, self.prompt, self.categories))

    @cached_property
    def card(self) -> Mapping[str, Json]:
        asked = sum(len(each.target["questions"]) for each in self._samples)
        return {"prompts": len(self._samples), "questions": asked, **self.named(self.files)}

    def samples(self) -> Sequence[Sample]:
        """Return the prompts by the makers' folders and numbers; `target` holds the questions and their parents."""
        return self._samples

    def score(self, sample: Sample, prediction: Prediction, evidence: Evidence | None) -> Sequence[Score]:
        """Return the share of questions with a yes, where their parents have one, the mean over the judge's runs."""
        parents = sample.target["parents"]

        def worth(said: Sequence[Json]) -> tuple[float, dict[str, Json], str]:
            if any(len(each) != len(parents) or not {*each} <= {*rules.MARKS} for each in said):
                raise ValueError("no answer to each question")
            fixed = [rules.value(rules.fixed(each), parents) for each in said]
            other = sum(one not in ("Yes", "No") for each in said for one in each)
            details: dict[str, Json] = {
                "fixed": sum(fixed) / len(fixed),
                "other": other,
                "asked": len(said) * len(parents),
            }
            missed = next((at for at, one in enumerate(rules.official(said[0])) if not one), None)
            told = "" if missed is None else f"no: {sample.target['questions'][missed]}"
            return sum(rules.value(rules.official(each), parents) for each in said) / len(said), details, told

        return graded(ALIGNMENT, sample, prediction, evidence, worth, list)

    def aggregate(self, scores: Sequence[Score]) -> Mapping[str, Metric]:
        return stats.metrics(self.estimates(scores))

    def estimates(self, scores: Sequence[Score]) -> Mapping[str, Estimate]:
        """Return what the metrics are made of: the rules' own, and how far the judge can be trusted."""
        return trusted(scores, rules.estimates(scores, PROTOCOL, self.categories))


class OneIgAlignmentCn(OneIgAlignment):
    """The Chinese prompts with Chinese questions, and those about Chinese culture (Multilingualism)."""

    name = "oneig_alignment_cn"
    title = "OneIG-Bench alignment (Chinese)"
    categories = ("anime", "human", "object", "multilingualism")
    prompt = "prompt_cn"
    table = "OneIG-Bench-ZH.csv"
    suffix = "_zh"


class OneIgText(_OneIg):
    """OneIG-Bench's text score, from 0 to 1: what `--judge MODEL` reads in a picture against the text asked for.

    `data` is "official" (fetched from its makers), "toy" or a table in their form. Else as OneIgAlignment.
    """

    name = "oneig_text"
    title = "OneIG-Bench text"
    headline = f"{PROTOCOL}/text"
    most = 100
    """The makers' MAX_EDIT_DISTANCE."""

    @cached_property
    def _samples(self) -> tuple[Sample, ...]:
        return questions.once(self.path, questions.written(self.path, self.prompt))

    @cached_property
    def card(self) -> Mapping[str, Json]:
        return {"prompts": len(self._samples), **self.named((self.path,))}

    def samples(self) -> Sequence[Sample]:
        """Return the prompts by the makers' numbers; `target` holds the text that is asked for."""
        return self._samples

    def score(self, sample: Sample, prediction: Prediction, evidence: Evidence | None) -> Sequence[Score]:
        """Return one picture's text score; its edits, words and matches are in `details`, means over the runs."""

        def worth(said: Sequence[Json]) -> tuple[float, dict[str, Json], str]:
            found = [lettering.read(str(each), sample.target["text"]) for each in said]
            names = ("ed", "cr", "matched", "words")
            details: dict[str, Json] = {name: sum(getattr(e, name) for e in found) / len(found) for name in names}
            value = lettering.worth(details["ed"], details["cr"], details["matched"] / details["words"], self.most)
            return value, details, f"read: {said[0]!r:.120}"

        return graded(TEXT, sample, prediction, evidence, worth, str)

    def aggregate(self, scores: Sequence[Score]) -> Mapping[str, Metric]:
        return stats.metrics(self.estimates(scores))

    def estimates(self, scores: Sequence[Score]) -> Mapping[str, Estimate]:
        """Return what the metrics are made of: the rules' own, and how far the judge can be trusted."""
        return trusted(scores, lettering.estimates(scores, PROTOCOL, self.most))


class OneIgTextCn(OneIgText):
    """The Chinese prompts of text."""

    name = "oneig_text_cn"
    title = "OneIG-Bench text (Chinese)"
    prompt = "prompt_cn"
    most = 50
