"""Pictures of what was seen: masks, boxes, classes, scores, colours and why a prompt failed."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...evals.errors import InvalidImage
from ...evals.pictures import MOST_DRAWN, decoded, read_file, rgb, upright

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont
    from PIL.ImageFont import ImageFont as BitmapFont

    Font = FreeTypeFont | BitmapFont

Rgb = tuple[int, int, int]

PALETTE: tuple[Rgb, ...] = (
    (0, 114, 178),
    (230, 159, 0),
    (0, 158, 115),
    (204, 121, 167),
    (213, 94, 0),
    (86, 180, 233),
    (240, 228, 66),
)
"""Okabe and Ito's colours, which the colour-blind can tell apart."""
_WEAK: Rgb = (150, 150, 150)
_INK, _SOFT, _PAPER = (24, 24, 27), (113, 113, 122), (255, 255, 255)
_CHIPS: Mapping[str, Rgb] = {"correct": (22, 120, 60), "wrong": (185, 28, 28), "no verdict": (82, 82, 91)}
_SIDE = 448
_PAD = 12
_TINT = 0.15
"""How much a mask colours its object: little, because the object's own colour may be what is asked."""


@dataclass(frozen=True, slots=True)
class Card:
    """One picture and all that is known of it, ready to be drawn.

    `data` is the observer's evidence (None: none), `target` the prompt's GenEval metadata,
    `threshold` the score that a box had to exceed, `value` 1, 0 or None, `reason` the rule's text.
    """

    title: str
    target: Mapping[str, Any]
    data: Mapping[str, Any] | None
    threshold: float
    value: float | None
    reason: str


def draw(card: Card, picture: Image | None) -> Image:
    """Return a picture with its detections above a panel with the prompt, the verdict and the failed clauses.

    Boxes of the prompt's classes are drawn in colour where they count, thin and grey where they
    score too little; other classes are left out. `picture` None stands for one that cannot be read.
    """
    from PIL import Image, ImageDraw

    if picture is None:
        canvas = Image.new("RGB", (_SIDE, _SIDE), (228, 228, 231))
        pen = ImageDraw.Draw(canvas)
        pen.text((_SIDE / 2, _SIDE / 2), "unreadable picture", font=_font(17), fill=_SOFT, anchor="mm")
    else:
        data = card.data or {}
        canvas = _annotated(picture.convert("RGB"), data, _classes(card.target), card.threshold)
    panel = _panel(card)
    result = Image.new("RGB", (_SIDE, _SIDE + panel.height), _PAPER)
    result.paste(canvas, ((_SIDE - canvas.width) // 2, (_SIDE - canvas.height) // 2))
    result.paste(panel, (0, _SIDE))
    return result


def opened(path: Path) -> Image | None:
    """Return a picture file as its viewer shows it, None where it cannot be read."""
    try:
        return rgb(upright(decoded(read_file(path), MOST_DRAWN)))
    except (OSError, InvalidImage):
        return None


def sheet(cards: Sequence[Image], columns: int = 4) -> Image:
    """Return drawn cards side by side, row by row, each row as high as its highest card."""
    from PIL import Image

    rows = [cards[start : start + columns] for start in range(0, len(cards), columns)]
    heights = [max(each.height for each in row) for row in rows]
    width = min(columns, max(1, len(cards))) * (_SIDE + _PAD) + _PAD
    result = Image.new("RGB", (width, sum(heights) + _PAD * (len(rows) + 1)), (244, 244, 245))
    top = _PAD
    for row, height in zip(rows, heights, strict=True):
        for column, card in enumerate(row):
            left = _PAD + column * (_SIDE + _PAD)
            result.paste(_PAPER, (left, top, left + _SIDE, top + height))
            result.paste(card, (left, top))
        top += height + _PAD
    return result


def _classes(target: Mapping[str, Any]) -> list[str]:
    clauses = [*target.get("include", []), *target.get("exclude", [])]
    return list(dict.fromkeys(clause["class"] for clause in clauses))


# -- the picture --------------------------------------------------------------------------------------


def _annotated(picture: Image, data: Mapping[str, Any], classes: Sequence[str], threshold: float) -> Image:
    from PIL import Image, ImageDraw

    scale = _SIDE / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    # Small pictures keep their pixels visible, large ones are reduced smoothly.
    canvas = picture.resize(size, Image.Resampling.NEAREST if scale > 2 else Image.Resampling.LANCZOS)
    found = [
        (PALETTE[number % len(PALETTE)], name, place, box)
        for number, name in enumerate(classes)
        for place, box in enumerate(data.get("boxes", {}).get(name, []))
    ]
    strong = [each for each in found if each[3][4] > threshold]
    for hue, name, place, _ in reversed(strong):
        canvas = _tinted(canvas, _mask(data, name, place), hue)
    pen = ImageDraw.Draw(canvas)
    for _, _, _, box in found:
        if box[4] <= threshold:
            pen.rectangle(_scaled(box, scale), outline=_WEAK, width=1)
    taken: list[tuple[float, float, float, float]] = []
    for hue, _, _, box in reversed(strong):
        pen.rectangle(_scaled(box, scale), outline=hue, width=3)
    for hue, name, place, box in strong:
        colours = data.get("colors", {}).get(name, [])
        colour = f" {colours[place]}" if place < len(colours) and colours[place] else ""
        _label(pen, _scaled(box, scale), f"{name} {box[4]:.2f}{colour}", hue, canvas.size, taken)
    return canvas


def _scaled(box: Sequence[float], scale: float) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = (edge * scale for edge in box[:4])
    return x1, y1, max(x1, x2 - 1), max(y1, y2 - 1)


def _mask(data: Mapping[str, Any], name: str, place: int) -> Any:
    rows = data.get("masks", {}).get(name, [])
    return rows[place] if place < len(rows) else None


def _tinted(canvas: Image, mask: Any, hue: Rgb) -> Image:
    """Return the picture with a mask's edge drawn and its inside tinted."""
    from PIL import Image, ImageChops, ImageFilter

    if mask is None:
        return canvas
    from .detector.instances import decode

    inside = Image.fromarray((decode(mask) * 255).astype("uint8")).resize(canvas.size, Image.Resampling.NEAREST)
    edge = ImageChops.subtract(inside, inside.filter(ImageFilter.MinFilter(5)))
    weight = ImageChops.lighter(inside.point([round(level * _TINT) for level in range(256)]), edge)
    return Image.composite(Image.new("RGB", canvas.size, hue), canvas, weight)


def _label(
    pen: ImageDraw,
    box: tuple[float, float, float, float],
    text: str,
    hue: Rgb,
    size: tuple[int, int],
    taken: list[tuple[float, float, float, float]],
) -> None:
    """Write on a filled tag at the box's upper left corner, moved down until it covers no other tag."""
    font = _font(14)
    left, top, right, bottom = pen.textbbox((0, 0), text, font=font)
    width, height = right - left + 8, bottom - top + 7
    x = min(max(box[0], 0), max(0, size[0] - width))
    y = box[1] - height if box[1] >= height else box[1]
    while any(x < t[2] and x + width > t[0] and y < t[3] and y + height > t[1] for t in taken):
        y += height + 1
    y = min(y, max(0, size[1] - height))
    taken.append((x, y, x + width, y + height))
    pen.rectangle((x, y, x + width, y + height), fill=hue)
    pen.text((x + 4 - left, y + 3 - top), text, font=font, fill=_ink_on(hue))


def _ink_on(hue: Rgb) -> Rgb:
    light = 0.299 * hue[0] + 0.587 * hue[1] + 0.114 * hue[2]
    return _INK if light > 140 else _PAPER


# -- the panel ----------------------------------------------------------------------------------------


def _panel(card: Card) -> Image:
    from PIL import Image, ImageDraw

    verdict = "no verdict" if card.value is None else "correct" if card.value >= 1 else "wrong"
    asked = "asked: " + "; ".join(_clause(each, card.target["include"]) for each in card.target.get("include", []))
    without = "; ".join(f"fewer than {each['count']} {each['class']}" for each in card.target.get("exclude", []))
    lines: list[tuple[str, int, Rgb]] = [
        *((line, 17, _INK) for line in _wrapped(str(card.target.get("prompt", "")), 48)),
        *((line, 14, _SOFT) for line in _wrapped(asked + (f"; {without}" if without else ""), 58)),
    ]
    hue = _CHIPS[verdict]
    lines += [(line, 14, hue) for reason in card.reason.splitlines() for line in _wrapped(reason, 58)]
    height = 44 + sum(size + 6 for _, size, _ in lines) + _PAD
    panel = Image.new("RGB", (_SIDE, height), _PAPER)
    pen = ImageDraw.Draw(panel)
    chip = pen.textlength(verdict, font=_font(14)) + 16
    pen.rounded_rectangle((_PAD, 10, _PAD + chip, 34), 6, fill=hue)
    pen.text((_PAD + 8, 22), verdict, font=_font(14), fill=_PAPER, anchor="lm")
    note = f"{card.title}   boxes above {card.threshold:g}"
    pen.text((_PAD + chip + 10, 22), note, font=_font(14), fill=_SOFT, anchor="lm")
    top = 44
    for line, size, ink in lines:
        pen.text((_PAD, top), line, font=_font(size), fill=ink)
        top += size + 6
    return panel


def _clause(clause: Mapping[str, Any], clauses: Sequence[Mapping[str, Any]]) -> str:
    colour = f" {clause['color']}" if clause.get("color") else ""
    place = clause.get("position")
    where = f", {place[0]} the {clauses[int(place[1])]['class']}" if place else ""
    return f"{clause['count']}{colour} {clause['class']}{where}"


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width)


def _font(size: int) -> Font:
    from PIL import ImageFont

    return ImageFont.load_default(size)
