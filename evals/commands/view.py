"""What `janus-eval view` does: a site of stored runs, as a folder or served on loopback."""

from __future__ import annotations

import argparse
import contextlib
import webbrowser

from .. import screen
from ..errors import UsageError
from . import flags
from .overview import Add


def add(command: Add) -> None:
    """Add the command's flags."""
    parser = command("view", view)
    parser.add_argument("runs", nargs="+", type=flags.path, metavar="RUN", help="run folders or an output folder")
    parser.add_argument("-o", "--out", type=flags.path, metavar="DIR", help="write the site there; default: serve it")
    parser.add_argument("--port", type=int, default=0, metavar="N", help="serve on 127.0.0.1:N (default: a free one)")
    parser.add_argument("--no-open", action="store_true", help="open no browser")
    parser.add_argument(
        "--reported", action="append", default=[], type=flags.path, metavar="FILE", help="numbers of your own (CSV)"
    )


def view(args: argparse.Namespace) -> int:
    """Write or serve the site and return the exit code."""
    from ...reports.view import serve, site

    if not 0 <= args.port <= 65535:
        raise UsageError(f"--port {args.port}: expected a number from 0 to 65535")
    if args.out is not None:
        for line in site.build(args.runs, args.out, own=args.reported):
            screen.say(f"warning: {line}")
        screen.out([f"{args.out / 'index.html'}"])
        return 0

    def ready(address: str) -> None:
        screen.say(f"{address} (Ctrl-C ends it)")
        if not args.no_open:
            webbrowser.open(address)

    with contextlib.suppress(KeyboardInterrupt):
        serve.serve(args.runs, args.port, own=args.reported, ready=ready, say=screen.say)
    return 0
