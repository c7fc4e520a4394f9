"""UniGenBench as a judge's task: the picture behind the makers' protocol text, asked up to three times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ...evals.types import Picture, Prediction, Sample
from ..judging.calibration import Fixed
from ..judging.task import Ask, Verdict
from ..wise.by_rule import drawn
from . import rules
from .wording import CHINESE, ENGLISH, Wording

CALLS: Final = 3
_TOKENS: Final = 4096
_CALIBRATION: Final = (
    *(("banana", "yellow", "car", "blue"), ("umbrella", "red", "cup", "green")),
    *(("cat", "black", "boat", "white"), ("clock", "white", "fork", "brown")),
)
"""What a prompt asks for, and what a wrong picture shows."""


@dataclass(frozen=True, slots=True)
class UniGenGrader:
    """The judge's task. `sample.target` holds "checkpoints" and "descriptions"; the verdict is a list of 0 and 1.

    The original states no temperature, which is 1 at its judge's service; it asks eleven times, here it is three.
    """

    name: str = "unigenbench"
    wording: Wording = ENGLISH

    @property
    def digest(self) -> str:
        return self.wording.digest

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
        asked = self.wording.asked(sample.prompt, kinds, sample.target["descriptions"])
        return Ask(asked, 1.0, _TOKENS, "", pictures)

    def calibration(self) -> Sequence[Fixed]:
        """Return eight drawn pictures, four as asked and four of something else."""
        fixed: list[Fixed] = []
        wanted = ("World Knowledge", "Attribute - Color")
        called = {self.wording.english(each): each for each in self.wording.checkpoints}
        kinds = [called[each] for each in wanted]
        for thing, color, *other in _CALIBRATION:
            descriptions = [f"Is there a {thing}?", f"Is the {thing} {color}?"]
            for shown, met in (((thing, color), 1), (tuple(other), 0)):
                name = f"{thing}-{met}"
                picture = Picture(f"{name}.png", lambda shown=shown: drawn(*shown))
                target = {"checkpoints": kinds, "descriptions": descriptions, "picture": f"{shown[1]} {shown[0]}"}
                sample = Sample(name, f"a {color} {thing}", (picture,), target=target)
                fixed.append(Fixed(sample, Prediction(name, kind="image"), [met, met]))
        return fixed


GRADER: Final = UniGenGrader()
CHINESE_GRADER: Final = UniGenGrader("unigenbench_cn", CHINESE)
