"""Carrying a plan out: each model is loaded once for all its suites and freed before the next one is loaded."""

from __future__ import annotations

import ctypes
import gc
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, overload

from . import interpreters, registry, screen
from .environment import environment
from .errors import JanusEvalError, UsageError
from .executors import Executor, Making
from .executors.local import Local
from .files import changed
from .flow import Progress
from .packs import MANY
from .plan import Pair, pairs
from .plugins import Benchmark, ModelAdapter
from .progress import progress
from .records import finished, read_spec
from .request import Machine, Patience, Request
from .reuse import reuse
from .runner import Settings, run, share
from .settle import MAIN
from .sharing import again, agree, part
from .store import RunStore
from .types import Json, RunRecord, RunSpec, Stage

Say = Callable[[str], None]
"""Takes a line that the user should read."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one run ended: with a record, with a shard's `share` of it (outputs to have and had by stage), or with an
    error. `bug` is the traceback of an error that is not ours."""

    spec: RunSpec
    folder: Path
    record: RunRecord | None = None
    error: Exception | None = None
    bug: str = ""
    share: Mapping[Making, tuple[int, int]] | None = None

    @property
    def title(self) -> str:
        """The run in words."""
        return f"{self.spec.model} on {self.spec.benchmark}"


def carry_out(
    planned: list[Pair],
    settings: Settings,
    executor: Executor | None = None,
    *,
    show: Progress = progress,
    say: Say | None = None,
) -> Iterator[Outcome]:
    """Run the pairs one after the other and yield how each ended; one that fails takes no other with it.

    The pairs are taken off the list: what is done with is held by nobody and freed. A model is closed
    after its last suite, an observer where the next pair needs another.
    """
    executor = executor or Local()
    while planned:
        pair = planned.pop(0)
        after = planned[0] if planned else None
        try:
            here = Local() if pair.model.here.independent else executor  # an endpoint is asked from here
            outcome = _run(pair, settings, here, show, say or screen.say)
        except JanusEvalError as error:
            outcome = Outcome(pair.spec, pair.folder, error=error.with_traceback(None))
        except (Exception, SystemExit) as error:  # a plugin's sys.exit() ends its own run alone
            told = traceback.format_exc()
            outcome = Outcome(pair.spec, pair.folder, error=_bare(error), bug=told)
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


def _run(pair: Pair, settings: Settings, executor: Executor, show: Progress, say: Say) -> Outcome:
    shard = settings.shard
    packs = pair.pictures >= MANY if settings.packs is None else settings.packs and pair.pictures > 0
    with RunStore(pair.folder, pair.spec, shard.writer if shard else MAIN, packs=packs) as store:
        if settings.packs is not None and pair.pictures and store.packed != settings.packs:
            say(f"{pair.folder} goes on as it began: its pictures are kept in {'packs' if store.packed else 'files'}")
        if pair.nameless and store.predictions():
            raise UsageError(
                f"{pair.folder} holds outputs of a {pair.spec.model} that cannot be told from this one: give tag= or "
                "step=, or let its card name its weights"
            )
        if (settings.until != "score" or shard) and (done := finished(pair.folder)) is not None:
            return Outcome(pair.spec, pair.folder, done)
        store.write_json("options.json", {k: str(v) for k, v in pair.suite_options.items() if k != "offline"})
        if pair.asked is not None:
            store.write_json("asked.json", dict(pair.asked))
        plugins = (pair.model, pair.suite, pair.eyes)
        if shard:
            agree(store)
            made = share(pair.spec, *plugins, store, pair.samples, settings, show, executor)
            return Outcome(pair.spec, pair.folder, share=made)
        taken = "" if pair.nameless else reuse(store)
        if taken:
            say(taken)
        with suppress(UsageError):  # a damaged record is made anew
            for line in changed(pair.folder):
                say(f"warning: {line}; they are made anew")
        if told := pair.model.here.begin(pair.folder):
            say(told)

        def around() -> dict[str, Json]:
            return {**environment(), **pair.model.here.environment}

        chosen = replace(settings, now=pair.now)
        record = run(pair.spec, *plugins, store, pair.samples, chosen, show, around, executor)
        for line in dict.fromkeys(store.damage):
            say(f"warning: {line}")
    return Outcome(pair.spec, pair.folder, record)


def _leave(pair: Pair, after: Pair | None) -> None:
    """Close what the next pair does not need."""
    if pair.owned and (after is None or after.model.here is not pair.model.here):
        pair.model.here.close()
    if pair.eyes is not None and (after is None or after.eyes is None or after.eyes.here is not pair.eyes.here):
        pair.eyes.here.close()


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


def finish(folder: Path, request: Request, executor: Executor, settings: Settings) -> Outcome:
    """Take the shards of a run together and end it: make what is missing, score, write the record.

    `request` says what of a request moves no outputs (patience, device, offline).
    """
    try:
        pair, who = again(folder, request, executor)
    except JanusEvalError as error:
        return Outcome(read_spec(folder), folder, error=error)
    (outcome,) = carry_out([pair], settings, who)
    if outcome.record is not None:
        part(folder)
    return outcome


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
    ask_refused: bool = False,
    max_cost: float | str | None = None,
    canary: bool = True,
    offline: bool = False,
    until: Stage = "score",
    executor: str = "",
    executor_options: Mapping[str, Any] | None = None,
    packs: bool | None = None,
) -> RunRecord | list[RunRecord]:
    """Run models on suites from Python, as `janus-eval run` does, and return the record, or a list of several.

    `model` and `benchmark` are registered names, objects (`ModelAdapter`, `Benchmark`), or a sequence of
    either. An object whose weights change is told apart by `step` or `tag`, or by "weights" in its card;
    without any of these a stored run of it is refused. `until` is the stage behind which each run stops; `executor`
    names who computes; `packs` keeps pictures in packs (None: where they are very many).
    Of several runs all are carried out; the first error is raised at the end, a JanusEvalError.
    """
    several = not _is_one(model) or not _is_one(benchmark)
    machine = Machine(device, dtype, batch_size, base_url, offline, _text(max_cost), canary, packs=packs)
    request = Request(
        models=(model,) if _is_one(model) else tuple(model),
        benchmarks=(benchmark,) if _is_one(benchmark) else tuple(benchmark),
        model_options=dict(model_options or {}),
        options={**(benchmark_options or {}), **(observer_options or {})},
        data=_text(data),
        limit=_text(limit),
        ids=_ids(ids),
        seed=seed,
        tag=tag,
        step=step,
        output=Path(output),
        machine=replace(machine, executor=executor, executor_options=dict(executor_options or {})),
        patience=Patience(max_errors, allow_unscored, ask_refused),
        until=until,
    )
    with closing(executor_of(request.machine)) as who:
        outcomes = list(carry_out(pairs(request, who), settings_of(request), who))
    records = _records(outcomes)
    return records if several else records[0]


def _records(outcomes: Sequence[Outcome]) -> list[RunRecord]:
    for each in outcomes:
        if each.error is not None:
            raise each.error
    return [each.record for each in outcomes if each.record is not None]


def settings_of(request: Request) -> Settings:
    """Return what of a request moves only time and patience."""
    machine, patience = request.machine, request.patience
    ways = (machine.offline, request.until, patience.ask_refused, request.shard, machine.packs)
    return Settings(machine.batch_size, patience.max_errors, patience.allow_unscored, *ways)


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def executor_of(machine: Machine) -> Executor:
    """Return who computes: this process, unless another executor, or several devices, are asked for."""
    devices = machine.device if machine.device and "," in machine.device else None
    if devices and machine.executor == "local":
        raise UsageError(
            f"--device {devices}: the executor local computes on one device; several are ray's: leave out --executor"
        )
    options = {**interpreters.options(machine), **({"devices": devices} if devices else {})}
    return registry.create("executors", machine.executor or ("ray" if devices else "local"), **options)


def _is_one(what: Any) -> bool:
    return isinstance(what, str) or not isinstance(what, Sequence)


def _ids(told: str | Sequence[str] | None) -> tuple[str, ...] | None:
    if told is None:
        return None
    return tuple(each for each in told.split(",") if each) if isinstance(told, str) else tuple(told)
