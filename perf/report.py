"""How long `report` over 50 runs and `gate` on a full GenEval run take, imports apart.

    python perf/report.py [RUNS]

Draws RUNS (default 50) full GenEval runs into a temporary folder, then prints the seconds of every
format of the report, of the gate (paired, 2,212 scores on each side) and of the statistics alone.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from janus_eval.evals import registry, stats
from janus_eval.evals.store import RunStore
from janus_eval.evals.types import RunRecord, RunSpec, Score
from janus_eval.reports import gate, verdicts
from janus_eval.reports.report import report

TASKS = {"single_object": 80, "two_object": 99, "counting": 80, "colors": 94, "position": 100, "color_attr": 100}


def scores(seed: int) -> list[Score]:
    draw = random.Random(seed)
    prompts = [task for task, number in TASKS.items() for _ in range(number)]
    return [
        Score(f"{n:05d}", i, "official", float(draw.random() < 0.7), tags={"task": task}, cluster=f"{n:05d}")
        for n, task in enumerate(prompts)
        for i in range(4)
    ]


def write(folder: Path, seed: int) -> Path:
    names = ("janus-pro-7b", "janus-pro-1b", "sd3-medium", "diffusers:some/other")
    spec = RunSpec(names[seed % 4], "geneval", seed, None, {"cfg": 5.0}, {"suite": "official"}, {}, "0.1.0")
    rows = scores(seed)
    metrics = registry.create("benchmarks", "geneval").aggregate(rows)
    counts = {"expected": 2212, "predicted": 2212, "scored": 2212, "unparsed": 0, "unscored": 0}
    with RunStore(folder / f"run-{seed}", spec) as store:
        store.finish(rows, RunRecord(spec, "official/overall", metrics, counts, complete=True))
    return folder / f"run-{seed}"


def seconds(call: Callable[[], object], times: int = 5) -> float:
    call()  # imports
    taken: list[float] = []
    for _ in range(times):
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return median(taken)


def main() -> None:
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        runs = [write(folder / "runs", seed) for seed in range(number)]
        for form in ("text", "markdown", "latex", "html", "csv", "json"):
            taken = seconds(lambda form=form: report([folder / "runs"], form=form))  # type: ignore[misc]  # a Format
            print(f"report, {number} runs, {form:<9} {taken:6.3f} s")
        baseline = folder / "baseline.json"
        gate.update([runs[0]], baseline)
        print(f"gate, full GenEval         {seconds(lambda: verdicts.show(gate.gate([runs[0]], baseline))):6.3f} s")
        benchmark = registry.create("benchmarks", "geneval")
        rows = scores(0)
        print(f"aggregate, GenEval 2,212   {seconds(lambda: benchmark.aggregate(rows)):6.3f} s")
        values = [float(n % 3 > 0) for n in range(14233)]
        names = [str(n) for n in range(14233)]
        print(f"mean and interval, 14,233  {seconds(lambda: stats.mean(values, names).metric()):6.3f} s")
    heavy = sorted({"torch", "transformers", "scipy"} & set(sys.modules))
    print(f"heavy packages imported: {', '.join(heavy) or 'none'}")


if __name__ == "__main__":
    main()
