"""ImgEdit-Bench as a judge's task: one question an edit, by its type; three grades from 1 to 5.

imgedit_prompts.json holds protocol strings: it is PKU-YuanGroup/ImgEdit 547185d, Benchmark/Basic/prompts.json, byte
for byte (the repository states no licence).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from ...evals.types import Prediction, Sample
from ..judging.calibration import Fixed
from ..judging.task import Ask, Cut, Verdict
from . import imgedit_rules as rules
from . import shown

_FILE: Final = Path(__file__).with_name("imgedit_prompts.json")
CALLS: Final = 3
TOKENS: Final = 1000
DONE: Final = 3
"""A first grade from which on the calibration set counts an edit as carried out."""


@cache
def prompts() -> Mapping[str, str]:
    """Return the question for each type of edit."""
    return json.loads(_FILE.read_bytes())


@dataclass(frozen=True, slots=True)
class ImgEditGrader:
    """The judge's task. `sample.target` holds "type", the prompt is the instruction, the first picture the source.

    The verdict is {"grades": those of the reply, "done": whether the first is 3 or more}; None where three replies
    hold none from 1 to 5, or a limit of tokens cut grades off.
    """

    name: str = "imgedit_bench"

    @property
    def digest(self) -> str:
        return hashlib.sha256(_FILE.read_bytes()).hexdigest()[:8]

    def stand_in(self) -> str:
        """Start the grader by rule of the embedded world on this machine and return its base URL."""
        from .rule_grader import start

        return start()

    def step(self, sample: Sample, prediction: Prediction, replies: Sequence[str]) -> Ask | Verdict:
        found = rules.grades(replies[-1]) if replies else []
        lacks = bool(replies) and isinstance(replies[-1], Cut) and len(found) < rules.ASPECTS
        if rules.readable(found) and not lacks:
            odd = "" if len(found) == rules.ASPECTS else f"{len(found)} grades instead of {rules.ASPECTS}"
            return Verdict({"grades": found, "done": found[0] >= DONE}, odd)
        if len(replies) >= CALLS:
            return Verdict(None, f"no grades in {CALLS} replies, the last {replies[-1][:200]!r}")
        pictures = shown.pair(sample, prediction)
        if pictures is None:
            return Verdict(None, "invalid image: there is none")
        asked = prompts()[sample.target["type"]].replace("<edit_prompt>", sample.prompt)
        return Ask(asked, 1.0 if replies else 0.0, TOKENS, pictures=pictures)

    def calibration(self) -> Sequence[Fixed]:
        """Return eight edits of which it is known whether they were carried out."""
        targets = [{"type": each} for each in ("adjust", "remove", "replace", "add")]
        return shown.calibration(({"done": True}, {"done": False}), targets)


GRADER: Final = ImgEditGrader()
