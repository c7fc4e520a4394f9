"""ImgEdit-Bench's rules, pure: the grades in a judge's reply and an edit's score.

Port of PKU-YuanGroup/ImgEdit 547185d, Benchmark/Basic/step1_get_avgscore.py and step2_typescore.py (the repository
states no licence for them).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

TYPES: Final = ("add", "adjust", "extract", "replace", "remove", "background", "style", "compose", "action")
"""In the order of the makers' table, which calls `compose` hybrid."""
ASPECTS: Final = 3
LEAST: Final = 1
MOST: Final = 5


def grades(reply: str) -> list[int]:
    """Return the whole number behind each line's one `: `, in order."""
    lines = (line.strip().split(": ") for line in reply.splitlines())
    return [int(parts[1]) for parts in lines if len(parts) == 2 and parts[1].isdecimal()]


def readable(found: Sequence[int]) -> bool:
    """Return whether these are grades: at least one, and all from 1 to 5, where the makers' script takes any."""
    return bool(found) and all(LEAST <= each <= MOST for each in found)


def average(found: Sequence[int]) -> float:
    """Return an edit's score, 1 to 5, rounded to hundredths as the makers' script does."""
    return round(sum(found) / len(found), 2)
