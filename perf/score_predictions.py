"""Time and memory of scoring answers made elsewhere: CPU seconds after imports, peak memory; rows made here.

    python perf/score_predictions.py [SUITE ...]

Prints one line a suite. The bounds that this project holds itself to: 2 s for 14,233 rows of
SEED-Bench and for 12,578 of GQA, and memory that does not grow with the pictures of a table.
"""

from __future__ import annotations

import base64
import json
import random
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from janus_eval.benchmarks.gqa import Gqa
from janus_eval.benchmarks.mmbench.benchmark import ROLL, MmBench
from janus_eval.benchmarks.mme import SUBTASKS, Mme
from janus_eval.benchmarks.mmmu.benchmark import Mmmu
from janus_eval.benchmarks.pope import SPLITS, Pope
from janus_eval.benchmarks.seed_bench import SeedBench

SAID = ("A", "B.", "The answer is C", "yes", "No, there is not.", "a cat", "I cannot tell from the image.", "(D)", "")
OPTIONS = {"A": "a cat", "B": "a dog", "C": "two birds", "D": "none of them"}


def pope(draw: random.Random) -> Iterator[dict[str, Any]]:
    for split in SPLITS:
        for number in range(3000):
            gold = ("yes", "no")[number % 2]
            yield {
                "id": number,
                "category": split,
                "image": f"{number // 6}.jpg",
                "answer": gold,
                "response": say(draw),
            }


def mme(draw: random.Random) -> Iterator[dict[str, Any]]:
    for number in range(2374):
        picture, half = divmod(number, 2)
        row = {"category": SUBTASKS[picture % 14], "image": f"{picture}.jpg", "question": f"{half}?"}
        yield {**row, "answer": ("Yes", "No")[half], "response": say(draw)}


def mmbench(draw: random.Random) -> Iterator[dict[str, Any]]:
    for number in range(4329):
        question, roll = divmod(number, 4)
        row = {"index": question + roll * ROLL, "question": "q", **OPTIONS, "answer": "ABCD"[roll]}
        yield {**row, "category": f"c{question % 20}", "response": say(draw)}


def seed_bench(draw: random.Random) -> Iterator[dict[str, Any]]:
    for number in range(14233):
        yield {
            "id": str(number),
            **OPTIONS,
            "type": number % 9 + 1,
            "answer": "ABCD"[number % 4],
            "response": say(draw),
        }


def gqa(draw: random.Random) -> Iterator[dict[str, Any]]:
    for number in range(12578):
        yield {"id": str(number), "answer": ("yes", "cat")[number % 2], "response": say(draw)}


def mmmu(draw: random.Random) -> Iterator[dict[str, Any]]:
    for number in range(900):
        kind = "open" if number % 17 == 0 else "multiple-choice"
        row = {"id": f"validation_Art_{number}", "question_type": kind, "options": list(OPTIONS.values())}
        yield {**row, "answer": "30" if kind == "open" else "B", "response": say(draw)}


def say(draw: random.Random) -> str:
    return draw.choice(SAID)


SUITES: dict[str, tuple[Callable[[random.Random], Iterator[dict[str, Any]]], Callable[[], Any]]] = {
    "pope": (pope, Pope),
    "mme": (mme, Mme),
    "mmbench": (mmbench, MmBench),
    "seed_bench": (seed_bench, SeedBench),
    "gqa": (gqa, Gqa),
    "mmmu": (mmmu, Mmmu),
}


def score(name: str, folder: Path) -> None:
    rows, suite = SUITES[name]
    path = folder / f"{name}.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows(random.Random(0))))
    started = time.process_time()
    scored = suite().rescore(predictions=path)
    seconds = time.process_time() - started
    print(f"{name:12} {scored.n:6} rows  {seconds:5.2f} s CPU  peak {peak():4.0f} MiB")


def pictures(folder: Path) -> None:
    """Load tables of 1000 and 4000 rows with pictures of 100 kB and read every tenth of them."""
    for count in (1000, 4000):
        path = folder / f"pictures-{count}.tsv"
        draw = random.Random(0)
        with path.open("w") as file:
            file.write("index\timage\tquestion\tanswer\tcategory\n")
            for number in range(count):
                image = base64.b64encode(draw.randbytes(100_000)).decode()
                file.write(f"{number}\t{image}\tIs there a cat?\tYes\trandom\n")
        started = time.process_time()
        samples = Pope(data=str(path)).samples()
        size = sum(len(each.images[0].read()) for each in samples[::10])
        seconds = time.process_time() - started
        print(
            f"{count} pictures: {path.stat().st_size / 1e6:.0f} MB of table, {seconds:.2f} s CPU, peak {peak():.0f} MiB"
        )
        assert size == 100_000 * count // 10
        path.unlink()


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        for each in sys.argv[1:] or SUITES:
            score(each, Path(scratch))
        pictures(Path(scratch))
