"""Prompts with scenes that fulfil them, for training the drawing model; and an exact checker of code grids."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from random import Random

import numpy as np
from codes import codes
from janus_eval.benchmarks.toy.dense import NUMBERS, dense
from janus_eval.benchmarks.toy.dense import things as dense_things
from janus_eval.benchmarks.toy.world import (
    COLOR_NAMES,
    HELD_OUT,
    LAST,
    NAMES,
    RELATIONS,
    SPAN,
    Thing,
    holds,
    places,
    related_places,
    with_article,
)
from numpy.typing import NDArray

TASKS = ("single_object", "two_object", "counting", "colors", "position", "color_attr", "dense")


def met(name: str, color: str) -> bool:
    return (name, color) not in HELD_OUT


def _color(rng: Random, name: str, other: str = "") -> str:
    while True:
        color = rng.choice(COLOR_NAMES)
        if met(name, color) and color != other:
            return color


def ordered(things: tuple[Thing, ...], relation: str | None = None) -> tuple[Thing, ...]:
    """Return the things in each other's places, so that the prompt tells which of them is drawn first.

    Codes are drawn line by line. The first to be named is the first in that order; where a relation
    stands between two, the left or the upper one. Left open, the code that begins the first thing
    would have to be "a red cat or a blue dog", and `network.Factored` can only say "red or blue, a
    cat or a dog": half of the pictures would have their colours exchanged.
    """
    if relation in ("above", "below"):
        return things
    if relation is None:
        cells = sorted((thing.row, thing.column) for thing in things)
        return tuple(replace(each, row=row, column=column) for each, (row, column) in zip(things, cells, strict=True))
    a, b = things
    upper, lower = sorted((a.row, b.row))
    first, second = (upper, lower) if a.column < b.column else (lower, upper)
    return replace(a, row=first), replace(b, row=second)


def example(rng: Random, task: str) -> tuple[str, tuple[Thing, ...]]:
    """Return a prompt of the task and the things of a scene that fulfils it; held-out pairs never occur."""
    if task == "dense":
        wish = dense(rng, met)
        return wish.prompt, ordered(dense_things(rng, wish), wish.relation)
    a, b = rng.sample(NAMES, 2)
    color_a = _color(rng, a)
    color_b = _color(rng, b, color_a if task == "color_attr" else "")
    if task in ("single_object", "colors"):
        (cell,) = places(rng, 1)
        what = a if task == "single_object" else f"{color_a} {a}"
        return f"a photo of {with_article(what)}", (Thing(a, color_a, *cell),)
    if task == "counting":
        count = rng.randint(2, 4)
        found = tuple(Thing(a, color_a, *cell) for cell in places(rng, count))
        return f"a photo of {NUMBERS[count]} {a}s", found
    if task == "position":
        relation = rng.choice(RELATIONS)
        first, second = related_places(rng, relation)
        text = f"a photo of {with_article(a)} {relation} {with_article(b)}"
        return text, ordered((Thing(a, color_a, *first), Thing(b, color_b, *second)), relation)
    first, second = places(rng, 2)
    pair = ordered((Thing(a, color_a, *first), Thing(b, color_b, *second)))
    if task == "two_object":
        return f"a photo of {with_article(a)} and {with_article(b)}", pair
    return f"a photo of {with_article(f'{color_a} {a}')} and {with_article(f'{color_b} {b}')}", pair


@cache
def _corners() -> dict[bytes, tuple[str, str]]:
    table = codes().of
    return {table[i, j].tobytes(): (name, color) for i, name in enumerate(NAMES) for j, color in enumerate(COLOR_NAMES)}


def read(cells: NDArray[np.int64]) -> tuple[list[Thing], bool]:
    """Return the whole things of a (64,) code grid, and whether nothing else stands in it."""
    rest = cells.reshape(8, 8).copy()
    found: list[Thing] = []
    for row in range(LAST + 1):
        for column in range(LAST + 1):
            known = _corners().get(np.ascontiguousarray(rest[row : row + SPAN, column : column + SPAN]).tobytes())
            if known is not None:
                found.append(Thing(*known, row, column))
                rest[row : row + SPAN, column : column + SPAN] = 0
    return found, not rest.any()


def fulfils(wish: tuple[Thing, ...], task: str, relation: str | None, found: list[Thing]) -> bool:
    """Return whether the things found are what the wish asks for (colours only where the task names them)."""
    colored = task in ("colors", "color_attr", "dense")
    asked = sorted((thing.name, thing.color if colored else "") for thing in wish)
    seen = sorted((thing.name, thing.color if colored else "") for thing in found)
    if asked != seen:
        return False
    if relation is None:
        return True
    a = next(thing for thing in found if thing.name == wish[0].name)
    b = next(thing for thing in found if thing.name == wish[1].name)
    return holds(relation, a, b)
