"""The benchmarks `tiif` and `tiif_mini`: a picture for a prompt's short and one for its long form, asked about."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
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
from ..reading.rows import Row
from ..reading.tables import read_rows
from . import rules

PROTOCOL: Final = "official"


class Tiif:
    """TIIF-Bench (arXiv 2506.02161, A113N-W3I/TIIF-Bench 3aae750) by `--judge MODEL`, in percent of questions.

    `data` is "official" (fetched from its makers), "toy", the makers' folder data/, or a file of JSON lines whose rows
    hold the keys of both of their files. Without a judge the pictures stay ungraded. The paper's judge is gpt-4o.
    """

    kind: Kind = "image"
    outputs = 1
    observer = "judge"
    worlds = ("toy",)
    decimals = 2
    names_its_samples = True
    headline = f"{PROTOCOL}/overall_short"
    inert = ("data", "world", "offline")
    name = "tiif"
    title = "TIIF-Bench"
    split = "test"

    def __init__(self, data: str = "official", *, world: str = "official", offline: bool = False) -> None:
        self.data = "toy" if data == "official" and world == "toy" else data
        self.offline = offline

    def assets(self) -> Sequence[str]:
        """Return the files of prompts and questions, where they are the official ones."""
        return (self.name.replace("_", "-"),) if self.data == "official" else ()

    @cached_property
    def files(self) -> tuple[Path, ...]:
        """The files of rows: one that holds all, or a type's prompts and its questions in turn."""
        if self.data == "toy":
            from ..toy import data as toy_world  # draws pictures: numpy and PIL stay out of scoring

            return (toy_world.file(self.name),)
        named = self.assets()
        path = sources.fetch(*named, offline=self.offline) if named else sources.expanded(self.data, "--data")
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
        digest = hashlib.sha256(b"".join(each.read_bytes() for each in self.files)).hexdigest()[:16]
        origin = {"world": "toy"} if self.data == "toy" else {} if self.data == "official" else {"origin": "given"}
        return {"prompts": len(self._samples), "sha256": digest, **origin}

    def samples(self) -> Sequence[Sample]:
        """Return each prompt's short and long form; `target` holds the questions and the answers they expect."""
        return self._samples

    def image_path(self, position: int, sample: Sample, index: int) -> str:
        """Return where the makers' scripts look for a picture, but for the model's folder."""
        del position, index
        return f"{sample.tags['type']}/{sample.tags['length']}_description/{sample.cluster.rpartition('-')[2]}.png"

    def score(self, sample: Sample, prediction: Prediction, evidence: Evidence | None) -> Sequence[Score]:
        """Return the share of questions with the expected answer, the mean over the judge's runs."""
        runs = runs_of(evidence, list)
        base = Score(sample.id, prediction.index, PROTOCOL, None, tags=sample.tags, cluster=sample.cluster)
        base = replace(base, details={"questions": len(sample.target["questions"])})
        said = [each["value"] for each in runs if each.get("value") is not None]
        if not said or len(said) < len(runs):
            reasons = [str(each["reason"]) for each in runs if each.get("reason")]
            why = (evidence.error if evidence else None) or next(iter(reasons), "") or "not graded"
            return [replace(base, reason=why if why.startswith("invalid image") else f"unscored: {why}")]
        expected = sample.target["expected"]
        if any(len(each) != len(expected) or not {*map(str, each)} <= {"yes", "no"} for each in said):
            raise UsageError(f"a judgement of {sample.id} is none of {self.name}'s: remove it to judge again")
        value = sum(rules.right(each, expected) for each in said) / (len(said) * len(expected))
        asked = zip(sample.target["questions"], expected, said[0], strict=True)
        wrong = next((question for question, one, two in asked if one.strip().lower() != two), "")
        details = {**base.details, "judge": heard(evidence)}
        reason = f"not as asked: {wrong.strip()}" if wrong else ""
        return [replace(base, value=value, answer=said, reason=reason, details=details)]

    def aggregate(self, scores: Sequence[Score]) -> Mapping[str, Metric]:
        return stats.metrics(self.estimates(scores))

    def estimates(self, scores: Sequence[Score]) -> Mapping[str, Estimate]:
        """Return what the metrics are made of: the rules' own, lacking what another version of the judge graded, and
        how far the judge can be trusted (`judging.calibration.standing`)."""
        others = mixed(scores)
        found = rules.estimates(scores, PROTOCOL)
        found = {key: replace(each, absent={**each.absent, **others}) for key, each in found.items()}
        return {**found, **standing(scores)}


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
