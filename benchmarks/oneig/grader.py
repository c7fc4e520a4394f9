"""OneIG-Bench as a judge's tasks: each question about a picture in a request of its own, or what its text says.

Port of OneIG-Bench/OneIG-Benchmark 41b4983: scripts/utils/inference.py and text/text_score.py.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ...evals.types import Picture, Prediction, Sample
from ..judging.calibration import Fixed
from ..judging.task import Ask, Verdict
from ..wise.by_rule import drawn
from . import rules
from .shown import as_judged
from .wording import ANSWER, TRANSCRIBE

_TOKENS: Final = 128
_LONG: Final = (60, 256)
"""Of a text of more words than this, more tokens may be written down."""
_CALIBRATION: Final = (
    *(("banana", "yellow", "car", "blue"), ("umbrella", "red", "cup", "green")),
    *(("cat", "black", "boat", "white"), ("clock", "white", "fork", "brown")),
)
"""What a picture shows, and what it does not."""
_NOTHING: Final = "no reply: the judge refused, or reasoned and said nothing"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


@dataclass(frozen=True, slots=True)
class AlignmentGrader:
    """The judge's task. `sample.target` holds "questions"; the verdict is what each reply is, of `rules.MARKS`."""

    name: str = "oneig_alignment"

    @property
    def digest(self) -> str:
        return _digest(ANSWER)

    def stand_in(self) -> str:
        """Start the grader by rule of the embedded world on this machine and return its base URL."""
        from .rule_grader import start

        return start()

    def step(self, sample: Sample, prediction: Prediction, replies: Sequence[str]) -> Ask | Verdict:
        questions: Sequence[str] = sample.target["questions"]
        if replies and not replies[-1].strip():
            return Verdict(None, _NOTHING)
        if len(replies) == len(questions):
            marks = [rules.mark(each) for each in replies]
            unread = [each for each, found in zip(replies, marks, strict=True) if found is None]
            if unread:
                return Verdict(
                    None, f"{len(unread)} of {len(marks)} replies say neither yes nor no: {unread[0][:60]!r}"
                )
            odd = [each for each in replies if each not in ("Yes", "No")]
            told = f"{len(odd)} of {len(marks)} replies are neither Yes nor No: {odd[0][:60]!r}" if odd else ""
            return Verdict(marks, told)
        pictures = as_judged(sample, prediction)
        if not pictures:
            return Verdict(None, "invalid image: there is none")
        return Ask(questions[len(replies)] + ANSWER, 0.0, _TOKENS, pictures=tuple(pictures), first=True)

    def calibration(self) -> Sequence[Fixed]:
        """Return eight drawn pictures, each asked about what it shows and what it does not."""
        fixed: list[Fixed] = []
        for thing, color, other, tint in _CALIBRATION:
            questions = [f"Is there a {thing}?", f"Is the {thing} {color}?", f"Is there a {other}?"]
            for shown, expected in (((thing, color), ["Yes", "Yes", "No"]), ((other, tint), ["No", "No", "Yes"])):
                name = f"{thing}-{expected[0].lower()}"
                picture = Picture(f"{name}.png", lambda shown=shown: drawn(*shown))
                target = {"questions": questions, "picture": f"{shown[1]} {shown[0]}"}
                sample = Sample(name, f"a {color} {thing}", (picture,), target=target)
                fixed.append(Fixed(sample, Prediction(name, kind="image"), expected))
        return fixed


@dataclass(frozen=True, slots=True)
class TextGrader:
    """The judge's task. `sample.target` holds "text", the one asked for; the verdict is the reply, a transcript."""

    name: str = "oneig_text"

    @property
    def digest(self) -> str:
        return _digest(TRANSCRIBE)

    def stand_in(self) -> str:
        """Start the grader by rule of the embedded world on this machine and return its base URL."""
        from .rule_grader import start

        return start()

    def step(self, sample: Sample, prediction: Prediction, replies: Sequence[str]) -> Ask | Verdict:
        if replies:
            return Verdict(replies[0]) if replies[0].strip() else Verdict(None, _NOTHING)
        pictures = as_judged(sample, prediction)
        if not pictures:
            return Verdict(None, "invalid image: there is none")
        most, many = _LONG
        tokens = many if len(str(sample.target["text"]).split()) > most else _TOKENS
        return Ask(TRANSCRIBE, 0.0, tokens, pictures=tuple(pictures), first=True, text=True)


ALIGNMENT: Final = AlignmentGrader()
TEXT: Final = TextGrader()
