"""What `janus-eval data` does: list, fetch, verify and locate assets; export a generated suite."""

from __future__ import annotations

import argparse

from .. import members, registry, screen
from ..assets import fetch as assets
from ..errors import EnvironmentProblem, UsageError
from ..files import write_out
from ..types import Json
from . import flags, terminal
from .overview import Add
from .shelf import size as in_words


def add(command: Add) -> None:
    """Add the command's flags."""
    parser = command("data", data)
    parser.add_argument("action", choices=("list", "fetch", "verify", "path", "export"))
    parser.add_argument("name", nargs="?", help="an asset, or the benchmark to export")
    parser.add_argument("-o", "--out", type=flags.path, metavar="FILE", help="where `export` writes (default: stdout)")
    parser.add_argument("--seed", type=int, default=None, help="seed of an exported suite")
    parser.add_argument("--size", type=int, default=None, help="size of an exported suite")
    parser.add_argument("--offline", action="store_true", help="never touch the network")
    parser.add_argument("--json", action="store_true", help="print JSON")


def data(args: argparse.Namespace) -> int:
    """Carry out one `data` action and return the exit code."""
    if args.action == "list":
        return _list(as_json=args.json)
    if args.name is None:
        raise UsageError(f"data {args.action} needs a name: see `janus-eval data list`")
    if args.action == "export":
        return _export(args)
    if args.action == "fetch":
        screen.out([str(assets.fetch(args.name, offline=args.offline))])
    elif args.action == "verify":
        screen.out([assets.verify(args.name)])
    else:
        path = assets.locate(args.name)
        if path is None:
            raise EnvironmentProblem(f"{args.name} is not on this machine: janus-eval data fetch {args.name}")
        screen.out([str(path)])
    return 0


def _export(args: argparse.Namespace) -> int:
    name = registry.resolve("benchmarks", args.name)
    chosen = {key: value for key, value in (("seed", args.seed), ("size", args.size)) if value is not None}
    content = members.benchmark(registry.create("benchmarks", name), name).data_export(**chosen)
    if args.out is None:
        screen.binary(content)
        return 0
    write_out(args.out, content)
    return 0


def _list(*, as_json: bool) -> int:
    rows: list[dict[str, Json]] = [
        {
            "name": each.name,
            "kind": each.kind,
            "path": str(path) if (path := assets.locate(each)) else None,
            "bytes": each.size,
            "from": each.urls[0] if each.urls else ", ".join(each.hub),
            "licence": each.licence,
            "note": each.note,
        }
        for each in assets.list_assets()
    ]
    if as_json:
        screen.machine(screen.as_json(rows, indent=2))
        return 0
    cells = [("NAME", "ABOUT", "HERE", "LICENCE")]
    for row in rows:
        size = in_words(row["bytes"]) if row["bytes"] else "?"
        cells.append((row["name"], size, "yes" if row["path"] else "no", row["licence"]))
    wide = [max(len(each[column]) for each in cells) for column in range(3)]
    for name, size, here, licence in cells:
        screen.out(terminal.hung(f"{name:<{wide[0]}}  {size:>{wide[1]}}  {here:<{wide[2]}}  ", licence))
    screen.out(["", "where one lies: janus-eval data path NAME"])
    return 0
