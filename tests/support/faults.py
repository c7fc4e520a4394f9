"""What a process does to itself where its environment asks: killed at its N-th file operation, no room, no network."""

from __future__ import annotations

import atexit
import itertools
import os
import resource
import signal
import sys
from pathlib import Path
from typing import Any

_CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.link", "os.chmod", "os.truncate", "os.rmdir"}
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND
_NETWORK = {"socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "socket.bind"}


def _changes(event: str, args: tuple[Any, ...], root: str) -> bool:
    """Return whether an event of the interpreter changes what lies below `root`."""
    if event not in _CHANGES and event != "open":
        return False
    below = isinstance(args[0], str | os.PathLike) and os.fspath(args[0]).startswith(root)
    return below and (event != "open" or bool(args[2] & _WRITES))


def killed_at(root: str, at: int, tell: str) -> None:
    """Kill this process before its file operation number `at` below `root`; write to `tell` how many it made."""
    numbers, made = itertools.count(1), [0]

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if _changes(event, args, root):
            made[0] = next(numbers)
            if made[0] == at:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    if tell:
        atexit.register(lambda: Path(tell).write_text(str(made[0])))


def without_network(tell: str) -> None:
    """Refuse every connection and every look-up of an address, and write each to `tell`."""

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event in _NETWORK and not (len(args) > 1 and isinstance(args[1], str | bytes)):  # a path is a local socket
            with Path(tell).open("a") as file:
                file.write(f"{event} {args[1:]!r}\n")
            raise ConnectionRefusedError(f"no network here: {event}")

    sys.addaudithook(hook)


def without_room(most: int) -> None:
    """Let no file of this process grow past `most` bytes."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))


def tells_imports(tell: str) -> None:
    """Write to `tell`, at the end, which packages were imported."""
    atexit.register(lambda: Path(tell).write_text("\n".join(sorted({name.partition(".")[0] for name in sys.modules}))))


if "FAULTS_ROOT" in os.environ:
    killed_at(os.environ["FAULTS_ROOT"], int(os.environ.get("FAULTS_KILL_AT", "0")), os.environ.get("FAULTS_COUNT", ""))
if "FAULTS_NETWORK" in os.environ:
    without_network(os.environ["FAULTS_NETWORK"])
if "FAULTS_IMPORTS" in os.environ:
    tells_imports(os.environ["FAULTS_IMPORTS"])
if "FAULTS_FILE_SIZE" in os.environ:
    without_room(int(os.environ["FAULTS_FILE_SIZE"]))
