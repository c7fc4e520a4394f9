"""echo-colour: answers every question with the colour that most of its picture has; no weights."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Mapping, Sequence

from janus_eval.evals.errors import UsageError
from janus_eval.evals.types import Job, Json, Kind

COLOURS = ("black", "white", "red", "green", "blue", "yellow")


class EchoColour:
    """Names the colour that fills most of a picture, or with `rank` 2 the one after it, whatever is asked."""

    kinds: frozenset[Kind] = frozenset(("text",))
    independent = True  # an answer depends on its own picture alone

    def __init__(self, *, rank: int = 1) -> None:
        if rank < 1:
            raise UsageError(f"rank: expected a number from 1, found {rank}")
        self.rank = rank  # enters a run's key by itself where it is not the default

    @property
    def card(self) -> Mapping[str, Json]:
        return {"colours": list(COLOURS)}

    def predict(self, jobs: Sequence[Job]) -> list[str]:
        return [self._answer(job.sample.images[0].read()) for job in jobs]

    def _answer(self, encoded: bytes) -> str:
        found = by_area(encoded)
        return found[min(self.rank, len(found)) - 1]


def by_area(encoded: bytes) -> list[str]:
    """Return the names of a picture's colours, the one with most pixels first."""
    from PIL import Image, ImageColor

    with Image.open(io.BytesIO(encoded)) as picture:
        values = picture.convert("RGB").tobytes()
    known = {name: ImageColor.getrgb(name) for name in COLOURS}
    areas: Counter[str] = Counter()
    for pixel, count in Counter(zip(values[::3], values[1::3], values[2::3], strict=True)).items():
        far = {name: sum((a - b) ** 2 for a, b in zip(pixel, rgb, strict=False)) for name, rgb in known.items()}
        areas[min(far, key=far.__getitem__)] += count
    return [name for name, _ in areas.most_common()]
