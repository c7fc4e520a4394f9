"""Stored evidence read again: rows of a JSON-lines file, or what a run's observer left."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from ...evals.errors import UsageError
from ...evals.files import unseal
from . import metadata, suite
from .metadata import Metadata
from .rule import Options, Verdict, verdict

_OPTIONS = tuple(each.name for each in fields(Options))


@dataclass(frozen=True, slots=True)
class Seen:
    """What the observer saw in one picture.

    `boxes` holds rows [x1, y1, x2, y2, score] by class, in any order; `colors` one name (or None:
    not looked at) for each of them; no box scores below `floor`, because weaker ones were not kept.
    """

    boxes: Mapping[str, Sequence[Sequence[float]]]
    colors: Mapping[str, Sequence[str | None]]
    floor: float = 0.0


@dataclass(frozen=True, slots=True)
class Row:
    """One picture to judge. `seen` is None where there is nothing to judge by; `why` says why."""

    id: Any
    asked: Metadata
    seen: Seen | None
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    why: str = ""
    where: str = ""


def judge(asked: Metadata, seen: Seen, options: Options) -> Verdict:
    """Return the rule's verdict. Raises UsageError for a threshold below what the evidence kept."""
    needed = options.confidence(asked.tag)
    if needed < seen.floor:
        name = "counting_threshold" if asked.tag == "counting" else "threshold"
        raise UsageError(
            f"{name} {needed} lies below {seen.floor}, the lowest score that the evidence kept: "
            f"ask for {seen.floor} or more, or observe again with a lower floor"
        )
    return verdict(asked, seen.boxes, seen.colors, options)


def seen(data: Any) -> Seen:
    """Return the evidence that a JSON object holds. Raises UsageError naming the field that is wrong."""
    if not isinstance(data, dict):
        raise UsageError(f"expected an object with boxes and colors, found {type(data).__name__}")
    found: dict[str, Any] = data
    floor = found.get("floor", 0.0)
    if isinstance(floor, bool) or not isinstance(floor, int | float):
        raise UsageError(f"floor: expected a number, found {floor!r:.60}")
    return Seen(_lists(found, "boxes"), _lists(found, "colors"), floor)


def _lists(found: Mapping[str, Any], name: str) -> dict[str, Any]:
    if name not in found:
        raise UsageError(f"{name} is missing: expected an object that holds a list for each class")
    value = found[name]
    if not isinstance(value, dict):
        raise UsageError(f"{name}: expected an object that holds a list for each class, found {value!r:.60}")
    lists: dict[str, Any] = value
    for label, each in lists.items():
        if not isinstance(each, list):
            raise UsageError(f'{name}: expected a list for "{label}", found {each!r:.60}')
    return lists


def options_over(base: Options, values: Mapping[str, Any]) -> Options:
    """Return `base` with `values` (a row's, or flags) over it. Raises UsageError for an unknown name."""
    for name in values:
        if name not in _OPTIONS:
            near = difflib.get_close_matches(name, _OPTIONS, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(_OPTIONS)}"
            raise UsageError(f"options: there is no {name!r}; {hint}")
    return replace(base, **values) if values else base


# -- a file of rows -----------------------------------------------------------------------------------


def read_rows(path: Path) -> Iterator[Row]:
    """Yield the rows of a file with id, metadata, boxes, colors and, optional, options and floor."""
    for number, line in suite.lines(path):
        yield _row(line, f"{path} line {number}")


def _row(line: str, where: str) -> Row:
    try:
        row = _object(line)
        for name in ("id", "metadata"):
            if name not in row:
                raise UsageError(f"{name} is missing: a row has id, metadata, boxes, colors and options")
        options = row.get("options", {})
        if not isinstance(options, dict):
            raise UsageError(f"options: expected an object, found {options!r:.60}")
        try:
            asked = metadata.read(row["metadata"])
        except UsageError as error:
            raise UsageError(f"metadata.{error}" if isinstance(row["metadata"], dict) else str(error)) from error
        return Row(row["id"], asked, seen(row), options, where=where)
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from error


def _object(line: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"no JSON: {error}") from error
    if not isinstance(row, dict):
        raise UsageError(f"expected an object, found {row!r:.60}")
    return row


# -- a run --------------------------------------------------------------------------------------------


def read_run(folder: Path, samples: Mapping[str, suite.Row]) -> Iterator[Row]:
    """Yield a row for each picture of a finished run, ids SAMPLE/INDEX, options those of the run.

    The prompts are read from the run (images/ID/metadata.jsonl), else taken from `samples`.
    Pictures that the run could not judge are yielded without evidence.
    """
    options = _run_options(folder)
    found = _run_evidence(folder)
    scores = folder / "scores.jsonl"
    if not scores.is_file():
        raise UsageError(f"{folder} is no finished run: it has no scores.jsonl")
    for number, line in suite.lines(scores):
        where = f"{scores} line {number}"
        try:
            score = _object(line)
            sample, index = str(score["sample_id"]), int(score["index"])
        except (UsageError, KeyError, TypeError, ValueError) as error:
            raise UsageError(f"{where} is damaged: {error}") from error
        row = _prompt(folder, sample, samples)
        data = found.get((sample, index))
        invalid = isinstance(data, dict) and "invalid" in data
        saw, why = None, str(score.get("reason") or "no evidence")
        try:
            if data is not None and not invalid:
                saw = seen(data)
        except UsageError as error:
            raise UsageError(f"{folder / 'evidence'}, {sample}/{index}: {error}") from error
        yield Row(f"{sample}/{index}", metadata.read(row), saw, options, why, f"{sample}/{index}")


def _run_options(folder: Path) -> dict[str, Any]:
    try:
        spec = json.loads((folder / "spec.json").read_text(encoding="utf-8"))
        name, card = spec["benchmark"], spec["benchmark_card"]
        found = {key: card[key] for key in _OPTIONS if key in card}
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise UsageError(f"{folder} is no run: spec.json cannot be read ({error})") from error
    if name != "geneval":
        raise UsageError(f"{folder} is a run of {name}, not of geneval")
    return found


def _run_evidence(folder: Path) -> dict[tuple[str, int], Any]:
    """Return the observer's data; of several lines about one picture the last, as the run itself took it."""
    found: dict[tuple[str, int], Any] = {}
    for path in sorted((folder / "evidence").glob("*.jsonl")):
        with suite.readable(path), path.open("rb") as file:
            for row in map(unseal, file):
                if row is not None and row.get("error") is None and isinstance(row.get("index"), int):
                    found[str(row.get("sample_id")), row["index"]] = row.get("data")
    return found


def _prompt(folder: Path, sample: str, samples: Mapping[str, suite.Row]) -> suite.Row:
    path = folder / "images" / sample / "metadata.jsonl"
    if sample.isascii() and sample.isdigit() and path.is_file():
        return suite.one(path)
    if sample in samples:
        return samples[sample]
    raise UsageError(f"{folder}: the prompt of {sample} is unknown: expected {path}; name the run's --data")
