"""What a stored run was asked: `janus-eval command RUN`, `run --again RUN` and `run --from-signature`."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from .. import registry, screen
from ..errors import UsageError, without_secrets
from ..files import read_json
from ..request import Patience, Request
from ..types import Json, RunSpec
from . import flags
from .overview import Add

if TYPE_CHECKING:
    from ..plan import Pair


def asked_of(run: Path) -> Json:
    """Return what a stored run was asked. Raises UsageError where it does not say."""
    path = run / "asked.json"
    if not path.is_file():
        raise UsageError(f"{run} does not say what it was asked: no asked.json (an object, or an old run)")
    return read_json(path)


def check_same(what: str, stored: RunSpec, planned: Pair, signature: str = "") -> None:
    """Raise UsageError where a run would have another signature today than the stored one, or than a text."""
    from ...reports.compare import differing

    today = replace(planned.spec, version=stored.version)
    if (today.signature != signature) if signature else (today.digest != stored.digest):
        knobs = differing(stored, today)
        told = "; ".join(f"{key}: {old}, now {new}" for key, (old, new) in knobs.items())
        unsaid = "it was edited, or was given options that it does not tell" if signature else "an option"
        raise UsageError(f"{what} cannot be asked again, its signature would be another: {told or unsaid}")


# -- as a command -------------------------------------------------------------------------------------


def add(add_command: Add) -> None:
    """Add the command's flags."""
    add_command("command", command).add_argument("run", type=flags.path, metavar="RUN")


def command(args: argparse.Namespace) -> int:
    """Print the command that made a run."""
    screen.out([as_command(asked_of(args.run), args.run)])
    return 0


def as_command(row: Json, run: Path) -> str:
    """Return the shell command that asks for a run again; where flags cannot say it, the one that reads the run.

    Raises UsageError for a damaged request.
    """
    asked = Request(("again",), ("again",)).again(row)
    words = ["janus-eval", "run"]
    for flag, value in _flags(asked, run):
        if value is None:
            return f"janus-eval run --again {quoted(str(run))} -o {quoted(str(run.parent))}"
        words += [f"{flag}={value}"] if value.startswith("-") or not value else [flag, value]
    return " ".join(quoted(without_secrets(each)) for each in words)


def _flags(asked: Request, run: Path) -> Iterator[tuple[str, str | None]]:
    """Yield flags with their values; None for a value that no flag can say."""
    for flag, names in (("-m", asked.models), ("-b", asked.benchmarks)):
        yield from ((flag, str(each)) for each in names)
    for flag, options in (("-a", asked.model_options), ("--bench-args", asked.options)):
        for key, value in options.items():
            text = _text(value)
            split = re.search(r",\s*[A-Za-z_][\w-]*=", f"{key}={text}")  # a comma would begin a new option
            yield flag, None if split else f"{key}={text}"
    plain = {"--data": asked.data, "--limit": asked.limit, "--tag": asked.tag or None, "--step": asked.step}
    plain |= {"--seed": asked.seed or None, "--name": asked.name or None}
    machine = asked.machine
    plain |= {"--device": machine.device, "--dtype": machine.dtype, "--base-url": machine.base_url}
    yield from ((flag, str(value)) for flag, value in plain.items() if value is not None)
    if asked.ids is not None:
        whole = all(each and "," not in each for each in asked.ids)
        yield "--ids", ",".join(asked.ids) if whole else None
    yield "-o", str(run.parent)


def _text(value: Json) -> str:
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


def quoted(word: str) -> str:
    """Return a word for a shell; control characters as $'...' spells them."""
    if screen.clean(word) == word:
        return shlex.quote(word)
    return "$'" + "".join(_escaped(each) for each in word) + "'"


def _escaped(character: str) -> str:
    if character in "'\\":
        return "\\" + character
    code = ord(character)
    if screen.clean(character) == character:
        return character
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


# -- from a signature ---------------------------------------------------------------------------------

_KNOB = re.compile(r"\|(?=(?:seed|limit|tag|step|janus-eval|[mbo]\.[^|:]+):|#[0-9a-f]{12}$)")
"""Where a signature's knobs begin; values may hold bars."""


def parsed(signature: str) -> tuple[RunSpec, str]:
    """Return what a signature says, as far as texts can, and its text. Raises UsageError for another text."""
    text = signature.strip().removeprefix("signature:").strip()
    head, *knobs = _KNOB.split(text)
    benchmark, bar, model = head.partition("|")
    if not bar or not knobs or not re.fullmatch(r"#[0-9a-f]{12}", knobs[-1]):
        raise UsageError(
            "--from-signature: expected SUITE|MODEL|seed:...|#digest, whole, as `janus-eval show` prints it"
        )
    found: dict[str, str] = {}
    for each in knobs[:-1]:
        key, _, value = each.partition(":")
        found[key] = value
    cards = {who: {k[2:]: v for k, v in found.items() if k.startswith(f"{who}.")} for who in "mbo"}
    try:
        limit = None if found["limit"] == "all" else found["limit"]
        step = int(found["step"]) if "step" in found else None
        cut = (int(found["seed"]), limit, cards["m"], cards["b"], cards["o"], found["janus-eval"])
    except (KeyError, ValueError) as error:
        raise UsageError(f"--from-signature: a knob is missing or damaged: {error}") from error
    return RunSpec(model, benchmark, *cut, tag=found.get("tag", ""), step=step), text


def from_signature(args: argparse.Namespace) -> tuple[Request, RunSpec, str]:
    """Return the request that a signature stands for; what it cannot say (`-a path=DIR`) comes from the flags."""
    from ...reports.compare import knobs
    from ..plan import pairs

    spec, text = parsed(args.from_signature)
    base = Request(
        (spec.model,),
        (spec.benchmark,),
        flags.key_values(args.model_args, "--model-args"),
        flags.suite_options(args),
        args.data,
        spec.limit,
        seed=spec.seed,
        tag=spec.tag,
        step=spec.step,
        output=args.output,
        machine=flags.machine_of(args),
        patience=Patience(args.max_errors, args.allow_unscored),
        until=args.until,
        name=args.name or "",
    )
    if base.data is None and spec.benchmark_card.get("world") == "toy":
        base = replace(base, data="toy")
    (planned,) = pairs(base, tolerant=True)
    now = knobs(planned.spec)
    wanted = {key: value for key, value in knobs(spec).items() if now.get(key) != value}
    models = _options("models", spec.model, "m", wanted)
    suites = _options("benchmarks", spec.benchmark, "b", wanted)
    eyes = planned.suite.observer
    suites |= _options("observers", eyes, "o", wanted) if isinstance(eyes, str) else {}
    asked = replace(base, model_options=models | dict(base.model_options), options={**suites, **base.options})
    return asked, spec, text


def _options(group: registry.Group, name: str, prefix: str, wanted: Mapping[str, str]) -> dict[str, str]:
    """Return those of the knobs that are options of a plugin, or the revision in the name of its weights."""
    accepted = registry.parameters(group, name)
    found: dict[str, str] = {}
    for key, value in wanted.items():
        who, _, rest = key.partition(".")
        option = rest.removeprefix("option.")
        if who == prefix and option in accepted and option != "weights":
            found[option] = value
        elif who == prefix and option == "weights" and "revision" in accepted and "@" in value:
            found["revision"] = value.partition("@")[2].partition("#")[0]
    return found
