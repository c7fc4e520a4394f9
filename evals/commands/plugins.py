"""`janus-eval list` and `janus-eval validate`: which plugins there are, and whether one is as it should be."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from .. import registry, screen
from ..errors import JanusEvalError, UsageError
from . import flags, terminal
from .overview import Add

GROUPS: tuple[registry.Group, ...] = ("models", "benchmarks", "observers")


def add(command: Add) -> None:
    """Add the commands and their flags."""
    listed = command("list", listing)
    listed.add_argument("what", nargs="?", choices=("models", "benchmarks", "observers", "recipes", "runs"))
    listed.add_argument("folder", nargs="?", type=flags.path, help="with runs: where they lie (default: runs)")
    listed.add_argument("--json", action="store_true", help="print one JSON object")
    tried = command("validate", validate)
    tried.add_argument("name", metavar="NAME", help="a registered model, benchmark or observer")
    tried.add_argument("--group", choices=("models", "benchmarks", "observers"), help="where the name is in several")
    tried.add_argument("--options", action="append", default=[], metavar="K=V", help="options to make it with")
    tried.add_argument("--json", action="store_true", help="print one JSON object")


def listing(args: argparse.Namespace) -> int:
    """Print what is asked for: names with a line about each, recipes, or stored runs."""
    if args.folder is not None and args.what != "runs":
        raise UsageError(f"list {args.what} takes no folder: {args.folder}")
    if args.what == "runs":
        from . import shelf

        return shelf.listing(args.folder or Path("runs"), as_json=args.json)
    if args.what == "recipes":
        return _recipes(as_json=args.json)
    groups: tuple[registry.Group, ...] = (args.what,) if args.what else GROUPS
    if args.json:
        told = {group: registry.names(group) for group in groups}
        screen.machine(screen.as_json(told | ({"systems": _systems()} if args.what == "models" else {})))
        return 0
    for number, group in enumerate(groups):
        told = registry.abstracts(group)
        wide = max(map(len, told), default=0)
        lines = [each for name, line in told.items() for each in terminal.hung(f"  {name:<{wide}}  ", line)]
        screen.out([*([""] if number else []), f"{group}:", *lines])
    if args.what == "models":
        screen.out(["", "systems:", *(line for row in _systems() for line in _shown(row))])
    if args.what is None:
        screen.out(["", "options of one: janus-eval run -h -m NAME, or -b NAME"])
    return 0


def _systems() -> list[dict[str, str]]:
    """Return what is known of each system that people compare, as docs/models.md shows it."""
    from ...models.systems import HEAD, cells, systems

    return [dict(zip((each.strip("`") for each in HEAD), cells(row), strict=True)) for row in systems()]


def _shown(row: dict[str, str]) -> list[str]:
    """Return a system's lines: its name and how it is run, then the rest."""
    told = "; ".join(f"{key}: {row[key]}" for key in row if key not in ("system", "-m", "halves", "licence"))
    return [
        *terminal.hung(f"  {row['system']}  ", f"-m {row['-m']}"),
        *terminal.hung("    ", f"{row['halves']}; {row['licence']}; {told}"),
    ]


def _recipes(*, as_json: bool) -> int:
    """Print the named sets of options: models' recipes, benchmarks' presets; each one's own comes first."""
    found: dict[str, list[str]] = {}
    kinds: tuple[tuple[registry.Group, str], ...] = (("models", "recipe"), ("benchmarks", "preset"))
    for group, key in kinds:
        for name in registry.names(group):
            try:
                given = registry.parameters(group, name).get(key)
            except JanusEvalError as error:  # a package that it needs is not here
                screen.warn(str(error))
                continue
            if given is not None:
                found[name] = registry.choices(given)
    if as_json:
        screen.machine(screen.as_json(found))
        return 0
    wide = max(map(len, found), default=0)
    screen.out(f"{name:<{wide}}  {', '.join(choices)}" for name, choices in found.items())
    screen.out(["", "the first is what is taken without --recipe NAME (models) or --preset NAME (benchmarks)"])
    return 0


def validate(args: argparse.Namespace) -> int:
    """Print every member of a plugin with what is wrong; exit code 2 where something is."""
    from .. import members
    from .flags import key_values

    group = args.group or _group_of(args.name)
    name = registry.resolve(group, args.name)
    plugin = registry.create(group, name, **key_values(args.options, "--options"))
    wrong = members.problems(group, plugin)
    factory = registry.load(group, name)
    rows = [_row((plugin, factory), each, wrong) for each in members.members(group)]
    rows += [
        {"member": key, "is": "unknown", "text": why, "problem": why}
        for key, why in wrong.items()
        if key not in {each["member"] for each in rows}
    ]
    if args.json:
        told = {"group": group, "name": name, "members": rows, "problems": wrong}
        screen.machine(screen.as_json(told, indent=2))
    else:
        width = max(len(each["member"]) for each in rows)
        screen.out([f"{name} ({group.removesuffix('s')}, {type(plugin).__module__}.{type(plugin).__qualname__})"])
        screen.out(f"  {each['member']:<{width}}  {each['is']:<8}  {each['problem'] or each['text']}" for each in rows)
    if wrong:
        first = next(iter(wrong))
        raise UsageError(f"{name}: the member {first!r} {wrong[first]}")
    return 0


def _row(places: tuple[Any, Any], member: Any, wrong: dict[str, str]) -> dict[str, str]:
    from ..members import has

    problem = wrong.get(member.name, "")
    state = "WRONG" if problem else "own" if any(has(each, member.name) for each in places) else "default"
    return {"member": member.name, "is": state, "text": " ".join(member.text.split()), "problem": problem}


def _group_of(name: str) -> registry.Group:
    """Return the group that has a name. Raises UsageError where none has, or several have."""
    found: list[registry.Group] = []
    for group in GROUPS:
        try:
            registry.resolve(group, name)
        except UsageError:
            continue
        found.append(group)
    if len(found) > 1:
        raise UsageError(f"{name} is the name of several plugins: give --group {' or '.join(found)}")
    if not found:
        raise UsageError(f"no plugin is called {name!r}: see janus-eval list")
    return found[0]
