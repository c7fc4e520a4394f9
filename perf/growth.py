"""How time and memory grow with the rows of a suite: run, show, show --id, report, compare and gate.

    python perf/growth.py [--rows 10000 100000 1000000] [--command janus-eval]

Makes a POPE table of so many questions about one picture, asks `always-yes` and `first-option`, and prints
seconds, peak memory and, against the smallest, the ratio of both a row.
"""

from __future__ import annotations

import argparse
import base64
import io
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image


def table(path: Path, rows: int) -> None:
    """Write a POPE table: one picture, named by every row after the first."""
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16), (200, 30, 30)).save(buffer, "PNG")
    picture = base64.b64encode(buffer.getvalue()).decode()
    with path.open("w", encoding="utf-8") as file:
        file.write("index\tcategory\tquestion\tanswer\timage\n")
        for number in range(rows):
            split = ("random", "popular", "adversarial")[number % 3]
            answer = ("yes", "no")[number // 3 % 2]
            what = f"Is there a thing number {number} in the image?"
            file.write(f"{number}\t{split}\t{what}\t{answer}\t{'0' if number else picture}\n")


def timed(command: list[str]) -> tuple[float, float]:
    """Return a command's seconds and its peak memory in MB. Raises SystemExit where it fails."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}: exit code {process.returncode}: {said.decode()[-500:]}")
    return time.perf_counter() - started, usage.ru_maxrss / 1024


def measure(command: str, rows: int, folder: Path) -> dict[str, tuple[float, float]]:
    """Return seconds and MB of each step at so many rows."""
    data, runs = folder / "pope.tsv", folder / "runs"
    table(data, rows)
    ask = ["-b", "pope", "--data", str(data), "-o", str(runs)]
    found = {"run": timed([command, "run", "-m", "always-yes", *ask])}
    timed([command, "run", "-m", "always-yes", "-a", "answer=No", *ask])
    first, second = (str(each) for each in sorted(runs.iterdir()))
    found["run again"] = timed([command, "run", "-m", "always-yes", *ask])
    found["show"] = timed([command, "show", first])
    found["show --id"] = timed([command, "show", first, "--id", f"random/{rows // 6 * 3}"])
    found["report"] = timed([command, "report", first])
    found["compare"] = timed([command, "compare", first, second])
    baseline = str(folder / "baseline.json.gz")
    found["gate --update"] = timed([command, "gate", first, "--baseline", baseline, "--update"])
    found["gate"] = timed([command, "gate", first, "--baseline", baseline])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--command", default=str(Path(sys.executable).with_name("janus-eval")))
    args = parser.parse_args()
    results: dict[int, dict[str, tuple[float, float]]] = {}
    for rows in args.rows:
        with tempfile.TemporaryDirectory() as scratch:
            results[rows] = measure(args.command, rows, Path(scratch))
        least = results[args.rows[0]]
        for step, (seconds, memory) in results[rows].items():
            share = seconds / rows / (least[step][0] / args.rows[0])
            print(
                f"{rows:>9} rows  {step:<14} {seconds:8.2f} s  {memory:7.0f} MB  {share:5.2f} of the time a row",
                flush=True,
            )


if __name__ == "__main__":
    main()
