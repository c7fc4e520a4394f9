"""AI2D's test questions about school-book diagrams, four options each."""

from __future__ import annotations

import re
from typing import Final

from ..evals.types import Json, Sample
from .reading.answers import short_lmms
from .reading.choices import GOLDS, choice, letter_vlmevalkit, prompt_of
from .reading.options import options_of
from .reading.rows import Row
from .reading.scores import Read, accuracy, judged
from .reading.sources import Source
from .reading.suite import PRESETS, Asked, TableSuite, numbered

PROTOCOLS = ("vlmevalkit-2026", "lmms-eval")
_LETTER: Final = re.compile(r"\s*([A-Z])\.")


def read(text: str, target: Json) -> dict[str, Read]:
    """Return what each protocol reads. lmms-eval takes the letter of "B. ...", else the whole answer, case and
    punctuation apart (ai2d/utils.py, ai2d.yaml)."""
    found = _LETTER.match(text)
    said = short_lmms(found[1] if found else text)
    lmms = (said, float(said == short_lmms(target["answer"])), said.upper() not in tuple("ABCD"))
    return {**letter_vlmevalkit(text, target), "lmms-eval": lmms}


def _prompt(row: Row, preset: str) -> str:
    return prompt_of(preset, row.text("question"), options_of(row) or {}, row.words("hint"))


def _sample(row: Row, asked: Asked) -> Sample:
    if not options_of(row):
        raise row.lacks(("options", "A"), asked.hint)
    return choice(row, asked, _prompt)


Ai2d = TableSuite(
    name="ai2d",
    sizes=(3088,),
    about="""AI2D's test split (3088 questions), with the letters painted over where VLMEvalKit's table AI2D_TEST or
    the hub's has them so; give AI2D_TEST_NO_MASK.tsv with --data for pictures without.""",
    source=Source("ai2d", hub="ai2d", tsv="ai2d-tsv", files=("AI2D_TEST.tsv", "data/test-*.parquet")),
    headline="vlmevalkit-2026/accuracy",
    presets=PRESETS,
    worlds=("toy",),
    golds=GOLDS,
    rows=numbered,
    sample=_sample,
    score=judged(read),
    estimates=accuracy(PROTOCOLS, "category"),
)
