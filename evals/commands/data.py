"""What `janus-eval data` does: list, fetch, verify and locate assets; export a generated suite."""

from __future__ import annotations

import argparse
import json
import sys

from .. import members, registry
from ..assets import fetch as assets
from ..errors import EnvironmentProblem, UsageError


def data(args: argparse.Namespace) -> int:
    """Carry out one `data` action and return the exit code."""
    if args.action == "list":
        return _list(as_json=args.json)
    if args.name is None:
        raise UsageError(f"data {args.action} needs a name: see `janus-eval data list`")
    if args.action == "export":
        return _export(args)
    if args.action == "fetch":
        print(assets.fetch(args.name, offline=args.offline))
    elif args.action == "verify":
        print(assets.verify(args.name))
    else:
        path = assets.locate(args.name)
        if path is None:
            raise EnvironmentProblem(f"{args.name} is not on this machine: janus-eval data fetch {args.name}")
        print(path)
    return 0


def _export(args: argparse.Namespace) -> int:
    name = registry.resolve("benchmarks", args.name)
    chosen = {key: value for key, value in (("seed", args.seed), ("size", args.size)) if value is not None}
    content = members.benchmark(registry.create("benchmarks", name), name).data_export(**chosen)
    if args.out is None:
        sys.stdout.buffer.write(content)
        return 0
    try:
        args.out.write_bytes(content)
    except OSError as error:
        raise EnvironmentProblem(f"cannot write {args.out}: {error.strerror}") from error
    return 0


def _list(*, as_json: bool) -> int:
    rows = [
        {
            "name": each.name,
            "kind": each.kind,
            "path": str(path) if (path := assets.locate(each)) else None,
            "from": each.urls[0] if each.urls else ", ".join(each.hub),
            "licence": each.licence,
        }
        for each in assets.list_assets()
    ]
    if as_json:
        print(json.dumps(rows, indent=2))
        return 0
    width = max(len(row["name"] or "") for row in rows)
    print("\n".join(f"{row['name']:<{width}}  {row['kind']:<7}  {row['path'] or 'not here'}" for row in rows))
    return 0
