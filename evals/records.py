"""Records and scores of finished runs, and of those that left a summary when they stopped."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from .errors import UsageError
from .files import QUICK, READS, RECORDS, dump, lines_with, named_digests, read_json, sha256, unsealed
from .slim import slim
from .types import Json, Metric, RunRecord, RunSpec, Score

FORMAT = 2
_OTHER = "{} is not the file that record.json was written with: run the same command again"


def scores_of(folder: Path, sample_id: str) -> list[Score]:
    """Return the scores of one sample. Raises UsageError where the file, up to 64 MB, is not its record's."""
    path = folder / "scores.jsonl"
    if not path.is_file():
        raise UsageError(f"{path} cannot be read: no such file")
    expected = named_digests(folder).get("scores") if path.stat().st_size <= QUICK else None
    if expected is not None and sha256(path) != expected:
        raise UsageError(_OTHER.format(path))
    found = [score_of(line, str(path)) for line in lines_with(path, sample_id)]
    return [each for each in found if each.sample_id == sample_id]


def find_runs(paths: Iterable[Path]) -> list[Path]:
    """Return the runs among `paths` and, where one is an output folder, those inside it: finished ones and those
    that left a summary when they were interrupted or reached the stage that they were to stop behind."""
    found: list[Path] = []
    for path in paths:
        if any((path / name).exists() for name in RECORDS):
            found.append(path)
            continue
        inside = sorted({each.parent for name in RECORDS for each in path.glob(f"*/{name}")})
        if not inside:
            raise UsageError(f"{path}: no finished run here (no record.json in it or one level below)")
        found += inside
    return found


def read_spec(folder: Path) -> RunSpec:
    """Return what a run was asked, also of one that has no record. Raises UsageError where it does not say."""
    path = folder / "spec.json"
    try:
        return RunSpec.from_json(read_json(path))
    except (KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{path} is damaged: {error!r}") from error


def finished(folder: Path) -> RunRecord | None:
    """Return the record of a run that is finished and whole, None where there is none."""
    if not (folder / "record.json").is_file():
        return None
    record = read_record(folder)
    return record if record.complete else None


def read_record(folder: Path) -> RunRecord:
    """Return the record of a run, or what an interrupted one left. Raises UsageError where there is none, or it is
    foreign, damaged or was changed."""
    path = next((folder / name for name in RECORDS if (folder / name).is_file()), None)
    if path is None:
        raise UsageError(f"{folder} is no finished run: it has no record.json")
    environment = folder / "environment.json"
    row = unsealed(read_json(path), str(path))
    machine = read_json(environment) if environment.is_file() else {}
    record = record_from_json(row, str(path), machine if isinstance(machine, dict) else {})
    if (folder / "spec.json").is_file() and (asked := read_spec(folder).digest) != record.spec.digest:
        raise UsageError(f"{path} is the record of another run (#{record.spec.digest}) than spec.json says (#{asked})")
    return replace(record, name=name_of(folder))


def name_of(folder: Path) -> str:
    """Return the name that a run was given (`run --name`), "" where there is none."""
    path = folder / "asked.json"
    asked: Json = read_json(path) if path.is_file() else {}
    name: Json = asked.get("name") if isinstance(asked, dict) else None
    return name if isinstance(name, str) else ""


def record_from_json(row: Json, where: str, environment: Mapping[str, Json] | None = None) -> RunRecord:
    """Return the record that `record_to_json` wrote; `where` names the file in a UsageError."""
    try:
        if row["format"] not in READS:
            raise UsageError(f"{where} has format {row['format']}; this version reads formats 1 to {FORMAT}")
        record = RunRecord(
            spec=RunSpec.from_json(row["spec"]),
            headline=row["headline"],
            metrics={str(key): _metric(value) for key, value in row["metrics"].items()},
            counts={str(key): int(value) for key, value in row["counts"].items()},
            complete=row["complete"],
            missing=tuple(row["missing"]),
            environment=environment or {},
            state=row.get("state", "finished"),
            sealed=row["format"] != 1 and row.get("sealed") is not False,
            served={str(key): tuple(map(str, names)) for key, names in row.get("served", {}).items()},
            versions=tuple(map(str, row.get("versions", ()))),
        )
        texts: list[Json] = [record.headline, record.state, record.spec.model, record.spec.benchmark, *record.missing]
        if not all(isinstance(each, str) for each in texts) or type(record.complete) is not bool:
            raise TypeError("a text or a truth value is none")
        return record
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
        raise UsageError(f"{where} is damaged: {error!r}; run the same command again") from error


def record_to_json(record: RunRecord) -> dict[str, Json]:
    """Return what record.json holds; times and environment live apart."""
    row: dict[str, Json] = {
        "format": FORMAT,
        "spec": record.spec.to_json(),
        "signature": record.spec.signature,
        "headline": record.headline,
        "metrics": {key: value.to_json() for key, value in record.metrics.items()},
        "counts": dict(record.counts),
        "complete": record.complete,
        "missing": list(record.missing),
    }
    row |= {} if record.state == "finished" else {"state": record.state}
    row |= {"served": {key: list(names) for key, names in record.served.items()}} if record.served else {}
    row |= {"versions": list(record.versions)} if record.versions else {}
    return row if record.sealed else {**row, "sealed": False}


def _metric(row: Json) -> Metric:
    told: list[Json] = [*row.get("absent", ()), *row.get("left_out", ())]
    if not all(isinstance(each, str) for each in told):
        raise TypeError(f"what is absent is no text in {row}")
    metric = Metric(**row)
    numbers: tuple[Json, ...] = (metric.value, metric.low, metric.high)
    if not all(value is None or type(value) in (int, float) for value in numbers):
        raise TypeError(f"no number in {row}")
    return replace(metric, n=int(metric.n), absent=tuple(metric.absent), left_out=tuple(metric.left_out))


def read_scores(folder: Path) -> list[Score]:
    """Return the scores of a finished run, sorted by sample id, index, protocol."""
    return list(iter_scores(folder))


def iter_scores(folder: Path) -> Iterator[Score]:
    """Yield the scores of a run in the order of the file.

    Raises UsageError for a line that is damaged and, at the end, for a file that is not the one that its
    record was written with.
    """
    path = folder / "scores.jsonl"
    digest, share = hashlib.sha256(), slim()
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                digest.update(line)
                yield share(score_of(line, f"{path} line {number}"))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    expected = named_digests(folder).get("scores")
    if expected is not None and digest.hexdigest() != expected:
        raise UsageError(_OTHER.format(path))


def score_of(line: bytes, where: str) -> Score:
    """Return the score of a line. Raises UsageError naming the place."""
    try:
        score = Score(**json.loads(line))
        value, index, sample, protocol = map(type, (score.value, score.index, score.sample_id, score.protocol))
        if value not in (int, float, type(None)) or index is not int:
            raise TypeError(f"value {score.value!r} of output {score.index!r}")
        if sample is not str or protocol is not str or type(score.reason) is not str:
            raise TypeError(f"sample {score.sample_id!r} under {score.protocol!r}")
        if not isinstance(score.tags, dict):
            raise TypeError(f"tags {score.tags!r}")
    except (ValueError, TypeError, RecursionError) as error:
        raise UsageError(f"{where} is damaged: {error}; run the same command again") from error
    return score


def score_lines(scores: Iterable[Score], digest: Any) -> Iterator[bytes]:
    """Yield the lines of scores.jsonl in their order; `digest` is fed with them."""
    for each in sorted(scores, key=lambda s: (s.sample_id, s.index, s.protocol)):
        line = (dump(_flat(each)) + "\n").encode()
        digest.update(line)
        yield line


def _flat(score: Score) -> dict[str, Json]:
    """Return a score's fields; `asdict` would copy its details deeply, at a third of a rescoring's time."""
    return {each.name: getattr(score, each.name) for each in fields(score)}
