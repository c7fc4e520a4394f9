"""What the terminal shows of one run when it ends."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from ..evals import stats
from ..evals.files import STREAMS, named_digests
from ..evals.records import iter_scores
from ..evals.stored import Stored
from ..evals.types import CUT, PART, Json, Metric, RunRecord
from ..evals.where import mixed, others_than
from .fit import fold
from .text import short, some


def run_summary(record: RunRecord, folder: Path, *, width: int | None = None, whole: bool = False) -> list[str]:
    """Return the lines printed after a run: every metric with its interval, the counts, the signature.

    They fit `width`; the signature is shown by its end, with `whole` all of it on one line.
    """
    lines = _told(record, folder)
    folded = [each for line in lines for each in ([line] if width is None else _folded(line, width))]
    metrics = metric_lines(record.metrics, record.headline, width=width)
    signature = record.spec.signature if whole else f"{short(record.spec.signature)} (janus-eval show tells all of it)"
    return [folded[0], "", *metrics, "", *folded[1:], f"signature: {signature}", f"run: {folder}"]


def _folded(line: str, width: int) -> list[str]:
    """Return a line in lines that fit; the further ones stand in."""
    bare = line.lstrip(" ")
    start = line[: len(line) - len(bare)]
    first, *more = fold(bare, max(20, width - len(start)), "  ")
    return [start + first, *(start + each for each in more)]


def _told(record: RunRecord, folder: Path) -> list[str]:
    """Return what stands around the metrics: whose they are, then the counts and what to know of them."""
    counts = record.counts
    lines = [f"{record.spec.model} on {record.spec.benchmark}"]
    shown = ("expected", "scored", "unparsed", "cut", "unscored", "invalid_images", "errors", "lasting", "refused")
    shown += ("blank", "other_model", "other_judge", "rewritten", "resized")
    shown += tuple(key for key in counts if key.startswith("reasoning_"))
    lines.append("  ".join(f"{key}={counts[key]}" for key in shown if counts.get(key) or key in ("expected", "scored")))
    if any(each.low is not None for each in record.metrics.values()):
        lines.append(f"intervals: {stats.METHOD}")
    if record.spec.limit:
        lines.append(f"LIMITED to {record.spec.limit}: not comparable with a whole run")
    if counts.get("cut"):
        lines.append(_cut(record, folder))
    lines += [f"served as: {'; '.join(_served(record))}"] if record.served else []
    lines += _made_otherwise(counts, folder)
    if record.environment.get("paid"):
        lines.append(_paid(record.environment["paid"]))
    lines += _versions(record)
    lines += _gone(folder)
    if not record.sealed:
        lines.append("UNSEALED: a record of format 1 has no checksum: nothing says whether it was changed")
    if record.state in ("predicted", "observed"):
        lines.append(_stage(record))
    elif record.spec.benchmark_card.get("answers") == "none" and not record.missing:
        lines.append(
            f"NOT SCORED: the data tell no right answers; the answers are kept: janus-eval export {folder} -o FILE "
            "writes them as the suite's server takes them"
        )
    elif not record.complete:
        lines += [_incomplete(record), *_reasons(folder)]
    return lines


def _gone(folder: Path) -> list[str]:
    """Return a line for the outputs that a record's numbers are of and that are here no more."""
    named = {each: digest for each, digest in named_digests(folder).items() if each in STREAMS and digest != _NOTHING}
    told = [each for each in named if not any((folder / each).glob("*.jsonl"))]
    return [f"GONE: the {' and '.join(told)} that these numbers are of: nothing can make them again"] if told else []


_NOTHING = hashlib.sha256().hexdigest()
"""The digest of no lines: a suite without an observer has no evidence."""


def _versions(record: RunRecord) -> list[str]:
    """Return lines where another version of the harness, of a package or another device made a part of the outputs."""
    others = record.versions or others_than(record.spec.version, record.environment.get("workers"))
    told = [f"VERSIONS: {', '.join(others)} made outputs of it, {record.spec.version} the numbers"] if others else []
    several = mixed(record.environment.get("workers"))
    return told + ([f"MIXED: its outputs were made under {'; '.join(several)}"] if several else [])


def _paid(paid: Mapping[str, Json]) -> str:
    """Return the line about what a service's drawings have cost."""
    told = f"paid: {paid.get('usd', 0):.2f} US$ for {paid.get('pictures', 0):,} pictures"
    if paid.get("of_unknown_price"):
        told += f", {paid['of_unknown_price']:,} of them of unknown price"
    if paid.get("perhaps_paid"):
        more = f"{paid['perhaps_usd']:.2f} US$ more for {paid['perhaps_paid']:,} without an answer"
        told += f"; perhaps {more}"
    canary: Json = paid.get("canary") or {}
    told += "; the service draws not alike twice" if canary.get("deterministic") is False else ""
    return f"{told} (price {paid.get('price', 'unknown')})"


def _incomplete(record: RunRecord) -> str:
    """Return the line about what a run lacks, and the command that mends it."""
    counts = record.counts
    what = f"{len(record.missing)} outputs missing" if record.missing else f"{counts['unscored']} without a verdict"
    state = "INTERRUPTED" if record.state == "interrupted" else "INCOMPLETE"
    headline = record.metrics.get(record.headline)
    stands = headline is not None and headline.value is not None
    mend = "run the same command again to resume"
    if counts.get("refused") and counts["refused"] == counts["unscored"]:
        what = f"{counts['refused']} refused by the service"
        mend = "--ask-refused asks for them again"
        mend += "" if stands else ", --allow-unscored keeps the number without them"
    told = "is over the rest" if stands else "is withheld"
    return f"{state}: {what}; {record.headline} {told}; {mend}"


_LIMITS = ("max_new_tokens", "length")
"""The knobs of a model's card that bound an answer's tokens, as they are typed."""


def _cut(record: RunRecord, folder: Path) -> str:
    """Return the line about answers that a token limit cut, with the first of them and the option that raises it."""
    counts, card = record.counts, record.spec.model_card
    names = [f"{each.sample_id}/{each.index}" for each in Stored(folder).predictions().values() if each.finish == CUT]
    told = some(names, 3)
    said = f"CUT: {counts['cut']} of {counts['expected']} answers end at the token limit and are scored as they are"
    option = next((each for each in _LIMITS if each in card), None)
    return f"{said} ({told}); give them more tokens" + (f": -a {option}=N" if option else "")


def _served(record: RunRecord) -> list[str]:
    return [f"{what} {', '.join(names[:4])}" for what, names in sorted(record.served.items())]


def _made_otherwise(counts: Mapping[str, int], folder: Path) -> list[str]:
    """Return a line about each way in which a service did other than it was asked."""
    found: list[str] = []
    if counts.get("other_model") or counts.get("other_judge"):
        stored = Stored(folder)
        made = stored.predictions()
        sources = {"other_model": made.values(), "other_judge": stored.evidence(made).values()}
        for key, what in (("other_model", "MODEL"), ("other_judge", "JUDGE")):
            if counts.get(key):
                names = Counter(each.served for each in sources[key] if each.served).most_common()
                told = ", ".join(f"{name} ({count})" for name, count in names[:4])
                found.append(f"ANOTHER {what}: the service changed it in the middle: {told}; compares with nothing")
    if counts.get("rewritten"):
        found.append(
            f"REWRITTEN: {counts['rewritten']} of {counts['expected']} pictures are of the service's own prompt; it "
            "stands in each PNG (revised_prompt)"
        )
    if counts.get("resized"):
        found.append(f"RESIZED: {counts['resized']} of {counts['expected']} pictures have another size than asked for")
    return found


def _stage(record: RunRecord) -> str:
    """Return what a run has that was to stop behind a stage, and how it goes on."""
    left = len(record.missing)
    have = f"{left} of {record.counts['expected']} outputs missing" if left else f"{record.counts['expected']} outputs"
    return f"{record.state.upper()}: {have}, nothing is scored yet; the same command without --until goes on from here"


def _reasons(folder: Path) -> list[str]:
    """Return why outputs have no verdict: the first reasons with the samples that have them, and how to see all."""
    found: dict[str, list[str]] = {}
    for each in iter_scores(folder):
        if each.value is None and not each.reason.startswith("missing: not made"):
            names = found.setdefault(each.reason or "no reason is given", [])
            name = f"{each.sample_id}/{each.index}"
            if not names or names[-1] != name:
                names.append(name)
    lines: list[str] = []
    for reason, names in sorted(found.items(), key=lambda pair: -len(pair[1]))[:_MOST]:
        told = some(names, 3)
        lines.append(f"  {told}: {reason[:300]}")
    if len(found) > _MOST:
        lines.append(f"  and {len(found) - _MOST} other reasons")
    return [*lines, f"  all of them: janus-eval show {folder} --failed"] if lines else []


_MOST = 3


def metric_lines(metrics: Mapping[str, Metric], headline: str = "", *, width: int | None = None) -> list[str]:
    """Return an aligned line a metric: key, value, 95 percent interval, n; the headline first.

    Where they would not fit `width`, what a number is over folds behind its column, else below the key.
    """
    fractions = all(abs(each.value) <= 1 for each in metrics.values() if each.value is not None)
    digits = 4 if fractions else 2
    shown = {key: each for key, each in metrics.items() if key + PART not in metrics}
    ordered = sorted(shown.items(), key=lambda pair: pair[0] not in (headline, headline + PART))
    rows = [(key, _number(each.value, digits), _interval(each, digits), _over(each)) for key, each in ordered]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(3)]
    found: list[str] = []
    for key, value, interval, over in rows:
        start = f"  {key:<{widths[0]}}  {value:>{widths[1]}}  {interval:<{widths[2]}}  "
        room = len(over) if width is None else width - len(start)
        if room < min(len(over), _ROOM):  # the names are long: what it is over stands below them
            found += [start.rstrip(), *(f"    {each}" for each in fold(over, max(_ROOM, (width or 0) - 4)))]
            continue
        first, *more = fold(over, max(1, room))
        found += [start + first, *(" " * len(start) + each for each in more)]
    return found


_ROOM = 16
"""Columns that what a number is over wants beside it."""


def _over(metric: Metric) -> str:
    """Return how many outputs a number is over, and what it lacks."""
    lacks = [f"without {some(list(metric.absent), 9)}"] if metric.absent else []
    lacks += [f"leaves out {', '.join(metric.left_out)}"] if metric.left_out else []
    return "; ".join([f"n={metric.n}", *lacks])


def _number(value: float | None, digits: int) -> str:
    return "withheld" if value is None else f"{value:.{digits}f}"


def _interval(metric: Metric, digits: int) -> str:
    if metric.value is None or metric.low is None or metric.high is None:
        return ""
    return f"[{metric.low:.{digits}f}, {metric.high:.{digits}f}]"
