"""What every patch shows, as losses that teach eyes densely: its shape and colour, and the words for them.

A question like "is there a cat?" gives one bit a picture, too little to learn to see from; a patch
gives two classes each. The words tie what is seen to what is asked: a patch of a red cat is pulled
towards the embeddings of "red" and "cat", so that a question finds it by its own words.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import numpy as np
import torch
import torch.nn.functional as F
from codes import codes, grid
from janus_eval.benchmarks.toy.world import COLOR_NAMES, GRID, LAST, NAMES, SPAN, Scene
from machine import placed
from torch import Tensor, nn

SIDES = ("left", "right", "top", "bottom")
NOTHING = -100
SHARPNESS = 8.0
"""How much the angle between a patch and a word counts: low, so that only a small angle is good enough."""


def teacher(width: int) -> nn.Linear:
    """Return the head that names a patch's shape and colour; training's own, it is not shipped."""
    return nn.Linear(width, codes().shapes + len(COLOR_NAMES) + 1)


def look_loss(head: nn.Linear, features: Tensor, scenes: Sequence[Scene]) -> Tensor:
    """Return the loss of naming each patch's shape and colour from (n, 64, width) features."""
    table = codes()
    cells = placed(np.stack([grid(each.things) for each in scenes])).flatten()
    shape, color = head(features).flatten(0, 1).tensor_split([table.shapes], dim=1)
    wrong = F.cross_entropy(shape, placed(table.shape)[cells], reduction="none")
    wrong = wrong + F.cross_entropy(color, placed(table.color)[cells], reduction="none")
    weight = torch.where(cells > 0, 1.0, 0.2)
    return (wrong * weight).sum() / weight.sum()


def word_loss(features: Tensor, names: Tensor, colors: Tensor, sides: Tensor, scenes: Sequence[Scene]) -> Tensor:
    """Return the loss of naming each thing's patches by the words' own vectors, by the angle to each.

    `features` (n, 64, width) as the language model gets them; `names` (18, width), `colors`
    (10, width) and `sides` (4, width), of SIDES, are its embeddings of the world's words. Patches
    of the background say nothing.
    """
    name, color, across, down = (np.full((len(scenes), GRID, GRID), NOTHING) for _ in range(4))
    lower, right = np.indices((GRID, GRID)) >= GRID // 2
    for row, scene in enumerate(scenes):
        for thing in scene.things:
            place = (row, slice(thing.row, thing.row + SPAN), slice(thing.column, thing.column + SPAN))
            name[place], color[place] = NAMES.index(thing.name), COLOR_NAMES.index(thing.color)
            down[place], across[place] = lower[place[1:]], right[place[1:]]
    seen = SHARPNESS * F.normalize(features.flatten(0, 1), dim=1)
    asked = [(names, name), (colors, color), (sides[:2], across), (sides[2:], down)]
    losses = [
        F.cross_entropy(seen @ F.normalize(vectors, dim=1).T, placed(truth).flatten(), ignore_index=NOTHING)
        for vectors, truth in asked
    ]
    return torch.stack(losses).sum()


def where(rng: Random, seen: Scene) -> tuple[str, str] | None:
    """Return a question about the side on which a thing is, and its answer; None where none is clear.

    Training's own: what is left of what is learned from where each of them is.
    """
    thing = rng.choice(seen.things)
    cell, sides = rng.choice([(thing.column, SIDES[:2]), (thing.row, SIDES[2:])])
    if seen.count(thing.name) > 1 or SPAN - 1 <= cell <= LAST - SPAN + 1:
        return None
    at = "on" if "left" in sides else "at"
    return f"Is the {thing.name} {at} the {sides[0]} or {at} the {sides[1]}?", sides[cell > LAST / 2]


@torch.no_grad()
def match(query: nn.Linear, key: nn.Linear, gains: Sequence[float] = (2.0, 2.0, 1.0, 1.0)) -> None:
    """Begin cross-attention as matching: a word finds the patches that are like it; one gain a head.

    After Trockman and Kolter, Mimetic Initialization of Self-Attention Layers (ICML 2023,
    arXiv 2305.09828): the product of query and key weights begins near a multiple of the identity.
    Sharp heads find a thing; soft ones look at all the more of the picture that shows it, and can count.
    """
    heads = query.weight.unflatten(0, (len(gains), -1))
    heads *= torch.tensor(gains)[:, None, None]
    key.weight.copy_(query.weight)
