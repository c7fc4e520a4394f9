"""OneIG-Bench's rules of text, pure: what is compared of a transcript, how far it is off, and the text score.

Port of OneIG-Bench/OneIG-Benchmark 41b4983: scripts/text/text_score.py and text_utils.py.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from ...evals import stats
from ...evals.stats import Estimate
from ...evals.types import Score

_LETTERS: Final = "a-zA-Z0-9àâäéèêëîïôöùûüçÀÂÄÉÈÊËÎÏÔÖÙÛÜÇ"
_HAN: Final = "\u4e00-\u9fa5"
_DROPPED: Final = re.compile(rf"[^{_HAN}{_LETTERS}\s]")
_CHINESE: Final = re.compile("[\u4e00-\u9fff]")
_BLANKS: Final = re.compile(r"\s+")
_HALLUCINATED: Final = ("addCriterion", "No text recognized.")


@dataclass(frozen=True, slots=True)
class Reading:
    """One transcript against the text that was asked for: `ed` edits, and `matched` of its `words`.

    Words are characters where that text has Chinese in it.
    """

    ed: int
    matched: int
    words: int

    @property
    def cr(self) -> int:
        """Return 1 where nothing is off, else 0."""
        return int(self.ed == 0)


def compared(text: str) -> str:
    """Return what is compared of a text: letters and digits, and single blanks unless there is Chinese in it."""
    kept = _DROPPED.sub("", text)
    return _BLANKS.sub("", kept) if _CHINESE.search(kept) else _BLANKS.sub(" ", kept).strip()


def cleaned(reply: str) -> str:
    """Return a transcript without what the makers' judge makes up and what it says where it reads nothing."""
    for each in _HALLUCINATED:
        reply = reply.replace(each, "").replace(f"\n{each}", "").replace(f"{each}\n", "")
    return reply


def read(reply: str, wanted: str) -> Reading:
    """Return how a transcript agrees with the text that was asked for, both as they were given."""
    said, asked = compared(cleaned(reply)), compared(wanted)
    parts = (list(asked), list(said)) if _CHINESE.search(asked) else (asked.split(), said.split())
    matched = Counter(parts[0]) & Counter(parts[1])
    return Reading(distance(said, asked), matched.total(), len(parts[0]))


def distance(one: str, two: str) -> int:
    """Return the Levenshtein distance, by bit-parallel rows (Myers 1999; Hyyrö 2003): a long reply costs no time."""
    if not one or not two:
        return max(len(one), len(two))
    places: dict[str, int] = {}
    for number, each in enumerate(two):
        places[each] = places.get(each, 0) | 1 << number
    last, whole = 1 << (len(two) - 1), (1 << len(two)) - 1
    up, down, found = whole, 0, len(two)
    for each in one:
        equal = places.get(each, 0)
        across = equal | down
        diagonal = (((equal & up) + up) ^ up) | equal
        more, less = down | ~(diagonal | up) & whole, up & diagonal
        found += bool(more & last) - bool(less & last)
        more = (more << 1 | 1) & whole
        up, down = (less << 1 | ~(across | more)) & whole, more & across
    return found


def worth(ed: float, cr: float, wac: float, most: int) -> float:
    """Return the text score of mean edit distance, completion rate and word accuracy; `most` edits are the worst."""
    return 1 - min(most, ed) * (1 - cr) * (1 - wac) / most


def estimates(scores: Sequence[Score], protocol: str, most: int) -> Mapping[str, Estimate]:
    """Return `text`, and what it is made of: `ed`, `cr` (means over the pictures) and `wac` (over all their words)."""
    known = [each for each in scores if each.value is not None]
    clusters = list(map(stats.cluster, known))
    eds, crs, matched, words = (
        [float(each.details[name]) for each in known] for name in ("ed", "cr", "matched", "words")
    )
    parts = {
        "ed": stats.mean(eds, clusters, ceiling=max((1.0, *eds))),
        "cr": stats.mean(crs, clusters),
        "wac": stats.ratio(matched, words, clusters),
    }
    found = {"text": _text(parts["ed"], parts["cr"], parts["wac"], most), **parts}
    return {f"{protocol}/{name}": replace(each, absent=stats.lost(scores)) for name, each in found.items()}


def _text(ed: Estimate, cr: Estimate, wac: Estimate, most: int) -> Estimate:
    """Return the text score as an estimate: how it moves is how its three parts move, to first order."""
    if ed.value is None or cr.value is None or wac.value is None:
        return Estimate(None, ed.n, {})
    off = min(most, ed.value) / most
    slopes = (
        -(1 - cr.value) * (1 - wac.value) / most if ed.value < most else 0.0,
        off * (1 - wac.value),
        off * (1 - cr.value),
    )
    value = worth(ed.value, cr.value, wac.value, most)
    moved = stats.total((ed, cr, wac), slopes)
    rest = (value - (moved.value or 0.0)) / len(moved.parts)  # equal for all, so that the shares sum to the value
    parts = {key: (share + rest, pull) for key, (share, pull) in moved.parts.items()}
    return Estimate(value, ed.n, parts)
