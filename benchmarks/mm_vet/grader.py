"""MM-Vet as a judge's task: which requests are made about an answer, and when a grade is found."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

from ...evals.types import Prediction, Sample
from ..judging.task import Ask, Verdict
from .prompt import AGAIN, CALLS, MAX_TOKENS, TABLE, prompt, read_grade


@dataclass(frozen=True, slots=True)
class MMVetGrader:
    """The judge's task. `sample.target` holds "question" and "answer" as in the data set.

    The verdict is the grade, 0 to 1. It is None where no reply could be read, for which the
    official script counts 0, and for the grade "nan", which would make every mean a nan.
    """

    name: str = "mm_vet"

    @property
    def digest(self) -> str:
        return hashlib.sha256(TABLE.encode()).hexdigest()[:8]

    def stand_in(self) -> str:
        """Start the grader by rule on this machine and return its base URL."""
        from .rule_grader import start

        return start()

    def step(self, sample: Sample, prediction: Prediction, replies: Sequence[str]) -> Ask | Verdict:
        grade = read_grade(replies[-1]) if replies and len(replies) < CALLS else None
        if grade is not None and math.isnan(grade):
            return Verdict(None, "the judge's grade is nan")
        if grade is not None:
            return Verdict(grade)
        if len(replies) >= CALLS:
            return Verdict(None, f"unreadable grade in {CALLS} replies, the last {replies[-1]!r}")
        text = prompt(sample.target["question"], sample.target["answer"], prediction.text or "")
        if not replies:
            return Ask(text, 0.0, MAX_TOKENS)
        return Ask(text + AGAIN, 0.5 * (len(replies) - 1), MAX_TOKENS)


GRADER = MMVetGrader()
