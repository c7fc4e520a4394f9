"""The harness's side of a worker: its process, frames with a time limit, and how its end is told."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import shlex
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...evals.errors import SECRET, EnvironmentProblem, JanusEvalError
from ...evals.screen import clean
from . import janus_worker

BOOT = (
    "import os\nd=b''\nwhile b' ' not in d: d+=os.read(0,1) or b' '\nn=int(d or b'0');b=b''\n"
    "while len(b)<n: b+=os.read(0,n-len(b)) or os._exit(1)\n"
    "exec(compile(b,'janus_worker.py','exec'),dict(__name__='__main__'))"
)
"""What the interpreter runs: the worker's code itself comes first on its stdin."""
_BANNER = 64 << 10
"""Bytes before the worker's first word that are skipped: login banners, `module load`."""
_LOG = 64 << 20
"""A log that grew larger is begun anew."""
_PIPE = 1 << 20
_APART = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
_ALLOWED = ("HF_TOKEN",)
"""The one secret that a worker gets: gated weights need it."""


class WorkerEnded(JanusEvalError):
    """The worker's process ended, hung or spoke nonsense; it is gone."""

    killed = False
    """Whether a signal ended it that nobody here sent."""


class Channel:
    """A worker's process. Each call has a patience in seconds; what goes wrong ends the process (WorkerEnded)."""

    def __init__(self, command: Sequence[str], log: Path) -> None:
        self.log = log
        self._seen = b""
        """What was printed before the worker's first word, and that."""
        log.parent.mkdir(parents=True, exist_ok=True)
        try:
            with log.open("ab") as words:
                self._process = subprocess.Popen(
                    _whole(command),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=words,  # a file, never a pipe: nobody need read it
                    bufsize=0,
                    env=_environment(os.environ),
                    start_new_session=True,
                )
        except OSError as error:
            raise EnvironmentProblem(f"the worker's program {command[0]!r} does not start: {error.strerror}") from error
        self._in, self._out = self._process.stdin, self._process.stdout
        assert self._in is not None and self._out is not None
        for each in (self._in, self._out):
            os.set_blocking(each.fileno(), False)
            with contextlib.suppress(OSError, AttributeError):
                fcntl.fcntl(each.fileno(), fcntl.F_SETPIPE_SZ, _PIPE)

    def greet(self, hello: Mapping[str, Any], code: bytes | None, patience: float) -> dict[str, Any]:
        """Send the worker's code and the hello, and return what it answers, whatever was printed before."""
        source = Path(janus_worker.__file__).read_bytes()
        self._write(b"%d " % len(source) + source, patience)
        self.send(dict(hello), () if code is None else (code,), patience)
        until = time.monotonic() + patience
        while not self._seen.endswith(janus_worker.MAGIC):
            if len(self._seen) > _BANNER:
                raise self._end("is no worker")
            self._seen += self._take(1, until, patience)
        return self.receive(patience)[0]

    def send(self, message: dict[str, Any], blobs: Sequence[bytes], patience: float) -> None:
        """Send one frame."""
        for piece in janus_worker.pack(message, blobs):
            self._write(piece, patience)

    def receive(self, patience: float) -> tuple[dict[str, Any], list[Any]]:
        """Return the next frame."""
        until = time.monotonic() + patience
        try:
            frame = janus_worker.unpack(lambda size: self._take(size, until, patience))
        except (ValueError, RecursionError) as error:
            raise self.damaged(clean(str(error))[:200]) from error
        if self.log.stat().st_size > _LOG:
            os.truncate(self.log, 0)  # the worker appends
        return frame

    def damaged(self, what: str) -> WorkerEnded:
        """End a worker that answers something else than was asked, and return the error."""
        return self._end(f"spoke nonsense, the channel is damaged ({what})")

    def close(self, patience: float = 5) -> None:
        """Let the worker end, and kill it where it does not."""
        if self._process.poll() is None:
            with contextlib.suppress(WorkerEnded):
                self.send({"do": "close"}, (), patience)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(patience)
        if self._process.poll() == 0:  # of one that ended as it should nobody need read
            self.log.unlink(missing_ok=True)
        self._kill()

    def _write(self, data: Any, patience: float) -> None:
        assert self._in is not None
        view, until = memoryview(data).cast("B"), time.monotonic() + patience
        while view:
            self._wait(self._in.fileno(), select.POLLOUT, until, patience)
            try:
                view = view[os.write(self._in.fileno(), view) :]
            except BlockingIOError:
                continue
            except OSError as error:
                raise self._end("ended") from error

    def _take(self, size: int, until: float, patience: float) -> bytearray:
        assert self._out is not None
        data = bytearray(size)
        view = memoryview(data)
        while view:
            self._wait(self._out.fileno(), select.POLLIN, until, patience)
            got = os.readv(self._out.fileno(), [view])
            if not got:
                raise self._end("ended")
            view = view[got:]
        return data

    def _wait(self, stream: int, event: int, until: float, patience: float) -> None:
        poll = select.poll()
        poll.register(stream, event)
        if not poll.poll(max(0.0, until - time.monotonic()) * 1000):
            raise self._end(f"made no progress for {patience:g} s and was killed")

    def _end(self, what: str) -> WorkerEnded:
        """Kill the process and return the error that tells how it went."""
        killed = False
        if what == "ended":
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(5)
            code = self._process.poll()
            killed = code is not None and code < 0
            what = "closed its output" if code is None else f"ended ({_how(code)})"
        printed = ""
        if self._out is not None and not self._seen.endswith(janus_worker.MAGIC):
            with contextlib.suppress(OSError):
                self._seen += os.read(self._out.fileno(), 60)
            printed = f"; it printed {clean(repr(bytes(self._seen[:60])))}" if self._seen else ""
        self._kill()
        last = f"; its last words: {words}" if (words := _last_words(self.log)) else ""
        error = WorkerEnded(f"the worker {what}{printed}{last}; log: {self.log}")
        error.killed = killed
        return error

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for each in (self._in, self._out):
            if each is not None:
                with contextlib.suppress(OSError):
                    each.close()


def _whole(command: Sequence[str]) -> list[str]:
    """Return the command with what its interpreter is to run; a remote shell reads it once more."""
    boot = shlex.quote(BOOT) if Path(command[0]).name == "ssh" else BOOT
    return [*command, "-I", "-c", boot]


def _environment(own: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without what points into the harness's own packages, and without secrets."""
    return {
        name: value
        for name, value in own.items()
        if name not in _APART and (name in _ALLOWED or not SECRET.search(name))
    }


def _how(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    with contextlib.suppress(ValueError):
        return f"signal {-code}, {signal.Signals(-code).name}"
    return f"signal {-code}"


def _last_words(log: Path) -> str:
    """Return the last line of a log that says something."""
    with contextlib.suppress(OSError), log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 4096))
        lines = file.read().decode("utf-8", "replace").splitlines()
        return next((clean(each.strip())[:300] for each in reversed(lines) if each.strip()), "")
    return ""
