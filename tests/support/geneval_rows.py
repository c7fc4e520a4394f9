"""Three prompts of GenEval, and what a detector may have seen."""

from __future__ import annotations

from typing import Any

PROMPTS: list[dict[str, Any]] = [
    {"tag": "single_object", "include": [{"class": "cat", "count": 1}], "prompt": "a photo of a cat"},
    {"tag": "colors", "include": [{"class": "dog", "count": 1, "color": "red"}], "prompt": "a photo of a red dog"},
    {
        "tag": "counting",
        "include": [{"class": "tie", "count": 2}],
        "exclude": [{"class": "tie", "count": 3}],
        "prompt": "a photo of two ties",
    },
]


def seen(**boxes: list[list[float]]) -> dict[str, Any]:
    colors = {label: ["red"] * len(each) for label, each in boxes.items()}
    return {"boxes": boxes, "colors": colors, "masks": {}, "floor": 0.1, "size": [9, 9]}
