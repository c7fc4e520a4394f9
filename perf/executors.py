"""What Ray costs beside one process: CPU seconds of everything that a run starts, and what a batch costs on top.

    python perf/executors.py [--limit 64] [--repeat 2] [--workers 2]

Each command runs at two sizes; the difference is what the work costs, the smaller one what a start costs. All processes
that carry this run's mark in their environment are counted, Ray's own among them, so that other programs of the machine
move the numbers only by what they take from its caches. Prints, the least of the repeats:

    toy GenEval (drawn and looked at, one thread each): CPU seconds of local and ray, the ratio of their differences
    yes to POPE's toy questions, one a batch: the CPU milliseconds of a batch of local and ray, and their difference
"""

from __future__ import annotations

import argparse
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

COMMAND = str(Path(sys.executable).with_name("janus-eval"))
MARK = "JANUS_EVAL_PERF_MARK"
_START = 16
"""Prompts of the smaller run: four batches, so that each of two workers has loaded what it needs."""
TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(arguments: Sequence[str]) -> float:
    """Return the CPU seconds that a command and all that it starts take, whoever their parents are."""
    mark = secrets.token_hex(8)
    environment = {**os.environ, MARK: mark, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([COMMAND, *arguments], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    known: dict[str, bool] = {}
    spent: dict[str, float] = {}
    while process.poll() is None:
        _look(f"{MARK}={mark}".encode(), known, spent)
        time.sleep(0.1)
    until = time.monotonic() + 10
    while time.monotonic() < until and _look(f"{MARK}={mark}".encode(), known, spent):
        time.sleep(0.1)
    _, err = process.communicate()
    if process.returncode not in (0, 5):
        raise SystemExit(f"{' '.join(arguments)}: exit code {process.returncode}\n{err.decode()}")
    return sum(spent.values())


def _look(mark: bytes, known: dict[str, bool], spent: dict[str, float]) -> int:
    """Take note of the marked processes that live and return how many do."""
    count = 0
    for place in Path("/proc").iterdir():
        if not place.name.isdecimal():
            continue
        with suppress(OSError, ValueError, IndexError):
            fields = (place / "stat").read_text().rpartition(")")[2].split()
            key = f"{place.name} {fields[19]}"  # with its start: numbers come again
            if key not in known or not known[key]:  # Ray's own processes get their environment by exec
                known[key] = mark in (place / "environ").read_bytes().split(b"\0")
            if known[key]:
                spent[key] = (int(fields[11]) + int(fields[12])) / TICKS
                count += fields[0] != "Z"
    return count


def least(repeat: int, arguments: Sequence[str]) -> float:
    """Return the least CPU seconds of some runs of the same command, each in a folder of its own."""
    found: list[float] = []
    for _ in range(repeat):
        with tempfile.TemporaryDirectory() as folder:
            found.append(cpu_seconds([*arguments, "-o", folder]))
    return min(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit", type=int, default=64, help="GenEval's prompts, four pictures each")
    parser.add_argument("--repeat", type=int, default=2)
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    ways = {"local": ["--no-overlap"], "ray": ["--executor", "ray", "--workers", str(args.workers), "--observers", "1"]}
    toy = ["run", "-m", "janus-toy", "-b", "geneval", "--device", "cpu", "--batch-size", "16"]
    yes = ["run", "-m", "always-yes", "-b", "pope", "--data", "toy", "--batch-size", "1"]
    work: dict[str, float] = {}
    batch: dict[str, float] = {}
    for name, how in ways.items():
        small, large = (least(args.repeat, [*toy, *how, "-l", str(limit)]) for limit in (_START, args.limit))
        work[name] = large - small
        told = f"{large:6.1f} CPU s, of {_START} prompts {small:6.1f}: the work {work[name]:6.1f}"
        print(f"{name:<6} toy GenEval: {told}", flush=True)
    print(f"ray's work over local's: {work['ray'] / work['local']:.3f}")
    for name, how in ways.items():
        few, many = (least(args.repeat, [*yes, *how, "-l", str(limit)]) for limit in (10, 210))
        batch[name] = (many - few) / 200 * 1000
        print(f"{name:<6} a batch of one answer: {batch[name]:6.1f} CPU ms")
    print(f"a batch costs {batch['ray'] - batch['local']:.1f} ms more with ray")


if __name__ == "__main__":
    main()
