"""Runs that differ in their seed alone: mean, spread and standard error of each number, and pass@k of their outputs."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ..evals.errors import UsageError
from ..evals.records import find_runs
from ..evals.stats import standard_error
from ..evals.types import PART, RunSpec
from .compare import Run, decimals, in_order, number, protocol
from .names import label
from .render import render
from .standing import asides, marks
from .table import Cell, Format, Group, Head, Row, Table


def repeats(folders: Iterable[Path], *, form: Format = "text", width: int | None = None) -> str:
    """Return what `janus-eval repeats RUN ...` prints: a table for the runs of each model on each suite.

    Raises UsageError where there is no run, one that has not ended, or two that differ not even in their seed.
    """
    groups: dict[str, list[Run]] = {}
    names: dict[int, Path] = {}
    for folder in find_runs(folders):
        run = Run.read(folder)
        group = groups.setdefault(_but_seed(run.record.spec), [])
        spec = run.record.spec
        for other in group:
            if other.record.spec.seed == spec.seed:
                raise UsageError(
                    f"two runs of {spec.model} on {spec.benchmark} with the seed {spec.seed}, {names[id(other)]} and "
                    f"{folder}: no repeat of one another; name one of them"
                )
        names[id(run)] = folder
        group.append(run)
    if not groups:
        raise UsageError("no finished run there: nothing to take together")
    tables = [table for number, runs in enumerate(groups.values()) for table in _tables(runs, number)]
    return render(tables, form, width=width)


def _but_seed(spec: RunSpec) -> str:
    row = {key: value for key, value in spec.to_json().items() if key not in ("seed", "version", "scoring")}
    return repr(sorted(row.items(), key=lambda each: each[0]))


def _tables(runs: Sequence[Run], place: int) -> list[Table]:
    record = runs[0].record
    seeds = sorted(run.record.spec.seed for run in runs)
    title = f"{label(record)} on {record.spec.benchmark}: {len(runs)} run{'s' * (len(runs) > 1)}"
    heads = (
        Head("metric", "Metric", number=False),
        Head("mean", "Mean"),
        Head("deviation", "SD of runs"),
        Head("error", "SE of mean"),
        Head("own", "SE of one run"),
    )
    rows = [row for key in in_order(record) if (row := _row(key, runs)) is not None]
    notes = [
        f"Seeds: {', '.join(map(str, seeds))}. SD of runs: what another seed alone moves; SE of mean: that, divided by "
        "the root of their number.",
        "SE of one run: of its own interval, over prompts and pictures: what other prompts move.",
    ]
    flags = sorted({each for run in runs for each in (*marks(run.record), *asides(run.record))})
    notes += [f"Among them: {', '.join(flags)}."] if flags else []
    found = [Table(f"repeats{place or ''}", title, heads, (Group("", tuple(rows)),), tuple(notes))]
    passed = pass_at(runs)
    if passed:
        passes = [
            Row((Cell(f"pass@{k}"), Cell(number(value, 4), value), Cell(number(error, 4), error)))
            for k, (value, error) in passed.items()
        ]
        whole, every = len(_verdicts(runs)), len({each.sample_id for run in runs for each in run.scores})
        left = f" ({every - whole} more lack a verdict)" if every > whole else ""
        told = f"Chance that one of k outputs of a prompt is right, over {whole} prompts{left}, without bias."
        columns = (Head("k", "pass@k", number=False), Head("value", "Value"), Head("error", "SE"))
        found.append(Table(f"pass{place or ''}", f"pass@k, {title}", columns, (Group("", tuple(passes)),), (told,)))
    return found


def _row(key: str, runs: Sequence[Run]) -> Row | None:
    metrics = [run.record.metrics.get(key) for run in runs]
    values = [each.value for each in metrics if each is not None and each.value is not None]
    if len(values) < len(runs):
        return (
            None if key.endswith(PART) or not values else Row((Cell(key), Cell("withheld in some"), *[Cell("-")] * 3))
        )
    own = [error for each in metrics if each is not None and (error := standard_error(each)) is not None]
    spread = statistics.stdev(values) if len(values) > 1 else None
    error = None if spread is None else spread / math.sqrt(len(values))
    mean = statistics.fmean(values)
    places = decimals(mean) + 1
    middle = statistics.fmean(own) if len(own) == len(runs) else None
    cells = [Cell(number(each, places), each) for each in (mean, spread, error, middle)]
    return Row((Cell(key), *cells))


def pass_at(runs: Sequence[Run]) -> Mapping[int, tuple[float, float]]:
    """Return pass@k with its standard error for k = 1, 2, 4 ... and all; nothing where verdicts are no 0 and 1.

    The estimator of Chen et al. 2021 (arXiv 2107.03374): 1 - C(n - c, k) / C(n, k), a prompt of n outputs of which c
    are right. k goes to the fewest outputs that a prompt has; prompts with an output without a verdict are left out.
    """
    prompts = _verdicts(runs)
    if not prompts or any(value not in (0.0, 1.0) for values in prompts.values() for value in values):
        return {}
    most = min(map(len, prompts.values()))
    ks = sorted({1 << power for power in range(most.bit_length()) if 1 << power <= most} | {most})
    found: dict[int, tuple[float, float]] = {}
    for k in ks if most > 1 else ():
        shares = [1 - math.comb(len(v) - int(sum(v)), k) / math.comb(len(v), k) for v in prompts.values()]
        error = statistics.stdev(shares) / math.sqrt(len(shares)) if len(shares) > 1 else math.nan
        found[k] = (statistics.fmean(shares), error)
    return found


def _verdicts(runs: Sequence[Run]) -> dict[str, list[float]]:
    """Return the headline's verdicts by sample, of all runs; without samples that lack one."""
    found: dict[str, list[float | None]] = {}
    for run in runs:
        named = {each.protocol for each in run.scores if run.record.headline.startswith(each.protocol + "/")}
        under = max(named, key=len, default=protocol(run.record.headline))
        for each in run.scores:
            if each.protocol in (under, ""):
                found.setdefault(each.sample_id, []).append(each.value)
    whole = {name: [value for value in values if value is not None] for name, values in found.items()}
    return {name: values for name, values in whole.items() if len(values) == len(found[name])}
