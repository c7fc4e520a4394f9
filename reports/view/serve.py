"""A site served on loopback, built again whenever its runs have changed."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Sequence
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from ...evals.errors import EnvironmentProblem, JanusEvalError
from .runs import stamp
from .site import build

_PAUSE = 3.0
"""Seconds between two looks at the runs."""


class _Quiet(SimpleHTTPRequestHandler):
    """Serves the site's files to this machine alone, and says nothing of it."""

    def do_GET(self) -> None:
        """Refuse a name that is not this machine's: a page elsewhere may not read the site through DNS."""
        host = (self.headers.get("Host") or "").rpartition(":")[0]
        if host not in ("127.0.0.1", "localhost"):
            self.send_error(403)
            return
        super().do_GET()

    def end_headers(self) -> None:
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        super().end_headers()

    def list_directory(self, path: Any) -> None:
        self.send_error(404)

    def log_message(self, format: str, *args: Any) -> None:
        pass


def serve(
    paths: Sequence[Path],
    port: int,
    *,
    own: Sequence[Path] = (),
    ready: Callable[[str], None],
    say: Callable[[str], None],
    stop: threading.Event | None = None,
) -> None:
    """Serve the site of the runs in `paths` until interrupted (or `stop` is set); `ready` is told its address.

    Raises EnvironmentProblem where the port is taken.
    """
    ended = stop or threading.Event()
    with tempfile.TemporaryDirectory(prefix="janus-eval-view-") as folder:
        out = Path(folder)
        known = stamp(paths)
        for line in build(paths, out, own=own, live=True):
            say(f"warning: {line}")
        _version(out, 0)
        try:
            server = ThreadingHTTPServer(("127.0.0.1", port), partial(_Quiet, directory=folder))
        except OSError as error:
            raise EnvironmentProblem(
                f"port {port} cannot be served: {error.strerror}; choose another --port"
            ) from error
        with server:
            thread = threading.Thread(target=server.serve_forever, daemon=True)
            thread.start()
            ready(f"http://127.0.0.1:{server.server_address[1]}/")
            number = 0
            try:
                while not ended.wait(_PAUSE):
                    now = stamp(paths)
                    if now != known:
                        known, number = now, number + 1
                        try:
                            build(paths, out, own=own, live=True)
                        except JanusEvalError as error:  # a file that is written just now: the next look sees it whole
                            say(f"warning: {error}")
                        _version(out, number)
            finally:
                server.shutdown()


def _version(out: Path, number: int) -> None:
    (out / "data" / "live.js").write_text(f"janus.live({number});\n", encoding="ascii")
