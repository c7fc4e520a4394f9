"""What `janus-eval env` does: build, list, check and remove the environments that workers run in."""

from __future__ import annotations

import argparse

from ...models.workers import environments
from .. import registry, screen
from ..errors import UsageError
from . import flags
from .overview import Add


def add(command: Add) -> None:
    """Add the command's flags."""
    parser = command("env", env)
    parser.add_argument("action", choices=("create", "list", "check", "rm"))
    parser.add_argument("name", nargs="?", metavar="NAME", help="a model that runs in one: a name, or worker:FILE.py")
    parser.add_argument("--python", default="", metavar="PATH", help="create: the Python to build it on")
    parser.add_argument("--wheels", type=flags.path, metavar="DIR", help="create: take packages from this folder alone")
    parser.add_argument(
        "--source", type=flags.path, metavar="PATH", help="create: a checkout, folder or archive of its code"
    )
    parser.add_argument("--offline", action="store_true", help="create: never touch the network")
    parser.add_argument("--force", action="store_true", help="create: build it anew")
    parser.add_argument("--json", action="store_true", help="list: print JSON")


def env(args: argparse.Namespace) -> int:
    """Carry out one `env` action and return the exit code."""
    if args.action == "list":
        return _list(as_json=args.json)
    if args.name is None:
        raise UsageError(f"env {args.action} needs a name: see `janus-eval env list`")
    if args.action == "rm":
        screen.out(f"removed {each}" for each in environments.remove(args.name))
        return 0
    recipe = _recipe(args.name)
    if args.action == "check":
        screen.out([environments.check(recipe)])
        return 0
    if recipe.repository is not None:
        taken = recipe.repository
        screen.say(f"{recipe.name} runs the code of {taken.address} at {taken.commit[:10]} ({taken.licence})")
    means = environments.Means(
        python=args.python, wheels=args.wheels, source=args.source, offline=args.offline, force=args.force
    )
    screen.out([str(environments.create(recipe, means))])
    return 0


def _recipe(name: str) -> environments.Recipe:
    """Return the recipe of a registered model; nothing of it is started. Raises UsageError for one that has none."""
    recipe = getattr(registry.create("models", name), "recipe", None)
    if not isinstance(recipe, environments.Recipe):
        raise UsageError(f"{name} runs in this process: it needs no environment of its own")
    return recipe


def _list(*, as_json: bool) -> int:
    rows = environments.built()
    if as_json:
        screen.machine(screen.as_json(rows, indent=2))
        return 0
    width = max((len(str(each["name"])) for each in rows), default=0)
    screen.out(f"{each['name']:<{width}}  {each['state']:<10}  {each['path']}" for each in rows)
    return 0
