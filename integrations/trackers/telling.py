"""Telling trackers, each in a process of its own: what one of them does moves neither the run nor this process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from ...evals import registry
from ...evals.errors import EnvironmentProblem, JanusEvalError, UsageError, without_secrets
from ...evals.screen import clean
from .told import OFFLINE, Tracker, told

PATIENCE = 300.0
"""How many seconds a tracker may take for one run."""
# sys.path as this process has it: plugins are found in the other too, and nothing is taken from its folder.
_START = (
    "import sys; sys.path[:] = sys.argv.pop().split('\\n'); "
    "from janus_eval.integrations.trackers.telling import child; child()"
)


class Trackers:
    """The trackers of one command, asked before the start and told after each run.

    Raises UsageError for a name that is none, EnvironmentProblem where one lacks something.
    """

    def __init__(self, names: Sequence[str], patience: float = PATIENCE, *, offline: bool = False) -> None:
        self._patience = patience
        self._environment = os.environ | ({OFFLINE: "1"} if offline else {})
        self._names = list(dict.fromkeys(registry.resolve("trackers", each) for each in names))
        for each in self._names:
            self._ask(each)

    def tell(self, folder: Path) -> list[str]:
        """Tell every tracker of a finished run and return a line for each that failed."""
        lines: list[str] = []
        for each in list(self._names):
            try:
                self._ask(each, folder)
            except _Silent as error:
                self._names.remove(each)
                lines.append(f"warning: {error}: it is told no more; the run is whole")
            except JanusEvalError as error:
                lines.append(f"warning: {error}: the run is whole; the same command again tells it")
        return lines

    def _ask(self, name: str, folder: Path | None = None) -> None:
        """Have a process make the tracker, and tell it of `folder`. Raises what went wrong there."""
        who = f"tracker {name.partition(':')[0]}"
        command = [sys.executable, "-c", _START, name, str(folder.resolve() if folder else ""), "\n".join(_paths())]
        try:
            said, code = self._answer(command)
        except OSError as error:  # no process, or no room for its answer
            raise EnvironmentProblem(f"{who} cannot be started: {error.strerror}") from error
        except subprocess.TimeoutExpired:
            raise _Silent(f"{who} gave no answer in {self._patience:g} s") from None
        _raise(who, said, code)

    def _answer(self, command: Sequence[str]) -> tuple[bytes, int]:
        """Return what a process wrote on stdout, and its exit code; whatever ends this one's wait ends it too."""
        with tempfile.TemporaryFile() as reply, tempfile.TemporaryFile() as chatter:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=reply,
                stderr=chatter,
                env=self._environment,
                start_new_session=True,
            )
            try:
                code = process.wait(self._patience)
            finally:
                if process.poll() is None:
                    _kill(process)
            reply.seek(0)
            return reply.read(1 << 16), code


class _Silent(EnvironmentProblem):
    """A tracker that does not answer."""


def _paths() -> list[str]:
    return [str(Path(each).resolve()) for each in sys.path if "\n" not in each]


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a tracker and what it started."""
    with suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.wait()


def _raise(who: str, said: bytes, code: int) -> None:
    """Raise the error that a tracker's process told, or that it ended without a word."""
    try:
        answer = json.loads(said)
        problem, kind = str(answer["error"]), answer["kind"]
    except (ValueError, TypeError, KeyError):
        raise EnvironmentProblem(f"{who} ended its process (exit code {code})") from None
    if problem:
        raise (UsageError if kind == "UsageError" else EnvironmentProblem)(f"{who}: {problem}")


def child() -> None:
    """Be a tracker's process: make it, tell it, say on stdout how it went."""
    name, folder = sys.argv[1:3]
    reply = os.dup(1)
    os.dup2(2, 1)  # what a library prints is no answer
    problem, kind = "", ""
    try:
        tracker: Tracker = registry.create("trackers", name)
        if folder:
            with tempfile.TemporaryDirectory(prefix="janus-eval-") as room:
                tracker.tell(told(Path(folder), Path(room)))
    except BaseException as error:
        problem = str(error) if isinstance(error, JanusEvalError) else f"{type(error).__name__}: {error}"
        target = name.partition(":")[2]
        if "@" in target:  # an address with a password
            problem = problem.replace(target, "***")
        problem, kind = clean(" ".join(without_secrets(problem).split()))[:300], type(error).__name__
    os.write(reply, json.dumps({"error": problem, "kind": kind}).encode())
    os._exit(0)  # a thread that a library left behind holds nothing up
