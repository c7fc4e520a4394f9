"""Questions about pictures as training batches: a picture is read once for all of its questions."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import numpy as np
import tokenizer as words
import torch
import torch.nn.functional as F
from janus_eval.benchmarks.toy.questions import OPEN, YES_NO, choice, opened, scene, yes_no
from janus_eval.benchmarks.toy.world import COLOR_NAMES, NAMES, Scene, pixels
from machine import placed
from sight import SIDES, look_loss, where, word_loss
from torch import Tensor
from transformers import DynamicCache

if TYPE_CHECKING:
    from pupil import Pupil

SHORT = "Answer the question using a single word or phrase."
LETTER = "Answer with the option's letter from the given choices directly."
SYSTEMS = (
    "You are a helpful assistant. Please answer truthfully and write out your thinking step by step to be sure you "
    "get the right answer.",
    "You are a helpful language and vision assistant. You are able to understand the visual content that the user "
    "provides, and assist the user with a variety of tasks using natural language.",
)
A_PICTURE = 8
EASY = ("color", "name")


def easy(rng: Random, seen: Scene) -> tuple[str, str, str]:
    """Return a bare question about one thing, its answer, and its kind: what is asked first."""
    while True:
        form = rng.random()
        if form < 0.15:
            asked = where(rng, seen)
            if asked is not None:
                return f"\n{asked[0]}", asked[1], "open/where"
            continue
        if form < 0.65:
            question = yes_no(rng, seen, "existence", rng.random() < 0.5)
            if question is not None:
                return f"\n{question.text}", question.answer.capitalize(), "yes_no/existence"
        kind = rng.choice(EASY)
        question = opened(rng, seen, kind)
        if question is not None:
            return f"\n{question.text}", question.answer, f"open/{kind}"


def turn(rng: Random, seen: Scene) -> tuple[str, str, str]:
    """Return a user text after the picture, its answer, and the question's kind."""
    while True:
        form = rng.choices(["yes_no", "open", "choice"], [9, 6, 7])[0]
        if form == "yes_no":
            question = yes_no(rng, seen, rng.choice(YES_NO), rng.random() < 0.5)
            if question is None:
                continue
            asked = question.text
            if rng.random() < 0.3:
                asked += " Please answer yes or no."
            tail = f"\n{SHORT}" if rng.random() < 0.75 else ""
            return f"\n{asked}{tail}", question.answer.capitalize(), f"yes_no/{question.kind}"
        kind = rng.choice(OPEN)
        if form == "open":
            question = opened(rng, seen, kind)
            if question is None:
                continue
            tail = rng.choice([f"\n{SHORT}", f"\n{SHORT}", "", "\nAnswer the question directly."])
            head = "" if rng.random() < 0.2 else "\n"
            return f"{head}{question.text}{tail}", question.answer, f"open/{kind}"
        shown = [*(thing.name for thing in seen.things), *(thing.color for thing in seen.things)]
        picked = choice(rng, seen, kind, rng.choice([2, 3, 4, 4, 4]), shown)
        if picked is None:
            continue
        capital = rng.random() < 0.3
        lines = [f"{'ABCD'[i]}. {each.capitalize() if capital else each}" for i, each in enumerate(picked.options)]
        head = "\n<image 1> " if rng.random() < 0.15 else "\n"
        return f"{head}{picked.text}\n" + "\n".join(lines) + f"\n\n{LETTER}", picked.letter, f"choice/{kind}"


def seen_tensor(scenes: list[Scene]) -> Tensor:
    """Return (n, 3, 64, 64) pictures in [-1, 1]."""
    return placed(np.stack([pixels(each) for each in scenes])).permute(0, 3, 1, 2).float() / 127.5 - 1


def see(pupil: Pupil, scenes: list[Scene]) -> tuple[Tensor, Tensor]:
    """Return the pictures as the language model gets them (n, 64, width), and the loss of the eyes."""
    model = pupil.janus.model
    features = model.vision_model(seen_tensor(scenes)).last_hidden_state
    seen = model.aligner(features)
    names, colors, sides = (pupil.voices(group) for group in (NAMES, COLOR_NAMES, SIDES))
    return seen, look_loss(pupil.teacher, features, scenes) + word_loss(seen, names, colors, sides, scenes)


def read(pupil: Pupil, seen: Tensor, system: str, asked: list[list[int]]) -> Tensor:
    """Return the hidden states (n * questions, length, width) of `asked`, as many to each picture of `seen`.

    A picture and what stands before it are read once; its questions are blind to each other.
    """
    model = pupil.janus.model.language_model
    before = torch.tensor([pupil.ids["bos"], *pupil.encode(f"{system}{words.USER}: "), pupil.ids["boi"]])
    first, last = model.embed_tokens(before), model.embed_tokens(torch.tensor([pupil.ids["eoi"]]))
    wide = (each.expand(len(seen), -1, -1) for each in (first, last))
    prefix = torch.cat([next(wide), seen, next(wide)], dim=1)
    cache = DynamicCache()
    model(inputs_embeds=prefix, past_key_values=cache, use_cache=True)
    cache.batch_repeat_interleave(len(asked) // len(seen))
    longest = max(map(len, asked))
    ids = torch.tensor([row + [pupil.ids["pad"]] * (longest - len(row)) for row in asked])
    places = torch.arange(prefix.shape[1], prefix.shape[1] + longest)[None]
    return model(inputs_embeds=model.embed_tokens(ids), past_key_values=cache, position_ids=places).last_hidden_state


def answer_batch(pupil: Pupil, rng: Random, size: int, hard: float) -> dict[str, Tensor]:
    """Return the loss of the answers and of the eyes for `size` pictures; `hard` is the share that is not easy."""
    scenes = [scene(rng) for _ in range(size)]
    system = rng.choice(SYSTEMS) + "\n\n" if rng.random() < 0.15 else ""
    asked: list[list[int]] = []
    said: list[list[int]] = []
    for each in scenes:
        for _ in range(A_PICTURE):
            text, answer, _ = (turn if rng.random() < hard else easy)(rng, each)
            said.append([*pupil.encode(answer), pupil.ids["eos"]])
            asked.append([*pupil.encode(f"{text}\n\n{words.ASSISTANT}:"), *said[-1][:-1]])
    seen, look = see(pupil, scenes)
    hidden = read(pupil, seen, system, asked)
    rows = torch.tensor([row for row, each in enumerate(said) for _ in each])
    places = torch.tensor([len(asked[row]) - len(each) + n for row, each in enumerate(said) for n in range(len(each))])
    logits = pupil.janus.lm_head(hidden[rows, places])
    return {"answer": F.cross_entropy(logits, torch.tensor([n for each in said for n in each])), "look": 0.3 * look}


@torch.no_grad()
def quiz(pupil: Pupil, seed: int, size: int) -> dict[str, float]:
    """Return the share of right answers by kind on new pictures (the answer's first token, greedy)."""
    pupil.eval()
    rng = Random(f"quiz/{seed}")
    right: dict[str, list[bool]] = {}
    for _ in range(size):
        seen = scene(rng)
        turns = [turn(rng, seen) for _ in range(12)]
        asked = [pupil.encode(f"{text}\n\n{words.ASSISTANT}:") for text, _, _ in turns]
        hidden = read(pupil, see(pupil, [seen])[0], "", asked)
        for row, (_, answer, kind) in enumerate(turns):
            token = pupil.janus.lm_head(hidden[row, len(asked[row]) - 1]).argmax().item()
            right.setdefault(kind, []).append(token == pupil.encode(answer)[0])
    pupil.train()
    return {kind: sum(each) / len(each) for kind, each in sorted(right.items())}
