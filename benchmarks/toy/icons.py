"""How each thing of the embedded world looks: eighteen 24-pixel icons, drawn with PIL."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache

from PIL import Image, ImageDraw

SIZE = 24
"""Side of an icon in pixels."""
SCALE = 4  # icons are drawn four times as large and reduced, which smooths their edges

COLORS: Mapping[str, tuple[int, int, int]] = {
    "red": (222, 38, 38),
    "orange": (247, 140, 24),
    "yellow": (246, 222, 44),
    "green": (44, 164, 68),
    "blue": (42, 88, 222),
    "purple": (132, 52, 182),
    "pink": (250, 150, 198),
    "brown": (128, 78, 38),
    "black": (26, 26, 30),
    "white": (252, 252, 252),
}
"""GenEval's ten colours in its order."""

INK = (46, 46, 52)
PALE_INK = (150, 150, 156)  # details on black things, which dark ink would hide
Xy = Sequence[tuple[float, float]]


class Pen:
    """Draws in icon pixels (0 to 24) onto one large transparent tile, in one body colour."""

    def __init__(self, color: str) -> None:
        side = SIZE * SCALE
        self.tile = Image.new("RGBA", (side, side), (*INK, 0))
        self._draw = ImageDraw.Draw(self.tile)
        self.body = (*COLORS[color], 255)
        self.ink = (*(PALE_INK if color == "black" else INK), 255)
        self.edge = (*INK, 255)

    @staticmethod
    def _scaled(points: Xy) -> list[tuple[float, float]]:
        return [(x * SCALE, y * SCALE) for x, y in points]

    def shape(self, points: Xy) -> None:
        """Fill a polygon with the body colour and give it a dark edge."""
        xy = self._scaled(points)
        self._draw.polygon(xy, fill=self.body)
        self._draw.line([*xy, xy[0], xy[1]], fill=self.edge, width=SCALE, joint="curve")

    def oval(self, x0: float, y0: float, x1: float, y1: float) -> None:
        xy = (x0 * SCALE, y0 * SCALE, x1 * SCALE, y1 * SCALE)
        self._draw.ellipse(xy, fill=self.body, outline=self.edge, width=SCALE)

    def box(self, x0: float, y0: float, x1: float, y1: float, radius: float = 1.5) -> None:
        xy = (x0 * SCALE, y0 * SCALE, x1 * SCALE, y1 * SCALE)
        self._draw.rounded_rectangle(xy, radius * SCALE, fill=self.body, outline=self.edge, width=SCALE)

    def dot(self, x: float, y: float, radius: float) -> None:
        xy = ((x - radius) * SCALE, (y - radius) * SCALE, (x + radius) * SCALE, (y + radius) * SCALE)
        self._draw.ellipse(xy, fill=self.ink)

    def line(self, points: Xy, width: float = 1.2) -> None:
        self._draw.line(self._scaled(points), fill=self.ink, width=round(width * SCALE), joint="curve")

    def bar(self, points: Xy, width: float) -> None:
        """Draw a thick line in the body colour with a dark edge."""
        xy = self._scaled(points)
        self._draw.line(xy, fill=self.edge, width=round((width + 2) * SCALE), joint="curve")
        self._draw.line(xy, fill=self.body, width=round(width * SCALE), joint="curve")

    def hole(self, x0: float, y0: float, x1: float, y1: float) -> None:
        xy = (x0 * SCALE, y0 * SCALE, x1 * SCALE, y1 * SCALE)
        self._draw.ellipse(xy, fill=(*INK, 0), outline=self.edge, width=SCALE)


def _apple(pen: Pen) -> None:
    pen.line([(12, 8), (13, 2)], 1.8)
    pen.shape(
        [
            (12, 7),
            (15, 5),
            (19, 6),
            (22, 10),
            (21, 16),
            (17, 22),
            (14, 23),
            (12, 22),
            (10, 23),
            (7, 22),
            (3, 16),
            (2, 10),
            (5, 6),
            (9, 5),
        ]
    )
    pen.dot(16.5, 3.5, 2)


def _banana(pen: Pen) -> None:
    pen.shape(
        [(20, 1), (22, 2), (22, 9), (19, 16), (13, 21), (6, 22), (1, 20), (2, 17), (8, 17), (13, 14), (17, 9), (19, 4)]
    )
    pen.line([(19, 1.5), (22, 1.5)], 2.5)
    pen.line([(5, 19.5), (12, 18), (17, 14), (19.5, 8)], 0.8)


def _bird(pen: Pen) -> None:
    pen.line([(10, 18), (10, 23)])
    pen.line([(14, 18), (14, 23)])
    pen.shape([(1, 9), (8, 11), (15, 11), (19, 14), (17, 18), (12, 20), (7, 19), (4, 15)])
    pen.oval(12, 3, 21, 12)
    pen.shape([(6, 12), (13, 13), (9, 17)])
    pen.line([(20.5, 6), (24, 8), (20.5, 9)], 1.8)
    pen.dot(17, 6.5, 1.2)


def _boat(pen: Pen) -> None:
    pen.line([(12, 1), (12, 17)], 1.6)
    pen.shape([(13.5, 2), (21, 14), (13.5, 14)])
    pen.shape([(10.5, 5), (10.5, 14), (4, 14)])
    pen.shape([(1, 16), (23, 16), (19, 22.5), (5, 22.5)])


def _book(pen: Pen) -> None:
    pen.shape([(1, 5), (7, 3.5), (12, 6), (17, 3.5), (23, 5), (23, 20), (17, 18.5), (12, 21), (7, 18.5), (1, 20)])
    pen.line([(12, 6), (12, 21)], 1.4)
    for y in (8, 11, 14):
        pen.line([(3.5, y + 0.5), (9.5, y + 0.8)], 0.9)
        pen.line([(14.5, y + 0.8), (20.5, y + 0.5)], 0.9)


def _bottle(pen: Pen) -> None:
    pen.shape([(10, 3), (14, 3), (14, 8), (18, 12), (18, 23), (6, 23), (6, 12), (10, 8)])
    pen.line([(9, 2), (15, 2)], 3)
    pen.line([(6, 14.5), (18, 14.5)])
    pen.line([(6, 19.5), (18, 19.5)])


def _car(pen: Pen) -> None:
    pen.shape([(6, 11), (9, 5), (17, 5), (20, 11), (23, 12), (23, 18), (1, 18), (1, 12)])
    pen.line([(8, 10.5), (10, 7), (12, 7), (12, 10.5), (8, 10.5)])
    pen.line([(14, 10.5), (14, 7), (16, 7), (18, 10.5), (14, 10.5)])
    for x in (6.5, 17.5):
        pen.dot(x, 18, 3.6)


def _cat(pen: Pen) -> None:
    pen.shape([(3, 1), (9, 6), (15, 6), (21, 1), (22, 13), (18, 20), (12, 22.5), (6, 20), (2, 13)])
    pen.dot(8, 11.5, 1.6)
    pen.dot(16, 11.5, 1.6)
    pen.line([(10.5, 15), (12, 16.5), (13.5, 15)], 1.3)
    pen.line([(0, 15), (7, 16)], 0.9)
    pen.line([(24, 15), (17, 16)], 0.9)


def _chair(pen: Pen) -> None:
    pen.bar([(6, 13.5), (6, 23)], 1.6)
    pen.bar([(18, 13.5), (18, 23)], 1.6)
    pen.box(4, 1, 8.5, 15)
    pen.box(4, 11.5, 20.5, 16)


def _clock(pen: Pen) -> None:
    pen.oval(1, 1, 23, 23)
    pen.line([(12, 5), (12, 12.5), (17, 15)], 1.8)
    for x, y in ((12, 3.4), (12, 20.6), (3.4, 12), (20.6, 12)):
        pen.dot(x, y, 1.1)


def _cup(pen: Pen) -> None:
    pen.bar([(17, 9), (21.5, 9), (21.5, 15), (16, 16)], 1.6)
    pen.shape([(2, 5), (18, 5), (16, 21), (4, 21)])
    pen.line([(3, 8.5), (17, 8.5)])


def _donut(pen: Pen) -> None:
    pen.oval(1, 1, 23, 23)
    pen.hole(8, 8, 16, 16)
    for x0, y0, x1, y1 in (
        (5, 6, 6.5, 4.5),
        (12, 3.4, 14, 4.5),
        (18, 7, 19.5, 8.5),
        (4, 13, 5, 15),
        (8, 19, 10, 20),
        (16, 18, 18, 17),
    ):
        pen.line([(x0, y0), (x1, y1)], 1.2)


def _fork(pen: Pen) -> None:
    pen.box(10, 11, 14, 23.5)
    pen.shape(
        [
            (5, 1),
            (8, 1),
            (8, 7),
            (10.5, 7),
            (10.5, 1),
            (13.5, 1),
            (13.5, 7),
            (16, 7),
            (16, 1),
            (19, 1),
            (19, 10),
            (15, 13),
            (9, 13),
            (5, 10),
        ]
    )


def _kite(pen: Pen) -> None:
    pen.shape([(13, 0.8), (21, 8), (13, 18), (5, 8)])
    pen.line([(13, 1), (13, 18)], 0.9)
    pen.line([(5, 8), (21, 8)], 0.9)
    pen.line([(13, 18), (10, 20), (6, 19.5), (3, 23)], 1.3)


def _suitcase(pen: Pen) -> None:
    pen.line([(8, 7), (8, 2.5), (16, 2.5), (16, 7)], 2)
    pen.box(1, 6.5, 23, 22, 2.5)
    pen.line([(6, 7), (6, 22)], 1.4)
    pen.line([(18, 7), (18, 22)], 1.4)


def _tie(pen: Pen) -> None:
    pen.shape([(8, 1), (16, 1), (14, 6.5), (10, 6.5)])
    pen.shape([(10, 6.5), (14, 6.5), (18, 18), (12, 23.2), (6, 18)])
    pen.line([(9, 14), (15, 10)], 1.1)
    pen.line([(8.5, 18.5), (16.5, 13.5)], 1.1)


def _tv(pen: Pen) -> None:
    pen.line([(7, 0.5), (12, 5), (17, 0.5)], 1.4)
    pen.line([(6, 21), (4, 23.8)], 1.8)
    pen.line([(18, 21), (20, 23.8)], 1.8)
    pen.box(1, 5, 23, 21, 2)
    pen.line([(4, 8), (16, 8), (16, 18), (4, 18), (4, 7.5)], 1.4)
    pen.dot(19.5, 10, 1.2)
    pen.dot(19.5, 14, 1.2)


def _umbrella(pen: Pen) -> None:
    pen.line([(12, 12), (12, 20.5), (10.5, 22.5), (8.5, 22), (8, 20)], 1.6)
    pen.shape(
        [
            (1, 13),
            (2, 8),
            (6, 3.5),
            (12, 1.5),
            (18, 3.5),
            (22, 8),
            (23, 13),
            (19.5, 11),
            (15.5, 13),
            (12, 11),
            (8.5, 13),
            (4.5, 11),
        ]
    )
    pen.line([(12, 2), (8.5, 12.5)], 0.8)
    pen.line([(12, 2), (15.5, 12.5)], 0.8)


ICONS: Mapping[str, Callable[[Pen], None]] = {
    "apple": _apple,
    "banana": _banana,
    "bird": _bird,
    "boat": _boat,
    "book": _book,
    "bottle": _bottle,
    "car": _car,
    "cat": _cat,
    "chair": _chair,
    "clock": _clock,
    "cup": _cup,
    "donut": _donut,
    "fork": _fork,
    "kite": _kite,
    "suitcase": _suitcase,
    "tie": _tie,
    "tv": _tv,
    "umbrella": _umbrella,
}
"""The world's things: names as GenEval spells the COCO classes."""


@cache
def icon(name: str, color: str) -> Image.Image:
    """Return the 24x24 RGBA icon of a thing in a colour, transparent where the thing is not."""
    pen = Pen(color)
    ICONS[name](pen)
    return pen.tile.resize((SIZE, SIZE), Image.Resampling.BOX)
