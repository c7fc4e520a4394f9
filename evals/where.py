"""Who made what: the workers of a run, told in environment.json, where equal runs may differ."""

from __future__ import annotations

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
    outputs: dict[Who, int] = {}
    batches: dict[Who, set[int]] = {}
    for row in (*_told(folder), *_noted(folder)):
        try:
            numbers, count = _numbers(str(row["batches"])), int(row["outputs"])
            who = tuple(sorted((key, value) for key, value in row.items() if key not in ("batches", "outputs")))
            outputs[who] = outputs.get(who, 0) + count
            batches.setdefault(who, set()).update(numbers)
        except (KeyError, ValueError, TypeError):  # of no weight: a line that a kill has cut
            continue
    return [{**dict(who), "outputs": count, "batches": _ranges(batches[who])} for who, count in outputs.items()]


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
