"""A judge without a model, for the embedded world: it carries the edit out itself and compares pixels.

Its replies are marked with the model id `grader-rule-edit-1`, and runs that use it carry `grader=rule`.
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from ...evals.errors import InvalidImage
from ...evals.pictures import open_picture
from ..judging.rule_server import serve

if TYPE_CHECKING:
    from ..toy.edits import Pixels

MODEL: Final = "grader-rule-edit-1"
_INSTRUCTION: Final = re.compile(r"^(?:Editing instruction: (.*)|editing instruction is : (.*)\.)$", re.MULTILINE)
_ASPECT: Final = re.compile(r"^(.+): A number from 1 to 5\.$", re.MULTILINE)
_MOVED: Final = 32
"""Of 255: a pixel that differs by so much on some channel is another one."""


@dataclass(frozen=True, slots=True)
class Look:
    """Shares from 0 to 1: how much of what should change did, of what should stay stayed, of what is there the world
    can draw."""

    done: float
    kept: float
    natural: float


def answer(content: Any) -> str | None:
    """Return the reply to a request of either suite; None for one that is none, or whose instruction is not read."""
    from ..toy.edits import small, understood

    (text,) = (each["text"] for each in content if each["type"] == "text")
    urls = [each["image_url"]["url"] for each in content if each["type"] == "image_url"]
    try:
        pictures = [small(open_picture(base64.b64decode(each.partition(",")[2]), "the picture")) for each in urls]
    except InvalidImage:
        return None
    if len(pictures) == 1:
        natural = _natural(pictures[0])
        return _viescore(natural, natural)
    asked = _INSTRUCTION.search(text)
    edits = understood(next(filter(None, asked.groups()), "")) if asked else []
    if not edits or len(pictures) != 2:
        return None
    look = looked(pictures[0], pictures[1], edits)
    names = _ASPECT.findall(text)
    if not names:
        return _viescore(look.done, look.kept)
    first, *others = (1 + round(4 * share) for share in (look.done, look.natural, look.kept))
    grades = [first, *(min(first, each) for each in others)]
    return "\n".join(["Brief reasoning: by rule.", *map("{}: {}".format, names, grades)])


def looked(source: Pixels, made: Pixels, edits: Any) -> Look:
    """Return what a comparison of a picture with its source and with the edit done by rule shows."""
    from ..toy.edits import edited

    wanted = edited(source, edits)
    changes = _apart(source, wanted)
    right, same = ~_apart(made, wanted), ~_apart(made, source)
    done = float(right[changes].mean()) if changes.any() else 0.0
    kept = float(same[~changes].mean()) if not changes.all() else 1.0
    return Look(done, kept, _natural(made))


def _natural(made: Pixels) -> float:
    """Return how much of a picture is as the things that are seen in it are drawn."""
    from ..toy.edits import ground_of, painted, seen

    drawn = painted(seen(made), ground_of(made))
    grey = (made == made[..., :1]).all()
    return float((~_apart(made, drawn.mean(axis=-1, keepdims=True) if grey else drawn)).mean())


def _apart(one: Any, other: Any) -> Any:
    """Return where two pictures differ, (64, 64)."""
    return abs(one.astype("float32") - other).max(axis=-1) > _MOVED


def _viescore(first: float, second: float) -> str:
    return json.dumps({"score": [round(10 * first), round(10 * second)], "reasoning": "by rule"})


@cache
def start() -> str:
    """Start the server, once a process, and return its base URL."""
    return serve(answer, MODEL, "this grader reads GEdit-Bench's and ImgEdit's protocols about the embedded world only")
