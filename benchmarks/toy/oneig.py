"""OneIG-Bench's toy rows: things and colours with questions that depend on each other; names of things for text."""

from __future__ import annotations

import json
from random import Random

from .tables import SEED, Row
from .world import COLOR_NAMES, NAMES, with_article

_CATEGORIES = ("Anime_Stylization", "Portrait", "General_Object", "Multilingualism")
_LENGTHS = ("short", "middle", "long")


def alignment(suffix: str = "", count: int = 30) -> list[Row]:
    """Return rows with four questions each: two things, and of each its colour, which depends on the thing.

    Where the suite is Chinese the column is: the toy knows no Chinese, so prompts and questions stay English.
    """
    chinese = suffix == "_cn"
    categories = _CATEGORIES if chinese else _CATEGORIES[:3]
    rng = Random(f"{SEED}/oneig_alignment{suffix}")
    found: list[Row] = []
    for number in range(count + count % len(categories)):
        names, colors = rng.sample(NAMES, 2), rng.sample(COLOR_NAMES, 2)
        shown = " and ".join(with_article(f"{color} {name}") for name, color in zip(names, colors, strict=True))
        asked = [f"Is there {with_article(name)}?" for name in names]
        asked += [f"Is the {name} {color}?" for name, color in zip(names, colors, strict=True)]
        kinds: Row = {"type": ("NP", "T, P")[number % 2], "prompt_length": _LENGTHS[number // 3 % 3]}
        found.append(
            {
                "category": categories[number % len(categories)],
                "id": f"{number // len(categories):03d}",
                f"prompt_{'cn' if chinese else 'en'}": f"a photo of {shown}",
                **({} if chinese else kinds),
                "question": json.dumps({str(place): text for place, text in enumerate(asked, 1)}),
                "dependency": json.dumps({"1": [0], "2": [0], "3": [1], "4": [2]}),
            }
        )
    return found


def text(suffix: str = "", count: int = 30) -> list[Row]:
    """Return rows whose text is the names of the things that are drawn: the embedded world has no letters."""
    rng = Random(f"{SEED}/oneig_text{suffix}")
    found: list[Row] = []
    for number in range(count):
        names = sorted(rng.sample(NAMES, 2), key=NAMES.index)
        colors = rng.sample(COLOR_NAMES, 2)
        shown = " and ".join(with_article(f"{color} {name}") for name, color in zip(names, colors, strict=True))
        prompt = f"prompt_{'cn' if suffix else 'en'}"
        found.append({"id": f"{number:03d}", prompt: f"a photo of {shown}", "text_content": str(names)})
    return found
