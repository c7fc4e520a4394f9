"""The benchmarks `tiif` and `tiif_mini`: a picture for a prompt's short and one for its long form, asked about."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path

from ...evals import stats
from ...evals.errors import UsageError
from ...evals.stats import Estimate
from ...evals.types import Evidence, Json, Metric, Prediction, Sample, Score
from ..judging.calibration import trusted
from ..judging.graded import PROTOCOL, graded
from ..reading.prompts import Prompts
from ..reading.rows import Row
from ..reading.tables import read_rows
from . import rules
from .grader import GRADER, MINI


class Tiif(Prompts):
    """TIIF-Bench (arXiv 2506.02161, A113N-W3I/TIIF-Bench 3aae750) by `--judge MODEL`, in percent of questions.

    `data` is "official" (fetched from its makers), "toy", the makers' folder data/, or a file of JSON lines whose rows
    hold the keys of both of their files. Without a judge the pictures stay ungraded. The paper's judge is gpt-4o.
    """

    observer = "judge"
    headline = f"{PROTOCOL}/overall_short"
    name = "tiif"
    title = "TIIF-Bench"
    split = "test"

    @cached_property
    def files(self) -> tuple[Path, ...]:
        """The files of rows: one that holds all, or a type's prompts and its questions in turn."""
        path = self.path
        if not path.is_dir():
            return (path,)
        prompts = sorted((path / f"{self.split}_prompts").glob("*_prompts.jsonl"))
        if not prompts:
            raise UsageError(f"{path}: no {self.split}_prompts/*_prompts.jsonl here; expected the makers' folder data/")
        asked = path / f"{self.split}_eval_prompts"
        return tuple(
            file for each in prompts for file in (each, asked / each.name.replace("_prompts.", "_eval_prompts."))
        )

    def _rows(self) -> Iterator[tuple[Row, Row]]:
        """Yield each prompt's row and that of its questions."""
        if len(self.files) == 1:
            yield from ((row, row) for row in read_rows(self.files[0]))
            return
        for prompts, asked in zip(self.files[::2], self.files[1::2], strict=True):
            if not asked.exists():
                raise UsageError(f"{asked}: no such file; {prompts.name} has no questions without it")
            first, second = list(read_rows(prompts)), list(read_rows(asked))
            if len(first) != len(second):
                raise UsageError(f"{asked}: {len(second)} rows for the {len(first)} prompts of {prompts.name}")
            yield from zip(first, second, strict=True)

    @cached_property
    def _samples(self) -> tuple[Sample, ...]:
        places: Counter[str] = Counter()
        found: list[Sample] = []
        for prompt, asked in self._rows():
            kind = prompt.text("type")
            if kind not in rules.TYPES:
                raise prompt.wrong("type", kind, "one of TIIF-Bench's types")
            if asked.text("type") != kind:
                raise asked.wrong("type", asked.text("type"), f"{kind}, as in the prompts' file")
            target = {"questions": _texts(asked, "yn_question_list"), "expected": _texts(asked, "yn_answer_list")}
            if len(target["questions"]) != len(target["expected"]) or not target["questions"]:
                raise asked.wrong("yn_answer_list", target["expected"], "an answer for each question, one at least")
            if any(each.strip().lower() not in ("yes", "no") for each in target["expected"]):
                raise asked.wrong("yn_answer_list", target["expected"], "yes or no for each")
            for length in rules.LENGTHS:
                name = f"{kind}-{places[kind]}"
                tags = {"type": kind, "length": length}
                text = prompt.text(f"{length}_description")
                found.append(Sample(f"{name}-{length}", text, target=target, tags=tags, cluster=name))
            places[kind] += 1
        return tuple(found)

    @cached_property
    def card(self) -> Mapping[str, Json]:
        return {"prompts": len(self._samples), **self.named(self.files)}

    def samples(self) -> Sequence[Sample]:
        """Return each prompt's short and long form; `target` holds the questions and the answers they expect."""
        return self._samples

    def image_path(self, position: int, sample: Sample, index: int) -> str:
        """Return where the makers' scripts look for a picture, but for the model's folder."""
        del position, index
        return f"{sample.tags['type']}/{sample.tags['length']}_description/{sample.cluster.rpartition('-')[2]}.png"

    def score(self, sample: Sample, prediction: Prediction, evidence: Evidence | None) -> Sequence[Score]:
        """Return the share of questions with the expected answer, the mean over the judge's runs."""
        questions, expected = sample.target["questions"], sample.target["expected"]

        def worth(said: Sequence[Json]) -> tuple[float, dict[str, Json], str]:
            if any(len(each) != len(expected) or not {*each} <= {"yes", "no"} for each in said):
                raise ValueError("no yes or no for each question")
            asked = zip(questions, expected, said[0], strict=True)
            wrong = next((question for question, one, two in asked if one.strip().lower() != two), "")
            value = sum(rules.right(each, expected) for each in said) / (len(said) * len(expected))
            return value, {}, f"not as asked: {wrong.strip()}" if wrong else ""

        known = {"questions": len(questions)}
        task = MINI if self.name == MINI.name else GRADER
        return graded(task, sample, prediction, evidence, worth, list, known=known)

    def aggregate(self, scores: Sequence[Score]) -> Mapping[str, Metric]:
        return stats.metrics(self.estimates(scores))

    def estimates(self, scores: Sequence[Score]) -> Mapping[str, Estimate]:
        """Return what the metrics are made of: the rules' own, and how far the judge can be trusted."""
        # The embedded world has two types of a group, and says so by its prompts.
        toy = self.data == "toy"
        expected = {each.tags["type"] for each in self._samples} if toy else rules.TYPES
        return trusted(scores, rules.estimates(scores, PROTOCOL, expected))


class TiifMini(Tiif):
    """TIIF-Bench's testmini: 277 of its prompts, on which the makers compare models."""

    name = "tiif_mini"
    title = "TIIF-Bench mini"
    split = "testmini"


def _texts(row: Row, key: str) -> list[str]:
    """Return a cell that is a list of texts. Raises UsageError for another."""
    cell = row.need(key)
    if not isinstance(cell, list) or not all(isinstance(each, str) for each in cell):
        raise row.wrong(key, cell, "a list of texts")
    return [str(each) for each in cell]
