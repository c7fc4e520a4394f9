"""The commands that read finished runs: their flags, and the calls into reports/."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

from .errors import EnvironmentProblem

Add = Callable[[str, Callable[[argparse.Namespace], int], str], argparse.ArgumentParser]
"""Adds one subcommand: (name, call, help)."""

FORMATS = ("text", "markdown", "latex", "html", "csv", "json")


def add(command: Add) -> None:
    """Add `report` to the command line."""
    report = command("report", _report, "tables of measured runs beside the published numbers")
    report.add_argument("runs", nargs="*", type=Path, metavar="RUN", help="run folders or an output folder")
    report.add_argument("-f", "--format", choices=FORMATS, default="text", help="default: text")
    report.add_argument("--sort", metavar="COLUMN", help="best first within each group; -COLUMN: last first")
    report.add_argument("--columns", metavar="A,B", help="only these columns")
    report.add_argument("--only", choices=("measured", "reported"), help="only measured or only published rows")
    report.add_argument("--reported", action="append", default=[], type=Path, metavar="FILE", help="your own numbers")
    report.add_argument("-o", "--out", type=Path, metavar="FILE", help="write to a file")


def _report(args: argparse.Namespace) -> int:
    from ..reports.report import report

    text = report(
        args.runs,
        form=args.format,
        order=args.sort,
        keep=[each for each in (args.columns or "").split(",") if each],
        only=args.only or "all",
        own=args.reported,
        color=args.out is None and sys.stdout.isatty() and "NO_COLOR" not in os.environ,
    )
    _put(text, args.out)
    return 0


def _put(text: str, path: Path | None) -> None:
    """Print `text`, or write it to `path`. Raises EnvironmentProblem where that cannot be written."""
    if path is None:
        print(text)
        return
    try:
        path.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise EnvironmentProblem(f"cannot write {path}: {error.strerror}") from error
