"""A shard: one of N processes that share a run through its folder alone, without a server and without each other."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from .errors import UsageError

_INDEX = "JOB_COMPLETION_INDEX"
_ARRAY = ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_STEP", "SLURM_ARRAY_TASK_COUNT")


@dataclass(frozen=True, slots=True)
class Shard:
    """The `number`-th of `count`, from 0. Raises UsageError where there is no such one."""

    number: int
    count: int

    def __post_init__(self) -> None:
        if not 0 <= self.number < self.count:
            raise UsageError(f"--shard {self}: expected I/N with I from 0 to N-1")

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    @property
    def writer(self) -> str:
        """A new name for the files of one attempt at this shard."""
        return f"{self.number:03d}of{self.count:03d}-{secrets.token_hex(4)}"

    def has(self, group: int) -> bool:
        """Return whether a group of batches is this shard's."""
        return group % self.count == self.number

    @classmethod
    def parse(cls, text: str, environment: Mapping[str, str]) -> Shard:
        """Return what I/N says; `auto` is Slurm's array task, `auto/N` Kubernetes' completion index of N."""
        found = re.fullmatch(r"(auto|[0-9]{1,9})(?:/([0-9]{1,9}))?", text)
        if found is None or (found[1] != "auto" and found[2] is None):
            raise UsageError(f"--shard {text!r}: expected I/N, auto or auto/N")
        if found[1] != "auto":
            return cls(int(found[1]), int(found[2]))
        task, least, step, count = (environment.get(name) for name in _ARRAY)
        if task is not None and count is not None:
            number = (_whole(_ARRAY[0], task) - _whole(_ARRAY[1], least or "0")) // max(1, _whole("step", step or "1"))
            return cls(number, _whole("N", found[2] or count))
        if _INDEX in environment:
            if found[2] is None:
                raise UsageError(f"--shard auto: {_INDEX} does not say of how many: give --shard auto/N")
            return cls(_whole(_INDEX, environment[_INDEX]), int(found[2]))
        told = f"neither {_ARRAY[0]} (a Slurm array) nor {_INDEX} (Kubernetes) is set"
        raise UsageError(f"--shard {text}: {told}; give I/N")


def _whole(name: str, text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise UsageError(f"--shard auto: {name} is {text!r}, expected a whole number")
    return int(text)
