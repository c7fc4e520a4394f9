"""Reading what lies in runs' folders: whole lines and pictures of any run, record and scores of a finished one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from .errors import UsageError
from .files import disk, dump, read_json, sha256, unseal
from .types import Evidence, Json, Metric, Prediction, RunRecord, RunSpec, Score

FORMAT = 1
Key = tuple[str, str, int]
"""(kind, sample id, index): what names one output within a run."""
Line = Mapping[str, Json]


class Stored:
    """The predictions and the evidence of a run's folder; what is not whole is named in `damage`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.damage: list[str] = []

    def predictions(self) -> dict[Key, Prediction]:
        """Return every whole prediction."""
        return {key: self._prediction(row) for key, row in self.prediction_lines().items()}

    def prediction_lines(self) -> dict[Key, Line]:
        """Return the lines of the predictions whose checksum, and whose picture's, is right."""
        rows = {line_key(row): row for row in self._lines("predictions")}
        with ThreadPoolExecutor(8) as pool:
            pictures = {key: row for key, row in rows.items() if row.get("image") is not None}
            whole = dict(zip(pictures, pool.map(self._picture_is_whole, pictures.values()), strict=True))
        for key, is_whole in whole.items():
            if not is_whole:
                self.damage.append(f"{rows[key]['image']} of {self.folder} is damaged or missing: it is made again")
        return {key: row for key, row in rows.items() if whole.get(key, True)}

    def _prediction(self, row: Line) -> Prediction:
        likelihoods = row.get("likelihoods")
        return Prediction(
            sample_id=row["sample_id"],
            index=row["index"],
            kind=row["kind"],
            text=row.get("text"),
            image=self.folder / row["image"] if row.get("image") is not None else None,
            likelihoods=None if likelihoods is None else tuple(likelihoods),
            finish=str(row.get("finish", "")),
        )

    def _picture_is_whole(self, row: Line) -> bool:
        path = self.folder / row["image"]
        if not path.is_relative_to(self.folder) or ".." in path.parts[len(self.folder.parts) :]:
            return False  # no picture of this run lies elsewhere
        try:
            return path.stat().st_size == row["bytes"] and sha256(path) == row["sha256"]
        except OSError:
            return False

    def evidence(self, predictions: Mapping[Key, Prediction]) -> dict[Key, Evidence]:
        """Return the evidence that still fits the predictions; failed observations are left out."""
        rows = self.evidence_lines(predictions)
        return {key: Evidence(row["sample_id"], row["index"], row["data"]) for key, row in rows.items()}

    def evidence_lines(self, predictions: Mapping[Key, Prediction]) -> dict[Key, Line]:
        """Return the lines of the evidence that still fits the predictions."""
        rows = [row for row in self._lines("evidence") if row.get("error") is None]
        if not rows:
            return {}
        digests = prediction_digests(predictions)
        return {line_key(row): row for row in rows if row["of"] == digests.get(line_key(row))}

    def _lines(self, stream: str) -> Iterator[dict[str, Json]]:
        for path in sorted((self.folder / stream).glob("*.jsonl")):
            with disk(self.folder), path.open("rb") as file:
                for number, line in enumerate(file, 1):
                    row = unseal(line)
                    if row is None:
                        self.damage.append(f"{path} line {number} is damaged: its sample is computed again")
                    else:
                        yield row


def line_key(row: Line) -> Key:
    """Return the key of a stored line."""
    return (row["kind"], row["sample_id"], row["index"])


def prediction_digests(predictions: Mapping[Key, Prediction]) -> dict[Key, str]:
    """Return the digest of each prediction's content: what evidence is tied to."""
    with ThreadPoolExecutor(8) as pool:
        return dict(zip(predictions, pool.map(_digest, predictions.values()), strict=True))


def _digest(prediction: Prediction) -> str:
    if prediction.image is not None:
        return sha256(prediction.image)
    return hashlib.sha256(dump([prediction.text, prediction.likelihoods]).encode()).hexdigest()


def read_lines(folder: Path, stream: str) -> Iterator[dict[str, Json]]:
    """Yield the whole lines of a run's `predictions` or `evidence`; damaged ones are passed over."""
    for path in sorted((folder / stream).glob("*.jsonl")):
        with path.open("rb") as file:
            for line in file:
                row = unseal(line)
                if row is not None:
                    yield row


# -- finished runs ------------------------------------------------------------------------------------


def find_runs(paths: Iterable[Path]) -> list[Path]:
    """Return the finished runs among `paths` and, where one is an output folder, those inside it."""
    found: list[Path] = []
    for path in paths:
        if (path / "record.json").exists():
            found.append(path)
            continue
        inside = sorted(each.parent for each in path.glob("*/record.json"))
        if not inside:
            raise UsageError(f"{path}: no finished run here (no record.json in it or one level below)")
        found += inside
    return found


def read_record(folder: Path) -> RunRecord:
    """Return the record of a finished run. Raises UsageError where it is missing, foreign or damaged."""
    path = folder / "record.json"
    if not path.exists():
        raise UsageError(f"{folder} is no finished run: it has no record.json")
    environment = folder / "environment.json"
    return record_from_json(read_json(path), str(path), read_json(environment) if environment.exists() else {})


def record_from_json(row: Json, where: str, environment: Mapping[str, Json] | None = None) -> RunRecord:
    """Return the record that `record_to_json` wrote; `where` names the file in a UsageError."""
    try:
        if row["format"] != FORMAT:
            raise UsageError(f"{where} has format {row['format']}; this version reads format {FORMAT}")
        return RunRecord(
            spec=RunSpec.from_json(row["spec"]),
            headline=row["headline"],
            metrics={key: _metric(value) for key, value in row["metrics"].items()},
            counts={key: int(value) for key, value in row["counts"].items()},
            complete=row["complete"],
            missing=tuple(row["missing"]),
            environment=environment or {},
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UsageError(f"{where} is damaged: {error!r}; run the same command again") from error


def record_to_json(record: RunRecord) -> dict[str, Json]:
    """Return what record.json holds; times and environment live apart."""
    return {
        "format": FORMAT,
        "spec": record.spec.to_json(),
        "signature": record.spec.signature,
        "headline": record.headline,
        "metrics": {key: value.to_json() for key, value in record.metrics.items()},
        "counts": dict(record.counts),
        "complete": record.complete,
        "missing": list(record.missing),
    }


def _metric(row: Json) -> Metric:
    told: list[Json] = [*row.get("absent", ()), *row.get("left_out", ())]
    if not all(isinstance(each, str) for each in told):
        raise TypeError(f"what is absent is no text in {row}")
    metric = Metric(**row)
    numbers: tuple[Json, ...] = (metric.value, metric.low, metric.high)
    if not all(value is None or isinstance(value, int | float) for value in numbers):
        raise TypeError(f"no number in {row}")
    return replace(metric, n=int(metric.n), absent=tuple(metric.absent), left_out=tuple(metric.left_out))


def read_scores(folder: Path) -> list[Score]:
    """Return the scores of a finished run, sorted by sample id, index, protocol."""
    path = folder / "scores.jsonl"
    scores: list[Score] = []
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                try:
                    scores.append(_whole(Score(**json.loads(line))))
                except (ValueError, TypeError, RecursionError) as error:
                    raise UsageError(f"{path} line {number} is damaged: {error}; run the same command again") from error
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    return scores


def _whole(score: Score) -> Score:
    """Return a score read from JSON whose fields have their types. Raises TypeError."""
    value, index, sample, protocol = map(type, (score.value, score.index, score.sample_id, score.protocol))
    if value not in (int, float, type(None)) or index is not int:
        raise TypeError(f"value {score.value!r} of output {score.index!r}")
    if sample is not str or protocol is not str:
        raise TypeError(f"sample {score.sample_id!r} under {score.protocol!r}")
    return score
