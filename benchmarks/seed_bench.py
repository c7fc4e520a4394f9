"""SEED-Bench, picture part: four options, scored by the exact letter or by the options' likelihoods."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, Literal

from ..evals import stats
from ..evals.stats import Estimate
from ..evals.types import Evidence, Json, Kind, Metric, Prediction, Sample, Score, Scored
from .reading.answers import LETTER, letter_exact, letter_first
from .reading.choices import options_of, prompt_of
from .reading.pictures import Gallery
from .reading.rows import Row, read_rows, read_tables
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
    slug,
    unique,
)
from .reading.sources import Source

PROTOCOLS: Final = ("official", "likelihood", "vlmevalkit-2024", "vlmevalkit-2026", "lmms-eval")
TYPES: Final = (
    *("Scene Understanding", "Instance Identity", "Instance Attributes", "Instance Location", "Instances Counting"),
    *("Spatial Relation", "Instance Interaction", "Visual Reasoning", "Text Understanding"),
    *("Action Recognition", "Action Prediction", "Procedure Understanding"),
)
"""Question types 1 to 12; from 10 on they are about videos."""
_SOURCE: Final = Source(
    "seed_bench",
    hub="seed-bench",
    tsv="seed-bench-tsv",
    files=("SEEDBench_IMG.tsv", "SEED-Bench.json", "data/test-*.parquet"),
)

_VIDEO_ID: Final = re.compile(r"v\d+")

Preset = Literal["janus-pr541", "official", "llava", "lmms-eval", "vlmevalkit"]


class SeedBench:
    """SEED-Bench's 14233 picture questions.

    `data` is a table or folder (empty: the one on this machine, else the hub's), `preset` the
    prompt. `official` asks the bare question, and then, where the model gives them, takes the
    likelihoods of the four option texts: protocol `likelihood`. One question id, 49914, occurs
    twice in the data: both rows count.
    """

    name = "seed_bench"
    kind = "text"
    outputs = 1
    observer = None
    headline = "official/image_accuracy"
    worlds = ("toy",)

    def __init__(self, *, data: str = "", preset: Preset = "janus-pr541", offline: bool = False) -> None:
        self.data = data
        self.preset: Preset = preset
        self.offline = offline
        self.extra_kinds = frozenset[Kind]({"likelihood"} if preset == "official" else ())
        self._samples: list[Sample] = []

    @property
    def card(self) -> Mapping[str, Json]:
        return {"preset": self.preset, "rows": len(self.samples()), **data_card(self.data, self.samples())}

    def samples(self) -> Sequence[Sample]:
        if not self._samples:
            # A run needs one name a sample: the second row of a repeated id gets a number.
            seen: dict[str, int] = {}
            for each in self._load(self.data):
                seen[each.id] = seen.get(each.id, 0) + 1
                self._samples.append(each if seen[each.id] == 1 else replace(each, id=f"{each.id}#{seen[each.id]}"))
        return self._samples

    def _load(self, data: str, *, pictures: bool = True) -> list[Sample]:
        paths = _SOURCE.tables(data, offline=self.offline)
        rows = read_tables(paths)
        if pictures:
            rows = [row for row in rows if not _is_video(row)]
        gallery = Gallery(rows, [paths[0].parent / "SEED-Bench-image"]) if pictures else None
        samples = [_sample(row, _prompt(row, self.preset), gallery) for row in rows]
        unique(samples, rows, most=2)
        return samples

    def score(self, sample: Sample, prediction: Prediction, evidence: Evidence | None = None) -> Sequence[Score]:
        """Return one Score a protocol: 1 where the letter read is the gold one."""
        gold: str = sample.target["answer"]
        if prediction.likelihoods is not None:
            best = "ABCD"[max(range(len(prediction.likelihoods)), key=prediction.likelihoods.__getitem__)]
            return scores_of(sample, prediction, {"likelihood": (best, float(best == gold), False)})
        return scores_of(sample, prediction, read(prediction.text or "", gold, sample.target["options"]))

    def aggregate(self, scores: Sequence[Score]) -> Mapping[str, Metric]:
        return stats.metrics(self.estimates(scores))

    def estimates(self, scores: Sequence[Score]) -> Mapping[str, Estimate]:
        """Return `image_accuracy` in percent for each protocol, and the accuracy of each question type.

        Video rows of a predictions file give `video_accuracy` and `accuracy` (all rows) beside it.
        """
        found: dict[str, Estimate] = {}
        for protocol, mine in by_protocol(scores, PROTOCOLS).items():
            media = grouped(mine, lambda each: each.tags["media"])
            found |= {f"{protocol}/{name}_accuracy": percent(part) for name, part in media.items()}
            if len(media) > 1:
                found[f"{protocol}/accuracy"] = percent(mine)
            for name, part in grouped(mine, lambda each: each.tags.get("type", "")).items():
                found[f"{protocol}/{slug(name)}"] = percent(part)
        return found

    def rescore(self, *, predictions: Path | None = None, data: str | Path | None = None) -> Scored:
        """Score answers made elsewhere: rows of `id, answer, response`, with `type` and options A to D
        where they are known, or `id, response` with the data set."""
        file = given(predictions)
        rows = read_rows(file)
        counts = Counter(_key(row) for row in rows)
        twice = sorted(name for name, count in counts.items() if count > 1)
        extra: dict[str, Json] = {"duplicate_ids": twice} if twice else {}
        known = self._load(str(data), pictures=False) if data else None
        hint = hint_for(file)
        samples = placed(rows, _key, known, lambda row: _sample(row, "", None, hint))
        if known and not any(each.tags["media"] == "video" for each in samples):
            known = [each for each in known if each.tags["media"] == "image"]
        if not all(each.target["options"] for each in samples):
            extra["absent"] = dict.fromkeys(("vlmevalkit-2024", "vlmevalkit-2026"), "needs the columns A to D")
            samples = [replace(each, target={**each.target, "options": None}) for each in samples]
        return elsewhere(self, rows, samples, data=known, duplicates=2, extra=extra)


def read(text: str, gold: str, options: Mapping[str, str] | None) -> dict[str, Read]:
    """Return what each protocol reads in an answer; VLMEvalKit's matchers need the options."""
    exact, first = letter_exact(text), letter_first(text)
    reads: dict[str, Read] = {"official": (exact, float(exact == gold), exact is None)}
    if options:
        for protocol in ("vlmevalkit-2024", "vlmevalkit-2026"):
            letter = LETTER[protocol](text, options)
            reads[protocol] = (letter, float(letter == gold), letter is None)
    # Lowered for the comparison alone (lmms-eval seedbench/utils.py).
    reads["lmms-eval"] = (first, float(first.lower().strip() == gold.lower()), first.upper() not in tuple("ABCD"))
    return reads


def _prompt(row: Row, preset: Preset) -> str:
    question, options = row.text("question"), options_of(row) or {}
    return question if preset == "official" else prompt_of(preset, question, options, row.find("hint"))


def _key(row: Row) -> str:
    return str(row.need("id", "question_id", "index"))


def _is_video(row: Row) -> bool:
    """Return whether a row is about a video: by `data_type`, else by its id, v1, v2, ..."""
    medium = row.find("data_type")
    return medium == "video" if medium is not None else _VIDEO_ID.fullmatch(_key(row)) is not None


def _type(row: Row) -> str:
    kind = row.find("type", "question_type_id", "category")
    if isinstance(kind, int) or (isinstance(kind, str) and kind.isdigit()):
        return TYPES[int(kind) - 1] if 1 <= int(kind) <= len(TYPES) else str(kind)
    return str(kind or "")


def _sample(row: Row, prompt: str, gallery: Gallery | None, hint: str = "") -> Sample:
    answer = row.need("answer", "gt_answer", "gold", hint=hint)
    if answer not in ("A", "B", "C", "D"):
        raise row.wrong("answer", answer, "one of A, B, C, D")
    options = options_of(row)
    kind = _type(row)
    return Sample(
        id=_key(row),
        prompt=prompt,
        images=gallery.of(row) if gallery else (),
        target={"answer": answer, "options": options},
        tags={"media": "video" if _is_video(row) else "image", **({"type": kind} if kind else {})},
        options=tuple((options or {}).values()),
        cluster=row.name("data_id", "image_path"),
    )
