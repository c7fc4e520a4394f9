"""The embedded world's scenes: things on an 8x8 grid, drawn as 64-pixel pictures, by seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from random import Random

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .icons import COLORS, ICONS, SIZE, icon

NAMES: tuple[str, ...] = tuple(ICONS)
COLOR_NAMES: tuple[str, ...] = tuple(COLORS)
CELL = 8
GRID = 8
SIDE = CELL * GRID
"""Side of a picture in pixels."""
SPAN = SIZE // CELL
"""Side of a thing in cells."""
LAST = GRID - SPAN
BACKGROUND = (222, 227, 230)
RELATIONS = ("left of", "right of", "above", "below")

HELD_OUT: frozenset[tuple[str, str]] = frozenset(
    (name, COLOR_NAMES[(3 * number + 1) % 10]) for number, name in enumerate(NAMES)
)
"""One colour of every thing that the drawing model never meets in training."""


@dataclass(frozen=True, slots=True)
class Thing:
    """One thing: its name, its colour, the cell of its upper left corner (0 to 5 each)."""

    name: str
    color: str
    row: int
    column: int

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Return x0, y0, x1, y1 in pixels, exclusive at the right and the bottom."""
        return (self.column * CELL, self.row * CELL, self.column * CELL + SIZE, self.row * CELL + SIZE)


@dataclass(frozen=True, slots=True)
class Scene:
    """Things, and the seed of the background's texture (None: plain)."""

    things: tuple[Thing, ...]
    texture: int | None = None

    def count(self, name: str) -> int:
        return sum(thing.name == name for thing in self.things)


def free(row: int, column: int, taken: Sequence[tuple[int, int]]) -> bool:
    """Return whether a thing there leaves at least one empty cell to every other."""
    return all(abs(row - r) > SPAN or abs(column - c) > SPAN for r, c in taken)


def places(rng: Random, count: int) -> list[tuple[int, int]]:
    """Return `count` (1 to 4) cells for things that do not touch."""
    while True:
        taken: list[tuple[int, int]] = []
        for _ in range(count * 6):
            row, column = rng.randint(0, LAST), rng.randint(0, LAST)
            if free(row, column, taken):
                taken.append((row, column))
                if len(taken) == count:
                    return taken


def related_places(rng: Random, relation: str) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the cells of A and B where "A relation B" holds and the other axis differs by one cell at most."""
    near, far = sorted(rng.choice([(0, 4), (0, 5), (1, 5)]))
    across = rng.randint(0, LAST)
    beside = min(LAST, max(0, across + rng.choice([-1, 0, 0, 1])))
    first, second = (
        ((across, near), (beside, far)) if relation in ("left of", "right of") else ((near, across), (far, beside))
    )
    return (first, second) if relation in ("left of", "above") else (second, first)


def holds(relation: str, a: Thing, b: Thing) -> bool:
    """Return whether "a relation b" holds clearly: at least four cells along the axis, less across."""
    down, right = a.row - b.row, a.column - b.column
    along, across = (right, down) if relation in ("left of", "right of") else (down, right)
    sign = -1 if relation in ("left of", "above") else 1
    return sign * along > SPAN and abs(across) < abs(along)


@cache
def tile(name: str, color: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return a thing's pixels times their alpha, (24, 24, 3), and the alpha, (24, 24, 1) from 0 to 1."""
    pixels = np.asarray(icon(name, color), dtype=np.float32)
    alpha = np.divide(pixels[..., 3:], 255, dtype=np.float32)
    return np.multiply(pixels[..., :3], alpha, dtype=np.float32), alpha


def background(texture: int | None) -> NDArray[np.float32]:
    """Return a (64, 64, 3) background: plain, or a light tint with soft stripes and grain."""
    plain = np.empty((SIDE, SIDE, 3), dtype=np.float32)
    plain[:] = BACKGROUND
    if texture is None:
        return plain
    rng = np.random.default_rng(texture)
    plain += rng.uniform(-10, 10, size=3).astype(np.float32)
    y, x = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32)
    wave = rng.uniform(-0.6, 0.6, size=2)
    plain += (rng.uniform(0, 6) * np.sin(wave[0] * x + wave[1] * y + rng.uniform(0, 6.3)))[..., None].astype(np.float32)
    return plain + rng.normal(0, rng.uniform(0, 3), size=(SIDE, SIDE, 1)).astype(np.float32)


def pixels(scene: Scene) -> NDArray[np.uint8]:
    """Return the picture as (64, 64, 3) RGB."""
    picture = background(scene.texture)
    for thing in scene.things:
        body, alpha = tile(thing.name, thing.color)
        x0, y0, x1, y1 = thing.box
        picture[y0:y1, x0:x1] = picture[y0:y1, x0:x1] * (1 - alpha) + body
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)


def draw(scene: Scene) -> Image.Image:
    return Image.fromarray(pixels(scene))


def mask(thing: Thing) -> NDArray[np.bool_]:
    """Return the (64, 64) mask of a thing: where it hides more than half of the background."""
    area = np.zeros((SIDE, SIDE), dtype=bool)
    x0, y0, x1, y1 = thing.box
    area[y0:y1, x0:x1] = tile(thing.name, thing.color)[1][..., 0] > 0.5
    return area


def with_article(text: str) -> str:
    return ("an " if text[0] in "aeiou" else "a ") + text
