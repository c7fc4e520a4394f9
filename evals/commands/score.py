"""`janus-eval score`: outputs made elsewhere, judged without the model."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from .. import screen
from ..errors import Incomplete
from ..files import write_out
from ..types import Json
from . import flags, terminal
from .overview import Add

_TOLD = (
    "judged_by",
    "grades_unread",
    "read_as",
    "models",
    "suite",
    "options",
    "holds",
    "questions",
    "asked_twice",
    "duplicate_ids",
    "contradicted",
    "same_boxes",
    "folders",
    "same_answers",
    "printed",
    "missing",
    "unused",
    "odd_rows",
    "blank",
    "tokens",
    "cut",
    "rows_absent",
    "rows_too_many",
    "in_two_subtasks",
    "absent_subtasks",
    "absent",
    "unparsed_by_protocol",
    "reasoning",
    "failed_items",
    "unscored_items",
    "problem_counts",
)


def add(command: Add) -> None:
    """Add the command's flags."""
    parser = command("score", score)
    parser.add_argument("-b", "--bench", required=True, metavar="NAME")
    parser.add_argument("predictions", nargs="?", type=flags.path, help="the file of predictions")
    parser.add_argument("--images", type=flags.path, metavar="DIR", help="score a folder of pictures made by anyone")
    parser.add_argument("--pattern", metavar="TEXT", help="how they are named: '{prompt:05d}_{index}.png', or a CSV")
    parser.add_argument("--data", metavar="PATH", help="the benchmark's data: a path, toy or official")
    parser.add_argument("--out", type=flags.path, metavar="FILE", help="write one JSON line a row")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    flags.add_reading(parser)
    flags.add_machine(parser)
    parser.add_argument("-o", "--output", type=flags.path, default=Path("runs"), help="where an --images run is kept")


def score(args: argparse.Namespace) -> int:
    """Score and print, and return the exit code."""
    from ...reports.summary import metric_lines
    from ..score import score as score_elsewhere

    scored = score_elsewhere(
        args.bench,
        args.predictions,
        images=args.images,
        pattern=args.pattern,
        data=args.data,
        options=flags.suite_options(args),
        machine=flags.machine_of(args),
        output=args.output,
    )
    missing = scored.extra.get("missing")
    for named, key in ((args.predictions, "read_as"), (args.data, "data_read_as")):
        if not str(scored.extra.get(key, "a table")).startswith("a table"):  # what anybody's table is needs no word
            screen.say(f"{named}: read as {scored.extra[key]}")
    if args.images is not None and "run" in scored.extra:
        if missing:
            expected = scored.extra["counts"]["expected"]
            screen.warn(f"{len(missing)} of {expected} pictures are missing: {', '.join(missing[:5])}")
        if unused := scored.extra.get("unused"):
            screen.warn(f"{len(unused)} pictures are no output that was asked for: {', '.join(unused[:5])}")
        if scored.unscored > len(missing or ()):
            screen.warn(f"without a verdict: janus-eval show {scored.extra['run']} --failed")
        screen.say(f"the run is kept in {scored.extra['run']}")
    if scored.extra.get("reasoning", {}).get("kept"):
        screen.say("answers hold a thinking model's reasoning: --reasoning strip scores what follows it")
    if len(scored.extra.get("judged_by", ())) > 1:
        screen.warn("the service changed the judge in the middle: the numbers compare with nothing (judged by, below)")
    if len(scored.extra.get("models", ())) > 1:
        screen.warn("the rows name more than one model: the numbers are nobody's (models, below)")
    if scored.extra.get("folders"):
        screen.warn("the pictures lie below several folders: are they one model's? (folders, below)")
    if args.out is not None:
        _write_rows(args.out, scored.rows)
    if args.json:
        head = {"bench": scored.bench, "n": scored.n, "unparsed": scored.unparsed, "unscored": scored.unscored}
        metrics = {key: value.to_json() for key, value in scored.metrics.items()}
        screen.machine(screen.as_json(head | {"metrics": metrics} | dict(scored.extra)))
    else:
        told = [f"{key.replace('_', ' ')}: {_short(scored.extra[key])}" for key in _TOLD if scored.extra.get(key)]
        first = f"{scored.bench}: n={scored.n} unparsed={scored.unparsed} unscored={scored.unscored}"
        screen.out([first, *metric_lines(scored.metrics, width=terminal.width()), *told])
    # As of a run: what was asked and has no verdict is incomplete. How much of a suite a file holds it says itself.
    return Incomplete.exit_code if missing or scored.unscored or scored.extra.get("odd_rows") else 0


def _short(value: Any) -> str:
    """Return a text, list or mapping in a line: a list's first ten and how many more there are."""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {each}" for key, each in value.items())
    more = f" and {len(value) - 10} more" if len(value) > 10 else ""
    return ", ".join(map(str, value[:10])) + more


def _write_rows(path: Path, rows: Iterable[Mapping[str, Json]]) -> None:
    """Write the rows of `--out`, one JSON object a line: the whole file, or nothing of it."""
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    # A lone surrogate of an answer is the one thing that UTF-8 cannot hold: its escape is valid JSON.
    write_out(path, text.encode("utf-8", errors="backslashreplace"))
