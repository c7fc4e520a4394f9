"""The baseline of a gate: runs with their scores in one file of JSON lines (gzipped where its name ends in .gz).

    {"format": 2}
    {"record": {...}}            one run, then its scores, a line each
    {"sample_id": ..., ...}
    {"sum": "..."}               SHA-256 of all lines before: the last line

Format 1 was one JSON object; it is still read.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import IO, Any

from ..evals.errors import UsageError
from ..evals.files import write_out
from ..evals.records import record_from_json, record_to_json, score_of
from ..evals.slim import slim
from ..evals.types import Score
from .compare import Run

FORMAT = 2
_FIELDS = tuple(field.name for field in fields(Score) if field.name != "reason")
_EMPTY = {"answer": None, "unparsed": False, "tags": {}, "cluster": "", "details": None}
_MOST_BYTES = 4 << 30
_MOST_OF_ONE = 512 << 20
"""What a file may unpack to: no baseline is larger, a gzip bomb is."""


def write(path: Path, runs: Sequence[Run], *, scores: bool = True) -> None:
    """Write the baseline by write, fsync, rename. Raises EnvironmentProblem where that fails."""
    write_out(path, _packed(_lines(runs, scores=scores), zipped=path.suffix == ".gz"))


def _packed(lines: Iterable[bytes], *, zipped: bool) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31) if zipped else None
    parts = [packer.compress(each) if packer else each for each in lines]
    return b"".join([*parts, packer.flush() if packer else b""])


def _lines(runs: Sequence[Run], *, scores: bool) -> Iterator[bytes]:
    digest = hashlib.sha256()
    for row in _rows(runs, scores=scores):
        line = json.dumps(row, ensure_ascii=True, sort_keys=True).encode() + b"\n"
        digest.update(line)
        yield line
    yield json.dumps({"sum": digest.hexdigest()}).encode() + b"\n"


def _rows(runs: Sequence[Run], *, scores: bool) -> Iterator[dict[str, Any]]:
    yield {"format": FORMAT}
    for run in runs:
        yield {"record": record_to_json(run.record)}
        for each in run.scores if scores else ():  # without reasons and empty fields: what a metric is computed from
            row = {name: getattr(each, name) for name in _FIELDS}
            yield {key: value for key, value in row.items() if key not in _EMPTY or value != _EMPTY[key]}


def read(path: Path) -> list[Run]:
    """Return the runs of a baseline. Raises UsageError where it is missing, foreign, damaged or was changed."""
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            first = file.readline(1 << 16)
            if first.strip() == b'{"format": 2}':
                runs = list(_runs(file, first, path))
            else:
                runs = _first_format(first + file.read(_MOST_OF_ONE), path)
    except FileNotFoundError:
        raise UsageError(
            f"no baseline at {path}: write one with janus-eval gate RUN --baseline {path} --update"
        ) from None
    except (OSError, EOFError, zlib.error, ValueError, RecursionError) as error:
        raise UsageError(f"{path} is damaged: {error}") from error
    if not runs:
        raise UsageError(f"{path} holds no run; write it again with --update")
    return runs


def _runs(file: IO[bytes] | gzip.GzipFile, first: bytes, path: Path) -> Iterator[Run]:
    digest, size, total = hashlib.sha256(first), 0, None
    record, scores, share = None, list[Score](), slim()
    for number, line in enumerate(iter(lambda: file.readline(1 << 26), b""), 2):
        size += len(line)
        if size > _MOST_BYTES or total is not None:
            raise UsageError(f"{path} line {number}: more than a baseline holds; write it again with --update")
        if line.startswith(b'{"sum": '):
            total = json.loads(line)["sum"]
            continue
        digest.update(line)
        if line.startswith(b'{"record": '):
            if record is not None:
                yield Run(record, scores)
            record, scores = record_from_json(json.loads(line, parse_constant=_refuse)["record"], str(path)), []
        else:
            scores.append(share(score_of(line, f"{path} line {number}")))
    if total != digest.hexdigest():
        raise UsageError(f"{path} was changed after it was written, or is cut short: write it again with --update")
    if record is not None:
        yield Run(record, scores)


def _first_format(data: bytes, path: Path) -> list[Run]:
    if len(data) >= _MOST_OF_ONE:
        raise UsageError(f"{path}: more than a baseline holds; write it again with --update")
    found = json.loads(data, parse_constant=_refuse)
    try:
        if found["format"] != 1:
            raise UsageError(f"{path} has format {found['format']}; this version reads formats 1 and {FORMAT}")
        return [
            Run(
                replace(record_from_json(row["record"], str(path)), sealed=False),
                [Score(**each) for each in row["scores"]],
            )
            for row in found["runs"]
        ]
    except (KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{path} is no baseline: {error!r}; write it again with --update") from error


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number")
