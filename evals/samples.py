"""A suite's samples: what names them by content, and which of them a run takes (the first N, a range, by name)."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

from .assets.digests import digests
from .errors import EnvironmentProblem, UsageError, hint
from .types import Json, Picture, Sample


def fingerprint(name: str, samples: Sequence[Sample]) -> str:
    """Return 16 hex digits over all that a suite asks and expects.

    These are ids, prompts, targets, tags, options, clusters, and the bytes of the pictures: those of the
    files that they lie in (`Picture.source`), which are read once; a picture without a file is read now.
    Raises UsageError for a target that cannot be written down.
    """
    sources = dict.fromkeys(picture.source for each in samples for picture in each.images)
    files = [each for each in sources if each is not None and each.is_file()]  # a pipe's content is gone
    contents = {file: found["sha256"] for file, found in zip(files, digests(files, "sha256"), strict=True)}
    total = hashlib.sha256()
    for each in samples:
        pictures = [[one.name, contents[one.source] if one.source in contents else _read(one)] for one in each.images]
        row = [each.id, each.prompt, each.system, each.target, dict(each.tags), each.options, each.cluster, pictures]
        try:
            total.update(json.dumps(row, sort_keys=True, default=_plain).encode() + b"\n")
        except (TypeError, ValueError, RecursionError) as error:
            raise UsageError(
                f"{name}: the target of sample {each.id!r} cannot be told from another one: {error}; JSON is expected"
            ) from error
    return total.hexdigest()[:16]


def _read(picture: Picture) -> str:
    try:
        return hashlib.sha256(picture.read()).hexdigest()
    except (EnvironmentProblem, UsageError):
        raise
    except Exception:  # the sample's own trouble, which the run meets, writes down and counts
        return "unreadable"


def _plain(value: Any) -> Json:
    """Return what stands in a fingerprint for a value that is no JSON."""
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: getattr(value, each.name) for each in fields(value)}
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, set | frozenset):
        return sorted(map(repr, value))
    listed = getattr(value, "tolist", None)  # of numpy's and torch's values
    if callable(listed):
        return listed()
    told = repr(value)
    if " at 0x" in told:
        raise TypeError(f"a {type(value).__name__} says nothing of its content")
    return told


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
