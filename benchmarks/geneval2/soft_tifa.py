"""Soft-TIFA, pure: which words are a right answer, and what a picture's probabilities come to.

Port of facebookresearch/GenEval2 a6e82d2, evaluation.py and soft_tifa_analysis.py. `am` is the arithmetic mean of a
picture's probabilities (its atoms), `gm` their geometric mean (the whole prompt), `tifa` the share of questions whose
likeliest first token is a right answer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from ...evals import stats
from ...evals.stats import Estimate
from ...evals.types import Score
from .questions import ATOMS, SKILLS

PROMPT: Final = "{} Answer in one word."
YES: Final = ("Yes", "yes", " yes", " Yes")
_NUMBERS: Final = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_DIGITS: Final = {name: str(number) for number, name in enumerate(_NUMBERS, 1)}
QWEN: Final = "Qwen/Qwen3-VL-8B-Instruct"
"""The VQA model of the official script."""


def words(question: str, answer: str) -> tuple[str, ...]:
    """Return the words whose probabilities are added up; one that stands twice counts twice, as in the original."""
    if not question.startswith("How many"):
        return YES
    digit = _DIGITS.get(answer, "other")
    return answer, answer.capitalize(), f" {answer}", f" {answer.capitalize()}", digit, f" {digit}"


def is_right(said: str, right: Sequence[str]) -> bool:
    """Return whether TIFA takes the likeliest first token for a right answer."""
    return said.lower() in right


def am(chances: Sequence[float]) -> float:
    """Return the arithmetic mean."""
    return sum(chances) / len(chances)


def gm(chances: Sequence[float]) -> float:
    """Return the geometric mean; 0 where one is 0."""
    return math.exp(math.fsum(map(math.log, chances)) / len(chances)) if min(chances) > 0 else 0.0


def estimates(scores: Sequence[Score], protocol: str) -> Mapping[str, Estimate]:
    """Return in percent `soft_tifa_gm`, `soft_tifa_am`, `tifa`, each skill (over its atoms) and `atoms_N` (gm).

    A score's `details` are {"chances", "said" (right or not, each question), "skills", "atoms"}.
    """
    found = {
        f"{protocol}/soft_tifa_gm": _mean(scores, lambda each: gm(each.details["chances"])),
        f"{protocol}/soft_tifa_am": _mean(scores, lambda each: am(each.details["chances"])),
        f"{protocol}/tifa": _mean(scores, lambda each: am([float(said) for said in each.details["said"]])),
    }
    lost = stats.lost(scores)
    known = [each for each in scores if each.value is not None]
    for skill in SKILLS:
        atoms = [
            (chance, stats.cluster(each))
            for each in known
            for chance, its in zip(each.details["chances"], each.details["skills"], strict=True)
            if its == skill
        ]
        if atoms:
            part = _percent([chance for chance, _ in atoms], [key for _, key in atoms])
            found[f"{protocol}/{skill}"] = replace(part, absent=lost)
    for number in ATOMS:
        part = [each for each in scores if each.tags.get("atoms") == str(number)]
        if part:
            found[f"{protocol}/atoms_{number}"] = _mean(part, lambda each: gm(each.details["chances"]))
    return found


def _mean(scores: Sequence[Score], of: Callable[[Score], float]) -> Estimate:
    def make(known: Sequence[Score]) -> Estimate:
        return _percent([of(each) for each in known], list(map(stats.cluster, known)))

    return stats.over(scores, make)


def _percent(values: Sequence[float], clusters: Sequence[str]) -> Estimate:
    """Return the mean in percent; words that share a token are counted twice, so that a value may exceed 1."""
    return stats.mean(values, clusters, ceiling=max((1.0, *values))).times(100)
