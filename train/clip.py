"""Train the toy's CLIP, which names colours: `python train/clip.py --out DIR`; a minute or two.

It sees what GenEval's colour step shows it: a thing cut out by a coarse mask, grey around it.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path
from random import Random

import numpy as np
import torch
import torch.nn.functional as F
from detector import coarse
from janus_eval.benchmarks.geneval.detector.colour import TEMPLATES, crop, pixels
from janus_eval.benchmarks.toy.questions import scene
from janus_eval.benchmarks.toy.world import COLOR_NAMES, NAMES, Scene, Thing, draw
from machine import arguments, begin, keep, kept, placed
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from transformers import CLIPConfig, CLIPModel, CLIPTokenizer

SIDE = 32


def letters() -> list[str]:
    """Return the 256 letters that stand for bytes in a byte-level vocabulary (GPT-2's table)."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [each for each in range(256) if each not in shown]
    return [chr(each) for each in shown] + [chr(256 + index) for index in range(len(hidden))]


def write_tokenizer(folder: Path) -> None:
    """Write CLIP's tokenizer files: every byte, and every word of the prompts as one token."""
    tokens = [*letters(), *(f"{each}</w>" for each in letters())]
    merges: list[str] = []
    for word in ["a", "photo", "of", "object", "colored", *COLOR_NAMES, *NAMES]:
        whole = word[0]
        for place, letter in enumerate(word[1:], 2):
            part = letter + ("</w>" if place == len(word) else "")
            if f"{whole} {part}" not in merges:
                merges.append(f"{whole} {part}")
            whole += part
            if whole not in tokens:
                tokens.append(whole)
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    table = {token: number for number, token in enumerate(tokens)}
    (folder / "vocab.json").write_text(json.dumps(table), encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n", encoding="utf-8")
    settings = {"tokenizer_class": "CLIPTokenizer", "model_max_length": 24}
    settings |= {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>"}
    settings |= {"unk_token": "<|endoftext|>", "pad_token": "<|endoftext|>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")


def network(vocab: int) -> CLIPModel:
    size = {"hidden_size": 96, "intermediate_size": 192, "num_hidden_layers": 2, "num_attention_heads": 4}
    ends = {"bos_token_id": vocab - 2, "eos_token_id": vocab - 1, "pad_token_id": vocab - 1}
    config = CLIPConfig(
        text_config={**size, **ends, "vocab_size": vocab, "projection_dim": 64, "max_position_embeddings": 24},
        vision_config={**size, "image_size": SIDE, "patch_size": 8, "projection_dim": 64},
        projection_dim=64,
    )
    model = CLIPModel(config)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=1 / math.sqrt(module.in_features))
            elif isinstance(module, nn.Embedding):
                nn.init.normal_(module.weight, std=0.5)
    return model


def seen_mask(thing: Thing, rng: Random) -> NDArray[np.bool_]:
    """Return a thing's mask as a detector gives it: coarse, its logits enlarged, a little too wide or too narrow."""
    logits = placed(coarse(thing)).float()[None, None] * 16 - 8 + rng.uniform(-4, 4)
    return (F.interpolate(logits, size=(64, 64), mode="bilinear")[0, 0] > 0).cpu().numpy()


def view(seen: Scene, thing: Thing, rng: Random) -> NDArray[np.float32]:
    """Return CLIP's input (3, 32, 32) for one thing of a scene."""
    picture = draw(seen)
    if rng.random() < 0.6:  # drawn pictures are not exact
        noise = np.random.default_rng(rng.randrange(1 << 30)).normal(0, rng.uniform(0, 8), (64, 64, 3))
        picture = Image.fromarray(np.clip(np.asarray(picture) + noise, 0, 255).astype(np.uint8))
    mask = seen_mask(thing, rng)
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return pixels(crop(picture, mask, (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)), SIDE)


def examples(rng: Random, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return views, and the number of each thing's name and colour."""
    views, names, colors = [], [], []
    while len(views) < size:
        seen = scene(rng)
        thing = rng.choice(seen.things)
        views.append(view(seen, thing, rng))
        names.append(NAMES.index(thing.name))
        colors.append(COLOR_NAMES.index(thing.color))
    return placed(np.stack(views)), torch.tensor(names), torch.tensor(colors)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    arguments(parser, seed=4, steps=150, batch=48)
    args = parser.parse_args()
    begin(args)
    write_tokenizer(args.out)
    tokenizer = CLIPTokenizer.from_pretrained(str(args.out))
    model = network(len(json.loads((args.out / "vocab.json").read_text()))).train()

    def texts(template: str) -> Tensor:
        """Return the normalised features of all names x colours, (18, 10, width)."""
        said = [template.format(colour=color, name=name) for name in NAMES for color in COLOR_NAMES]
        ids = tokenizer(said, padding=True, return_tensors="pt").to(args.device)
        pooled = model.text_model(input_ids=ids.input_ids, attention_mask=ids.attention_mask).pooler_output
        return F.normalize(model.text_projection(pooled), dim=-1).view(len(NAMES), len(COLOR_NAMES), -1)

    def images(views: Tensor) -> Tensor:
        return F.normalize(model.visual_projection(model.vision_model(pixel_values=views).pooler_output), dim=-1)

    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.01)
    start = 0
    if before := kept(args.out, "model", "optimizer"):
        model.load_state_dict(before["model"])
        optimizer.load_state_dict(before["optimizer"])
        start = before["step"]
    began = time.time()
    for step in range(start, args.steps):
        rng = Random(f"{args.seed}/{step}")
        for group in optimizer.param_groups:
            group["lr"] = 1e-3 * min(1.0, (step + 1) / 50) * max(0.02, 1 - step / args.steps)
        views, names, colors = examples(rng, args.batch)
        template = TEMPLATES[step % 3]
        said, seen = texts(template), images(views)
        loss = F.cross_entropy(20 * torch.einsum("nd,ncd->nc", seen, said[names]), colors)
        if "{name}" in template:  # and which thing it is, as CLIP would know
            loss = loss + F.cross_entropy(20 * seen @ said.flatten(0, 1).T, names * len(COLOR_NAMES) + colors)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if (step + 1) % 50 == 0:
            with torch.no_grad():
                views, names, colors = examples(Random("judge"), 200)
                mean = F.normalize(sum((texts(each) for each in TEMPLATES), torch.zeros(())), dim=-1)
                right = (torch.einsum("nd,ncd->nc", images(views), mean[names]).argmax(1) == colors).float().mean()
            speed = (step + 1 - start) / (time.time() - began)
            left = (args.steps - step) / speed / 60
            print(
                f"{step + 1}/{args.steps} loss {loss.item():.3f} colours {right.item():.3f} "
                f"{speed:.2f} steps/s, {left:.1f} min left",
                flush=True,
            )
            keep(args.out, {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step + 1})
    model.eval().half().save_pretrained(args.out)


if __name__ == "__main__":
    main()
