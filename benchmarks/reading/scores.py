"""Scores of understanding suites: what each protocol read, gathered by protocol, group and word."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

from ...evals import stats
from ...evals.stats import Estimate
from ...evals.types import Evidence, Json, Prediction, Sample, Score

GUESSED = "guessed "
"""How the reason begins where a protocol drew its answer at random: it read nothing."""

Read = tuple[Json, float | None, bool]
"""What a protocol read, its value, and whether it could not read (unparsed)."""


def percent(scores: Sequence[Score]) -> Estimate:
    """Return the mean value of the scores with a verdict, in percent (`stats.over`)."""

    def mean(known: Sequence[Score]) -> Estimate:
        return stats.mean([each.value or 0.0 for each in known], [stats.cluster(each) for each in known])

    return stats.over(scores, mean).times(100)


def plain(value: float | None, n: int) -> Estimate:
    """Return a number without an interval: a count, a deviation over runs."""
    return Estimate(value, n, {"": (0.0, math.nan)}, 0.0, math.inf)


def scores_of(sample: Sample, prediction: Prediction, reads: Mapping[str, Read], details: Json = None) -> list[Score]:
    """Return one Score for each protocol that read the response."""
    return [
        Score(
            sample.id,
            prediction.index,
            protocol,
            value,
            answer=answer,
            unparsed=unparsed,
            tags=sample.tags,
            cluster=sample.cluster,
            details=details,
        )
        for protocol, (answer, value, unparsed) in reads.items()
    ]


def judged(
    read: Callable[[str, Json], Mapping[str, Read]], gold: Callable[[Sample], Json] = lambda sample: sample.target
) -> Callable[[Sample, Prediction, Evidence | None], list[Score]]:
    """Return the rule that gives one Score for each protocol which reads an answer; `gold` finds the right one."""

    def score(sample: Sample, prediction: Prediction, evidence: Evidence | None) -> list[Score]:
        del evidence
        return scores_of(sample, prediction, read(prediction.text or "", gold(sample)))

    return score


def by_protocol(scores: Sequence[Score], protocols: Sequence[str]) -> dict[str, list[Score]]:
    """Return the scores of each protocol that occurs, in the order of `protocols`.

    An output that is missing has a score without protocol: it joins each that does not have it.
    """
    absent = [each for each in scores if not each.protocol]
    found: dict[str, list[Score]] = {}
    for each in scores:
        if each.protocol:
            found.setdefault(each.protocol, []).append(each)
    if absent and not found:
        found[protocols[0]] = []
    for mine in found.values():
        have = {(each.sample_id, each.index) for each in mine} if absent else set[tuple[str, int]]()
        mine += [each for each in absent if (each.sample_id, each.index) not in have]
    return {name: found[name] for name in protocols if name in found}


def grouped(scores: Iterable[Score], key: Callable[[Score], str]) -> dict[str, list[Score]]:
    """Return the scores by key, keys in alphabetical order; an empty key is left out."""
    groups: dict[str, list[Score]] = {}
    for each in scores:
        groups.setdefault(key(each), []).append(each)
    return {name: groups[name] for name in sorted(groups) if name}


def slug(text: str) -> str:
    """Return a name fit for a metric key: lower case, words joined by underscores."""
    return "_".join("".join(char if char.isalnum() else " " for char in text.lower()).split())


def accuracy(
    protocols: Sequence[str], *tags: str, named: Callable[[str], str] = str, parts: Sequence[str] = ()
) -> Callable[[Sequence[Score]], dict[str, Estimate]]:
    """Return what makes `accuracy` in percent for each protocol, and one metric for each value of the tags.

    `named` makes a value the end of a metric's key. `parts` are the values of the first tag that the whole is over:
    where some of them are there and others are not, it is over a part.
    """

    def estimates(scores: Sequence[Score]) -> dict[str, Estimate]:
        found: dict[str, Estimate] = {}
        seen = {each.tags.get(tags[0], "") for each in scores} if parts else set[str]()
        absent = [name for name in parts if name not in seen] if seen & {*parts} else []
        for protocol, mine in by_protocol(scores, protocols).items():
            found[f"{protocol}/accuracy"] = stats.lacking(percent(mine), absent)
            for tag in tags:
                for name, part in grouped(mine, lambda each, tag=tag: each.tags.get(tag, "")).items():
                    found[f"{protocol}/{named(name)}"] = percent(part)
        return found

    return estimates
