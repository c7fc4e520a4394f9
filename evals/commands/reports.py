"""The commands that read finished runs: their flags, and the calls into reports/."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from .. import registry, screen
from ..errors import UsageError
from ..files import write_out
from . import flags, terminal
from .overview import Add

FORMATS = ("text", "markdown", "latex", "html", "csv", "json")


def add(command: Add) -> None:
    """Add the commands and their flags."""
    report = command("report", _report)
    report.add_argument("runs", nargs="*", type=flags.path, metavar="RUN", help="run folders or an output folder")
    report.add_argument("-f", "--format", choices=(*FORMATS, "figure"), default="text", help="default: text")
    report.add_argument("--sort", metavar="COLUMN", help="best first within each group; --sort=-COLUMN: last first")
    report.add_argument("--columns", metavar="A,B", help="only these columns")
    report.add_argument("--only", choices=("measured", "reported"), help="only measured or only published rows")
    report.add_argument(
        "--reported", action="append", default=[], type=flags.path, metavar="FILE", help="numbers of your own (CSV)"
    )
    report.add_argument("--since", metavar="YEAR", help="published rows of 2025, or 2025-06, and later alone")
    report.add_argument("--rename", action="append", default=[], metavar="OLD=NEW", help="another name for a row")
    report.add_argument("--table", metavar="A,B", help="only these tables: geneval, wise, beside ...")
    report.add_argument("--fragment", action="store_true", help="with -f latex: tables to \\input into a paper")
    report.add_argument("--wide", action="store_true", help="with --fragment or -f figure: over both columns")
    report.add_argument("--figure", choices=("radar", "bars", "scatter"), help="with -f figure: default by suites")
    report.add_argument("--suites", metavar="A,B", help="with -f figure: its suites (default: those of the runs)")
    report.add_argument("--beside", metavar="A,B", help="with -f figure: published models to draw beside the runs")
    report.add_argument("--bib", type=flags.path, metavar="FILE", help="write the sources as a .bib file")
    report.add_argument(
        "-o", "--out", type=flags.path, metavar="FILE", help="write to a file (.pdf, .png, .svg of a figure)"
    )

    compare = command("compare", _compare)
    explain = command("explain", _explain)
    for pair in (compare, explain):
        pair.add_argument("first", type=flags.path, metavar="A", help="run folder")
        pair.add_argument("second", type=flags.path, metavar="B", help="run folder")
        pair.add_argument("-f", "--format", choices=FORMATS, default="text", help="default: text")
        pair.add_argument("-o", "--out", type=flags.path, metavar="FILE", help="write to a file")
    compare.add_argument("--flips", type=int, default=20, metavar="N", help="show so many each way (default: 20)")

    _add_planning(command)

    gate = command("gate", _gate)
    gate.add_argument("runs", nargs="+", type=flags.path, metavar="RUN", help="run folders or an output folder")
    gate.add_argument("--baseline", type=flags.path, required=True, metavar="FILE", help="JSON, or gzipped with .gz")
    gate.add_argument("--update", action="store_true", help="write the baseline from the runs instead of judging")
    gate.add_argument("--no-scores", action="store_true", help="with --update: keep no per-sample scores")
    gate.add_argument("--tolerances", type=flags.path, metavar="FILE", help="TOML: what is forgiven (docs/ci-gate.md)")
    gate.add_argument("--junit", type=flags.path, metavar="FILE", help="write JUnit XML")
    gate.add_argument("--github", action="store_true", help="print annotations and append to the step summary")
    gate.add_argument("--comment", type=flags.path, metavar="FILE", help="write a markdown comment for a pull request")
    gate.add_argument("-f", "--format", choices=FORMATS, default="text", help="default: text")

    claims = command("claims", _claims)
    claims.add_argument("runs", nargs="*", type=flags.path, metavar="RUN", help="run folders or an output folder")
    claims.add_argument(
        "--claims", action="append", default=[], type=flags.path, metavar="FILE", help="further claims (TOML)"
    )
    claims.add_argument(
        "--reported", action="append", default=[], type=flags.path, metavar="FILE", help="numbers of your own (CSV)"
    )
    claims.add_argument("--strict", action="store_true", help="exit code 3 where a claim does not hold")
    claims.add_argument("-f", "--format", choices=FORMATS, default="text", help="default: text")
    claims.add_argument("-o", "--out", type=flags.path, metavar="FILE", help="write to a file")


def _add_planning(command: Add) -> None:
    again = command("repeats", _repeats)
    again.add_argument("runs", nargs="+", type=flags.path, metavar="RUN", help="run folders or an output folder")
    again.add_argument("-f", "--format", choices=FORMATS, default="text", help="default: text")
    again.add_argument("-o", "--out", type=flags.path, metavar="FILE", help="write to a file")

    power = command("power", _power)
    power.add_argument("-b", "--bench", required=True, metavar="NAME", help="benchmark")
    power.add_argument("--data", metavar="PATH", help="the benchmark's data: a path, toy or official")
    told = "the true difference to be found, as a share: 0.02 is two points of 100"
    power.add_argument("--difference", type=float, required=True, metavar="D", help=told)
    power.add_argument("--value", type=float, default=0.5, metavar="P", help="the level expected (default: 0.5, worst)")
    told = "how alike the outputs of one prompt are, 0 to 1 (default: 0.5)"
    power.add_argument("--correlation", type=float, default=0.5, metavar="R", help=told)
    told = "how alike two models are, prompt by prompt, 0 to 1 (default: 0.5)"
    power.add_argument("--likeness", type=float, default=0.5, metavar="R", help=told)
    power.add_argument("--repeats", type=int, default=1, metavar="N", help="runs with other seeds (default: 1)")
    power.add_argument("--json", action="store_true", help="print the numbers as JSON")


def _report(args: argparse.Namespace) -> int:
    from ...reports.report import Paper, report, sources

    if args.fragment and args.format != "latex":
        raise UsageError("--fragment is LaTeX: add -f latex")
    if args.wide and not args.fragment and args.format != "figure":
        raise UsageError("--wide goes with --fragment, or with -f figure")
    if args.since is not None and args.only == "measured":
        raise UsageError("--since is about published rows, and --only measured shows none")
    if args.format == "figure":
        return _figure(args)
    for flag in ("figure", "suites", "beside"):
        if vars(args)[flag] is not None:
            raise UsageError(f"--{flag} goes with -f figure")
    text = report(
        args.runs,
        form=args.format,
        order=args.sort,
        keep=_split(args.columns),
        which=_split(args.table),
        paper=Paper(args.wide) if args.fragment else None,
        only=args.only or "all",
        own=args.reported,
        rename=args.rename,
        since=args.since,
        color=args.out is None and terminal.colored(),
        width=terminal.width() if args.out is None else None,
    )
    _put(text, args.out)
    if args.bib is not None:
        from ...reports.bibliography import bibliography

        _put(bibliography(sources(args.reported)), args.bib)
    return 0


def _figure(args: argparse.Namespace) -> int:
    from ...reports import dates
    from ...reports.figure import figure
    from ...reports.report import gathered

    if args.out is None:
        raise UsageError("-f figure writes a file: add -o FILE.pdf, .png or .svg")
    for flag in ("sort", "columns", "table", "bib"):
        if vars(args)[flag] is not None:
            raise UsageError(f"--{flag} goes with tables, not with -f figure")
    records, numbers = gathered(args.runs, args.reported)
    records = [] if args.only == "reported" else records
    numbers = numbers if args.since is None else dates.recent(numbers, args.since)
    chosen: dict[str, Any] = {"kind": args.figure, "suites": _split(args.suites), "beside": _split(args.beside)}
    try:
        data, notes = figure(records, numbers, args.out, **chosen, only=args.only or "all", wide=args.wide)
    except ImportError as error:
        raise registry.missing_package(error, "report -f figure") from error
    write_out(args.out, data)
    screen.out([f"{args.out}; for its caption:" if notes else str(args.out), *(f"  {each}" for each in notes)])
    return 0


def _split(text: str | None) -> list[str]:
    """Return the words of a comma-joined option."""
    return [each for each in (text or "").split(",") if each]


def _repeats(args: argparse.Namespace) -> int:
    from ...reports.repeats import repeats

    width = terminal.width() if args.out is None else None
    _put(repeats(args.runs, form=args.format, width=width), args.out)
    return 0


def _power(args: argparse.Namespace) -> int:
    from ...reports.power import Design, share, told
    from .. import members

    share(args.difference)  # what was typed is judged before the data are sought
    Design(2, 1, args.value, args.correlation, args.likeness)
    name = registry.resolve("benchmarks", args.bench)
    data = {} if args.data is None else {"data": args.data}
    suite = members.benchmark(registry.create("benchmarks", name, **data), name)
    prompts = {each.cluster or each.id for each in suite.samples()}
    outputs = len(suite.samples()) * suite.outputs * args.repeats / max(1, len(prompts))
    design = Design(len(prompts), outputs, args.value, args.correlation, args.likeness)
    if args.json:
        screen.machine(screen.as_json(design.to_json(args.difference), indent=2))
    else:
        screen.out(told(design, name, args.difference))
    return 0


def _claims(args: argparse.Namespace) -> int:
    from ...reports.claims import claims

    width = terminal.width() if args.out is None else None
    text, findings = claims(args.runs, own=args.reported, more=args.claims, form=args.format, width=width)
    _put(text, args.out)
    return 3 if args.strict and any(each.verdict == "does not hold" for each in findings) else 0


def _compare(args: argparse.Namespace) -> int:
    from ...reports.compare import compare

    if args.flips < 0:
        raise UsageError(f"--flips {args.flips}: expected a number from 0")
    _put(compare(args.first, args.second, form=args.format, flips=args.flips, width=terminal.width()), args.out)
    return 0


def _explain(args: argparse.Namespace) -> int:
    from ...reports.compare import explain

    _put(explain(args.first, args.second, form=args.format, width=terminal.width()), args.out)
    return 0


def _gate(args: argparse.Namespace) -> int:
    from ...reports import gate, verdicts

    if args.update:
        count = gate.update(args.runs, args.baseline, scores=not args.no_scores)
        screen.out([f"{args.baseline}: {count} {'run' if count == 1 else 'runs'}"])
        return 0
    result = gate.gate(args.runs, args.baseline, args.tolerances)
    screen.rendered(verdicts.show(result, args.format, color=terminal.colored(), width=terminal.width()))
    if args.junit is not None:
        verdicts.put(args.junit, verdicts.junit(result))
    if args.comment is not None:
        verdicts.put(args.comment, verdicts.comment(result))
    if args.github:
        for each in verdicts.workflow_commands(result):
            screen.machine(each)  # a command to CI on purpose, its texts escaped
        verdicts.step_summary(result)
    return result.exit_code


def _put(text: str, path: Path | None) -> None:
    """Print `text`, or write it to `path`. Raises EnvironmentProblem where that cannot be written."""
    if path is None:
        screen.rendered(text)
        return
    write_out(path, (text + "\n").encode())
