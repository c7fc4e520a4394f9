"""Systems that people compare, and the recipes of those that draw through diffusers (systems.toml)."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import MappingProxyType

from ..evals.types import Json

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_NOTHING: Mapping[str, Json] = MappingProxyType({})
_PREFIX = "diffusers:"


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a pipeline draws; None leaves a value to the pipeline's own default."""

    steps: int | None = None
    guidance: float | None = None
    size: int | None = None
    negative_prompt: str | None = None
    extra: Mapping[str, Json] = field(default_factory=lambda: _NOTHING)
    """Further arguments of the pipeline's call."""
    float32: Sequence[str] = ()
    """Components that are loaded in float32 whatever the run's type."""
    variant: str | None = None
    """Which of a repository's files are taken."""
    needs: Sequence[str] = ()
    """Packages that the pipeline asks for beside those of the extra."""
    together: int | None = None
    """How many pictures its class draws at once so that none depends on another; None for any number."""
    pipeline: str = ""
    """The class that the recipe is for, "" for any."""


@dataclass(frozen=True, slots=True)
class System:
    """One row: a system, what it gives, how it is run and how far that was tried here."""

    name: str
    halves: Sequence[str]
    licence: str
    checkpoint: str
    environment: str
    model: str
    """What follows -m."""
    ran: str
    rows: Sequence[str]
    """Its names in the published tables."""
    recipe: Recipe | None = None
    origin: str = ""
    """Where the recipe's numbers stand."""


HEAD = ("system", "halves", "licence", "checkpoint", "environment", "`-m`", "what was run here", "published row")


def cells(system: System) -> tuple[str, ...]:
    """Return what a table shows of a system, in the order of `HEAD`."""
    halves, rows = ", ".join(system.halves), ", ".join(system.rows) or "none here"
    return (system.name, halves, system.licence, system.checkpoint, system.environment, system.model, system.ran, rows)


@cache
def systems() -> tuple[System, ...]:
    """Return every row, in the order in which they are shown."""
    table = tomllib.loads(Path(__file__).with_name("systems.toml").read_text(encoding="utf-8"))
    return tuple(_system(row) for row in table["system"])


def _system(row: dict[str, Json]) -> System:
    recipe = row.pop("recipe", None)
    if recipe is None:
        return System(**row)
    origin = recipe.pop("from")
    return System(**row, recipe=Recipe(**recipe), origin=origin)


def drawers() -> Mapping[str, System]:
    """Return the systems that have a recipe, by the short name that follows `diffusers:`."""
    return {each.model.removeprefix(_PREFIX): each for each in systems() if each.recipe is not None}


def drawer(name: str) -> System | None:
    """Return the system of a short name or of a checkpoint, None where there is no recipe for it."""
    return next((each for short, each in drawers().items() if name in (short, each.checkpoint)), None)


def together(pipeline: str) -> int | None:
    """Return how many pictures a pipeline class may draw at once, None for any number."""
    recipes = [each.recipe for each in drawers().values() if each.recipe]
    return next((each.together for each in recipes if each.pipeline == pipeline and each.together), None)
