"""Whether rows of answers, found in a data set by their ids, say of themselves what the data set says of them.

A tool that numbers the rows in another way leaves a file whose ids are all known and all of other questions: lmms-eval
counts places (`doc_id`), and a table that was sorted or cut anew counts others. Such a file mostly carries its own
right answers and questions; where they are not those of the data set, the id is not believed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Final

from ...evals.errors import UsageError
from ...evals.types import Json, Sample
from .cells import missing, plain, shown
from .elsewhere import Answers, Odd, bare
from .rows import Row

QUESTION: Final = ("question", "prompt")
_MOST_IN: Final = 10
"""One in so many rows may contradict the data (a corrected right answer); where more do, the file is numbered
otherwise, and those that agree do so by chance."""


def agreeing(
    answers: Answers, golds: Sequence[str], own: Callable[[Row], Sample], asked: Mapping[int, str | None]
) -> Answers:
    """Return the answers without the rows that contradict their sample, which are odd.

    `own` makes a row's sample of what the row says itself; `golds` are the columns of right answers; `asked` holds the
    data set's questions by the `id()` of their samples. A question contradicts where the data set has it under another
    id only. Raises UsageError where more than a tenth of the rows contradict.
    """
    questions = {_plain(text) for text in asked.values() if text}
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
        mine, theirs = _gold(row, golds, own), _told(sample)
        if mine and theirs and not {*mine} & {*theirs}:
            why = f"the right answer is {shown(mine[0])} here and {shown(theirs[0])} in the data set"
            yield Odd(row, f"{row.where}: {why}", sample)


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
