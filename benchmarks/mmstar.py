"""MMStar: 1500 questions that need their picture, four options each, of six capabilities and eighteen parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..evals import stats
from ..evals.stats import Estimate
from ..evals.types import Json, Sample, Score
from .reading.answers import letter_extracted
from .reading.choices import GOLDS, LETTER_LINE, choice, letter_read, letter_vlmevalkit, prompt_of
from .reading.options import options_of
from .reading.rows import Row
from .reading.scores import Read, accuracy, by_protocol, grouped, judged, percent, slug
from .reading.sources import Source
from .reading.suite import PRESETS, Asked, TableSuite

PROTOCOLS = ("official", "vlmevalkit-2026", "lmms-eval")
CAPABILITIES = (
    *("coarse perception", "fine-grained perception", "instance reasoning", "logical reasoning"),
    *("science & technology", "math"),
)
_STARTS = ("", "(", "option ", "the answer is ")
_TAGS = {"category": ("category",), "part": ("l2_category", "l2-category")}


def read(text: str, target: Json) -> dict[str, Read]:
    """Return what each protocol reads. `official` is MMStar-Benchmark/MMStar 88f243a evaluate/mmstar.py: the letter
    that begins the answer, also behind a bracket, "option" or "the answer is"."""
    said = text.lower().strip().replace("\n", " ")
    begins = (said[len(start) :][:1] for start in _STARTS if said.startswith(start))
    letter = next((each.upper() for each in begins if each and each in "abcd"), None)
    official = letter_read(letter, target["answer"])
    lmms = letter_read(letter_extracted(text), target["answer"])
    return {"official": official, **letter_vlmevalkit(text, target), "lmms-eval": lmms}


def estimates(scores: Sequence[Score]) -> Mapping[str, Estimate]:
    """Return `accuracy`, each capability and part in percent; `lmms-eval/average` is the mean over the parts."""
    found = accuracy(PROTOCOLS, *_TAGS, named=slug, parts=CAPABILITIES)(scores)
    lmms = by_protocol(scores, PROTOCOLS).get("lmms-eval", [])
    parts = grouped(lmms, lambda each: each.tags.get("part", "")).values()
    if parts:
        found["lmms-eval/average"] = stats.lacking(
            stats.average(map(percent, parts)), found["lmms-eval/accuracy"].absent
        )
    return found


def _prompt(row: Row, preset: str) -> str:
    question, options = row.text("question"), options_of(row)
    if preset == "lmms-eval":  # its table holds the options in the question, and its instruction has no full stop
        listed = ", ".join(f"{letter}: {text}" for letter, text in (options or {}).items())
        return question.strip() + (f"\nOptions: {listed}" if listed else "") + f"\n{LETTER_LINE[:-1]}"
    return prompt_of(preset, question, options, row.words("hint")) if options else f"{question}\n{LETTER_LINE}"


def _sample(row: Row, asked: Asked) -> Sample:
    return choice(row, asked, _prompt, _TAGS)


MmStar = TableSuite(
    name="mmstar",
    sizes=(1500,),
    about="""MMStar (1500 questions). The hub's table holds the options in its questions: there VLMEvalKit's protocol,
    which needs them apart, gives no number.""",
    source=Source("mmstar", hub="mmstar", tsv="mmstar-tsv", files=("MMStar.tsv", "mmstar.parquet")),
    headline="official/accuracy",
    presets=PRESETS,
    worlds=("toy",),
    golds=GOLDS,
    sample=_sample,
    score=judged(read),
    estimates=estimates,
)
