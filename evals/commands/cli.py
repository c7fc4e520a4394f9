"""The command `janus-eval`: reads the command line, wires plugins, runner and reports, maps errors to exit codes."""

from __future__ import annotations

import argparse
import codecs
import contextlib
import errno
import io
import json
import re
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

from .. import plan, registry
from ..errors import EnvironmentProblem, Incomplete, JanusEvalError, UsageError
from . import reports as reporting

EPILOG = """\
exit codes: 0 ok, 1 bug, 2 usage, 3 gate failed, 4 run locked by another process, 5 incomplete
(run the same command again to resume), 6 environment (package, weights, data, network, disk),
130/143 interrupted"""


class _Parser(argparse.ArgumentParser):
    """Argparse with our error form: one line, nearest match, exit code 2."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see {self.prog} --help)")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    with contextlib.suppress(ValueError):  # not the main thread: the caller owns the signals
        signal.signal(signal.SIGTERM, _terminated)
    codecs.register_error("janus-eval", _escaped)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # what the terminal cannot show is escaped, never a crash
            stream.reconfigure(errors="janus-eval")
    try:
        args = _parse(arguments)
        code = args.call(args)
        if sys.stdout is not None:  # None where it was closed
            sys.stdout.flush()  # here, where a full disk can still be told
        return code
    except JanusEvalError as error:
        print(f"janus-eval: error: {_one_line(error)}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("janus-eval: interrupted; run the same command again to resume", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `janus-eval list | head`: the reader has seen enough
        sys.stderr.close()
        return 0
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        print(
            f"janus-eval: error: {error.filename or 'the output'} cannot be written: the disk is full", file=sys.stderr
        )
        with contextlib.suppress(OSError):  # what is still held would fail once more at the interpreter's end
            if sys.stdout is not None:
                sys.stdout.close()
        return EnvironmentProblem.exit_code


def _terminated(*_: object) -> NoReturn:
    raise SystemExit(143)


def _escaped(error: UnicodeError) -> tuple[str, int]:
    """Return the escapes of JSON for what a stream cannot hold, so that `--json` stays JSON there."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return json.dumps(error.object[error.start : error.end])[1:-1], error.end


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


# -- the parser ---------------------------------------------------------------------------------------


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser, commands = _parsers(_plugin_flags(arguments))
    args, unknown = parser.parse_known_args(arguments)
    if unknown:
        flag = unknown[0].partition("=")[0]
        known = commands.get(arguments[0], parser)
        near = plan.nearest(flag, _option_names(known))
        raise UsageError(f"unknown argument {flag!r}" + (f"; did you mean {near!r}?" if near else ""))
    return args


def _option_names(parser: argparse.ArgumentParser) -> list[str]:
    return sorted(set(re.findall(r"(?<![\w-])--[a-z][\w-]*", parser.format_help())))


def _plugin_flags(arguments: Sequence[str]) -> Mapping[str, Any]:
    """Return the flags that the benchmarks named on the command line bring with them."""
    if not arguments or arguments[0] not in ("run", "score"):
        return {}
    scout = _Parser(add_help=False, allow_abbrev=False)
    scout.add_argument("-b", "--bench", action="append", default=[])
    scout.add_argument("-m", "--model", action="append", default=[])
    found, _ = scout.parse_known_args(list(arguments[1:]))
    for name in plan.split_names(found.model):  # a misspelt model is said before any plugin is imported
        registry.resolve("models", name)
    return plan.flags(arguments[0], plan.split_names(found.bench))


def _parsers(
    plugin_flags: Mapping[str, Any],
) -> tuple[argparse.ArgumentParser, dict[str, argparse.ArgumentParser]]:
    """Return the whole parser and that of each command."""
    made: dict[str, argparse.ArgumentParser] = {}
    parser = _Parser(
        prog="janus-eval",
        description="Evaluate models that understand and draw pictures; print tables beside the published numbers.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    parser.set_defaults(call=lambda args: _version() if args.version else _help(parser))  # pyright: ignore[reportUnknownLambdaType] -- argparse's defaults are untyped
    commands = parser.add_subparsers(metavar="COMMAND")

    def command(name: str, call: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        found = commands.add_parser(
            name,
            help=text,
            description=text,
            epilog=EPILOG,
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        found.set_defaults(call=call)
        made[name] = found
        return found

    run = command("run", _run, "run models on benchmarks; run the same command again to resume")
    _run_arguments(run)
    _add_plugin_flags(run, plugin_flags)

    score = command("score", _score, "score outputs made elsewhere, without the model")
    score.add_argument("-b", "--bench", required=True, metavar="NAME")
    score.add_argument("predictions", nargs="?", type=Path, help="the file of predictions")
    score.add_argument("--images", type=Path, metavar="DIR", help="score a folder of pictures made by anyone")
    score.add_argument("--data", metavar="PATH", help="the benchmark's data: a path, toy or official")
    score.add_argument("--out", type=Path, metavar="FILE", help="write one JSON line a row")
    score.add_argument("--json", action="store_true", help="print one JSON object")
    _machine_arguments(score)
    score.add_argument("-o", "--output", type=Path, default=Path("runs"), help="where an --images run is kept")
    _add_plugin_flags(score, plugin_flags)

    listing = command("list", _list, "list models, benchmarks and observers")
    listing.add_argument("what", nargs="?", choices=("models", "benchmarks", "observers"))
    listing.add_argument("--json", action="store_true", help="print one JSON object")

    show = command("show", _show, "show a run: its numbers, its knobs, or one sample")
    show.add_argument("run", type=Path, metavar="RUN")
    show.add_argument("--id", metavar="SAMPLE", help="show one sample: prompt, outputs, evidence, verdict")
    show.add_argument("--failed", action="store_true", help="list the samples that were not correct")
    show.add_argument("--draw", type=Path, metavar="FILE.png", help="draw the pictures with what was seen on them")
    show.add_argument("--count", type=int, default=16, metavar="N", help="how many pictures to draw (default: 16)")
    show.add_argument("--json", action="store_true", help="print JSON")

    reporting.add(command)

    doctor = command("doctor", _doctor, "say what is missing on this machine and the command that mends it")
    doctor.add_argument("--json", action="store_true", help="print one JSON object")

    _data_arguments(command("data", _data, "list, fetch, verify, locate or export benchmark data and weights"))

    completion = command("completion", _completion, "print a shell completion script")
    completion.add_argument("shell", choices=("bash", "zsh", "fish"))
    return parser, made


def _run_arguments(run: argparse.ArgumentParser) -> None:
    run.add_argument("-m", "--model", action="append", required=True, metavar="NAME", help="model (repeat, or a,b)")
    run.add_argument("-b", "--bench", action="append", required=True, metavar="NAME", help="benchmark (repeat, or a,b)")
    run.add_argument("-a", "--model-args", action="append", default=[], metavar="K=V", help="options of the model")
    run.add_argument("--bench-args", action="append", default=[], metavar="K=V", help="options of the benchmark")
    run.add_argument("--gen-args", action="append", default=[], metavar="K=V", help="sampling options of the model")
    run.add_argument("--recipe", metavar="NAME", help="a named set of sampling options")
    run.add_argument("-l", "--limit", metavar="N|0.1|10-20", help="only the first N, a share, or a range of samples")
    run.add_argument("--ids", metavar="A,B", help="only these samples")
    run.add_argument("--batch-size", default="auto", metavar="auto|N", help="default: auto")
    run.add_argument("-o", "--output", type=Path, default=Path("runs"), metavar="DIR", help="default: runs")
    run.add_argument("--seed", type=int, default=0, help="run seed (default: 0)")
    run.add_argument("--data", metavar="PATH", help="the benchmark's data: a path, toy or official")
    run.add_argument("--base-url", metavar="URL", help="an OpenAI-compatible endpoint of the model under test")
    run.add_argument("--max-errors", type=int, default=10, metavar="N", help="stop after more failures (default: 10)")
    run.add_argument("--allow-unscored", action="store_true", help="keep the headline number of an unwhole run")
    run.add_argument("-n", "--dry-run", action="store_true", help="print the plan and do nothing")
    run.add_argument("--json", action="store_true", help="print the records as JSON")
    _machine_arguments(run)


def _machine_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", help="auto, cpu, cuda, cuda:1, mps, or several: cuda:0,cuda:1 (default: auto)")
    parser.add_argument("--dtype", help="auto, float32, bfloat16, float16 (default: auto)")
    parser.add_argument("--offline", action="store_true", help="never touch the network")


def _add_plugin_flags(parser: argparse.ArgumentParser, flags: Mapping[str, Any]) -> None:
    group = parser.add_argument_group("options of the chosen benchmarks")
    for name, parameter in flags.items():
        flag = "--" + name.replace("_", "-")
        default = "" if parameter.default in (None, parameter.empty) else f"default: {parameter.default}"
        if parameter.annotation is bool:
            action: dict[str, Any] = {"action": argparse.BooleanOptionalAction}
        else:
            action = {"metavar": name.upper()}
        with contextlib.suppress(argparse.ArgumentError):  # the command's own flag of that name comes first
            group.add_argument(flag, dest=f"plugin_{name}", default=None, help=default, **action)


def _data_arguments(data: argparse.ArgumentParser) -> None:
    data.add_argument("action", choices=("list", "fetch", "verify", "path", "export"))
    data.add_argument("name", nargs="?", help="an asset, or the benchmark to export")
    data.add_argument("-o", "--out", type=Path, metavar="FILE", help="where `export` writes (default: stdout)")
    data.add_argument("--seed", type=int, default=None, help="seed of an exported suite")
    data.add_argument("--size", type=int, default=None, help="size of an exported suite")
    data.add_argument("--offline", action="store_true", help="never touch the network")
    data.add_argument("--json", action="store_true", help="print JSON")


# -- the commands -------------------------------------------------------------------------------------


def _version() -> int:
    from ..environment import harness_version

    print(harness_version())
    return 0


def _help(parser: argparse.ArgumentParser) -> int:
    parser.print_help()
    return 0


def _run(args: argparse.Namespace) -> int:
    pairs = plan.pairs(args)
    if args.dry_run:
        return _say_plan(pairs, args)
    records: list[Any] = []
    code = 0
    for pair in pairs:
        try:
            record = plan.carry_out(pair, args)
        except JanusEvalError as error:
            if len(pairs) == 1:
                raise
            print(f"janus-eval: error: {pair.title}: {_one_line(error)}", file=sys.stderr)
            code = code or error.exit_code
            continue
        records.append(record)
        if not record.complete:
            code = code or Incomplete.exit_code
        if not args.json:
            print(_visible(_summary(record, pair.folder)))
    if args.json:
        from ..store import record_to_json

        print(json.dumps([record_to_json(each) for each in records], indent=2, ensure_ascii=False))
    return code


def _say_plan(pairs: Sequence[plan.Pair], args: argparse.Namespace) -> int:
    plans = [plan.preview(pair, args) for pair in pairs]
    if args.json:
        print(json.dumps(plans, indent=2, ensure_ascii=False))
        return 0
    for each in plans:
        width = max(map(len, each))
        print("\n".join(f"{key:<{width}}  {value}" for key, value in each.items()), end="\n\n")
    return 0


def _summary(record: Any, folder: Path) -> str:
    from ...reports.summary import run_summary

    return run_summary(record, folder)


def _visible(text: str) -> str:
    """Return `text` with control codes spelled out: a model's answer shall not move the terminal's cursor."""
    from ...reports.table import clean

    return "\n".join(map(clean, text.split("\n")))


def _score(args: argparse.Namespace) -> int:
    scored = plan.score(args)
    if args.out is not None:
        plan.write_rows(args.out, scored.rows)
    if args.json:
        head = {"bench": scored.bench, "n": scored.n, "unparsed": scored.unparsed, "unscored": scored.unscored}
        metrics = {key: asdict(value) for key, value in scored.metrics.items()}
        print(json.dumps(head | {"metrics": metrics} | dict(scored.extra), ensure_ascii=False))
    else:
        from ...reports.summary import metric_lines

        print(f"{scored.bench}: n={scored.n} unparsed={scored.unparsed} unscored={scored.unscored}")
        print(metric_lines(scored.metrics))
        for key in ("missing", "absent", "unparsed_by_protocol", "failed_items", "unscored_items", "problem_counts"):
            if scored.extra.get(key):
                print(f"{key.replace('_', ' ')}: {_short(scored.extra[key])}")
    # A folder that lacks pictures is an incomplete run; a file of answers says itself what it holds.
    return Incomplete.exit_code if scored.extra.get("missing") else 0


def _short(value: Any) -> str:
    """Return a list or mapping in a line: its first ten and how many more there are."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {each}" for key, each in value.items())
    more = f" and {len(value) - 10} more" if len(value) > 10 else ""
    return ", ".join(map(str, value[:10])) + more


def _list(args: argparse.Namespace) -> int:
    groups: tuple[registry.Group, ...] = (args.what,) if args.what else ("models", "benchmarks", "observers")
    found = {group: registry.names(group) for group in groups}
    if args.json:
        print(json.dumps(found))
        return 0
    for group, names in found.items():
        print(f"{group}:")
        print("\n".join(f"  {name}" for name in names))
    return 0


def _show(args: argparse.Namespace) -> int:
    from . import show

    if args.draw is not None:
        count = show.pictures(args.run, args.draw, sample=args.id, failed=args.failed, count=max(1, args.count))
        print(f"{count} pictures drawn: {args.draw}")
        return 0
    text = show.show(args.run, sample=args.id, failed=args.failed, as_json=args.json)
    print(text if args.json else _visible(text))
    return 0


def _doctor(args: argparse.Namespace) -> int:
    from . import doctor

    findings = doctor.examine()
    print(json.dumps(findings, indent=2) if args.json else doctor.text(findings))
    return 0


def _data(args: argparse.Namespace) -> int:
    from . import data as datacommand

    return datacommand.data(args)


def _completion(args: argparse.Namespace) -> int:
    from . import completion

    _, commands = _parsers({})
    flags = {name: _option_names(parser) for name, parser in commands.items()}
    print(completion.script(args.shell, flags, registry.names("models"), registry.names("benchmarks")))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
