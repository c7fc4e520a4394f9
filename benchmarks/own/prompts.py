"""A list of prompts of one's own: pictures are drawn and kept, nothing is scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ...evals.errors import UsageError
from ...evals.types import Evidence, Json, Metric, Prediction, Sample, Score
from ..reading.rows import Row
from ..reading.sources import Source
from ..reading.suite import own_name
from ..reading.tables import SUFFIXES, read_tables


class Prompts:
    """Draws a list of your own (--data FILE): a .txt with a prompt a line, or a table with a column prompt, and id or
    category where you have them; `per_prompt` pictures of each. The only number is how many were drawn."""

    kind = "image"
    observer = None
    headline = "drawn/pictures"
    inert = ("data",)
    worlds = ("toy",)
    decimals = 0

    def __init__(self, *, name: str = "", data: str = "", per_prompt: int = 1, offline: bool = False) -> None:
        if per_prompt < 1:
            raise UsageError(f"prompts: per_prompt {per_prompt}: expected a whole number from 1")
        self.name = own_name("prompts", name)
        self.outputs = per_prompt
        self._data, self._offline = data, offline
        self._samples: list[Sample] = []

    @property
    def card(self) -> Mapping[str, Json]:
        return {"images": self.outputs, "prompts": len(self.samples())}

    def samples(self) -> Sequence[Sample]:
        """Return the prompts, read once. Raises UsageError for a list that has none."""
        if not self._samples:
            self._samples = list(map(_sample, _rows(self._data, offline=self._offline)))
        return self._samples

    def score(self, sample: Sample, prediction: Prediction, evidence: Evidence | None) -> Sequence[Score]:
        """Return that the picture is there."""
        del evidence
        return [Score(sample.id, prediction.index, "drawn", 1.0, tags=sample.tags, cluster=sample.id)]

    def aggregate(self, scores: Sequence[Score]) -> Mapping[str, Metric]:
        """Return how many pictures were drawn."""
        drawn = sum(each.value is not None for each in scores)
        return {self.headline: Metric(float(drawn), drawn)}


def _rows(data: str, *, offline: bool) -> list[Row]:
    """Return the rows of the list, a line of a .txt as one with the column prompt."""
    file = Path(data).expanduser()
    if file.suffix.lower() != ".txt" or not file.is_file():
        tables = Source("prompts", own=True).tables(data, offline=offline)
        return read_tables(tables)
    try:
        lines = file.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise UsageError(f"{data}: not UTF-8 text ({error.reason} at byte {error.start})") from error
    rows = [Row({"prompt": line.strip()}, file, at) for at, line in enumerate(lines, 1) if line.strip()]
    if not rows:
        raise UsageError(f"{data}: no prompt in it; expected one a line, or a table ({', '.join(SUFFIXES)})")
    return rows


def _sample(row: Row) -> Sample:
    category = row.label("category", "tag", "type")
    named = row.find("id", "index") is not None
    prompt = row.text("prompt", "text", "caption")
    if not prompt.strip():
        raise row.wrong("prompt", prompt, "a prompt")
    key = row.identity("id", "index") if named else f"{row.line:05d}"
    return Sample(key, prompt, tags={"category": category} if category else {}, cluster=key)
