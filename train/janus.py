"""Train the toy Janus's eyes and language model to draw and to answer: `python train/janus.py --out DIR`.

The eyes come first, taught patch by patch (sight.py); then it answers; then every step answers and
draws. Resumes from DIR/last.pt. The examples of a step depend on the seed and the step alone, so an
interrupted training goes on as if it had not been.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from random import Random

import numpy as np
import torch
import torch.nn.functional as F
from answering import answer_batch, quiz, see
from codes import grid
from drawing import TASKS, example, fulfils, read
from janus_eval.benchmarks.toy.questions import scene
from machine import arguments, at_least, begin, keep, kept, placed
from pupil import Pupil
from torch import Tensor, nn

EYES, ANSWERS = 700, 1100
"""Before the first step the eyes learn alone; before the second questions come in; then it draws too."""
AGAIN, HEIGHT = 5000, 0.35
"""From this step on the learning rate goes through a second, lower round: answers need longer than drawing."""
WEIGHTS: tuple[tuple[float, tuple[int, ...]], ...] = (
    (ANSWERS + 300, (30, 10, 10, 30, 8, 8, 4)),
    (ANSWERS + 800, (6, 14, 18, 8, 22, 24, 8)),
    (AGAIN, (3, 6, 14, 6, 32, 34, 5)),
    (math.inf, (6, 12, 26, 10, 18, 18, 10)),
)
"""How often each of TASKS is drawn before which step: what is hard to draw is drawn more later."""
HARD = (ANSWERS, ANSWERS + 600)
"""Questions are bare and about one thing before the first of these steps; from the last on they are of all kinds."""
HARDEST = 0.9
UNCONDITIONAL = 0.1


def draw_loss(pupil: Pupil, rng: Random, size: int, weights: tuple[float, ...]) -> Tensor:
    """Return the mean cross-entropy of `size` pictures' codes."""
    prompts: list[list[int]] = []
    grids: list[np.ndarray] = []
    for _ in range(size):
        (task,) = rng.choices(TASKS, weights)
        text, things = example(rng, task)
        ids = pupil.prompt(text)
        prompts.append(pupil.blank(ids) if rng.random() < UNCONDITIONAL else ids)
        grids.append(grid(things))
    cells = placed(np.stack(grids))
    longest = max(map(len, prompts))
    padded = torch.tensor([ids + [pupil.ids["pad"]] * (longest - len(ids)) for ids in prompts])
    model = pupil.janus.model.language_model
    text = model.embed_tokens(padded)
    seen = pupil.picture_embeds(cells[:, :-1])
    total = longest + 63
    embeds = text.new_zeros(size, total, text.shape[-1])
    places = torch.tensor([len(ids) for ids in prompts])[:, None] + torch.arange(63)
    embeds[:, :longest] = text
    rows = torch.arange(size)[:, None]
    embeds = embeds.to(seen.dtype).index_put((rows, places), seen)
    hidden = model(inputs_embeds=embeds).last_hidden_state
    wanted = hidden[rows, torch.cat([places[:, :1] - 1, places], dim=1)]
    logits = pupil.factored.logits(pupil.picture_hidden(wanted))
    return F.cross_entropy(logits.float().flatten(0, 1), cells.flatten())


@torch.no_grad()
def draw(pupil: Pupil, prompts: list[str], guidance: float, temperature: float, seed: int) -> np.ndarray:
    """Return (n, 64) codes, drawn with classifier-free guidance (training's own small loop)."""
    generator = torch.Generator(torch.get_default_device()).manual_seed(seed)
    model = pupil.janus.model.language_model
    ids = [pupil.prompt(text) for text in prompts]
    longest = max(map(len, ids))
    rows = [[pupil.ids["pad"]] * (longest - len(row)) + row for row in ids + [pupil.blank(row) for row in ids]]
    mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in ids] * 2)
    embeds = model.embed_tokens(torch.tensor(rows))
    cache, drawn = None, []
    for _ in range(64):
        position = (mask.cumsum(1) - 1).clamp(min=0)[:, -embeds.shape[1] :]
        out = model(
            inputs_embeds=embeds, attention_mask=mask, position_ids=position, past_key_values=cache, use_cache=True
        )
        cache = out.past_key_values
        logits = pupil.factored.logits(pupil.picture_hidden(out.last_hidden_state[:, -1])).float()
        given, free = logits.chunk(2)
        chance = torch.softmax((free + guidance * (given - free)) / temperature, dim=-1)
        token = torch.multinomial(chance, 1, generator=generator)[:, 0]
        drawn.append(token)
        embeds = pupil.picture_embeds(token)[:, None].repeat(2, 1, 1)
        mask = torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1)
    return torch.stack(drawn, dim=1).cpu().numpy()


def judge(pupil: Pupil, seed: int, each: int, guidance: float = 1.35, temperature: float = 0.6) -> dict[str, float]:
    """Return the share of pictures that fulfil their prompt, by task, read exactly from the codes."""
    pupil.eval()
    result: dict[str, float] = {}
    for task in TASKS:
        rng = Random(f"{seed}/{task}")
        wishes = [example(rng, task) for _ in range(each)]
        texts = [text for text, _ in wishes]
        drawn = draw(pupil, texts, guidance, temperature, seed)
        good = 0
        for (text, wish), cells in zip(wishes, drawn, strict=True):
            relation = next((r for r in ("left of", "right of", "above", "below") if f" {r} " in text), None)
            found, clean = read(cells)
            good += clean and fulfils(wish, task, relation, found)
        result[task] = good / each
    pupil.train()
    return result


def rate(step: int, steps: int, top: float) -> float:
    """Return the learning rate: a line down while the eyes learn, then two rounds of 150 steps up and a cosine down."""
    if step < EYES:
        return top * min(1.0, (step + 1) / 50) * max(0.05, 1 - step / EYES)
    first, last, height = (EYES, min(steps, AGAIN), 1.0) if step < AGAIN else (AGAIN, steps, HEIGHT)
    done, left = step - first, max(1, last - first - 150)
    if done < 150:
        return top * height * (done + 1) / 150
    return top * max(0.02, height * 0.5 * (1 + math.cos(math.pi * (done - 150) / left)))


def looked(pupil: Pupil, seed: str, size: int) -> dict[str, Tensor]:
    rng = Random(seed)
    return {"look": see(pupil, [scene(rng) for _ in range(size)])[1]}


def drawn(pupil: Pupil, seed: str, size: int, step: int) -> dict[str, Tensor]:
    weights = next(each for until, each in WEIGHTS if step < until)
    grown = min(1.0, (step - ANSWERS + 1) / 200)  # at once it would undo what was learned
    return {"draw": grown * draw_loss(pupil, Random(seed), size, weights)}


def derived(
    trained: list[nn.Parameter], part: Callable[[], dict[str, Tensor]]
) -> tuple[dict[str, float], Sequence[Tensor | None]]:
    """Return the losses of a part of a step, and their gradients."""
    losses = part()
    gradients = torch.autograd.grad(sum(losses.values(), torch.zeros(())), trained, allow_unused=True)
    return {key: each.item() for key, each in losses.items()}, gradients


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    arguments(parser, seed=1, steps=7000, batch=32)
    parser.add_argument("--answer-batch", type=at_least(1), default=6, help="pictures that are asked about in a step")
    parser.add_argument("--rate", type=float, default=2e-3)
    args = parser.parse_args()
    begin(args)
    pupil = Pupil()
    trained = [p for p in pupil.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=args.rate, betas=(0.9, 0.98), weight_decay=0.01)
    start = 0
    if before := kept(args.out, "pupil", "optimizer"):
        pupil.load_state_dict(before["pupil"])
        optimizer.load_state_dict(before["optimizer"])
        start = before["step"]
    print(f"parameters {sum(p.numel() for p in pupil.janus.parameters()):,}", flush=True)
    # Answers and drawing side by side, a thread each, scale better than two threads in every operation.
    side = ThreadPoolExecutor(args.threads, initializer=torch.set_default_device, initargs=(args.device,))
    torch.set_num_threads(1)
    means: dict[str, float] = {}
    began, timed = time.time(), start
    for step in range(start, args.steps):
        if step in (EYES, ANSWERS):
            began, timed = time.time(), step
        for group in optimizer.param_groups:
            group["lr"] = rate(step, args.steps, args.rate)
        parts = [partial(looked, pupil, f"{args.seed}/{step}", args.batch // 2)]
        if step >= EYES:
            pictures = args.answer_batch * (1 if step >= ANSWERS else 2)
            hard = min(HARDEST, max(0.0, (step - HARD[0]) / (HARD[1] - HARD[0])))
            parts = [partial(answer_batch, pupil, Random(f"{args.seed}/{step}"), pictures, hard)]
        if step >= ANSWERS:
            parts.append(partial(drawn, pupil, f"{args.seed}/{step}/draw", args.batch, step))
        losses: dict[str, float] = {}
        optimizer.zero_grad(set_to_none=True)
        for found, gradients in side.map(partial(derived, trained), parts):
            losses |= found
            for each, gradient in zip(trained, gradients, strict=True):
                if gradient is not None:
                    each.grad = gradient if each.grad is None else each.grad + gradient
        nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        for key, value in losses.items():
            means[key] = 0.98 * means.get(key, value) + 0.02 * value
        if (step + 1) % 50 == 0:
            speed = (step + 1 - timed) / (time.time() - began)
            shown = " ".join(f"{key} {value:.3f}" for key, value in means.items())
            left = (args.steps - step) / speed / 60
            print(f"{step + 1}/{args.steps} {shown} {speed:.2f} steps/s, {left:.0f} min left", flush=True)
        if (step + 1) % 100 == 0 or step + 1 == args.steps:
            content = {"pupil": pupil.state_dict(), "optimizer": optimizer.state_dict(), "step": step + 1}
            keep(args.out, content)
        if step > EYES and ((step + 1) % 400 == 0 or step + 1 == args.steps):
            scores = judge(pupil, seed=777, each=16) | quiz(pupil, 777, 60)
            print(json.dumps({"step": step + 1, **{k: round(v, 2) for k, v in scores.items()}}), flush=True)


if __name__ == "__main__":
    main()
