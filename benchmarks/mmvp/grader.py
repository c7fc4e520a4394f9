"""MMVP as a judge's task: whether an answer is right, yes or no.

The texts are protocol strings, carried over as data: tsb0601/MMVP 7635005, scripts/gpt_grader.py (MIT).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ...evals.errors import UsageError
from ...evals.types import Prediction, Sample
from ..judging.task import Ask, Verdict

SYSTEM: Final = (
    "You are a helpful and precise assistant for checking the quality of the answer. Please answer in only yes or no."
)
QUESTION: Final = (
    "Given the following question {}, the correct answer is {}."
    " Does the following answer correctly answers the question, answer:{}?"
)
_VERDICT: Final = re.compile(r"(yes|no)\n?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class PairGrader:
    """The judge's task. `sample.target` holds "question", with its options, and "told", the right one as (a) or (b).

    The verdict is yes or no; None where the reply is neither, which the official script takes for a no.
    """

    name: str = "mmvp"

    @property
    def digest(self) -> str:
        return hashlib.sha256((SYSTEM + QUESTION).encode()).hexdigest()[:8]

    def stand_in(self) -> str:
        raise UsageError(f"judge: no rule stands in for the judge of {self.name}; give --judge MODEL")

    def step(self, sample: Sample, prediction: Prediction, replies: Sequence[str]) -> Ask | Verdict:
        if not replies:
            text = QUESTION.format(sample.target["question"], sample.target["told"], prediction.text or "")
            return Ask(text, temperature=0.2, system=SYSTEM)
        found = _VERDICT.fullmatch(replies[-1])
        return Verdict(found[1].lower()) if found else Verdict(None, f"neither yes nor no: {replies[-1]!r}")


GRADER = PairGrader()
