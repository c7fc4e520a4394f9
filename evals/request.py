"""What is asked for: models and suites with their options, samples, machine and patience; the command line makes one
of it, and so does Python."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, get_args

from .endpoint.address import Address
from .errors import UsageError
from .plugins import Benchmark, ModelAdapter
from .shards import Shard
from .types import Json, Stage


@dataclass(frozen=True, slots=True)
class Machine:
    """Where and how the work is done. `device` may be several, comma-joined; None leaves a choice to the plugins.

    `max_cost` is what a paid model's drawings may cost, in US$, or "none"; `canary` looks at a few drawings of a
    service before the others are paid for.
    `packs` keeps pictures in packs, or in files; None is packs where there are very many.
    `executor` is a registered name, made with `executor_options`; "" is this process, or Ray for several devices.
    """

    device: str | None = None
    dtype: str | None = None
    batch_size: int | None = None
    base_url: str | None = None
    offline: bool = False
    max_cost: str | None = None
    canary: bool = True
    executor: str = ""
    executor_options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    packs: bool | None = None


@dataclass(frozen=True, slots=True)
class Patience:
    """How much may fail: `max_errors` outputs before a run stops; `allow_unscored` keeps an unwhole headline;
    `ask_refused` asks a service again for what it refused."""

    max_errors: int = 10
    allow_unscored: bool = False
    ask_refused: bool = False


@dataclass(frozen=True, slots=True)
class Request:
    """Every model on every suite. Names are registered ones; objects take part as they are.

    `model_options` go to each model's factory, `options` to every suite, and every observer of one,
    that takes them. `data` is a path, a data world or empty for the suite's own; `limit` a number of
    samples, a share below 1 or a range A-B, `ids` samples by name; `tag` and `step` tell apart what a
    changing model was when it was asked; `until` is the stage behind which it stops; of a `shard` only its
    share is made, and nothing is scored. Of each `repeats` runs are made, with the seeds from `seed` on.
    `name` is what tables call its runs: it moves nothing.
    Raises UsageError for what cannot be meant.
    """

    models: tuple[str | ModelAdapter, ...]
    benchmarks: tuple[str | Benchmark, ...]
    model_options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    data: str | None = None
    limit: str | None = None
    ids: tuple[str, ...] | None = None
    seed: int = 0
    tag: str = ""
    step: int | None = None
    output: Path = Path("runs")
    machine: Machine = Machine()
    patience: Patience = Patience()
    until: Stage = "score"
    shard: Shard | None = None
    name: str = ""
    repeats: int = 1

    def __post_init__(self) -> None:
        for flag, found in (("--model", self.models), ("--bench", self.benchmarks)):
            if not found or any(isinstance(each, str) and not each for each in found):
                raise UsageError(f"{flag} names nothing: see janus-eval list")
        if self.data == "":
            raise UsageError("--data names nothing: toy, official or a path")
        if self.limit is not None and self.ids is not None:
            raise UsageError("--limit and --ids exclude each other")
        if self.until not in get_args(Stage):
            raise UsageError(f"--until {self.until!r}: expected one of {', '.join(get_args(Stage))}")
        if type(self.seed) is not int:
            raise UsageError(f"seed {self.seed!r}: expected a whole number")
        if type(self.repeats) is not int or self.repeats < 1:
            raise UsageError(f"--repeats {self.repeats}: expected a whole number from 1")
        if self.step is not None and (type(self.step) is not int or self.step < 0):
            raise UsageError(f"step {self.step!r}: expected a whole number from 0")
        if self.patience.max_errors < 0:
            raise UsageError(f"--max-errors {self.patience.max_errors}: expected a whole number from 0")
        size = self.machine.batch_size
        if size is not None and (type(size) is not int or size < 1):
            raise UsageError(f"--batch-size {size!r}: expected auto or a whole number from 1")

    def to_json(self) -> dict[str, Json]:
        """Return what asks for the same runs again: all but output, patience, batch size, and secrets of addresses."""
        row: dict[str, Json] = {key: _plain(getattr(self, key)) for key in _ASKED}
        row |= {"name": self.name} if self.name else {}
        return row | {key: _plain(getattr(self.machine, key)) for key in _WHERE}

    def again(self, row: Json) -> Request:
        """Return this request with what `to_json` said of another; its own device, type and address win.

        Raises UsageError for another row.
        """
        try:
            asked = {key: row[key] for key in _ASKED}
            for key in ("models", "benchmarks", "ids"):
                asked[key] = None if asked[key] is None else tuple(map(str, asked[key]))
            machine = replace(self.machine, **{key: row[key] for key in _WHERE if getattr(self.machine, key) is None})
            return replace(self, **asked, machine=machine, name=self.name or str(row.get("name", "")))
        except (KeyError, TypeError, AttributeError) as error:
            raise UsageError(f"what was asked is damaged: {error!r}") from error


_ASKED = ("models", "benchmarks", "model_options", "options", "data", "limit", "ids", "seed", "tag", "step")
_WHERE = ("device", "dtype", "base_url")


def _plain(value: Any) -> Json:
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    if isinstance(value, str) and re.match(r"https?://", value, re.IGNORECASE):
        return Address.parse(value).shown
    return value if isinstance(value, bool | int | float | None) else str(value)
