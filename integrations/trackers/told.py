"""What a tracker is told of a run: its numbers with their intervals, what was asked, some samples and pictures."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ...evals.packs import unpack
from ...evals.records import read_record, read_scores
from ...evals.screen import clean
from ...evals.stored import Stored
from ...evals.types import Json, Prediction, RunRecord, RunSpec, Score
from ...reports.standing import marks, protocol
from ...reports.table import Cell, Group, Head, Row, Table

SAMPLES, PICTURES = 100, 8
"""How many samples and pictures are told; those that were not correct come first."""
_LONGEST = 500


@dataclass(frozen=True, slots=True)
class Told:
    """One run. `key` names it, the steps of one training share it; `numbers` holds no withheld one.

    Each metric stands in `numbers` as `janus_eval/SUITE/METRIC`, with `/low` and `/high` where it has an interval.
    All texts are safe to print.
    """

    name: str
    key: str
    group: str
    step: int
    config: Mapping[str, Json]
    numbers: Mapping[str, float]
    tables: Mapping[str, Table]
    pictures: Sequence[tuple[str, Path]]


class Tracker(Protocol):
    """What an entry point of the group `janus_eval.trackers` makes: called with what follows the colon of its name.

    It lives in a process of its own. Made once before the start, where it says what it lacks (EnvironmentProblem,
    UsageError), and once for each run that is told; what it raises then is said, and moves nothing.
    """

    def tell(self, told: Told, /) -> None:
        """Write a run down and wait until that is done; a run that was told before is told again."""
        ...


OFFLINE = "JANUS_EVAL_TRACKERS_OFFLINE"
"""Set in a tracker's process where the command has --offline."""


def offline() -> bool:
    """Say whether a tracker must touch no network (`run --offline`)."""
    return OFFLINE in os.environ


def told(folder: Path, room: Path) -> Told:
    """Return what is told of a run's folder; pictures that it keeps in packs are written to `room` first."""
    record = read_record(folder)
    spec = record.spec
    scores = sorted(
        (each for each in read_scores(folder) if each.protocol in ("", protocol(record.headline))),
        key=lambda each: (each.value is not None and each.value > 0, each.sample_id, each.index),
    )
    made = {(each.sample_id, each.index): each for each in Stored(folder).predictions().values()}
    pairs = [(each, made.get((each.sample_id, each.index))) for each in scores]
    shown = [(score, each) for score, each in pairs if each is not None and each.image is not None][:PICTURES]
    drawn = [(score, _file(each, room / f"{number}.png")) for number, (score, each) in enumerate(shown)]
    name = " ".join([spec.model, "on", spec.benchmark, *([spec.tag] if spec.tag else [])])
    return Told(
        name=clean(name),
        key=_key(spec),
        group=clean(spec.model),
        step=spec.step or 0,
        config=_config(record),
        numbers=numbers(record),
        tables={"metrics": _metrics(record), "samples": _samples(pairs[:SAMPLES])},
        pictures=[(clean(f"{each.sample_id}/{each.index}: {_why(each)}"), path) for each, path in drawn],
    )


def _file(prediction: Prediction, path: Path) -> Path:
    if prediction.packed is not None:
        path.write_bytes(unpack(prediction.packed))
        return path
    assert prediction.image is not None
    return prediction.image


def numbers(record: RunRecord) -> dict[str, float]:
    """Return what is logged of a record: numbers, never a withheld one."""
    found: dict[str, float] = {}
    for key, metric in record.metrics.items():
        name = clean(f"janus_eval/{record.spec.benchmark}/{key}")
        values = {name: metric.value, f"{name}/low": metric.low, f"{name}/high": metric.high}
        found |= {each: value for each, value in values.items() if value is not None and metric.value is not None}
    return found


def _key(spec: RunSpec) -> str:
    """Return 12 hex digits: the run's own, or those of a training whose steps are points of one curve."""
    if spec.step is None:
        return spec.digest
    asked = json.dumps([spec.model, spec.benchmark, spec.tag, spec.seed, spec.limit])
    return hashlib.sha256(asked.encode()).hexdigest()[:12]


def _config(record: RunRecord) -> dict[str, Json]:
    """Return what was asked, flat: knobs by their names in the signature, counts, and what marks the run."""
    spec = record.spec
    cards = (("model", spec.model_card), ("benchmark", spec.benchmark_card), ("observer", spec.observer_card))
    cards = (*cards, ("model.option", spec.model_options), ("benchmark.option", spec.benchmark_options))
    found: dict[str, Json] = {f"{who}.{key}": value for who, card in cards for key, value in card.items()}
    found |= {"model": spec.model, "benchmark": spec.benchmark, "seed": spec.seed, "limit": spec.limit or "all"}
    found |= {"tag": spec.tag, "digest": spec.digest, "signature": spec.signature, "headline": record.headline}
    found |= {"marks": ", ".join(marks(record)), "janus-eval": spec.version}
    found |= {f"count.{key}": count for key, count in record.counts.items()}
    return {clean(key): clean(value) if isinstance(value, str) else value for key, value in found.items()}


def _metrics(record: RunRecord) -> Table:
    heads = ("metric", "value", "low", "high", "n")
    rows = [
        (Cell(clean(key)), *map(_number, (each.value, each.low, each.high)), Cell(str(each.n), float(each.n)))
        for key, each in record.metrics.items()
    ]
    return _table("metrics", heads, rows)


def _number(value: float | None) -> Cell:
    return Cell("withheld") if value is None else Cell(f"{value:.4f}", value)


def _samples(pairs: Sequence[tuple[Score, Prediction | None]]) -> Table:
    heads = ("sample", "index", "value", "answer", "why", "output")
    rows = [
        (
            Cell(_short(score.sample_id)),
            Cell(str(score.index), float(score.index)),
            Cell("none" if score.value is None else f"{score.value:g}", score.value),
            Cell(_short("" if score.answer is None else str(score.answer))),
            Cell(_short(_why(score))),
            Cell(_short((made.text or "") if made is not None else "")),
        )
        for score, made in pairs
    ]
    return _table("samples", heads, rows)


def _table(key: str, heads: Sequence[str], rows: Sequence[tuple[Cell, ...]]) -> Table:
    numeric = ("value", "low", "high", "n", "index")
    columns = tuple(Head(each, each, number=each in numeric) for each in heads)
    return Table(key, key.capitalize(), columns, (Group("", tuple(map(Row, rows))),))


def _why(score: Score) -> str:
    return score.reason or ("none" if score.value is None else f"{score.value:g}")


def _short(text: str) -> str:
    text = clean(text)
    return text if len(text) <= _LONGEST else text[:_LONGEST] + " ..."
