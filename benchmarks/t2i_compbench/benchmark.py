"""The benchmark `t2i_compbench`: ten pictures a prompt, scored by BLIP-VQA over the prompt's noun phrases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np

from ...evals import stats
from ...evals.errors import UsageError
from ...evals.stats import Estimate
from ...evals.types import Evidence, Json, Metric, Prediction, Sample, Score
from ..reading.prompts import Prompts
from ..reading.rows import Row
from ..reading.tables import read_rows
from .phrases import MOST

CATEGORIES: Final = ("color", "shape", "texture")
WAYS: Final = ("kept", "spacy")
_LONGEST: Final = 200
"""Bytes of a prompt that can still name a file."""


class T2ICompBench(Prompts):
    """Attribute binding of T2I-CompBench (arXiv 2307.06350; Karine-Huang/T2I-CompBench 1b70949), from 0 to 1.

    `data` is "official" (fetched from its makers), "toy", a folder with the makers' color_val.txt, shape_val.txt and
    texture_val.txt, or a table with `prompt`, `category` and, if it wants its own, `phrases`. `phrases` is the
    observer's option; the protocol says where the phrases are not those kept here.
    """

    name = "t2i_compbench"
    title = "T2I-CompBench"
    outputs = 10
    observer = "blip-vqa"
    inert = ("data", "phrases", "world", "offline")

    def __init__(
        self, data: str = "official", *, phrases: str = "kept", world: str = "official", offline: bool = False
    ) -> None:
        super().__init__(data, world=world, offline=offline)
        if phrases not in WAYS:
            raise UsageError(f"t2i_compbench: phrases {phrases!r}; expected {' or '.join(WAYS)}")
        self.protocol = "blip-vqa" if phrases == "kept" else f"blip-vqa@{phrases}"

    @property
    def headline(self) -> str:
        return f"{self.protocol}/mean"

    @cached_property
    def files(self) -> tuple[Path, ...]:
        """The makers' three files, or one table."""
        return self.makers([f"{each}_val.txt" for each in CATEGORIES])

    @cached_property
    def _samples(self) -> tuple[Sample, ...]:
        if len(self.files) == 1:
            found = [_sample(row) for row in read_rows(self.path)]
        else:
            found = [
                Sample(line, line, target={"category": category}, cluster=line)
                for category, path in zip(CATEGORIES, self.files, strict=True)
                for line in _lines(path)
            ]
        seen: set[str] = set()
        for each in found:
            if each.id in seen or "/" in each.id or "\0" in each.id or len(each.id.encode()) > _LONGEST:
                why = "stands twice" if each.id in seen else f"cannot name a file: no slash, at most {_LONGEST} bytes"
                raise UsageError(f"{self.path}: {each.id!r:.80} {why}")
            seen.add(each.id)
        return tuple(found)

    @cached_property
    def card(self) -> Mapping[str, Json]:
        return {"prompts": len(self._samples), **self.named(self.files)}

    def samples(self) -> Sequence[Sample]:
        """Return the prompts, each its own id, for the makers name pictures by them; `target` holds the category."""
        return self._samples

    def image_path(self, position: int, sample: Sample, index: int) -> str:
        """Return where the makers' script looks for a picture: CATEGORY/samples/PROMPT_NUMBER.png."""
        return f"{sample.target['category']}/samples/{sample.id}_{position * self.outputs + index:06d}.png"

    def score(self, sample: Sample, prediction: Prediction, evidence: Evidence | None) -> Sequence[Score]:
        """Return the product of the phrases' probabilities, rounded where the makers round."""
        base = Score(sample.id, prediction.index, self.protocol, None, cluster=sample.cluster)
        base = replace(base, details={"category": sample.target["category"]})
        why = "BLIP was not asked" if evidence is None else evidence.error
        if evidence is None or why is not None:
            why = why if why and why.startswith("invalid image") else f"unscored: {why}"
            return [replace(base, reason=why)]
        try:
            chances, phrases = [float(each) for each in evidence.data["chances"]], list(evidence.data["phrases"])
        except (KeyError, TypeError, ValueError) as error:
            raise UsageError(f"evidence of {sample.id} is not BLIP's: {error!r}") from error
        if len(chances) != len(phrases[:MOST]) or not all(0 <= each <= 1 for each in chances):
            raise UsageError(f"evidence of {sample.id}: {chances!r:.60} are no probabilities of {len(phrases)} phrases")
        told = min(zip(chances, phrases, strict=False), default=(1.0, "no phrase to ask about"))
        return [replace(base, value=product(chances), reason=f"least likely: {told[1]!s:.60}")]

    def aggregate(self, scores: Sequence[Score]) -> Mapping[str, Metric]:
        return stats.metrics(self.estimates(scores))

    def estimates(self, scores: Sequence[Score]) -> Mapping[str, Estimate]:
        """Return `mean`, that of the categories, then each category, under the scores' own protocol.

        A mean without one of the three is a part.
        """
        protocol = next((each.protocol for each in scores if each.protocol), self.protocol)
        known = [each for each in scores if each.value is not None]
        met = [category for category in CATEGORIES if any(each.details["category"] == category for each in known)]
        parts = {
            f"{protocol}/{category}": _mean([each for each in known if each.details["category"] == category])
            for category in met
        }
        found = {f"{protocol}/mean": stats.average(list(parts.values())), **parts}
        made = {key: stats.over(scores, lambda _, each=each: each) for key, each in found.items()}
        asked = {(each.details or {}).get("category") for each in scores}
        absent = [category for category in CATEGORIES if category not in asked] if scores else []
        return {**made, f"{protocol}/mean": stats.lacking(made[f"{protocol}/mean"], absent)}


def product(chances: Sequence[float]) -> float:
    """Return a picture's score: four decimals of each chance, their product in float32, four decimals of it."""
    whole = np.float32(1)
    for each in chances:
        whole = np.float32(whole * np.float32(f"{each:.4f}"))
    return float(f"{float(whole):.4f}")


def _mean(scores: Sequence[Score]) -> Estimate:
    return stats.mean([each.value or 0.0 for each in scores], list(map(stats.cluster, scores)))


def _lines(path: Path) -> list[str]:
    """Return a file's prompts, one a line, what stands before a tab. Raises UsageError where it cannot be read."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from error
    return [prompt for prompt in (each.split("\t")[0] for each in lines) if prompt.strip()]


def _sample(row: Row) -> Sample:
    prompt, category = row.text("prompt"), row.text("category")
    if category not in CATEGORIES:
        raise row.wrong("category", category, ", ".join(CATEGORIES))
    target: dict[str, Json] = {"category": category}
    phrases = row.fields.get("phrases")
    if phrases is not None:
        if not isinstance(phrases, list) or not all(isinstance(each, str) and each.strip() for each in phrases):
            raise row.wrong("phrases", phrases, "a list of texts")
        target["phrases"] = phrases
    return Sample(prompt, prompt, target=target, cluster=prompt)
