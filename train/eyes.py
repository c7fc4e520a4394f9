"""Train the toy Janus's eyes alone to name every patch: `python train/eyes.py --out DIR`, for `janus.py --eyes DIR`.

A few hundred steps of this cost little and spare the language model from waiting for its eyes.
"""

from __future__ import annotations

import argparse
import time
from random import Random

import torch
from answering import look_loss, seen_tensor
from janus import Pupil
from janus_eval.benchmarks.toy.questions import scene
from machine import arguments, begin, bfloat16, keep, kept
from torch import nn


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    arguments(parser, seed=6, steps=600, batch=16)
    args = parser.parse_args()
    begin(args)
    pupil = Pupil()
    parts = nn.ModuleDict({"vision": pupil.janus.model.vision_model, "teacher": pupil.teacher})
    optimizer = torch.optim.AdamW(parts.parameters(), lr=1.5e-3, betas=(0.9, 0.98), weight_decay=0.01)
    start = 0
    if before := kept(args.out):
        parts.load_state_dict(before["parts"])
        optimizer.load_state_dict(before["optimizer"])
        start = before["step"]
    began, mean = time.time(), 0.0
    for step in range(start, args.steps):
        for group in optimizer.param_groups:
            group["lr"] = 1.5e-3 * min(1.0, (step + 1) / 50) * max(0.05, 1 - step / args.steps)
        rng = Random(f"{args.seed}/{step}")
        scenes = [scene(rng) for _ in range(args.batch)]
        with bfloat16():
            features = pupil.janus.model.vision_model(seen_tensor(scenes)).last_hidden_state
            loss = look_loss(pupil, features, scenes)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(parts.parameters(), 1.0)
        optimizer.step()
        mean = loss.item() if step == start else 0.95 * mean + 0.05 * loss.item()
        if (step + 1) % 50 == 0:
            speed = (step + 1 - start) / (time.time() - began)
            left = (args.steps - step) / speed / 60
            print(f"{step + 1}/{args.steps} look {mean:.3f} {speed:.2f} steps/s, {left:.1f} min left", flush=True)
        if (step + 1) % 100 == 0 or step + 1 == args.steps:
            content = {"parts": parts.state_dict(), "optimizer": optimizer.state_dict(), "step": step + 1}
            keep(args.out, content)


if __name__ == "__main__":
    main()
