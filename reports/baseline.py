"""The baseline of a gate: runs with their scores in one JSON file (gzipped where its name ends in .gz)."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from ..evals.errors import UsageError
from ..evals.files import write_out
from ..evals.stored import record_from_json, record_to_json
from ..evals.types import Score
from .compare import Run

FORMAT = 1
_FIELDS = tuple(field.name for field in fields(Score) if field.name != "reason")
_EMPTY = {"answer": None, "unparsed": False, "tags": {}, "cluster": "", "details": None}


def write(path: Path, runs: Sequence[Run], *, scores: bool = True) -> None:
    """Write the baseline by write, fsync, rename. Raises EnvironmentProblem where that fails."""
    rows = [{"record": record_to_json(run.record), "scores": _packed(run.scores) if scores else []} for run in runs]
    lines = ",\n".join(_run_lines(row) for row in rows)
    data = f'{{"format": {FORMAT}, "runs": [\n{lines}\n]}}\n'.encode()
    if path.suffix == ".gz":
        data = gzip.compress(data, mtime=0)
    write_out(path, data)


def _run_lines(row: dict[str, Any]) -> str:
    """Return one run with one score a line, so that a baseline in git has readable differences."""
    record = json.dumps(row["record"], ensure_ascii=True, sort_keys=True)
    scores = ",\n".join(json.dumps(each, ensure_ascii=True, sort_keys=True) for each in row["scores"])
    return f'{{"record": {record},\n"scores": [\n{scores}\n]}}'


def _packed(scores: Sequence[Score]) -> list[dict[str, Any]]:
    """Return the scores without reasons and empty fields: what a metric is computed from."""
    rows = [{key: value for key, value in asdict(each).items() if key in _FIELDS} for each in scores]
    return [{k: v for k, v in row.items() if k not in _EMPTY or v != _EMPTY[k]} for row in rows]


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number")


def read(path: Path) -> list[Run]:
    """Return the runs of a baseline. Raises UsageError where it is missing, foreign or damaged."""
    try:
        data = path.read_bytes()
        if path.suffix == ".gz":
            data = gzip.decompress(data)
        found = json.loads(data, parse_constant=_refuse)
    except FileNotFoundError:
        raise UsageError(
            f"no baseline at {path}: write one with janus-eval gate RUN --baseline {path} --update"
        ) from None
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise UsageError(f"{path} is damaged: {error}") from error
    try:
        if found["format"] != FORMAT:
            raise UsageError(f"{path} has format {found['format']}; this version reads format {FORMAT}")
        runs = [
            Run(record_from_json(row["record"], str(path)), [Score(**each) for each in row["scores"]])
            for row in found["runs"]
        ]
    except (KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{path} is no baseline: {error!r}; write it again with --update") from error
    if not runs:
        raise UsageError(f"{path} holds no run; write it again with --update")
    return runs
