"""Train the toy Janus's picture tokenizer: `python train/vq.py --out DIR [--steps N]`. Resumes from DIR/last.pt.

The codebook is fixed beforehand, one unit vector a patch of the world (a part for its shape, a part
for its colour), so it cannot collapse and the language model can be trained beside: the encoder
learns to name each patch under textures, the decoder to draw it.
"""

from __future__ import annotations

import argparse
import time
from random import Random

import numpy as np
import tokenizer as words
import torch
import torch.nn.functional as F
from codes import codes, grid, picture
from janus_eval.benchmarks.toy.world import COLOR_NAMES, NAMES, Scene, Thing, pixels, places
from machine import arguments, begin, keep, kept, placed
from network import CODE_WIDTH, build
from torch import Tensor, nn
from transformers.models.janus.modeling_janus import JanusVQVAE

SHAPE_PART = 22


def codebook() -> Tensor:
    """Return the (codes, 32) unit vectors: 22 dimensions name the shape, 10 the colour."""
    table = codes()
    generator = torch.Generator("cpu").manual_seed(8)  # the same book on every device
    shape = F.normalize(torch.randn(table.shapes, SHAPE_PART, generator=generator, device="cpu"), dim=1)
    color = F.normalize(torch.randn(11, CODE_WIDTH - SHAPE_PART, generator=generator, device="cpu"), dim=1)
    for _ in range(400):  # push the vectors apart
        for part, step in ((shape, 0.05), (color, 0.05)):
            near = torch.softmax(8 * (part @ part.T).fill_diagonal_(-9), dim=1)
            part -= step * near @ part
            part.copy_(F.normalize(part, dim=1))
    return F.normalize(torch.cat([shape[table.shape], color[table.color]], dim=1), dim=1)


def network() -> JanusVQVAE:
    vocab = words.build()
    vq: JanusVQVAE = build(vocab.get_vocab_size(), {"bos": 0, "eos": 1, "pad": 2, "image": 3}).model.vqmodel
    for module in vq.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu", a=1)
            nn.init.zeros_(module.bias)
    with torch.no_grad():
        vq.quantize.embedding.weight.copy_(codebook())
    vq.quantize.requires_grad_(False)
    return vq


def batch(rng: Random, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return textured pictures and plain pictures (n, 3, 64, 64) in [-1, 1], and their (n, 64) codes."""
    seen, plain, cells = [], [], []
    for _ in range(size):
        count = rng.randint(1, 4)
        things = tuple(Thing(rng.choice(NAMES), rng.choice(COLOR_NAMES), *cell) for cell in places(rng, count))
        seen.append(pixels(Scene(things, rng.randrange(1 << 30) if rng.random() < 0.5 else None)))
        own = grid(things)
        if rng.random() < 0.3:  # pictures that are drawn wrong must be decoded too
            for _ in range(rng.randint(1, 6)):
                own[rng.randrange(64)] = rng.randrange(len(codes()))
            seen[-1] = picture(own)
        plain.append(picture(own))
        cells.append(own)

    def tensor(rows: list[np.ndarray]) -> Tensor:
        return placed(np.stack(rows)).permute(0, 3, 1, 2).float() / 127.5 - 1

    return tensor(seen), tensor(plain), placed(np.stack(cells))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    arguments(parser, seed=2, steps=1800, batch=12)
    args = parser.parse_args()
    begin(args)
    vq = network()
    trained = [p for p in vq.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=2e-3, betas=(0.9, 0.98), weight_decay=0.0)
    start = 0
    if before := kept(args.out, "vq", "optimizer"):
        vq.load_state_dict(before["vq"])
        optimizer.load_state_dict(before["optimizer"])
        start = before["step"]
    book = vq.quantize.embedding.weight
    began = time.time()
    for step in range(start, args.steps):
        done = step / args.steps
        for group in optimizer.param_groups:
            group["lr"] = 2e-3 * min(1.0, (step + 1) / 100) * max(0.02, 1 - done)
        seen, plain, cells = batch(Random(f"{args.seed}/{step}"), args.batch)
        drawn = vq.decode(cells)
        error = drawn.float() - plain
        loss = 4 * (error.abs().mean() + error.square().mean())
        # The encoder learns sooner than the decoder: a few pictures a step, later every tenth step.
        if step < 500 or (step + 1) % 10 == 0:
            some = max(4, args.batch // 4)
            named = vq.quant_conv(vq.encoder(seen[:some]))
            vectors = named.float().permute(0, 2, 3, 1).flatten(0, 2)
            near = F.normalize(vectors, dim=1) @ book.T
            truth = cells[:some].flatten()
            naming = F.cross_entropy(near * 20, truth) + 0.1 * (vectors.norm(dim=1) - 1).square().mean()
            loss = loss + 0.5 * naming
            right = near.argmax(1) == truth
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        if (step + 1) % 50 == 0:
            named_right, inked = right.float().mean().item(), right[truth > 0].float().mean().item()
            speed = (step + 1 - start) / (time.time() - began)
            print(
                f"{step + 1}/{args.steps} levels off {error.abs().mean().item() * 127.5:.2f} "
                f"named {named_right:.3f} (things {inked:.3f}) "
                f"{speed:.2f} steps/s, {(args.steps - step) / speed / 60:.0f} min left",
                flush=True,
            )
        if (step + 1) % 250 == 0 or step + 1 == args.steps:
            content = {"vq": vq.state_dict(), "optimizer": optimizer.state_dict(), "step": step + 1}
            keep(args.out, content)


if __name__ == "__main__":
    main()
