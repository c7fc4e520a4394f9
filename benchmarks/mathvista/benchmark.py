"""MathVista testmini: 1000 questions of mathematics, an option, a number or a list each.

How answers are judged is in rules.py, what a language model extracts in extraction.py.
"""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from typing import Final

from ...evals.stats import Estimate
from ...evals.types import Json, Sample, Score
from ..judging.matched import matched_rescore
from ..reading.cells import listed
from ..reading.rows import Row
from ..reading.scores import accuracy, by_protocol, percent, slug
from ..reading.sources import Source
from ..reading.suite import Asked, TableSuite
from .rules import PROTOCOLS, score

_ENDS: Final = {
    "text": "Answer with the option's letter from the given choices directly.",
    "integer": "Answer the question using a single integer number.",
    "float": "Answer the question using a single floating-point number with {} decimal place{}.",
    "list": "Answer the question using a Python list.",
}
"""lmms-eval's instructions (mathvista/mathvista_evals.py, "format-prompt")."""


def estimates(scores: Sequence[Score]) -> Mapping[str, Estimate]:
    """Return `accuracy` in percent, by task and by skill, of which a question may need several."""
    found = accuracy(PROTOCOLS, "task", named=slug)(scores)
    skills = sorted({name for each in scores for name in each.tags.get("skills", "").split(",")} - {""})
    for protocol, mine in by_protocol(scores, PROTOCOLS).items():
        for name in skills:
            part = [each for each in mine if name in each.tags.get("skills", "").split(",")]
            found[f"{protocol}/{slug(name)}"] = percent(part)
    return found


def _key(row: Row) -> str:
    return row.identity("pid", "id", "question_id", "index")


def _list(row: Row, column: str, value: Json) -> list[str]:
    if value is None:
        return []
    try:
        found: Json = listed(value) if isinstance(value, str) else value
    except ValueError as error:
        raise row.wrong(column, value, "a list of texts") from error
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise row.wrong(column, value, "a list of texts")
    return found


def _prompt(row: Row, preset: str) -> str:
    """Return the query that the data hold (hint, question, choices: shot_type solution), or lmms-eval's own form."""
    if preset == "official":
        return row.text("query", "question")
    row.need("query", hint="VLMEvalKit's table has the hint within its questions: ask it with --preset official")
    question, unit = row.text("question"), row.words("unit")
    choices = _list(row, "choices", row.find("choices"))
    lines = [f"{letter}. {each}" for letter, each in zip(string.ascii_uppercase, choices, strict=False)]
    one = row.find("precision") == 1
    ending = _ENDS[row.text("answer_type")].format("one" if one else "two", "" if one else "s")
    return "\n".join([question + (f" (Unit: {unit})" if unit else ""), *lines, ending])


def _sample(row: Row, asked: Asked) -> Sample:
    kind, answer = row.text("answer_type", hint=asked.hint), asked.gold(row, "answer")
    if kind not in _ENDS:
        raise row.wrong("answer_type", kind, f"one of {', '.join(_ENDS)}")
    choices = _list(row, "choices", row.find("choices"))
    if choices and str(answer) not in choices and not asked.unanswered:
        raise row.wrong("answer", answer, "one of the choices")
    about = row.find("metadata")
    about = Row(about, row.file, row.line) if isinstance(about, dict) else row
    tags = {"task": about.label("task"), "skills": ",".join(_list(row, "skills", about.find("skills")))}
    columns = ["decoded_image"] if "decoded_image" in row.fields else None
    return Sample(
        id=_key(row),
        prompt=asked.text(lambda: _prompt(row, asked.preset)),
        images=asked.pictures(row, columns),
        target={
            "query": row.words("query", "question") or "",
            "choices": choices,
            "answer_type": kind,
            "answer": str(answer),
            "precision": row.find("precision"),
        },
        tags={name: text for name, text in tags.items() if text},
    )


MathVista = TableSuite(
    name="mathvista",
    sizes=(1000,),
    about="""MathVista testmini (1000 questions). The official scorer has a language model extract the answer from what
    was said: `judge` names it. Without one only what the rules read has a verdict.""",
    source=Source(
        "mathvista", hub="mathvista", tsv="mathvista-tsv", files=("MathVista_MINI.tsv", "data/testmini-*.parquet")
    ),
    headline="official/accuracy",
    presets=("official", "lmms-eval"),
    worlds=("toy",),
    key=_key,
    sample=_sample,
    score=score,
    estimates=estimates,
    judge="mathvista",
    rescored=matched_rescore(),
)
