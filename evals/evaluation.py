"""Carrying a plan out: each model is loaded once for all its suites and freed before the next one is loaded."""

from __future__ import annotations

import ctypes
import gc
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

from . import screen
from .environment import environment
from .errors import JanusEvalError, UsageError
from .plan import Pair, pairs
from .plugins import Benchmark, ModelAdapter
from .progress import progress
from .request import Machine, Patience, Request
from .reuse import reuse
from .runner import Progress, Settings, run
from .store import RunStore
from .stored import finished
from .types import Json, RunRecord, RunSpec, Stage

Say = Callable[[str], None]
"""Takes a line that the user should read."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one run ended: with a record, or with an error. `bug` is the traceback of an error that is not ours."""

    spec: RunSpec
    folder: Path
    record: RunRecord | None
    error: Exception | None = None
    bug: str = ""

    @property
    def title(self) -> str:
        """The run in words."""
        return f"{self.spec.model} on {self.spec.benchmark}"


def carry_out(
    planned: list[Pair], settings: Settings, *, show: Progress = progress, say: Say | None = None
) -> Iterator[Outcome]:
    """Run the pairs one after the other and yield how each ended; one that fails takes no other with it.

    The pairs are taken off the list: what is done with is held by nobody and freed. A model is closed
    after its last suite, an observer where the next pair needs another.
    """
    while planned:
        pair = planned.pop(0)
        after = planned[0] if planned else None
        try:
            outcome = Outcome(pair.spec, pair.folder, _run(pair, settings, show, say or screen.say))
        except JanusEvalError as error:
            outcome = Outcome(pair.spec, pair.folder, None, error.with_traceback(None))
        except (Exception, SystemExit) as error:  # a plugin's sys.exit() ends its own run alone
            told = traceback.format_exc()
            outcome = Outcome(pair.spec, pair.folder, None, _bare(error), told)
        finally:
            _leave(pair, after)
        del pair, after
        free_memory()
        yield outcome


def _bare(error: Exception | SystemExit) -> Exception:
    """Return an error without its frames, which would keep a model in memory."""
    if isinstance(error, SystemExit):
        return RuntimeError(f"the plugin ended the process: SystemExit({error.code!r})")
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)


def _run(pair: Pair, settings: Settings, show: Progress, say: Say) -> RunRecord:
    with RunStore(pair.folder, pair.spec) as store:
        if pair.nameless and store.predictions():
            raise UsageError(
                f"{pair.folder} holds outputs of a {pair.spec.model} that cannot be told from this one: give tag= or "
                "step=, or let its card name its weights"
            )
        if settings.until != "score" and (done := finished(pair.folder)) is not None:
            return done
        store.write_json("options.json", {key: str(value) for key, value in pair.suite_options.items()})
        if pair.asked is not None:
            store.write_json("asked.json", dict(pair.asked))
        taken = "" if pair.nameless else reuse(store)
        if taken:
            say(taken)

        def told() -> dict[str, Json]:
            return {**environment(), **pair.model.environment}

        record = run(pair.spec, pair.makers, pair.suite, pair.eyes, store, pair.samples, settings, show, told)
        for line in dict.fromkeys(store.damage):
            say(f"warning: {line}")
    return record


def _leave(pair: Pair, after: Pair | None) -> None:
    """Close what the next pair does not need."""
    if pair.makers[0] is not pair.model:  # worker processes are one pair's
        for each in pair.makers:
            each.close()
    if pair.owned and (after is None or after.model is not pair.model):
        pair.model.close()
    if pair.eyes is not None and (after is None or after.eyes is not pair.eyes):
        pair.eyes.close()


def free_memory() -> None:
    """Give back to the machine what nobody holds any more: collected objects, torch's cache, the C library's heap."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc alone has it
        if trim is not None:
            trim(0)


# -- from Python --------------------------------------------------------------------------------------


@overload
def evaluate(model: str | ModelAdapter, benchmark: str | Benchmark, **options: Any) -> RunRecord: ...
@overload
def evaluate(
    model: str | ModelAdapter | Sequence[str | ModelAdapter],
    benchmark: Sequence[str | Benchmark],
    **options: Any,
) -> list[RunRecord]: ...
@overload
def evaluate(model: Sequence[str | ModelAdapter], benchmark: str | Benchmark, **options: Any) -> list[RunRecord]: ...
def evaluate(  # pyright: ignore[reportInconsistentOverload] -- the options are spelled out once, here
    model: Any,
    benchmark: Any,
    *,
    output: str | Path = "runs",
    model_options: Mapping[str, Any] | None = None,
    benchmark_options: Mapping[str, Any] | None = None,
    observer_options: Mapping[str, Any] | None = None,
    data: str | Path | None = None,
    limit: str | float | None = None,
    ids: str | Sequence[str] | None = None,
    seed: int = 0,
    tag: str = "",
    step: int | None = None,
    device: str | None = None,
    dtype: str | None = None,
    batch_size: int | None = None,
    base_url: str | None = None,
    max_errors: int = 10,
    allow_unscored: bool = False,
    offline: bool = False,
    until: Stage = "score",
) -> RunRecord | list[RunRecord]:
    """Run models on suites from Python, as `janus-eval run` does, and return the record, or a list of several.

    `model` and `benchmark` are registered names, objects (`ModelAdapter`, `Benchmark`), or a sequence of
    either. An object whose weights change is told apart by `step` or `tag`, or by "weights" in its card;
    without any of these a stored run of it is refused. `until` is the stage behind which
    each run stops. Of several runs all are carried out; the first error
    is raised at the end. Raises JanusEvalError.
    """
    several = not _is_one(model) or not _is_one(benchmark)
    request = Request(
        models=(model,) if _is_one(model) else tuple(model),
        benchmarks=(benchmark,) if _is_one(benchmark) else tuple(benchmark),
        model_options=dict(model_options or {}),
        options={**(benchmark_options or {}), **(observer_options or {})},
        data=None if data is None else str(data),
        limit=None if limit is None else str(limit),
        ids=tuple(each for each in ids.split(",") if each)
        if isinstance(ids, str)
        else ids
        if ids is None
        else tuple(ids),
        seed=seed,
        tag=tag,
        step=step,
        output=Path(output),
        machine=Machine(device, dtype, batch_size, base_url, offline),
        patience=Patience(max_errors, allow_unscored),
        until=until,
    )
    outcomes = list(carry_out(pairs(request), settings_of(request)))
    for each in outcomes:
        if each.error is not None:
            raise each.error
    records = [each.record for each in outcomes if each.record is not None]
    return records if several else records[0]


def settings_of(request: Request) -> Settings:
    """Return what of a request moves only time and patience."""
    machine, patience = request.machine, request.patience
    return Settings(machine.batch_size, patience.max_errors, patience.allow_unscored, machine.offline, request.until)


def _is_one(what: Any) -> bool:
    return isinstance(what, str) or not isinstance(what, Sequence)
