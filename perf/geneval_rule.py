"""Time GenEval's rule on a whole suite of stored evidence: 553 prompts, four pictures each.

python perf/geneval_rule.py [BOXES]    boxes a picture, default 20
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
import time
from pathlib import Path

from janus_eval.benchmarks.geneval.benchmark import GenEval
from janus_eval.benchmarks.geneval.prompts import CLASSES, COLORS, suite


def rows(boxes: int) -> str:
    rng = random.Random(0)
    lines: list[str] = []
    for number, metadata in enumerate(suite()):
        asked = [clause["class"] for clause in metadata["include"]]
        for index in range(4):
            found: dict[str, list[list[float]]] = {}
            for _ in range(boxes):
                x, y = rng.uniform(0, 300), rng.uniform(0, 300)
                label = rng.choice(asked if rng.random() < 0.5 else CLASSES)
                found.setdefault(label, []).append([x, y, x + rng.uniform(1, 80), y + 40, rng.uniform(0.1, 1)])
            colors = {label: [rng.choice(COLORS) for _ in each] for label, each in found.items()}
            lines.append(
                json.dumps({"id": f"{number}/{index}", "metadata": metadata, "boxes": found, "colors": colors})
            )
    return "\n".join(lines)


def main() -> None:
    boxes = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "evidence.jsonl"
        path.write_text(rows(boxes))
        for _ in range(3):
            started, used = time.perf_counter(), time.process_time()
            found = GenEval().rescore(evidence=path)
            wall, cpu = time.perf_counter() - started, time.process_time() - used
            print(f"{found.n} rows of {boxes} boxes: {wall:.2f} s, of which {cpu:.2f} s on the CPU")


if __name__ == "__main__":
    main()
