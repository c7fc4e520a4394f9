"""Train the toy's mPLUG, which answers DPG-Bench's questions: `python train/vqa.py --out DIR [--steps N]`. Resumes.

Pictures show what a dense prompt asks for, or something else; the questions are those of the
prompt, as many yes as no of each kind. A dense loss teaches the eyes beside: every patch's shape and colour.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import time
from pathlib import Path
from random import Random

import numpy as np
import torch
import torch.nn.functional as F
from codes import codes, grid
from janus_eval.benchmarks.dpg_bench.mplug import Memory, MPlug, Sizes
from janus_eval.benchmarks.dpg_bench.tokens import Tokens
from janus_eval.benchmarks.dpg_bench.vqa import to_pixels
from janus_eval.benchmarks.toy.dense import NUMBERS, dense
from janus_eval.benchmarks.toy.dense import things as dense_things
from janus_eval.benchmarks.toy.questions import scene
from janus_eval.benchmarks.toy.world import (
    COLOR_NAMES,
    NAMES,
    RELATIONS,
    Scene,
    holds,
    pixels,
    with_article,
)
from machine import arguments, begin, bfloat16, keep, kept, placed
from PIL import Image
from torch import Tensor, nn

ASKED = 8
KINDS = ("whole", "color", "count", "spatial")


def vocabulary() -> list[str]:
    """Return the words of vocab.txt; 101 and 102 are [CLS] and [SEP], as in BERT's."""
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    words = ["[PAD]", *(f"[unused{n}]" for n in range(99)), "[UNK]", "[CLS]", "[SEP]", "[MASK]", "yes", "no"]
    words += [*letters, *(f"##{each}" for each in letters), *"?.,;:'!-"]
    said = "is are there an the of left right above below one two three four picture image in color does show"
    more = [*said.split(), *COLOR_NAMES, *NAMES, *(f"{name}s" for name in NAMES)]
    return words + [each for each in dict.fromkeys(more) if each not in words]


def sizes(words: int) -> Sizes:
    return Sizes(
        image_size=64,
        patch=8,
        vision_width=128,
        vision_layers=2,
        width=128,
        heads=4,
        inner=256,
        words=words,
        positions=32,
        kinds=2,
        eps=1e-12,
        text_layers=1,
        fusion_list=4,
        fusion_layers=3,
        decoder_layers=1,
        stride=6,
        memory_width=128,
        min_length=1,
        max_length=10,
        beams=5,
    )


def configs(folder: Path, words: list[str]) -> None:
    """Write config.yaml, config_bert.json and vocab.txt in the layout of ModelScope's folder."""
    size = sizes(len(words))
    (folder / "config.yaml").write_text(
        f"task: vqa\nbert_config: config_bert.json\nimage_res: {size.image_size}\nmin_length: {size.min_length}\n"
        f"max_length: {size.max_length}\nbeam_size: {size.beams}\n"
    )
    bert = {
        "hidden_size": size.width,
        "num_attention_heads": size.heads,
        "intermediate_size": size.inner,
        "vocab_size": len(words),
        "max_position_embeddings": size.positions,
        "type_vocab_size": size.kinds,
        "layer_norm_eps": size.eps,
        "hidden_act": "gelu",
        "num_hidden_layers": size.fusion_list,
        "fusion_layers": size.fusion_layers,
        "text_encoder_layers": size.text_layers,
        "text_decode_layers": size.decoder_layers,
        "stride_layer": size.stride,
        "encoder_width": size.memory_width,
    }
    (folder / "config_bert.json").write_text(json.dumps(bert, indent=1) + "\n")
    (folder / "vocab.txt").write_text("\n".join(words) + "\n")


def initialise(network: nn.Module) -> None:
    with torch.no_grad():
        for name, each in network.named_parameters():
            if each.dim() == 1:
                each.fill_(1.0 if re.search(r"(LayerNorm|ln_\w+|layer_norm)\.weight$", name) else 0.0)
            else:
                std = 0.5 if "embedding" in name else 1 / math.sqrt(each[0].numel())
                nn.init.normal_(each, std=std)


def question(rng: Random, seen: Scene, kind: str, yes: bool) -> str | None:
    """Return a question of DPG-Bench's kind whose true answer is `yes`; None where the scene allows none."""
    names = {thing.name for thing in seen.things}
    thing = rng.choice(seen.things)
    name, count = thing.name, seen.count(thing.name)
    absent = rng.choice([each for each in NAMES if each not in names])
    if kind == "whole":
        return f"Is there {with_article(name if yes else absent)}?"
    if kind == "color":
        colors = {each.color for each in seen.things if each.name == name}
        if yes and len(colors) > 1:
            return None
        if not yes and rng.random() < 0.2:
            return f"Is the {absent} {rng.choice(COLOR_NAMES)}?"
        shown = [each.color for each in seen.things if each.color not in colors]
        others = shown if shown and rng.random() < 0.5 else [each for each in COLOR_NAMES if each not in colors]
        color = thing.color if yes else rng.choice(others)
        return f"Is the {name} {color}?" if count == 1 else f"Are the {name}s {color}?"
    if kind == "count":
        if not yes and rng.random() < 0.15:
            return f"Are there {rng.choice(['two', 'three'])} {absent}s?"
        number = count if yes else rng.choice([each for each in (2, 3, 4) if each != count])
        return None if number == 1 else f"Are there {NUMBERS[number]} {name}s?"
    if len(seen.things) < 2:
        return None
    a, b = rng.sample(seen.things, 2)
    relation = next((each for each in RELATIONS if holds(each, a, b)), None)
    if relation is None or seen.count(a.name) > 1 or seen.count(b.name) > 1:
        return None
    if not yes and rng.random() < 0.15:
        return f"Is the {a.name} {rng.choice(RELATIONS)} the {absent}?"
    said = relation if yes else rng.choice([each for each in RELATIONS if each != relation])
    return f"Is the {a.name} {said} the {b.name}?"


def example(rng: Random) -> tuple[Scene, list[tuple[str, bool, str]]]:
    """Return a scene and eight questions with their answers and kinds, each about to be asked alone."""
    while True:
        seen = Scene(dense_things(rng, dense(rng))) if rng.random() < 0.6 else scene(rng)
        asked: list[tuple[str, bool, str]] = []
        for _ in range(60):
            kind, yes = rng.choice(KINDS), rng.random() < 0.5
            text = question(rng, seen, kind, yes)
            if text is not None:
                asked.append((text, yes, kind))
            if len(asked) == ASKED:
                return seen, asked


def shown(rng: Random, seen: Scene) -> Tensor:
    picture = pixels(seen).astype(np.float32)
    if rng.random() < 0.5:  # drawn pictures are not exact
        noise = np.random.default_rng(rng.randrange(1 << 30))
        picture += noise.normal(0, noise.uniform(0, 8), picture.shape)
    return to_pixels(Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8)), 64)


def forward(network: MPlug, tokens: Tokens, pictures: Tensor, texts: list[list[str]]) -> tuple[Tensor, Memory]:
    """Return the picture tokens and what the decoder needs for the questions (P, Q)."""
    encoded = [[tokens.encode(text)[0] for text in row] for row in texts]
    longest = max(len(ids) for row in encoded for ids in row)
    ids = torch.tensor([[each + [tokens.pad] * (longest - len(each)) for each in row] for row in encoded])
    mask = (ids != tokens.pad).long()
    words = network.encode_questions(ids.flatten(0, 1), mask.flatten(0, 1)).unflatten(0, ids.shape[:2])
    seen = network.encode_pictures(pictures)
    return seen, network.remember(*network.fuse(seen, words, mask), mask)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    arguments(parser, seed=5, steps=3000, batch=16)
    parser.add_argument("--rate", type=float, default=1e-3)
    args = parser.parse_args()
    begin(args)
    words = vocabulary()
    tokens = Tokens(words)
    configs(args.out, words)
    network = MPlug(sizes(len(words))).train()
    initialise(network)
    teacher = nn.Linear(128, codes().shapes + 11)
    trained = [*network.parameters(), *teacher.parameters()]
    optimizer = torch.optim.AdamW(trained, lr=args.rate, betas=(0.9, 0.98), weight_decay=0.01)
    start = 0
    if before := kept(args.out):
        network.load_state_dict(before["network"])
        teacher.load_state_dict(before["teacher"])
        optimizer.load_state_dict(before["optimizer"])
        start = before["step"]
    yes, no = words.index("yes"), words.index("no")
    began = time.time()
    rights: dict[str, float] = {}
    for step in range(start, args.steps):
        done = step / args.steps
        for group in optimizer.param_groups:
            group["lr"] = args.rate * min(1.0, (step + 1) / 200) * max(0.02, 0.5 + 0.5 * math.cos(math.pi * done))
        rng = Random(f"{args.seed}/{step}")
        rows = [example(rng) for _ in range(args.batch)]
        pictures = torch.stack([shown(rng, seen) for seen, _ in rows]).to(args.device)
        answers = torch.tensor([[yes if each[1] else no for each in asked] for _, asked in rows]).flatten()
        with bfloat16():
            seen, memory = forward(network, tokens, pictures, [[each[0] for each in asked] for _, asked in rows])
            cache = network.begin(len(answers))
            first = network.step(torch.full((len(answers), 1), tokens.start), memory, cache)[:, 0].float()
            second = network.step(answers[:, None], memory, cache)[:, 0].float()
            said = teacher(seen[:, 1:]).float()
        loss = F.cross_entropy(first, answers)
        ends = F.cross_entropy(second, torch.full_like(answers, tokens.end))
        cells = placed(np.stack([grid(scene_.things) for scene_, _ in rows]))
        table = codes()
        shape, color = placed(table.shape)[cells].flatten(), placed(table.color)[cells].flatten()
        weight = torch.where(cells.flatten() > 0, 1.0, 0.2)
        looked = F.cross_entropy(said[..., : table.shapes].flatten(0, 1), shape, reduction="none")
        looked = looked + F.cross_entropy(said[..., table.shapes :].flatten(0, 1), color, reduction="none")
        look = (looked * weight).sum() / weight.sum()
        optimizer.zero_grad(set_to_none=True)
        (loss + 0.3 * ends + 0.5 * look).backward()
        nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        right = (first.detach().argmax(1) == answers).view(args.batch, ASKED)
        for row, (_, asked) in enumerate(rows):
            for column, (_, _, kind) in enumerate(asked):
                rights[kind] = 0.995 * rights.get(kind, 0.5) + 0.005 * right[row, column].item()
        if (step + 1) % 50 == 0:
            speed = (step + 1 - start) / (time.time() - began)
            seen_right = " ".join(f"{kind} {rights.get(kind, 0):.2f}" for kind in KINDS)
            left = (args.steps - step) / speed / 60
            print(
                f"{step + 1}/{args.steps} loss {loss.item():.3f} look {look.item():.3f} right: {seen_right} "
                f"{speed:.2f} steps/s, {left:.0f} min left",
                flush=True,
            )
        if (step + 1) % 250 == 0 or step + 1 == args.steps:
            content = {"network": network.state_dict(), "teacher": teacher.state_dict(), "step": step + 1}
            keep(args.out, {**content, "optimizer": optimizer.state_dict()})


if __name__ == "__main__":
    main()
