"""Joining a Ray cluster, or starting one on this machine: never a foreign one unasked, never without an answer."""

from __future__ import annotations

import os
import re
import secrets
import socket
import sys
from typing import Any

from .. import screen
from ..errors import EnvironmentProblem, UsageError
from ..interpreters import answer

_STORE = 256 * 2**20
"""Bytes of the object store of a cluster of our own: some batches; what does not fit is spilled to disk by Ray."""
_JOIN = "import ray, sys; ray.init(address=sys.argv[1], logging_level='ERROR', log_to_driver=False)"


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
    answer([sys.executable, "-c", _JOIN, address], f"the Ray cluster {address}")  # Ray itself may wait for ever
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


def _prepare() -> None:
    """Set what Ray reads from the environment: no reports of use, and all GPUs seen by who is given none by Ray."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
