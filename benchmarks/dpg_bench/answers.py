"""Answers at rest: JSON lines of item_id, image, proposition_id, answer."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...evals.errors import UsageError
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
        """Return an item's pictures: numbered ones by number, then named ones as they first came."""
        found = self.by_item.get(item_id, {})
        numbered = sorted(each for each in found if isinstance(each, int))
        return [(key, found[key]) for key in [*numbered, *(each for each in found if isinstance(each, str))]]


def read_answers(path: Path) -> StoredAnswers:
    """Return the answers in a JSON lines file.

    Each row has `item_id`, `image` (a number, or the name of whoever drew it), `proposition_id`
    and `answer`; an optional `scorer` names the VQA model where it is not mPLUG, an optional
    `cut` says that the question was cut short. Raises UsageError that names the row where one
    cannot be read, two rows contradict each other, or two scorers are mixed.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}); expected answers as JSON lines") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: is no UTF-8 text; expected answers as JSON lines") from error
    stored = StoredAnswers()
    scorers: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        where = f"{path}: line {number}"
        try:
            row: Any = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UsageError(f"{where} is no JSON ({error})") from error
        _add(stored, row, where)
        scorers.setdefault(str(row.get("scorer", MPLUG)), number)
    if not stored.by_item:
        raise UsageError(f"{path}: holds no answers")
    if len(scorers) > 1:
        raise UsageError(f"{path}: mixes the scorers {', '.join(sorted(scorers))}; keep one file for each")
    stored.scorer = next(iter(scorers))
    return stored


def _add(stored: StoredAnswers, row: Any, where: str) -> None:
    if not isinstance(row, dict):
        raise UsageError(f"{where} is no object")
    missing = [each for each in ("item_id", "image", "proposition_id", "answer") if each not in row]
    if missing:
        raise UsageError(f"{where} has no {missing[0]!r}")
    item, image, proposition, answer = row["item_id"], row["image"], row["proposition_id"], row["answer"]
    if not isinstance(answer, str):
        raise UsageError(f"{where}: answer {answer!r} is no text")
    if isinstance(image, bool) or not isinstance(image, (int, str)):
        raise UsageError(f"{where}: image {image!r} is neither a number nor a name")
    try:
        proposition = int(proposition)
    except (TypeError, ValueError):
        raise UsageError(f"{where}: proposition_id {proposition!r} is no whole number") from None
    answers = stored.by_item.setdefault(str(item), {}).setdefault(image, {})
    if proposition in answers:
        if answers[proposition] != answer:
            raise UsageError(
                f"{where}: {item} image {image} question {proposition} is answered {answer!r} "
                f"and, above, {answers[proposition]!r}"
            )
        stored.repeated += 1
        return
    answers[proposition] = answer
    if row.get("cut"):
        key = (str(item), image)
        stored.cut[key] = stored.cut.get(key, 0) + 1
