"""The world's patches as an exact code dictionary: every code is a shape in a colour.

A picture of the world is 8x8 patches of 8 pixels. The 18 things in 10 colours give about a thousand
different patches; patches that are pixel for pixel equal share a code, code 0 is the background.
Each code is known by its shape and its colour, so that a model can learn the two apart and draw a
thing in a colour in which it never met it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from janus_eval.benchmarks.toy.world import CELL, COLOR_NAMES, GRID, NAMES, SPAN, Scene, Thing, pixels
from numpy.typing import NDArray

NEUTRAL = len(COLOR_NAMES)
"""The colour of patches that look the same whatever the thing's colour."""


@dataclass(frozen=True)
class Codes:
    """`patches` (codes, 8, 8, 3); `shape`, `color` (codes,); `of` (things, colours, 3, 3)."""

    patches: NDArray[np.uint8]
    shape: NDArray[np.int64]
    color: NDArray[np.int64]
    of: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.patches)

    @property
    def shapes(self) -> int:
        return int(self.shape.max()) + 1


def _cut(picture: NDArray[np.uint8], row: int, column: int) -> NDArray[np.uint8]:
    return picture[row * CELL : (row + 1) * CELL, column * CELL : (column + 1) * CELL]


@cache
def codes() -> Codes:
    empty = pixels(Scene(()))
    patches = [_cut(empty, 0, 0)]
    shape, color, known = [0], [NEUTRAL], {patches[0].tobytes(): 0}
    of = np.zeros((len(NAMES), len(COLOR_NAMES), SPAN, SPAN), dtype=np.int64)
    shapes = 1
    for i, name in enumerate(NAMES):
        drawn = [pixels(Scene((Thing(name, each, 0, 0),))) for each in COLOR_NAMES]
        for r in range(SPAN):
            for c in range(SPAN):
                cuts = [_cut(picture, r, c) for picture in drawn]
                neutral = all(np.array_equal(cut, cuts[0]) for cut in cuts)
                new = False
                for j, cut in enumerate(cuts):
                    key = cut.tobytes()
                    if key not in known:
                        known[key] = len(patches)
                        patches.append(cut)
                        shape.append(shapes)
                        color.append(NEUTRAL if neutral else j)
                        new = True
                    of[i, j, r, c] = known[key]
                shapes += new
    return Codes(np.stack(patches), np.array(shape), np.array(color), of)


def grid(things: tuple[Thing, ...]) -> NDArray[np.int64]:
    """Return the (64,) code of every patch, row by row."""
    cells = np.zeros((GRID, GRID), dtype=np.int64)
    table = codes().of
    for thing in things:
        part = table[NAMES.index(thing.name), COLOR_NAMES.index(thing.color)]
        cells[thing.row : thing.row + SPAN, thing.column : thing.column + SPAN] = part
    return cells.reshape(-1)


def picture(cells: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return the exact (64, 64, 3) picture of a (64,) code grid."""
    rows = codes().patches[cells.reshape(GRID, GRID)]
    return rows.transpose(0, 2, 1, 3, 4).reshape(GRID * CELL, GRID * CELL, 3)
