"""How long the quick commands take before they say anything, against an interpreter that does nothing.

    python perf/startup.py [--command janus-eval] [--times 5]

Prints the least seconds of work (user and system) of each command and their ratio to `python -c pass`.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

QUICK = (
    ("--help",),
    ("list",),
    ("run", "--help"),
    ("run", "-b", "geneval", "--help"),
    ("run", "-m", "always-yes", "-b", "pope", "--offline"),
    ("run", "-m", "noise-image", "-b", "geneval", "--offline"),
    ("doctor",),
)


def work(command: list[str], times: int, environment: dict[str, str]) -> float:
    """Return the least seconds of work that a command took."""
    found: list[float] = []
    for _ in range(times):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        found.append(usage.ru_utime + usage.ru_stime)
    return min(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--command", default=str(Path(sys.executable).with_name("janus-eval")))
    parser.add_argument("--times", type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as empty:  # no data, no weights: the offline runs end at the first missing file
        places = dict.fromkeys(("JANUS_EVAL_CACHE", "HF_HOME", "LMUData"), empty)
        environment = {**os.environ, **places}
        bare = work([sys.executable, "-c", "pass"], args.times, environment)
        for asked in QUICK:
            out = ["-o", f"{empty}/runs"] if "--offline" in asked else []
            seconds = work([args.command, *asked, *out], args.times, environment)
            print(f"{' '.join(asked):<46} {seconds:6.2f} s  {seconds / bare:6.1f} times python alone", flush=True)


if __name__ == "__main__":
    main()
