"""MMMU-Pro: MMMU's questions with ten options, and the same within a screenshot; every question has options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from ...evals.stats import Estimate, lost
from ...evals.types import Json, Sample, Score
from ..reading.choices import choice, letter_read, letter_vlmevalkit
from ..reading.options import options_of
from ..reading.rows import Row
from ..reading.scores import Read, accuracy, by_protocol, judged, plain, slug
from ..reading.sources import Source
from ..reading.suite import Asked, TableSuite
from .answers import option_lmms, option_pro
from .benchmark import DOMAIN_OF
from .pro_prompts import pictures, prompt, prompt_seen

PROTOCOLS: Final = ("official", "vlmevalkit-2026", "lmms-eval")


def read(text: str, target: Json) -> dict[str, Read]:
    """Return what each protocol reads; lmms-eval compares a whole answer about a screenshot with the letter."""
    options, gold = target["options"], target["answer"]
    lmms = letter_read(option_lmms(text, list(options), options), gold)
    lmms = (text, float(text == gold), False) if target["seen"] else lmms
    official = letter_read(option_pro(text, options), gold)
    return {"official": official, **letter_vlmevalkit(text, target), "lmms-eval": lmms}


def estimates(scores: Sequence[Score]) -> Mapping[str, Estimate]:
    """Return `accuracy` in percent, by subject and `domain_<name>`. The official parser and lmms-eval's guess without a
    seed: their `accuracy_no_fallback` takes a guess for wrong, so do subjects, and `fallbacks` counts them."""
    found = accuracy(PROTOCOLS, "subject", "domain")(scores)
    for protocol, mine in by_protocol(scores, PROTOCOLS).items():
        if protocol in ("official", "lmms-eval"):
            found[f"{protocol}/accuracy_no_fallback"] = found.pop(f"{protocol}/accuracy")
            guesses = [each for each in mine if each.unparsed and each.value is not None]
            found[f"{protocol}/fallbacks"] = replace(plain(len(guesses), len(mine)), absent=lost(mine))
    return found


def _sample(row: Row, asked: Asked) -> Sample:
    made = _made(row, asked, seen=False)
    return replace(made, images=pictures(row, asked))


def _screenshot(row: Row, asked: Asked) -> Sample:
    return replace(_made(row, asked, seen=True), images=asked.pictures(row))


def _made(row: Row, asked: Asked, *, seen: bool) -> Sample:
    if not options_of(row):
        raise row.lacks(("options", "A"), asked.hint)
    text = prompt_seen if seen else prompt
    made = choice(row, replace(asked, gallery=None), text, {"subject": ("subject", "category")})
    subject = made.tags.get("subject", "")
    domain = {"domain": f"domain_{slug(DOMAIN_OF[subject])}"} if subject in DOMAIN_OF else {}
    return replace(made, tags={**made.tags, **domain}, target={**made.target, "seen": seen})


MmmuPro = TableSuite(
    name="mmmu_pro",
    sizes=(1730,),
    about="""MMMU-Pro, standard with ten options (1730 questions). Preset `official` asks for the letter alone, `cot`
    for steps and a last line "Answer: $LETTER". Its makers report the mean of this and `mmmu_pro_vision`.""",
    source=Source(
        "mmmu_pro",
        hub="mmmu-pro",
        tsv="mmmu-pro-tsv",
        files=("MMMU_Pro_10c.tsv", "standard (10 options)/test-*.parquet"),
    ),
    headline="official/accuracy_no_fallback",
    presets=("official", "cot", "vlmevalkit", "lmms-eval"),
    worlds=("toy",),
    sample=_sample,
    score=judged(read),
    estimates=estimates,
)
MmmuProVision = replace(
    MmmuPro,
    name="mmmu_pro_vision",
    sizes=(1730,),
    about="""MMMU-Pro, vision (1730 screenshots or photographs that hold question and options).""",
    source=Source(
        "mmmu_pro_vision",
        hub="mmmu-pro-vision",
        tsv="mmmu-pro-vision-tsv",
        files=("MMMU_Pro_V.tsv", "vision/test-*.parquet"),
    ),
    sample=_screenshot,
)
