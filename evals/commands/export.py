"""`janus-eval export`: a run's answers as the suite's own server takes them, its pictures as the official folder."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from .. import reasoning, screen
from ..errors import Incomplete, UsageError
from ..files import changed, disk, drafted, write_out
from ..packs import Line, file_of, picture
from ..plugins import Suite
from ..records import read_record, read_scores
from ..remade import suite_of
from ..samples import fingerprint
from ..stored import Stored
from ..types import PICTURES, Prediction, Sample
from . import flags
from .overview import Add


def add(command: Add) -> None:
    """Add the command's flags."""
    parser = command("export", export)
    parser.add_argument("run", type=flags.path, metavar="RUN", help="a run folder; its scores are not needed")
    parser.add_argument(
        "-o", "--out", type=flags.path, required=True, metavar="FILE", help="the file, or folder, to write"
    )
    flags.add_reading(parser)


def export(args: argparse.Namespace) -> int:
    """Write the file and return the exit code. Raises Incomplete where an answer is missing: servers want them all."""
    record = read_record(args.run)
    suite = suite_of(args.run, flags.suite_options(args))
    for line in changed(args.run):
        raise UsageError(f"{line}; run the same command again")
    samples = suite.samples()
    known = record.spec.benchmark_card.get("samples")
    if known is not None and known != fingerprint(record.spec.benchmark, samples):
        raise UsageError(f"{args.run}: the data of {record.spec.benchmark} are not those that were asked")
    if suite.kind in PICTURES:
        return _folder(args.run, args.out, suite, samples)
    made = Stored(args.run).predictions()
    lacks = [each.id for each in samples if (suite.kind, each.id, 0) not in made]
    if lacks:
        raise Incomplete(
            f"{len(lacks)} of {len(samples)} answers are missing ({', '.join(lacks[:3])} ...): a submission holds all"
        )
    strip = suite.reasoning == "strip"
    answers = [reasoning.read(made[suite.kind, each.id, 0], strip=strip).text for each in samples]
    empty = sum(each is None for each in answers)
    write_out(args.out, suite.submission(samples, [each or "" for each in answers]))
    told = f", {empty} of them empty: their reasoning is not closed" if empty else ""
    screen.out([f"{args.out}: {len(answers)} answers of {record.spec.model} on {record.spec.benchmark}{told}"])
    return 0


def _folder(run: Path, out: Path, suite: Suite, samples: Sequence[Sample]) -> int:
    """Write a run's pictures and the suite's files about them, whole or not at all."""
    if out.exists():
        raise UsageError(f"{out} exists: name a folder that does not")
    stored = Stored(run)
    lines = {key: row for key, row in stored.prediction_lines().items() if row.get("image") is not None}
    scores = read_scores(run)
    asked = {each.sample_id for each in scores}
    with disk(out), drafted(out) as draft:
        draft.mkdir()
        made = {key: _written(run, row, draft, stored.prediction(row, {})) for key, row in lines.items()}
        seen = list(stored.evidence(made).values())
        chosen = [each for each in samples if each.id in asked]
        suite.export(draft, chosen, list(made.values()), seen, scores)
        draft.rename(out)
    for line in stored.damage:
        screen.say(f"warning: {line}")
    screen.out([f"{out}: {len(made)} pictures"])
    return Incomplete.exit_code if stored.damage else 0


def _written(run: Path, row: Line, draft: Path, prediction: Prediction) -> Prediction:
    path = file_of(draft, row)
    if path is None:
        raise UsageError(f"{run} names a picture outside of itself: {row['image']}")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(picture(run, row))
    return replace(prediction, image=path, packed=None)
