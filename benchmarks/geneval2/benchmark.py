"""The benchmark `geneval2`: one picture a prompt, scored by how likely a VQA model answers as the prompt demands."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

from ...evals import stats
from ...evals.errors import UsageError
from ...evals.stats import Estimate
from ...evals.types import Evidence, Json, Metric, Prediction, Sample, Score
from ..reading.prompts import Prompts
from . import soft_tifa
from .observer import scorer_label
from .questions import Item, read_items, to_json


class GenEval2(Prompts):
    """GenEval 2 (arXiv 2512.16853, facebookresearch/GenEval2 a6e82d2) by Soft-TIFA, in percent.

    `data` is "official" (fetched from its makers), "toy" or a file in their form. `vqa` names the VQA model, as the
    observer's option does: another one's numbers go under "official@SCORER".
    """

    name = "geneval2"
    observer = "soft-tifa"
    title = "GenEval 2"
    decimals = 1
    inert = ("data", "vqa", "world", "offline")

    def __init__(
        self, data: str = "official", *, vqa: str = "official", world: str = "official", offline: bool = False
    ) -> None:
        super().__init__(data, world=world, offline=offline)
        scorer = scorer_label(vqa)
        self.protocol = f"official@{scorer}" if scorer else "official"

    @property
    def headline(self) -> str:
        return f"{self.protocol}/soft_tifa_gm"

    @cached_property
    def items(self) -> tuple[Item, ...]:
        return read_items(self.path)

    @cached_property
    def card(self) -> Mapping[str, Json]:
        questions = sum(len(each.questions) for each in self.items)
        return {"prompts": len(self.items), "questions": questions, **self.named((self.path,))}

    def samples(self) -> Sequence[Sample]:
        """Return the prompts in the file's order; ids are their places from 0000, `target` the file's other keys."""
        return [
            Sample(
                f"{number:04d}",
                each.prompt,
                target=to_json(each),
                tags={"atoms": str(each.atoms)},
                cluster=f"{number:04d}",
            )
            for number, each in enumerate(self.items)
        ]

    def image_path(self, position: int, sample: Sample, index: int) -> str:
        del position
        return f"{sample.id}/{index}.png"

    def score(self, sample: Sample, prediction: Prediction, evidence: Evidence | None) -> Sequence[Score]:
        """Return the geometric mean of the right answers' probabilities; `details` hold them all."""
        why = "the VQA model was not asked" if evidence is None else evidence.error
        if evidence is None or why is not None:
            why = why if why and why.startswith("invalid image") else f"unscored: {why}"
            return [self._score(sample, prediction, None, why, None)]
        target = sample.target
        try:
            chances = [float(each) for each in evidence.data["chances"]]
            said = [str(each) for each in evidence.data["said"]]
        except (KeyError, TypeError, ValueError) as error:
            raise UsageError(f"evidence of {sample.id}/{prediction.index} is no VQA model's: {error!r}") from error
        if not len(chances) == len(said) == len(target["vqa_list"]) or not all(0 <= each <= 2 for each in chances):
            raise UsageError(
                f"evidence of {sample.id}/{prediction.index}: {len(chances)} probabilities from 0 for "
                f"{len(target['vqa_list'])} questions"
            )
        right = [soft_tifa.is_right(a, soft_tifa.words(*q)) for a, q in zip(said, target["vqa_list"], strict=True)]
        details = {"chances": chances, "said": right, "skills": target["skills"]}
        least = min(range(len(chances)), key=chances.__getitem__)
        reason = f"least likely, {chances[least]:.2f}: {target['vqa_list'][least][0]}"
        return [self._score(sample, prediction, soft_tifa.gm(chances), reason, details)]

    def _score(self, sample: Sample, prediction: Prediction, value: float | None, reason: str, details: Json) -> Score:
        return Score(
            sample.id,
            prediction.index,
            self.protocol,
            value,
            reason=reason,
            tags=sample.tags,
            cluster=sample.cluster,
            details=details,
        )

    def aggregate(self, scores: Sequence[Score]) -> Mapping[str, Metric]:
        return stats.metrics(self.estimates(scores))

    def estimates(self, scores: Sequence[Score]) -> Mapping[str, Estimate]:
        """Return what the metrics are made of; the protocol is the scores' own."""
        return soft_tifa.estimates(scores, next((each.protocol for each in scores if each.protocol), self.protocol))

    def export(
        self,
        folder: Path,
        samples: Sequence[Sample],
        predictions: Sequence[Prediction],
        evidence: Sequence[Evidence],
        scores: Sequence[Score],
    ) -> None:
        """Write what the official scripts read: image_filepaths.json, and score_lists.json where all have verdicts."""
        del evidence
        prompts = {each.id: each.prompt for each in samples}
        paths = {prompts[each.sample_id]: str(each.image) for each in predictions if each.image is not None}
        lists = {each.sample_id: each.details["chances"] for each in scores if each.value is not None}
        _write(folder / "image_filepaths.json", paths)
        if len(lists) == len(samples):
            _write(folder / "score_lists.json", [lists[each.id] for each in samples])


def _write(path: Path, row: Json) -> None:
    path.write_text(json.dumps(row, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
