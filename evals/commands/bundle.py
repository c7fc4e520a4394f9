"""`janus-eval bundle`: what runs need, carried in one file to a machine without a network."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .. import screen
from ..errors import UsageError
from . import flags, spelling
from .overview import Add

if TYPE_CHECKING:
    from ..assets.bundle import Manifest
    from ..types import Json


def add(command: Add) -> None:
    """Add the command's flags."""
    parser = command("bundle", bundle)
    parser.add_argument("action", choices=("create", "import", "list", "verify"))
    parser.add_argument("file", type=flags.path, metavar="FILE.tar", help="the bundle")
    group = parser.add_argument_group("create: what is carried")
    for letter, name, told in (("-m", "model", "what these models need"), ("-b", "bench", "what these suites need")):
        group.add_argument(letter, f"--{name}", action="append", default=[], metavar="NAME", help=f"{told} (as in run)")
    group.add_argument("-a", "--model-args", action="append", default=[], metavar="K=V", help="options of the model")
    group.add_argument("--bench-args", action="append", default=[], metavar="K=V", help="options of suites, scorers")
    group.add_argument("--data", metavar="PATH", help="the benchmarks' data, as in run")
    told = "an asset by name, hub:ORG/NAME or hub-dataset:ORG/NAME (repeat)"
    group.add_argument("--asset", action="append", default=[], type=flags.words, metavar="NAME", help=told)
    group.add_argument("--wheels", type=flags.path, metavar="DIR", help="a folder of wheels too (from pip download)")
    group.add_argument("--offline", action="store_true", help="take what is here, fetch nothing")
    told = "import: where wheels are put (default: wheels)"
    parser.add_argument("--wheels-to", type=flags.path, default=Path("wheels"), metavar="DIR", help=told)
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def bundle(args: argparse.Namespace) -> int:
    """Carry out one action and return the exit code."""
    from ..assets import unbundle

    if args.action == "create":
        return _create(args)
    if args.action == "import":
        manifest, done = unbundle.unpack(args.file, args.wheels_to)
        told = f"{args.file}: {len(done.new)} files put in place, {len(done.there)} were there already"
        told += f", {len(done.replaced)} stand for others now" if done.replaced else ""
        more: dict[str, Json] = {"new": done.new, "there": done.there, "replaced": done.replaced}
        return _say(args, manifest, [told, *_next(manifest, args.wheels_to)], more)
    manifest = unbundle.verify(args.file) if args.action == "verify" else unbundle.read(args.file)
    told = "whole: every file has the digest that stands in it" if args.action == "verify" else "as it says; not read"
    return _say(args, manifest, [*_listing(manifest), "", told], {})


def _create(args: argparse.Namespace) -> int:
    from ..assets import bundle as bundles
    from ..assets import fetch
    from ..environment import harness_version

    if bool(args.model) != bool(args.bench):
        raise UsageError("bundle create: -m and -b go together: what a run needs is known of both")
    if not (args.model or args.asset or args.wheels):
        raise UsageError("bundle create: give -m and -b, --asset NAME, or --wheels DIR")
    names = [*args.asset, *_assets_of(args)]
    for name in dict.fromkeys(names):
        screen.say(f"{name}: {fetch.fetch(name, offline=args.offline)}")
    manifest = bundles.gather(names, args.wheels, command=_run(args), version=harness_version())
    kept = bundles.write(args.file, manifest)
    told = f"{args.file}: {manifest.size / 1e9:,.2f} GB" + (f", {kept / 1e9:,.2f} of them from before" if kept else "")
    return _say(args, manifest, [*_listing(manifest), "", told], {"kept": kept})


def _assets_of(args: argparse.Namespace) -> list[str]:
    """Return the assets that runs of the named models and suites read."""
    if not args.model:
        return []
    from ..plan import assets_of
    from ..request import Machine, Request

    request = Request(
        tuple(spelling.names("models", flags.split_names(args.model))),
        tuple(spelling.names("benchmarks", flags.split_names(args.bench))),
        model_options=flags.key_values(args.model_args, "--model-args"),
        options=flags.key_values(args.bench_args, "--bench-args"),
        data=args.data,
        machine=Machine(offline=True),
    )
    return assets_of(request)


def _run(args: argparse.Namespace) -> str:
    """Return the command that the bundle is for."""
    if not args.model:
        return ""
    words = ["janus-eval", "run", "--offline"]
    for flag, values in (("-m", args.model), ("-b", args.bench), ("-a", args.model_args)):
        words += [word for each in values for word in (flag, each)]
    words += [word for each in args.bench_args for word in ("--bench-args", each)]
    return shlex.join([*words, *(["--data", args.data] if args.data else [])])


def _listing(manifest: Manifest) -> list[str]:
    sizes: dict[str, int] = {}
    for each in manifest.members:
        start = "/".join(each.name.split("/")[:2])
        sizes[start] = sizes.get(start, 0) + each.size
    wide = max(map(len, sizes), default=0)
    lines = [f"{name:<{wide}}  {size / 1e6:>12,.1f} MB" for name, size in sizes.items()]
    return [*lines, "", *(f"{name}: licence: {licence}" for name, licence in manifest.assets.items())]


def _next(manifest: Manifest, wheels: Path) -> list[str]:
    lines: list[str] = []
    if any(each.name.startswith("wheels/") for each in manifest.members):
        what = "janus-eval" + "[all]"  # of the wheels, whatever this installation is of
        lines.append(f"install: pip install --no-index --find-links {shlex.quote(str(wheels))} '{what}'")
    return [*lines, *([f"then: {manifest.command}"] if manifest.command else [])]


def _say(args: argparse.Namespace, manifest: Manifest, lines: Sequence[str], more: dict[str, Json]) -> int:
    if args.json:
        row: dict[str, Json] = {"file": str(args.file), "bytes": manifest.size, "assets": dict(manifest.assets)}
        row |= {"command": manifest.command, "janus-eval": manifest.version}
        row["files"] = [{"name": each.name, "bytes": each.size, "sha256": each.sha256} for each in manifest.members]
        screen.machine(screen.as_json(row | more, indent=2))
    else:
        screen.out(lines)
    return 0
