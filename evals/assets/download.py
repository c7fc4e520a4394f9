"""One file over HTTP: resumed where it stopped, whole or not at all."""

from __future__ import annotations

import contextlib
import email.utils
import errno
import http.client
import json
import os
import re
import shutil
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from ..errors import EnvironmentProblem

_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to insist: failures in a row without a new byte, and waits in seconds."""

    tries: int = 5
    first_wait: float = 1.0
    longest_wait: float = 60.0
    timeout: float = 30.0


class Unreachable(EnvironmentProblem):
    """One address did not give the file; the next one may."""


@dataclass(slots=True)
class _Part:
    """A file on its way: the bytes so far and what says that the next ones belong to them."""

    path: Path
    url: str
    validator: str | None = None

    @property
    def note(self) -> Path:
        return self.path.with_name(self.path.name + ".json")

    @property
    def have(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def open(self, *, trusted: bool) -> None:
        """Keep the bytes on disk only where they come from this address and can be continued."""
        try:
            note = json.loads(self.note.read_text())
            self.validator = note["validator"] if note["url"] == self.url else None
            keep = note["url"] == self.url and (self.validator is not None or trusted)
        except (OSError, ValueError, KeyError, TypeError):
            keep = False
        if not keep:
            self.drop()

    def begin(self, validator: str | None) -> None:
        self.validator = validator
        self.note.write_text(json.dumps({"url": self.url, "validator": validator}))

    def drop(self) -> None:
        self.validator = None
        self.path.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)


def download(
    url: str,
    part: Path,
    *,
    label: str,
    trusted: bool = False,
    progress: bool = True,
    patience: Patience | None = None,
) -> None:
    """Bring `url` to the file `part`, going on where an earlier try stopped.

    `trusted` says that the caller checks the content's digest afterwards, so that bytes may be
    joined even where the server names no version of them. A server that ignores Range makes the
    file start anew. Raises Unreachable where this address does not give the file and
    EnvironmentProblem where the disk does not take it.
    """
    if urlsplit(url).scheme not in ("http", "https"):
        raise Unreachable(f"{label}: only http and https addresses are fetched, not {shown(url)}")
    patience = patience or Patience()
    state = _Part(part, url)
    with _disk_errors(label, part):
        part.parent.mkdir(parents=True, exist_ok=True)
        state.open(trusted=trusted)
        with _bar(label, progress) as tick:
            _insist(state, label, patience, tick)
        state.note.unlink(missing_ok=True)


def shown(url: str) -> str:
    """Return `url` as it may stand in a message: without user, password, query and fragment."""
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname or ''}{port}{parts.path}"


def _insist(state: _Part, label: str, patience: Patience, tick: Callable[[int, int | None], None]) -> None:
    failures = 0
    while True:
        before = state.have
        wait = min(patience.first_wait * 2**failures, patience.longest_wait)
        try:
            if _once(state, label, patience.timeout, tick):
                return
            reason = "the connection ended early"
        except urllib.error.HTTPError as error:
            if error.code not in (408, 425, 429, 500, 502, 503, 504):
                raise Unreachable(f"{label}: {shown(state.url)} answered {error.code} {error.reason}") from error
            reason = f"the server answered {error.code} {error.reason}"
            wait = min(retry_after(error.headers.get("Retry-After")) or wait, patience.longest_wait)
        except urllib.error.URLError as error:
            # Nothing was reached (no network, no such host, refused): waiting does not mend it.
            raise Unreachable(f"{label}: {shown(state.url)} cannot be reached: {error.reason}") from error
        except (TimeoutError, ConnectionError, http.client.HTTPException) as error:
            reason = f"the connection broke ({type(error).__name__})"
        failures = 0 if state.have > before else failures + 1
        if failures >= patience.tries:
            raise Unreachable(f"{label}: {shown(state.url)}: {reason}, {failures} times without a new byte")
        time.sleep(wait)


def _once(state: _Part, label: str, timeout: float, tick: Callable[[int, int | None], None]) -> bool:
    """Ask once for what is missing; return whether the file is whole."""
    have = state.have
    headers = {"User-Agent": "janus-eval", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
        if state.validator:
            headers["If-Range"] = state.validator
    try:
        # `download` has refused every scheme but http and https.
        response = urllib.request.urlopen(urllib.request.Request(state.url, headers=headers), timeout=timeout)
    except urllib.error.HTTPError as error:
        if error.code == 416 and have:
            if _total(error.headers.get("Content-Range")) == have:
                return True
            state.drop()
            return False
        raise
    with response:
        if response.headers.get_content_type() == "text/html" and not state.url.endswith((".html", ".htm")):
            raise Unreachable(f"{label}: {shown(state.url)} answered a web page, not the file")
        length = response.headers.get("Content-Length")
        resumed = response.status == 206 and _start(response.headers.get("Content-Range")) == have
        if response.status == 206 and not resumed:
            state.drop()
            return False
        if not resumed:
            state.drop()
            have = 0
            tag = response.headers.get("ETag")
            # A weak tag does not promise equal bytes.
            strong = tag if tag and not tag.startswith("W/") else None
            state.begin(strong or response.headers.get("Last-Modified"))
        expected = have + int(length) if length else None
        _room(label, state.path, (expected or 0) - have)
        with state.path.open("ab") as file:
            while block := response.read(_BLOCK):
                file.write(block)
                have += len(block)
                tick(have, expected)
            file.flush()
            os.fsync(file.fileno())
    return expected is None or have == expected


def retry_after(value: str | None) -> float | None:
    """Return the seconds that a Retry-After header asks for, given as a number or as a date."""
    if not value:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None


def _start(content_range: str | None) -> int | None:
    match = re.match(r"bytes (\d+)-", content_range or "")
    return int(match[1]) if match else None


def _total(content_range: str | None) -> int | None:
    match = re.search(r"/(\d+)$", content_range or "")
    return int(match[1]) if match else None


def _room(label: str, path: Path, needed: int) -> None:
    free = shutil.disk_usage(path.parent).free
    if needed > free:
        raise EnvironmentProblem(
            f"{label} needs {needed / 1e9:.2f} GB in {path.parent}, where {free / 1e9:.2f} GB are free: "
            "free some space or set JANUS_EVAL_CACHE to another disk"
        )


@contextlib.contextmanager
def _disk_errors(label: str, part: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise EnvironmentProblem(
                f"{label}: the disk under {part.parent} is full: free some space or set JANUS_EVAL_CACHE to "
                "another disk; fetching again goes on where this stopped"
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR):
            raise EnvironmentProblem(
                f"{label}: {part.parent} cannot be written ({error.strerror}): "
                "set JANUS_EVAL_CACHE to a folder of yours"
            ) from error
        raise


@contextlib.contextmanager
def _bar(label: str, progress: bool) -> Generator[Callable[[int, int | None], None]]:
    """Yield `tick(bytes so far, bytes in all or None)`; it draws only on a terminal."""
    if not (progress and sys.stderr.isatty()):
        yield lambda have, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as shown_bar:
        task = shown_bar.add_task(label, total=None)

        def tick(have: int, total: int | None) -> None:
            shown_bar.update(task, completed=have, total=total)

        yield tick
