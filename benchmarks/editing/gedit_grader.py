"""GEdit-Bench as a judge's task: VIEScore's two questions, about the edit and about the picture alone.

gedit_semantics.txt and gedit_quality.txt are protocol strings, byte for byte those that VIEScore(task="tie") of
stepfun-ai/Step1X-Edit 570eba6, GEdit-Bench/viescore joins of vie_prompts.py (Apache-2.0; adapted there from
TIGER-AI-Lab/VIEScore, MIT).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from ...evals.types import Prediction, Sample
from ..judging.calibration import Fixed
from ..judging.task import Ask, Verdict
from . import shown, viescore

ROUNDS: Final = 3
TOKENS: Final = 1400
DONE: Final = 5
"""A least grade of the edit from which on the calibration set counts it as carried out."""


@cache
def text(name: str) -> str:
    """Return the question about the "semantics" or the "quality"."""
    return Path(__file__).with_name(f"gedit_{name}.txt").read_bytes().decode()


@dataclass(frozen=True, slots=True)
class GEditGrader:
    """The judge's task. The sample's prompt is the instruction, its first picture the source.

    The verdict is {"semantics", "quality": the least grade of each, 0 to 10, "done": whether the first is 5 or more};
    None where three rounds of both questions leave one without a grade.
    """

    name: str = "gedit_bench"

    @property
    def digest(self) -> str:
        return hashlib.sha256((text("semantics") + text("quality")).encode()).hexdigest()[:8]

    def stand_in(self) -> str:
        """Start the grader by rule of the embedded world on this machine and return its base URL."""
        from .rule_grader import start

        return start()

    def step(self, sample: Sample, prediction: Prediction, replies: Sequence[str]) -> Ask | Verdict:
        """Ask about the edit, then about the picture; both again where a grade of either cannot be read."""
        if replies and len(replies) % 2 == 0:
            semantics, quality = (viescore.grade(each) for each in replies[-2:])
            if semantics is not None and quality is not None:
                return Verdict({"semantics": semantics, "quality": quality, "done": semantics >= DONE})
            if len(replies) >= 2 * ROUNDS:
                odd = replies[-2 if semantics is None else -1]
                return Verdict(None, f"no grades in {ROUNDS} rounds, the last {odd[:200]!r}")
        pictures = shown.pair(sample, prediction)
        if pictures is None:
            return Verdict(None, "invalid image: there is none")
        source, made = pictures
        seen = shown.fitted(made, source)
        temperature = 0.0 if len(replies) < 2 else 1.0
        if len(replies) % 2:
            return Ask(text("quality"), temperature, TOKENS, pictures=(seen,))
        asked = text("semantics").replace("<instruction>", sample.prompt)
        return Ask(asked, temperature, TOKENS, pictures=(shown.as_jpeg(source), seen))

    def calibration(self) -> Sequence[Fixed]:
        """Return eight edits of which it is known whether they were carried out."""
        return shown.calibration(({"done": True}, {"done": False}), (None,) * 4)


GRADER: Final = GEditGrader()
