"""The command `janus-eval`: reads the command line, picks what carries it out, maps errors to exit codes."""

from __future__ import annotations

import argparse
import codecs
import contextlib
import errno
import io
import json
import os
import re
import signal
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

from .. import registry, screen
from ..errors import EnvironmentProblem, JanusEvalError, UsageError, hint
from . import bundle as bundling
from . import check as checking
from . import config, flags, history, overview, reports, shelf, spelling
from . import convert as converting
from . import doctor as examining
from . import export as exporting
from . import run as running
from . import score as scoring
from . import verify as verifying
from . import view as viewing

EPILOG = """\
exit codes: 0 ok, 1 bug, 2 usage, 3 gate or check failed, 4 run locked by
another process, 5 incomplete (run the same command again to resume),
6 environment (package, weights, data, network, disk), 130/143 interrupted"""

Parsers = dict[str, argparse.ArgumentParser]


class _Terminated(BaseException):
    """SIGTERM came."""


class _Helped(BaseException):
    """Argparse has printed its help: all that it ever exits for here."""


class _Parser(argparse.ArgumentParser):
    """Argparse with our error form: one line, nearest match, exit code 2; no value is given twice."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        for name in (None, "store"):
            self.register("action", name, flags.Once)

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        raise _Helped

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see {self.prog} --help)")


class _Top(_Parser):
    """The parser of the commands: its help has them in groups."""

    told: Mapping[str, str] = {}

    def format_help(self) -> str:
        return overview.text(self.told, EPILOG)


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
        screen.fail(error)
        return error.exit_code
    except KeyboardInterrupt:
        screen.say("interrupted; run the same command again to resume")
        return 130
    except _Terminated:
        return 143
    except _Helped:
        return 0
    except SystemExit as error:  # a plugin's own, where it was imported, made or asked: never our exit code
        screen.err(traceback.format_exc().splitlines())
        screen.fail(RuntimeError(f"a plugin ended the process: SystemExit({error.code!r})"))
        return 1
    except BrokenPipeError:  # `janus-eval list | head`: the reader has seen enough
        sys.stderr.close()
        return 0
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        screen.fail(f"{error.filename or 'the output'} cannot be written: the disk is full")
        with contextlib.suppress(OSError):  # what is still held would fail once more at the interpreter's end
            if sys.stdout is not None:
                sys.stdout.close()
        return EnvironmentProblem.exit_code


def entry() -> NoReturn:
    """Be the command: once it has ended, a signal moves its exit code no more."""
    try:
        if "_ARGCOMPLETE" in os.environ:
            _complete()
        code = main()
    except KeyboardInterrupt:
        code = 130
    except _Terminated:
        code = 143
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)
    if code in (130, 143):  # what a thread still computes is wanted by nobody
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError, AttributeError):  # full, closed, or not there
                stream.flush()
        os._exit(code)
    sys.exit(code)


def _terminated(*_: object) -> NoReturn:
    raise _Terminated


def _escaped(error: UnicodeError) -> tuple[str, int]:
    """Return the escapes of JSON for what a stream cannot hold, so that `--json` stays JSON there."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return json.dumps(error.object[error.start : error.end])[1:-1], error.end


# -- the parser ---------------------------------------------------------------------------------------


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    arguments, file, keys = spelling.flags(arguments), None, []
    if arguments[:1] == ["run"]:
        arguments, file, keys = config.merged(arguments)
    parser, commands = _parsers(_suite_flags(arguments))
    if file is not None:
        config.check(file, keys, _option_names(commands["run"]))
    if arguments[:1] == ["run"] and {"-h", "--help"} & set(arguments):
        _tell_plugins(commands["run"], arguments)
    args, unknown = parser.parse_known_args(arguments)
    if unknown:
        flag = unknown[0].partition("=")[0]
        known = commands.get(arguments[0], parser)
        raise UsageError(f"unknown argument {flag!r}{hint(flag, _option_names(known))}")
    return args


def _option_names(parser: argparse.ArgumentParser) -> list[str]:
    return sorted(set(re.findall(r"(?<![\w-])--[a-z][\w-]*", parser.format_help())))


def _suite_flags(arguments: Sequence[str]) -> Mapping[str, Any]:
    """Return the flags that the benchmarks named on the command line bring with them."""
    if not arguments or arguments[0] not in ("run", "score"):
        return {}
    found = _named(arguments)
    for name in spelling.names("models", flags.split_names(found.model)):
        registry.resolve("models", name)  # a misspelt model is said before any plugin is imported
    named = flags.split_names(found.bench)
    return flags.of_suites(arguments[0], spelling.names("benchmarks", named) if arguments[0] == "run" else named)


def _named(arguments: Sequence[str]) -> argparse.Namespace:
    """Return the models and benchmarks that a command line names."""
    scout = _Parser(add_help=False, allow_abbrev=False)
    scout.add_argument("-b", "--bench", action="append", default=[])
    scout.add_argument("-m", "--model", action="append", default=[])
    found, _ = scout.parse_known_args(list(arguments[1:]))
    return found


def _tell_plugins(run: argparse.ArgumentParser, arguments: Sequence[str]) -> None:
    """Add what the named models and benchmarks say of themselves and their options to run's help."""
    found = _named(arguments)
    given: tuple[tuple[registry.Group, list[str]], ...] = (("models", found.model), ("benchmarks", found.bench))
    for group, values in given:
        for name in spelling.names(group, flags.split_names(values)):
            flags.add_told(run, group, name)


def _parsers(suite_flags: Mapping[str, Any]) -> tuple[argparse.ArgumentParser, Parsers]:
    """Return the whole parser and that of each command."""
    made: Parsers = {}
    parser = _Top(prog="janus-eval", allow_abbrev=False)
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    parser.set_defaults(call=lambda args: _version() if args.version else _help(parser))  # pyright: ignore[reportUnknownLambdaType] -- argparse's defaults are untyped
    commands = parser.add_subparsers(metavar="COMMAND", parser_class=_Parser)

    def command(name: str, call: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        found = commands.add_parser(
            name,
            description=text,
            epilog=EPILOG,
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        found.set_defaults(call=call)
        made[name] = found
        return found

    run = command("run", _run, "run models on benchmarks; the same command again resumes")
    running.add(run)
    running.add_finish(command("finish", _finish, "take the shards of a run together and score it"))
    score = command("score", _score, "score outputs made elsewhere, without the model")
    scoring.add(score)
    converting.add(command("convert", _convert, "turn what another harness left into rows that score reads"))
    for each in (run, score):
        flags.add_suites(each, suite_flags)
    _list_arguments(command("list", _list, "list models, benchmarks, observers, recipes or stored runs"))
    _show_arguments(command("show", _show, "show a run: its numbers, its knobs, or one sample"))
    viewing.add(command("view", viewing.view, "look at runs in a browser: a site, written or served"))
    shelf.add(command)
    told = command("command", history.command, "print the command that made a run")
    told.add_argument("run", type=flags.path, metavar="RUN")
    exporting.add(command("export", _export, "write a run's answers as the suite's own server takes them"))
    reports.add(command)
    verifying.add(command("verify", verifying.run, "make the numbers of runs again from their outputs"))
    examining.add(command("doctor", examining.doctor, "say what is missing on this machine, by what one wants to run"))
    checking.add(command("check", checking.check, "try a model in under a minute: an answer, a picture, batches"))
    _data_arguments(command("data", _data, "list, fetch, verify, locate or export data and weights"))
    bundling.add(command("bundle", bundling.bundle, "carry weights and data to a machine without a network"))
    _env_arguments(command("env", _env, "build, list, check or remove environments of models"))
    _validate_arguments(command("validate", _validate, "check a plugin: its members, required and optional"))
    completion = command("completion", _completion, "print a shell completion script")
    completion.add_argument("shell", choices=("bash", "zsh", "fish"))
    parser.told = {name: each.description or "" for name, each in made.items()}
    return parser, made


def _list_arguments(listing: argparse.ArgumentParser) -> None:
    listing.add_argument("what", nargs="?", choices=("models", "benchmarks", "observers", "recipes", "runs"))
    listing.add_argument("folder", nargs="?", type=flags.path, help="with runs: where they lie (default: runs)")
    listing.add_argument("--json", action="store_true", help="print one JSON object")


def _show_arguments(show: argparse.ArgumentParser) -> None:
    show.add_argument("run", type=flags.path, metavar="RUN")
    show.add_argument("--id", metavar="SAMPLE", help="show one sample: prompt, outputs, evidence, verdict")
    show.add_argument("--question", action="store_true", help="with --id: read a very large table for the question too")
    show.add_argument("--failed", action="store_true", help="list the samples that were not correct")
    show.add_argument("--where", action="store_true", help="tell which worker made what")
    show.add_argument("--draw", type=flags.path, metavar="FILE.png", help="draw the pictures and what was seen on them")
    show.add_argument("--count", type=int, default=16, metavar="N", help="how many pictures to draw (default: 16)")
    show.add_argument("--json", action="store_true", help="print JSON")


def _data_arguments(data: argparse.ArgumentParser) -> None:
    data.add_argument("action", choices=("list", "fetch", "verify", "path", "export"))
    data.add_argument("name", nargs="?", help="an asset, or the benchmark to export")
    data.add_argument("-o", "--out", type=flags.path, metavar="FILE", help="where `export` writes (default: stdout)")
    data.add_argument("--seed", type=int, default=None, help="seed of an exported suite")
    data.add_argument("--size", type=int, default=None, help="size of an exported suite")
    data.add_argument("--offline", action="store_true", help="never touch the network")
    data.add_argument("--json", action="store_true", help="print JSON")


def _env_arguments(env: argparse.ArgumentParser) -> None:
    env.add_argument("action", choices=("create", "list", "check", "rm"))
    env.add_argument("name", nargs="?", metavar="NAME", help="a model that runs in one: a name, or worker:FILE.py")
    env.add_argument("--python", default="", metavar="PATH", help="create: the Python to build it on")
    env.add_argument("--wheels", type=flags.path, metavar="DIR", help="create: take packages from this folder alone")
    env.add_argument(
        "--source", type=flags.path, metavar="PATH", help="create: a checkout, folder or archive of its code"
    )
    env.add_argument("--offline", action="store_true", help="create: never touch the network")
    env.add_argument("--force", action="store_true", help="create: build it anew")
    env.add_argument("--json", action="store_true", help="list: print JSON")


def _validate_arguments(validate: argparse.ArgumentParser) -> None:
    validate.add_argument("name", metavar="NAME", help="a registered model, benchmark or observer")
    validate.add_argument("--group", choices=("models", "benchmarks", "observers"), help="where the name is in several")
    validate.add_argument("--options", action="append", default=[], metavar="K=V", help="options to make it with")
    validate.add_argument("--json", action="store_true", help="print one JSON object")


# -- the commands -------------------------------------------------------------------------------------


def _version() -> int:
    from ..environment import harness_version

    screen.out([harness_version()])
    return 0


def _help(parser: argparse.ArgumentParser) -> int:
    parser.print_help()
    return 0


def _run(args: argparse.Namespace) -> int:
    return running.run(args)


def _finish(args: argparse.Namespace) -> int:
    return running.finish(args)


def _score(args: argparse.Namespace) -> int:
    return scoring.score(args)


def _convert(args: argparse.Namespace) -> int:
    return converting.convert(args)


def _export(args: argparse.Namespace) -> int:
    return exporting.export(args)


def _list(args: argparse.Namespace) -> int:
    from . import plugins

    return plugins.listing(args)


def _validate(args: argparse.Namespace) -> int:
    from . import plugins

    return plugins.validate(args)


def _show(args: argparse.Namespace) -> int:
    from . import show

    if args.draw is not None:
        count = show.pictures(args.run, args.draw, sample=args.id, failed=args.failed, count=max(1, args.count))
        screen.out([f"{count} pictures drawn: {args.draw}"])
        return 0
    asked = {"sample": args.id, "failed": args.failed, "where": args.where}
    return show.show(args.run, **asked, as_json=args.json, patient=args.question)


def _data(args: argparse.Namespace) -> int:
    from . import data

    return data.data(args)


def _env(args: argparse.Namespace) -> int:
    from . import env

    return env.env(args)


def _completion(args: argparse.Namespace) -> int:
    from . import completion

    screen.machine(completion.script(args.shell))
    return 0


def _complete() -> None:
    """Answer a shell that asks what may follow; nothing is run."""
    from . import completion

    brought: Mapping[str, Any] = {}
    with contextlib.suppress(JanusEvalError):  # a name that is still being typed
        brought = _suite_flags(completion.line())
    completion.answer(_parsers(brought)[0])


if __name__ == "__main__":
    entry()
