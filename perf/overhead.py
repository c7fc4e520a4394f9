"""What the harness itself costs: a toy GenEval run's wall time against the time inside model and observer.

    python perf/overhead.py [--limit 553] [--output DIR]

Prints seconds in the model, in the observer, in everything else (data, store, PNGs, scoring, tables), and
the share of the last. Imports are left out: they are paid once.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from janus_eval.evals import evaluate, registry
from janus_eval.evals.types import RunRecord


def timed(call: Callable[[Any], Any], spent: list[float]) -> Callable[[Any], Any]:
    """Return `call` that adds its seconds to `spent[0]`."""

    def wrapper(argument: Any) -> Any:
        started = time.perf_counter()
        result = call(argument)
        spent[0] += time.perf_counter() - started
        return result

    return wrapper


def whole(predict: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return `predict` that also waits for the pictures still under way: decoding them is the model's work."""
    return lambda jobs: [each() if callable(each) else each for each in predict(jobs)]


def measure(limit: str | None, output: Path) -> tuple[RunRecord, float, float, float]:
    """Return the record and the seconds of the whole, of the model and of the observer."""
    model_seconds, observer_seconds = [0.0], [0.0]
    create = registry.create

    def create_timed(group: registry.Group, name: str, **options: Any) -> Any:
        made = create(group, name, **options)
        if group == "models":
            made.predict = timed(whole(made.predict), model_seconds)
        if group == "observers":
            made.observe = timed(made.observe, observer_seconds)
        return made

    registry.create = create_timed
    alone = {"overlap": False}
    evaluate("janus-toy", "geneval", output=output / "warm", limit="2", device="cpu", executor_options=alone)
    model_seconds[0] = observer_seconds[0] = 0.0
    started = time.perf_counter()
    record = evaluate("janus-toy", "geneval", output=output / "run", limit=limit, device="cpu", executor_options=alone)
    seconds = time.perf_counter() - started
    registry.create = create
    return record, seconds, model_seconds[0], observer_seconds[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit", default=None)
    parser.add_argument("--output", type=Path, default=None)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        record, seconds, model, observer = measure(args.limit, args.output or Path(scratch))
    rest = seconds - model - observer
    print(f"outputs   {record.counts['expected']}")
    print(f"whole     {seconds:8.2f} s")
    print(f"model     {model:8.2f} s")
    print(f"observer  {observer:8.2f} s")
    print(f"harness   {rest:8.2f} s = {100 * rest / seconds:.2f} percent of the whole")


if __name__ == "__main__":
    main()
