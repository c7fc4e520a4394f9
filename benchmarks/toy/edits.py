"""What instructions to edit mean in the embedded world: read, carried out on pixels, written in two languages."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from random import Random
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .icons import SIZE
from .world import BACKGROUND, CELL, COLOR_NAMES, LAST, NAMES, SIDE, Scene, Thing, free, places, tile

Operation = Literal["recolour", "remove", "replace", "add", "move", "ground", "grey", "extract"]
Pixels = NDArray[np.uint8]
GROUNDS: Final[Mapping[str, tuple[int, int, int]]] = {
    "grey": BACKGROUND,
    "cyan": (150, 228, 236),
    "sand": (240, 222, 160),
    "lilac": (190, 170, 240),
}
"""Colours of a background, which no thing has."""
CORNERS: Final[Mapping[str, tuple[int, int]]] = {
    "upper left": (0, 0),
    "upper right": (0, LAST),
    "lower left": (LAST, 0),
    "lower right": (LAST, LAST),
}
_MOST: Final = 4
"""Things that are looked for in a picture."""
_ALIKE: Final = 16.0
"""Difference of a thing's pixels (root of the mean square, of 255) up to which it is seen."""
_THING: Final = rf"(?P<color>{'|'.join(COLOR_NAMES)}) (?P<name>{'|'.join(NAMES)})"
_OTHER: Final = rf"(?P<color2>{'|'.join(COLOR_NAMES)}) (?P<name2>{'|'.join(NAMES)})"
_CORNER: Final = rf"(?P<corner>{'|'.join(CORNERS)})"
_WORDS: Final[Mapping[Operation, tuple[str, str]]] = {
    "recolour": ("change the color of the THING to COLOR2", "把THING的颜色改成COLOR2"),
    "remove": ("remove the THING", "去掉THING"),
    "replace": ("replace the THING with a OTHER", "把THING换成OTHER"),
    "add": ("add a OTHER in the CORNER corner", "在CORNER角加上OTHER"),
    "move": ("move the THING to the CORNER corner", "把THING移到CORNER角"),
    "ground": ("make the background GROUND", "把背景改成GROUND"),
    "grey": ("turn the picture into black and white", "把图片变成黑白"),
    "extract": ("extract the THING and show it alone on a white background", "把THING抠出来放在白色背景上"),
}
_SLOTS: Final = {
    "THING": _THING,
    "OTHER": _OTHER,
    "CORNER": _CORNER,
    "COLOR2": rf"(?P<color2>{'|'.join(COLOR_NAMES)})",
    "GROUND": rf"(?P<ground>{'|'.join(GROUNDS)})",
}


@dataclass(frozen=True, slots=True)
class Edit:
    """One change; what it does not need is empty."""

    operation: Operation
    color: str = ""
    name: str = ""
    color2: str = ""
    name2: str = ""
    corner: str = ""
    ground: str = ""


# -- words --------------------------------------------------------------------------------------------


def _pattern(form: str) -> re.Pattern[str]:
    text = re.escape(form).replace(r"\ ", " ")
    for slot, expression in _SLOTS.items():
        text = text.replace(slot, expression)
    return re.compile(text.replace(" a (", " an? ("), re.IGNORECASE)


_FORMS: Final[Sequence[tuple[Operation, re.Pattern[str]]]] = [
    (operation, _pattern(form)) for operation, forms in _WORDS.items() for form in forms
]


def understood(instruction: str) -> list[Edit]:
    """Return the changes that an instruction asks for, sentence by sentence; none where one is not understood."""
    found: list[Edit] = []
    for sentence in filter(None, (each.strip() for each in re.split(r"[.。]", instruction))):
        words = re.sub(r"^(then |然后)", "", sentence, flags=re.IGNORECASE)
        read = [
            Edit(operation, **{key: each.lower() for key, each in match.groupdict().items()})
            for operation, form in _FORMS
            if (match := form.fullmatch(words))
        ]
        if not read:
            return []
        found.append(read[0])
    return found


def worded(edits: Sequence[Edit], *, chinese: bool = False) -> str:
    """Return the instruction for some changes, in English or in Chinese with English names."""
    sentences: list[str] = []
    for each in edits:
        text = _WORDS[each.operation][chinese]
        slots = {"THING": f"{each.color} {each.name}", "OTHER": f"{each.color2} {each.name2}", "CORNER": each.corner}
        for slot, value in {**slots, "COLOR2": each.color2, "GROUND": each.ground}.items():
            text = text.replace(slot, value)
        text = re.sub(r"\ba (?=[aeiou])", "an ", text)
        sentences.append(text if chinese else text[0].upper() + text[1:])
    return "。然后".join(sentences) + "。" if chinese else ". Then ".join(map(_later, sentences, range(9))) + "."


def _later(sentence: str, place: int) -> str:
    return sentence[0].lower() + sentence[1:] if place else sentence


# -- pixels -------------------------------------------------------------------------------------------


def ground_of(pixels: Pixels) -> NDArray[np.float32]:
    """Return the colour of a picture's background: the median of its pixels, (3,)."""
    return np.median(pixels.reshape(-1, 3), axis=0).astype(np.float32)


@cache
def _tiles() -> tuple[list[tuple[str, str]], NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Return all things with their bodies (180, 576, 3), alphas (180, 576, 1) and weights (180, 576) that sum to 1."""
    names = [(name, color) for name in NAMES for color in COLOR_NAMES]
    tiles = [tile(*each) for each in names]
    bodies = np.stack([body for body, _ in tiles]).reshape(len(names), -1, 3)
    alphas = np.stack([alpha for _, alpha in tiles]).reshape(len(names), -1, 1)
    weights = (alphas[..., 0] > 0.5).astype(np.float32)
    return names, bodies, alphas, weights / weights.sum(axis=1, keepdims=True)


def seen(pixels: Pixels) -> tuple[Thing, ...]:
    """Return the things in a (64, 64, 3) picture, the clearest first: each icon is compared with each place."""
    names, bodies, alphas, weights = _tiles()
    shown = bodies + ground_of(pixels) * (1 - alphas)
    if (pixels == pixels[..., :1]).all():  # black and white: things keep their lightness
        shown = np.repeat(shown.mean(axis=-1, keepdims=True), 3, axis=-1)
    cells = [(row, column) for row in range(LAST + 1) for column in range(LAST + 1)]
    corners = [(row * CELL, column * CELL) for row, column in cells]
    patches = np.stack([pixels[y : y + SIZE, x : x + SIZE].reshape(-1, 3) for y, x in corners]).astype(np.float32)
    weight = np.repeat(weights[..., None] / 3, 3, axis=-1).reshape(len(names), -1)
    flat, there = shown.reshape(len(names), -1), patches.reshape(len(cells), -1)
    # The mean of (shown - patch) squared, multiplied out: one product of matrices for all things and places.
    apart = (flat**2 * weight).sum(axis=1) - 2 * there @ np.transpose(flat * weight) + there**2 @ np.transpose(weight)
    best = apart.argmin(axis=1)
    kept: list[Thing] = []
    for at in apart.min(axis=1).argsort(kind="stable"):
        if apart[at, best[at]] > _ALIKE**2 or len(kept) == _MOST:
            break
        row, column = cells[at]
        if free(row, column, [(each.row, each.column) for each in kept]):
            name, color = names[best[at]]
            kept.append(Thing(name, color, row, column))
    return tuple(kept)


def painted(things: Sequence[Thing], ground: NDArray[np.float32]) -> Pixels:
    """Return things on a plain background, (64, 64, 3)."""
    picture = np.empty((SIDE, SIDE, 3), dtype=np.float32)
    picture[:] = ground
    for thing in things:
        body, alpha = tile(thing.name, thing.color)
        x0, y0, x1, y1 = thing.box
        picture[y0:y1, x0:x1] = picture[y0:y1, x0:x1] * (1 - alpha) + body
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)


def edited(pixels: Pixels, edits: Sequence[Edit]) -> Pixels:
    """Return a (64, 64, 3) picture as the changes leave it; what they name and is not there changes nothing."""
    things, ground = list(seen(pixels)), ground_of(pixels)
    grey = False
    for each in edits:
        there = [at for at, thing in enumerate(things) if (thing.color, thing.name) == (each.color, each.name)]
        if each.operation == "ground":
            ground = np.array(GROUNDS[each.ground], dtype=np.float32)
        elif each.operation == "add":
            things.append(Thing(each.name2, each.color2, *CORNERS[each.corner]))
        elif each.operation == "extract" and there:
            things, ground = [things[there[0]]], np.full(3, 255, dtype=np.float32)
        elif each.operation == "grey":
            grey = True
        elif there:
            things[there[0] : there[0] + 1] = _changed(things[there[0]], each)
    made = painted(things, ground)
    return np.repeat(np.rint(made.mean(axis=-1, keepdims=True)), 3, axis=-1).astype(np.uint8) if grey else made


def _changed(thing: Thing, edit: Edit) -> list[Thing]:
    if edit.operation == "remove":
        return []
    if edit.operation == "move":
        row, column = CORNERS[edit.corner]
        return [replace(thing, row=row, column=column)]
    return [replace(thing, color=edit.color2, name=edit.name2 or thing.name)]


def small(picture: Image.Image) -> Pixels:
    """Return a picture of any size as (64, 64, 3) pixels."""
    same = picture.size == (SIDE, SIDE)
    shown = picture.convert("RGB")
    return np.asarray(shown if same else shown.resize((SIDE, SIDE), Image.Resampling.BOX))


# -- what is asked ------------------------------------------------------------------------------------


def asked(rng: Random, operations: Sequence[Operation]) -> tuple[Scene, list[Edit]]:
    """Return a scene of two things and the changes to it, one for each operation; each has a thing of its own."""
    while True:
        things = [
            Thing(name, color, *cell)
            for name, color, cell in zip(rng.sample(NAMES, 2), rng.sample(COLOR_NAMES, 2), places(rng, 2), strict=True)
        ]
        taken = [(each.row, each.column) for each in things]
        corners = [name for name, cell in CORNERS.items() if free(*cell, taken)]
        if corners:
            return Scene(tuple(things)), [
                _edit(rng, operation, things[at % 2], corners) for at, operation in enumerate(operations)
            ]


def _edit(rng: Random, operation: Operation, thing: Thing, corners: Sequence[str]) -> Edit:
    color2 = rng.choice([each for each in COLOR_NAMES if each != thing.color])
    name2 = rng.choice([each for each in NAMES if each != thing.name])
    corner, ground = rng.choice(corners), rng.choice([each for each in GROUNDS if each != "grey"])
    known = operation not in ("add", "ground", "grey")
    return Edit(
        operation,
        thing.color if known else "",
        thing.name if known else "",
        color2 if operation in ("recolour", "replace", "add") else "",
        name2 if operation in ("replace", "add") else "",
        corner if operation in ("add", "move") else "",
        ground if operation == "ground" else "",
    )
