"""GQA testdev-balanced: short answers compared as wholes, after each protocol's own normalisation."""

from __future__ import annotations

import json
from collections.abc import Sequence

from ..evals.types import Json, Sample
from .reading.answers import short_llava, short_lmms, short_vlmevalkit
from .reading.choices import SHORT_LINE
from .reading.rows import Row
from .reading.scores import Read, accuracy, judged
from .reading.sources import Source
from .reading.suite import PRESETS, Asked, TableSuite

PROTOCOLS = ("official", "official-raw", "vlmevalkit-2024", "vlmevalkit-2026", "lmms-eval")
_TABLES = ("GQA_TestDev_Balanced.tsv", "testdev_balanced_questions.json")
_HUB = ("testdev_balanced_instructions/testdev-*.parquet", "../testdev_balanced_images/testdev-*.parquet")


def read(text: str, gold: Json) -> dict[str, Read]:
    """Return what each protocol makes of an answer. `official` is LLaVA's conversion, then the official script, which
    compares raw texts (SHI-Labs/VCoder 4e85acef holds a copy of eval.py); `official-raw` is the script alone."""
    said = {"official": (short_llava(text), gold), "official-raw": (text, gold)}
    said |= dict.fromkeys(("vlmevalkit-2024", "vlmevalkit-2026"), (short_vlmevalkit(text), short_vlmevalkit(gold)))
    said |= {"lmms-eval": (short_lmms(text), short_lmms(gold))}
    return {protocol: (found, float(found == right), not found) for protocol, (found, right) in said.items()}


def _sample(row: Row, asked: Asked) -> Sample:
    types = row.find("types")
    kind = Row(types, row.file, row.line).label("structural") if isinstance(types, dict) else None
    right = asked.gold(row, "answer", "gold")
    if not isinstance(right, str) and not asked.unanswered:
        raise row.wrong("answer", right, "a text")
    return Sample(
        id=_key(row),
        prompt=asked.text(lambda: row.text("question") + SHORT_LINE),
        images=asked.pictures(row),
        target=right,
        tags={"type": kind} if kind else {},
        cluster=row.name("imageId", "image_path", "image"),
    )


def submission(samples: Sequence[Sample], answers: Sequence[str]) -> bytes:
    """Return the file of GQA's evaluation server: [{"questionId", "prediction"}], as LLaVA's conversion writes it."""
    rows = [
        {"questionId": each.id, "prediction": short_llava(said)} for each, said in zip(samples, answers, strict=True)
    ]
    return json.dumps(rows).encode()


def _key(row: Row) -> str:
    return row.identity("id", "question_id", "questionId", "index", numbers=True)


Gqa = TableSuite(
    name="gqa",
    sizes=(12578,),
    about="""GQA testdev-balanced (12578 questions, 398 pictures). Every preset asks the question with the short-answer
    line: the official data has no prompt, and VLMEvalKit's Janus adapter leaves GQA to the generic one.""",
    source=Source("gqa", hub="gqa", tsv="gqa-tsv", files=(*_TABLES, _HUB[0])),
    headline="official/accuracy",
    presets=PRESETS,
    worlds=("toy",),
    key=_key,
    golds=("answer", "gold"),
    # The official file lists unbalanced questions too; its script leaves them out.
    rows=lambda rows, asked: [row for row in rows if str(row.fields.get("isBalanced")).lower() != "false"],
    pictures_apart=(_HUB[1], "imageId"),
    submission=submission,
    sample=_sample,
    score=judged(read),
    estimates=accuracy(PROTOCOLS, "type"),
)
