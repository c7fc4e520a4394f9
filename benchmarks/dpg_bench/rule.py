"""DPG-Bench's two rules, pure: questions, dependencies and answers become scores and means.

`official` is TencentQQGYLab/ELLA 3c228f1, dpg_bench/compute_dpg_bench.py, bug for bug: the first
data row is skipped, an item that fails is dropped, zeros cascade in the order of the CSV, and the
categories come from an item's last picture before zeroing. `fixed` is what that script means to
compute: see `fixed` below. Both count an answer right where it is exactly "yes".
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ...evals.types import Json
from .questions import Question, cycle

Answers = Mapping[int, str]
"""The answers to one picture's questions by proposition id."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One picture under one rule: its score from 0 to 1, or None with the reason.

    `categories` holds (right, asked) a category; `zeroed` counts the questions answered yes that
    a parent's answer made 0.
    """

    value: float | None
    reason: str = ""
    categories: Mapping[str, tuple[int, int]] = field(default_factory=dict[str, tuple[int, int]])
    zeroed: int = 0
    asked: int = 0

    def details(self) -> dict[str, Json]:
        """Return what the means need beyond the value, as JSON."""
        pairs = {name: list(pair) for name, pair in self.categories.items()}
        return {"categories": pairs, "zeroed": self.zeroed, "asked": self.asked}


def neither(answers: Answers) -> list[int]:
    """Return the ids of the questions whose answer is neither "yes" nor "no"."""
    return sorted(each for each, answer in answers.items() if answer not in ("yes", "no"))


# -- official -----------------------------------------------------------------------------------------


def official_questions(questions: Sequence[Question]) -> dict[int, Question]:
    """Return the questions of one item as the official script reads them, by id.

    Row 0 of the file is skipped; an item whose rows stand in several blocks keeps the last; of two
    rows with one id the later counts, at the place of the earlier (lines 61-95 of the script).
    """
    kept: dict[int, Question] = {}
    last = -1
    for each in questions:
        if each.row == 0:
            continue
        if each.row != last + 1:
            kept = {}
        kept[each.id] = each
        last = each.row
    return kept


def official(item_id: str, questions: Sequence[Question], answers: Answers) -> Verdict:
    """Judge one picture as the official script does (its lines 105-163); None where it fails."""
    table = official_questions(questions)
    if not table:
        return Verdict(None, "failed item: the official script skips its only row")
    if "." in item_id:
        return Verdict(None, "failed item: the official script cuts an item id at its first dot")
    for each in table.values():
        if each.words:
            return Verdict(None, f"failed item: question {each.id} depends on {each.words[0]!r}, which is no number")
        if each.id not in answers:
            return Verdict(None, f"failed item: no answer to question {each.id}")
    raw = {number: int(answers[number] == "yes") for number in table}
    scores = dict(raw)
    for number, question in table.items():
        for parent in question.parents:
            if parent == 0:
                continue
            if parent not in scores:
                return Verdict(None, f"failed item: question {number} depends on {parent}, which is not there")
            if scores[parent] == 0:
                scores[number] = 0
                break
    categories: dict[str, tuple[int, int]] = {}
    for number, question in table.items():
        if question.category is None:
            break  # the script stops here, after it has counted the item's score
        _count(categories, question.category, raw[number])
    total = sum(scores.values())
    return Verdict(total / len(scores), "", categories, sum(raw.values()) - total, len(scores))


# -- fixed --------------------------------------------------------------------------------------------


def fixed(questions: Sequence[Question], answers: Answers) -> Verdict:
    """Judge one picture by all of its questions.

    A question counts 1 where it and all of its ancestors were answered "yes", whatever the order
    of the rows; a missing parent counts as answered no. None where the dependencies run in a
    circle or an answer is missing.
    """
    table = {each.id: each for each in questions}
    loop = cycle(list(table.values()))
    if loop:
        return Verdict(None, f"cycle: questions {' -> '.join(map(str, loop))} depend on each other")
    absent = next((each for each in table if each not in answers), None)
    if absent is not None:
        return Verdict(None, f"no answer to question {absent}")
    alive = {0: True}
    for start in table:
        stack = [start]
        while stack:
            parents = [p for p in table[stack[-1]].parents if p != 0]
            waiting = [p for p in parents if p in table and p not in alive]
            if waiting:
                stack += waiting
                continue
            number = stack.pop()
            alive[number] = answers[number] == "yes" and all(alive.get(p, False) for p in parents)
    categories: dict[str, tuple[int, int]] = {}
    for number, question in table.items():
        if question.category is not None:
            _count(categories, question.category, int(alive[number]))
    total = sum(alive[number] for number in table)
    yes = sum(answers[number] == "yes" for number in table)
    return Verdict(total / len(table), "", categories, yes - total, len(table))


def _count(categories: dict[str, tuple[int, int]], name: str, right: int) -> None:
    have = categories.get(name, (0, 0))
    categories[name] = (have[0] + right, have[1] + 1)


# -- means --------------------------------------------------------------------------------------------


def level_one(category: str) -> str:
    """Return the broad category of a detailed one: "entity" of "entity - whole"."""
    return category.split("-")[0].strip()


def join(counts: Iterable[Mapping[str, Sequence[int]]]) -> dict[str, tuple[int, int]]:
    """Add (right, asked) pairs by category; the keys come out sorted."""
    total: dict[str, tuple[int, int]] = {}
    for each in counts:
        for name, (right, asked) in each.items():
            have = total.get(name, (0, 0))
            total[name] = (have[0] + right, have[1] + asked)
    return dict(sorted(total.items()))


def broad(counts: Iterable[Mapping[str, Sequence[int]]]) -> dict[str, tuple[int, int]]:
    """Add (right, asked) pairs by the broad category that a detailed one belongs to."""
    return join({level_one(name): pair} for each in counts for name, pair in each.items())


def item_mean(values: Sequence[float]) -> float:
    """Return the mean over an item's pictures, added in their order as the official script adds them."""
    return sum(values) / len(values)


def official_mean(items: Sequence[float]) -> float:
    """Return numpy's mean of the item scores, to its last digit (pairwise sums), in percent."""
    import numpy as np

    return float(np.mean(list(items))) * 100


def fixed_mean(items: Sequence[float]) -> float:
    """Return the mean of the item scores in percent, whatever their order."""
    return math.fsum(items) / len(items) * 100
