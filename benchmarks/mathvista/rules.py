"""MathVista's rule: an extracted answer in the form of the right one, and whether it is that.

Port of lupantech/MathVista 53d5258 evaluation/calculate_score.py, lmms-eval 75571cfe mathvista/mathvista_evals.py and
VLMEvalKit e8e78f05 utils/mathvista.py.
"""

from __future__ import annotations

import re
import string
from collections.abc import Mapping, Sequence
from typing import Final

from ...evals.types import Evidence, Json, Prediction, Sample, Score
from ..judging.matcher import matched
from ..reading.answers import LETTER
from ..reading.cells import whole
from ..reading.scores import Read, scores_of
from .extraction import EXTRACTOR, extracted

PROTOCOLS: Final = ("official", "vlmevalkit-2026", "lmms-eval")
_WORD: Final = re.compile(r"\w+")
_IN_BRACKETS: Final = re.compile(r"\(([a-zA-Z])\)")


def score(sample: Sample, prediction: Prediction, evidence: Evidence | None = None) -> Sequence[Score]:
    """Return one Score a protocol; none where neither a rule nor a judge has read the answer."""
    target, text = sample.target, prediction.text or ""
    judged = matched(EXTRACTOR, sample, prediction, evidence) if evidence is not None else None
    reads: dict[str, Read] = {}
    for name, said, known, form in (
        ("official", text, {**target, "precision": whole(target["precision"])}, str),
        ("lmms-eval", text.strip(), target, str.strip),
    ):
        found = extracted(said, target, quick=name == "official")
        found = judged if found is None else found
        answer = None if found is None else normalised(found, known)
        right = None if found is None else float(form(str(answer)) == form(target["answer"]))
        reads[name] = (answer, right, found is None or answer is None or not _stands(found, known))
    reads["vlmevalkit-2026"] = _vlmevalkit(text, target)
    return scores_of(sample, prediction, {name: reads[name] for name in PROTOCOLS})


def _stands(found: str, target: Mapping[str, Json]) -> bool:
    """Return whether an answer says anything: of options, one by its letter or a word of it. Else the official rule
    takes the option with the nearest spelling, whatever was said."""
    choices: list[str] = target["choices"]
    said = found.strip()
    if not choices or not said:
        return bool(said)
    letters = _IN_BRACKETS.findall(said)
    letter = letters[0].upper() if letters else said
    words = {word for each in choices for word in _WORD.findall(each.lower())}
    named = letter in [*string.ascii_uppercase[: len(choices)]] or said in choices
    return named or not words.isdisjoint(_WORD.findall(said.lower()))


def normalised(found: str, target: Mapping[str, Json]) -> str | None:
    """Return an extracted answer in the form of the right one; None where it has none.

    Of options it is the named or the nearest one (edit distance). lmms-eval rounds to the table's precision as it
    stands, which fails where that is 1.0 and not 1, as in the hub's table: then no number is right.
    """
    choices: list[str] = target["choices"]
    if choices:
        said = found.strip()
        letters = _IN_BRACKETS.findall(said)
        said = letters[0].upper() if letters else said
        place = string.ascii_uppercase.find(said) if len(said) == 1 else -1
        return choices[place] if 0 <= place < len(choices) else min(choices, key=lambda each: _distance(said, each))
    try:
        if target["answer_type"] == "integer":
            return str(int(float(found)))
        if target["answer_type"] == "float":
            return str(round(float(found), target["precision"]))
    except (ValueError, OverflowError, TypeError):
        return None
    return found


def _distance(a: str, b: str) -> int:
    row = list(range(len(b) + 1))
    for at, left in enumerate(a, 1):
        before, row[0] = row[0], at
        for column, right in enumerate(b, 1):
            before, row[column] = row[column], min(row[column] + 1, row[column - 1] + 1, before + (left != right))
    return row[-1]


def _vlmevalkit(text: str, target: Mapping[str, Json]) -> Read:
    """Return what VLMEvalKit reads before it asks a judge (utils/mathvista.py); lists are never right there.

    A number that is read and wrong is wrong, though the original asks about it again.
    """
    choices, kind, gold = target["choices"], target["answer_type"], target["answer"]
    if choices:
        letter = LETTER["vlmevalkit-2026"](text, dict(zip(string.ascii_uppercase, choices, strict=False)))
        right = [each for each, option in zip(string.ascii_uppercase, choices, strict=False) if option == gold]
        return letter, None if letter is None else float(letter in right[:1]), letter in (None, "Z")
    if kind not in ("integer", "float"):
        return None, float(gold == "None"), True
    try:
        number = int if kind == "integer" else float
        return text.strip(), float(number(text) == number(gold)), False
    except ValueError:
        return None, None, True
