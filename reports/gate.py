"""`janus-eval gate`: runs against a baseline, a verdict for each metric, an exit code for CI.

A regression is called where a one-sided test says that the metric truly fell by more than its
tolerance. All tests of one gate share `alpha`, the chance of a false alarm when nothing has
changed: it is divided evenly among the runs; within a run the headline metric is tested at
`headline_share` of it and the other metrics divide the rest by Holm's procedure. The test is
paired, cluster by cluster (prompt, image), where baseline and run hold scores of the same samples
and the benchmark says how its metrics are made; else it rests on the two intervals.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

from ..evals import stats
from ..evals.environment import seconds
from ..evals.errors import Incomplete, UsageError
from ..evals.records import find_runs
from ..evals.stats import Difference
from ..evals.types import RunRecord, RunSpec
from . import baseline as stored
from .compare import Pairing, Run, decimals, differing, headline, in_order, number, pair, served
from .tolerances import Tolerances

Verdict = Literal["pass", "regression", "improvement", "not comparable", "incomplete", "watched", "new"]
EXIT: Mapping[str, int] = {"pass": 0, "regression": 3, "incomplete": 5}


@dataclass(frozen=True, slots=True)
class Judged:
    """One metric of one run: its verdict and what it rests on. `fell` is the forgiven drop."""

    metric: str
    verdict: Verdict
    before: float | None
    after: float | None
    difference: Difference | None = None
    level: float = 0.0
    tolerance: float = 0.0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class RunResult:
    """One run against its baseline: why it could not be judged as a whole (`problem`), how long it took."""

    name: str
    signature: str
    headline: str
    metrics: tuple[Judged, ...] = ()
    problem: str = ""
    seconds: float | None = None

    @property
    def outcome(self) -> Literal["pass", "regression", "incomplete"]:
        """Return the worst verdict: a regression, else incomplete, else pass."""
        verdicts = {each.verdict for each in self.metrics}
        if "regression" in verdicts:
            return "regression"
        head = next((each for each in self.metrics if each.metric == self.headline), None)
        if self.problem or "incomplete" in verdicts or head is None or head.verdict == "not comparable":
            return "incomplete"
        return "pass"


@dataclass(frozen=True, slots=True)
class GateResult:
    """What a gate decided. `exit_code`: 0 pass, 3 regression, 5 incomplete."""

    runs: tuple[RunResult, ...]
    alpha: float

    @property
    def outcome(self) -> Literal["pass", "regression", "incomplete"]:
        outcomes = {run.outcome for run in self.runs}
        if "regression" in outcomes:
            return "regression"
        return "pass" if outcomes == {"pass"} else "incomplete"

    @property
    def exit_code(self) -> int:
        return EXIT[self.outcome]


def gate(runs: Iterable[Path], baseline: Path, tolerances: Path | None = None) -> GateResult:
    """Judge run folders (or folders that hold many) against a baseline file.

    Raises UsageError for a baseline that cannot be read or does not know a run or a tolerance's
    metric. A run of the baseline that was not given is incomplete, never passed over.
    """
    known = {name_of(run.record.spec): run for run in stored.read(baseline)}
    rules = Tolerances.read(tolerances)
    rules.check([(run.record.spec.benchmark, key) for run in known.values() for key in run.record.metrics])
    given: dict[str, Run] = {}
    unfinished: list[str] = []
    for folder in finished(runs, unfinished):
        run = Run.read(folder)
        name = name_of(run.record.spec)
        if name not in known:
            raise UsageError(
                f"{baseline} knows no {name}, only {', '.join(known)}; add it with --update, naming all runs"
            )
        if name in given:
            raise UsageError(f"two runs of {name}: #{given[name].record.spec.digest} and #{run.record.spec.digest}")
        given[name] = run
    level = rules.alpha / len(known)
    results = [
        judge(name, before, given[name], rules, level)
        if name in given
        else RunResult(name, before.record.spec.signature, headline(before.record), problem=_lost(unfinished))
        for name, before in known.items()
    ]
    return GateResult(tuple(results), rules.alpha)


def _lost(unfinished: Sequence[str]) -> str:
    return "no finished run" + (f" (unfinished: {', '.join(unfinished)})" if unfinished else " was given")


def finished(paths: Iterable[Path], unfinished: list[str]) -> list[Path]:
    """Return the finished runs; name those that were begun and never ended in `unfinished`."""
    found: list[Path] = []
    for path in paths:
        begun = [path, *sorted(each for each in path.glob("*") if each.is_dir())]
        begun = [each for each in begun if (each / "spec.json").exists() and not (each / "record.json").exists()]
        unfinished += [str(each) for each in begun]
        if begun and not (path / "record.json").exists() and not any(path.glob("*/record.json")):
            continue
        found += find_runs([path])
    return found


def update(runs: Iterable[Path], baseline: Path, *, scores: bool = True) -> int:
    """Write the baseline from finished runs and return how many. Raises Incomplete for one that is not whole."""
    unfinished: list[str] = []
    folders = finished(runs, unfinished)
    if unfinished:
        raise Incomplete(f"{unfinished[0]} never ended: no baseline is written; run its command again")
    read = [Run.read(each) for each in folders]
    for run in read:
        problem = _unfit(run.record)
        if problem:
            raise Incomplete(f"{name_of(run.record.spec)}: {problem}: no baseline is written")
    names = [name_of(run.record.spec) for run in read]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise UsageError(f"two runs of {twice}: name the one that shall be the baseline")
    if not read:
        raise UsageError("no run was given")
    stored.write(baseline, read, scores=scores)
    return len(read)


def name_of(spec: RunSpec) -> str:
    """Return the name by which a gate knows a run."""
    return f"{spec.model} on {spec.benchmark}"


def _unfit(record: RunRecord) -> str:
    """Return why a run cannot be judged, "" where it can."""
    counts = record.counts
    if not counts.get("scored"):
        return "no sample was scored"
    if not record.complete:
        missing = counts.get("expected", 0) - counts.get("predicted", 0)
        return f"incomplete: {missing} outputs missing, {counts.get('unscored', 0)} unscored"
    if counts.get("other_model") or counts.get("other_judge"):
        return "the service changed its model in the middle (see show)"
    head = record.metrics.get(headline(record))
    if head is None or head.value is None or not math.isfinite(head.value):
        return f"no number for {record.headline}"
    return ""


_UNSEALED = (
    "unsealed: its record has no checksum (format 1), so that an edit of it would not be seen; run the same command"
    " again: what it made is used again, and the new record is sealed"
)


def judge(name: str, before: Run, after: Run, rules: Tolerances, level: float) -> RunResult:
    """Judge one run against its baseline at the family-wise level `level`."""
    spec = after.record.spec
    sealed = "" if before.record.sealed and after.record.sealed else " (unsealed: a record of format 1 is in it)"
    result = RunResult(
        name, spec.signature + sealed, headline(before.record), seconds=seconds(after.record.environment)
    )
    problem = _unfit(after.record) or ("" if after.record.sealed else _UNSEALED)
    problem = problem or incomparable(differing(before.record.spec, spec) | served(before.record, after.record), rules)
    if problem:
        return replace(result, problem=problem)
    metrics = verdicts(before.record, after.record, pair(before, after), rules, level)
    if all(each.verdict in ("watched", "new") for each in metrics):
        return replace(result, problem="nothing is judged: every metric is only watched (watch, in the tolerances)")
    return replace(result, metrics=tuple(metrics))


def incomparable(moved: Mapping[str, tuple[str, str]], rules: Tolerances) -> str:
    """Return why runs that differ in these knobs are not comparable, "" where all of them may differ."""
    changed = {key: both for key, both in moved.items() if not any(fnmatchcase(key, each) for each in rules.knobs)}
    said = "; ".join(f"{key} was {old}, is {new}" for key, (old, new) in changed.items())
    return f"not comparable: {said}" if changed else ""


def verdicts(before: RunRecord, after: RunRecord, pairing: Pairing, rules: Tolerances, level: float) -> list[Judged]:
    """Return the verdict on each metric of a comparable pair, the headline first."""
    bench = before.spec.benchmark
    tested: dict[str, Difference] = {}
    for key, difference in pairing.differences.items():
        if difference is not None and not rules.watched(bench, key):
            tested[key] = difference.turned() if rules.lower_is_better(bench, key) else difference
    falls = {key: each.p_below(rules.tolerance(bench, key)) for key, each in tested.items()}
    rises = {key: each.p_above() for key, each in tested.items()}
    head = headline(before)
    first = level * rules.headline_share if head in tested else 0.0
    fallen, risen = (_rejected(ps, head, first, level) for ps in (falls, rises))
    rest = (level - first) / max(1, len(tested) - bool(first))
    found: list[Judged] = []
    for key in in_order(before):
        metric, now = before.metrics[key], after.metrics.get(key)
        value = None if now is None else now.value
        verdict, reason = _verdict(key, metric.value, value, pairing, fallen=fallen, risen=risen, tested=tested)
        found.append(
            Judged(
                metric=key,
                verdict=verdict,
                before=metric.value,
                after=value,
                difference=pairing.differences[key],
                level=first if key == head else rest,
                tolerance=rules.tolerance(bench, key),
                reason=reason,
            )
        )
    fresh = [key for key in in_order(after) if key not in before.metrics]
    found += [Judged(key, "new", None, after.metrics[key].value) for key in fresh]
    return found


def _rejected(ps: Mapping[str, float], head: str, first: float, level: float) -> set[str]:
    others = {key: p for key, p in ps.items() if key != head or not first}
    found = stats.holm(others, level - first)
    return found | ({head} if first and ps[head] <= first else set())


def _verdict(
    key: str,
    before: float | None,
    after: float | None,
    pairing: Pairing,
    *,
    fallen: set[str],
    risen: set[str],
    tested: Mapping[str, Difference],
) -> tuple[Verdict, str]:
    reason = pairing.reasons.get(key, "")
    if before is not None and (after is None or not math.isfinite(after)):
        return "incomplete", "the run has no such metric" if after is None else f"{after} is no number"
    if pairing.differences[key] is None:
        return "not comparable", reason
    if key not in tested:
        return "watched", reason
    if key in fallen:
        return "regression", reason
    return ("improvement" if key in risen else "pass"), reason


def line(judged: Judged) -> str:
    """Return one metric's verdict in words, for annotations and failure messages."""
    places = decimals(judged.before, judged.after)
    text = f"{judged.metric}: {judged.verdict}, {number(judged.before, places)} to {number(judged.after, places)}"
    if judged.difference is not None:
        moved, low, high = (
            number(each, places, sign=True)
            for each in (judged.difference.value, judged.difference.low, judged.difference.high)
        )
        text += f" ({moved}, 95 % interval {low} to {high})"
    return text + (f"; {judged.reason}" if judged.reason else "")
