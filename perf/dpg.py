"""Questions per second of DPG-Bench's VQA model: one at a time as the official chain asks, and ours.

python perf/dpg.py [--questions 10] [--pictures 1] [--stride 3] [--device cpu] [--rounds 1]

Full mPLUG-large (504 px, 24 vision, 6 text, 6 of 12 fusion and 12 decoder layers) with random
weights that answer yes or no, as real ones nearly always do. Both ways share the weights and take
turns in one run; the answers must be equal. `--check MODEL_FOLDER ANSWERS.json` instead holds the
one-at-a-time way and ours against stored answers of the reference (parity/mplug_tiny's format).
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from janus_eval.benchmarks.dpg_bench.benchmark import DpgBench
from janus_eval.benchmarks.dpg_bench.vqa.mplug import MPlug
from janus_eval.benchmarks.dpg_bench.vqa.observer import MPlugVqa, to_pixels
from janus_eval.benchmarks.dpg_bench.vqa.sizes import Sizes
from janus_eval.benchmarks.dpg_bench.vqa.tokens import Tokens
from PIL import Image

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))
from support import mplug_folder, plain_mplug

T = TypeVar("T")


def full_sizes(stride: int, words: int) -> Sizes:
    """Return mPLUG-large's sizes as its model folder has them."""
    return Sizes(
        image_size=504,
        patch=14,
        vision_width=1024,
        vision_layers=24,
        width=768,
        heads=12,
        inner=3072,
        words=words,
        positions=512,
        kinds=2,
        eps=1e-12,
        text_layers=6,
        fusion_list=12,
        fusion_layers=6,
        decoder_layers=12,
        stride=stride,
        memory_width=768,
        min_length=1,
        max_length=10,
        beams=5,
    )


def large(stride: int) -> tuple[MPlug, Tokens]:
    small = mplug_folder.tokens()
    tokens = Tokens([*small.words, *(f"[filler{n}]" for n in range(30522 - len(small.words)))])
    network = MPlug(full_sizes(stride, len(tokens.words)))
    mplug_folder.fill(network)
    head = network.text_decoder.get_submodule("cls.predictions")
    with torch.no_grad():
        head.get_parameter("decoder.weight").mul_(0.05)
        bias = head.get_parameter("decoder.bias")
        for word in ("yes", "no"):
            bias[tokens.words.index(word)] = 22.0
        bias[tokens.end] = 32.0
    return network.eval().requires_grad_(False), tokens


def balance(model: MPlugVqa, pictures: list[Image.Image], texts: list[str]) -> None:
    """Move the bias of "yes" so that half of the answers are "no"; the pass also warms the machine up."""
    yes, no = (model.tokens.words.index(word) for word in ("yes", "no"))
    leads: list[float] = []
    step = model.network.step

    def watched(ids: torch.Tensor, memory: Any, cache: Any, parents: torch.Tensor | None = None) -> torch.Tensor:
        logits = step(ids, memory, cache, parents)
        if cache.length == 1:
            leads.extend((logits[:, 0, yes] - logits[:, 0, no]).tolist())
        return logits

    model.network.step = watched
    model.ask(pictures, [texts] * len(pictures))
    del model.network.step
    with torch.no_grad():
        model.network.text_decoder.get_parameter("cls.predictions.decoder.bias")[yes] -= statistics.median(leads)


def timed(call: Callable[[], T], device: str) -> tuple[T, float, float]:
    """Return the result, the wall time and the processor time in seconds."""
    if device != "cpu":
        torch.cuda.synchronize()
    wall, cpu = time.perf_counter(), time.process_time()
    result = call()
    if device != "cpu":
        torch.cuda.synchronize()
    return result, time.perf_counter() - wall, time.process_time() - cpu


def plain(model: MPlugVqa, picture: Image.Image, question: str, device: str) -> str:
    """Answer one question from the picture on, keeping nothing."""
    with torch.inference_mode(), torch.device(device):
        pixels = to_pixels(picture, model.network.sizes.image_size).to(device)
        state = model.network.state_dict()
        hypotheses = plain_mplug.answer(state, model.network.sizes, pixels, model.tokens.encode(question)[0])
    return model.tokens.decode(hypotheses[0][1])


def compare(arguments: argparse.Namespace) -> None:
    device = arguments.device
    model = MPlugVqa(*large(arguments.stride), device, torch.float32)
    count = sum(each.numel() for each in model.network.parameters())
    print(f"mPLUG-large, random weights: {count / 1e6:.0f} M parameters, stride {arguments.stride}, {device}, float32")
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads; {arguments.pictures} pictures", end=" ")
    print(f"with {arguments.questions} questions each")
    random = np.random.default_rng(0)
    pictures = [
        Image.fromarray(random.integers(0, 255, (384, 384, 3), dtype=np.uint8)) for _ in range(arguments.pictures)
    ]
    texts = [each.text for item in DpgBench("example").items for each in item.questions][: arguments.questions]
    balance(model, pictures, texts)
    total = len(pictures) * len(texts)
    for number in range(arguments.rounds):
        ours, wall, cpu = timed(lambda: model.ask(pictures, [texts] * len(pictures)), device)
        fast = [answer for one in ours for answer, _ in one]
        slow, slow_wall, slow_cpu = timed(lambda: [plain(model, p, t, device) for p in pictures for t in texts], device)
        if fast != slow:
            raise SystemExit(
                f"the answers differ: {[pair for pair in zip(fast, slow, strict=True) if len(set(pair)) > 1]}"
            )
        kinds = ", ".join(f"{fast.count(each)} {each}" for each in sorted(set(fast)))
        print(f"round {number + 1}: {total} equal answers: {kinds}")
        for name, seconds, work in (("one at a time", slow_wall, slow_cpu), ("ours", wall, cpu)):
            speed = f"{total / seconds:7.3f} questions/s"
            print(f"  {name:13}  {seconds:8.1f} s wall  {work:8.1f} s processor  {speed}")
        print(f"  ratio          {slow_wall / wall:8.2f}         {slow_cpu / cpu:8.2f}", flush=True)


def check(folder: Path, answers: Path) -> None:
    """Hold both ways against a reference's answers: pictures and weights lie beside the model folder."""
    from janus_eval.benchmarks.dpg_bench.vqa import weights
    from safetensors.torch import load_file

    state = load_file(folder.parent / "weights.safetensors")
    sizes = weights.read_sizes(folder, state)
    network = MPlug(sizes).double()
    network.load_state_dict(
        {k: v.double() for k, v in weights.select(state, network.state_dict(), sizes, folder).items()}
    )
    tokens = Tokens.read(folder / "vocab.txt")
    inputs = np.load(folder.parent / "inputs.npz")
    asked: dict[str, Any] = json.loads((folder.parent / "questions.json").read_text(encoding="utf-8"))
    expected: list[dict[str, Any]] = json.loads(answers.read_text(encoding="utf-8"))
    model = MPlugVqa(network.eval(), tokens, "cpu", torch.float64)
    worst = {"one at a time": 0.0, "ours": 0.0}
    for row in expected:
        number = asked["images"].index(row["image"])
        ids = tokens.encode(row["question"])[0]
        pixels = torch.from_numpy(inputs["pixel_values"][number]).double()
        with torch.inference_mode():
            slow = plain_mplug.answer(network.state_dict(), replace(sizes), pixels, ids)
        picture = pixels[None]
        fast = [(h.score, list(h.ids)) for h in model.search_pixels(picture, [[row["question"]]])[0][0][0]]
        for name, found in (("one at a time", slow), ("ours", fast)):
            if [each[1] for each in found] != [each["ids"] for each in row["all_hypotheses"]]:
                raise SystemExit(f"{name}: other hypotheses for {row['image']} {row['question']!r}")
            scores = [abs(a[0] - b["score"]) for a, b in zip(found, row["all_hypotheses"], strict=True)]
            worst[name] = max(worst[name], *scores)
    print(f"{len(expected)} answers, all hypotheses equal; largest difference of a score: {worst}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=int, default=10)
    parser.add_argument("--pictures", type=int, default=1)
    parser.add_argument("--stride", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--check", nargs=2, type=Path, metavar=("MODEL_FOLDER", "ANSWERS.json"))
    arguments = parser.parse_args()
    if arguments.check:
        check(*arguments.check)
    else:
        compare(arguments)


if __name__ == "__main__":
    main()
