"""`janus-eval convert`: what another harness left, as the JSON lines that scoring reads."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from .. import screen
from ..errors import Incomplete
from ..files import dump, write_out
from ..types import Json
from . import flags
from .overview import Add


def add(command: Add) -> None:
    """Add the command's flags."""
    parser = command("convert", convert)
    parser.add_argument("file", type=flags.path, metavar="FILE", help="a file or folder as its harness leaves it")
    parser.add_argument("-o", "--out", type=flags.path, metavar="FILE", help="where the rows go (default: stdout)")
    parser.add_argument("-b", "--bench", default="", metavar="NAME", help="the suite, where a folder holds several")


def convert(args: argparse.Namespace) -> int:
    """Write one row a line and return the exit code; pictures in cells are left out, odd rows say what they are."""
    from ...benchmarks.reading.importers import take

    taken = take(args.file, args.bench)
    screen.say(f"{args.file}: read as {taken.told}")
    odd = [row for row in taken.rows if row.odd]
    for row in odd[:10]:
        screen.warn(
            "; ".join(f"{row.where}: {name and f'column {name!r} holds '}{why}" for name, why in row.odd.items())
        )
    lines = [dump(_told(row.fields, row.line, row.odd)) for row in taken.rows]
    if args.out is None:
        screen.out(lines)
    else:
        write_out(args.out, "".join(line + "\n" for line in lines).encode())
    return Incomplete.exit_code if odd else 0


def _told(fields: Mapping[str, Json], line: int, odd: Mapping[str, str]) -> dict[str, Json]:
    kept = {name: value for name, value in fields.items() if name not in odd and _is_json(value)}
    return kept | ({"line": line, "odd": dict(odd)} if odd else {})


def _is_json(value: Json) -> bool:
    """Return whether a cell can be written down: a picture that waits on disk cannot."""
    return value is None or isinstance(value, str | int | float | list | dict)
