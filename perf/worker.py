"""What a worker costs: the embedded Janus drawing in this process and through a worker of the same interpreter.

    python perf/worker.py [--prompts 64] [--rounds 5]

Prints pictures a second of both, taken in turns, and the share; then the seconds that raw pictures of several
sizes take through the pipe.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from janus_eval.evals import members, registry
from janus_eval.evals.types import Job, Sample
from janus_eval.models.workers.model import worker

TOY = """
from janus_eval.evals import registry
from janus_eval.evals.types import Job, Sample
class Toy:
    kinds = ["image"]
    def __init__(self):
        self.model = registry.create("models", "janus-toy", device="cpu")
        self.card = {"weights": "janus-toy"}
    def predict(self, jobs):
        return self.model.predict([Job(Sample(j.sample, j.prompt), j.kind, j.index, j.seed) for j in jobs])
def model():
    import os, torch
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))
    return Toy()
"""
PLAIN = """
class Grey:
    mode = "RGB"
    def __init__(self, width):
        self.size, self.pixels = (width, width), bytes(3 * width * width)
    def tobytes(self):
        return self.pixels
    def convert(self, mode):
        return self
class Plain:
    kinds, card = ["image"], {}
    def __init__(self, width):
        self.picture = Grey(width)
    def predict(self, jobs):
        return [self.picture] * len(jobs)
def model(width):
    return Plain(width)
"""


def seconds(model: Any, jobs: Sequence[Job], batch: int) -> float:
    """Return how long pictures take until they are in hand."""
    began = time.perf_counter()
    for start in range(0, len(jobs), batch):
        for each in model.predict(jobs[start : start + batch]):
            if callable(each):
                each()
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    jobs = [Job(Sample(str(i), f"a photo of {i + 2} red cubes"), "image", 0, i) for i in range(args.prompts)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "toy.py"
        path.write_text(TOY)
        here, there = members.model(registry.create("models", "janus-toy", device="cpu")), worker(str(path))
        seconds(here, jobs[:16], 16), seconds(there, jobs[:16], 16)
        taken = [(seconds(here, jobs, 16), seconds(there, jobs, 16)) for _ in range(args.rounds)]
        there.close()
        ours, theirs = (statistics.median(each) for each in zip(*taken, strict=True))
        share = statistics.median(one / other for one, other in taken)
        print(f"in process {len(jobs) / ours:.1f}, worker {len(jobs) / theirs:.1f} pictures/s: {share:.3f}")
        for width in (384, 1024):
            path.write_text(PLAIN)
            plain = worker(str(path), options=f'{{"width": {width}}}')
            seconds(plain, jobs[:16], 16)
            print(f"{width} px: {1000 * seconds(plain, jobs, 16) / len(jobs):.2f} ms a picture through the pipe")
            plain.close()


if __name__ == "__main__":
    main()
