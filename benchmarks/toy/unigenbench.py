"""UniGenBench's toy rows: things and colours, the checkpoints' descriptions being questions."""

from __future__ import annotations

import json
from random import Random

from .tables import SEED, Row
from .world import COLOR_NAMES, NAMES, with_article

_KINDS = (
    *("Style", "World Knowledge", "Attribute - Color", "Action - State", "Relationship - Composition"),
    *("Compound - Feature Matching", "Grammar - Consistency", "Entity Layout - Two-Dimensional Space"),
    *("Logical Reasoning", "Text Generation"),
)


def rows(count: int = 30) -> list[Row]:
    """Return rows with two or three checkpoints each; every dimension has some."""
    rng = Random(f"{SEED}/unigenbench")
    found: list[Row] = []
    for number in range(count):
        names, colors = rng.sample(NAMES, 2), rng.sample(COLOR_NAMES, 2)
        shown = [with_article(f"{color} {name}") for name, color in zip(names, colors, strict=True)]
        meant = [f"Is the {name} {color}?" for name, color in zip(names, colors, strict=True)]
        meant += [f"Is there {with_article(names[1])}?"] if number % 2 else []
        kinds = [_KINDS[(number + 3 * place) % len(_KINDS)] for place in range(len(meant))]
        told = {"Primary Categories": "toy", "Testpoints": kinds, "Testpoint Description": meant}
        prompt = f"a photo of {' and '.join(shown)}"
        found.append({"index": number, "prompt_en": prompt, "sub_dims_en": json.dumps(told)})
    return found
