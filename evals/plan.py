"""From a command line to runs: which plugins with which options, which samples, which folder."""

from __future__ import annotations

import argparse
import difflib
import inspect
import json
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from . import registry
from .environment import environment, harness_version
from .errors import EnvironmentProblem, UsageError
from .progress import progress
from .runner import Settings, run
from .store import RunStore, read_scores
from .types import Benchmark, Json, ModelAdapter, Observer, RunRecord, RunSpec, Sample, Scored
from .workers import WorkerModel

_OWN_FLAGS = {"data", "world", "device", "dtype", "offline", "seed", "base_url", "predictions", "images"}


@dataclass(frozen=True, slots=True)
class Pair:
    """One run to be: a model, a benchmark, its observer, its samples and its folder."""

    model_name: str
    benchmark_name: str
    model: ModelAdapter
    benchmark: Benchmark
    observer: Observer | None
    samples: Sequence[Sample]
    spec: RunSpec
    folder: Path
    models: Sequence[ModelAdapter]
    benchmark_options: Mapping[str, Json]

    @property
    def title(self) -> str:
        return f"{self.model_name} on {self.benchmark_name}"


# -- flags of plugins ---------------------------------------------------------------------------------


def split_names(values: Iterable[str]) -> list[str]:
    """Return the names in repeated and comma-joined options; what follows a colon is kept whole."""
    return [name for value in values for name in ([value] if ":" in value else value.split(",")) if name]


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the closest known word, if one is close."""
    return next(iter(difflib.get_close_matches(word, list(known), n=1)), None)


def flags(command: str, benchmarks: Sequence[str]) -> dict[str, inspect.Parameter]:
    """Return the parameters that the named benchmarks bring to `run` or `score` as flags."""
    found: dict[str, inspect.Parameter] = {}
    for name in benchmarks:
        name = registry.resolve("benchmarks", name)
        if command == "score":
            found.update(registry.parameters("benchmarks", name, method="rescore"))
        found.update(registry.parameters("benchmarks", name))
        for observer in _observers(name):
            found.update(registry.parameters("observers", observer))
    return {key: each for key, each in found.items() if key not in _OWN_FLAGS}


def _observers(benchmark: str) -> list[str]:
    """Return the observers a benchmark may use: the one it needs and those it can do without."""
    factory = registry.load("benchmarks", benchmark)
    needed = getattr(factory, "observer", None)
    optional: Sequence[str] = getattr(factory, "optional_observers", ())
    return [*([needed] if isinstance(needed, str) else []), *optional]


def _plugin_values(args: argparse.Namespace) -> dict[str, Any]:
    prefix = "plugin_"
    return {k.removeprefix(prefix): v for k, v in vars(args).items() if k.startswith(prefix) and v is not None}


def _key_values(texts: Sequence[str], flag: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in texts:
        # A value may hold commas; a comma starts a new option only where key= follows.
        for part in re.split(r",(?=\s*[A-Za-z_][\w-]*=)", text):
            key, equals, value = part.partition("=")
            if not equals or not key.strip():
                raise UsageError(f"{flag} wants key=value, got {part!r}")
            found[key.strip().replace("-", "_")] = value
    return found


def _only(accepted: Mapping[str, object], values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key in accepted and value is not None}


# -- pairs --------------------------------------------------------------------------------------------


def pairs(args: argparse.Namespace) -> list[Pair]:
    """Return every (model, benchmark) run that the command line asks for, checked before any starts."""
    args.offline = args.offline or args.dry_run  # a plan fetches nothing
    models = [registry.resolve("models", each) for each in split_names(args.model)]
    benchmarks = [registry.resolve("benchmarks", each) for each in split_names(args.bench)]
    for flag, found in (("--model", models), ("--bench", benchmarks)):
        if not found:
            raise UsageError(f"{flag} names nothing: see janus-eval list")
    if args.data == "":
        raise UsageError("--data names nothing: toy, official or a path")
    if args.limit is not None and args.ids is not None:
        raise UsageError("--limit and --ids exclude each other")
    if args.base_url is not None and not any("base_url" in registry.parameters("models", each) for each in models):
        raise UsageError(f"--base-url: no endpoint is asked by {', '.join(models)}; did you mean -m openai:NAME?")
    return [_pair(model, benchmark, args) for model in models for benchmark in benchmarks]


def _pair(
    model_name: str, benchmark_name: str, args: argparse.Namespace, model_options: Mapping[str, Any] | None = None
) -> Pair:
    devices = args.device.split(",") if args.device and "," in args.device else []
    machine = {"device": devices[0] if devices else args.device, "dtype": args.dtype, "offline": args.offline or None}
    accepted = registry.parameters("models", model_name)
    options = _only(accepted, machine | {"base_url": args.base_url})
    options |= _key_values(args.model_args, "--model-args") | _key_values(args.gen_args, "--gen-args")
    options |= {"recipe": args.recipe} if args.recipe is not None else {}
    options |= model_options or {}
    model: ModelAdapter = registry.create("models", model_name, **options)
    world: str = getattr(model, "world", "official")

    benchmark_options = _benchmark_options(benchmark_name, args, world)
    benchmark: Benchmark = registry.create("benchmarks", benchmark_name, **benchmark_options)
    if benchmark.kind not in model.kinds:
        able = ", ".join(sorted(model.kinds))
        raise UsageError(f"{benchmark_name} asks for {benchmark.kind} outputs, {model_name} gives only: {able}")
    observer = _observer(benchmark, args, machine, world)
    samples, limit = select(_distinct(benchmark_name, benchmark.samples()), args.limit, args.ids)
    spec = RunSpec(
        model=model_name,
        benchmark=benchmark_name,
        seed=args.seed,
        limit=limit,
        model_card=_card(model_name, model, args),
        benchmark_card={**benchmark.card, **_data_world(benchmark_name, args, world)},
        observer_card=_card(benchmark.observer, observer, args) if observer else {},
        version=harness_version(),
    )
    slug = re.sub(r"[^A-Za-z0-9._-]+", "_", model_name).strip("._")[-60:]
    folder = args.output / f"{slug}--{benchmark_name}--{spec.digest}"
    models = [WorkerModel(model_name, options | {"device": device}, model.kinds, spec.model_card) for device in devices]
    models = models or [model]
    return Pair(
        model_name, benchmark_name, model, benchmark, observer, samples, spec, folder, models, benchmark_options
    )


def _card(who: str | None, plugin: ModelAdapter | Observer, args: argparse.Namespace) -> Mapping[str, Json]:
    """Return a plugin's knobs; a dry run says what is missing instead of fetching it."""
    try:
        return plugin.card
    except ModuleNotFoundError as error:
        problem = registry.missing_package(error, who or "the run")
    except EnvironmentProblem as error:
        problem = error
    if not getattr(args, "dry_run", False):
        raise problem
    return {"missing": str(problem)}


def _benchmark_options(name: str, args: argparse.Namespace, world: str) -> dict[str, Any]:
    accepted = registry.parameters("benchmarks", name)
    options = _only(accepted, {"data": args.data, "world": world, "offline": args.offline or None})
    options |= _only(accepted, _plugin_values(args))
    options |= _key_values(getattr(args, "bench_args", []), "--bench-args")
    if args.data is None and world != "official" and world in getattr(registry.load("benchmarks", name), "worlds", ()):
        options["data"] = world
    return options


def _data_world(name: str, args: argparse.Namespace, world: str) -> dict[str, str]:
    """Return {"world": ...} where the data are an embedded world's: tables never take them for the real ones."""
    given = _key_values(getattr(args, "bench_args", []), "--bench-args").get("data", args.data)
    known = {point.name for point in entry_points(group="janus_eval.data")}
    chosen = given or (world if world in getattr(registry.load("benchmarks", name), "worlds", ()) else "official")
    return {"world": chosen} if chosen in known else {}


def _observer(
    benchmark: Benchmark, args: argparse.Namespace, machine: Mapping[str, Any], world: str
) -> Observer | None:
    if benchmark.observer is None:
        return None
    accepted = registry.parameters("observers", benchmark.observer)
    options = _only(accepted, {"world": world, "task": benchmark.name} | dict(machine) | _plugin_values(args))
    return registry.create("observers", benchmark.observer, **options)


def _distinct(name: str, samples: Sequence[Sample]) -> Sequence[Sample]:
    """Return the samples. Raises UsageError where an id cannot name one: two would share an output."""
    if not samples:
        raise UsageError(f"{name} has no samples in these data")
    seen: set[str] = set()
    for each in samples:
        if each.id in seen:
            raise UsageError(f"{name}: two samples have the id {each.id!r}; each needs an id of its own")
        try:
            each.id.encode()
        except UnicodeEncodeError:
            raise UsageError(f"{name}: the sample id {each.id!r} is no valid text") from None
        seen.add(each.id)
    return samples


def select(samples: Sequence[Sample], limit: str | None, ids: str | None) -> tuple[Sequence[Sample], str | None]:
    """Return the samples of `--limit` (N, a share below 1, or A-B) or `--ids`, and how to write that down."""
    if ids is not None:
        wanted = [each for each in ids.split(",") if each]
        by_id = {each.id: each for each in samples}
        if not wanted:
            raise UsageError(f"--ids {ids!r} names no sample")
        unknown = [each for each in wanted if each not in by_id]
        if unknown:
            near = nearest(unknown[0], by_id)
            raise UsageError(f"--ids: no sample {unknown[0]!r}" + (f"; did you mean {near!r}?" if near else ""))
        return [by_id[each] for each in dict.fromkeys(wanted)], "ids:" + ",".join(dict.fromkeys(wanted))
    if limit is None:
        return samples, None
    match = re.fullmatch(r"(\d+)-(\d+)", limit)
    if match:
        first, last = int(match[1]), int(match[2])
        written = f"{first}-{last}"
    else:
        try:
            number = float(limit)
        except ValueError:
            raise UsageError(
                f"--limit {limit!r}: expected a number, a share below 1, or a range such as 10-20"
            ) from None
        if not 0 < number < float("inf") or (number >= 1 and number != int(number)):
            raise UsageError(f"--limit {limit!r}: expected a number of samples, a share below 1, or a range A-B")
        first, last = 0, int(number) if number >= 1 else max(1, round(len(samples) * number))
        written = f"{number:g}" if number < 1 else str(last)  # 02 and 2.0 are the same run as 2
    chosen = samples[first:last]
    if not chosen:
        raise UsageError(f"--limit {limit!r} leaves no sample of {len(samples)}")
    return chosen, None if len(chosen) == len(samples) else written


def evaluate(
    model: str,
    benchmark: str,
    *,
    output: Path = Path("runs"),
    model_options: Mapping[str, Any] | None = None,
    benchmark_options: Mapping[str, Any] | None = None,
    observer_options: Mapping[str, Any] | None = None,
    data: str | Path | None = None,
    limit: str | float | None = None,
    ids: str | Sequence[str] | None = None,
    seed: int = 0,
    device: str | None = None,
    dtype: str | None = None,
    batch_size: int | None = None,
    max_errors: int = 10,
    allow_unscored: bool = False,
    offline: bool = False,
) -> RunRecord:
    """Run one model on one benchmark from Python, as `janus-eval run` does, and return the record."""
    if limit is not None and ids is not None:
        raise UsageError("limit and ids exclude each other")
    if type(seed) is not int:
        raise UsageError(f"seed {seed!r}: expected a whole number")
    names = registry.resolve("models", model), registry.resolve("benchmarks", benchmark)
    chosen = {**(benchmark_options or {}), **(observer_options or {})}
    known = {*registry.parameters("benchmarks", names[1])}
    known.update(*(registry.parameters("observers", each) for each in _observers(names[1])))
    for key in chosen:
        if key not in known:
            near = nearest(key, known)
            raise UsageError(f"{names[1]} has no option {key!r}" + (f"; did you mean {near!r}?" if near else ""))
    args = argparse.Namespace(
        model=[model],
        bench=[benchmark],
        model_args=[],
        bench_args=[],
        gen_args=[],
        recipe=None,
        base_url=None,
        output=Path(output),
        data=None if data is None else str(data),
        limit=None if limit is None else str(limit),
        ids=ids if ids is None or isinstance(ids, str) else ",".join(ids),
        seed=seed,
        device=device,
        dtype=dtype,
        batch_size="auto" if batch_size is None else str(batch_size),
        max_errors=max_errors,
        allow_unscored=allow_unscored,
        offline=offline,
        **{f"plugin_{key}": value for key, value in chosen.items()},
    )
    return carry_out(_pair(*names, args, model_options), args)


def carry_out(pair: Pair, args: argparse.Namespace) -> RunRecord:
    """Run one pair and return its record."""
    if args.max_errors < 0:
        raise UsageError(f"--max-errors {args.max_errors}: expected a whole number from 0")
    settings = Settings(_batch_size(args.batch_size), args.max_errors, args.allow_unscored, args.offline)
    with RunStore(pair.folder, pair.spec) as store:
        store.write_json("options.json", {key: str(value) for key, value in pair.benchmark_options.items()})
        record = run(
            pair.spec,
            pair.models,
            pair.benchmark,
            pair.observer,
            store,
            pair.samples,
            settings,
            progress,
            environment,
        )
        for line in dict.fromkeys(store.damage):
            _warn(line)
    for each in pair.models:
        if isinstance(each, WorkerModel):
            each.close()
    return record


def _batch_size(text: str) -> int | None:
    if text == "auto":
        return None
    if not text.isdecimal() or int(text) < 1:
        raise UsageError(f"--batch-size {text!r}: expected auto or a whole number from 1")
    return int(text)


def _warn(line: str) -> None:
    import sys

    print(f"janus-eval: warning: {line}", file=sys.stderr)


def preview(pair: Pair, args: argparse.Namespace) -> dict[str, Json]:
    """Return the plan of one run: what it will make, where, how large, and what must be fetched first."""
    outputs = len(pair.samples) * pair.benchmark.outputs
    lines: dict[str, Json] = {
        "run": pair.title,
        "folder": str(pair.folder),
        "samples": len(pair.samples),
        "outputs": f"{outputs} ({pair.benchmark.kind})",
        "batch size": args.batch_size,
        "observer": pair.benchmark.observer or "none",
        "signature": pair.spec.signature,
    }
    if pair.benchmark.kind == "image":
        size = int(getattr(pair.model, "image_size", 384))
        lines["disk"] = f"about {outputs * size * size * 1.6 / 1e6:,.0f} MB for pictures of {size} px"
    free = shutil.disk_usage(_existing(pair.folder)).free
    lines["disk free"] = f"{free / 1e9:,.1f} GB"
    done = pair.folder / "predictions" / "0.jsonl"
    if done.exists():
        with done.open("rb") as file:
            lines["on disk already"] = f"{sum(1 for _ in file)} outputs"
    for who, card in (("model", pair.spec.model_card), ("observer", pair.spec.observer_card)):
        if "missing" in card:
            lines[f"{who} lacks"] = card["missing"]
            lines["signature"] = "known once everything is here"
    for who, plugin in (("model", pair.model), ("observer", pair.observer)):
        needs: Sequence[str] = getattr(plugin, "needs", tuple)()
        if needs:
            lines[f"{who} needs"] = "; ".join(f"{name} (janus-eval data fetch {name})" for name in needs)
    return lines


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path


# -- score --------------------------------------------------------------------------------------------


def score(args: argparse.Namespace) -> Scored:
    """Score outputs made elsewhere: the benchmark's `rescore`, or a run over a folder of pictures."""
    name = registry.resolve("benchmarks", args.bench)
    accepted = registry.parameters("benchmarks", name, method="rescore")
    given = _plugin_values(args)
    known = {"predictions": args.predictions, "images": args.images, "data": args.data}
    known |= {"device": args.device, "dtype": args.dtype, "offline": args.offline or None}
    if args.images is not None and "images" not in accepted:
        return _score_images(name, args)
    for key in ("predictions", "images"):
        if known[key] is not None and key not in accepted:
            raise UsageError(f"{name} does not score from {key}; its inputs: {', '.join(accepted) or 'none'}")
    strangers = sorted(set(given) - set(accepted) - set(registry.parameters("benchmarks", name)))
    if strangers:
        raise UsageError(f"scoring {name} takes no --{strangers[0].replace('_', '-')}; it takes: {', '.join(accepted)}")
    benchmark = registry.create("benchmarks", name, **_benchmark_options(name, args, "official"))
    options = _only(accepted, known) | _only(accepted, given)
    return registry.call_with(benchmark.rescore, name, options)  # pyright: ignore[reportAttributeAccessIssue] -- optional


def _score_images(name: str, args: argparse.Namespace) -> Scored:
    folder = Path(args.images)
    if not folder.is_dir():
        raise UsageError(f"--images {folder}: no such folder")
    run_args = argparse.Namespace(
        **vars(args) | {"base_url": None, "model_args": [], "gen_args": [], "recipe": None, "limit": None, "ids": None},
        seed=0,
        batch_size="auto",
        max_errors=10,
        allow_unscored=False,
    )
    if args.data is None and getattr(registry.load("benchmarks", name), "data_from_images", False):
        run_args.data = str(folder)
    pair = _pair(f"images:{folder}", name, run_args)
    record = carry_out(pair, run_args)
    if record.missing:
        some = ", ".join(record.missing[:5])
        _warn(f"{len(record.missing)} of {record.counts['expected']} pictures are missing: {some}")
    _warn(f"the run is kept in {pair.folder}")
    return Scored(
        bench=name,
        n=record.counts["scored"],
        metrics=record.metrics,
        unparsed=record.counts["unparsed"],
        unscored=record.counts["unscored"],
        rows=_rows(pair),
        extra={"run": str(pair.folder), "missing": list(record.missing), "counts": dict(record.counts)},
    )


def _rows(pair: Pair) -> Iterable[Mapping[str, Json]]:
    """Yield one row a picture for `--out`."""
    for each in read_scores(pair.folder):
        correct = None if each.value is None else bool(each.value) if each.value in (0.0, 1.0) else each.value
        row_id = f"{each.sample_id}/{each.index}"
        yield {
            "id": row_id,
            "protocol": each.protocol,
            "correct": correct,
            "reason": each.reason,
            "details": each.details,
        }


def write_rows(path: Path, rows: Iterable[Mapping[str, Json]]) -> None:
    """Write the rows of `--out`, one JSON object a line."""
    try:
        # A lone surrogate of an answer is the one thing that UTF-8 cannot hold: its escape is valid JSON.
        with path.open("w", encoding="utf-8", errors="backslashreplace") as file:
            for row in rows:
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
    except OSError as error:
        raise EnvironmentProblem(f"cannot write {path}: {error.strerror}") from error
