"""RealWorldQA: 765 questions about pictures from vehicles and streets, with options or a short answer."""

from __future__ import annotations

from collections.abc import Mapping

from ..evals.types import Json, Sample
from .reading.answers import letter_extracted
from .reading.cells import plain
from .reading.choices import GOLDS, choice, letter_read, letter_vlmevalkit, prompt_of
from .reading.options import options_of
from .reading.rows import Row
from .reading.scores import Read, accuracy, judged
from .reading.sources import Source
from .reading.suite import PRESETS, Asked, TableSuite, numbered

PROTOCOLS = ("lmms-eval", "vlmevalkit-2026")
_DIRECTLY = "Please answer directly with only the letter of the correct option and nothing else."


def read(text: str, target: Json) -> dict[str, Read]:
    """Return what each protocol reads: a letter, or for lmms-eval a whole short answer where the right one is none."""
    gold: str = target["answer"]
    if gold.upper() in tuple("ABCD"):
        lmms = letter_read(letter_extracted(text), gold.upper())
    else:
        said = text.lower().strip().rstrip(".")
        lmms = (said, float(said == gold.lower()), not said)
    return {"lmms-eval": lmms, **letter_vlmevalkit(text, target)}


def _prompt(row: Row, preset: str) -> str:
    """Return the text of a row. The makers' questions hold options and instruction and are asked as they stand;
    VLMEvalKit's table has taken them apart, so that `official` and `lmms-eval` put them together again."""
    question, options = row.text("question"), options_of(row)
    if not options:
        return question.strip() if preset == "lmms-eval" else question
    if preset in ("official", "lmms-eval"):
        lines = "".join(f"{letter}. {text}\n" for letter, text in options.items())
        return f"{question}\n\n{lines}{_DIRECTLY}"
    return prompt_of(preset, question, options, row.words("hint"))


def _answer(row: Row, options: Mapping[str, str] | None, hint: str) -> str:
    """Return the right answer: a letter, or a word or number; VLMEvalKit's table has a few letters without option."""
    answer = row.need(*GOLDS, hint=hint)
    if not plain(answer):
        raise row.wrong("answer", answer, "a text or a number")
    if options and str(answer) not in tuple("ABCDEFGH"):
        raise row.wrong("answer", answer, f"one of the options {', '.join(options)}")
    return str(answer).strip()


def _sample(row: Row, asked: Asked) -> Sample:
    return choice(row, asked, _prompt, answer=_answer)


RealWorldQa = TableSuite(
    name="realworldqa",
    sizes=(765,),
    about="""RealWorldQA (765 questions). VLMEvalKit's table has lost an option of a few questions
    (open-compass/VLMEvalKit#677); in the hub's tables options stand in the question, and its protocol gives no
    number there.""",
    source=Source(
        "realworldqa", hub="realworldqa", tsv="realworldqa-tsv", files=("RealWorldQA.tsv", "data/test-*.parquet")
    ),
    headline="lmms-eval/accuracy",
    presets=PRESETS,
    worlds=("toy",),
    golds=GOLDS,
    rows=numbered,
    sample=_sample,
    score=judged(read),
    estimates=accuracy(PROTOCOLS, "category"),
)
