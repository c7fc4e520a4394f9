"""Scoring outputs made elsewhere: a suite's own `rescore`, or a run over a folder of pictures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from . import members, registry
from .errors import InvalidImage, UsageError, hint
from .evaluation import Say, carry_out, settings_of
from .layouts import Folder
from .plan import pairs
from .records import read_scores
from .request import Machine, Request
from .types import Json, Sample, Scored


def score(
    benchmark: str,
    predictions: Path | None = None,
    *,
    images: Path | None = None,
    pattern: str | None = None,
    data: str | None = None,
    options: Mapping[str, Any] | None = None,
    machine: Machine | None = None,
    output: Path = Path("runs"),
    say: Say | None = None,
) -> Scored:
    """Score a file of predictions or a folder of pictures; `options` are the suite's and its `rescore`'s.

    `pattern` says how the pictures are named where they lie in no layout that `layouts.Folder` reads.

    Raises UsageError for an input or an option that the suite does not take.
    """
    name = registry.resolve("benchmarks", benchmark)
    accepted = registry.parameters("benchmarks", name, method="rescore")
    given, machine = dict(options or {}), machine or Machine()
    if images is not None and "images" not in accepted:
        return _images(name, Folder(images, pattern), pattern, data, given, machine, output, say)
    known = {"predictions": predictions, "images": images, "pattern": pattern, "data": data}
    for key in ("predictions", "images", "pattern"):
        if known[key] is not None and key not in accepted:
            raise UsageError(f"{name} does not score from {key}; its inputs: {', '.join(accepted) or 'none'}")
    known |= {"device": machine.device, "dtype": machine.dtype, "offline": machine.offline or None}
    own = registry.parameters("benchmarks", name)
    for key in sorted(given.keys() - accepted.keys() - own.keys()):
        told = hint(key, {**accepted, **own}, f"; it takes: {', '.join(accepted)}")
        raise UsageError(f"scoring {name} takes no --{key.replace('_', '-')}{told}")
    made = {key: value for key, value in {**known, "world": "official"}.items() if key in own and value is not None}
    made = {
        key: value for key, value in made.items() if key not in ("predictions", "images", "pattern", "device", "dtype")
    }
    suite = members.benchmark(registry.create("benchmarks", name, **made | _only(own, given)), name)
    return registry.call_with(suite.rescore, name, _only(accepted, known) | _only(accepted, given))


def _only(accepted: Mapping[str, object], values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key in accepted and value is not None}


def _images(
    name: str,
    folder: Folder,
    pattern: str | None,
    data: str | None,
    options: dict[str, Any],
    machine: Machine,
    output: Path,
    say: Say | None,
) -> Scored:
    """Run the suite over a folder of pictures, which the model `images` hands out."""
    if pattern is not None and "images_per_prompt" in registry.parameters("benchmarks", name):
        options.setdefault("images_per_prompt", folder.most() or None)
    elif data is None and members.of_factory(registry.load("benchmarks", name)).data_from_images:
        data = str(folder.given)
    request = Request(
        models=(f"images:{folder.given}",),
        benchmarks=(name,),
        model_options={} if pattern is None else {"pattern": pattern},
        options={key: value for key, value in options.items() if value is not None},
        data=data,
        output=output,
        machine=replace(machine, batch_size=None, base_url=None),
    )
    planned = pairs(request)
    unused = _unused(folder, planned[0].samples, planned[0].suite.outputs)
    (outcome,) = carry_out(planned, settings_of(request), say=say)
    if outcome.record is None:
        raise outcome.error or UsageError(f"{outcome.title}: no record")
    record = outcome.record
    return Scored(
        bench=name,
        n=record.counts["scored"],
        metrics=record.metrics,
        unparsed=record.counts["unparsed"],
        unscored=record.counts["unscored"],
        rows=_rows(outcome.folder),
        extra={
            "run": str(outcome.folder),
            "missing": list(record.missing),
            "counts": dict(record.counts),
            **({"unused": unused} if unused else {}),
        },
    )


def _unused(folder: Folder, samples: Sequence[Sample], outputs: int) -> list[str]:
    """Return the pictures that are taken for no sample's output: another suite's, or one more than is asked for."""
    used: set[Path] = set()
    for each in samples:
        with suppress(InvalidImage, UsageError):  # the run says what is wrong with them
            used.update(folder.of(each.id, each.prompt)[:outputs])
    return [path.relative_to(folder.root).as_posix() for path in folder.files() if path not in used]


def _rows(folder: Path) -> Iterable[Mapping[str, Json]]:
    """Yield one row a picture for `--out`."""
    for each in read_scores(folder):
        correct = None if each.value is None else bool(each.value) if each.value in (0.0, 1.0) else each.value
        row_id = f"{each.sample_id}/{each.index}"
        yield {
            "id": row_id,
            "protocol": each.protocol,
            "correct": correct,
            "reason": each.reason,
            "details": each.details,
        }
