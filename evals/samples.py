"""Which samples of a suite a run takes: all, the first N, a share, a range, or some by name."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .errors import UsageError, hint
from .types import Sample


def distinct(name: str, samples: Sequence[Sample]) -> Sequence[Sample]:
    """Return the samples. Raises UsageError where an id cannot name one: two would share an output."""
    if not samples:
        raise UsageError(f"{name} has no samples in these data")
    seen: set[str] = set()
    for each in samples:
        if each.id in seen:
            raise UsageError(f"{name}: two samples have the id {each.id!r}; each needs an id of its own")
        try:
            each.id.encode()
        except UnicodeEncodeError:
            raise UsageError(f"{name}: the sample id {each.id!r} is no valid text") from None
        seen.add(each.id)
    return samples


def select(
    samples: Sequence[Sample], limit: str | None, ids: Sequence[str] | None
) -> tuple[Sequence[Sample], str | None]:
    """Return the samples of `limit` (N, a share below 1, or A-B) or of `ids`, and how to write that down."""
    if ids is not None:
        return _named(samples, list(dict.fromkeys(ids)))
    if limit is None:
        return samples, None
    match = re.fullmatch(r"(\d+)-(\d+)", limit)
    if match:
        first, last = int(match[1]), int(match[2])
        written = f"{first}-{last}"
    else:
        try:
            number = float(limit)
        except ValueError:
            raise UsageError(
                f"--limit {limit!r}: expected a number, a share below 1, or a range such as 10-20"
            ) from None
        if not 0 < number < float("inf") or (number >= 1 and number != int(number)):
            raise UsageError(f"--limit {limit!r}: expected a number of samples, a share below 1, or a range A-B")
        first, last = 0, int(number) if number >= 1 else max(1, round(len(samples) * number))
        written = f"{number:g}" if number < 1 else str(last)  # 02 and 2.0 are the same run as 2
    chosen = samples[first:last]
    if not chosen:
        raise UsageError(f"--limit {limit!r} leaves no sample of {len(samples)}")
    return chosen, None if len(chosen) == len(samples) else written


def _named(samples: Sequence[Sample], ids: Sequence[str]) -> tuple[Sequence[Sample], str]:
    by_id = {each.id: each for each in samples}
    if not ids:
        raise UsageError("--ids names no sample")
    for each in ids:
        if each not in by_id:
            raise UsageError(f"--ids: no sample {each!r}{hint(each, by_id)}")
    return [by_id[each] for each in ids], "ids:" + ",".join(ids)
