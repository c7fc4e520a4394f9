"""Whether a finished run is what it was: all between the model's outputs and the table is made again and compared."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import get_args

from . import verdicts
from .errors import UsageError
from .files import changed, named_digests
from .plugins import Suite
from .records import iter_scores, read_record
from .remade import suite_of, taken
from .runner import as_read, jobs_of
from .samples import fingerprint
from .stored import Stored
from .types import Evidence, Json, Kind, Metric, RunRecord, Sample, Score

_SLACK = 1e-9
"""What another machine's sums may differ by, in parts of a number."""


@dataclass(frozen=True, slots=True)
class Verified:
    """What was made again, and a line for each thing that came out otherwise than it is stored."""

    outputs: int
    scores: int
    metrics: int
    wrong: Sequence[str]

    def to_json(self) -> dict[str, Json]:
        """Return what `verify --json` prints of one run."""
        return {
            "outputs": self.outputs,
            "scores": self.scores,
            "metrics": self.metrics,
            "wrong": list(self.wrong),
            "whole": not self.wrong,
        }


def verify(folder: Path, options: Mapping[str, Json] | None = None) -> Verified:
    """Make scores, metrics and counts of a run again from its outputs and evidence, and compare with what is stored.

    The outputs are those whose digests the record names, each picture with its own; the data are those that were
    asked. `options` are the suite's beside the run's own. Raises UsageError for what is no finished run, or was
    changed so that it cannot be read, and where its data are not at hand.
    """
    record = read_record(folder)
    if record.state != "finished":
        raise UsageError(f"{folder} is {record.state}: only what is finished can be verified")
    suite = suite_of(folder, options)
    known = record.spec.benchmark_card.get("samples")
    if known is not None and known != fingerprint(record.spec.benchmark, suite.samples()):
        raise UsageError(f"{folder}: the data of {record.spec.benchmark} here are not those that were asked")
    card = record.spec.benchmark_card
    wrong = [
        f"the suite's {key} is stored as {card[key]}, it is {value}"
        for key, value in suite.card.items()
        if key in card and _json(card[key]) != _json(value)
    ]
    wrong += changed(folder)
    if not named_digests(folder):
        wrong.append("its record is of format 1 and has no checksum")
    samples = taken(suite, record.spec.limit)
    stored = Stored(folder)
    have = stored.predictions()
    given = {kind for kind, _, _ in have}
    kinds: list[Kind] = [each for each in get_args(Kind) if each in given]
    jobs = jobs_of(suite, samples, record.spec.seed, kinds)
    made = as_read(jobs, have, suite)
    observed = bool(record.spec.observer_card)
    evidence = stored.evidence(made) if observed else dict[tuple[str, str, int], Evidence]()
    again = verdicts.verdicts(jobs, made, evidence, suite, {}, "", observed=observed)
    wrong += stored.damage
    scores, differing = _compared(sorted(again, key=_place), list(iter_scores(folder)))
    wrong += differing
    whole, failed = record.spec.limit, (record.counts["errors"], record.counts.get("lasting", 0))
    numbers = verdicts.metrics(suite, samples, scores, whole, allow_unscored=False)
    remade = verdicts.record_of(record.spec, suite, jobs, made, evidence, scores, numbers, failed, {})
    moved = _metrics(record.metrics, numbers)
    if moved:  # the record does not tell whether the run was to keep what is not whole
        kept = verdicts.metrics(suite, samples, scores, whole, allow_unscored=True)
        moved = min(moved, _metrics(record.metrics, kept), key=len)
    wrong += moved
    wrong += _facts(record, remade)
    wrong += _derived(folder, suite, samples, evidence, again)
    return Verified(len(made), len(scores), len(record.metrics), wrong)


def _derived(
    folder: Path,
    suite: Suite,
    samples: Sequence[Sample],
    evidence: Mapping[tuple[str, str, int], Evidence],
    scores: Sequence[Score],
) -> list[str]:
    """Return the files of lines in which the suite tells others of a run (GenEval's results.jsonl), and which now say
    otherwise than its scores. Pictures made of pictures are not made again."""
    with tempfile.TemporaryDirectory() as name:
        suite.export(Path(name), samples, [], list(evidence.values()), scores)
        made = {path.relative_to(name): _lines_of(path) for path in sorted(Path(name).rglob("*.jsonl"))}
    there = [(folder / path, lines) for path, lines in made.items() if (folder / path).is_file()]
    return [f"{path} is not what the suite writes of this run" for path, lines in there if _lines_of(path) != lines]


def _lines_of(path: Path) -> list[bytes]:
    return sorted(line for line in path.read_bytes().split(b"\n") if line)


def _place(score: Score) -> tuple[str, int, str]:
    return score.sample_id, score.index, score.protocol


def _compared(again: Sequence[Score], stored: Sequence[Score]) -> tuple[list[Score], list[str]]:
    """Return the scores as they should be, with the stored reason where there is no verdict, and what differs."""
    scores: list[Score] = []
    wrong: list[str] = []
    for new, old in zip_longest(again, stored):
        if new is None or old is None or _place(new) != _place(old):
            told = ", ".join(f"{what} {_place(each)}" for what, each in (("made", new), ("stored", old)) if each)
            wrong.append(f"the scores are of other outputs than the run has: {told}")
            return list(again), wrong
        unscored = new.value is None and old.value is None
        scores.append(replace(new, reason=old.reason) if unscored else new)
        if not unscored and _plain(new) != _plain(old):
            wrong.append(
                f"{old.sample_id}/{old.index} {old.protocol}: its score is stored as {old.value} ({old.answer!r:.40}), "
                f"it is {new.value} ({new.answer!r:.40})"
            )
    return scores, wrong


def _plain(score: Score) -> tuple[Json, ...]:
    return score.value, _json(score.answer), score.unparsed, dict(score.tags), score.cluster, _json(score.details)


def _json(value: Json) -> Json:
    """Return a value as it comes back from JSON."""
    if isinstance(value, Mapping):
        return {str(key): _json(each) for key, each in value.items()}
    return [_json(each) for each in value] if isinstance(value, tuple | list) else value


def _metrics(stored: Mapping[str, Metric], again: Mapping[str, Metric]) -> list[str]:
    wrong: list[str] = []
    for key in sorted({*stored, *again}):
        old, new = stored.get(key), again.get(key)
        if old is None or new is None:
            wrong.append(f"{key} is {'not stored' if old is None else 'stored, and no metric of the suite'}")
        elif not _equal(old, new):
            wrong.append(f"{key} is stored as {_told(old)}, it is {_told(new)}")
    return wrong


def _equal(old: Metric, new: Metric) -> bool:
    pairs = [(old.value, new.value), (old.low, new.low), (old.high, new.high)]
    near = all(a == b or (a and b and math.isclose(a, b, rel_tol=_SLACK)) for a, b in pairs)
    return near and (old.n, old.absent, old.left_out) == (new.n, tuple(new.absent), tuple(new.left_out))


def _told(metric: Metric) -> str:
    value = "withheld" if metric.value is None else f"{metric.value:.10g}"
    bounds = "" if metric.low is None else f" [{metric.low:.6g}, {metric.high:.6g}]"
    return f"{value}{bounds} over {metric.n}" + (f" without {', '.join(metric.absent)}" if metric.absent else "")


def _facts(record: RunRecord, again: RunRecord) -> list[str]:
    wrong = [
        f"{key} is stored as {record.counts.get(key, 0)}, it is {again.counts.get(key, 0)}"
        for key in sorted({*record.counts, *again.counts})
        if record.counts.get(key, 0) != again.counts.get(key, 0)
    ]
    told = (("headline", record.headline, again.headline), ("complete", record.complete, again.complete))
    told += (("served", dict(record.served), dict(again.served)),)
    wrong += [f"{what} is stored as {old}, it is {new}" for what, old, new in told if old != new]
    missing = {*record.missing} ^ {*again.missing}
    return wrong + ([f"other outputs are missing than is said: {', '.join(sorted(missing)[:3])}"] if missing else [])
