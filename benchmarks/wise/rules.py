"""WISE's rules, pure: what a judge's reply says, what a picture scores, and how the categories are weighed.

Port of PKU-YuanGroup/WISE eb51174: WISE_legacy/gpt_eval.py and Calculate.py (`wise`), vllm_eval.py and
calculate_verified.py (`wise_verified`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ...evals import stats
from ...evals.stats import Estimate
from ...evals.types import Score

ASPECTS: Final = ("consistency", "realism", "aesthetic_quality")
_WEIGHTS: Final = (0.7, 0.2, 0.1)
CATEGORIES: Final = ("cultural", "time", "space", "biology", "physics", "chemistry")
_ALONE: Final = (
    r"(?!\d|[.,]\d|[%½¼¾]|e-?\d|[ \t]*[-–—~][ \t]*\d|[ \t]+(?:or|to)[ \t]+\d"
    r"|[ \t]*/[ \t]*(?!{top}\b)\d|[ \t]*\(?[ \t]*out of[ \t]+(?!{top}\b))"
)
"""Behind a number: what would make it a part of another one, of a range or of another scale."""
_GRADES: Final = re.compile(
    r"\*{0,2}(Consistency|Realism|Aesthetic Quality)\*{0,2}\s*[::]?\s*(\d+(?:\.\d+)?)" + _ALONE.replace("{top}", "2"),
    re.IGNORECASE,
)
_SCORE: Final = re.compile(r"\*{0,2}Score\*{0,2}\s*[::]?\s*([01])\b" + _ALONE.replace("{top}", "1"), re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Form:
    """One of WISE's two forms: the last prompt id of each category, and the categories' weights."""

    name: str
    ends: tuple[int, ...]
    weights: tuple[float, ...]

    def category(self, number: int) -> str | None:
        """Return the category of a prompt by its id; None for an id that is in none."""
        found = zip(CATEGORIES, (0, *self.ends), self.ends, strict=False)
        return next((name for name, start, end in found if start < number <= end), None)


LEGACY: Final = Form("wise", (400, 567, 700, 800, 900, 1000), (0.4, 0.167, 0.133, 0.1, 0.1, 0.1))
VERIFIED: Final = Form("wise_verified", (400, 520, 640, 760, 880, 1000), (0.4, 0.12, 0.12, 0.12, 0.12, 0.12))


def grades(reply: str) -> dict[str, int]:
    """Return the aspects' grades that a reply states, the last of each; three lines of numbers alone will do.

    A grade that is none of 0, 1 and 2 is left out, where the original counts it, or its first digit.
    """
    found = {name.lower().replace(" ", "_"): float(value) for name, value in _GRADES.findall(reply)}
    if not found:
        alone = re.findall(r"(?m)^\s*([0-2])\s*$", reply)
        found = dict(zip(ASPECTS, map(float, alone), strict=False)) if len(alone) >= 3 else {}
    return {name: int(value) for name, value in found.items() if value in (0, 1, 2)}


def verdict(reply: str) -> int | None:
    """Return the first score, 0 or 1, that a reply states; a number alone in the only line of its kind will do."""
    found = _SCORE.search(reply)
    if found:
        return int(found[1])
    alone = re.findall(r"(?m)^\s*([01])\s*$", reply)
    return int(alone[0]) if len(alone) == 1 else None


def contradicts(reply: str) -> bool:
    """Return whether a reply states two different verdicts, of which the rules above take one."""
    said: dict[str, set[str]] = {}
    for name, value in [*_GRADES.findall(reply), *(("score", each) for each in _SCORE.findall(reply))]:
        said.setdefault(name.lower(), set()).add(value)
    return any(len(values) > 1 for values in said.values())


def wiscore(found: Mapping[str, float]) -> float:
    """Return a picture's WiScore, 0 to 1, from its grades."""
    weighed = (weight * found[name] for weight, name in zip(_WEIGHTS, ASPECTS, strict=True))
    return round(sum(weighed) / 2, 12)  # three twos are 1, not a little less


def estimates(scores: Sequence[Score], form: Form, protocol: str) -> Mapping[str, Estimate]:
    """Return `overall` and each category from 0 to 1; `wise` also has each aspect, 0 to 2."""
    found: dict[str, Estimate] = {}
    for name in CATEGORIES:
        found[f"{protocol}/{name}"] = stats.over([each for each in scores if each.tags["category"] == name], _mean)
    there = {each.tags["category"] for each in scores}
    lost = [name for name in CATEGORIES if name not in there] if scores else []
    overall = stats.lacking(stats.total(list(found.values()), form.weights), lost)
    found = {f"{protocol}/overall": overall, **found}
    known = [each for each in scores if each.value is not None]
    for name in ASPECTS if known and "grades" in known[0].details else ():
        values = [each.details["grades"][name] for each in known]
        part = stats.mean(values, list(map(stats.cluster, known)), ceiling=2.0)
        found[f"{protocol}/{name}"] = stats.over(scores, lambda _, part=part: part)
    return found


def _mean(scores: Sequence[Score]) -> Estimate:
    return stats.mean([each.value or 0.0 for each in scores], list(map(stats.cluster, scores)))
