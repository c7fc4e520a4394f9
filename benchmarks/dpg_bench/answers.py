"""Answers at rest: rows of item_id, image, proposition_id, answer."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

from ...evals.errors import UsageError
from ..reading.cells import shown, whole
from ..reading.failures import text_that_came
from ..reading.rows import Row
from ..reading.tables import read_rows
from .scoring import MPLUG


@dataclass(slots=True)
class StoredAnswers:
    """A file of answers: by item, by picture (in order), by proposition; and who gave them.

    `repeated` counts rows that say again what an earlier row said.
    """

    by_item: dict[str, dict[int | str, dict[int, str]]] = field(
        default_factory=dict[str, dict[int | str, dict[int, str]]]
    )
    scorer: str = MPLUG
    cut: dict[tuple[str, int | str], int] = field(default_factory=dict[tuple[str, "int | str"], int])
    repeated: int = 0

    def pictures(self, item_id: str) -> list[tuple[int | str, dict[int, str]]]:
        """Return an item's pictures: numbered ones by number, then named ones by name ("2" before "10")."""
        found = self.by_item.get(item_id, {})
        return [(key, found[key]) for key in sorted(found, key=_place)]


def _place(image: int | str) -> tuple[bool, int, str]:
    number = whole(image)
    return isinstance(image, str), sys.maxsize if number is None else number, str(image)


def read_answers(path: Path) -> StoredAnswers:
    """Return the answers in a file: JSON lines, or another table that `read_rows` takes.

    Each row has `item_id`, `image` (a number, or the name of whoever drew it), `proposition_id`
    and `answer`; an optional `scorer` names the VQA model where it is not mPLUG, an optional
    `cut` says that the question was cut short. Raises UsageError that names the row where one
    cannot be read, two rows contradict each other, or two scorers are mixed.
    """
    stored = StoredAnswers()
    cut: set[tuple[str, int | str, int]] = set()
    scorers: set[str] = set()
    for row in read_rows(path):
        place = _add(stored, row)
        scorers.add(row.words("scorer") or MPLUG)
        if row.fields.get("cut"):
            cut.add(place)
    if len(scorers) > 1:
        names = ", ".join(shown(each)[1:-1] for each in sorted(scorers))
        raise UsageError(f"{path}: mixes the scorers {names}; keep one file for each")
    stored.scorer = next(iter(scorers))
    for item, image, _ in cut:
        stored.cut[item, image] = stored.cut.get((item, image), 0) + 1
    return stored


def _answer(row: Row) -> str:
    return row.text("answer")


def _add(stored: StoredAnswers, row: Row) -> tuple[str, int | str, int]:
    """Add a row and return its place: item, picture, question."""
    for name in ("item_id", "image", "proposition_id", "answer"):
        if name not in row.fields:
            raise row.lacks((name,))
    item, answer, image = row.identity("item_id"), text_that_came(row, _answer), row.fields["image"]
    if not isinstance(image, str):
        image = whole(image)
    proposition = whole(row.fields["proposition_id"])
    if image is None:
        raise row.wrong("image", row.fields["image"], "a number or a name")
    if proposition is None:
        raise row.wrong("proposition_id", row.fields["proposition_id"], "a whole number")
    answers = stored.by_item.setdefault(item, {}).setdefault(image, {})
    if proposition in answers:
        if answers[proposition] != answer:
            raise UsageError(
                f"{row.where}: {shown(item)} image {shown(image)} question {proposition} is answered {shown(answer)} "
                f"and, above, {shown(answers[proposition])}"
            )
        stored.repeated += 1
    answers[proposition] = answer
    return item, image, proposition
