"""The GenEval prompt suite, generated: classes, colours, relations and the official sampling."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ...evals.errors import UsageError

if TYPE_CHECKING:
    from numpy.random import Generator

OFFICIAL_SEED = 43
OFFICIAL_SIZE = 100
OFFICIAL_SHA256 = "5c48e0813e812e3c373fa5c8ed07a8f0a483be30272b4427b0559c8048e67c13"
"""SHA-256 of prompts/evaluation_metadata.jsonl of djghosh13/geneval af4902f (MIT)."""

CLASSES = tuple(
    """person|bicycle|car|motorcycle|airplane|bus|train|truck|boat|traffic light|fire hydrant|stop sign
parking meter|bench|bird|cat|dog|horse|sheep|cow|elephant|bear|zebra|giraffe|backpack|umbrella|handbag|tie
suitcase|frisbee|skis|snowboard|sports ball|kite|baseball bat|baseball glove|skateboard|surfboard
tennis racket|bottle|wine glass|cup|fork|knife|spoon|bowl|banana|apple|sandwich|orange|broccoli|carrot
hot dog|pizza|donut|cake|chair|couch|potted plant|bed|dining table|toilet|tv|laptop|computer mouse
tv remote|computer keyboard|cell phone|microwave|oven|toaster|sink|refrigerator|book|clock|vase|scissors
teddy bear|hair drier|toothbrush""".replace("\n", "|").split("|")
)
"""The 80 COCO classes in COCO's order, spelled as GenEval spells them (prompts/object_names.txt)."""

COLORS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white")
RELATIONS = ("left of", "right of", "above", "below")
LARGEST_SIZE = 100_000
"""Prompts drawn for a task at most: seconds of work; a larger number is a slip of the finger."""
TASKS = ("single_object", "two_object", "counting", "colors", "position", "color_attr")

_NUMBERS = {2: "two", 3: "three", 4: "four"}


def suite(seed: int = OFFICIAL_SEED, size: int = OFFICIAL_SIZE) -> list[dict[str, Any]]:
    """Return the prompts' metadata, `size` drawn for each task, exact duplicates dropped.

    single_object draws each class once, whatever the size, as the official script does. Source:
    djghosh13/geneval af4902f, prompts/create_prompts.py. Raises UsageError for a negative
    value and for a size above LARGEST_SIZE.
    """
    if seed < 0 or size < 0:
        raise UsageError(f"the GenEval suite needs a seed and a size of 0 or more: got seed {seed}, size {size}")
    if size > LARGEST_SIZE:
        raise UsageError(f"the GenEval suite draws at most {LARGEST_SIZE} prompts for a task: got size {size}")
    import numpy

    rng = numpy.random.default_rng(seed)
    drawn = _single_object(rng)
    # One task after the other from one generator: the order of the draws is part of the protocol.
    draws: tuple[Callable[[Generator], dict[str, Any]], ...]
    draws = (_two_object, _counting, _colors, _position, _color_attr)
    for draw in draws:
        drawn += [draw(rng) for _ in range(size)]
    return list({json.dumps(sample): sample for sample in drawn}.values())


def metadata_bytes(rows: Iterable[Mapping[str, Any]]) -> bytes:
    """Return the bytes of the official evaluation_metadata.jsonl: one JSON object a line."""
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def _single_object(rng: Generator) -> list[dict[str, Any]]:
    chosen = rng.choice(len(CLASSES), size=len(CLASSES), replace=False)
    return [_sample("single_object", [_clause(CLASSES[k])], f"a photo of {_a(CLASSES[k])}") for k in chosen]


def _two_object(rng: Generator) -> dict[str, Any]:
    a, b = (CLASSES[k] for k in rng.choice(len(CLASSES), size=2, replace=False))
    return _sample("two_object", [_clause(a), _clause(b)], f"a photo of {_a(a)} and {_a(b)}")


def _counting(rng: Generator) -> dict[str, Any]:
    label = CLASSES[rng.choice(len(CLASSES))]
    count = int(rng.integers(2, 4, endpoint=True))
    plural = label + ("es" if label.endswith("s") else "s")
    return {
        "tag": "counting",
        "include": [_clause(label, count)],
        "exclude": [_clause(label, count + 1)],
        "prompt": f"a photo of {_NUMBERS[count]} {plural}",
    }


def _colors(rng: Generator) -> dict[str, Any]:
    label = _thing(rng.choice(len(CLASSES) - 1))
    color = COLORS[rng.choice(len(COLORS))]
    return _sample("colors", [_clause(label, color=color)], f"a photo of {_a(color)} {label}")


def _position(rng: Generator) -> dict[str, Any]:
    a, b = (CLASSES[k] for k in rng.choice(len(CLASSES), size=2, replace=False))
    relation = RELATIONS[rng.choice(len(RELATIONS))]
    return _sample(
        "position", [_clause(b), _clause(a, position=[relation, 0])], f"a photo of {_a(a)} {relation} {_a(b)}"
    )


def _color_attr(rng: Generator) -> dict[str, Any]:
    a, b = (_thing(k) for k in rng.choice(len(CLASSES) - 1, size=2, replace=False))
    first, second = (COLORS[k] for k in rng.choice(len(COLORS), size=2, replace=False))
    return _sample(
        "color_attr",
        [_clause(a, color=first), _clause(b, color=second)],
        f"a photo of {_a(first)} {a} and {_a(second)} {b}",
    )


def _thing(index: int) -> str:
    """Return a class that is never "person": nobody is asked to paint a person."""
    return CLASSES[(index + 1 + CLASSES.index("person")) % len(CLASSES)]


def _clause(label: str, count: int = 1, **more: Any) -> dict[str, Any]:
    return {"class": label, "count": count, **more}


def _sample(tag: str, include: list[dict[str, Any]], prompt: str) -> dict[str, Any]:
    return {"tag": tag, "include": include, "prompt": prompt}


def _a(word: str) -> str:
    return f"an {word}" if word[0] in "aeiou" else f"a {word}"
