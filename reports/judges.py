"""How far a run's judge can be trusted: its calibration as the run recorded it, and how two judges agree."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..evals.types import RunRecord, RunSpec, Score


@dataclass(frozen=True, slots=True)
class Agreement:
    """Two judges over the same outputs: `n` have both verdicts, `equal` the same, `without` one or none.

    `kappa` is Cohen's, weighted by the square of the difference: of two verdicts (0 and 1) the plain one. It is None
    where chance alone would agree always (one verdict for all).
    """

    n: int
    equal: int
    without: int
    kappa: float | None

    @property
    def text(self) -> str:
        """Return the agreement in words."""
        kappa = "none: all verdicts are one" if self.kappa is None else f"{self.kappa:.3f}".replace("-", "−")
        left = f"; {self.without} without a verdict in one of them" if self.without else ""
        return f"{self.equal} of {self.n} verdicts equal, Cohen's kappa (quadratic weights) {kappa}{left}."


def agreement(first: Sequence[Score], second: Sequence[Score]) -> Agreement:
    """Return how the scores of the same outputs agree, pair by pair."""
    pairs = [(a.value, b.value) for a, b in zip(first, second, strict=True)]
    known = [(a, b) for a, b in pairs if a is not None and b is not None]
    equal = sum(math.isclose(a, b, abs_tol=1e-9) for a, b in known)
    return Agreement(len(known), equal, len(pairs) - len(known), _kappa(known))


def _kappa(pairs: Sequence[tuple[float, float]]) -> float | None:
    """Return 1 - observed / expected square of the difference."""
    if not pairs:
        return None
    n = len(pairs)
    columns = list(zip(*pairs, strict=True))
    means = [math.fsum(column) / n for column in columns]
    spreads = [math.fsum((each - m) ** 2 for each in c) / n for c, m in zip(columns, means, strict=True)]
    expected = math.fsum(spreads) + (means[0] - means[1]) ** 2
    observed = math.fsum((a - b) ** 2 for a, b in pairs) / n
    return 1 - observed / expected if expected > 0 else None


def judged_twice(first: RunSpec, second: RunSpec) -> bool:
    """Say whether two runs hold the same outputs under different judges (detectors, VQA models)."""
    return first.predictions_key == second.predictions_key and first.evidence_key != second.evidence_key


def standings(records: Iterable[RunRecord]) -> list[str]:
    """Return a line for each run that recorded how its judge stood: calibration, drift, versions."""
    lines: list[str] = []
    for record in records:
        metrics, spec = record.metrics, record.spec
        if "judge/versions" not in metrics:
            continue
        who = next((str(spec.observer_card[key]) for key in ("judge", "grader") if key in spec.observer_card), "judge")
        told: list[str] = []
        calibration, drift = metrics.get("judge/calibration"), metrics.get("judge/drift")
        if calibration is not None and calibration.value is not None:
            told.append(f"{calibration.value:.0f} % of the {calibration.n} calibration items as expected")
        if drift is not None and drift.value:
            told.append(f"{drift.value:.0f} of them judged differently in the middle of the run")
        if (metrics["judge/versions"].value or 0) > 1:
            told.append(f"{metrics['judge/versions'].value:.0f} versions answered under its name")
        lines.append(f"Judge of {spec.model} on {spec.benchmark}, {who}: {'; '.join(told) or 'not calibrated'}.")
    return list(dict.fromkeys(lines))
