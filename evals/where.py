"""Who made what: the workers of a run, told in environment.json, where equal runs may differ."""

from __future__ import annotations

import os
import socket
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from .environment import installed
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


def here() -> dict[str, Json]:
    """Return what tells this process: host, id and, where torch is loaded, its device and the versions of what moves
    last digits of a model."""
    found: dict[str, Json] = {"host": socket.gethostname(), "pid": os.getpid()}
    torch = sys.modules.get("torch")
    if torch is None:
        return found
    if torch.cuda.is_available():
        found["device"] = torch.cuda.get_device_name()
    return found | {"with": _packages()}


@cache
def _packages() -> str:
    return ", ".join(f"{name} {told}" for name in _MOVING if (told := installed(name)))


_MOVING = ("torch", "transformers", "diffusers")


def mixed(rows: object) -> list[str]:
    """Return a text for each kind of device or package under more than one of which one stage's outputs were made."""
    told = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    found: dict[tuple[str, str], set[str]] = {}
    for row in told:
        packages = [each.rpartition(" ")[::2] for each in str(row.get("with", "")).split(", ") if " " in each]
        for kind, name in (*packages, *((("device", str(row["device"])),) if "device" in row else ())):
            found.setdefault((str(row.get("stage")), kind), set()).add(name)
    several = {kind: sorted(names) for (_, kind), names in found.items() if len(names) > 1}
    return [f"{kind} {' and '.join(names)}" for kind, names in several.items()]


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
