"""UniGenBench's rules, pure: which verdicts a reply holds, and what its kinds of checkpoints score.

Port of CodeGoat24/UniGenBench 49d0bce, eval/src/eval_common.py.
"""

from __future__ import annotations

import ast
import re
import threading
import warnings
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from ...evals import stats
from ...evals.stats import Estimate
from ...evals.types import Json, Score
from .wording import ENGLISH

_ANALYSIS: Final = re.compile(r"<analysis>(.*?)</analysis>", re.DOTALL)
_SCORE: Final = re.compile(r"<score>(.*?)</score>", re.DOTALL)
_QUIET: Final = threading.Lock()


def primary(kind: str) -> str:
    """Return the dimension that a kind belongs to: "Action" of "Action - Hand ..."."""
    return kind.split("-", 1)[0].strip()


def slug(text: str) -> str:
    """Return a kind or a dimension as metrics are called."""
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")


def verdicts(reply: str, count: int) -> list[int] | None:
    """Return a reply's verdicts, 0 or 1 each; None unless both of its lists are `count` long and can be read.

    A verdict that is neither 0 nor 1 makes a reply unreadable, where the original counts it as 0.
    """
    analysis, score = (
        _literal(found[1]) if found else None for found in (p.search(reply) for p in (_ANALYSIS, _SCORE))
    )
    if not isinstance(score, list | tuple) or not isinstance(analysis, list | tuple | str | dict | set):
        return None
    if len(score) != count or len(analysis) != count:
        return None
    whole = all(isinstance(each, int | float) and not isinstance(each, bool) and each in (0, 1) for each in score)
    return [int(each) for each in score] if whole else None


def _literal(text: str) -> Json:
    """Return what a literal of Python says; None where it is none."""
    try:
        with _QUIET, warnings.catch_warnings():  # a judge's backslashes are no news to the reader
            warnings.simplefilter("ignore")
            return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None


def estimates(
    scores: Sequence[Score], protocol: str, expected: Collection[str] = tuple(ENGLISH.checkpoints)
) -> Mapping[str, Estimate]:
    """Return `overall`, the mean of the ten dimensions, then each dimension and each kind, in percent of checkpoints.

    The makers' script prints dimensions and kinds; their leaderboard's overall number is the mean of the dimensions.
    Where a dimension has no checkpoint here, or none of one of its `expected` kinds (all 27, which each of the makers'
    four tables has), they are parts.
    """
    known = [each for each in scores if each.value is not None]
    found: dict[str, Estimate] = {}
    kinds = [kind for kind in ENGLISH.checkpoints if any(kind in each.details["checkpoints"] for each in known)]
    for dimension in dict.fromkeys(map(primary, kinds)):
        found[f"{protocol}/{slug(dimension)}"] = _share(known, [each for each in kinds if primary(each) == dimension])
    dimensions = dict.fromkeys(map(primary, ENGLISH.checkpoints))
    lost = [each for each in dimensions if f"{protocol}/{slug(each)}" not in found]
    overall = stats.average(list(found.values()))
    for kind in kinds:
        found.setdefault(f"{protocol}/{slug(kind)}", _share(known, [kind]))
    found = {f"{protocol}/overall": overall, **found}
    made = {key: stats.over(scores, lambda _, each=each: each).times(100) for key, each in found.items()}
    if not known:
        return made
    short = {f"{protocol}/overall": list(map(slug, lost))}
    if len(known) == len(scores):  # else the pictures without a verdict tell what lacks
        for kind in (each for each in expected if each not in kinds and primary(each) not in lost):
            short.setdefault(f"{protocol}/{slug(primary(kind))}", []).append(slug(kind))
            short[f"{protocol}/overall"].append(slug(kind))
    return {**made, **{key: stats.lacking(made[key], names) for key, names in short.items()}}


def _share(scores: Sequence[Score], kinds: Sequence[str]) -> Estimate:
    """Return the share of the checkpoints of these kinds that are met."""
    values: list[float] = []
    clusters: list[str] = []
    for each in scores:
        for kind, right in zip(each.details["checkpoints"], each.details["met"], strict=True):
            if kind in kinds:
                values.append(float(right))
                clusters.append(stats.cluster(each))
    return stats.mean(values, clusters)
