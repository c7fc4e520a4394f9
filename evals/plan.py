"""From a request to runs: which plugins with which options, which samples, which folder; nothing is begun."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from . import interpreters, members, registry
from .environment import harness_version
from .errors import EnvironmentProblem, UsageError, hint
from .executors import Executor, Plugin
from .made import Lack, Made, Meeting, card_of
from .plugins import Benchmark, Eyes, Model, ModelAdapter, Observer, Suite
from .request import Request
from .samples import distinct, fingerprint, select
from .types import PICTURES, Json, RunSpec, Sample

if TYPE_CHECKING:
    from pathlib import Path


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Pair:
    """One run to be. Pairs of one model share it; neighbours that need the same observer share that.

    `owned` is False for a model that the caller made: it is not closed. `nameless` says that nothing in
    the spec tells this model's weights from others of the same card. `asked` asks for this run again; it is
    None where an object took part. `now` names the samples that are made now, where the rest is left for later.
    """

    spec: RunSpec
    folder: Path
    model: Plugin[Model]
    suite: Suite
    eyes: Plugin[Eyes] | None
    samples: Sequence[Sample]
    suite_options: Mapping[str, Json]
    owned: bool = True
    nameless: bool = False
    asked: Mapping[str, Json] | None = None
    now: Collection[str] | None = None

    @property
    def title(self) -> str:
        """The run in words."""
        return f"{self.spec.model} on {self.spec.benchmark}"

    @property
    def pictures(self) -> int:
        """How many pictures it draws or edits."""
        return len(self.samples) * self.suite.outputs if self.suite.kind in PICTURES else 0


def pairs(
    request: Request, executor: Executor | None = None, *, tolerant: bool = False, lacks: list[Lack] | None = None
) -> list[Pair]:
    """Return every run that is asked for, checked before any starts: a model's side by side, its drawings first.

    A model's card is asked of the `executor`: its device is known where it works. With `tolerant` nothing is fetched or
    started, and a card says under "missing" what is not there. To `lacks` goes everything that the runs lack; one that
    cannot be planned for it is left out then, where otherwise its EnvironmentProblem is raised.
    """
    if tolerant:
        request = replace(request, machine=replace(request.machine, offline=True))
    _check_names(request)
    meet = Meeting(lacks)
    suites: dict[str, Made] = {}
    contents: dict[int, str] = {}
    found: list[Pair] = []
    for entry in _once("models", request.models):
        model = meet(entry, model_of, entry, request)
        world = model.plugin.world if model else "official"
        asked = _once("benchmarks", request.benchmarks)
        mine = [each for name in asked if (each := meet(name, _suite, name, request, world, suites))]
        before: Made | None = None
        drawn = sum(each.pictures for each in found)
        for suite in sorted(mine, key=lambda each: each.plugin.kind not in PICTURES):
            seen = meet(suite.name, _watched, suite, request, world, lacks is None)
            eyes = seen.eyes if seen else None
            if eyes and before and (eyes.name, eyes.options) == (before.name, before.options):
                eyes = before
            before = eyes
            meet.ask(model, suite, eyes)
            if model is None or seen is None:
                continue
            there = None if tolerant or model.plugin.independent else executor
            for seed in range(request.seed, request.seed + request.repeats):
                single = replace(request, seed=seed, repeats=1)
                pair = meet(suite.name, partial(_pair, tolerant=tolerant), model, suite, eyes, single, contents, there)
                found += [pair] if pair else []
        if not tolerant and model:  # a ceiling that cannot hold is said now, not when it is reached
            paid = model.plugin.cost(sum(each.pictures for each in found) - drawn)
            if paid and request.shard:
                raise UsageError(f"--shard: {model.name} is paid for, and one process must keep its account")
    return found


def assets_of(request: Request) -> list[str]:
    """Return what the runs that are asked for read of the catalogue and the hub, here or not; no package need be here.

    Raises UsageError for what cannot be meant.
    """
    request = replace(request, machine=replace(request.machine, offline=True))
    _check_names(request)
    found: list[str] = []
    for entry in _once("models", request.models):
        model = model_of(entry, request)
        found += model.plugin.assets()
        for name in _once("benchmarks", request.benchmarks):
            suite = _suite(name, request, model.plugin.world, {})
            found += suite.plugin.assets()
            with suppress(EnvironmentProblem):  # of a judge, who needs none: whether one is needed, the data tell
                eyes = _eyes(suite, request, model.plugin.world, strict=False)
                found += eyes.plugin.assets() if eyes else ()
    return list(dict.fromkeys(found))


# -- plugins ------------------------------------------------------------------------------------------


def _once(group: registry.Group, entries: Sequence[T]) -> list[T]:
    """Return the entries without those that are named again, by whatever spelling."""
    found: dict[str | int, T] = {}
    for each in entries:
        found.setdefault(registry.resolve(group, each) if isinstance(each, str) else id(each), each)
    return list(found.values())


def _check_names(request: Request) -> None:
    """Raise UsageError for an unknown name, and for an option that no plugin takes."""
    models = [registry.resolve("models", each) for each in request.models if isinstance(each, str)]
    names = [registry.resolve("benchmarks", each) for each in request.benchmarks if isinstance(each, str)]
    eyes = [each for name in names for each in members.observers(registry.load("benchmarks", name))]
    made = [each.observer for each in request.benchmarks if not isinstance(each, str)]
    known = {key for each in names for key in registry.parameters("benchmarks", each)}
    for each in (*eyes, *(each for each in made if isinstance(each, str))):
        known |= registry.parameters("observers", each).keys()
    for key in request.options:
        if key not in known:
            who = ", ".join(names) or "the suite"
            raise UsageError(f"{who} has no option {key!r}{hint(key, known)}")
    if request.machine.base_url is not None and not any(
        "base_url" in registry.parameters("models", each) for each in models
    ):
        raise UsageError(f"--base-url: no endpoint is asked by {', '.join(models)}; did you mean -m openai:NAME?")
    paid = [each for each in models if "max_cost" in registry.parameters("models", each)]
    if request.machine.max_cost not in (None, "none") and len(paid) != 1:
        told = f"it holds for one of {', '.join(paid)}: ask them one by one" if paid else "nothing is paid for here"
        raise UsageError(f"--max-cost {request.machine.max_cost}: {told}")


def model_of(entry: str | ModelAdapter, request: Request) -> Made:
    """Return a model with the options that a request gives it."""
    if not isinstance(entry, str):
        model = members.model(entry)
        if request.model_options:
            raise UsageError(f"model options are for registered models; {type(entry).__name__} is made already")
        if "," in (request.machine.device or "") or request.machine.executor not in ("", "local"):
            raise UsageError(f"{type(entry).__name__} lives in this process; give one device and no executor")
        return Made(model.name or type(entry).__name__, model, {}, {})
    name = registry.resolve("models", entry)
    machine, accepted = request.machine, registry.parameters("models", name)
    device = machine.device.split(",")[0] if machine.device else None
    given = {"device": device, "dtype": machine.dtype, "base_url": machine.base_url, "offline": machine.offline or None}
    given |= {"max_cost": machine.max_cost, "canary": None if machine.canary else False}
    options = _only(accepted, given) | dict(request.model_options)
    model = members.model(registry.create("models", name, **options), name)
    moving = registry.moving("models", name, options, model.inert)
    python = interpreters.own_process(machine)
    if python is None:
        return Made(name, model, options, moving, name)
    asked = json.dumps({"name": name, "options": options}, default=str)
    maker = (interpreters.WORKER, {"python": str(python), "options": asked, "world": model.world})
    there = members.model(registry.create("models", maker[0], **maker[1]), name)
    return Made(name, there, options, moving, name, maker)


def _suite(entry: str | Benchmark, request: Request, world: str, made: dict[str, Made]) -> Made:
    """Return a suite, the same one for all models that it is made equal for."""
    if not isinstance(entry, str):
        suite = members.benchmark(entry)
        return Made(suite.name, suite, {}, {})
    name = registry.resolve("benchmarks", entry)
    accepted = registry.parameters("benchmarks", name)
    own = request.options.get("name") if "name" in accepted else None
    if own:  # a suite of the user's: options:mine
        name, request = f"{name}:{own}", replace(request, options={**request.options, "name": None})
    options = _only(accepted, {"data": request.data, "world": world, "offline": request.machine.offline or None})
    options |= _only(accepted, request.options)
    worlds = members.of_factory(registry.load("benchmarks", name)).worlds
    if "data" not in options and world != "official" and world in worlds:
        options["data"] = world
    key = json.dumps([name, options], sort_keys=True, default=str)
    if key not in made:
        suite = members.benchmark(registry.create("benchmarks", name, **options), name)
        made[key] = Made(name, suite, options, registry.moving("benchmarks", name, options, suite.inert), name)
    return made[key]


@dataclass(frozen=True, slots=True)
class _Watched:
    """That a suite's observer could be made: `eyes` is None for a suite that needs none."""

    eyes: Made | None


def _watched(suite: Made, request: Request, world: str, strict: bool) -> _Watched:
    return _Watched(_eyes(suite, request, world, strict=strict))


def _eyes(suite: Made, request: Request, world: str, *, strict: bool) -> Made | None:
    """Return a suite's observer; `strict` raises EnvironmentProblem for a package that it lacks."""
    name: str | Observer | None = suite.plugin.observer
    if name is None:
        return None
    if request.until == "predict":  # nothing of a scorer is looked for: what it lacks shall stop no drawing
        request = replace(request, machine=replace(request.machine, offline=True))
    if not isinstance(name, str):
        return Made(type(name).__name__, members.observer(name), {}, {})
    machine, accepted = request.machine, registry.parameters("observers", name)
    if world == "official":  # an embedded world's data are looked at by its own scorers, whoever drew
        world = _data_world(suite, request).get("world", world)
    device = machine.device.split(",")[0] if machine.device else None
    given = {"world": world, "task": suite.plugin.name.partition(":")[0], "device": device, "dtype": machine.dtype}
    options = _only(accepted, given | {"offline": machine.offline or None}) | _only(accepted, request.options)
    eyes = members.observer(registry.create("observers", name, **options), name)
    if request.until != "predict" and strict:
        eyes.needs()  # a package that lacks is said now, not after the runs before this one
    return Made(name, eyes, options, registry.moving("observers", name, options, {*eyes.inert, "task"}), name)


def _only(accepted: Mapping[str, object], values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key in accepted and value is not None}


# -- pairs --------------------------------------------------------------------------------------------


def _pair(
    made: Made,
    benchmark: Made,
    observer: Made | None,
    request: Request,
    contents: dict[int, str],
    executor: Executor | None,
    *,
    tolerant: bool,
) -> Pair:
    """Return the run of a model on a suite; `contents` holds the fingerprints of suites that were planned before."""
    model: Model = made.plugin
    suite: Suite = benchmark.plugin
    if suite.kind not in model.kinds:
        able = ", ".join(sorted(model.kinds))
        raise UsageError(f"{benchmark.name} asks for {suite.kind} outputs, {made.name} gives only: {able}")
    every = distinct(benchmark.name, suite.samples())
    samples, limit = select(every, request.limit, request.ids)
    model_card = card_of(made, tolerant=tolerant, executor=executor)
    spec = RunSpec(
        model=made.name,
        benchmark=benchmark.name,
        seed=request.seed,
        limit=limit,
        model_card=model_card,
        benchmark_card={
            **card_of(benchmark, tolerant=False),
            **_data_world(benchmark, request),
            **_content(benchmark, every, contents),
        },
        observer_card=_observer_card(observer, request, tolerant=tolerant) if observer else {},
        version=harness_version(),
        model_options=made.moving,
        benchmark_options=benchmark.moving,
        observer_options=observer.moving if observer else {},
        tag=request.tag,
        step=request.step,
        scoring=tuple(sorted(suite.scoring)),
    )
    owned = made.factory is not None
    return Pair(
        spec=spec,
        folder=request.output / folder_name(spec),
        model=made.travels,
        suite=suite,
        eyes=observer.travels if observer else None,
        samples=samples,
        suite_options=benchmark.options,
        owned=owned,
        nameless=not owned and "weights" not in model_card and not request.tag and request.step is None,
        asked=_asked(made, benchmark, request),
    )


def _asked(model: Made, suite: Made, request: Request) -> Mapping[str, Json] | None:
    """Return what asks for one run again: of the options those that its suite and observer take."""
    if model.factory is None or suite.factory is None:
        return None
    taken = {*registry.parameters("benchmarks", suite.name)}
    for each in members.observers(registry.load("benchmarks", suite.name)):
        taken |= registry.parameters("observers", each).keys()
    options = {key: value for key, value in request.options.items() if key in taken}
    return replace(request, models=(model.name,), benchmarks=(suite.name,), options=options).to_json()


def folder_name(spec: RunSpec) -> str:
    """Return the name of a run's folder: model, suite, tag, step and digest."""
    told = [_slug(spec.model)[-60:], _slug(spec.benchmark)[-60:]]
    told += [_slug(spec.tag)[-40:]] if spec.tag else []
    told += [f"step-{spec.step}"] if spec.step is not None else []
    return "--".join([*told, spec.digest])


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "_", text).strip("._")


def _observer_card(made: Made, request: Request, *, tolerant: bool) -> Mapping[str, Json]:
    """Return an observer's knobs; of one that is not here, in a run that stops before it, that it is not."""
    card = card_of(made, tolerant=tolerant or request.until == "predict")
    return {"missing": made.name} if "missing" in card and not tolerant else card


def _data_world(benchmark: Made, request: Request) -> dict[str, str]:
    """Return {"world": ...} where the data are an embedded world's: tables never take them for the real ones."""
    chosen = request.data or benchmark.options.get("data")
    return {"world": str(chosen)} if chosen in {point.name for point in registry.points("data")} else {}


def _content(benchmark: Made, samples: Sequence[Sample], known: dict[int, str]) -> dict[str, str]:
    """Return {"samples": ...}, what names a suite's samples by content, unless its card does so itself."""
    suite: Suite = benchmark.plugin
    if suite.names_its_samples:
        return {}
    key = id(benchmark.plugin)
    if key not in known:
        known[key] = fingerprint(benchmark.name, samples)
    return {"samples": known[key]}
