"""Train the toy's Mask2Former detector: `python train/detector.py --out DIR [--steps N]`. Resumes from DIR/last.pt.

Each of the 16 queries answers for one 16-pixel cell of the picture: it names the thing whose centre
lies there, or nothing. That spares the matching of queries to things, which is what makes such
detectors slow to train; the network and its use are Mask2Former's.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from random import Random

import numpy as np
import torch
import torch.nn.functional as F
from janus_eval.benchmarks.geneval.prompts import CLASSES
from janus_eval.benchmarks.toy.world import CELL, COLOR_NAMES, NAMES, SIDE, Scene, Thing, mask, pixels, places
from machine import arguments, begin, keep, kept, placed
from torch import Tensor, nn
from transformers import Mask2FormerConfig, Mask2FormerForUniversalSegmentation, SwinConfig

NONE = len(CLASSES)
QUERY_GRID = 4
STRIDE = 4
MEAN = np.array([123.675, 116.28, 103.53], dtype=np.float32)
STD = np.array([58.395, 57.12, 57.375], dtype=np.float32)


def network() -> Mask2FormerForUniversalSegmentation:
    swin = SwinConfig(
        image_size=SIDE,
        patch_size=STRIDE,
        embed_dim=32,
        depths=[2, 2, 1, 1],
        num_heads=[2, 4, 4, 4],
        window_size=4,
        mlp_ratio=2.0,
        layer_norm_eps=1e-5,
        drop_path_rate=0.0,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )
    config = Mask2FormerConfig(
        backbone_config=swin,
        feature_size=64,
        mask_feature_size=64,
        hidden_dim=64,
        encoder_feedforward_dim=128,
        encoder_layers=1,
        decoder_layers=3,  # two layers and the prediction before them
        dim_feedforward=128,
        num_attention_heads=4,
        num_queries=QUERY_GRID**2,
        id2label=dict(enumerate(CLASSES)),
        label2id={name: index for index, name in enumerate(CLASSES)},
    )
    model = Mask2FormerForUniversalSegmentation(config)
    with torch.no_grad():
        for name, module in model.named_modules():
            if isinstance(module, nn.Linear) and "sampling_offsets" not in name and "attention_weights" not in name:
                nn.init.normal_(module.weight, std=1 / math.sqrt(module.in_features))
            elif isinstance(module, nn.Embedding):
                nn.init.normal_(module.weight, std=1.0)
    return model


def scene(rng: Random) -> Scene:
    """Return one to four things, often several of a kind."""
    count = rng.choice([1, 1, 2, 2, 3, 4])
    names = [rng.choice(NAMES)] * count if rng.random() < 0.35 else [rng.choice(NAMES) for _ in range(count)]
    cells = places(rng, count)
    things = tuple(Thing(name, rng.choice(COLOR_NAMES), *cell) for name, cell in zip(names, cells, strict=True))
    return Scene(things, rng.randrange(1 << 30) if rng.random() < 0.4 else None)


def cell_of(thing: Thing) -> int:
    """Return the query that answers for a thing: that of the cell in which its centre lies."""
    step = SIDE // QUERY_GRID
    return ((thing.row * CELL + 12) // step) * QUERY_GRID + (thing.column * CELL + 12) // step


def coarse(thing: Thing) -> np.ndarray:
    """Return a thing's mask at stride 4: cells of which it covers a third or more."""
    full = mask(thing).reshape(SIDE // STRIDE, STRIDE, SIDE // STRIDE, STRIDE)
    return full.mean(axis=(1, 3)) > 0.34


def batch(rng: Random, size: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return pictures, the class of every query (n, 16), and for each thing its (row, query) and its mask."""
    pictures, labels, where, masks = [], np.full((size, QUERY_GRID**2), NONE), [], []
    for row in range(size):
        seen = scene(rng)
        noise = np.random.default_rng(rng.randrange(1 << 30))
        picture = pixels(seen).astype(np.float32)
        if rng.random() < 0.7:  # drawn pictures are not exact: a little blur in value
            picture += noise.normal(0, noise.uniform(0, 6), picture.shape)
        pictures.append(picture)
        for thing in seen.things:
            query = cell_of(thing)
            labels[row, query] = CLASSES.index(thing.name)
            where.append((row, query))
            masks.append(coarse(thing))
    seen = placed((np.stack(pictures) - MEAN) / STD).permute(0, 3, 1, 2)
    return seen, placed(labels), torch.tensor(where), placed(np.stack(masks))


def losses(model: Mask2FormerForUniversalSegmentation, rng: Random, size: int) -> Tensor:
    """Return the sum over the decoder's heads of class, mask and dice loss."""
    seen, labels, where, masks = batch(rng, size)
    out = model.model(pixel_values=seen, output_hidden_states=True)
    weight = torch.ones(NONE + 1)
    weight[NONE] = 0.3
    wanted = masks.float()
    total = torch.zeros(())
    for state, masked in zip(out.transformer_decoder_intermediate_states, out.masks_queries_logits, strict=True):
        said = model.class_predictor(state.transpose(0, 1)).float()
        total = total + F.cross_entropy(said.flatten(0, 1), labels.flatten(), weight=weight)
        drawn = masked.float()[where[:, 0], where[:, 1]]
        total = total + 2 * F.binary_cross_entropy_with_logits(drawn, wanted)
        chance = drawn.sigmoid().flatten(1)
        flat = wanted.flatten(1)
        total = total + (1 - (2 * (chance * flat).sum(1) + 1) / (chance.sum(1) + flat.sum(1) + 1)).mean()
    return total


@torch.no_grad()
def judge(model: Mask2FormerForUniversalSegmentation, seed: int, size: int) -> dict[str, float]:
    """Return the shares of new scenes whose classes and counts are all right, and of things with a sure, sharp mask."""
    model.eval()
    seen, labels, where, masks = batch(Random(f"judge/{seed}"), size)
    out = model(pixel_values=seen)
    chance = out.class_queries_logits.softmax(-1)[..., :-1]
    best, name = chance.max(-1)
    found = torch.where(best > 0.3, name, NONE)
    right = (found.sort(1).values == labels.sort(1).values).all(1).float().mean()
    logits = F.interpolate(out.masks_queries_logits, size=(SIDE, SIDE), mode="bilinear")[where[:, 0], where[:, 1]]
    inside = logits > 0
    sure = (logits.sigmoid() * inside).flatten(1).sum(1) / (inside.flatten(1).sum(1) + 1e-6)
    score = sure * best[where[:, 0], where[:, 1]]
    grown = F.interpolate(masks.float()[:, None], size=(SIDE, SIDE))[:, 0] > 0.5
    overlap = (inside & grown).flatten(1).sum(1) / (inside | grown).flatten(1).sum(1)
    model.train()
    return {
        "scenes": round(right.item(), 3),
        "above_0.9": round((score > 0.9).float().mean().item(), 3),
        "iou": round(overlap.mean().item(), 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    arguments(parser, seed=3, steps=1200, batch=24)
    parser.add_argument("--rate", type=float, default=1e-3)
    args = parser.parse_args()
    begin(args)
    model = network().train()
    trained = list(model.parameters())
    optimizer = torch.optim.AdamW(trained, lr=args.rate, weight_decay=0.01)
    start = 0
    if before := kept(args.out, "model", "optimizer"):
        model.load_state_dict(before["model"])
        optimizer.load_state_dict(before["optimizer"])
        start = before["step"]
    print(f"parameters {sum(p.numel() for p in trained):,}", flush=True)
    began, mean = time.time(), 0.0
    for step in range(start, args.steps):
        for group in optimizer.param_groups:
            group["lr"] = (
                args.rate * min(1.0, (step + 1) / 100) * max(0.02, 0.5 + 0.5 * math.cos(math.pi * step / args.steps))
            )
        loss = losses(model, Random(f"{args.seed}/{step}"), args.batch)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(trained, 5.0)
        optimizer.step()
        mean = loss.item() if step == start else 0.98 * mean + 0.02 * loss.item()
        if (step + 1) % 50 == 0:
            speed = (step + 1 - start) / (time.time() - began)
            left = (args.steps - step) / speed / 60
            print(f"{step + 1}/{args.steps} loss {mean:.3f} {speed:.2f} steps/s, {left:.0f} min left", flush=True)
        if (step + 1) % 250 == 0 or step + 1 == args.steps:
            content = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step + 1}
            keep(args.out, content)
            print(json.dumps({"step": step + 1, **judge(model, 9, 64)}), flush=True)


if __name__ == "__main__":
    main()
