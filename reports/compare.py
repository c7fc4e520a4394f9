"""Two runs side by side: paired differences, flips, and the knobs in which they differ."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..evals import members, registry, stats
from ..evals.environment import harness_version
from ..evals.errors import UsageError
from ..evals.records import read_record, read_scores
from ..evals.stats import Difference, Estimate
from ..evals.types import PART, Json, Metric, RunRecord, RunSpec, Score
from .joined import by_key, key_of, must_be_alike, other_data, shared_scores
from .judges import agreement, judged_twice
from .render import render
from .standing import asides, marks, protocol
from .table import Cell, Format, Group, Head, Row, Table


@dataclass(frozen=True, slots=True)
class Run:
    """A finished run with its scores (none: only its record is known)."""

    record: RunRecord
    scores: Sequence[Score] = ()

    @classmethod
    def read(cls, folder: Path) -> Run:
        """Read a run folder. Raises UsageError where it is no finished run or damaged."""
        return cls(read_record(folder), read_scores(folder))


@dataclass(frozen=True, slots=True)
class Pairing:
    """The differences of two runs, metric by metric, the headline first.

    `differences` has None where a metric cannot be compared, `reasons` says why, or why a
    comparison is only unpaired. `shared` counts the scores that both runs have; `values` are the
    two runs' numbers, on the shared samples where they were paired.
    """

    differences: Mapping[str, Difference | None]
    reasons: Mapping[str, str]
    shared: int
    values: Mapping[str, tuple[float | None, float | None]] = field(default_factory=dict)


def pair(first: Run, second: Run) -> Pairing:
    """Compare second with first on what both have: paired by cluster where the benchmark says how.

    Raises UsageError where the runs are of different benchmarks, or an id names another sample in each.
    """
    names = [each.record.spec.benchmark for each in (first, second)]
    if names[0] != names[1]:
        raise UsageError(f"the runs are of different benchmarks: {names[0]} and {names[1]}")
    shared = shared_scores(first.scores, second.scores)
    must_be_alike(*shared)
    parts = [_estimates(run, each) if each else {} for run, each in zip((first, second), shared, strict=True)]
    differences: dict[str, Difference | None] = {}
    reasons: dict[str, str] = {}
    values: dict[str, tuple[float | None, float | None]] = {}
    for key in in_order(first.record):
        found, reason = _difference(first, second, key, parts)
        differences[key] = found
        if found is not None and found.paired:
            values[key] = (parts[0][key].value, parts[1][key].value)
        else:
            values[key] = (_recorded(first, key), _recorded(second, key))
        if reason:
            reasons[key] = reason
    return Pairing(differences, reasons, len(shared[0]), values)


def _recorded(run: Run, key: str) -> float | None:
    return run.record.metrics[key].value if key in run.record.metrics else None


def in_order(record: RunRecord) -> list[str]:
    """Return the metrics' keys: the headline, the others of its protocol, the other protocols.

    A number that is withheld is left out where it stands beside as that of a part.
    """
    head = headline(record)
    shown = [key for key in record.metrics if key + PART not in record.metrics]
    return sorted(shown, key=lambda key: (key != head, protocol(key) != protocol(head)))


def headline(record: RunRecord) -> str:
    """Return the key of the number that a run is judged by: the headline, or that of its part."""
    return record.headline + (PART if record.headline + PART in record.metrics else "")


def _difference(
    first: Run, second: Run, key: str, parts: Sequence[Mapping[str, Estimate]]
) -> tuple[Difference | None, str]:
    if key not in second.record.metrics:
        return None, "the second run has no such metric"
    values = [run.record.metrics[key] for run in (first, second)]
    if values[0].absent != values[1].absent:
        return None, "; ".join(f"the {which} run is {_over(each)}" for which, each in zip(ORDER, values, strict=True))
    if values[0].value is None or values[1].value is None:
        return None, "withheld in " + ("the first run" if values[0].value is None else "the second run")
    if key in parts[0] and key in parts[1]:
        found = stats.paired(parts[0][key], parts[1][key])
        if found is not None:
            return found, ""
    found = stats.unpaired(*values)
    if found is None and values[0].value == values[1].value:
        return Difference(0.0, 0.0, 1, 0.0, paired=False), "equal values"
    return found, "from the intervals alone" if found else "no interval in one of the runs"


ORDER = ("first", "second")


def _over(metric: Metric) -> str:
    return f"without {', '.join(metric.absent)}" if metric.absent else "whole"


def _estimates(run: Run, shared: Sequence[Score]) -> Mapping[str, Estimate]:
    """Return what the benchmark makes the metrics of, on the shared scores.

    Empty where the benchmark is not installed, does not offer `estimates`, or no longer computes
    the recorded values (the run was made with other rules): then only the intervals are compared.
    Raises UsageError where this very version does not: the record or its scores were changed.
    """
    name = run.record.spec.benchmark
    try:
        suite = members.benchmark(registry.create("benchmarks", name), name)
    except UsageError:
        return {}
    found = suite.estimates(shared)
    if found is None:
        return {}
    whole = found if len(shared) == len(run.scores) else suite.estimates(by_key(run.scores)) or {}
    agree: dict[str, Estimate] = {}
    for key, metric in run.record.metrics.items():
        base = key.removesuffix(PART)
        if _agrees(whole.get(base), metric):
            agree |= {key: found[base]} if base in found else {}  # a protocol that the other run has not
        elif metric.value is not None and base in whole and run.record.spec.version == harness_version():
            raise UsageError(
                f"{run.record.spec.model} on {name}: the record says {key} {metric.value:g}, its scores give "
                f"{whole[base].value}: one of them was changed; run its command again"
            )
    return agree


def _agrees(estimate: Estimate | None, metric: Metric) -> bool:
    recorded = metric.value
    if estimate is None or estimate.value is None or recorded is None:
        return False
    return abs(estimate.value - recorded) <= 1e-9 * max(1.0, abs(recorded))


# -- knobs --------------------------------------------------------------------------------------------


def knobs(spec: RunSpec) -> dict[str, str]:
    """Return every knob of a run as text, nested ones joined by dots: m. model, b. benchmark, o. observer."""
    found = {"model": spec.model, "benchmark": spec.benchmark, "seed": str(spec.seed), "limit": spec.limit or "all"}
    found |= {"tag": spec.tag} if spec.tag else {}
    found |= {"step": str(spec.step)} if spec.step is not None else {}
    cards = (
        *(("m", spec.model_card), ("m.option", spec.model_options)),
        *(("b", spec.benchmark_card), ("b.option", spec.benchmark_options)),
        *(("o", spec.observer_card), ("o.option", spec.observer_options)),
    )
    for prefix, card in cards:
        found.update(_flat(prefix, card))
    return {**found, "janus-eval": spec.version}


def _flat(prefix: str, value: Json) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for key in sorted(value, key=str):
            yield from _flat(f"{prefix}.{key}", value[key])
    elif isinstance(value, Mapping):
        return
    else:
        yield prefix, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def differing(first: RunSpec, second: RunSpec) -> dict[str, tuple[str, str]]:
    """Return each knob in which two runs differ, with both settings ("-" where a run has none)."""
    mine, yours = knobs(first), knobs(second)
    names = dict.fromkeys([*mine, *yours])
    return {key: (mine.get(key, "-"), yours.get(key, "-")) for key in names if mine.get(key) != yours.get(key)}


def served(first: RunRecord, second: RunRecord) -> dict[str, tuple[str, str]]:
    """Return as what else a service says that it asked: the models of two runs, where both tell and they differ.

    Records of before tell nothing of it.
    """
    names = [key for key in first.served if key in second.served]
    told = {f"served.{key}": (_served(first, key), _served(second, key)) for key in names}
    return {key: both for key, both in told.items() if both[0] != both[1]}


def _served(record: RunRecord, key: str) -> str:
    return ", ".join(record.served.get(key, ())) or "-"


def explain(first: Path, second: Path, *, form: Format = "text", width: int | None = None) -> str:
    """Return what `janus-eval explain A B` prints: each knob that differs, then the environment."""
    records = [read_record(each) for each in (first, second)]
    specs = [record.spec for record in records]
    moved = differing(specs[0], specs[1]) | served(records[0], records[1])
    rows = [Row((Cell(k), Cell(a), Cell(b))) for k, (a, b) in moved.items()]
    around = [dict(_flat("", {**record.environment, "versions": list(record.versions)})) for record in records]
    outside = [
        Row((Cell(key.removeprefix(".")), Cell(around[0].get(key, "-")), Cell(around[1].get(key, "-"))))
        for key in dict.fromkeys([*around[0], *around[1]])
        if around[0].get(key) != around[1].get(key)
    ]
    said = (f"{len(rows)} knobs differ" if len(rows) > 1 else "1 knob differs") if rows else _no_knob(records[0])
    notes = [said + ".", *(f"{name}: {spec.signature}" for name, spec in zip("AB", specs, strict=True))]
    groups = [Group("Knobs (they enter the signature)", tuple(rows)), Group("Environment", tuple(outside))]
    heads = (Head("knob", "Knob", number=False), Head("a", "A", number=False), Head("b", "B", number=False))
    shown = tuple(group for group in groups if group.rows)
    signatures = tuple(spec.signature for spec in specs)
    return render([Table("explain", "What differs", heads, shown, tuple(notes), 1, signatures)], form, width=width)


# -- compare ------------------------------------------------------------------------------------------


def compare(first: Path, second: Path, *, form: Format = "text", flips: int = 20, width: int | None = None) -> str:
    """Return what `janus-eval compare A B` prints: differences, flips (at most `flips` each way), knobs.

    Raises UsageError where the runs are of different benchmarks or share no sample.
    """
    before, after = Run.read(first), Run.read(second)
    pairing = pair(before, after)
    if not pairing.shared:
        raise UsageError(f"{first} and {second} share no sample: nothing to compare")
    return render(
        [_differences(before, after, pairing), _flips(before, after, flips), _knobs(before, after)], form, width=width
    )


def _differences(first: Run, second: Run, pairing: Pairing) -> Table:
    heads = (
        Head("metric", "Metric", number=False),
        Head("a", "A"),
        Head("b", "B"),
        Head("difference", "B - A"),
        Head("interval", "95 % interval"),
        Head("p", "p"),
        Head("detectable", "Could have shown", light=1),
        Head("verdict", "Verdict", number=False),
    )
    rows: list[Row] = []
    for key, difference in pairing.differences.items():
        found = pairing.values[key]
        places = decimals(*found)
        shown = [number(each, places) for each in found]
        if difference is None:
            blanks = [Cell("-")] * 4
            said = "not comparable: " + pairing.reasons[key]
        else:
            low, high = (number(each, places, sign=True) for each in (difference.low, difference.high))
            detectable = difference.detectable() if difference.deviation else None
            blanks = [
                Cell(number(difference.value, places, sign=True), difference.value),
                Cell(f"[{low}, {high}]"),
                Cell(f"{difference.p:.3f}" if difference.p >= 0.001 else "<0.001", difference.p),
                Cell(number(detectable, places), detectable),
            ]
            said = "no difference shown"
            if difference.p < 0.05:
                said = "B is higher" if difference.value > 0 else "B is lower"
            said += "" if difference.paired else f" ({pairing.reasons.get(key, 'unpaired')})"
        rows.append(Row((Cell(key), Cell(shown[0]), Cell(shown[1]), *blanks, Cell(said))))
    notes = [
        f"On the {pairing.shared} scores that both runs have (A has {len(first.scores)}, B has {len(second.scores)}).",
        *other_data(first.record.spec, second.record.spec),
        "Paired by what samples share (prompt, image); p: two-sided, each metric by itself.",
        "Could have shown: the smallest true difference that this pair finds 4 times in 5.",
    ]
    if judged_twice(first.record.spec, second.record.spec):
        under = _protocol(first)
        both = shared_scores(
            *([each for each in run.scores if each.protocol in (under, "")] for run in (first, second))
        )
        notes.append(f"The same outputs under two judges: {agreement(*both).text}")
    for name, run in zip("AB", (first, second), strict=True):
        flags = [*marks(run.record), *asides(run.record)]
        notes.append(f"{name}{' (' + ', '.join(flags) + ')' if flags else ''}: {run.record.spec.signature}")
    signatures = tuple(run.record.spec.signature for run in (first, second))
    groups = (Group("", tuple(rows)),)
    return Table("differences", "Differences", heads, groups, tuple(notes), signatures=signatures)


def decimals(*values: float | None) -> int:
    """Return how many decimals a metric is shown with: four for shares, two for percents and points."""
    return 4 if all(value is None or abs(value) <= 1 for value in values) else 2


def number(value: float | None, places: int, *, sign: bool = False) -> str:
    """Return a value as text, with a true minus sign; "-" for none."""
    if value is None:
        return "-"
    text = f"{value:+.{places}f}" if sign else f"{value:.{places}f}"
    return text.replace("-", "−")


def _protocol(run: Run) -> str:
    """Return the protocol of a run's headline."""
    named = {each.protocol for each in run.scores if run.record.headline.startswith(each.protocol + "/")}
    return max(named, key=len, default=protocol(run.record.headline))  # a scorer's name may hold slashes


def _flips(first: Run, second: Run, most: int) -> Table:
    under = _protocol(first)
    before = {key_of(each): each for each in first.scores if each.protocol in (under, "")}
    found: dict[str, list[Row]] = {"Worse in B": [], "Better in B": [], "A verdict in one run only": []}
    for score in sorted(second.scores, key=key_of):
        old = before.get(key_of(score))
        if old is None or old.value == score.value:
            continue
        if old.value is None or score.value is None:
            place = "A verdict in one run only"
        else:
            place = "Better in B" if score.value > old.value else "Worse in B"
        cells = (Cell(f"{score.sample_id}/{score.index}"), Cell(_said(old)), Cell(_said(score)))
        found[place].append(Row(cells))
    heads = (Head("sample", "Sample", number=False), Head("a", "A", number=False), Head("b", "B", number=False))
    groups = tuple(Group(f"{name} ({len(rows)})", tuple(rows[:most])) for name, rows in found.items() if rows)
    notes = [f"Under {under}: " + ", ".join(f"{name} {len(rows)}" for name, rows in found.items()) + "."]
    if any(len(rows) > most for rows in found.values()):
        notes.append(f"The first {most} of each are shown; --flips N shows more.")
    return Table("flips", "Flips", heads, groups, tuple(notes))


def _said(score: Score) -> str:
    value = "no verdict" if score.value is None else f"{score.value:g}"
    answer = "" if score.answer is None else json.dumps(score.answer, ensure_ascii=False)
    text = ": ".join(each for each in (value, answer, score.reason) if each)
    return text if len(text) <= 100 else text[:99] + "…"


def _no_knob(record: RunRecord) -> str:
    """Return what two runs of one signature are to each other: not equal where a service drew with seeds of its own."""
    drawn = "service" in str(record.spec.model_card.get("seed", "")) and "paid" in record.environment
    said = "No knob differs: the two runs have one signature"
    return f"{said}, but the service takes no seed: no two of its runs are equal" if drawn else said


def _knobs(first: Run, second: Run) -> Table:
    heads = (Head("knob", "Knob", number=False), Head("a", "A", number=False), Head("b", "B", number=False))
    found = differing(first.record.spec, second.record.spec) | served(first.record, second.record)
    rows = tuple(Row((Cell(key), Cell(a), Cell(b))) for key, (a, b) in found.items())
    notes = () if rows else (_no_knob(first.record) + ".",)
    return Table("knobs", "Knobs that differ", heads, (Group("", rows),) if rows else (), notes)
