"""What it saves that the scorer works while the next batch is drawn, in one process on one device.

    python perf/overlap.py [--bench geneval] [--limit 48] [--batch-size 16] [--repeat 3]

The toy model and the suite's toy scorer, one thread each on two cores; the two ways in turn in one process, after a
first run that loads everything. Prints the least wall seconds of each way, their ratio, and the ratio that full overlap
would give: the longer of the two stages over their sum. The result files of all runs must be equal.
"""

from __future__ import annotations

import argparse
import hashlib
import tempfile
import time
from pathlib import Path

import torch
from janus_eval.evals import evaluate
from janus_eval.evals.where import stages


def files(folder: Path) -> dict[str, str]:
    """Return the digests of a run's result files."""
    apart = ("environment.json", "asked.json", ".lock")
    found = sorted(path for path in folder.rglob("*") if path.is_file() and path.name not in apart)
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def measure(bench: str, limit: int, size: int, output: Path, overlap: bool) -> tuple[float, dict[str, float], Path]:
    """Return a run's wall seconds, those of its stages, and its folder."""
    began = time.perf_counter()
    options = {"overlap": overlap}
    evaluate(
        "janus-toy",
        bench,
        output=output,
        limit=str(limit),
        batch_size=size,
        device="cpu",
        executor_options=options,
    )
    seconds = time.perf_counter() - began
    (folder,) = output.glob("janus-toy--*")
    return seconds, stages(folder), folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", default="geneval", choices=("geneval", "dpg_bench"))
    parser.add_argument("--limit", type=int, default=48)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--repeat", type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(1)
    best: dict[bool, tuple[float, dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        measure(args.bench, 2, 2, Path(scratch) / "warm", overlap=False)
        told: list[dict[str, str]] = []
        for number in range(args.repeat):
            for overlap in (False, True):
                output = Path(scratch) / f"{number}-{overlap}"
                seconds, spent, folder = measure(args.bench, args.limit, args.batch_size, output, overlap)
                best[overlap] = min(best.get(overlap, (seconds, spent)), (seconds, spent), key=lambda each: each[0])
                told.append(files(folder))
    if any(each != told[0] for each in told):
        raise SystemExit("the result files differ")
    for overlap, (seconds, spent) in best.items():
        stages_told = ", ".join(f"{stage} {each:.2f} s" for stage, each in spent.items())
        print(f"{'overlap' if overlap else 'in turn':<8} {seconds:7.2f} s ({stages_told})")
    alone = best[False][1]
    print(f"ratio    {best[True][0] / best[False][0]:7.3f}, at best {max(alone.values()) / sum(alone.values()):.3f}")
    print(f"result files of {len(told)} runs: equal")


if __name__ == "__main__":
    main()
