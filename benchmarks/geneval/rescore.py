"""Verdicts without pictures: stored evidence judged again, and the official results.jsonl counted again."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Final

from ...evals import stats
from ...evals.errors import UsageError
from ...evals.types import Json, Scored
from ..reading.cells import shown
from . import evidence as stored
from . import metadata, prompts, results
from .metadata import Clause, Metadata
from .results import Judged
from .rule import Options, verdict
from .scoring import Result, estimates

_NAME = "geneval"
_KEPT = Options()
"""What the official script keeps: boxes above these thresholds, so many a class."""

_MOST: Final = 8
"""Kinds of options that are told one by one."""
_FAILED: Final = re.compile(r"expected .+found|no target for ", re.DOTALL)
"""How the official reasons of a wrong picture begin."""

Key = tuple[str, tuple[Clause, ...], tuple[Clause, ...]]
"""What a prompt asks, whatever its words: rewritten suites have the official clauses."""


# -- stored evidence ----------------------------------------------------------------------------------


def evidence(
    file: Path, rows: Iterable[stored.Row], base: Options, flags: Mapping[str, float], pictures: int | None = None
) -> Scored:
    """Judge stored evidence, of which a file should hold so many `pictures` a prompt (as `results_file` counts them).

    Raises UsageError naming file, line and field, or the row whose id stands above already.
    """
    groups: dict[Metadata, str] = {}
    found: list[Result] = []
    lines: list[Mapping[str, Json]] = []
    seen: set[str] = set()
    held: Counter[Metadata] = Counter()
    used: Counter[Options] = Counter()
    for row in rows:
        if (name := json.dumps(row.id)) in seen:
            raise UsageError(f"{row.where}: id {shown(row.id)} stands above already: each picture counts once")
        seen.add(name)
        held[row.asked] += 1
        prompt = groups.setdefault(row.asked, str(len(groups)))
        if row.why == stats.NOT_ASKED:
            found.append(Result(row.asked.tag, prompt, None, row.why))
            continue
        line = _line(row, base, flags, used)
        correct = line["correct"]
        value = None if correct is None else float(correct)
        found.append(Result(row.asked.tag, prompt, value, row.why if row.seen is None else ""))
        lines.append(line)
    if not lines:
        raise UsageError(f"{file} holds no rows: expected one JSON object a line")
    unscored = sum(line["correct"] is None for line in lines)
    extra = _told(used)
    if pictures is not None:
        measured, lacking = _measured(held, pictures)
        extra |= measured
        found += lacking
    return Scored(_NAME, len(lines), stats.metrics(estimates(found)), unscored=unscored, rows=lines, extra=extra)


def _line(row: stored.Row, base: Options, flags: Mapping[str, float], used: Counter[Options]) -> dict[str, Json]:
    """Judge one row under its own options, and count these in `used`."""
    if row.seen is None:
        return {"id": row.id, "correct": None, "reason": row.why, "details": {}}
    try:
        options = stored.options_over(base, {**row.options, **flags})
        used[options] += 1
        found = stored.judge(row.asked, row.seen, options)
    except UsageError as error:
        raise UsageError(f"{row.where}: {error}") from error
    details = {label: [list(box) for box in boxes] for label, boxes in found.details.items()}
    return {"id": row.id, "correct": found.correct, "reason": found.reason, "details": details}


def _told(used: Counter[Options]) -> dict[str, Json]:
    """Return the options that were used, with how many rows each, where any are not the official ones."""
    if not used.keys() - {_KEPT}:
        return {}
    official, told = asdict(_KEPT), Counter[str]()
    for options, rows in used.items():
        other = [f"{name}={value}" for name, value in asdict(options).items() if value != official[name]]
        told[" ".join(other) or "the official ones"] += rows
    most = told.most_common(_MOST)
    rest = len(told) - len(most)
    found = {name: f"({rows:,} rows)" for name, rows in most}
    return {
        "options": found | ({f"{rest} others": f"({told.total() - sum(n for _, n in most):,} rows)"} if rest else {})
    }


_OFFICIAL: Final = re.compile(r"(.*?)[/\\]?\d+[/\\]samples[/\\][^/\\]+", re.DOTALL)
"""Where the official script's pictures lie: FOLDER/00000/samples/0000.png."""

# -- results.jsonl ------------------------------------------------------------------------------------


def results_file(file: Path, base: Options, flags: Mapping[str, float], pictures: int) -> Scored:
    """Count the verdicts of a results.jsonl as the official summary does; with options, judge its boxes again.

    Where it shows prompts of the official suite, what it lacks of `pictures` for each of the 553 is without a
    row, and the numbers that lack something are parts. `holds` says how much of each task is there.
    """
    rows = results.read(file)
    options = stored.options_over(base, flags)
    if options.max_objects > _KEPT.max_objects:
        raise UsageError(f"max_objects {options.max_objects}: {file} keeps at most {_KEPT.max_objects} boxes a class")
    lines = [_counted(each) if options == _KEPT else _again(each, options) for each in rows]
    groups: dict[Metadata, str] = {}
    found = [
        Result(
            row.asked.tag,
            groups.setdefault(row.asked, str(len(groups))),
            None if line["correct"] is None else float(line["correct"]),
            line["reason"],
        )
        for row, line in zip(rows, lines, strict=True)
    ]
    extra, lacking = _measured(Counter(each.asked for each in rows), pictures)
    wrong = [f"{line['id']} ({row.why})" for row, line in zip(rows, lines, strict=True) if row.why]
    extra |= {"missing": wrong} if wrong else {}
    contradicted = [each.id for each in rows if _contradicted(each)]
    extra |= {"contradicted": contradicted} if contradicted else {}
    extra |= _twins(rows) | _folders(rows) | _told(Counter({options: len(rows)}))
    metrics = stats.metrics(estimates(found + lacking))
    unscored = sum(each.value is None for each in found)
    return Scored(_NAME, len(rows), metrics, unscored=unscored, rows=lines, extra=extra)


def _counted(row: Judged) -> dict[str, Json]:
    """Return the stored verdict as a line of `--out`."""
    boxes = {} if row.boxes is None else {label: list(each) for label, each in row.boxes.items()}
    return {"id": row.id, "correct": row.correct, "reason": row.reason or row.why, "details": boxes}


def _again(row: Judged, options: Options) -> dict[str, Json]:
    """Judge a row's boxes under other options.

    Its colours are not in the file: where a prompt asks for one, the stored verdict holds as long as the same
    boxes count, and the picture is wrong where too few are left; else there is no verdict.
    Raises UsageError for a threshold below what the official script kept.
    """
    if row.correct is None or row.boxes is None or not row.asked.include:
        why = row.why or ("details holds no boxes" if row.boxes is None else "the row has no metadata")
        return {"id": row.id, "correct": None, "reason": f"unscored: {why}", "details": {}}
    seen = stored.Seen(row.boxes, {}, _KEPT.confidence(row.asked.tag))
    try:
        found = stored.judge(_colourless(row.asked), seen, options)
    except UsageError as error:
        raise UsageError(f"{row.id}: {error}") from error
    correct, reason = found.correct, found.reason
    if any(each.color is not None for each in row.asked.include) and correct:
        same = options.position_threshold == _KEPT.position_threshold and all(
            len(boxes) == len(found.details.get(label, ())) for label, boxes in row.boxes.items()
        )
        correct, reason = (row.correct, row.reason) if same else (None, "unscored: its colours are not in the file")
    details = {label: [list(box) for box in boxes] for label, boxes in found.details.items()}
    return {"id": row.id, "correct": correct, "reason": reason, "details": details}


def _colourless(asked: Metadata) -> Metadata:
    return replace(asked, include=tuple(replace(each, color=None) for each in asked.include))


def _contradicted(row: Judged) -> bool:
    """Return whether a row's own reason or boxes say otherwise than its verdict: it was judged under other options.

    What is right has no reason in the official script. Colours are not in the file, but without boxes none is right.
    """
    if row.correct and _FAILED.match(row.reason):
        return True
    if row.correct is None or row.boxes is None or not row.asked.include:
        return False
    coloured = any(each.color is not None for each in row.asked.include)
    try:
        found = verdict(_colourless(row.asked), row.boxes, {}, _KEPT).correct
    except UsageError:  # boxes that no one has asked for
        return False
    return found != row.correct and not (coloured and found)


def _folders(rows: Sequence[Judged]) -> dict[str, Json]:
    """Return how many pictures lie below which folder, where it is more than one: whose pictures are they?"""
    above = (_OFFICIAL.fullmatch(each.id) for each in rows if isinstance(each.id, str))
    found = Counter(each[1] or "." for each in above if each)
    most = {shown(name)[1:-1]: f"({count:,} pictures)" for name, count in found.most_common(_MOST)}
    return {"folders": most} if len(found) > 1 else {}


def _twins(rows: Sequence[Judged]) -> dict[str, Json]:
    """Return which rows have the very boxes of an earlier row of their prompt: one picture, or two alike."""
    seen: set[tuple[Metadata, str]] = set()
    found: list[Json] = []
    for each in rows:
        if each.boxes and any(each.boxes.values()):
            told = (each.asked, json.dumps(each.boxes, sort_keys=True))
            found += [each.id] if told in seen else []
            seen.add(told)
    return {"same_boxes": found} if found else {}


# -- what a file should hold --------------------------------------------------------------------------


def _key(asked: Metadata) -> Key:
    return asked.tag, asked.include or (Clause(asked.prompt, 0),), asked.exclude


def _measured(asked: Mapping[Metadata, int], pictures: int) -> tuple[dict[str, Json], list[Result]]:
    """Return what is said of the pictures that there are of each prompt, and what stands for those that lack."""
    held: Counter[Key] = Counter()
    for each, count in asked.items():
        held[_key(each)] += count
    suite, expected = _suite(asked, held, pictures)
    lacking = [
        Result(key[0], f"absent {number}", None, stats.NO_ROW)
        for number, (key, wanted) in enumerate(expected.items())
        for _ in range(wanted - held[key])
    ]
    return {"suite": suite, "holds": _holds(held, expected)}, lacking


def _suite(asked: Iterable[Metadata], held: Mapping[Key, int], pictures: int) -> tuple[str, Mapping[Key, int]]:
    """Return whose prompts these are, and how many pictures each prompt should have."""
    official = {_key(each): each.prompt for each in map(metadata.read, prompts.suite())}
    if all(key in official for key in held):
        same = all(official[_key(each)] == each.prompt for each in asked)
        told = "official" if same else "the official tasks, other words in the prompts"
        most = max(pictures, *held.values())
        told += f", {most} pictures of a prompt where {pictures} are expected" if most > pictures else ""
        return told, dict.fromkeys(official, most)
    return "not GenEval's own prompts", dict.fromkeys(held, max(held.values()))


def _holds(held: Mapping[Key, int], expected: Mapping[Key, int]) -> dict[str, Json]:
    """Return in words how much of each task is there."""
    found: dict[str, Json] = {}
    for task in dict.fromkeys(key[0] for key in expected):
        keys = [key for key in expected if key[0] == task]
        there = sum(key in held for key in keys)
        pictures, wanted = sum(held.get(key, 0) for key in keys), sum(expected[key] for key in keys)
        found[task] = f"{there} of {len(keys)} prompts and {pictures} of {wanted} pictures"
    return found
