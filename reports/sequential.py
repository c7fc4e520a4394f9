"""A gate that looks while a run is made: has its headline fallen by more than the tolerance, or is that ruled out?

Samples are asked in a random order, whole clusters at a time, so that what was asked is at any time a draw from the
suite. Of each cluster that was asked the number is how far it moved the headline: what the headline is made of with
the new run's scores in the place of the baseline's, less what the baseline's gave. These numbers are bounded, and
their mean is the headline's difference; `evals/betting.py` says when it is certain. This holds for headlines that are
means of scores from 0 to 1 (weighted ones, means of means too), which is checked, and not for F1.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

from ..evals import betting, members, registry, stats
from ..evals.errors import UsageError
from ..evals.plugins import Suite
from ..evals.stats import Estimate
from ..evals.types import RunSpec, Sample, Score
from . import baseline as stored
from .compare import Run, decimals, differing, number, served
from .gate import GateResult, Judged, RunResult, incomparable, judge, name_of
from .tolerances import Tolerances

LOOKS: Final = 10
_NEAR: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Look:
    """What is known after `asked` of `whole` clusters: the headline's difference, its bounds, whether it is certain.

    The bounds hold at all looks together with a chance of 1 - alpha.
    """

    verdict: Literal["fell", "held", "open"]
    asked: int
    whole: int
    difference: float
    low: float
    high: float


def in_turn(samples: Sequence[Sample], seed: int) -> list[list[str]]:
    """Return the samples' ids in the order in which a run that may stop asks them, as growing sets of whole clusters.

    The order is that of the SHA-256 of seed and cluster: it knows nothing of what the samples are. There are at most
    ten sets; the last is all.
    """
    clusters: dict[str, list[str]] = {}
    for each in samples:
        clusters.setdefault(each.cluster or each.id, []).append(each.id)
    drawn = sorted(clusters, key=lambda name: hashlib.sha256(f"{seed}:{name}".encode()).digest())
    ends = dict.fromkeys(math.ceil(len(drawn) * look / LOOKS) for look in range(1, LOOKS + 1))
    return [[name for cluster in drawn[:end] for name in clusters[cluster]] for end in ends]


class Walk:
    """The way from a baseline's headline to a new run's. Raises UsageError where the headline is no mean of scores."""

    def __init__(self, before: Run) -> None:
        spec = before.record.spec
        self.headline = before.record.headline
        self._who = f"{spec.model} on {spec.benchmark}"
        if not before.scores:
            raise UsageError(f"{self._who}: the baseline holds no scores (--no-scores): nothing to stop early by")
        self._suite: Suite = members.benchmark(registry.create("benchmarks", spec.benchmark), spec.benchmark)
        self._scores: dict[str, list[Score]] = {}
        for each in before.scores:
            self._scores.setdefault(stats.cluster(each), []).append(each)
        self._base = self._made({})
        self._check(before)
        low, high = self._made({}, 0.0), self._made({}, 1.0)
        ends = (low.value, low.floor), (high.value, high.ceiling)
        if not all(value is not None and abs(value - end) <= _NEAR * max(1, abs(end)) for value, end in ends):
            raise UsageError(self._no_mean)
        self._reach = {name: (low.parts[name][0], high.parts[name][0]) for name in self._base.parts}
        self._largest = max(top - bottom for bottom, top in self._reach.values())

    def _check(self, before: Run) -> None:
        """Raise UsageError where the baseline's headline is of no whole run, or is not what its scores give."""
        recorded, found = before.record.metrics.get(self.headline), self._base.value
        if not before.record.complete or recorded is None or recorded.value is None:
            raise UsageError(f"{self._who}: the baseline has no whole {self.headline}: write it from a whole run")
        if found is None or abs(found - recorded.value) > _NEAR * max(1, abs(recorded.value)):
            raise UsageError(
                f"{self._who}: the baseline says {self.headline} {recorded.value:g}, its scores give {found}: one of "
                "them was changed, or other rules made it; write it anew"
            )

    @property
    def _no_mean(self) -> str:
        return f"{self._who}: {self.headline} is no mean of scores from 0 to 1: a run cannot be stopped early by it"

    def _made(self, new: Mapping[str, Sequence[Score]], value: float | None = None) -> Estimate:
        """Return the headline of the baseline with `new` clusters in it, or with all scores set to `value`."""
        rows = [each for name, old in self._scores.items() for each in new.get(name, old)]
        if value is not None:
            rows = [each if each.value is None else replace(each, value=value) for each in rows]
        found = (self._suite.estimates(rows) or {}).get(self.headline)
        if found is None or found.value is None or not {*found.parts} <= {*self._scores}:
            raise UsageError(self._no_mean)
        return found

    def look(self, scores: Sequence[Score], ids: Collection[str], margin: float, alpha: float, *, lower: bool) -> Look:
        """Return what the scores of the samples `ids`, all that were asked so far, tell.

        `margin` is the forgiven drop in the headline's unit; `lower` says that less of it is better. A cluster
        without all its verdicts is left to the end. Raises UsageError where the headline is no mean.
        """
        there = {*ids}
        new: dict[str, list[Score]] = {}
        for each in scores:
            if each.sample_id in there and each.value is not None:
                new.setdefault(stats.cluster(each), []).append(each)
        new = {name: rows for name, rows in new.items() if _alike(rows, self._scores.get(name, ()))}
        made = self._made(new)
        for name, (part, _) in made.parts.items():
            bottom, top = self._reach.get(name, (math.inf, -math.inf))
            moved = abs(part - self._base.parts[name][0]) > _NEAR if name in self._base.parts else True
            if (moved and name not in new) or not bottom - _NEAR <= part <= top + _NEAR:
                raise UsageError(self._no_mean)
        asked = [name for name in self._base.parts if name in new]
        turn = -1.0 if lower else 1.0
        steps = [turn * (made.parts[name][0] - self._base.parts[name][0]) / self._largest for name in asked]
        return self._told([min(1.0, max(0.0, (step + 1) / 2)) for step in steps], margin, alpha, turn)

    def _told(self, values: Sequence[float], margin: float, alpha: float, turn: float) -> Look:
        """Return the verdict on steps from 0 (the furthest down that one cluster can go) over 0.5 (none) to 1."""
        whole = len(self._base.parts)
        unit = whole * self._largest  # a mean step of 1 would move the headline by so much
        at = (1 - margin / unit) / 2
        verdict = "open"
        if at >= 0 and betting.certain_below(values, at, alpha):
            verdict = "fell"
        elif at < 0 or betting.certain_above(values, at, alpha):
            verdict = "held"
        mean = math.fsum(values) / len(values) if values else 0.5
        most = math.fsum(top - bottom for bottom, top in self._reach.values())  # from nothing right to all
        ends = sorted(turn * (2 * end - 1) * unit for end in betting.interval(values, alpha))
        low, high = (min(most, max(-most, end)) for end in ends)
        return Look(verdict, len(values), whole, turn * (2 * mean - 1) * unit, low, high)


def _alike(new: Sequence[Score], old: Sequence[Score]) -> bool:
    """Return whether a cluster's new verdicts are on all that the baseline has verdicts on."""
    keys = [
        {(each.sample_id, each.index, each.protocol) for each in rows if each.value is not None} for rows in (new, old)
    ]
    return bool(keys[0]) and keys[0] == keys[1]


@dataclass(frozen=True, slots=True)
class Gate:
    """One run of a baseline, looked at while it is made again.

    Of the level that `gate` would give this run half is for the looks, and half for the ordinary gate where the run
    came to its end undecided: together they raise no more false alarms than the ordinary gate alone.
    """

    name: str
    before: Run
    walk: Walk
    rules: Tolerances
    level: float

    @classmethod
    def read(cls, baseline: Path, tolerances: Path | None, spec: RunSpec) -> Gate:
        """Read baseline and tolerances for a run that is to be `spec`. Raises UsageError where the two do not fit."""
        known = {name_of(run.record.spec): run for run in stored.read(baseline)}
        rules = Tolerances.read(tolerances)
        rules.check([(run.record.spec.benchmark, key) for run in known.values() for key in run.record.metrics])
        name = name_of(spec)
        if name not in known:
            raise UsageError(f"{baseline} knows no {name}, only {', '.join(known)}")
        before = known[name]
        problem = incomparable(differing(before.record.spec, spec), rules)
        if problem:
            raise UsageError(f"{name} against {baseline}: {problem}")
        if rules.watched(spec.benchmark, before.record.headline):
            raise UsageError(f"{name}: the headline is only watched: there is nothing to stop early by")
        return cls(name, before, Walk(before), rules, rules.alpha / len(known))

    def look(self, run: Run, asked: Collection[str]) -> tuple[GateResult | None, str]:
        """Return the result where it is certain from the samples `asked`, and what was seen in words."""
        bench, head = run.record.spec.benchmark, self.walk.headline
        margin, lower = self.rules.tolerance(bench, head), self.rules.lower_is_better(bench, head)
        alpha = self.level * self.rules.headline_share / 2
        found = self.walk.look(run.scores, asked, margin, alpha, lower=lower)
        before = self.before.record.metrics[head].value
        places = decimals(before, found.difference)
        moved, low, high = (number(each, places, sign=True) for each in (found.difference, found.low, found.high))
        told = f"{head} after {found.asked:,} of {found.whole:,}: {moved}, {low} to {high} at all looks together"
        counts = run.record.counts
        odd = served(self.before.record, run.record) or counts.get("other_model") or counts.get("other_judge")
        if found.verdict == "open" or odd:  # what a service changed the ordinary gate names at the end
            return None, told
        judged = Judged(
            metric=head,
            verdict="regression" if found.verdict == "fell" else "pass",
            before=before,
            after=None,  # of a part there is no such number: the reason tells what is certain
            level=alpha,
            tolerance=margin,
            reason=f"certain after {found.asked:,} of {found.whole:,}, {moved}: {low} to {high}",
        )
        return GateResult((RunResult(self.name, run.record.spec.signature, head, (judged,)),), self.rules.alpha), told

    def end(self, run: Run) -> GateResult:
        """Return the ordinary gate's result on the whole run."""
        return GateResult((judge(self.name, self.before, run, self.rules, self.level / 2),), self.rules.alpha)
