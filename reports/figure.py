"""Figures for a paper: radar over suites, bars with intervals, scatter of two suites; equal runs give equal bytes."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

from ..evals.errors import UsageError
from ..evals.types import RunRecord
from .report import Only
from .reported import Reported
from .series import Axis, Point, Series, axes, context, notes, series

Kind = Literal["radar", "bars", "scatter"]
KINDS: tuple[Kind, ...] = get_args(Kind)
WIDTHS = {False: 3.3, True: 6.9}
"""Inches of one column and of two."""
_FORMATS = {".pdf": {"CreationDate": None}, ".png": {"Software": None}, ".svg": {"Date": None}}
_STYLE: dict[str, Any] = {
    "axes.linewidth": 0.6,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.family": "DejaVu Sans",
    "font.size": 7,
    "hatch.linewidth": 0.5,
    "legend.fontsize": 6.5,
    "legend.frameon": False,
    "lines.linewidth": 1.2,
    "pdf.fonttype": 42,
    "savefig.dpi": 300,
    "svg.fonttype": "path",
    "svg.hashsalt": "janus-eval",
    "text.parse_math": False,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
}
# Okabe and Ito's colours for measured rows, greys for published ones; markers, dashes and hatches tell them apart
# where there is no colour.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C6D31")
_GREYS = ("#555555", "#8A8A8A", "#333333", "#A6A6A6", "#6E6E6E", "#BBBBBB", "#444444", "#999999")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<")
_DASHES = ("-", (0, (4, 1.5)), (0, (1, 1)), (0, (5, 1, 1, 1)), (0, (7, 2)), (0, (2, 1)), (0, (3, 1, 1, 1, 1, 1)), "-")
_HATCHES = ("", "////", "....", "\\\\\\\\", "xxxx", "----", "++++", "oo")


def figure(
    records: Sequence[RunRecord],
    numbers: Sequence[Reported],
    out: Path,
    *,
    kind: Kind | None = None,
    suites: Sequence[str] = (),
    beside: Sequence[str] = (),
    only: Only = "all",
    wide: bool = False,
) -> tuple[bytes, list[str]]:
    """Return a figure's file, in the format that `out` ends in, and what its caption has to say.

    Without a `kind` it is a radar over three suites or more, else bars. Raises UsageError for what cannot be drawn.
    """
    if out.suffix.lower() not in _FORMATS:
        raise UsageError(f"{out}: a figure is a file that ends in {', '.join(_FORMATS)}")
    where = axes(records, numbers, suites, tasks=kind in (None, "bars"))
    apart = len({axis.column.benchmark for axis in where})
    kind = kind or ("radar" if apart >= 3 else "bars")
    if kind == "radar" and len(where) < 3:
        raise UsageError(f"a radar wants three suites, there are {len(where)}: --figure bars or scatter draws fewer")
    if kind == "scatter" and len(where) != 2:
        raise UsageError(f"a scatter is of two suites, there are {len(where)}: name two, --suites A,B")
    rows = series(records, numbers, where, beside)
    rows = [each for each in rows if each.measured] if only == "measured" else rows
    if not any(point.value is not None for each in rows for point in each.points.values()):
        raise UsageError("there is nothing to draw: no run and no published row has a number for these suites")
    around = context(numbers, where) if kind == "scatter" and only != "measured" else []
    return _drawn(kind, rows, around, where, out.suffix.lower(), wide=wide), notes(rows, where)


def _drawn(
    kind: Kind, rows: Sequence[Series], around: Sequence[Series], where: Sequence[Axis], suffix: str, *, wide: bool
) -> bytes:
    from matplotlib import style
    from matplotlib.figure import Figure

    with style.context(["default", _STYLE]):  # a user's own settings neither move the bytes nor are moved
        width = WIDTHS[wide]
        height = {"radar": 1.05, "bars": 0.68, "scatter": 0.85}[kind] * 3.3 + 0.14 * len(rows)
        page = Figure(figsize=(width, height), layout="constrained")
        draw: Callable[..., list[Any]] = {"radar": _radar, "bars": _bars, "scatter": _scatter}[kind]
        handles = draw(page, rows, where, around) if kind == "scatter" else draw(page, rows, where)
        handles += _told(rows, kind)
        page.legend(handles=handles, loc="outside lower center", ncols=2 if wide else 1, handlelength=2.6)
        buffer = io.BytesIO()
        page.savefig(buffer, format=suffix[1:], metadata=_FORMATS[suffix])
    return buffer.getvalue()


def _told(rows: Sequence[Series], kind: Kind) -> list[Any]:
    """Return the lines of the legend that say what a hollow mark and a cross are, where there are any."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    points = [point for each in rows for point in each.points.values()]
    look: dict[str, Any] = {"ls": "", "mfc": "none", "mec": "#444444", "ms": 4}
    found: list[Any] = []
    if any(point.part for point in points):
        label = "hollow: over a part of the suite"
        bar = Patch(facecolor="white", edgecolor="#444444", ls="--", lw=0.6, label=label)
        found.append(bar if kind == "bars" else Line2D([], [], marker="o", label=label, **look))
    if kind != "scatter" and any(point.value is None for point in points):
        found.append(Line2D([], [], marker="x", label="withheld: it has no number", **look))
    return found


def _look(rows: Sequence[Series], number: int) -> tuple[str, str, Any, str]:
    """Return a series' colour, marker, dash and hatch."""
    mine = [each.measured for each in rows[:number]].count(rows[number].measured)
    colours = _COLOURS if rows[number].measured else _GREYS
    return colours[mine], _MARKERS[number], _DASHES[number], _HATCHES[number]


def _label(each: Series) -> str:
    name = each.name + (" †" if any(point.odd for point in each.points.values()) else "")
    return _printable(name if len(name) <= 48 else name[:45] + "...")


def _printable(text: str) -> str:
    """Return a text in which a character without a glyph is named U+XXXX."""
    from matplotlib.font_manager import findfont, get_font

    font = get_font(findfont("DejaVu Sans"))
    return "".join(char if font.get_char_index(ord(char)) else f"U+{ord(char):04X}" for char in text)


# -- the three figures --------------------------------------------------------------------------------


def _radar(page: Any, rows: Sequence[Series], where: Sequence[Axis]) -> list[Any]:
    """Draw each suite from 0 in the middle to its full score; an edge stands between two numbers alone."""
    from matplotlib.lines import Line2D

    plot = page.add_subplot(projection="polar")
    plot.set_theta_offset(math.pi / 2)
    plot.set_theta_direction(-1)
    angles = [2 * math.pi * number / len(where) for number in range(len(where))]
    plot.set_xticks(angles, [f"{_printable(axis.label)}\n0 to {axis.full:g}" for axis in where])
    plot.tick_params(axis="x", pad=6)
    plot.set_ylim(0, 1)
    plot.set_yticks([0.25, 0.5, 0.75, 1], [""] * 4)
    plot.grid(color="#CCCCCC", lw=0.5)
    plot.spines["polar"].set_visible(False)
    handles: list[Any] = []
    for number, each in enumerate(rows):
        colour, marker, dash, _ = _look(rows, number)
        points = [each.points.get(axis.key) for axis in where]
        shares = [_share(point, axis) for point, axis in zip(points, where, strict=True)]
        for i, j in ((i, (i + 1) % len(where)) for i in range(len(where))):
            first, second = points[i], points[j]
            if first is None or second is None or shares[i] is None or shares[j] is None:
                continue
            faint = first.part or second.part
            ends = [angles[i], angles[j]]
            plot.plot(ends, [shares[i], shares[j]], color=colour, ls=":" if faint else dash, lw=0.7 if faint else 1.2)
        if all(share is not None for share in shares) and not any(p is not None and p.part for p in points):
            plot.fill(angles, shares, color=colour, alpha=0.08, lw=0)
        for angle, share, point in zip(angles, shares, points, strict=True):
            if share is not None:
                look = {"marker": marker, "ms": 3.5, "color": colour, "zorder": 3 + each.measured, "clip_on": False}
                plot.plot([angle], [share], mfc="white" if point is not None and point.part else colour, **look)
            elif point is not None:
                plot.plot([angle], [0.04], marker="x", ms=4, color=colour, zorder=3)
        handles.append(Line2D([], [], color=colour, ls=dash, marker=marker, ms=3.5, label=_label(each)))
    return handles


def _share(point: Point | None, axis: Axis) -> float | None:
    return None if point is None or point.value is None else max(0.0, min(1.0, point.value / axis.full))


def _bars(page: Any, rows: Sequence[Series], where: Sequence[Axis]) -> list[Any]:
    """Draw a group of bars an axis, with intervals; suites of other units share the axis as shares of their full."""
    from matplotlib.patches import Patch

    plot = page.add_subplot()
    alike = len({axis.full for axis in where}) == 1
    top = where[0].full if alike else 100.0
    width = 0.84 / len(rows)
    handles: list[Any] = []
    for number, each in enumerate(rows):
        colour, _, _, hatch = _look(rows, number)
        for place, axis in enumerate(where):
            point = each.points.get(axis.key)
            if point is None:
                continue
            x = place - 0.42 + width * (number + 0.5)
            if point.value is None:
                plot.plot([x], [top * 0.02], marker="x", ms=3.5, color=colour, clip_on=False)
                continue
            scale = top / axis.full
            face = "white" if point.part else colour
            edge = {"edgecolor": colour if point.part else "white", "ls": "--" if point.part else "-"}
            plot.bar(
                x, point.value * scale, width * 0.92, color=face, hatch=None if point.part else hatch, lw=0.6, **edge
            )
            _interval(plot, x, point, scale)
        handles.append(Patch(facecolor=colour, edgecolor="white", hatch=hatch, label=_label(each)))
    turned = len(where) > 4 and max(len(axis.label) for axis in where) > 4
    around = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"} if turned else {}
    plot.set_xticks(range(len(where)), [_printable(axis.label) for axis in where], **around)
    plot.tick_params(axis="x", length=0)
    plot.set_xlim(-0.55, len(where) - 0.45)
    plot.set_ylim(0, top * 1.02)
    plot.set_ylabel("Score" if alike else "Score, % of the full one")
    plot.yaxis.grid(visible=True, color="#DDDDDD", lw=0.5)
    plot.set_axisbelow(True)
    return handles


def _interval(plot: Any, x: float, point: Point, scale: float) -> None:
    if point.value is None or point.low is None or point.high is None:
        return
    ends = [[max(0.0, point.value - point.low) * scale], [max(0.0, point.high - point.value) * scale]]
    plot.errorbar([x], [point.value * scale], yerr=ends, fmt="none", ecolor="black", elinewidth=0.7, capsize=1.5)


def _scatter(page: Any, rows: Sequence[Series], where: Sequence[Axis], around: Sequence[Series]) -> list[Any]:
    """Draw each model where its two numbers cross; every published model is a small dot behind."""
    from matplotlib.lines import Line2D

    plot = page.add_subplot()
    first, second = (axis.key for axis in where)
    dots = [(each.points[first].value, each.points[second].value) for each in around]
    if dots:
        plot.plot(*zip(*dots, strict=True), ls="", marker=".", ms=4, color="#BBBBBB", zorder=1)
    handles: list[Any] = []
    for number, each in enumerate(rows):
        colour, marker, _, _ = _look(rows, number)
        x, y = each.points.get(first), each.points.get(second)
        if x is None or y is None or x.value is None or y.value is None:
            continue
        bars = {"xerr": _errors(x), "yerr": _errors(y)}
        hollow = "white" if x.part or y.part else colour
        look = {
            "marker": marker,
            "color": colour,
            "mfc": hollow,
            "ms": 4.5,
            "ls": "",
            "elinewidth": 0.7,
            "capsize": 1.5,
        }
        plot.errorbar([x.value], [y.value], zorder=3 + each.measured, **bars, **look)
        handles.append(Line2D([], [], ls="", marker=marker, color=colour, mfc=hollow, ms=4.5, label=_label(each)))
    if not handles:
        raise UsageError("there is nothing to draw: no run and no named row has both numbers")
    if dots:
        handles.append(Line2D([], [], ls="", marker=".", ms=4, color="#BBBBBB", label="other published rows"))
    plot.set_xlabel(_printable(where[0].label))
    plot.set_ylabel(_printable(where[1].label))
    plot.grid(visible=True, color="#DDDDDD", lw=0.5)
    plot.set_axisbelow(True)
    return handles


def _errors(point: Point) -> list[list[float]] | None:
    if point.value is None or point.low is None or point.high is None:
        return None
    return [[max(0.0, point.value - point.low)], [max(0.0, point.high - point.value)]]
