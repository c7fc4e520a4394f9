"""Slurm: a thin launcher of shards through submitit; the shards need nothing but the shared folder."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from .. import registry
from ..errors import EnvironmentProblem, UsageError

T = TypeVar("T")
R = TypeVar("R")
_SLURM = ("partition", "account", "time", "array_parallelism", "qos", "constraint", "gres", "comment")
"""Options that submitit knows as slurm_NAME."""


class Slurm:
    """The executor `slurm`: `workers` shards in an array. `slurm` is for submitit; cluster=local needs no Slurm."""

    def __init__(self, *, workers: int = 1, slurm: Mapping[str, str] | None = None) -> None:
        if importlib.util.find_spec("submitit") is None:
            raise registry.missing_package(ModuleNotFoundError(name="submitit"), "the executor slurm")
        if workers < 1:
            raise UsageError(f"--workers {workers}: expected a whole number from 1")
        options = dict(slurm or {})
        self.workers = workers
        self._cluster = options.pop("cluster", "slurm")
        named = {f"slurm_{key}" if key in _SLURM else key: value for key, value in options.items()}
        self._options = {key: int(value) if value.isdecimal() else value for key, value in named.items()}

    def logs(self, output: Path) -> Path:
        """Return where submitit keeps what the jobs said."""
        return output.absolute() / ".slurm"

    def map(self, function: Callable[[T], R], items: Sequence[T], output: Path) -> Iterator[tuple[int, R | Exception]]:
        """Call `function` on each item in a job of its own; yield how each ended, by number.

        Raises EnvironmentProblem where there is no Slurm, UsageError for an option that submitit does not know.
        """
        import submitit

        try:
            executor = submitit.AutoExecutor(self.logs(output), cluster=self._cluster)
            executor.update_parameters(name="janus-eval", **self._options)
        except (RuntimeError, ValueError) as error:
            raise EnvironmentProblem(f"--executor slurm: {' '.join(str(error).split())}") from error
        except (NameError, TypeError) as error:
            raise UsageError(f"--slurm: {' '.join(str(error).split())}") from error
        jobs: list[Any] = executor.map_array(function, items)
        for number, job in enumerate(jobs):
            try:
                yield number, job.result()
            except Exception as error:  # of the job, whatever it was: the others go on
                yield number, EnvironmentProblem(f"{_last(error)} (log: {job.paths.stderr})")


def _last(error: Exception) -> str:
    """Return what went wrong: the last line of the traceback that submitit sets between lines of dashes."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    ends = [place for place, line in enumerate(lines) if set(line) == {"-"} and place]
    return lines[ends[-1] - 1] if ends else " ".join(lines)[:300] or type(error).__name__
