"""Suites of one's own, from a table and without code: options, yes_no, short_answer, judge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from ...evals.errors import UsageError
from ...evals.types import Evidence, Json, Prediction, Sample, Score, Scored
from ..judging.kept import ask, judged
from ..mm_vet.benchmark import score as graded
from ..reading.agreement import QUESTION
from ..reading.answers import LETTER, YES_NO_VLMEVALKIT, letter_fixed, short_llava, short_lmms
from ..reading.answers import yes_no_pope as pope
from ..reading.answers import yes_no_pope_lmms as pope_lmms
from ..reading.cells import plain
from ..reading.choices import SHORT_LINE, prompt_of
from ..reading.elsewhere import bare, elsewhere, judgeable
from ..reading.importers import Taken, with_columns
from ..reading.options import options_of
from ..reading.rows import Row
from ..reading.scores import Read, accuracy
from ..reading.scores import judged as ruled
from ..reading.sources import Source
from ..reading.suite import Asked, TableBenchmark, TableSuite

PRESETS: Final = ("llava", "janus-pr541", "bare")
"""The question with LLaVA's instruction, with a newline before it as Janus' authors ask, or alone."""
GOLDS: Final = ("answer", "gold", "label")
_TRUE: Final = {"yes": "yes", "true": "yes", "no": "no", "false": "no"}


def _row(row: Row, asked: Asked, prompt: str, target: Json) -> Sample:
    """Return a row's sample. Without an id it is named by its line; a table without pictures asks without."""
    category = row.label("category", "type")
    return Sample(
        id=_key(row),
        prompt=prompt,
        images=asked.pictures(row) if asked.gallery and asked.gallery.pictured else (),
        target=target,
        tags={"category": category} if category else {},
        cluster=row.name("image_path", "image"),
    )


_IDS: Final = ("id", "index", "question_id")


def _key(row: Row) -> str:
    return row.identity(*_IDS) if row.find(*_IDS) is not None else str(row.line)


def _plain_ids(rows: Sequence[Row], asked: bool) -> Sequence[Row]:
    """Return rows whose ids stand in `id`, `index` or `question_id`, also where a tool wrote `ID` or `id `."""
    del asked

    def named(row: Row) -> Row:
        near = {name: name.strip().lower() for name in row.fields if name not in _IDS}
        if not any(each in _IDS and each not in row.fields for each in near.values()):
            return row
        return replace(
            row,
            fields={
                near.get(name, name) if near.get(name) in _IDS else name: value for name, value in row.fields.items()
            },
        )

    return [named(row) for row in rows]


def _joined(rows: Sequence[Row], known: Sequence[Sample], gold: Taken) -> Sequence[Row]:
    """Return rows of answers that have no id with that of the question which they repeat; lines name no question.

    Raises UsageError where nothing tells which question a row answers.
    """
    by_question: dict[str, set[str]] = {}
    for row, sample in zip(gold.rows, known, strict=True):
        by_question.setdefault(bare(row.words(*QUESTION) or ""), set()).add(sample.id)

    def named(row: Row) -> Row:
        if "" in row.odd or row.find(*_IDS) is not None:
            return row
        found = by_question.get(bare(row.words(*QUESTION) or ""), set[str]())
        if len(found) != 1:
            why = "stands several times in the data" if found else "is not in the data, or there is none"
            raise UsageError(f"{row.where}: no column 'id' (nor 'index', 'question_id'), and its question {why}")
        return with_columns(row, id=next(iter(found)))

    return [named(row) for row in rows]


def _question(row: Row, asked: Asked, instruction: str) -> str:
    """Return the prompt of a question with a line of instruction; empty where nothing is asked."""
    if not asked.preset:
        return ""
    question = row.text("question", "prompt")
    if asked.preset == "bare":
        return question
    return ("\n" if asked.preset == "janus-pr541" else "") + question + instruction


def _source(shape: str) -> Source:
    return Source(shape, own=True)


# -- options ------------------------------------------------------------------------------------------


def read_option(text: str, target: Mapping[str, Json]) -> dict[str, Read]:
    """Return the letter that each protocol reads; what cannot be read is wrong."""
    options: Mapping[str, str] = target["options"]
    letters = {"fixed": letter_fixed(text, options)}
    letters |= {name: reader(text, options) for name, reader in LETTER.items()}
    return {
        name: (letter, float(letter == target["answer"]), letter in (None, "Z")) for name, letter in letters.items()
    }


def _option(row: Row, asked: Asked) -> Sample:
    options = options_of(row)
    if not options:
        raise row.lacks(("A", "options"), asked.hint)
    answer = asked.gold(row, *GOLDS)
    named = [letter for letter, text in options.items() if text == str(answer)]
    if answer in options and any(letter != answer for letter in named):
        raise row.wrong("answer", answer, f"a letter, or an option's text: here it is the text of {named[0]} as well")
    if answer not in options and not asked.unanswered:
        if len(named) != 1:
            raise row.wrong("answer", answer, f"one of the options {', '.join(options)}")
        answer = named[0]
    prompt = ""
    if asked.preset:
        question, bare = row.text("question", "prompt"), asked.preset == "bare"
        prompt = question if bare else prompt_of(asked.preset, question, options, row.words("hint"))
    return _row(row, asked, prompt, {"answer": answer, "options": options})


Options = TableSuite(
    name="options",
    about="""Questions with options from a table of your own (--data FILE): columns question, A, B, ... or options,
    answer, and where you have them id, category, hint, image. Preset `bare` asks the question as it stands.""",
    source=_source("options"),
    headline="fixed/accuracy",
    presets=PRESETS,
    worlds=("toy",),
    key=_key,
    rows=_plain_ids,
    joined=_joined,
    golds=GOLDS,
    sample=_option,
    score=ruled(read_option),
    estimates=accuracy(("fixed", *LETTER), "category"),
    own=True,
)

# -- yes or no ----------------------------------------------------------------------------------------


def read_yes_no(text: str, gold: Json) -> dict[str, Read]:
    """Return what each protocol of POPE reads; its official reader takes all that is no no for a yes."""
    words = {name: reader(text).lower() for name, reader in YES_NO_VLMEVALKIT.items()}
    words |= {"pope": pope(text), "lmms-eval": pope_lmms(text)}
    return {name: (word, float(word == gold), word not in ("yes", "no")) for name, word in words.items()}


def _yes_no(row: Row, asked: Asked) -> Sample:
    answer = asked.gold(row, *GOLDS)
    gold = _TRUE.get(str(answer).strip().lower())
    if gold is None and not asked.unanswered:
        raise row.wrong("answer", answer, "yes or no")
    return _row(row, asked, _question(row, asked, "\nAnswer yes or no."), gold)


YesNo = TableSuite(
    name="yes_no",
    about="""Yes/no questions from a table of your own (--data FILE): columns question, answer, and where you have
    them id, category, image. Protocol `pope` is POPE's official reader.""",
    source=_source("yes_no"),
    headline="vlmevalkit-2026/accuracy",
    presets=PRESETS,
    worlds=("toy",),
    key=_key,
    rows=_plain_ids,
    joined=_joined,
    golds=GOLDS,
    sample=_yes_no,
    score=ruled(read_yes_no),
    estimates=accuracy(("vlmevalkit-2026", "vlmevalkit-2024", "pope", "lmms-eval"), "category"),
    own=True,
)

# -- a short answer -----------------------------------------------------------------------------------


def read_short(text: str, golds: Json) -> dict[str, Read]:
    """Return what each protocol makes of a short answer; it is right where it equals one of the right ones."""
    exact, lmms = short_llava(text.strip()), short_lmms(text)
    return {
        "exact": (exact, float(exact in [short_llava(each.strip()) for each in golds]), not exact),
        "lmms-eval": (lmms, float(lmms in [short_lmms(each) for each in golds]), not lmms),
    }


def _short(row: Row, asked: Asked) -> Sample:
    return _row(row, asked, _question(row, asked, SHORT_LINE), asked.golds(row, *GOLDS))


ShortAnswer = TableSuite(
    name="short_answer",
    about="""Questions with a short answer from a table of your own (--data FILE): columns question, answer (one, or
    a list of right ones), and where you have them id, category, image. `exact` leaves case, blanks around the
    answer and final full stops out of account, `lmms-eval` all punctuation.""",
    source=_source("short_answer"),
    headline="exact/accuracy",
    presets=PRESETS,
    worlds=("toy",),
    key=_key,
    rows=_plain_ids,
    joined=_joined,
    golds=GOLDS,
    sample=_short,
    score=ruled(read_short),
    estimates=accuracy(("exact", "lmms-eval"), "category"),
    own=True,
)

# -- graded by a judge --------------------------------------------------------------------------------


def score_graded(sample: Sample, prediction: Prediction, evidence: Evidence | None = None) -> Sequence[Score]:
    """Return the mean grade over the judge's runs, 0 to 1; no verdict where a run has none."""
    return [replace(each, protocol="graded") for each in graded(sample, prediction, evidence)]


def _judged(row: Row, asked: Asked) -> Sample:
    answer = asked.gold(row, *GOLDS)
    if not asked.unanswered and not plain(answer):
        raise row.wrong("answer", answer, "a text")
    question = row.words("question", "prompt")
    if question is None:
        raise row.lacks(("question", "prompt"), asked.hint)
    return _row(row, asked, _question(row, asked, ""), {"question": question, "answer": str(answer)})


@judged
def _rescored(
    suite: TableBenchmark, *, predictions: Path | None = None, data: str | Path | None = None, **options: Any
) -> Scored:
    """Have a judge grade answers made elsewhere: rows of `id, question, answer, response`."""
    found, _ = judgeable(suite.answers(predictions, data))
    if options.get("judge") is None:
        raise UsageError("judge: nobody grades: give --judge MODEL, or --judge rule for the grader by rule")
    strip = suite.reasoning == "strip"
    evidence = ask("judge", found.samples, found.rows, options, memory=found.file, strip=strip)
    return elsewhere(suite, found, evidence=evidence, graded=True)


JudgedAnswer = TableSuite(
    name="judge",
    about="""Open questions from a table of your own (--data FILE), graded 0 to 1 by `--judge MODEL` with MM-Vet's
    grading prompt: columns question, answer (<AND> and <OR> between parts), and where you have them id, category,
    image. Without a judge the answers stay ungraded.""",
    source=_source("judge"),
    headline="graded/accuracy",
    presets=PRESETS,
    worlds=("toy",),
    key=_key,
    rows=_plain_ids,
    joined=_joined,
    golds=GOLDS,
    sample=_judged,
    score=score_graded,
    estimates=accuracy(("graded",), "category"),
    observer="judge",
    rescored=_rescored,
    own=True,
)
