"""Another Python for the model (`--model-python`): what it has, and in which way the model runs under it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from .errors import EnvironmentProblem
from .request import Machine

OPTION = "model_python"
"""What an executor's options call it."""
WORKER = "worker:janus_eval.evals.elsewhere:model"
"""The model that runs a registered one in a process of its own, under a Python that need only have janus-eval."""
_PATIENCE = 40
"""Seconds for another interpreter, or a cluster, to answer."""
_ASK = """
import json, sys
import janus_eval
from importlib.metadata import PackageNotFoundError, version
def of(name):
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
print(json.dumps(["%d.%d" % sys.version_info[:2], of("ray"), of("janus-eval")]))
"""


def own_process(machine: Machine) -> Path | None:
    """Return the Python under which the model runs in a process of its own; None where it runs as others do.

    Raises EnvironmentProblem for one that cannot run it.
    """
    path = _asked(machine)
    return None if path is None or _by_ray(machine, path) else path


def options(machine: Machine) -> Mapping[str, Any]:
    """Return the executor's options: with that Python only where Ray starts its workers with it."""
    path = _asked(machine)
    if path is None or _by_ray(machine, path):
        return machine.executor_options
    return {key: value for key, value in machine.executor_options.items() if key != OPTION}


def told(machine: Machine) -> str:
    """Return in words which way is taken and why, "" where no other Python is asked for."""
    path = _asked(machine)
    if path is None:
        return ""
    python, ray, _ = _has(path)
    what = f"{path}: Python {python}, {f'Ray {ray}' if ray else 'no Ray'}"
    if _by_ray(machine, path):
        return f"{what}; Ray starts the model's workers with it"
    return f"{what}; the model runs in a process of its own under it"


def _asked(machine: Machine) -> Path | None:
    found = machine.executor_options.get(OPTION)
    return None if found is None else Path(found)


def _by_ray(machine: Machine, path: Path) -> bool:
    """Return whether Ray can start workers with it: it wants its own version, and the same minor version of Python."""
    if machine.executor != "ray" and "," not in (machine.device or ""):
        return False
    python, ray, _ = _has(path)
    return bool(ray) and (python, ray) == (_HERE, _version("ray"))


_HERE = f"{sys.version_info[0]}.{sys.version_info[1]}"


@cache
def _has(path: Path) -> tuple[str, str, str]:
    """Return the versions of Python, Ray and janus-eval of an interpreter, the last equal to ours."""
    who = f"--model-python {path}"
    try:
        python, ray, ours = json.loads(answer([str(path), "-c", _ASK], who))
    except (ValueError, TypeError) as error:
        raise EnvironmentProblem(f"{who} cannot be used: it answers otherwise than a Python does") from error
    if ours.partition("+")[0] != _version("janus-eval").partition("+")[0]:
        raise EnvironmentProblem(f"{who} has janus-eval {ours}, here it is {_version('janus-eval')}: install the same")
    return python, ray, ours


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def answer(command: Sequence[str], who: str) -> str:
    """Return what a short program says. Raises EnvironmentProblem with its last line, or that it does not answer."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE, check=False)
    except subprocess.TimeoutExpired:
        raise EnvironmentProblem(f"{who} does not answer within {_PATIENCE} s") from None
    except (OSError, ValueError) as error:
        told = error.strerror if isinstance(error, OSError) else error
        raise EnvironmentProblem(f"{who} cannot be started: {told}") from error
    if done.returncode:
        raise EnvironmentProblem(f"{who} cannot be used: {_last(done.stderr) or f'exit code {done.returncode}'}")
    return done.stdout


def _last(text: str) -> str:
    """Return the last error that a program printed, on one line, all of its lines."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [place for place, line in enumerate(lines) if re.match(r"[\w.]+(Error|Exception)\b", line)]
    return " ".join(lines[errors[-1] if errors else -1 :])[:400]
