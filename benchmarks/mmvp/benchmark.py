"""MMVP: 150 pairs of pictures that look alike to CLIP, one question a pair; right where both are."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from ...evals import stats
from ...evals.stats import Estimate
from ...evals.types import Evidence, Json, Prediction, Sample, Score
from ..judging.matched import matched_rescore
from ..judging.matcher import matched
from ..reading.choices import GOLDS, choice, letter_read, letter_vlmevalkit, prompt_of
from ..reading.options import options_of
from ..reading.rows import Row
from ..reading.scores import Read, accuracy, by_protocol, grouped, scores_of
from ..reading.sources import Source
from ..reading.suite import PRESETS, Asked, TableSuite
from .grader import GRADER
from .rows import by_place, paired

PROTOCOLS: Final = ("official", "vlmevalkit-2026", "lmms-eval")
_LMMS: Final = tuple(
    re.compile(form, re.IGNORECASE)
    for form in (
        *(r"^\s*\(?([AB])\)?\.?\s*$", r"^\s*\(?([AB])\)?[\.\s]", r"answer\s+is\s+\(?([AB])\)?"),
        *(r"option\s+\(?([AB])\)?", r"\(?([AB])\)?(?:\s|$)"),
    )
)
"""The forms in which lmms-eval looks for a letter, in its order (mmvp/utils.py)."""


def letter_lmms(text: str) -> str | None:
    """Return A or B as lmms-eval reads it, also at the end of a word or the beginning of the answer."""
    said = text.strip()
    found = next((found for form in _LMMS if (found := form.search(said))), None)
    return found[1].upper() if found else said[:1].upper() if said[:1].upper() in ("A", "B") else None


def score(sample: Sample, prediction: Prediction, evidence: Evidence | None = None) -> Sequence[Score]:
    """Return one Score a protocol; `official` is a judge's yes or no."""
    target, text = sample.target, prediction.text or ""
    reads: dict[str, Read] = {}
    if evidence is not None:
        said = matched(GRADER, sample, prediction, evidence)
        reads["official"] = (said, None if said is None else float(said == "yes"), said is None)
    reads |= letter_vlmevalkit(text, target)
    return scores_of(sample, prediction, reads | {"lmms-eval": letter_read(letter_lmms(text), target["answer"])})


def estimates(scores: Sequence[Score]) -> Mapping[str, Estimate]:
    """Return in percent `pair_accuracy`, over pairs of which both are right, and `accuracy` over questions."""
    found: dict[str, Estimate] = {}
    for protocol, mine in by_protocol(scores, PROTOCOLS).items():
        found[f"{protocol}/pair_accuracy"] = _pairs(mine)
    return found | accuracy(PROTOCOLS)(scores)


def _pairs(scores: Sequence[Score]) -> Estimate:
    """Return the share of pairs that are right; one that is half unknown counts where the other half is wrong."""
    values: dict[str, float] = {}
    alone = 0
    for name, pair in grouped(scores, stats.cluster).items():
        alone += len(pair) == 1
        if any(each.value == 0 for each in pair) or (len(pair) > 1 and all(each.value == 1 for each in pair)):
            values[name] = float(all(each.value == 1 for each in pair))
    lost = {**stats.lost(scores), **({"pairs without the other question": alone} if alone else {})}
    return replace(stats.mean(list(values.values()), list(values)).times(100), absent=lost)


def _prompt(row: Row, preset: str) -> str:
    question, options = row.text("question"), options_of(row) or {}
    return _told(question, options) if preset == "official" else prompt_of(preset, question, options, row.words("hint"))


def _told(question: str, options: Mapping[str, str]) -> str:
    return " ".join([question, *(f"({letter.lower()}) {text}" for letter, text in options.items())])


def _sample(row: Row, asked: Asked) -> Sample:
    made = choice(row, asked, _prompt)
    answer: Json = made.target["answer"]
    more = {"question": _told(row.words("question") or "", made.target["options"] or {}), "told": answer}
    more |= {"told": f"({answer.lower()})"} if answer else {}
    return replace(made, target=made.target | more, cluster=row.words("pair") or "")


Mmvp = TableSuite(
    name="mmvp",
    sizes=(300,),
    about="""MMVP (300 questions in 150 pairs). `judge` names a language model that says whether an answer is right, the
    official way: protocol `official`. In the official data two pairs have their answers the wrong way round (99 and
    100, 279 and 280; tsb0601/MMVP#30); the hub's table lmms-lab-eval/MMVP has them right.""",
    source=Source("mmvp", hub="mmvp", tsv="mmvp-tsv", files=("MMVP.tsv", "Questions.csv", "data/train-*.parquet")),
    headline="vlmevalkit-2026/pair_accuracy",
    presets=PRESETS,
    worlds=("toy",),
    golds=GOLDS,
    rows=paired,
    folders=("MMVP Images",),
    joined=by_place,
    sample=_sample,
    score=score,
    estimates=estimates,
    judge="mmvp",
    rescored=matched_rescore(),
)
