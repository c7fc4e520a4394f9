"""What `janus-eval run --executor slurm` starts: the request as an array of shards."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from .. import interpreters, registry, screen
from ..errors import EnvironmentProblem, UsageError

if TYPE_CHECKING:
    from ..executors.slurm import Slurm
    from ..request import Request


def launch(request: Request) -> list[Path]:
    """Start the shards, wait for them, and return the runs that they leave. Raises EnvironmentProblem where none is."""
    from ..plan import pairs
    from ..shards import Shard

    if request.shard is not None:
        raise UsageError("--shard and --executor slurm exclude each other: slurm makes the shards")
    launcher: Slurm = registry.create("executors", "slurm", **interpreters.options(request.machine))
    pairs(request)  # what is misspelt or lacks is said, and what is to be fetched is, before a job waits in a queue
    python = {key: each for key, each in request.machine.executor_options.items() if key == interpreters.OPTION}
    machine = replace(request.machine, executor="", executor_options=python, offline=True)
    shards = [Shard(number, launcher.workers) for number in range(launcher.workers)]
    asked = [replace(request, machine=machine, shard=shard) for shard in shards]
    found: dict[str, None] = {}
    for number, ended in launcher.map(share, asked, request.output):
        if isinstance(ended, Exception):
            screen.say(f"shard {number} of {launcher.workers} failed: {ended}")
        else:
            found |= dict.fromkeys(ended)
    if not found:
        raise EnvironmentProblem(f"no shard left a run: their logs are in {launcher.logs(request.output)}")
    return [Path(each) for each in found]


def share(request: Request) -> list[str]:
    """Make one shard in a job of its own and return the folders of its runs. Raises what went wrong."""
    from ..evaluation import carry_out, settings_of
    from ..plan import pairs

    folders: list[str] = []
    for outcome in carry_out(pairs(request), settings_of(request)):
        folders.append(str(outcome.folder.absolute()))
        if outcome.error is not None:
            raise outcome.error
    return folders
