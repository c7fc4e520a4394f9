"""Time what GenEval's scorer does now against what it did, in turns, on the same random weights.

    python perf/scorers.py                       the official sizes, 384 pixels, on the CPU (about 3 minutes, 3 GB)
    python perf/scorers.py --repeat 5

network: Mask2Former with Swin-S over one picture, its deformable attention by bags of corners against
transformers' own; what both find in it is compared. texts: a class's texts through CLIP ViT-L/14's text tower, the
20 that name it in one call (the other ten are every class's), against ten calls of three: of the texts' own length,
and of 77 positions, as the official script's tokenizer fills them (djghosh13/geneval af4902f through clip_benchmark).
`--tried` has instead the network with its weights laid out channels last, and compiled (which needs a C++ compiler
and minutes), against itself as it is.
The median of each counts.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from detector import pictures, weights
from janus_eval.benchmarks.geneval.detector.backends import TransformersDetector
from janus_eval.benchmarks.geneval.detector.colour import TEMPLATES
from janus_eval.benchmarks.geneval.detector.pixels import read
from janus_eval.benchmarks.geneval.prompts import COLORS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=384)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--tried", action="store_true")
    given = parser.parse_args()
    if given.tried:
        for name, change in CHANGES.items():
            with torch.inference_mode():
                print(json.dumps({"stage": name, **changed(given.size, given.repeat, change)}), flush=True)
        return
    with torch.inference_mode():
        print(json.dumps({"stage": "network", **network(given.size, given.repeat)}), flush=True)
        print(json.dumps({"stage": "texts", **texts(given.repeat)}), flush=True)
        print(json.dumps({"stage": "texts as the official script reads them", **texts(given.repeat, 77)}), flush=True)


def channels_last(model: Any) -> Any:
    return model.to(memory_format=torch.channels_last)


CHANGES: dict[str, Callable[[Any], Any]] = {"channels last": channels_last, "compiled": torch.compile}


def changed(size: int, repeat: int, change: Callable[[Any], Any]) -> dict[str, Any]:
    """Return the times of a changed network against the network as it is."""
    with weights("random") as name, TemporaryDirectory() as folder:
        plain, other = (TransformersDetector(Path(name), device="cpu") for _ in range(2))
        (path,) = pictures(Path(folder), 1, size)
        prepared = plain.prepare(read(path)[0])
    other.model = change(other.model)
    seconds, (now, before) = in_turns(lambda: other.logits([prepared]), lambda: plain.logits([prepared]), repeat)
    return seconds | {"class_logits_differ": float((now[0] - before[0]).abs().max())}


def network(size: int, repeat: int) -> dict[str, Any]:
    with weights("random") as name, TemporaryDirectory() as folder:
        detector = TransformersDetector(Path(name), device="cpu")
        (path,) = pictures(Path(folder), 1, size)
        prepared = detector.prepare(read(path)[0])
    attentions = [each for each in detector.model.modules() if type(each).__name__.endswith("DeformableAttention")]
    bags = [each.forward for each in attentions]
    grids = [each.args[1] for each in bags]

    def run(forwards: list[Callable[..., Any]]) -> tuple[Any, Any]:
        for module, forward in zip(attentions, forwards, strict=True):
            module.forward = forward
        return detector.logits([prepared])

    seconds, (now, before) = in_turns(lambda: run(bags), lambda: run(grids), repeat)
    gaps = [float((a - b).abs().max()) for a, b in zip(now, before, strict=True)]
    return seconds | {"class_logits_differ": gaps[0], "mask_logits_differ": gaps[1]}


def texts(repeat: int, positions: int = 10) -> dict[str, Any]:
    """Return the times of a class's texts, the reference's filled up to so many `positions`."""
    from transformers import CLIPTextConfig, CLIPTextModel

    sizes = {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12}
    model: Any = CLIPTextModel(CLIPTextConfig(**sizes, eos_token_id=49407)).eval()
    words = [each.format(colour=colour, name="cow").split() for colour in COLORS for each in TEMPLATES]
    ids = torch.full((len(words), 10), 49407)
    for row, text in zip(ids, words, strict=True):
        row[: len(text) + 1] = torch.tensor([49406, *(hash_of(word) for word in text)])

    filled = torch.nn.functional.pad(ids, (0, positions - ids.shape[1]), value=49407)
    own = torch.tensor(["cow" in text for text in words])

    def before() -> Any:
        return torch.cat([model(input_ids=filled[start : start + 3]).pooler_output for start in range(0, 30, 3)])

    seconds, (now, then) = in_turns(lambda: model(input_ids=ids[own]).pooler_output, before, repeat)
    return seconds | {"features_differ": float((now - then[own]).abs().max())}


def hash_of(word: str) -> int:
    return 1000 + sum(word.encode()) * 7 % 40_000


def in_turns(now: Callable[[], Any], before: Callable[[], Any], repeat: int) -> tuple[dict[str, Any], tuple[Any, Any]]:
    """Return wall and processor seconds of both, taken in turns after one of each, and what they gave."""
    gave = now(), before()
    rows: dict[str, list[float]] = {"now_s": [], "before_s": [], "now_cpu_s": [], "before_cpu_s": []}
    for _ in range(repeat):
        for name, call in (("now", now), ("before", before)):
            wall, busy = time.perf_counter(), time.process_time()
            call()
            rows[f"{name}_s"].append(time.perf_counter() - wall)
            rows[f"{name}_cpu_s"].append(time.process_time() - busy)
    found = {name: statistics.median(each) for name, each in rows.items()}
    ratios = {"ratio": found["before_s"] / found["now_s"], "cpu_ratio": found["before_cpu_s"] / found["now_cpu_s"]}
    return {name: round(value, 3) for name, value in (found | ratios).items()}, gave


if __name__ == "__main__":
    main()
