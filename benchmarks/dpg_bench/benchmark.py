"""The benchmark `dpg_bench`: four pictures a dense prompt, judged by a graph of questions."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

from ...evals.assets import fetch as sources
from ...evals.errors import UsageError
from ...evals.stats import Estimate
from ...evals.types import Evidence, Json, Kind, Metric, Prediction, Sample, Score, Scored
from . import official, pictures, rescore, scoring
from .answers import read_answers
from .questions import Item, Question, read_questions

OFFICIAL_ITEMS = 1065
_NAMED = ("official", "toy", "example")
_EXAMPLE = Path(__file__).with_name("example.csv")


class DpgBench:
    """DPG-Bench (ELLA, arXiv 2403.05135): overall and categories under `official` and `fixed`.

    `data` is "official" (fetched), "toy" (the toy world's prompts), "example" (eight prompts about
    everyday things) or the path of a CSV in the official columns. `vqa` names the scorer, as the
    observer's option does: the numbers of another scorer than mPLUG go under "official@SCORER".
    """

    name = "dpg_bench"
    kind: Kind = "image"
    observer = "dpg-vqa"
    worlds = ("toy",)
    names_its_samples = True
    inert = ("data", "images_per_prompt", "vqa", "world")

    def __init__(
        self,
        data: str = "official",
        *,
        images_per_prompt: int = 4,
        vqa: str = "official",
        world: str = "official",
        offline: bool = False,
    ) -> None:
        if not 1 <= images_per_prompt <= 4:
            raise UsageError(f"images_per_prompt={images_per_prompt}: expected 1 to 4 (the official grid holds four)")
        self.data = "toy" if data == "official" and world == "toy" else data
        self.outputs = images_per_prompt
        self.offline = offline
        self.vqa = vqa
        self.scorer = scoring.scorer_label(vqa)
        self.headline = f"{scoring.protocol_name('official', self.scorer)}/overall"

    @cached_property
    def path(self) -> Path:
        """The questions' file, fetched where it is the official one."""
        if self.data == "official":
            return sources.fetch("dpg-bench", offline=self.offline)
        if self.data == "toy":
            from ..toy import data as toy_world  # draws pictures: numpy and PIL stay out of scoring

            return toy_world.file("dpg_bench")
        return _EXAMPLE if self.data == "example" else Path(self.data)

    def assets(self) -> Sequence[str]:
        """Return the questions' file, where it is the official one."""
        return ("dpg-bench",) if self.data == "official" else ()

    @cached_property
    def items(self) -> tuple[Item, ...]:
        return read_questions(self.path)

    @cached_property
    def card(self) -> Mapping[str, Json]:
        card: dict[str, Json] = {
            "data": self.data if self.data in _NAMED else self.path.name,
            "images_per_prompt": self.outputs,
            "items": len(self.items),
            "protocols": "official,fixed",
            "questions": sum(len(each.questions) for each in self.items),
            "sha256": hashlib.sha256(self.path.read_bytes()).hexdigest()[:16],
        }
        if self.data not in ("official", "toy") and not sources.is_published("dpg-bench", self.path):
            card["origin"] = "given"
        if self.data == "official" and len(self.items) != OFFICIAL_ITEMS:
            card["warning"] = f"{len(self.items)} items where the official file has {OFFICIAL_ITEMS}"
        return card

    def samples(self) -> Sequence[Sample]:
        """Return one sample an item; its target is the list of its questions (`Question.to_json`)."""
        for item in self.items:
            if item.id in (".", "..") or re.search(r"[/\\\x00-\x1f]", item.id) or len(item.id) > 200:
                raise UsageError(f"{self.path}: item id {item.id!r:.80} cannot name a file")
        return [
            Sample(item.id, item.prompt, target=[each.to_json() for each in item.questions], cluster=item.id)
            for item in self.items
        ]

    def image_path(self, position: int, sample: Sample, index: int) -> str:
        """Return where a single picture lies; the official grids are made by `export`."""
        return f"{sample.id}/{index}.png"

    def score(self, sample: Sample, prediction: Prediction, evidence: Evidence | None) -> Sequence[Score]:
        """Return the picture's score under both protocols.

        `evidence.data` has `answers` (by proposition id), `scorer` and `cut`, the ids of the
        questions that the scorer had to cut short.
        """
        if evidence is None or evidence.error is not None:
            reason = (evidence.error if evidence else None) or "the VQA model was not asked"
            reason = reason if reason.startswith("invalid image") else f"unscored: {reason}"
            return scoring.unscored(sample.id, prediction.index, reason, self.scorer)
        seen: Mapping[str, Json] = evidence.data
        questions = [Question.from_json(each) for each in sample.target]
        try:
            answers = {int(number): str(answer) for number, answer in seen["answers"].items()}
            scorer, cut = str(seen.get("scorer", scoring.MPLUG)), len(seen.get("cut", ()))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise UsageError(f"evidence of {sample.id}/{prediction.index} is no VQA model's: {error!r}") from error
        return scoring.score_picture(sample.id, questions, prediction.index, answers, scorer, cut)

    def aggregate(self, scores: Sequence[Score]) -> Mapping[str, Metric]:
        return scoring.metrics(scores)

    def estimates(self, scores: Sequence[Score]) -> Mapping[str, Estimate]:
        """Return what two runs are compared by (`evals.stats`)."""
        return scoring.estimates(scores)

    def export(
        self,
        folder: Path,
        samples: Sequence[Sample],
        predictions: Sequence[Prediction],
        evidence: Sequence[Evidence],
        scores: Sequence[Score],
    ) -> None:
        """Write the official 2x2 grids (`grids/ITEM_ID.png`) and `dpg_bench.json`: items and what was amiss."""
        by_item: dict[str, dict[int, Path]] = {}
        for each in predictions:
            if each.image is not None:
                by_item.setdefault(each.sample_id, {})[each.index] = each.image
        amiss: dict[str, list[str]] = {}
        for sample in samples:
            singles = by_item.get(sample.id, {})
            if len(singles) < self.outputs:
                amiss.setdefault("missing_picture", []).append(
                    f"{sample.id}: {len(singles)} of {self.outputs} pictures"
                )
                continue
            why = pictures.write_grid(
                folder / "grids" / f"{sample.id}.png", [singles[index] for index in range(self.outputs)]
            )
            if why is not None:
                amiss.setdefault("no_grid", []).append(why)
        wanted = {each.id for each in samples}
        summary = rescore.summary([each for each in self.items if each.id in wanted], scores, amiss)
        text = json.dumps(summary, indent=1, ensure_ascii=False, sort_keys=True)
        (folder / "dpg_bench.json").write_text(text + "\n", encoding="utf-8")

    def rescore(
        self,
        *,
        predictions: Path | None = None,
        answers: Path | None = None,
        questions: Path | None = None,
        images: Path | None = None,
        pattern: str | None = None,
        resolution: int | None = None,
        pic_num: int | None = None,
        vqa: str | None = None,
        vqa_base_url: str | None = None,
        data: str | None = None,
        device: str = "auto",
        dtype: str = "auto",
        offline: bool = False,
    ) -> Scored:
        """Score stored answers (FILE or --answers; the official txt too), or a folder (--images, asks the VQA model).

        With both, answers that the file holds are kept and the new ones are appended to it.
        `questions` (or `data`) is the CSV; `resolution` the side of one picture of a grid;
        `pattern` how the pictures are named where they lie in no known layout.
        """
        if predictions is not None and answers is not None:
            raise UsageError("give the answers once: as FILE or as --answers")
        where = str(questions) if questions is not None else data
        suite = self if where is None else DpgBench(where, offline=offline or self.offline)
        answers = answers if answers is not None else predictions
        if images is None:
            if answers is None:
                raise UsageError("dpg_bench needs --answers FILE.jsonl or --images DIR")
            is_a = official.kind(answers)
            if is_a == "results":
                return official.read_results(answers)
            if is_a == "detail":
                return rescore.detail(suite.items, answers, self.outputs)
            given = read_answers(answers)  # before the questions, which may have to be fetched
            return rescore.stored(suite.items, given, self.outputs)
        pictures.need_folder(images)
        from .vqa.observer import DpgVqa

        observer = DpgVqa(vqa or self.vqa, device=device, dtype=dtype, offline=offline, vqa_base_url=vqa_base_url)
        return rescore.folder(suite.items, images, resolution, pic_num, observer, answers, pattern)
