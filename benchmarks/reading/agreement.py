"""Whether rows of answers, found in a data set by their ids, say of themselves what the data set says of them.

A tool that numbers the rows in another way leaves a file whose ids are all known and all of other questions: lmms-eval
counts places (`doc_id`), and a table that was sorted or cut anew counts others. Such a file mostly carries its own
right answers and questions; where they are not those of the data set, the id is not believed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final

from ...evals.errors import UsageError
from ...evals.types import Json, Sample
from .cells import missing, plain, shown, whole
from .elsewhere import Answers, Odd, bare
from .options import options_of
from .rows import Row

QUESTION: Final = ("question", "prompt")
_NO_WORD: Final = re.compile(r"<image[ _]?\d*>|[\W_]+")
_MOST_IN: Final = 10
"""One in so many rows may contradict the data (a corrected right answer); where more do, the file is numbered
otherwise, and those that agree do so by chance."""


def agreeing(
    answers: Answers, golds: Sequence[str], own: Callable[[Row], Sample], asked: Mapping[int, str | None]
) -> Answers:
    """Return the answers without the rows that contradict their sample, which are odd.

    `own` makes a row's sample of what the row says itself; `golds` are the columns of right answers; `asked` holds the
    data set's questions by the `id()` of their samples. A question contradicts where the data set has it under another
    id only; of one that it has nowhere (another prompt, another version) no more is said than that. Raises UsageError
    where more than a tenth of the rows contradict.
    """
    questions = {_plain(text) for text in asked.values() if text}
    foreign = [row for row, each in zip(answers.rows, answers.samples, strict=True) if _is_foreign(row, asked, each)]
    if foreign:
        told = f"{len(foreign)} of {len(answers.rows)} rows hold another one than the data set"
        answers = replace(answers, told={**answers.told, "questions": f"{told}, as {shown(_question(foreign[0]))}"})
    odd = list(_contradicting(answers, golds, own, asked, questions))
    if len(odd) > 1 and len(odd) * _MOST_IN > len(answers.rows):
        raise UsageError(
            f"{odd[0].why} (and so for {len(odd) - 1} of {len(answers.rows)} rows more): the file numbers its rows in "
            "another way; where the data are right, leave the file's own columns of questions and right answers out"
        )
    return answers.but(odd)


def _contradicting(
    answers: Answers,
    golds: Sequence[str],
    own: Callable[[Row], Sample],
    asked: Mapping[int, str | None],
    questions: set[str],
) -> Iterator[Odd]:
    for row, sample in zip(answers.rows, answers.samples, strict=True):
        mine, theirs = _question(row), _plain(asked.get(id(sample)) or "")
        if mine and theirs and mine in questions and mine != theirs:
            yield Odd(row, f"{row.where}: the data set asks {shown(theirs)} under this id, not {shown(mine)}", sample)
            continue
        letter = _other_option(row, sample)
        if letter:
            yield Odd(row, f"{row.where}: option {letter} is another one than in the data set", sample)
            continue
        mine, theirs = _gold(row, golds, own), _told(sample)
        if mine and theirs and not {*mine} & {*theirs}:
            why = f"the right answer is {shown(mine[0])} here and {shown(theirs[0])} in the data set"
            yield Odd(row, f"{row.where}: {why}", sample)


def _is_foreign(row: Row, asked: Mapping[int, str | None], sample: Sample) -> bool:
    """Return whether a row's question and its sample's are about nothing in common: neither stands in the other."""
    mine, theirs = (_NO_WORD.sub("", each) for each in (_question(row), _plain(asked.get(id(sample)) or "")))
    return bool(mine and theirs) and mine not in theirs and theirs not in mine


def _other_option(row: Row, sample: Sample) -> str:
    """Return the letter under which a row that has options of its own offers another text than the data set, or ""."""
    told = sample.target.get("options") if isinstance(sample.target, dict) else None
    with suppress(UsageError):
        mine = options_of(row)
        if mine and isinstance(told, dict) and "round_id" not in row.fields:  # LLaVA's rounds turn the options
            theirs = {letter: _plain(str(text)) for letter, text in told.items()}
            return next((each for each, text in mine.items() if theirs.get(each, "") not in ("", _plain(text))), "")
    return ""


def _question(row: Row) -> str:
    value = next((row.fields[name] for name in QUESTION if not missing(row.fields.get(name))), "")
    return _plain(bare(value)) if isinstance(value, str) else ""


def _gold(row: Row, golds: Sequence[str], own: Callable[[Row], Sample]) -> list[str]:
    """Return a row's own right answers; none where it has none, or lacks what they are read by."""
    if all(missing(row.fields.get(name)) for name in golds):
        return []
    with suppress(UsageError):
        return _told(own(row))
    return []


def _told(sample: Sample) -> list[str]:
    """Return the right answers of a sample, wherever its suite keeps them, in one writing."""
    told: Json = sample.tags.get("answer", sample.target)
    if isinstance(told, dict):
        told = told.get("answer", told.get("answers"))
    several = told if isinstance(told, list) else [told]
    return [_plain(str(each)) for each in several if plain(each) and not missing(each)]


def _plain(text: str) -> str:
    """Return a text as it is compared: without case and edges, a number as a number."""
    bare_text = " ".join(text.split()).strip(" .").lower()
    with suppress(ValueError):
        return repr(float(bare_text.replace(",", "")))
    return bare_text


def must_count_alike(answers: Answers, golds: Sequence[str]) -> None:
    """Raise UsageError where answers that tell nothing else of themselves are numbered one higher or lower than the
    data set: 1 to 48 where it has 0 to 47, so that all but one are taken for their neighbours."""
    known = [each.id for each in answers.known or ()]
    lost = {*known} - {each.id for each in answers.samples}
    own = {_number(each.row) for each in answers.odd}
    if not len(lost) == len(own) == 1 or len(answers.samples) != len(known) - 1:
        return
    if any(row.find(*golds, *QUESTION) is not None for row in answers.rows):
        return  # these are held against the data set one by one
    first, last = sorted(int(each) if each.isdecimal() else -1 for each in (*lost, *own))
    if first >= 0 and last - first == len(known) > 1:
        how = "higher" if own == {str(last)} else "lower"
        raise UsageError(
            f"{answers.file}: its ids are the data set's, but one {how}: it is numbered otherwise; "
            f"read as {answers.taken.told}"
        )


def _number(row: Row) -> str:
    number = whole(row.find("id", "question_id", "index", "questionId"))
    return "" if number is None else str(number)
