"""The command `janus-eval`: reads the command line, picks what carries it out, maps errors to exit codes."""

from __future__ import annotations

import argparse
import codecs
import contextlib
import errno
import importlib
import io
import json
import os
import re
import signal
import sys
import traceback
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from .. import registry, screen
from ..errors import EnvironmentProblem, JanusEvalError, UsageError, hint
from . import config, flags, overview, spelling

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

    def format_help(self) -> str:
        return overview.text(EPILOG)


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
    parser, commands = _parsers(_asked(arguments), _suite_flags(arguments))
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


def _parsers(asked: str | None, suite_flags: Mapping[str, Any]) -> tuple[argparse.ArgumentParser, Parsers]:
    """Return the whole parser and that of each command; only the one asked for has its flags, and its module loaded."""
    made: Parsers = {}
    parser = _Top(prog="janus-eval", allow_abbrev=False)
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    parser.set_defaults(call=lambda args: _version() if args.version else _help(parser))  # pyright: ignore[reportUnknownLambdaType] -- argparse's defaults are untyped
    commands = parser.add_subparsers(metavar="COMMAND", parser_class=_Parser)
    for name, (_, told) in overview.COMMANDS.items():
        form = argparse.RawDescriptionHelpFormatter
        made[name] = commands.add_parser(
            name, description=told, epilog=EPILOG, allow_abbrev=False, formatter_class=form
        )

    def command(name: str, call: overview.Call) -> argparse.ArgumentParser:
        made[name].set_defaults(call=call)
        return made[name]

    if asked in made:
        importlib.import_module(f".{overview.COMMANDS[asked][0]}", __package__).add(command)
    if asked in ("run", "score"):
        flags.add_suites(made[asked], suite_flags)
    return parser, made


def _asked(arguments: Sequence[str]) -> str | None:
    """Return the command that a command line begins with."""
    return next((each for each in arguments if not each.startswith("-")), None)


# -- without a command --------------------------------------------------------------------------------


def _version() -> int:
    from ..environment import harness_version

    screen.out([harness_version()])
    return 0


def _help(parser: argparse.ArgumentParser) -> int:
    parser.print_help()
    return 0


def _complete() -> None:
    """Answer a shell that asks what may follow; nothing is run."""
    from . import completion

    brought: Mapping[str, Any] = {}
    with contextlib.suppress(JanusEvalError):  # a name that is still being typed
        brought = _suite_flags(completion.line())
    completion.answer(_parsers(_asked(completion.line()), brought)[0])


if __name__ == "__main__":
    entry()
