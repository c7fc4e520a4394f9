"""What a suite can show, before it is run: standard errors and the smallest difference, from its size alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from statistics import NormalDist

from ..evals.errors import UsageError
from ..evals.types import Json

LEVEL, POWER = 0.05, 0.8


@dataclass(frozen=True, slots=True)
class Design:
    """A run to be: so many prompts with so many `outputs` each, verdicts of 0 and 1 with the mean `value`.

    `correlation` is that of two outputs of one prompt, `likeness` that of two models' means of one prompt. The prompts
    are taken as one group: a suite that averages tasks is a little more exact than this where the tasks differ.
    """

    prompts: int
    outputs: float
    value: float = 0.5
    correlation: float = 0.5
    likeness: float = 0.5

    def __post_init__(self) -> None:
        for name in ("value", "correlation", "likeness"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"--{name} {getattr(self, name)}: expected a number from 0 to 1")
        if self.prompts < 2 or not self.outputs >= 1:
            raise UsageError(f"power: {self.prompts} prompts with {self.outputs:g} outputs tell nothing")

    @property
    def error(self) -> float:
        """Return the standard error of one model's number."""
        spread = self.value * (1 - self.value)
        return math.sqrt(spread * (self.correlation + (1 - self.correlation) / self.outputs) / self.prompts)

    def detectable(self, *, paired: bool) -> float:
        """Return the smallest true difference that a two-sided 5 percent test of two runs finds 4 times in 5."""
        normal = NormalDist()
        likeness = self.likeness if paired else 0.0
        steps = normal.inv_cdf(1 - LEVEL / 2) + normal.inv_cdf(POWER)
        return steps * math.sqrt(2 * (1 - likeness)) * self.error

    def prompts_for(self, difference: float) -> int:
        """Return how many prompts find the difference between paired runs."""
        return math.ceil(self.prompts * (self.detectable(paired=True) / share(difference)) ** 2)

    def repeats_for(self, difference: float) -> int | None:
        """Return how many runs with other seeds find it between paired runs; None where no number does."""
        share(difference)
        if replace(self, outputs=math.inf).detectable(paired=True) >= difference:
            return None
        count = 1
        while replace(self, outputs=self.outputs * count).detectable(paired=True) > difference:
            count += 1
        return count

    def to_json(self, difference: float) -> Mapping[str, Json]:
        """Return all of it."""
        return {
            "prompts": self.prompts,
            "outputs": self.outputs,
            "value": self.value,
            "correlation": self.correlation,
            "likeness": self.likeness,
            "standard_error": self.error,
            "detectable": self.detectable(paired=False),
            "detectable_paired": self.detectable(paired=True),
            "difference": share(difference),
            "prompts_needed": self.prompts_for(difference),
            "repeats_needed": self.repeats_for(difference),
        }


def share(difference: float) -> float:
    """Return the difference. Raises UsageError for one that is no share."""
    if not 0 < difference < 1:
        raise UsageError(f"--difference {difference}: expected a share between 0 and 1 (0.02 is two points of 100)")
    return difference


def told(design: Design, suite: str, difference: float) -> list[str]:
    """Return what `janus-eval power` prints."""
    row = design.to_json(difference)
    half = NormalDist().inv_cdf(0.975) * design.error
    enough = design.detectable(paired=True) <= difference
    repeats = design.repeats_for(difference)
    lines = [
        f"{suite}: {design.prompts} prompts, {design.outputs:g} outputs each; assumed: a level of {design.value:g}, "
        f"correlation {design.correlation:g} within a prompt, likeness {design.likeness:g} of the two models",
        f"  standard error of one number     {design.error:.4f} (interval ± {half:.4f})",
        f"  two runs, compared as numbers    show differences from {row['detectable']:.4f} on",
        f"  two runs, prompt by prompt       show differences from {row['detectable_paired']:.4f} on",
        f"  a difference of {difference:g}: {'found' if enough else 'not found'} 4 times in 5, prompt by prompt"
        + ("" if enough else f"; that takes {design.prompts_for(difference):,} prompts"),
    ]
    if not enough:
        more = "no number of repeats is enough" if repeats is None else f"or --repeats {repeats}"
        lines[-1] += f", {more}"
    return lines
