"""GQA testdev-balanced: short answers compared as wholes, after each protocol's own normalisation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Literal

from ..evals import stats
from ..evals.stats import Estimate
from ..evals.types import Evidence, Json, Metric, Prediction, Sample, Score, Scored
from .reading.answers import short_llava, short_lmms, short_vlmevalkit
from .reading.pictures import Gallery
from .reading.rows import Row, is_picture_column, read_rows, read_tables
from .reading.scoring import (
    Read,
    by_protocol,
    data_card,
    elsewhere,
    given,
    grouped,
    hint_for,
    percent,
    placed,
    scores_of,
    unique,
)
from .reading.sources import Source

SHORT: Final = "\nAnswer the question using a single word or phrase."
PROTOCOLS: Final = ("official", "official-raw", "vlmevalkit-2024", "vlmevalkit-2026", "lmms-eval")
_SOURCE: Final = Source(
    "gqa",
    hub="gqa",
    tsv="gqa-tsv",
    files=(
        "GQA_TestDev_Balanced.tsv",
        "testdev_balanced_questions.json",
        "testdev_balanced_instructions/testdev-*.parquet",
    ),
)
_HUB_IMAGES: Final = "../testdev_balanced_images/testdev-*.parquet"

Preset = Literal["janus-pr541", "official", "llava", "lmms-eval", "vlmevalkit"]


class Gqa:
    """GQA testdev-balanced (12578 questions, 398 pictures).

    `data` is a table or folder (empty: the one on this machine, else the hub's). Every `preset`
    asks the question with the short-answer line: the official data has no prompt, and VLMEvalKit's
    Janus adapter leaves GQA to the generic one.
    """

    name = "gqa"
    kind = "text"
    outputs = 1
    observer = None
    headline = "official/accuracy"
    worlds = ("toy",)

    def __init__(self, *, data: str = "", preset: Preset = "janus-pr541", offline: bool = False) -> None:
        self.data = data
        self.preset: Preset = preset
        self.offline = offline
        self._samples: list[Sample] = []

    @property
    def card(self) -> Mapping[str, Json]:
        return {"preset": self.preset, "rows": len(self.samples()), **data_card(self.data, self.samples())}

    def samples(self) -> Sequence[Sample]:
        if not self._samples:
            self._samples = self._load(self.data)
        return self._samples

    def _load(self, data: str, *, pictures: bool = True) -> list[Sample]:
        paths = _SOURCE.tables(data, offline=self.offline)
        rows = read_tables(paths)
        apart = sorted(paths[0].parent.glob(_HUB_IMAGES)) if pictures and paths[0].suffix == ".parquet" else []
        gallery = (Gallery(rows + read_tables(apart), index="id") if apart else Gallery(rows)) if pictures else None
        columns = ("imageId",) if apart else None
        if not apart:
            rows = [_with_file(row) for row in rows]
        # The official file lists unbalanced questions too; its script leaves them out.
        rows = [row for row in rows if row.fields.get("isBalanced") is not False]
        samples = [_sample(row, row.text("question") + SHORT, gallery, columns) for row in rows]
        unique(samples, rows)
        return samples

    def score(self, sample: Sample, prediction: Prediction, evidence: Evidence | None = None) -> Sequence[Score]:
        """Return one Score a protocol: 1 where the normalised answer equals the gold one."""
        return scores_of(sample, prediction, read(prediction.text or "", sample.target))

    def aggregate(self, scores: Sequence[Score]) -> Mapping[str, Metric]:
        return stats.metrics(self.estimates(scores))

    def estimates(self, scores: Sequence[Score]) -> Mapping[str, Estimate]:
        """Return `accuracy` in percent for each protocol, and by structural type where the data names it."""
        found: dict[str, Estimate] = {}
        for protocol, mine in by_protocol(scores, PROTOCOLS).items():
            found[f"{protocol}/accuracy"] = percent(mine)
            for kind, part in grouped(mine, lambda each: each.tags.get("type", "")).items():
                found[f"{protocol}/{kind}"] = percent(part)
        return found

    def rescore(self, *, predictions: Path | None = None, data: str | Path | None = None) -> Scored:
        """Score answers made elsewhere: rows of `id, answer, response`, or `id, response` with the data set."""
        file = given(predictions)
        rows = read_rows(file)
        known = self._load(str(data), pictures=False) if data else None
        hint = hint_for(file)
        samples = placed(rows, _key, known, lambda row: _sample(row, "", None, None, hint))
        return elsewhere(self, rows, samples, data=known)


def read(text: str, gold: str) -> dict[str, Read]:
    """Return what each protocol makes of an answer, and whether that equals the gold answer.

    `official` is LLaVA's conversion followed by the official script, which compares raw texts
    (SHI-Labs/VCoder 4e85acef holds a copy of eval.py); `official-raw` is the script alone.
    """
    llava, lmms, kit = short_llava(text), short_lmms(text), short_vlmevalkit(text)
    kit_right = float(kit == short_vlmevalkit(gold))
    return {
        "official": (llava, float(llava == gold), not llava),
        "official-raw": (text, float(text == gold), not text),
        "vlmevalkit-2024": (kit, kit_right, not kit),
        "vlmevalkit-2026": (kit, kit_right, not kit),
        "lmms-eval": (lmms, float(lmms == short_lmms(gold)), not lmms),
    }


def _with_file(row: Row) -> Row:
    """Return a row of the official file with its picture's name: the file gives the id alone."""
    image = row.find("imageId")
    if image is None or any(map(is_picture_column, row.fields)):
        return row
    return Row({**row.fields, "image": f"{image}.jpg"}, row.file, row.line)


def _key(row: Row) -> str:
    return str(row.need("id", "question_id", "questionId", "index"))


def _sample(row: Row, prompt: str, gallery: Gallery | None, columns: Sequence[str] | None, hint: str = "") -> Sample:
    types = row.find("types")
    kind = types.get("structural") if isinstance(types, dict) else None
    return Sample(
        id=_key(row),
        prompt=prompt,
        images=gallery.of(row, columns) if gallery else (),
        target=row.text("answer", "gold", hint=hint),
        tags={"type": str(kind)} if kind else {},
        cluster=row.name("imageId", "image_path", "image"),
    )
