"""TIIF-Bench's rules, pure: which answers a reply holds, and how questions become numbers.

Port of A113N-W3I/TIIF-Bench 3aae750: eval/eval_with_vlm.py, summary_results.py and summary_dimension_results.py.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from ...evals import stats
from ...evals.stats import Estimate
from ...evals.types import Score

LENGTHS: Final = ("short", "long")
BASIC: Final[Mapping[str, tuple[str, ...]]] = {
    "attribute": ("shape+color", "color+texture", "texture+color", "shape+texture"),
    "relation": ("2d_spatial_relation", "3d_spatial_relation", "action+2d", "action+3d"),
    "reasoning": ("numeracy", "negation", "differentiation", "comparison"),
}
ADVANCED: Final[Mapping[str, tuple[str, ...]]] = {
    "attribute_relation": (
        *("action+color", "action+texture", "color+2d", "color+3d"),
        *("shape+2d", "shape+3d", "texture+2d", "texture+3d"),
    ),
    "attribute_reasoning": tuple(
        f"{each}+{what}"
        for each in ("numeracy", "comparison", "differentiation", "negation")
        for what in ("color", "texture")
    ),
    "relation_reasoning": tuple(
        f"{each}+{what}" for each in ("numeracy", "comparison", "differentiation", "negation") for what in ("2d", "3d")
    ),
    "text": ("text",),
    "style": ("style",),
}
REAL: Final[Mapping[str, tuple[str, ...]]] = {"real_world": ("real_world",)}
GROUPS: Final[Mapping[str, tuple[str, ...]]] = {**BASIC, **ADVANCED, **REAL}
TYPES: Final = tuple(each for types in GROUPS.values() for each in types)
"""The types that both of the makers' splits have: the names of their files at that commit (evals/assets/tiif.txt)."""
_ANSWER: Final = re.compile(r"(yes|no)\b", re.IGNORECASE)


def answers(reply: str, count: int) -> list[str] | None:
    """Return the answers of a reply, "yes" or "no": a line that begins with one each; None unless `count` do."""
    found = [match[1].lower() for line in reply.split("\n") if (match := _ANSWER.match(line.strip()))]
    return found if len(found) == count else None


def right(said: Sequence[str], expected: Sequence[str]) -> int:
    """Return how many answers are the expected ones."""
    return sum(one.strip().lower() == two.strip().lower() for one, two in zip(said, expected, strict=True))


def estimates(scores: Sequence[Score], protocol: str, expected: Collection[str] = TYPES) -> Mapping[str, Estimate]:
    """Return `overall_short`, the mean of its nine groups, and `overall_long`; then each group in both lengths.

    A group is the mean of its types, a type the share of its questions with the expected answer. What lacks a group,
    or one of the `expected` types of a group, is a part.
    """
    kinds: dict[tuple[str, str], list[Score]] = {}
    for each in scores:
        kinds.setdefault((each.tags["type"], each.tags["length"]), []).append(each)
    types = {key: stats.over(rows, _share) for key, rows in kinds.items()}
    heads: dict[str, Estimate] = {}
    rest: dict[str, Estimate] = {}
    for length in LENGTHS:
        groups: dict[str, Estimate] = {}
        for name, members in GROUPS.items():
            found = [types[each, length] for each in members if (each, length) in types]
            if found:
                lost = [each for each in members if each in expected and (each, length) not in types]
                groups[name] = stats.lacking(stats.average(found), lost)
        if groups:
            heads[f"{protocol}/overall_{length}"] = stats.lacking(
                stats.average(groups.values()), _without(groups, GROUPS)
            )
        rest |= {f"{protocol}/{name}_{length}": each for name, each in groups.items()}
        for title, part in (("basic", BASIC), ("advanced", ADVANCED)):
            members = [each for name in part if name in groups for each in part[name]]
            found = [types[each, length] for each in members if (each, length) in types]
            lost = [each for each in members if each in expected and (each, length) not in types]
            mean = stats.lacking(stats.average(found), [*_without(groups, part), *lost])
            rest |= {f"{protocol}/{title}_{length}": mean} if found else {}
    return {key: each.times(100) for key, each in {**heads, **rest}.items()}


def _without(there: Collection[str], names: Iterable[str]) -> list[str]:
    return [each for each in names if each not in there]


def _share(scores: Sequence[Score]) -> Estimate:
    sizes = [float(each.details["questions"]) for each in scores]
    tops = [(each.value or 0.0) * size for each, size in zip(scores, sizes, strict=True)]
    return stats.ratio(tops, sizes, list(map(stats.cluster, scores)))
