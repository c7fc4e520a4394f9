"""What a shell completes, by argcomplete: commands, flags, and values that are known without a run."""

from __future__ import annotations

import argparse
import os
import shlex
from collections.abc import Callable, Iterable
from contextlib import suppress

import argcomplete
from argcomplete.shell_integration import shellcode

from .. import registry, screen
from ..errors import JanusEvalError
from . import doctor, flags, spelling
from .overview import Add

Completer = Callable[..., Iterable[str]]


def add(command: Add) -> None:
    """Add the command's flags."""
    parser = command("completion", completion)
    parser.add_argument("shell", choices=("bash", "zsh", "fish"))


def completion(args: argparse.Namespace) -> int:
    """Print the script that a shell sources."""
    screen.machine(script(args.shell))
    return 0


def script(shell: str) -> str:
    """Return what tells `shell` (bash, zsh or fish) to ask the command itself."""
    return shellcode(["janus-eval"], shell=shell)


def line() -> list[str]:
    """Return the words of the command line that is being typed, without the command's name."""
    typed = os.environ.get("COMP_LINE", "")
    with suppress(ValueError):  # a quote that is still open
        return shlex.split(typed)[1:]
    return typed.split()[1:]


def answer(parser: argparse.ArgumentParser) -> None:
    """Write the completions of the line that is being typed where argcomplete's script reads them, and end."""
    for each in _actions(parser):
        completer = _COMPLETERS.get(each.dest)
        if completer is not None:
            each.completer = completer  # pyright: ignore[reportAttributeAccessIssue] -- argcomplete looks for it there
    argcomplete.autocomplete(parser, always_complete_options=False)


def _actions(parser: argparse.ArgumentParser) -> Iterable[argparse.Action]:
    for each in parser._actions:
        yield each
        if isinstance(each.choices, dict):  # the commands
            for below in each.choices.values():
                yield from _actions(below)


def _names(group: registry.Group, *more: str) -> Completer:
    def complete(prefix: str, **_: object) -> list[str]:
        before = prefix[: prefix.rfind(",") + 1]  # a,b,c: the last one is being typed
        return [before + each for each in (*registry.names(group), *more)]

    return complete


def _options(group: registry.Group, dest: str) -> Completer:
    def complete(parsed_args: argparse.Namespace, **_: object) -> list[str]:
        found: list[str] = []
        # `check MODEL -a`: argparse has not come to MODEL when it meets a flag without its value
        given = getattr(parsed_args, dest, None) or line()[1:2]
        for name in flags.split_names([given] if isinstance(given, str) else given):
            with suppress(JanusEvalError):  # no such plugin, or one whose package lacks: it has nothing to offer
                found += [f"{each}=" for each in registry.parameters(group, registry.resolve(group, name))]
        return found

    return complete


def _recipes(parsed_args: argparse.Namespace, **_: object) -> list[str]:
    found: list[str] = []
    for name in flags.split_names(parsed_args.model or registry.names("models")):
        with suppress(JanusEvalError):
            given = registry.parameters("models", registry.resolve("models", name)).get("recipe")
            found += registry.choices(given) if given is not None else []
    return found


def _of_doctor(**_: object) -> list[str]:
    return doctor.known()


def _assets(**_: object) -> list[str]:
    from ..assets.fetch import list_assets

    return [each.name for each in list_assets()]


_COMPLETERS: dict[str, Completer] = {
    "model": _names("models"),
    "bench": _names("benchmarks", *spelling.GROUPS),
    "model_args": _options("models", "model"),
    "bench_args": _options("benchmarks", "bench"),
    "recipe": _recipes,
    "executor": _names("executors"),
    "names": _of_doctor,
    "asset": _assets,
}
