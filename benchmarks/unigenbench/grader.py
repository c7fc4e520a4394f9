"""UniGenBench as a judge's task: the picture behind the makers' protocol text, asked up to three times.

asked.txt and checkpoints.json are protocol strings, byte for byte those of CodeGoat24/UniGenBench 49d0bce
(eval/src/eval_common.py, English; License.txt: CC BY 4.0, Copyright (C) 2025 Tencent).
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

CALLS: Final = 3
_TOKENS: Final = 4096
_CALIBRATION: Final = (
    *(("banana", "yellow", "car", "blue"), ("umbrella", "red", "cup", "green")),
    *(("cat", "black", "boat", "white"), ("clock", "white", "fork", "brown")),
)
"""What a prompt asks for, and what a wrong picture shows."""


@cache
def text() -> str:
    """Return the makers' protocol text, with {prompt}, {testpoint}, {explanation} and {test_explanation} to fill in."""
    return Path(__file__).with_name("asked.txt").read_bytes().decode()


@dataclass(frozen=True, slots=True)
class UniGenGrader:
    """The judge's task. `sample.target` holds "checkpoints" and "descriptions"; the verdict is a list of 0 and 1.

    The original states no temperature, which is 1 at its judge's service; it asks eleven times, here it is three.
    """

    name: str = "unigenbench"

    @property
    def digest(self) -> str:
        told = text() + "".join(f"{key}: {value}" for key, value in rules.checkpoints().items())
        return hashlib.sha256(told.encode()).hexdigest()[:8]

    def stand_in(self) -> str:
        """Start the grader by rule of the embedded world on this machine and return its base URL."""
        from .rule_grader import start

        return start()

    def step(self, sample: Sample, prediction: Prediction, replies: Sequence[str]) -> Ask | Verdict:
        kinds: Sequence[str] = sample.target["checkpoints"]
        found = rules.verdicts(replies[-1], len(kinds)) if replies else None
        if found is not None:
            return Verdict(found)
        if len(replies) >= CALLS:
            return Verdict(None, f"no {len(kinds)} verdicts in {CALLS} replies, the last {replies[-1][:200]!r}")
        pictures = sample.images if prediction.image is None else (Picture.file(prediction.image),)
        if not pictures:
            return Verdict(None, "invalid image: there is none")
        return Ask(asked(sample.prompt, kinds, sample.target["descriptions"]), 1.0, _TOKENS, "", pictures)

    def calibration(self) -> Sequence[Fixed]:
        """Return eight drawn pictures, four as asked and four of something else."""
        fixed: list[Fixed] = []
        kinds = ["World Knowledge", "Attribute - Color"]
        for thing, color, *other in _CALIBRATION:
            descriptions = [f"Is there a {thing}?", f"Is the {thing} {color}?"]
            for shown, met in (((thing, color), 1), (tuple(other), 0)):
                name = f"{thing}-{met}"
                picture = Picture(f"{name}.png", lambda shown=shown: drawn(*shown))
                target = {"checkpoints": kinds, "descriptions": descriptions, "picture": f"{shown[1]} {shown[0]}"}
                sample = Sample(name, f"a {color} {thing}", (picture,), target=target)
                fixed.append(Fixed(sample, Prediction(name, kind="image"), [met, met]))
        return fixed


def asked(prompt: str, kinds: Sequence[str], descriptions: Sequence[str]) -> str:
    """Return what is asked about a picture of a prompt, as the makers' script writes it."""
    explained = "".join(f"\n{kind}: {rules.checkpoints()[kind]}" for kind in kinds)
    described = "".join(f"\n{kind}: {each}" for kind, each in zip(kinds, descriptions, strict=True))
    return text().format(
        prompt=prompt,
        testpoint=list(kinds),
        explanation=f"Checkpoints Defination:\u300c{explained}\n\u300d",
        test_explanation=f"Checkpoints Description:\u300c{described}\n\u300d",
    )


GRADER: Final = UniGenGrader()
