"""GenEval's rule: what was detected + what the prompt asks -> verdict, reason and the boxes that counted.

A port of `evaluate_image`, `evaluate`, `relative_position` and `compute_iou` of
djghosh13/geneval af4902f, evaluation/evaluate_images.py, lines 127-259 (MIT). The detector's numbers
are float32 there, and so are all sums and comparisons made with them under NumPy 2; `_f32` keeps
that, because a score that ties with the threshold in float32 does not exceed it.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping, Sequence
from ctypes import c_float
from dataclasses import dataclass
from itertools import chain
from typing import Any

from ...evals.errors import UsageError
from .metadata import Clause, Metadata
from .prompts import CLASSES, COLORS, RELATIONS

Box = tuple[float, float, float, float, float]
"""x1, y1, x2, y2 in pixels, x2 and y2 exclusive, then the score; float32 values."""


@dataclass(frozen=True, slots=True)
class Options:
    """The knobs of the official script, with its defaults.

    A box counts where its score exceeds `threshold` (`counting_threshold` for the task counting),
    at most `max_objects` a class, best first. `max_overlap` is the IoU from which a weaker box of
    the same class is dropped; 1 keeps all. `position_threshold` is the share of the two boxes'
    sizes by which their distance is shortened.
    """

    threshold: float = 0.3
    counting_threshold: float = 0.9
    max_objects: int = 16
    max_overlap: float = 1.0
    position_threshold: float = 0.1

    def __post_init__(self) -> None:
        for name in ("threshold", "counting_threshold", "max_overlap", "position_threshold"):
            value: Any = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                raise UsageError(f"option {name}: expected a number, found {value!r:.60}")
        most: Any = self.max_objects
        if isinstance(most, bool) or not isinstance(most, int) or most < 1:
            raise UsageError(f"option max_objects: expected a whole number from 1, found {most!r:.60}")
        if self.position_threshold < 0:
            raise UsageError(f"option position_threshold: expected 0 or more, found {self.position_threshold!r}")

    def confidence(self, tag: str) -> float:
        """Return the score that a box of this task must exceed."""
        return self.counting_threshold if tag == "counting" else self.threshold


@dataclass(frozen=True, slots=True)
class Object:
    """A detected object that counts, with its colour where one was looked at."""

    box: Box
    color: str | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """`details` holds the boxes that counted, best first, by class in COCO's order."""

    correct: bool
    reason: str
    details: Mapping[str, Sequence[Box]]


def verdict(
    metadata: Metadata,
    boxes: Mapping[str, Sequence[Sequence[float]]],
    colors: Mapping[str, Sequence[str | None]],
    options: Options,
) -> Verdict:
    """Judge one picture: `boxes` holds rows of five numbers by class, `colors` one name a box.

    Raises UsageError for a row that is no box and for a colour that is asked for and not there.
    """
    kept = _kept(boxes, colors, options.confidence(metadata.tag), options)
    reasons: list[str] = []
    groups: list[Sequence[Object] | None] = []
    for clause in metadata.include:
        failure, found = _included(clause, kept, groups, options.position_threshold)
        reasons += failure
        groups.append(None if failure else found)
    for clause in metadata.exclude:
        count = len(kept.get(clause.label, ()))
        if count >= clause.count:
            reasons.append(f"expected {clause.label}<{clause.count}, found {count}")
    details = {label: [each.box for each in objects] for label, objects in kept.items()}
    return Verdict(not reasons, "\n".join(reasons), details)


# -- clauses ------------------------------------------------------------------------------------------


def _included(
    clause: Clause,
    kept: Mapping[str, Sequence[Object]],
    groups: Sequence[Sequence[Object] | None],
    position_threshold: float,
) -> tuple[list[str], Sequence[Object]]:
    """Return why the clause fails (one reason, or none) and the objects that it looked at."""
    label, count = clause.label, clause.count
    found = kept.get(label, ())[:count]
    if len(found) < count:
        return [f"expected {label}>={count}, found {len(found)}"], found
    if clause.color is not None:
        seen = [_color(each, label) for each in found]
        right = seen.count(clause.color)
        if right < count:
            # An include of no objects still names a colour in vain; the official text is kept.
            listing = ", ".join(f"{seen.count(c)} {c}" for c in COLORS if c in seen)
            return [f"expected {clause.color} {label}>={count}, found {right} {clause.color}; and {listing}"], found
    if clause.position is None:
        return [], found
    relation, number = clause.position
    targets = groups[number]
    if targets is None:
        return [f"no target for {label} to be {relation}"], found
    for each in found:
        for target in targets:
            relations = _relations(each.box, target.box, position_threshold)
            if relation not in relations:
                return [f"expected {label} {relation} target, found {' and '.join(relations)} target"], found
    return [], found


def _color(found: Object, label: str) -> str:
    if found.color is None:
        raise UsageError(f'colors: the prompt asks for the colour of "{label}", and that of box {found.box} is missing')
    return found.color


def _relations(a: Box, b: Box, threshold: float) -> list[str]:
    """Return where A lies relative to B, in the order of RELATIONS."""
    share = _f32(threshold)
    dx, rx = _offset(a[0], a[2], b[0], b[2], share)
    dy, ry = _offset(a[1], a[3], b[1], b[3], share)
    if abs(rx) < _NEAR and abs(ry) < _NEAR:
        return []
    norm = _f32(math.sqrt(_f32(_f32(dx * dx) + _f32(dy * dy))))
    rx, ry = _f32(rx / norm), _f32(ry / norm)
    return [name for name, holds in zip(RELATIONS, (rx < -0.5, rx > 0.5, ry < -0.5, ry > 0.5), strict=True) if holds]


def _offset(a1: float, a2: float, b1: float, b2: float, share: float) -> tuple[float, float]:
    """Return centre A - centre B along one axis, as it is and shrunk towards zero."""
    offset = _f32(_f32(a1 + a2) / 2 - _f32(b1 + b2) / 2)
    sizes = _f32(abs(_f32(a2 - a1)) + abs(_f32(b2 - b1)))
    shrunk = max(_f32(abs(offset) - _f32(share * sizes)), 0.0)
    return offset, math.copysign(shrunk, offset) if offset else 0.0


# -- boxes that count ---------------------------------------------------------------------------------


def _kept(
    boxes: Mapping[str, Sequence[Sequence[float]]],
    colors: Mapping[str, Sequence[str | None]],
    confidence: float,
    options: Options,
) -> dict[str, list[Object]]:
    """Return each class's objects above the threshold, best first; classes with none are left out."""
    limit = _f32(confidence)
    labels = [label for label, rows in boxes.items() if rows]
    values = _values({label: boxes[label] for label in labels})
    scores = values[4::5].tolist()
    kept: dict[str, list[Object]] = {}
    start = 0
    for label in labels:
        stop = start + len(boxes[label])
        above = [k for k in range(start, stop) if scores[k] > limit]
        if above:
            # Of equal scores the later box comes first: an ascending stable order, read backwards.
            above.sort(key=scores.__getitem__)
            above.reverse()
            found = [(k - start, _box(values, k)) for k in above[: options.max_objects]]
            if options.max_overlap != 1:
                found = _without_overlaps(found, _f32(options.max_overlap))
            names = colors.get(label, ())
            if len(names) > stop - start:
                raise UsageError(f'colors: {len(names)} of "{label}" for {stop - start} boxes; expected one a box')
            kept[label] = [Object(box, names[k] if k < len(names) else None) for k, box in found]
        start = stop
    return {label: kept[label] for label in sorted(kept, key=_class_order)}


def _values(boxes: Mapping[str, Sequence[Sequence[float]]]) -> array[float]:
    """Return all boxes as float32, end to end."""
    try:
        if any(set(map(len, rows)) != {5} for rows in boxes.values()):
            raise TypeError
        values = array("f", chain.from_iterable(chain.from_iterable(boxes.values())))
    except (TypeError, OverflowError):
        wrong = ((label, k, row) for label, rows in boxes.items() for k, row in enumerate(rows) if not _is_box(row))
        label, number, row = next(wrong, (next(iter(boxes)), 0, "too large"))
        raise UsageError(
            f'boxes: box {number} of "{label}" is {row!r:.80}, expected five numbers x1, y1, x2, y2, score'
        ) from None
    if not math.isfinite(sum(values)):
        raise UsageError("boxes: a box holds a number that is not finite")
    return values


def _is_box(row: Any) -> bool:
    return isinstance(row, list | tuple) and len(row) == 5 and all(isinstance(each, int | float) for each in row)  # pyright: ignore[reportUnknownArgumentType] -- JSON


def _box(values: array[float], k: int) -> Box:
    x1, y1, x2, y2, score = values[5 * k : 5 * k + 5]
    return (x1, y1, x2, y2, score)


def _without_overlaps(found: Sequence[tuple[int, Box]], most: float) -> list[tuple[int, Box]]:
    left, kept = list(found), list[tuple[int, Box]]()
    while left:
        best = left.pop(0)
        kept.append(best)
        left = [each for each in left if _iou(best[1], each[1]) < most]
    return kept


def _iou(a: Box, b: Box) -> float:
    """Return the overlap of two boxes; the official one counts a pixel more on either axis."""
    shared = _area(max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3]))
    union = _f32(_f32(_area(*a[:4]) + _area(*b[:4])) - shared)
    return _f32(shared / union) if union else 0.0


def _area(x1: float, y1: float, x2: float, y2: float) -> float:
    width, height = _f32(_f32(x2 - x1) + 1), _f32(_f32(y2 - y1) + 1)
    return _f32(max(width, 0.0) * max(height, 0.0))


def _f32(value: float) -> float:
    """Return the float32 nearest to a double: one rounding, as of float32 arithmetic itself."""
    return c_float(value).value


_NEAR = _f32(1e-3)
_ORDER = {label: number for number, label in enumerate(CLASSES)}


def _class_order(label: str) -> int:
    return _ORDER.get(label, len(CLASSES))
