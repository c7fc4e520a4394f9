"""From a command line to a request: names, key=value options, and the flags that the chosen suites bring along."""

from __future__ import annotations

import argparse
import contextlib
import inspect
import os
import re
import textwrap
import typing
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from .. import registry, screen
from ..errors import UsageError
from ..request import Machine, Patience, Request
from ..shards import Shard
from ..types import Json
from . import spelling, terminal

_OWN = {"name", "data", "world", "device", "dtype", "offline", "seed", "base_url", "predictions", "images", "pattern"}
_PREFIX = "plugin_"


class Once(argparse.Action):
    """Stores one value, and refuses a second: the last of two would win in silence."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        given: set[str] = vars(namespace).setdefault("given", set())
        if option_string is not None and self.dest in given:
            parser.error(f"argument {'/'.join(self.option_strings)}: given twice")
        given.add(self.dest)
        setattr(namespace, self.dest, values)


def words(text: str) -> str:
    """Return an argument that is not empty: what a script left unset must not pass for a default."""
    if not text.strip():
        raise argparse.ArgumentTypeError("is empty")
    return text


def path(text: str) -> Path:
    """Return a path; an empty one would be the current folder."""
    return Path(words(text))


def split_names(values: Iterable[str]) -> list[str]:
    """Return the names in repeated and comma-joined options; what follows a colon is kept whole."""
    return [name for value in values for name in ([value] if ":" in value else value.split(",")) if name]


def key_values(texts: Sequence[str], flag: str) -> dict[str, str]:
    """Return the options of repeated and comma-joined key=value texts. Raises UsageError for one given twice."""
    found: dict[str, str] = {}
    for text in texts:
        # A value may hold commas; a comma starts a new option only where key= follows.
        for part in re.split(r",(?=\s*[A-Za-z_][\w-]*=)", text):
            key, equals, value = part.partition("=")
            if not equals or not key.strip():
                raise UsageError(f"{flag} wants key=value, got {part!r}")
            merge(found, {key.strip().replace("-", "_"): value}, flag)
    return found


def merge(found: dict[str, Any], more: Mapping[str, Any], flag: str) -> None:
    """Add options to those found so far. Raises UsageError for one given twice."""
    for key, value in more.items():
        if key in found:
            raise UsageError(f"{flag}: the option {key!r} is given twice")
        found[key] = value


# -- flags of plugins ---------------------------------------------------------------------------------


def of_suites(command: str, benchmarks: Sequence[str]) -> dict[str, inspect.Parameter]:
    """Return the parameters that the named suites and their observers bring to `run` or `score` as flags."""
    from .. import members

    found: dict[str, inspect.Parameter] = {}
    for name in benchmarks:
        name = registry.resolve("benchmarks", name)
        if command == "score":
            found.update(registry.parameters("benchmarks", name, method="rescore"))
        found.update(registry.parameters("benchmarks", name))
        for observer in members.observers(registry.load("benchmarks", name)):
            found.update(registry.parameters("observers", observer))
    return {key: each for key, each in found.items() if key not in _OWN}


def add_suites(parser: argparse.ArgumentParser, flags: Mapping[str, inspect.Parameter]) -> None:
    """Add the flags of suites to a command's parser; the command's own flag of a name comes first."""
    group = parser.add_argument_group("options of the chosen benchmarks")
    for name, parameter in flags.items():
        flag = "--" + name.replace("_", "-")
        default = "" if parameter.default in (None, parameter.empty) else f"default: {parameter.default}"
        if parameter.annotation is bool:
            action: dict[str, Any] = {"action": argparse.BooleanOptionalAction}
        else:
            action = {"metavar": name.upper()}
        with contextlib.suppress(argparse.ArgumentError):
            group.add_argument(flag, dest=_PREFIX + name, default=None, help=default, **action)


def add_told(parser: argparse.ArgumentParser, group: registry.Group, name: str) -> None:
    """Add to a command's help what a plugin says of itself and its options."""
    name = registry.resolve(group, name).partition(":")[0]
    text = registry.about(group, name)
    if text.startswith("Return "):  # a function's own words for what the line in the list says better
        text = f"{registry.abstracts(group)[name]}.\n\n{text.partition('.')[2].strip()}"
    told = [each for part in text.split("\n\n") if part for each in (*_filled(part), "")]
    flag = "-a KEY=VALUE" if group == "models" else "--KEY VALUE, or --bench-args KEY=VALUE"
    given = {
        f"{key}={_kind(each)}": "" if each.default in (None, each.empty) else f"default: {each.default}"
        for key, each in registry.parameters(group, name).items()
    }
    wide = max(map(len, given), default=0)
    told += [f"  {key:<{wide}}  {default}".rstrip() for key, default in given.items()]
    parser.add_argument_group(f"the {group.removesuffix('s')} {name} ({flag})", "\n".join(map(screen.clean, told)))


def _filled(part: str) -> list[str]:
    """Return a paragraph in lines that fit; one that is set in lines of its own stays as it is."""
    if re.search(r"^\s", part, re.MULTILINE):
        return part.split("\n")
    return textwrap.wrap(part, (terminal.width() or 100) - 4, break_on_hyphens=False, break_long_words=False)


def _kind(parameter: inspect.Parameter) -> str:
    """Return what an option takes, in a word."""
    words = registry.choices(parameter)
    names = {bool: "true|false", int: "N", float: "NUMBER", Path: "PATH"}
    types = (parameter.annotation, *typing.get_args(parameter.annotation))
    plain = next((names[each] for each in types if each in names), "TEXT")
    return "|".join(words) if len(words) > 1 else plain


def add_reading(parser: argparse.ArgumentParser) -> None:
    """Add the flag that says how the answers of all suites are read; a suite that does not take it refuses it."""
    told = "strip: score what follows a thinking model's reasoning (<think> ... </think>); default: keep"
    parser.add_argument("--reasoning", dest=_PREFIX + "reasoning", choices=("keep", "strip"), help=told)


def suite_options(args: argparse.Namespace) -> dict[str, Any]:
    """Return the options of suites and observers: their flags, and --bench-args."""
    found = {k.removeprefix(_PREFIX): v for k, v in vars(args).items() if k.startswith(_PREFIX) and v is not None}
    merge(found, key_values(vars(args).get("bench_args", []), "--bench-args"), "--bench-args")
    return found


# -- the request --------------------------------------------------------------------------------------


def add_machine(parser: argparse.ArgumentParser) -> None:
    """Add the flags that say where the work is done."""
    parser.add_argument("--device", help="auto, cpu, cuda, cuda:1, mps, or several: cuda:0,cuda:1 (default: auto)")
    parser.add_argument("--dtype", help="auto, float32, bfloat16, float16 (default: auto)")
    parser.add_argument("--offline", action="store_true", help="never touch the network")


HANDS = ("workers", "observers", "gpus_per_worker", "gpus_per_observer", "model_python", "ray_address")
"""Options of an executor that have flags of their own."""


def add_executor(parser: argparse.ArgumentParser) -> None:
    """Add the flags that say who does the work: this process, a cluster, an array of jobs."""
    group = parser.add_argument_group("more than one device or machine (docs/scale.md)")
    told = "local (default), ray (default of several devices) or slurm"
    group.add_argument("--executor", type=words, metavar="NAME", help=told)
    group.add_argument("--ray-address", metavar="ADDR", help="local (a cluster of its own, default), auto or HOST:PORT")
    group.add_argument("--workers", metavar="N", help="processes with the model (default: one a GPU); shards of slurm")
    group.add_argument("--observers", metavar="N", help="processes with the scorer (default: one for four workers)")
    group.add_argument("--gpus-per-worker", metavar="X", help="share of a GPU (default: 0.75)")
    group.add_argument("--gpus-per-observer", metavar="X", help="share of a GPU (default: 0.25)")
    group.add_argument("--model-python", type=path, metavar="PATH", help="the Python that the model needs")
    told = "in one process: score, and read pictures, while the model works (default: on a GPU, where it fits; -n says)"
    group.add_argument("--overlap", action=argparse.BooleanOptionalAction, default=None, help=told)
    told = "submitit's options: partition, account, time, array_parallelism, cluster=local, ..."
    group.add_argument("--slurm", action="append", default=[], metavar="K=V", help=told)


def _hands(args: argparse.Namespace) -> dict[str, Any]:
    """Return the executor's options that were given. Raises UsageError where there is no executor to take them."""
    given = {name: vars(args)[name] for name in HANDS if vars(args).get(name) is not None}
    if args.slurm:
        given["slurm"] = key_values(args.slurm, "--slurm")
    named = next((name for name in given if name != "model_python"), None)
    if named and not args.executor and not (args.device and "," in args.device):
        raise UsageError(f"--{named.replace('_', '-')} is for --executor ray or slurm")
    return given if args.overlap is None else {**given, "overlap": args.overlap}


def machine_of(args: argparse.Namespace) -> Machine:
    """Return where the work is done."""
    text: str = vars(args).get("batch_size", "auto")
    if text != "auto" and (not text.isdecimal() or int(text) < 1):
        raise UsageError(f"--batch-size {text!r}: expected auto or a whole number from 1")
    size = None if text == "auto" else int(text)
    more = vars(args)  # of `run` alone
    paid = (more.get("max_cost"), not more.get("no_canary"))
    found = Machine(args.device, args.dtype, size, more.get("base_url"), args.offline, *paid, packs=more.get("packs"))
    if "executor" not in more:
        return found
    return replace(found, executor=args.executor or "", executor_options=_hands(args))


def nameless(args: argparse.Namespace, output: Path | None = None) -> Request:
    """Return what of a command line says where and how patiently a run is done that is stored already."""
    asked = Request(("again",), ("again",), output=output or args.output, machine=machine_of(args))
    refused = vars(args).get("ask_refused", False)
    return replace(asked, patience=Patience(args.max_errors, args.allow_unscored, refused))


def request_of(args: argparse.Namespace, *, again: Json = None) -> Request:
    """Return what `janus-eval run` was asked for; `again` is what a stored run was asked."""
    if again is not None:
        return replace(nameless(args), name=args.name or "").again(again)
    for flag, given in (("-m/--model", args.model), ("-b/--bench", args.bench)):
        if not given:
            raise UsageError(f"the following arguments are required: {flag} (see janus-eval run --help)")
    model_options: dict[str, Any] = {}
    for flag, texts in (("--model-args", args.model_args), ("--gen-args", args.gen_args)):
        merge(model_options, key_values(texts, flag), flag)
    merge(model_options, {} if args.recipe is None else {"recipe": args.recipe}, "--recipe")
    options = suite_options(args)
    if args.data is not None and "data" in options:
        raise UsageError("--data and --bench-args data= exclude each other")
    data = options.pop("data", args.data)
    ids = None if args.ids is None else tuple(each for each in args.ids.split(",") if each)
    return Request(
        models=tuple(spelling.names("models", split_names(args.model))),
        benchmarks=tuple(spelling.names("benchmarks", split_names(args.bench))),
        model_options=model_options,
        options=options,
        data=data,
        limit=args.limit,
        ids=ids,
        seed=args.seed,
        tag=args.tag,
        step=args.step,
        output=args.output,
        machine=machine_of(args),
        patience=Patience(args.max_errors, args.allow_unscored, args.ask_refused),
        until=args.until,
        shard=None if args.shard is None else Shard.parse(args.shard, os.environ),
        name=args.name or "",
        repeats=args.repeats,
    )
