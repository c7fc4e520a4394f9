"""Time one step of drawing at several depths of the cache: this package at a large batch, the official loop at four.

    python perf/steps.py                          half of Janus-Pro-1B's layers, batch 32 (5 minutes, 16 GB)
    python perf/steps.py --layers 24 --batch 16   all of them

`perf/janus.py` draws whole pictures; at Janus-Pro-1B's size on a CPU that takes hours. Here the caches are filled with
random numbers up to a depth, some steps are drawn from there on, and the seconds of a picture are the mean step times
576, both ways alike and in turns. The official loop's step is that of perf/janus.py, the engine's is its own. The head
of 16,384 codes weighs twice as much beside half of the layers, for both.
"""

from __future__ import annotations

import argparse
import copy
import json
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import torch
from janus import PAD, PICTURES, SHAPES, WEIGHT, Shape, build, device_name, device_speed, floor, prompts
from janus_eval.models.janus.engine import Sampler, _step
from janus_eval.models.janus.network import Cache, Network
from janus_eval.models.janus.noise import noise_for
from torch import Tensor
from transformers.cache_utils import DynamicCache

TOKENS = 576


def official(model: Any, shape: Shape, depth: int) -> Callable[[], None]:
    """Return one step of the official loop, behind `depth` positions."""
    cache = DynamicCache()
    for layer in range(shape.layers):
        size = (PICTURES * 2, shape.heads, depth, shape.hidden // shape.heads)
        cache.update(*torch.randn((2, *size), dtype=model.dtype), layer)
    core = model.model
    x = [core.language_model.embed_tokens(torch.full((PICTURES * 2, 1), PAD))]

    def step() -> None:
        hidden = core.language_model(inputs_embeds=x[0], use_cache=True, past_key_values=cache).last_hidden_state
        logits = core.generation_head(hidden[:, -1, :])
        cond, uncond = logits[0::2], logits[1::2]
        code = torch.multinomial(torch.softmax(uncond + WEIGHT * (cond - uncond), dim=-1), num_samples=1)
        x[0] = model.prepare_embeddings_for_image_generation(torch.cat([code, code], dim=1).view(-1)).unsqueeze(1)

    return step


def engine(network: Network, batch: int, depth: int, steps: int) -> Callable[[], None]:
    """Return one step of this package's loop for `batch` pictures, behind `depth` positions."""
    cache = Cache.empty(network, 2 * batch, depth + steps)
    cache.store[..., :depth, :] = torch.randn(
        (depth, network.head_dim), dtype=network.dtype
    )  # the same for all rows: numbers all the same
    choose = Sampler(WEIGHT, 1.0, noise_for([*range(batch)], network.codes, network.device))
    lengths = torch.full((2 * batch,), depth)
    state: dict[str, Any] = {
        "hidden": network.normed(torch.randn((2 * batch, cache_width(network)), dtype=network.dtype)),
        "at": 0,
    }

    def step() -> None:
        logits = network.code_logits(state["hidden"])
        codes: Tensor = choose(state["at"], logits[:batch], logits[batch:])
        x = network.embed_codes(codes)
        state["hidden"] = _step(network, torch.cat((x, x)), lengths + state["at"], cache, depth + state["at"])
        state["at"] += 1

    return step


def cache_width(network: Network) -> int:
    """Return the width of a hidden state."""
    return network.embed(torch.tensor([0])).shape[-1]


def timed(step: Callable[[], None], steps: int) -> float:
    """Return the mean seconds of a step, after one that warms up."""
    step()
    began = time.perf_counter()
    for _ in range(steps):
        step()
    return (time.perf_counter() - began) / steps


@torch.inference_mode()
def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--depths", type=int, nargs="+", default=[20, 164, 308, 452, 590])
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"], help="of both ways alike")
    given = parser.parse_args()
    dtype = getattr(torch, given.dtype)
    shape = replace(SHAPES["1b"], layers=given.layers)
    speed = device_speed(torch.device("cpu"), dtype)
    model = build(shape, TOKENS, torch.device("cpu"), dtype)
    network = Network(copy.deepcopy(model))
    rows: list[dict[str, float]] = []
    for depth in given.depths:
        theirs = timed(official(model, shape, depth), given.steps) / PICTURES
        ours = timed(engine(network, given.batch, depth, given.steps + 2), given.steps) / given.batch
        rows.append({"depth": depth, "official_s": theirs, "engine_s": ours, "ratio": theirs / ours})
    theirs, ours = (sum(row[key] for row in rows) / len(rows) * TOKENS for key in ("official_s", "engine_s"))
    mean = sum(len(each.conditional) for each in prompts(32, shape)) / 32
    least = floor(shape, given.batch, TOKENS, mean, dtype.itemsize, speed)
    told = {
        "shape": asdict(shape),
        "batch": given.batch,
        "dtype": given.dtype,
        "device": device_name(torch.device("cpu")),
        "measured": {"read GB/s": round(speed[0] / 1e9, 1), "product GFLOP/s": round(speed[1] / 1e9, 1)},
        "a step of a picture": [{key: round(value, 4) for key, value in row.items()} for row in rows],
        "s/picture": {"official": round(theirs, 1), "engine": round(ours, 1)}
        | {key: round(value, 1) for key, value in least.items()},
        "over official": round(theirs / ours, 2),
        "engine over floor": round(ours / least["floor"], 2),
        "engine over reading and computing in turn": round(ours / (least["read"] + least["compute"]), 2),
    }
    print(json.dumps(told, indent=1))


if __name__ == "__main__":
    main()
