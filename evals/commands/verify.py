"""`janus-eval verify`: whether runs are what they were, for whoever must trust a table."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from .. import screen
from ..errors import Incomplete, JanusEvalError
from ..records import find_runs
from . import flags
from .overview import Add

if TYPE_CHECKING:
    from ..verify import Verified

_MOST = 10
"""Lines about one run; `--json` has all."""


def add(command: Add) -> None:
    """Add the command's flags."""
    parser = command("verify", run)
    parser.add_argument("runs", nargs="+", type=flags.path, metavar="RUN", help="run folders, or folders of runs")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    flags.add_reading(parser)


def run(args: argparse.Namespace) -> int:
    """Verify the runs and return the exit code: 5 where one is not whole, or that of the last that cannot be."""
    from ..verify import verify  # not for --help

    found: dict[Path, Verified] = {}
    code = 0
    for folder in find_runs(args.runs):
        try:
            found[folder] = verify(folder, flags.suite_options(args))
        except JanusEvalError as error:  # the others can be, all the same
            screen.fail(error)
            code = error.exit_code
    if args.json:
        told = {str(folder): each.to_json() for folder, each in found.items()}
        screen.machine(screen.as_json(told, indent=2))
    for folder, each in () if args.json else found.items():
        screen.out(_lines(folder, each))
    return Incomplete.exit_code if any(each.wrong for each in found.values()) else code


def _lines(folder: Path, found: Verified) -> list[str]:
    if not found.wrong:
        said = f"{found.outputs:,} outputs; {found.scores:,} scores and {found.metrics} metrics made again, all equal"
        return [f"{folder}: whole: {said}"]
    more = [f"  and {len(found.wrong) - _MOST} more (--json)"] if len(found.wrong) > _MOST else []
    return [f"{folder}: NOT WHOLE", *(f"  {line}" for line in found.wrong[:_MOST]), *more]
