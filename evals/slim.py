"""Equal texts and tags of many scores, held once."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from .types import Json, Score

SHORT = 40
"""Texts of so many characters are likely to be the same in many rows."""


def slim() -> Callable[[Score], Score]:
    """Return what lets scores share their equal texts and tags: a million of them then fit into memory."""
    texts: dict[str, str] = {}
    values: dict[float | None, float | None] = {}
    tags: dict[tuple[tuple[str, Json], ...], Mapping[str, str]] = {}

    def text(value: Json) -> Json:
        return texts.setdefault(value, value) if type(value) is str and len(value) <= SHORT else value

    last = ""

    def share(score: Score) -> Score:
        nonlocal last
        last = score.sample_id if score.sample_id != last else last
        try:
            same = tags.setdefault(tuple(score.tags.items()), score.tags)
        except TypeError:  # a tag that is no text
            same = score.tags
        return Score(
            last,
            score.index,
            text(score.protocol),
            values.setdefault(score.value, score.value) if type(score.value) is float else score.value,
            text(score.answer),
            text(score.reason),
            score.unparsed,
            same,
            text(score.cluster),
            score.details,
        )

    return share
