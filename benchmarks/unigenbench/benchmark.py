"""The benchmark `unigenbench`: four pictures a prompt, each judged by the prompt's checkpoints."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

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
from .grader import CHINESE_GRADER, GRADER
from .wording import Wording


class UniGenBench(Prompts):
    """UniGenBench (arXiv 2508.20751, 2510.18701; CodeGoat24/UniGenBench 49d0bce) by `--judge MODEL`, in percent.

    The English short prompts. `data` is "official" (fetched from its makers), "toy" or a table in their form. Without
    a judge the pictures stay ungraded. The makers' judge is gemini-2.5-pro.
    """

    name = "unigenbench"
    title = "UniGenBench"
    outputs = 4
    observer = "judge"
    headline = f"{PROTOCOL}/overall"
    task = GRADER

    @cached_property
    def _samples(self) -> tuple[Sample, ...]:
        samples = tuple(_sample(row, self.task.wording) for row in read_rows(self.path))
        seen: set[str] = set()
        for each in samples:
            if each.id in seen:
                raise UsageError(f"{self.path}: index {each.id} stands twice; give each prompt once")
            seen.add(each.id)
        return samples

    @cached_property
    def card(self) -> Mapping[str, Json]:
        checkpoints = sum(len(each.target["checkpoints"]) for each in self._samples)
        mended = [each.id for each in self._samples if "mended" in each.target]
        told: dict[str, Json] = {"mended": mended} if mended else {}
        return {"prompts": len(self._samples), "checkpoints": checkpoints, **told, **self.named((self.path,))}

    def samples(self) -> Sequence[Sample]:
        """Return the prompts; `target` holds the kinds of their checkpoints and what each means here."""
        return self._samples

    def image_path(self, position: int, sample: Sample, index: int) -> str:
        """Return where the makers' script looks for a picture: INDEX_N.png."""
        del position
        return f"{sample.id}_{index}.png"

    def score(self, sample: Sample, prediction: Prediction, evidence: Evidence | None) -> Sequence[Score]:
        """Return the share of checkpoints that are met, the mean over the judge's runs."""
        kinds: Sequence[str] = sample.target["checkpoints"]

        def worth(said: Sequence[Json]) -> tuple[float, dict[str, Json], str]:
            if any(len(each) != len(kinds) or any(one not in (0, 1) for one in each) for each in said):
                raise ValueError("no 0 or 1 for each checkpoint")
            met = [sum(column) / len(said) for column in zip(*said, strict=True)]
            missed = next((kind for kind, each in zip(kinds, met, strict=True) if each < 1), "")
            details: dict[str, Json] = {"checkpoints": [self.task.wording.english(kind) for kind in kinds], "met": met}
            return sum(met) / len(met), details, f"not met: {missed}" if missed else ""

        return graded(self.task, sample, prediction, evidence, worth, list)

    def aggregate(self, scores: Sequence[Score]) -> Mapping[str, Metric]:
        return stats.metrics(self.estimates(scores))

    def estimates(self, scores: Sequence[Score]) -> Mapping[str, Estimate]:
        """Return what the metrics are made of: the rules' own, and how far the judge can be trusted."""
        if self.data != "toy":
            return trusted(scores, rules.estimates(scores, PROTOCOL))
        # The embedded world has one kind of a dimension, and says so by its prompts.
        kinds = {self.task.wording.english(kind) for each in self._samples for kind in each.target["checkpoints"]}
        return trusted(scores, rules.estimates(scores, PROTOCOL, kinds))


class UniGenBenchLong(UniGenBench):
    """The English prompts at length, of the same 600 ideas with more checkpoints."""

    name = "unigenbench_long"
    title = "UniGenBench (long)"


class UniGenBenchCn(UniGenBench):
    """The Chinese short prompts, judged in Chinese."""

    name = "unigenbench_cn"
    title = "UniGenBench (Chinese)"
    task = CHINESE_GRADER


class UniGenBenchCnLong(UniGenBenchCn):
    """The Chinese prompts at length."""

    name = "unigenbench_cn_long"
    title = "UniGenBench (Chinese, long)"


def _sample(row: Row, wording: Wording) -> Sample:
    number = whole(row.need("index"))
    if number is None or number < 0:
        raise row.wrong("index", row.fields["index"], "a whole number from 0")
    cell = row.text(wording.told)
    try:
        told, mended = _read(cell)
        kinds, meant = told[wording.kinds], told[wording.meant]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise row.wrong(wording.told, cell, f"JSON with {wording.kinds} and {wording.meant}") from None
    lists = isinstance(kinds, list) and isinstance(meant, list) and len(kinds) == len(meant) > 0
    if not lists or not all(isinstance(each, str) for each in [*kinds, *meant]):
        raise row.wrong(wording.told, cell, "two lists of texts, of one length")
    foreign = next((each for each in kinds if each not in wording.checkpoints), None)
    if foreign is not None:
        raise row.wrong(wording.told, foreign, "UniGenBench's 27 kinds of checkpoints")
    return Sample(
        str(number),
        row.text(wording.prompt),
        target={"checkpoints": kinds, "descriptions": meant, **({"mended": True} if mended else {})},
        tags={"theme": str(told.get(wording.theme, ""))[:60]},
        cluster=str(number),
    )


def _read(cell: str) -> tuple[dict[str, Any], bool]:
    """Return what a cell tells, and whether a comma between two texts had to be put in, as in the makers' row 509."""
    try:
        return json.loads(cell), False
    except json.JSONDecodeError as error:
        before, behind = cell[: error.pos].rstrip(), cell[error.pos :]
        if error.msg != "Expecting ',' delimiter" or not (before.endswith('"') and behind.startswith('"')):
            raise
        return json.loads(f"{before}, {behind}"), True
