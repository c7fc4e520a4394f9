"""All that is worth timing on a GPU, in one command: under eight minutes, one JSON or text block a part.

    python perf/gpu.py [--out gpu.txt] [--device cuda] [--seconds 480]

Runs the other scripts one after the other, each in a process of its own with the time that is left, at the
released shapes with random weights: drawing with Janus-Pro 1B and 7B, questions over a kept prefix, GenEval's
detector, DPG-Bench's VQA model. A part that fails or runs out of time is named, and the rest goes on. What a
part printed until then is kept. `--device cpu --quick` tries the command itself on a machine without a GPU.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
PARTS: tuple[tuple[str, float, tuple[str, ...]], ...] = (
    ("drawing 1B", 0.2, ("janus.py", "--shape", "1b", "--repeat", "1", "--no-generate")),
    ("drawing 7B", 0.35, ("janus.py", "--shape", "7b", "--repeat", "1", "--no-generate")),
    ("kept prefixes 1B", 0.15, ("prefix.py", "--dtype", "bfloat16", "--batch", "64")),
    ("detector", 0.15, ("detector.py", "--pictures", "32", "--batches", "1", "4", "16", "32")),
    ("VQA", 0.15, ("dpg.py", "--pictures", "4")),
)
"""What is run, and its share of the time."""
QUICK: tuple[tuple[str, float, tuple[str, ...]], ...] = (
    ("kept prefixes", 0.5, ("prefix.py", "--shape", "tiny", "--layers", "1", "--suite", "MME")),
    ("detector", 0.5, ("detector.py", "--detector", "toy", "--pictures", "2", "--batches", "2")),
)


def run(part: tuple[str, ...], device: str, seconds: float) -> tuple[str, str]:
    """Return how a part ended and what it printed."""
    command = [sys.executable, str(HERE / part[0]), *part[1:], "--device", device]
    try:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=seconds, check=False, text=True
        )
    except subprocess.TimeoutExpired as late:
        said = late.stdout or b""
        return f"not finished in {seconds:.0f} s", said if isinstance(said, str) else said.decode(errors="replace")
    return "done" if done.returncode == 0 else f"failed ({done.returncode})", done.stdout


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="a file for what is printed")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--seconds", type=float, default=480.0)
    parser.add_argument("--quick", action="store_true", help="two small parts, to try the command")
    given = parser.parse_args()
    ends = time.monotonic() + given.seconds
    parts = QUICK if given.quick else PARTS
    for place, (name, share, part) in enumerate(parts):
        left = ends - time.monotonic()
        rest = sum(each[1] for each in parts[place:])
        begun = time.monotonic()
        ended, said = run(part, given.device, max(1.0, left * share / rest))
        block = f"== {name}: {ended}, {time.monotonic() - begun:.0f} s\n{said.rstrip()}\n"
        print(block, flush=True)
        if given.out:
            with given.out.open("a", encoding="utf-8") as file:
                file.write(block + "\n")


if __name__ == "__main__":
    main()
