"""TIIF-Bench's toy rows: prompts of things and colours in a short and a long form, with yes/no questions."""

from __future__ import annotations

from random import Random

from .tables import SEED, Row
from .world import COLOR_NAMES, NAMES, with_article

_TYPES = (
    *("shape+color", "color+texture", "2d_spatial_relation", "3d_spatial_relation", "numeracy", "negation"),
    *("action+color", "action+texture", "numeracy+color", "numeracy+texture", "numeracy+2d", "numeracy+3d"),
    *("text", "style", "real_world"),
)


def rows(each: int = 3, *, suite: str = "tiif") -> list[Row]:
    """Return rows of the first two types of every group, `each` a type; one question of four expects "no"."""
    rng = Random(f"{SEED}/{suite}")
    found: list[Row] = []
    for kind in _TYPES:
        for _ in range(each):
            (first, second, absent), colors = rng.sample(NAMES, 3), rng.sample(COLOR_NAMES, 2)
            shown = " and ".join(
                with_article(f"{color} {name}") for name, color in zip((first, second), colors, strict=True)
            )
            asked = [
                f"Is the {first} {colors[0]}?",
                f"Is the {second} {colors[1]}?",
                f"Is there {with_article(absent)}?",
            ]
            found.append(
                {
                    "type": kind,
                    "short_description": f"a photo of {shown}",
                    "long_description": f"a photo of {shown}, and of nothing else, as plain as it can be",
                    "yn_question_list": [f"Is there {with_article(first)}?", *asked],
                    "yn_answer_list": ["yes", "yes", "Yes", "no"],
                }
            )
    return found
