"""Train the toy's mPLUG, which answers DPG-Bench's questions: `python train/vqa.py --out DIR [--steps N]`. Resumes.

The eyes come first, taught patch by patch (sight.py). Then questions: those of DPG-Bench, as many
yes as no of each kind, and open ones ("what color is the cat?"), from whose one-word answers the
network learns sooner where to look than from yes and no.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import time
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from janus_eval.benchmarks.dpg_bench.vqa.mplug import Memory, MPlug, Projections
from janus_eval.benchmarks.dpg_bench.vqa.observer import to_pixels
from janus_eval.benchmarks.dpg_bench.vqa.sizes import Sizes
from janus_eval.benchmarks.dpg_bench.vqa.tokens import Tokens
from janus_eval.benchmarks.toy.dense import NUMBERS, dense
from janus_eval.benchmarks.toy.dense import things as dense_things
from janus_eval.benchmarks.toy.questions import OPEN, opened, scene
from janus_eval.benchmarks.toy.world import (
    COLOR_NAMES,
    GRID,
    NAMES,
    RELATIONS,
    Scene,
    holds,
    pixels,
    with_article,
)
from machine import arguments, begin, keep, kept
from PIL import Image
from sight import SIDES, look_loss, match, teacher, where, word_loss
from torch import Tensor, nn

ASKED = 8
KINDS = ("whole", "color", "count", "spatial")
ALL = (*KINDS, *(f"open {kind}" for kind in OPEN), "where")
LESSONS: tuple[tuple[float, tuple[str, ...]], ...] = (
    (700, ()),
    (2000, ALL),
    (math.inf, (*ALL, "count", "open count", "open place", "spatial", "spatial")),
)
"""Which questions are asked before which step, chosen evenly: none while the eyes learn; what is learned last, more
often later. A kind that came in late would undo what was learned: all are there from the start."""


def vocabulary() -> list[str]:
    """Return the words of vocab.txt; 101 and 102 are [CLS] and [SEP], as in BERT's."""
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    words = ["[PAD]", *(f"[unused{n}]" for n in range(99)), "[UNK]", "[CLS]", "[SEP]", "[MASK]", "yes", "no"]
    words += [*letters, *(f"##{each}" for each in letters), *"?.,;:'!-"]
    said = (
        "is are there an the of left right above below one two three four zero picture image in color how many what "
        "which thing on at or top bottom"
    )
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
    """Begin with words and patches passing through: places and what a layer adds are small beside them."""
    with torch.no_grad():
        for name, each in network.named_parameters():
            if each.dim() == 1:
                each.fill_(1.0 if re.search(r"(LayerNorm|ln_\w+|layer_norm)\.weight$", name) else 0.0)
            elif "word_embedding" in name:
                nn.init.normal_(each)
            elif "embedding" in name:
                nn.init.normal_(each, std=0.2)
            else:
                added = re.search(r"(output\.dense|out_proj|c_proj)\.weight$", name)
                nn.init.normal_(each, std=(0.3 if added else 1.0) / math.sqrt(each[0].numel()))
        place = network.visual_encoder.get_submodule("visual").get_parameter("positional_embedding")
        rows, columns = torch.randn(2, GRID, place.shape[1]) / 2
        place[1:] = (rows[:, None] + columns).flatten(0, 1)  # what is left or right is so in every row
    for name, each in network.named_modules():
        if name.endswith("crossattention.self") and isinstance(each, Projections):
            match(each.query, each.key)


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


def example(rng: Random, lesson: tuple[str, ...]) -> tuple[Scene, list[tuple[str, str, str]]]:
    """Return a scene and eight questions of the lesson's kinds with their answers, each about to be asked alone."""
    while True:
        seen = Scene(dense_things(rng, dense(rng))) if rng.random() < 0.6 else scene(rng)
        asked: list[tuple[str, str, str]] = []
        for _ in range(60):
            kind = rng.choice(lesson)
            if kind in KINDS:
                answer = rng.choice(("yes", "no"))
                text = question(rng, seen, kind, answer == "yes")
                found = None if text is None else (text, answer, kind)
            elif kind == "where":
                side = where(rng, seen)
                found = None if side is None else (*side, kind)
            else:
                made = opened(rng, seen, kind.removeprefix("open "))
                found = None if made is None else (made.text, made.answer, kind)
            if found is not None:
                asked.append(found)
            if len(asked) == ASKED:
                return seen, asked


def lesson(step: int) -> tuple[str, ...]:
    """Return the kinds of question that a step asks: none, while the eyes learn; at last all."""
    return next(kinds for until, kinds in LESSONS if step < until)


def shown(rng: Random, seen: Scene) -> Tensor:
    picture = pixels(seen).astype(np.float32)
    if rng.random() < 0.5:  # drawn pictures are not exact
        noise = np.random.default_rng(rng.randrange(1 << 30))
        picture += noise.normal(0, noise.uniform(0, 8), picture.shape)
    return to_pixels(Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8)), 64)


def ask(network: MPlug, tokens: Tokens, pictures: Tensor, texts: list[list[str]]) -> Memory:
    """Return what the decoder needs to answer the questions (P, Q) about encoded pictures (P, N, D)."""
    encoded = [[tokens.encode(text)[0] for text in row] for row in texts]
    longest = max(len(ids) for row in encoded for ids in row)
    ids = torch.tensor([[each + [tokens.pad] * (longest - len(each)) for each in row] for row in encoded])
    mask = (ids != tokens.pad).long()
    words = network.encode_questions(ids.flatten(0, 1), mask.flatten(0, 1)).unflatten(0, ids.shape[:2])
    return network.remember(*network.fuse(pictures, words, mask), mask)


def rate(step: int, steps: int, top: float) -> float:
    """Return the learning rate: it rises for 200 steps and falls as a cosine."""
    return top * min(1.0, (step + 1) / 200) * max(0.02, 0.5 + 0.5 * math.cos(math.pi * step / steps))


def taken_up(out: Path, **parts: Any) -> int:
    """Load the parts of an interrupted training and return the step to go on from."""
    before = kept(out, *parts)
    if before is None:
        return 0
    for name, part in parts.items():
        part.load_state_dict(before[name])
    return before["step"]


def say(told: str, rights: dict[str, float], speed: float, left: int) -> None:
    """Print how far the training is; `speed` in steps a second, `left` in steps."""
    right = " ".join(f"{kind} {share:.2f}" for kind, share in sorted(rights.items()))
    print(f"{told} right: {right} {speed:.2f} steps/s, {left / speed / 60:.0f} min left", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    arguments(parser, seed=5, steps=9000, batch=16)
    parser.add_argument("--rate", type=float, default=1e-3)
    args = parser.parse_args()
    begin(args)
    words = vocabulary()
    tokens = Tokens(words)
    configs(args.out, words)
    network = MPlug(sizes(len(words))).train()
    initialise(network)
    head = teacher(128)
    trained = [*network.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(trained, lr=args.rate, betas=(0.9, 0.98), weight_decay=0.01)
    start = taken_up(args.out, network=network, teacher=head, optimizer=optimizer)
    names, colors, sides = ([words.index(each) for each in group] for group in (NAMES, COLOR_NAMES, SIDES))
    vectors = network.text_encoder.embeddings.word_embeddings.weight
    began = time.time()
    rights: dict[str, float] = {}
    for step in range(start, args.steps):
        for group in optimizer.param_groups:
            group["lr"] = rate(step, args.steps, args.rate)
        rng = Random(f"{args.seed}/{step}")
        asking = lesson(step)
        rows = [example(rng, asking or KINDS) for _ in range(args.batch)]
        scenes = [scene_ for scene_, _ in rows]
        pictures = torch.stack([shown(rng, each) for each in scenes]).to(args.device)
        seen = network.encode_pictures(pictures)
        patches = seen[:, 1:]
        look = look_loss(head, patches, scenes)
        look = look + word_loss(patches, vectors[names], vectors[colors], vectors[sides], scenes)
        loss = look
        if asking:
            asked = [each for _, row in rows for each in row]
            answers = torch.tensor([words.index(answer) for _, answer, _ in asked])
            memory = ask(network, tokens, seen, [[text for text, _, _ in row] for _, row in rows])
            cache = network.begin(len(answers))
            first = network.step(torch.full((len(answers), 1), tokens.start), memory, cache)[:, 0]
            second = network.step(answers[:, None], memory, cache)[:, 0]
            ends = F.cross_entropy(second, torch.full_like(answers, tokens.end))
            loss = F.cross_entropy(first, answers) + 0.3 * ends + 0.3 * look
            for (_, _, kind), right in zip(asked, (first.argmax(1) == answers).tolist(), strict=True):
                rights[kind] = 0.995 * rights.get(kind, 0.5) + 0.005 * right
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        if (step + 1) % 50 == 0:
            speed = (step + 1 - start) / (time.time() - began)
            say(
                f"{step + 1}/{args.steps} loss {loss.item():.3f} look {look.item():.3f}",
                rights,
                speed,
                args.steps - step,
            )
        if (step + 1) % 250 == 0 or step + 1 == args.steps:
            content = {"network": network.state_dict(), "teacher": head.state_dict(), "step": step + 1}
            keep(args.out, {**content, "optimizer": optimizer.state_dict()})


if __name__ == "__main__":
    main()
