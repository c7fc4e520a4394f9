"""TIIF-Bench as a judge's task: the picture behind one of the makers' three texts, asked up to three times.

The texts in asked_1.txt to asked_3.txt are protocol strings, byte for byte those of A113N-W3I/TIIF-Bench 3aae750
(eval/eval_with_vlm.py; the repository states no licence), with ##YNQuestions## in the place of the questions.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from ...evals.types import Picture, Prediction, Sample
from ..judging.calibration import Fixed
from ..judging.task import Ask, Verdict
from ..wise.by_rule import drawn
from . import rules

SYSTEM: Final = "You are a professional image critic."
CALLS: Final = 3
_HOLE: Final = "##YNQuestions##"
_CALIBRATION: Final = (
    *(("banana", "yellow", "car", "blue"), ("umbrella", "red", "cup", "green")),
    *(("cat", "black", "boat", "white"), ("clock", "white", "fork", "brown")),
)
"""What a picture shows, and what it does not."""


@cache
def texts() -> tuple[str, ...]:
    """Return the makers' three protocol texts."""
    return tuple(Path(__file__).with_name(f"asked_{number}.txt").read_bytes().decode() for number in (1, 2, 3))


@dataclass(frozen=True, slots=True)
class TiifGrader:
    """The judge's task. `sample.target` holds "questions"; the verdict is a list of "yes" and "no", one for each.

    The original draws one of its texts for each request; here sample and request choose it, so that it is the same one
    every time. It asks until the answers can be counted, here three times: then there is no verdict.
    """

    name: str = "tiif"

    @property
    def digest(self) -> str:
        return hashlib.sha256((SYSTEM + "".join(texts())).encode()).hexdigest()[:8]

    def stand_in(self) -> str:
        """Start the grader by rule of the embedded world on this machine and return its base URL."""
        from .rule_grader import start

        return start()

    def step(self, sample: Sample, prediction: Prediction, replies: Sequence[str]) -> Ask | Verdict:
        questions = [str(each) for each in sample.target["questions"]]
        found = rules.answers(replies[-1], len(questions)) if replies else None
        if found is not None:
            return Verdict(found)
        if len(replies) >= CALLS:
            return Verdict(None, f"not {len(questions)} answers in {CALLS} replies, the last {replies[-1][:200]!r}")
        pictures = sample.images if prediction.image is None else (Picture.file(prediction.image),)
        if not pictures:
            return Verdict(None, "invalid image: there is none")
        drawn_by = hashlib.sha256(f"{sample.id}/{prediction.index}/{len(replies)}".encode()).digest()[0]
        asked = texts()[drawn_by % 3].replace(_HOLE, "\n".join(each.strip() for each in questions))
        return Ask(asked, 1.0, None, SYSTEM, pictures)

    def calibration(self) -> Sequence[Fixed]:
        """Return eight drawn pictures, each asked about what it shows and what it does not."""
        fixed: list[Fixed] = []
        for thing, color, other, tint in _CALIBRATION:
            questions = [f"Is there a {thing}?", f"Is the {thing} {color}?", f"Is there a {other}?"]
            for shown, expected in (((thing, color), "yes"), ((other, tint), "no")):
                name = f"{thing}-{expected}"
                picture = Picture(f"{name}.png", lambda shown=shown: drawn(*shown))
                target = {"questions": questions, "picture": f"{shown[1]} {shown[0]}"}
                sample = Sample(name, f"a {color} {thing}", (picture,), target=target)
                answers = [expected, expected, "no" if expected == "yes" else "yes"]
                fixed.append(Fixed(sample, Prediction(name, kind="image"), answers))
        return fixed


GRADER: Final = TiifGrader()
MINI: Final = TiifGrader("tiif_mini")
