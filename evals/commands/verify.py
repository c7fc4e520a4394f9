"""`janus-eval verify`: whether runs are what they were, for whoever must trust a table."""

from __future__ import annotations

import argparse
import json

from .. import screen
from ..errors import Incomplete
from ..records import find_runs
from ..verify import verify
from . import flags

_MOST = 10
"""Lines about one run; `--json` has all."""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the command's own flags."""
    parser.add_argument("runs", nargs="+", type=flags.path, metavar="RUN", help="run folders, or folders of runs")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    flags.add_reading(parser)


def run(args: argparse.Namespace) -> int:
    """Verify the runs and return the exit code: 5 where one is not whole."""
    found = {str(folder): verify(folder, flags.suite_options(args)) for folder in find_runs(args.runs)}
    if args.json:
        screen.out(json.dumps({folder: each.to_json() for folder, each in found.items()}, indent=2).splitlines())
    for folder, each in () if args.json else found.items():
        if not each.wrong:
            said = f"{each.outputs:,} outputs; {each.scores:,} scores and {each.metrics} metrics made again, all equal"
            screen.out([f"{folder}: whole: {said}"])
            continue
        more = [f"  and {len(each.wrong) - _MOST} more (--json)"] if len(each.wrong) > _MOST else []
        screen.out([f"{folder}: NOT WHOLE", *(f"  {line}" for line in each.wrong[:_MOST]), *more])
    return Incomplete.exit_code if any(each.wrong for each in found.values()) else 0
