"""WISE as a judge's task: the picture behind the makers' protocol text, asked up to three times, and what is fixed.

The texts in wise.txt and wise_verified.txt are protocol strings, byte for byte those of PKU-YuanGroup/WISE eb51174
(WISE_legacy/gpt_eval.py and vllm_eval.py; the repository states no licence), with {PROMPT} and {EXPLANATION} in the
places of a sample's own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from ...evals.types import Json, Picture, Prediction, Sample
from ..judging.calibration import Fixed
from ..judging.task import Ask, Verdict
from . import rules
from .by_rule import drawn
from .rules import LEGACY, VERIFIED, Form

SYSTEMS: Final = {
    "wise": (
        "You are a professional Vincennes image quality audit expert, please evaluate the image quality strictly "
        "according to the protocol."
    ),
    "wise_verified": (
        "You are a professional text-to-image quality auditor. Evaluate the image strictly according to the protocol."
    ),
}
_TOKENS: Final = {"wise": 2000, "wise_verified": 500}
CALLS: Final = 3
_CALIBRATION: Final = (
    ("The long fruit that a monkey peels, when it is ripe", "banana", "yellow", ("car", "blue")),
    ("What keeps the rain off a walker, in the colour of a ripe tomato", "umbrella", "red", ("cup", "green")),
    ("The animal that catches mice, in the colour of coal", "cat", "black", ("boat", "white")),
    ("What tells the hour from the wall, in the colour of snow", "clock", "white", ("fork", "brown")),
)
"""A prompt, the thing and the colour that it means, and what a wrong picture shows."""


@cache
def text(name: str) -> str:
    """Return a form's protocol text."""
    return Path(__file__).with_name(f"{name}.txt").read_bytes().decode()


@dataclass(frozen=True, slots=True)
class WiseGrader:
    """The judge's task. `sample.target` holds "prompt" and "explanation".

    The verdict is {aspect: 0 to 2} (`wise`), or 0 or 1 (`wise_verified`); None where three replies could not be read.
    """

    form: Form

    @property
    def name(self) -> str:
        return self.form.name

    @property
    def digest(self) -> str:
        return hashlib.sha256((SYSTEMS[self.name] + text(self.name)).encode()).hexdigest()[:8]

    def stand_in(self) -> str:
        """Start the grader by rule of the embedded world on this machine and return its base URL."""
        from .rule_grader import start

        return start()

    def step(self, sample: Sample, prediction: Prediction, replies: Sequence[str]) -> Ask | Verdict:
        found = self._read(replies[-1]) if replies else None
        if found is not None:
            told = "two verdicts in one reply" if rules.contradicts(replies[-1]) else ""
            return Verdict(found, told)
        if len(replies) >= CALLS:
            return Verdict(None, f"no verdict in {CALLS} replies, the last {replies[-1][:200]!r}")
        picture = None if prediction.image is None else Picture.file(prediction.image)
        pictures = sample.images if picture is None else (picture,)
        if not pictures:
            return Verdict(None, "invalid image: there is none")
        asked = text(self.name).replace("{EXPLANATION}", sample.target["explanation"], 1)
        asked = asked.replace("{PROMPT}", sample.target["prompt"], 1)
        return Ask(asked, 0.0, _TOKENS[self.name], SYSTEMS[self.name], pictures)

    def _read(self, reply: str) -> Json:
        if self.form is VERIFIED:
            return rules.verdict(reply)
        found = rules.grades(reply)
        return found if len(found) == len(rules.ASPECTS) else None

    def calibration(self) -> Sequence[Fixed]:
        """Return eight drawn pictures, four right and four wrong; of the three grades consistency alone is known."""
        fixed: list[Fixed] = []
        for prompt, thing, color, other in _CALIBRATION:
            explanation = f"This refers to a {color} {thing}. Is there {_a(thing)}? Is the {thing} {color}?"
            for shown, right in (((thing, color), True), (other, False)):
                target = {"prompt": prompt, "explanation": explanation, "picture": f"{shown[1]} {shown[0]}"}
                name = f"{thing}-{'right' if right else 'wrong'}"
                picture = Picture(f"{name}.png", lambda shown=shown: drawn(*shown))
                sample = Sample(name, prompt, (picture,), target=target)
                expected = int(right) if self.form is VERIFIED else {"consistency": 2 * int(right)}
                fixed.append(Fixed(sample, Prediction(name, kind="image"), expected))
        return fixed


def _a(thing: str) -> str:
    return f"{'an' if thing[0] in 'aeiou' else 'a'} {thing}"


GRADER: Final = WiseGrader(LEGACY)
VERIFIED_GRADER: Final = WiseGrader(VERIFIED)
