"""`janus-eval export`: a run's answers as the suite's own evaluation server takes them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from .. import members, reasoning, registry, screen
from ..errors import Incomplete, UsageError
from ..files import write_out
from ..plugins import Suite
from ..samples import fingerprint
from ..stored import Stored, read_options, read_record
from ..types import RunRecord
from . import flags


def add(export: argparse.ArgumentParser) -> None:
    """Add the command's own flags."""
    export.add_argument("run", type=flags.path, metavar="RUN", help="a run folder; its scores are not needed")
    export.add_argument("-o", "--out", type=flags.path, required=True, metavar="FILE", help="the file to hand in")
    flags.add_reading(export)


def export(args: argparse.Namespace) -> int:
    """Write the file and return the exit code. Raises Incomplete where an answer is missing: servers want them all."""
    record = read_record(args.run)
    suite = _suite(args.run, record, flags.suite_options(args))
    samples = suite.samples()
    known = record.spec.benchmark_card.get("samples")
    if known is not None and known != fingerprint(record.spec.benchmark, samples):
        raise UsageError(f"{args.run}: the data of {record.spec.benchmark} are not those that were asked")
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


def _suite(folder: Path, record: RunRecord, more: dict[str, Any]) -> Suite:
    name = record.spec.benchmark
    options = {**read_options(folder), **more}
    return members.benchmark(registry.create("benchmarks", name, **options), name)
