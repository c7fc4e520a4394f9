"""The suite and the samples of a stored run, made again from the options that lie in its folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from . import members, registry
from .errors import UsageError
from .files import read_object
from .plugins import Suite
from .records import read_spec
from .samples import select
from .types import Json, Sample


def suite_of(folder: Path, more: Mapping[str, Json] | None = None, *, name: str = "") -> Suite:
    """Return the suite of a run, of this name where its record tells it; `more` are options beside its own.

    Nothing is fetched. Raises UsageError.
    """
    name = name or read_spec(folder).benchmark
    offline = {"offline": True} if "offline" in registry.parameters("benchmarks", name) else {}
    path = folder / "options.json"
    given = read_object(path) if path.is_file() else {}
    if not all(isinstance(each, str) for each in given.values()):
        raise UsageError(f"{path} is damaged: an option is no text")
    options = {**given, **offline, **(more or {})}
    return members.benchmark(registry.create("benchmarks", name, **options), name)


def taken(suite: Suite, limit: str | None) -> Sequence[Sample]:
    """Return the samples of a run that was limited so (`RunSpec.limit`). Raises UsageError for what there is not."""
    samples = suite.samples()
    if limit is None:
        return samples
    ids = limit.removeprefix("ids:").split(",") if limit.startswith("ids:") else None
    return select(samples, None if ids else limit, ids)[0]
