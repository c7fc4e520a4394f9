"""Questions about pictures as training batches: four to a picture, blind to each other."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import numpy as np
import tokenizer as words
import torch
import torch.nn.functional as F
from codes import codes, grid
from janus_eval.benchmarks.toy.questions import OPEN, YES_NO, choice, opened, scene, yes_no
from janus_eval.benchmarks.toy.world import GRID, Scene, pixels
from machine import placed
from torch import Tensor

if TYPE_CHECKING:
    from janus import Pupil

SHORT = "Answer the question using a single word or phrase."
LETTER = "Answer with the option's letter from the given choices directly."
SYSTEMS = (
    "You are a helpful assistant. Please answer truthfully and write out your thinking step by step to be sure you "
    "get the right answer.",
    "You are a helpful language and vision assistant. You are able to understand the visual content that the user "
    "provides, and assist the user with a variety of tasks using natural language.",
)
A_PICTURE = 4


def turn(rng: Random, seen: Scene) -> tuple[str, str, str]:
    """Return a user text after the picture, its answer, and the question's kind."""
    while True:
        form = rng.choices(["yes_no", "open", "choice"], [10, 5, 7])[0]
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


def look_loss(pupil: Pupil, features: Tensor, scenes: list[Scene]) -> Tensor:
    """Return the loss of naming every patch's shape and colour: teaches the eyes densely."""
    cells = placed(np.stack([grid(each.things) for each in scenes]))
    table = codes()
    said = pupil.teacher(features).float()
    shape = F.cross_entropy(
        said[..., : table.shapes].flatten(0, 1), placed(table.shape)[cells].flatten(), reduction="none"
    )
    color = F.cross_entropy(
        said[..., table.shapes :].flatten(0, 1), placed(table.color)[cells].flatten(), reduction="none"
    )
    weight = torch.where(cells.flatten() > 0, 1.0, 0.2)
    return ((shape + color) * weight).sum() / weight.sum()


def pack(pupil: Pupil, rng: Random, seen: Scene) -> tuple[list[int], list[int], list[int], list[int], list[str]]:
    """Return ids, group (0 the prefix, 1.. the turns), positions, targets (-100 elsewhere), and kinds."""
    system = rng.choice(SYSTEMS) + "\n\n" if rng.random() < 0.25 else ""
    ids = [pupil.ids["bos"], *pupil.encode(f"{system}{words.USER}: "), pupil.ids["boi"]]
    ids += [pupil.ids["image"]] * (GRID * GRID) + [pupil.ids["eoi"]]
    group, position, target, kinds = [0] * len(ids), list(range(len(ids))), [-100] * len(ids), []
    for number in range(A_PICTURE):
        text, answer, kind = turn(rng, seen)
        asked = pupil.encode(f"{text}\n\n{words.ASSISTANT}:")
        said = [*pupil.encode(answer), pupil.ids["eos"]]
        own = asked + said[:-1]
        target += [-100] * (len(asked) - 1) + said
        position += range(group.count(0), group.count(0) + len(own))
        group += [number + 1] * len(own)
        ids += own
        kinds.append(kind)
    return ids, group, position, target, kinds


def answer_batch(pupil: Pupil, rng: Random, size: int) -> dict[str, Tensor]:
    """Return the loss of the answers and of the eyes for `size` pictures."""
    scenes = [scene(rng) for _ in range(size)]
    packed = [pack(pupil, rng, each) for each in scenes]
    longest = max(len(row[0]) for row in packed)

    def padded(column: int, fill: int) -> Tensor:
        return torch.tensor([list(row[column]) + [fill] * (longest - len(row[column])) for row in packed])

    ids, group, position, target = padded(0, pupil.ids["pad"]), padded(1, -1), padded(2, 0), padded(3, -100)
    may = (group[:, None, :] == group[:, :, None]) | (group[:, None, :] == 0)
    may &= torch.ones(longest, longest, dtype=torch.bool).tril()
    model = pupil.janus.model
    features = model.vision_model(seen_tensor(scenes)).last_hidden_state
    text = model.language_model.embed_tokens(ids)
    where = (ids == pupil.ids["image"])[..., None]
    embeds = text.masked_scatter(where, model.aligner(features).to(text.dtype))
    mask = torch.zeros(may.shape, dtype=embeds.dtype).masked_fill(~may, torch.finfo(embeds.dtype).min)[:, None]
    hidden = model.language_model(inputs_embeds=embeds, attention_mask=mask, position_ids=position).last_hidden_state
    asked = target >= 0
    said = F.cross_entropy(pupil.janus.lm_head(hidden[asked]).float(), target[asked])
    return {"answer": said, "look": look_loss(pupil, features, scenes)}


@torch.no_grad()
def quiz(pupil: Pupil, seed: int, size: int) -> dict[str, float]:
    """Return the share of right answers by kind on new pictures (the answer's first token, greedy)."""
    pupil.eval()
    rng = Random(f"quiz/{seed}")
    right: dict[str, list[bool]] = {}
    for _ in range(size):
        seen = scene(rng)
        ids, group, position, target, kinds = pack(pupil, rng, seen)
        tensor, groups = torch.tensor([ids]), torch.tensor([group])
        may = (groups[:, None, :] == groups[:, :, None]) | (groups[:, None, :] == 0)
        may &= torch.ones(len(ids), len(ids), dtype=torch.bool).tril()
        model = pupil.janus.model
        text = model.language_model.embed_tokens(tensor)
        seeing = model.aligner(model.vision_model(seen_tensor([seen])).last_hidden_state)
        embeds = text.masked_scatter((tensor == pupil.ids["image"])[..., None], seeing.to(text.dtype))
        mask = torch.zeros(may.shape).masked_fill(~may, torch.finfo(torch.float32).min)[:, None]
        hidden = model.language_model(
            inputs_embeds=embeds, attention_mask=mask, position_ids=torch.tensor([position])
        ).last_hidden_state
        said = pupil.janus.lm_head(hidden)[0].argmax(1).tolist()
        for number, kind in enumerate(kinds):
            own = [i for i in range(len(ids)) if group[i] == number + 1 and target[i] >= 0]
            right.setdefault(kind, []).append(said[own[0]] == target[own[0]])
    pupil.train()
    return {kind: sum(each) / len(each) for kind, each in sorted(right.items())}
