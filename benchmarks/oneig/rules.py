"""OneIG-Bench's rules of alignment, pure: which answer a reply is, and how questions become numbers.

Port of OneIG-Bench/OneIG-Benchmark 41b4983: scripts/alignment/alignment_score.py and fine_grained_analysis.py.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from ...evals import stats
from ...evals.stats import Estimate
from ...evals.types import Score

YES: Final = "Yes"
MARKS: Final = (YES, "No", "yes", "no")
"""What a reply is: one of the two words that were asked for, or another writing of them."""
KINDS: Final[Mapping[str, str]] = {"NP": "np", "T, P": "tp"}
"""What the makers' `type` says of a prompt: phrases of natural language, or tags and phrases."""
LENGTHS: Final = ("short", "middle", "long")
_YES: Final = re.compile(r"(?:yes|是的?|有的?|对的?)\b", re.IGNORECASE)
_NO: Final = re.compile(r"(?:no|不是的?|没有|不|否)\b", re.IGNORECASE)


def mark(reply: str) -> str | None:
    """Return which of `MARKS` a reply is: "yes" and "no" where it begins with that word and does not take it back.

    None where it is neither: the makers' script counts such a reply as a no.
    """
    if reply in (YES, "No"):
        return reply
    text = reply.strip(" \t\r\n.,;:!?\"'`*()[]。，！？“”")
    for said, begins, other in (("yes", _YES, _NO), ("no", _NO, _YES)):
        found = begins.match(text)
        if found:
            taken_back = re.search(rf"\b{other.pattern}", text[found.end() :], re.IGNORECASE)
            return None if taken_back else said
    return None


def value(answers: Sequence[bool], parents: Sequence[Sequence[int]]) -> float:
    """Return the share of questions with a yes; one of which a parent had none counts as none.

    `parents` are places from 1, 0 being none. A parent's own answer counts, whatever its parents had.
    """
    right = [
        said and all(answers[each - 1] for each in above if each) for said, above in zip(answers, parents, strict=True)
    ]
    return sum(right) / len(right)


def official(marks: Sequence[str]) -> list[bool]:
    """Return what the makers' script takes for a yes: the one word "Yes", nothing else."""
    return [each == YES for each in marks]


def fixed(marks: Sequence[str]) -> list[bool]:
    """Return the answers in any writing."""
    return [each.lower() == "yes" for each in marks]


def estimates(scores: Sequence[Score], protocol: str, categories: Iterable[str]) -> Mapping[str, Estimate]:
    """Return `alignment`, the mean of the prompts, each the mean of its pictures; then categories, kinds and lengths.

    `fixed/alignment` takes replies in any writing; `answers/other` is the percentage of replies that are not "Yes" or
    "No". All but that lie in 0 to 1.
    """
    found = {f"{protocol}/{name}": _of(scores, "category", name) for name in categories}
    there = {each.tags["category"] for each in scores}
    lost = [name for name in categories if name not in there] if scores else []
    heads = {f"{protocol}/alignment": stats.lacking(stats.over(scores, _mean(_official)), lost), **found}
    for tag, names in (("type", tuple(KINDS.values())), ("length", LENGTHS)):
        there = {each.tags.get(tag) for each in scores}
        heads |= {f"{protocol}/{name}": _of(scores, tag, name) for name in names if name in there}
    return {
        **heads,
        "fixed/alignment": stats.lacking(stats.over(scores, _mean(_fixed)), lost),
        "answers/other": _other(scores),
    }


def _of(scores: Sequence[Score], tag: str, name: str) -> Estimate:
    return stats.over([each for each in scores if each.tags.get(tag) == name], _mean(_official))


def _official(score: Score) -> float:
    return score.value or 0.0


def _fixed(score: Score) -> float:
    return float(score.details["fixed"])


def _mean(of: Callable[[Score], float]) -> Callable[[Sequence[Score]], Estimate]:
    def make(known: Sequence[Score]) -> Estimate:
        clusters = list(map(stats.cluster, known))
        sizes = Counter(clusters)
        shares = [1 / sizes[each] for each in clusters]
        return stats.ratio([of(each) * share for each, share in zip(known, shares, strict=True)], shares, clusters)

    return make


def _other(scores: Sequence[Score]) -> Estimate:
    def make(known: Sequence[Score]) -> Estimate:
        others, asked = ([float(each.details[name]) for each in known] for name in ("other", "asked"))
        return stats.ratio(others, asked, list(map(stats.cluster, known))).times(100)

    return stats.over(scores, make)
