"""The benchmark `genai_bench`: one picture a prompt, scored by VQAScore."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Final

from ...evals import stats
from ...evals.errors import UsageError
from ...evals.stats import Estimate
from ...evals.types import Evidence, Json, Metric, Prediction, Sample, Score
from ..geneval2.observer import scorer_label
from ..reading.prompts import Prompts, object_of
from ..reading.tables import read_rows

MODEL: Final = "qwen3-vl-8b"
FILES: Final = ("genai_image.json", "genai_skills.json")


class GenAiBench(Prompts):
    """GenAI-Bench (arXiv 2406.13743; linzhiqiu/t2v_metrics 6ecb74f) by VQAScore, from 0 to 1.

    `data` is "official" (fetched from its makers), "toy", a folder with the makers' genai_image.json and
    genai_skills.json, or a table with `prompt` and `skills`. `vqa` names the VQA model, as the observer's option does;
    the protocol carries its name, for a VQAScore is that model's.
    """

    name = "genai_bench"
    title = "GenAI-Bench"
    observer = "vqascore"
    inert = ("data", "vqa", "world", "offline")

    def __init__(
        self, data: str = "official", *, vqa: str = "official", world: str = "official", offline: bool = False
    ) -> None:
        super().__init__(data, world=world, offline=offline)
        toy = vqa == "toy" or (vqa == "official" and world == "toy")
        self.protocol = f"vqascore@{scorer_label(vqa) or ('toy' if toy else MODEL)}"

    @property
    def headline(self) -> str:
        return f"{self.protocol}/all"

    @cached_property
    def files(self) -> tuple[Path, ...]:
        """The makers' two files, or one table."""
        return self.makers(FILES)

    @cached_property
    def _samples(self) -> tuple[Sample, ...]:
        rows = _table(self.files[0]) if len(self.files) == 1 else _makers(*self.files)
        return tuple(
            Sample(name, prompt, target={"skills": skills}, cluster=name) for name, (prompt, skills) in rows.items()
        )

    @cached_property
    def card(self) -> Mapping[str, Json]:
        return {"prompts": len(self._samples), **self.named(self.files)}

    def samples(self) -> Sequence[Sample]:
        """Return the prompts by the makers' ids, 00000 on; `target` holds the skills that each wants."""
        return self._samples

    def image_path(self, position: int, sample: Sample, index: int) -> str:
        """Return where the makers' script looks for a picture, but for its ending."""
        del position, index
        return f"{sample.id}.png"

    def score(self, sample: Sample, prediction: Prediction, evidence: Evidence | None) -> Sequence[Score]:
        """Return the probability of a yes."""
        base = Score(sample.id, prediction.index, self.protocol, None, cluster=sample.cluster)
        base = replace(base, details=dict(sample.target))
        why = "the VQA model was not asked" if evidence is None else evidence.error
        if evidence is None or why is not None:
            why = why if why and why.startswith("invalid image") else f"unscored: {why}"
            return [replace(base, reason=why)]
        try:
            (chance,) = map(float, evidence.data["chances"])
        except (KeyError, TypeError, ValueError) as error:
            raise UsageError(f"evidence of {sample.id} is no VQA model's: {error!r}") from error
        if not 0 <= chance <= 1 + 1e-6:
            raise UsageError(f"evidence of {sample.id}: {chance} is no probability")
        return [replace(base, value=min(chance, 1.0), reason=f"said {str(evidence.data.get('said'))[:60]}")]

    def aggregate(self, scores: Sequence[Score]) -> Mapping[str, Metric]:
        return stats.metrics(self.estimates(scores))

    def estimates(self, scores: Sequence[Score]) -> Mapping[str, Estimate]:
        """Return `all`, the mean over the prompts that want a skill, and each skill, under the scores' own protocol."""
        protocol = next((each.protocol for each in scores if each.protocol), self.protocol)
        known = [each for each in scores if each.value is not None and each.details["skills"]]
        skills = dict.fromkeys(skill for each in known for skill in each.details["skills"])
        found = {f"{protocol}/all": _mean(known)}
        for skill in skills:
            found[f"{protocol}/{skill.replace(' ', '_')}"] = _mean([e for e in known if skill in e.details["skills"]])
        return {key: stats.over(scores, lambda _, each=each: each) for key, each in found.items()}


def _mean(scores: Sequence[Score]) -> Estimate:
    return stats.mean([each.value or 0.0 for each in scores], list(map(stats.cluster, scores)))


def _table(path: Path) -> dict[str, tuple[str, list[str]]]:
    found: dict[str, tuple[str, list[str]]] = {}
    for number, row in enumerate(read_rows(path)):
        skills = row.need("skills")
        if not isinstance(skills, list) or not all(isinstance(each, str) for each in skills):
            raise row.wrong("skills", skills, "a list of names")
        found[f"{number:05d}"] = (row.text("prompt"), [str(each) for each in skills])
    return found


def _makers(prompts: Path, skills: Path) -> dict[str, tuple[str, list[str]]]:
    """Return (prompt, skills) by id. Raises UsageError for what is not of the makers' form."""
    asked, wanted = object_of(prompts), object_of(skills)
    if not all(isinstance(each, dict) and isinstance(each.get("prompt"), str) for each in asked.values()):
        raise UsageError(f'{prompts}: expected {{"00000": {{"prompt": ...}}, ...}}')
    if not all(isinstance(each, list) and all(isinstance(n, int) for n in each) for each in wanted.values()):
        raise UsageError(f"{skills}: expected a list of the prompts' numbers for each skill")
    found: dict[str, tuple[str, list[str]]] = {key: (str(each["prompt"]), []) for key, each in asked.items()}
    for skill, numbers in wanted.items():
        for number in numbers:
            if f"{number:05d}" not in found:
                raise UsageError(f"{skills}: {skill} names prompt {number}, which {prompts.name} has not")
            found[f"{number:05d}"][1].append(skill)
    return found
