"""Who made what: the workers of a run, told in environment.json, where equal runs may differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from .errors import UsageError
from .files import read_json, unseal
from .types import Json

Who = tuple[tuple[str, Json], ...]
"""What tells a worker and its stage from others."""


def workers(folder: Path) -> list[dict[str, Json]]:
    """Return the workers of a run, a row for each stage of each: what environment.json tells, and where.jsonl since."""
    found: dict[Who, tuple[Counter[str], set[int]]] = {}
    for row in (*_told(folder), *_noted(folder)):
        try:
            numbers, sums = _numbers(str(row["batches"])), {key: float(row[key]) for key in _SUMS if key in row}
            who = tuple(sorted((key, value) for key, value in row.items() if key not in (*_SUMS, "batches", _MOST)))
            count, batches = found.setdefault(who, (Counter(), set()))
            count.update(sums)
            count[_MOST] = max(count[_MOST], int(row.get(_MOST, 0)))
            batches |= numbers
        except (KeyError, ValueError, TypeError):  # of no weight: a line that was changed by hand
            continue
    return [_row(who, count, batches) for who, (count, batches) in found.items()]


_SUMS, _MOST = ("outputs", "seconds"), "gpu_bytes"


def _row(who: Who, count: Counter[str], batches: set[int]) -> dict[str, Json]:
    told: dict[str, Json] = {"outputs": int(count["outputs"]), "seconds": round(count["seconds"], 4)}
    more = {_MOST: count[_MOST]} if count[_MOST] else {}
    return {**dict(who), **told, **more, "batches": _ranges(batches)}


def others_than(version: str, rows: object) -> tuple[str, ...]:
    """Return the versions of the harness, other than one, under which workers made outputs."""
    told = [row.get("version") for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    return tuple(sorted({each for each in told if isinstance(each, str)} - {version}))


def stages(folder: Path) -> dict[str, float]:
    """Return the seconds that a run's workers took together for each stage, over all calls."""
    found: Counter[str] = Counter()
    for row in workers(folder):
        found[str(row.get("stage"))] += row["seconds"]
    return {stage: round(found[stage], 3) for stage in ("predict", "observe") if stage in found}


def pace(folder: Path, stage: str) -> float | None:
    """Return the seconds that one worker took for an output of a stage; None where nothing tells."""
    rows = [each for each in workers(folder) if each.get("stage") == stage and each["outputs"]]
    outputs = sum(each["outputs"] for each in rows)
    return sum(each["seconds"] for each in rows) / outputs if outputs else None


def _told(folder: Path) -> Iterator[Mapping[str, Any]]:
    try:
        found = read_json(folder / "environment.json").get("workers", [])
        yield from (row for row in found if isinstance(row, dict))
    except (UsageError, AttributeError, TypeError):
        return


def _noted(folder: Path) -> Iterator[Mapping[str, Any]]:
    for path in sorted(folder.glob("where*.jsonl")):
        for line in path.read_bytes().splitlines():
            row = unseal(line)
            if row is None:
                continue
            try:
                yield {key: value for key, value in row.items() if key not in ("batch", "count")} | {
                    "batches": str(int(row["batch"])),
                    "outputs": row["count"],
                }
            except (ValueError, KeyError, TypeError):
                continue


def _ranges(numbers: Iterable[int]) -> str:
    """Return numbers as 0-3,7."""
    found: list[list[int]] = []
    for number in sorted(numbers):
        if found and number == found[-1][1] + 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in found)


def _numbers(text: str) -> set[int]:
    pairs = [part.partition("-") for part in text.split(",") if part]
    if any(int(high or low) - int(low) > _MANY for low, _, high in pairs):
        raise ValueError(text)
    return {number for low, _, high in pairs for number in range(int(low), int(high or low) + 1)}


_MANY = 10_000_000
