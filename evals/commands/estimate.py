"""What a run will take, before it begins: how many workers, and what an earlier run of the model took beside it."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING

from ..types import Json
from ..where import pace, workers

if TYPE_CHECKING:
    from ..plan import Pair


def hands(args: argparse.Namespace) -> int:
    """Return how many workers a command line asks for: those of `--workers`, its devices, its shards; else one."""
    devices = len(args.device.split(",")) if args.device else 1
    told = str(args.workers or "")
    return int(told) if told.isdecimal() and int(told) else devices


def estimate(pair: Pair, count: int, executor: str) -> dict[str, Json]:
    """Return lines of a plan: workers, seconds and GPU memory; as an earlier run beside it took.

    A worker loads its weights within its first batch: of a short run that is most of an output's seconds.
    """
    lines: dict[str, Json] = {"executor": executor if count == 1 else f"{executor}, {count} workers"}
    outputs = len(pair.samples) * pair.suite.outputs
    told = _neighbours(pair)
    drawn = next((each for folder in told if (each := pace(folder, "predict"))), None)
    if drawn is None:
        lines["time"] = "not known: no earlier run of this model on this suite lies beside it"
        return lines
    seen = next((each for folder in told if (each := pace(folder, "observe"))), 0.0) if pair.eyes else 0.0
    drawing = math.ceil(outputs / count) * drawn
    looking = outputs * seen
    # Ray's scorers work at the same time, on devices of their own.
    total = max(drawing, looking / math.ceil(count / 4)) if executor == "ray" else drawing + looking / count
    lines["time"] = f"about {total:,.0f} s ({drawn:.3g} s an output"
    lines["time"] += f", {seen:.3g} s to look at it)" if seen else ")"
    most = max((each.get("gpu_bytes", 0) for folder in told for each in workers(folder)), default=0)
    if most:
        lines["GPU memory"] = f"{most / 1e9:,.1f} GB at most in an earlier run"
    return lines


def _neighbours(pair: Pair) -> list[Path]:
    """Return the runs of this model on this suite in the same output folder, itself first."""
    start = "--".join(pair.folder.name.split("--")[:2])
    found = sorted(pair.folder.parent.glob(f"{start}--*")) if pair.folder.parent.is_dir() else []
    return [pair.folder, *(each for each in found if each != pair.folder)]
