"""What packs save: files and seconds of the same pictures kept as files and in packs, drawn and read again.

    python perf/packs.py [--pictures 2212] [--repeat 3] [--command janus-eval]

`noise-image` draws GenEval's prompts, four pictures each, up to the stage of scoring, so that the store is most of the
work; prints the files of a run, the seconds of each step (the least of the repeats, the two stores in turn), and their
ratio to those of plain files.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from growth import timed

STORES = ("--no-packs", "--packs")
A_PROMPT = 4


def measure(command: str, prompts: int, store: str, folder: Path) -> dict[str, float]:
    """Return files and seconds of one store; a run of one prompt is measured as well: what a start costs."""
    found: dict[str, float] = {}
    for name, limit in (("start alone", 1), ("run", prompts), ("run again", prompts)):
        ask = ["-b", "geneval", "--limit", str(limit), "--until", "predict", "-o", str(folder / str(limit)), store]
        found[name], _ = timed([command, "run", "-m", "noise-image", *ask])
    (run,) = (folder / str(prompts)).iterdir()
    found["export"], _ = timed([command, "export", str(run), "-o", str(folder / "official")])
    drawn = sum(1 for _ in (folder / "official" / "images").glob("*/samples/*.png"))
    if drawn != prompts * A_PROMPT:
        raise SystemExit(f"{run} has {drawn} pictures, not {prompts * A_PROMPT}")
    return {"files": float(sum(path.is_file() for path in run.rglob("*"))), **found}


def told(plain: Mapping[str, float], packed: Mapping[str, float]) -> None:
    """Print each measure of both stores and its ratio."""
    for name, least in plain.items():
        unit = " " if name == "files" else "s"
        share = packed[name] / least
        print(f"{name:<14} {least:9.2f} {unit} in files {packed[name]:9.2f} {unit} in packs  {share:7.4f}")
    net = [each["run"] - each["start alone"] for each in (plain, packed)]
    print(f"{'run net':<14} {net[0]:9.2f} s in files {net[1]:9.2f} s in packs  {net[1] / net[0]:7.4f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=2212, help="of GenEval's 2,212, a multiple of 4")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--command", default=str(Path(sys.executable).with_name("janus-eval")))
    args = parser.parse_args()
    best: dict[str, dict[str, float]] = {}
    for _ in range(args.repeat):
        for store in STORES:
            with tempfile.TemporaryDirectory() as scratch:
                found = measure(args.command, args.pictures // A_PROMPT, store, Path(scratch))
            known = best.setdefault(store, found)
            best[store] = {name: min(each, known[name]) for name, each in found.items()}
    told(*(best[store] for store in STORES))


if __name__ == "__main__":
    main()
