"""What `janus-eval show` prints: a run, its failures, or everything known of one sample."""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from .. import screen
from ..errors import EnvironmentProblem, UsageError
from ..files import RECORDS
from ..packs import place_of, unpacked
from ..records import iter_scores, read_record, read_spec, record_to_json
from ..remade import suite_of
from ..stored import read_lines
from ..types import Evidence, Json, Prediction, Score
from ..where import workers
from . import failures, flags, terminal
from . import sample as one
from .overview import Add


def add(command: Add) -> None:
    """Add the command's flags."""
    parser = command("show", call)
    parser.add_argument("run", type=flags.path, metavar="RUN")
    parser.add_argument("--id", metavar="SAMPLE", help="show one sample: prompt, outputs, evidence, verdict")
    parser.add_argument(
        "--question", action="store_true", help="with --id: read a very large table for the question too"
    )
    parser.add_argument("--failed", action="store_true", help="list the samples that were not correct")
    parser.add_argument("--where", action="store_true", help="tell which worker made what")
    parser.add_argument(
        "--draw", type=flags.path, metavar="FILE.png", help="draw the pictures and what was seen on them"
    )
    parser.add_argument("--count", type=int, default=16, metavar="N", help="how many pictures to draw (default: 16)")
    parser.add_argument("--json", action="store_true", help="print JSON")


def call(args: argparse.Namespace) -> int:
    """Print or draw what is asked for, and return the exit code."""
    if args.draw is not None:
        count = pictures(args.run, args.draw, sample=args.id, failed=args.failed, count=max(1, args.count))
        screen.out([f"{count} pictures drawn: {args.draw}"])
        return 0
    asked = {"sample": args.id, "failed": args.failed, "where": args.where}
    return show(args.run, **asked, as_json=args.json, patient=args.question)


def show(
    folder: Path,
    *,
    sample: str | None,
    failed: bool,
    as_json: bool,
    patient: bool = False,
    where: bool = False,
) -> int:
    """Print what `show RUN [--id SAMPLE] [--failed] [--where] [--json]` asks for, and return the exit code."""
    if sample is not None:
        known = one.known_of(folder, sample, patient=patient)
        if as_json:
            screen.machine(screen.as_json(known.to_json(), indent=2))
        else:
            for each in one.lines(known, terminal.width() or _ENDLESS):
                if isinstance(each, str):
                    screen.out([each])
                elif shown := terminal.picture(each):
                    screen.machine(shown)
    elif where:
        _where(folder, as_json=as_json)
    elif failed:
        _failed(folder, as_json=as_json)
    elif as_json:
        record = read_record(folder)
        told = record_to_json(record) | {"environment": dict(record.environment)}
        screen.machine(screen.as_json(told, indent=2))
    else:
        from ...reports.summary import run_summary

        if not any((folder / name).is_file() for name in RECORDS):
            screen.out(_unfinished(folder))
            return 0
        record = read_record(folder)
        cards = {"model": record.spec.model_card, "benchmark": record.spec.benchmark_card}
        cards["observer"] = record.spec.observer_card
        knobs = [f"  {who}.{key} = {value}" for who, card in cards.items() for key, value in sorted(card.items())]
        told = run_summary(record, folder, width=terminal.width(), whole=True)
        screen.out([*told, "", "knobs:", *knobs])
    return 0


_ENDLESS = 1 << 20
"""Columns of a line that goes elsewhere than to a terminal."""


def _unfinished(folder: Path) -> list[str]:
    """Return what there is of a run that left no record: it runs still, or was killed."""
    spec = read_spec(folder)
    made = {name: sum(1 for _ in read_lines(folder, name)) for name in ("predictions", "evidence")}
    told = f"UNFINISHED: {made['predictions']} outputs"
    told += f", {made['evidence']} of them looked at" if made["evidence"] else ""
    told += "; the same command goes on from here"
    return [f"{spec.model} on {spec.benchmark}", told, f"signature: {spec.signature}", f"run: {folder}"]


def _where(folder: Path, *, as_json: bool) -> None:
    """Print who made what: a line for each stage of each worker, with the numbers of its batches."""
    read_spec(folder)  # a folder that is no run is said
    rows = workers(folder)
    if as_json:
        screen.machine(screen.as_json(rows, indent=2))
        return
    if not rows:
        raise UsageError(f"{folder} does not tell who made what: nothing is made yet, or by an older version")
    for each in rows:
        who = f"{each.get('stage', '?'):<8} {each.get('host', '?')} pid {each.get('pid', '?')}"
        more = [str(each[key]) for key in ("device", "writer", "version") if key in each]
        told = f"{each['outputs']} outputs in {each['seconds']:.1f} s, batches {each['batches']}"
        screen.out([f"{', '.join([who, *more])}: {told}"])


def _failed(folder: Path, *, as_json: bool) -> None:
    """Print the samples that are not fully right; as JSON each score of theirs, one at a time."""
    if not as_json:
        screen.out(failures.lines(folder, terminal.width() or _ENDLESS))
        return
    screen.machine("[")
    for number, each in enumerate(each for each in iter_scores(folder) if each.value is None or each.value < 1):
        screen.machine(f"{',' if number else ''}{screen.as_json(asdict(each))}")
    screen.machine("]")


def pictures(folder: Path, out: Path, *, sample: str | None, failed: bool, count: int) -> int:
    """Write a sheet of a run's pictures with what was seen on them; return how many there are.

    Of one sample all, else `count` spread evenly over the run (over its failures with `failed`).
    Raises UsageError where the benchmark draws nothing.
    """
    benchmark = suite_of(folder)
    scores = {(each.sample_id, each.index): each for each in iter_scores(folder)}
    wanted = [key for key, each in scores.items() if _is_wanted(each, sample, failed)]
    if not wanted:
        raise UsageError(f"{folder} has no such picture: {'sample ' + repr(sample) if sample else 'none failed'}")
    step = max(1.0, len(wanted) / count)
    chosen = wanted if sample else [wanted[int(number * step)] for number in range(min(count, len(wanted)))]
    samples = {each.id: each for each in benchmark.samples()}
    made = {(row["sample_id"], row["index"]): row for row in read_lines(folder, "predictions")}
    seen = {(row["sample_id"], row["index"]): row for row in read_lines(folder, "evidence")}
    with unpacked([_prediction(folder, key, made) for key in chosen]) as drawn:
        cards = [
            benchmark.draw(samples[key[0]], each, _evidence(key, seen), scores[key])
            for key, each in zip(chosen, drawn, strict=True)
        ]
    try:
        handle, name = tempfile.mkstemp(dir=out.parent, prefix=".part-", suffix=out.suffix)
        os.close(handle)
        try:
            benchmark.sheet(cards).save(name)
            Path(name).chmod(0o644)
            Path(name).replace(out)
        except BaseException:
            Path(name).unlink()
            raise
    except (OSError, ValueError) as error:
        raise EnvironmentProblem(f"cannot write {out}: {error}") from error
    return len(cards)


def _is_wanted(score: Score, sample: str | None, failed: bool) -> bool:
    if sample is not None:
        return sample in (score.sample_id, f"{score.sample_id}/{score.index}")
    return not failed or score.value is None or score.value < 1


def _prediction(folder: Path, key: tuple[str, int], made: Mapping[tuple[str, int], Mapping[str, Json]]) -> Prediction:
    row = made.get(key)
    path = (folder / row["image"]).resolve() if row and row.get("image") is not None else None
    if path is not None and not path.is_relative_to(folder.resolve()):
        raise UsageError(f"{folder} names a picture outside of itself: {path}")
    place = place_of(folder, row) if row is not None and path is not None else None
    kind = str(row["kind"]) if row is not None else "image"
    return Prediction(key[0], key[1], "edit" if kind == "edit" else "image", image=path, packed=place)


def _evidence(key: tuple[str, int], seen: Mapping[tuple[str, int], Mapping[str, Json]]) -> Evidence | None:
    row = seen.get(key)
    return None if row is None else Evidence(key[0], key[1], row.get("data"), row.get("error"))
