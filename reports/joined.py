"""The scores of two runs joined by what they are about, and whether one id means one sample in both."""

from __future__ import annotations

from collections.abc import Sequence

from ..evals.errors import UsageError
from ..evals.types import RunSpec, Score

Key = tuple[str, int, str]
"""(sample id, index, protocol): what one score is about."""


def key_of(score: Score) -> Key:
    """Return what a score is about."""
    return (score.sample_id, score.index, score.protocol)


def by_key(scores: Sequence[Score]) -> Sequence[Score]:
    """Return scores by key; those of a run's file are so already."""
    keys = map(key_of, scores)
    before = next(keys, None)
    for key in keys:
        if before is not None and key < before:
            return sorted(scores, key=key_of)
        before = key
    return scores


def shared_scores(first: Sequence[Score], second: Sequence[Score]) -> tuple[list[Score], list[Score]]:
    """Return the scores of each that both have, by key; neither is put into a table."""
    found: tuple[list[Score], list[Score]] = ([], [])
    one, two = iter(by_key(first)), iter(by_key(second))
    a, b = next(one, None), next(two, None)
    while a is not None and b is not None:
        if key_of(a) == key_of(b):
            found[0].append(a)
            found[1].append(b)
            a, b = next(one, None), next(two, None)
        elif key_of(a) < key_of(b):
            a = next(one, None)
        else:
            b = next(two, None)
    return found


def must_be_alike(first: Sequence[Score], second: Sequence[Score]) -> None:
    """Raise UsageError where a score of one key is of another sample in the second run: its tags tell.

    Ids are often plain numbers, so that two tables have them in common and no question. Tags that one run alone has,
    of another version of the suite, tell nothing.
    """
    for one, two in zip(first, second, strict=True):
        for tag in sorted(one.tags.keys() & two.tags.keys()):
            if one.tags[tag] != two.tags[tag]:
                raise UsageError(
                    f"{one.sample_id} is not one sample in both runs ({tag}: {one.tags[tag]:.40} in the first, "
                    f"{two.tags[tag]:.40} in the second): they were asked other data, nothing is compared"
                )


def other_data(first: RunSpec, second: RunSpec) -> list[str]:
    """Return a line where two runs were asked other data, or the same in other words: ids are all that joins them."""
    asked = [each.benchmark_card.get("samples") for each in (first, second)]
    if None in asked or asked[0] == asked[1]:
        return []
    return [
        "OTHER DATA OR PROMPTS: what the two runs were asked is not the same (b.samples); rows are joined by their ids."
    ]
