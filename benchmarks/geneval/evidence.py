"""Stored evidence read again: rows of a JSON-lines file, or what a run's observer left."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from ...evals import stats
from ...evals.errors import EnvironmentProblem, UsageError
from ...evals.files import RECORDS, changed, named_digests, read_json, sha256, unseal, unsealed
from ...evals.types import Score
from . import metadata, prompts, suite
from .metadata import Metadata
from .official import image_path
from .rule import Options, Verdict, verdict
from .suite import Suite

_MOST_PROMPTS, _MOST_PICTURES = 100_000, 10_000
"""No run has more prompts a task, and pictures a prompt; a damaged file may ask for any number."""
_NO_EVIDENCE = "no evidence: its line is not whole"
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


def read_run(folder: Path, given: Suite) -> Iterator[Row]:
    """Yield a row for each picture of a finished run, ids SAMPLE/INDEX, options those of the run.

    Its prompts are those of its data, or of `given`, or those that lie in it (images/ID/metadata.jsonl):
    whichever are those that its card names. Pictures that the run could not judge, or whose evidence is gone, are
    yielded without evidence, and so are those that it was not asked for, under the reason NOT_ASKED.
    Raises UsageError where its outputs are not those that its record was written with.
    """
    card = _card(folder)
    for line in changed(folder):
        raise UsageError(f"{line}; run the same command again")
    asked = {name: metadata.read(row) for name, row in _prompts(folder, card, given).items()}
    options = {key: card[key] for key in _OPTIONS if key in card}
    found = _run_evidence(folder)
    made: set[tuple[str, int]] = set()
    for score in _run_scores(folder):
        where = f"{score.sample_id}/{score.index}"
        if score.sample_id not in asked:
            raise UsageError(f"{folder}: the prompt of {score.sample_id} is unknown: name the run's --data")
        made.add((score.sample_id, score.index))
        data = found.get((score.sample_id, score.index))
        why = _NO_EVIDENCE if score.value is not None else score.reason or _NO_EVIDENCE
        if isinstance(data, dict) and "invalid" in data:
            data, why = None, f"invalid image: {data['invalid']}"
        try:
            saw = None if data is None else seen(data)
        except UsageError as error:
            raise UsageError(f"{folder / 'evidence'}, {where}: {error}") from error
        yield Row(where, asked[score.sample_id], saw, options, why, where)
    for name, prompt in asked.items():
        for index in range(card["images"]):
            if (name, index) not in made:
                yield Row(f"{name}/{index}", prompt, None, options, stats.NOT_ASKED)


def must_lie_as_made(folder: Path, given: Suite) -> None:
    """Look whether a run's results.jsonl, and the pictures that it names, are those that its record was written with.

    Raises UsageError naming what is not.
    """
    asked = _prompts(folder, _card(folder), given)
    for line in changed(folder):
        raise UsageError(f"{line}; run the same command again")
    made = {
        f"images/{image_path(each.sample_id, each.index)}": (bool(each.value), asked[each.sample_id])
        for each in _run_scores(folder)
        if each.value is not None and each.sample_id in asked
    }
    path = folder / "results.jsonl"
    try:
        rows = [_object(line) for _, line in suite.lines(path)]
        told = {row["filename"]: (row["correct"], json.loads(row["metadata"])) for row in rows}
    except (KeyError, TypeError, ValueError, UsageError) as error:
        raise UsageError(f"{path} is damaged: {error}; run the same command again") from error
    if told != made or len(rows) != len(made):
        raise UsageError(f"{path} is not what the run wrote: its verdicts or prompts are others; run it again")
    digests = _picture_digests(folder)
    for name in made:
        if digests and _digest(folder / name) not in digests.get(name, ()):
            raise UsageError(f"{folder / name} is not the picture that the run drew; run the same command again")


def _digest(path: Path) -> str:
    """Return a file's digest, "" where there is none."""
    try:
        return sha256(path)
    except OSError:
        return ""


def _picture_digests(folder: Path) -> dict[str, set[str]]:
    """Return the digests that a run's lines tell of each picture: of two writers one came later."""
    found: dict[str, set[str]] = {}
    for path in sorted((folder / "predictions").glob("*.jsonl")):
        with suite.readable(path), path.open("rb") as file:
            for row in map(unseal, file):
                if row is not None and isinstance(row.get("image"), str):
                    found.setdefault(row["image"], set()).add(str(row.get("sha256")))
    return found


def _card(folder: Path) -> Mapping[str, Any]:
    path = next((folder / name for name in RECORDS if (folder / name).is_file()), None)
    if path is None:
        raise UsageError(f"{folder} is no run: it has no record.json")
    row: Any = unsealed(read_json(path), str(path))
    try:
        name, card = row["spec"]["benchmark"], row["spec"]["benchmark_card"]
        whole = name != "geneval" or (isinstance(card["suite"], str) and 0 < card["images"] <= _MOST_PICTURES)
    except (KeyError, TypeError) as error:
        raise UsageError(f"{path} is damaged: {error!r}; run the same command again") from error
    if name != "geneval" or not whole:
        raise UsageError(f"{folder} is a run of {name!r:.60}, not of geneval")
    return card


def _prompts(folder: Path, card: Mapping[str, Any], given: Suite) -> Mapping[str, suite.Row]:
    """Return the prompts of a run. Raises UsageError where none are those that its card names."""
    for find in (lambda: given, lambda: _own_suite(folder), lambda: _suite_inside(folder)):
        with suppress(UsageError, EnvironmentProblem):
            found = find()
            if found.name == card["suite"]:
                return found.rows
    raise UsageError(f"{folder}: the prompts of this run are not here, or were changed: name its data with --data")


def _own_suite(folder: Path) -> Suite:
    options: Any = read_json(folder / "options.json")
    options = options if isinstance(options, dict) else {}
    seed, size = options.get("suite_seed", prompts.OFFICIAL_SEED), options.get("suite_size", prompts.OFFICIAL_SIZE)
    if type(seed) is not int or type(size) is not int or not 0 < size < _MOST_PROMPTS:
        raise UsageError(f"{folder / 'options.json'} is damaged")
    return suite.load(str(options.get("data", "official")), seed, size)


def _suite_inside(folder: Path) -> Suite:
    if not (folder / "images").is_dir():
        raise UsageError(f"{folder} has no pictures")
    places = sorted(suite.numbered_folders(folder / "images"))
    return suite.of({each.name: suite.one(each / "metadata.jsonl") for each in places})


def _run_scores(folder: Path) -> Iterator[Score]:
    path = folder / "scores.jsonl"
    if not path.is_file():
        raise UsageError(f"{folder} is no finished run: it has no scores.jsonl")
    if named_digests(folder).get("scores") not in (None, sha256(path)):
        raise UsageError(f"{path} is not the file that record.json was written with: run the same command again")
    for number, line in suite.lines(path):
        where = f"{path} line {number}"
        try:
            score = _object(line)
            sample, index = str(score["sample_id"]), int(score["index"])
        except (UsageError, KeyError, TypeError, ValueError, OverflowError) as error:
            raise UsageError(f"{where} is damaged: {error}") from error
        yield Score(sample, index, "official", score.get("value"), reason=str(score.get("reason") or ""))


def _run_evidence(folder: Path) -> dict[tuple[str, int], Any]:
    """Return the observer's data; of several lines about one picture the last, as the run itself took it."""
    found: dict[tuple[str, int], Any] = {}
    for path in sorted((folder / "evidence").glob("*.jsonl")):
        with suite.readable(path), path.open("rb") as file:
            for row in map(unseal, file):
                if row is not None and row.get("error") is None and isinstance(row.get("index"), int):
                    found[str(row.get("sample_id")), row["index"]] = row.get("data")
    return found
