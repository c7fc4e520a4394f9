"""What the suites of edits share: a judge's verdicts as one score, and what names their data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ...evals.types import Json
from ..judging.graded import Worth
from ..reading.sources import Source, find_world

Read = Callable[[Json], tuple[float, dict[str, Json]]]
"""What a verdict is worth, from 0 to 1, and its grades by name."""


def data_card(source: Source, data: str) -> Mapping[str, Json]:
    """Return the data's world or origin, where they are not the makers' own."""
    if data and find_world(data):
        return {"world": data}
    return {"origin": "given"} if source.is_given(data) else {}


def worth(read: Read) -> Worth:
    """Return what verdicts are worth: the mean over the judge's runs, and each grade's mean in `details`."""

    def of(verdicts: Sequence[Json]) -> tuple[float, dict[str, Json], str]:
        known = [read(each) for each in verdicts]
        details: dict[str, Json] = {}
        for name in known[0][1]:
            details[name] = sum(grades[name] for _, grades in known) / len(known)
        return sum(value for value, _ in known) / len(known), details, ""

    return of
