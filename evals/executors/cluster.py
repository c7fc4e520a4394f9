"""Joining a Ray cluster, or starting one on this machine: never a foreign one unasked, never without an answer."""

from __future__ import annotations

import os
import re
import secrets
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from .. import screen
from ..errors import EnvironmentProblem, UsageError

_PATIENCE = 40
"""Seconds for a cluster, or another interpreter, to answer."""
_STORE = 256 * 2**20
"""Bytes of the object store of a cluster of our own: some batches; what does not fit is spilled to disk by Ray."""
_JOIN = "import ray, sys; ray.init(address=sys.argv[1], logging_level='ERROR', log_to_driver=False)"
_ASK = "import ray, janus_eval, sys; print(ray.__version__, '%d.%d' % sys.version_info[:2])"


def connect(address: str, workers: int) -> bool:
    """Join the cluster at `address`; `local` starts one for this command alone, with room for so many workers.

    Return whether it is ours to leave: False where the caller has joined one already. Raises EnvironmentProblem where
    it does not answer, or has another Ray or Python.
    """
    _prepare()
    import ray

    if ray.is_initialized():
        return False
    quiet: dict[str, Any] = {"logging_level": "ERROR", "log_to_driver": False}
    if address == "local":
        cpus = max(os.cpu_count() or 1, workers)
        if "RAY_AUTH_TOKEN_PATH" not in os.environ:  # Ray would write one into the home folder, which may take none
            os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
        ray.init(address="local", num_cpus=cpus, object_store_memory=_STORE, include_dashboard=False, **quiet)
        return True
    if address != "auto" and not re.fullmatch(r"[^\s:/]+:[0-9]{1,5}", address):
        raise UsageError(f"--ray-address {address!r}: expected local, auto or HOST:PORT")
    if address != "auto":
        _reach(address)
    _run([sys.executable, "-c", _JOIN, address], f"the Ray cluster {address}")  # Ray itself may wait for ever
    found: Any = ray.init(address=address, **quiet)
    told = f"joined the Ray cluster {found.address_info['gcs_address']}"
    screen.say(f"{told}, dashboard http://{found.dashboard_url}" if found.dashboard_url else told)
    return True


def _reach(address: str) -> None:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, min(int(port), 65535)), timeout=10).close()
    except OSError as error:
        raise EnvironmentProblem(f"the Ray cluster {address} cannot be reached: {error}") from error


def disconnect() -> None:
    """Leave the cluster; one of our own ends."""
    import ray

    ray.shutdown()


def check_python(path: Path) -> None:
    """Raise EnvironmentProblem for an interpreter in which no worker of this run could live."""
    _prepare()
    import ray

    ours = (ray.__version__, f"{sys.version_info[0]}.{sys.version_info[1]}")
    told = _run([str(path), "-c", _ASK], f"--model-python {path}").split()
    if tuple(told) != ours:
        raise EnvironmentProblem(
            f"--model-python {path} has Ray {told[0]} on Python {told[-1]}, here they are {ours[0]} and {ours[1]}, and "
            "Ray wants the same: run the model as shards under that interpreter, or behind an endpoint"
        )


def _prepare() -> None:
    """Set what Ray reads from the environment: no reports of use, and all GPUs seen by who is given none by Ray."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")


def _run(command: list[str], who: str) -> str:
    """Return what a short program says. Raises EnvironmentProblem with its last line, or that it does not answer."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE, check=False)
    except subprocess.TimeoutExpired:
        raise EnvironmentProblem(f"{who} does not answer within {_PATIENCE} s") from None
    except OSError as error:
        raise EnvironmentProblem(f"{who} cannot be started: {error.strerror}") from error
    if done.returncode:
        raise EnvironmentProblem(f"{who} cannot be used: {_last(done.stderr) or f'exit code {done.returncode}'}")
    return done.stdout


def _last(text: str) -> str:
    """Return the last error that a program printed, on one line, all of its lines."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [place for place, line in enumerate(lines) if re.match(r"[\w.]+(Error|Exception)\b", line)]
    return " ".join(lines[errors[-1] if errors else -1 :])[:400]
