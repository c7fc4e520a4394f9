"""GenEval's detector: pictures per second against batch size, beside one picture at a time; where the time goes.

    python perf/detector.py                                    # the official sizes, random weights, on the CPU
    python perf/detector.py --device cuda --batches 1 4 16 32
    python perf/detector.py --detector official --clip official --size 384

The comparison drives the same network as the official script does: one file after the other, all
`max_per_image` masks resized whole and kept, nothing read ahead. "own" is everything but the two
networks and the resizing of masks: decoding, input, boxes, run lengths, crops, bookkeeping.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from janus_eval.benchmarks.geneval.detector import convert, instances, small
from janus_eval.benchmarks.geneval.detector.backends import TransformersDetector, exact_math
from janus_eval.benchmarks.geneval.detector.pixels import Settings, read
from janus_eval.benchmarks.geneval.observer import GenEvalObserver
from janus_eval.evals.types import Prediction, Sample
from PIL import Image

FULL = replace(
    small.SMALL,
    embed_dim=96,
    depths=(2, 2, 18, 2),
    heads=(3, 6, 12, 24),
    mlp_ratio=4.0,
    width=256,
    mask_width=256,
    encoder_layers=6,
    encoder_ffn=1024,
    attention_heads=8,
    decoder_layers=9,
    decoder_ffn=2048,
    queries=100,
)
ASKED = {"tag": "colors", "include": [{"class": "cow", "count": 1, "color": "red"}], "prompt": "a photo of a red cow"}


class Clock:
    """Seconds (wall, processor) inside the parts that it watches."""

    def __init__(self) -> None:
        self.parts: dict[str, tuple[float, float]] = {}

    def watch(self, owner: Any, name: str, part: str, synchronize: Callable[[], None]) -> None:
        inner = getattr(owner, name)

        def timed(*arguments: Any, **options: Any) -> Any:
            synchronize()
            wall, busy = time.perf_counter(), time.process_time()
            try:
                return inner(*arguments, **options)
            finally:
                synchronize()
                known = self.parts.get(part, (0.0, 0.0))
                spent = (time.perf_counter() - wall, time.process_time() - busy)
                self.parts[part] = (known[0] + spent[0], known[1] + spent[1])

        setattr(owner, name, timed)


def pictures(folder: Path, count: int, size: int) -> list[Path]:
    rng = np.random.default_rng(0)
    paths = [folder / f"{index:03d}.png" for index in range(count)]
    for path in paths:
        coarse = Image.fromarray(rng.integers(0, 256, (12, 12, 3), dtype=np.uint8))
        coarse.resize((size, size), Image.Resampling.BICUBIC).save(path)
    return paths


@contextmanager
def weights(name: str) -> Iterator[str]:
    """Yield an option value for the detector; `random` is the official network with random weights."""
    if name != "random":
        yield name
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        size, which, tensors = convert.converted(small.checkpoint(FULL, confidence=2.0))
        convert.write(folder, size, tensors, Settings(), {"file": "random", "naming": which})
        yield str(folder)


def one_at_a_time(detector: TransformersDetector, paths: list[Path]) -> float:
    """Return the seconds that the official way takes with the same network."""
    start = time.perf_counter()
    for path in paths:
        prepared = detector.prepare(read(path)[0])
        with exact_math(detector.device):
            classes, masks = detector.logits([prepared])
            instances.instances(classes[0], masks[0], prepared.geometry, detector.settings.max_per_image, -1.0)
    return time.perf_counter() - start


def measure(given: argparse.Namespace, detector_name: str, folder: Path) -> None:
    import torch

    cuda = given.device.startswith("cuda")
    synchronize = torch.cuda.synchronize if cuda else lambda: None
    observer = GenEvalObserver(detector=detector_name, clip=given.clip, device=given.device)
    paths = pictures(folder, given.pictures, given.size)
    pairs = [(Sample(each.stem, "", target=ASKED), Prediction(each.stem, image=each, kind="image")) for each in paths]
    observer.observe(pairs[:1])  # loads the weights
    detector: Any = observer._detector
    seconds = one_at_a_time(detector, paths)
    print(f"one at a time, the official way  {len(paths) / seconds:8.3f} pictures/s")
    clock = Clock()
    clock.watch(detector, "logits", "detector", synchronize)
    clock.watch(instances, "_resized", "masks", synchronize)
    clock.watch(observer._colours.model, "images", "clip", synchronize)
    clock.watch(observer._colours.model, "texts", "clip", synchronize)
    for batch in given.batches:
        detector.batch = lambda _, batch=batch: batch
        clock.parts.clear()
        wall, busy = time.perf_counter(), time.process_time()
        found = observer.observe(pairs)
        wall, busy = time.perf_counter() - wall, time.process_time() - busy
        inside = [sum(values) for values in zip(*clock.parts.values(), strict=True)]
        shares = ", ".join(f"{name} {100 * each[0] / wall:.1f}%" for name, each in sorted(clock.parts.items()))
        boxes = sum(len(rows) for each in found for rows in each.data["boxes"].values())
        print(
            f"batch {batch:3d}                        {len(paths) / wall:8.3f} pictures/s   {shares}, "
            f"own {100 * (1 - inside[0] / wall):.1f}% of wall, {100 * (1 - inside[1] / busy):.1f}% of processor time; "
            f"{boxes / len(paths):.0f} boxes a picture"
        )
    if cuda:
        print(f"peak device memory {torch.cuda.max_memory_allocated() / 2**30:.2f} GiB")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--detector", default="random", help="random (official sizes), toy, official, a path")
    parser.add_argument("--clip", default="toy")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--pictures", type=int, default=4)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 2, 4])
    given = parser.parse_args()
    with weights(given.detector) as name, tempfile.TemporaryDirectory() as folder:
        measure(given, name, Path(folder))


if __name__ == "__main__":
    main()
