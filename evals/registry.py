"""Plugins by name: entry points are listed without importing them and created with checked options."""

from __future__ import annotations

import importlib.util
import inspect
import typing
from collections.abc import Collection, Mapping
from functools import cache
from importlib.metadata import EntryPoint, EntryPoints, entry_points
from pathlib import Path
from typing import Any, Literal

from .abstracts import abstract
from .errors import EnvironmentProblem, UsageError, hint, nearest
from .extras import pip_line
from .types import Json

Group = Literal["models", "benchmarks", "observers", "executors", "trackers"]

_EXTRAS = {
    "torch": "hf",
    "transformers": "hf",
    "tokenizers": "hf",
    "safetensors": "hf",
    "accelerate": "hf",
    "diffusers": "diffusers",
    "open_clip": "clip",
    "torchvision": "vision",
    "num2words": "vision",
    "datasets": "data",
    "uv": "env",
    "mmdet": "mmdet",
    "cv2": "geneval",
    "ray": "ray",
    "submitit": "slurm",
    "pycocotools": "geneval",
    "matplotlib": "figures",
    "tensorboard": "tensorboard",
    "wandb": "wandb",
    "mlflow": "mlflow",
    "trackio": "trackio",
}


def names(group: Group) -> list[str]:
    """Return the registered names of a group, sorted, importing no plugin."""
    return sorted(_table(group))


def abstracts(group: Group) -> dict[str, str]:
    """Return the registered names of a group, each with the first sentence that its source says of it."""
    table = _table(group)
    return {name: abstract(table[name]) for name in sorted(table)}


def choices(parameter: inspect.Parameter) -> list[str]:
    """Return the words that an option may be, its default first; none where it may be any."""
    members = (parameter.annotation, *typing.get_args(parameter.annotation))
    words = [str(word) for each in members if typing.get_origin(each) is Literal for word in typing.get_args(each)]
    first = [str(parameter.default)] if isinstance(parameter.default, str) and parameter.default else []
    return list(dict.fromkeys([*first, *words]))


def about(group: Group, name: str) -> str:
    """Return what a plugin says of itself and its options: `about` of an object that makes it, else the docstring."""
    factory = load(group, name)
    told = getattr(factory, "about", None)
    if isinstance(told, str):
        return inspect.cleandoc(told)
    made_by = factory if inspect.isroutine(factory) or inspect.isclass(factory) else type(factory).__call__
    return inspect.getdoc(made_by) or ""


def resolve(group: Group, name: str) -> str:
    """Return the registered form of `name` (hyphen, underscore, case and aliases accepted).

    A name `prefix:rest` is kept as it is when `prefix` is registered. Raises UsageError with the
    nearest match for an unknown name.
    """
    prefix, colon, rest = name.partition(":")
    table = {_fold(each): each for each in _table(group)}
    folded = _fold(prefix)
    if folded not in table:
        aliases = {_fold(point.name): point.value for point in points("aliases")}
        folded = _fold(aliases.get(folded, folded))
    if folded not in table:
        near = nearest(folded, table)
        told = f"; did you mean {table[near]!r}?" if near else f"; known: {', '.join(sorted(table.values()))}"
        raise UsageError(f"janus_eval.{group} has no {name!r}{told}")
    return table[folded] + colon + rest


def load(group: Group, name: str) -> Any:
    """Import a plugin and return its factory."""
    return _load(group, resolve(group, name))


def parameters(group: Group, name: str, method: str | None = None) -> Mapping[str, inspect.Parameter]:
    """Return the options that a plugin's factory, or a method of it, takes; nothing is called."""
    found = load(group, name)
    if method is not None:
        found = getattr(found, method, None)
        if found is None:
            return {}
    return _parameters(found)


def create(group: Group, name: str, /, **options: Any) -> Any:
    """Import one plugin and call its factory with `options`.

    Text values are read as the annotation of the parameter says. Raises UsageError for an unknown
    name or option and EnvironmentProblem where a package is missing.
    """
    resolved, factory, values = _bound(group, name, options)
    accepted = _parameters(factory)
    required = [key for key, each in accepted.items() if each.default is each.empty and key not in values]
    if required:
        raise UsageError(f"{resolved} needs the option {required[0]!r}: give {required[0]}=VALUE or {resolved}:VALUE")
    try:
        return factory(**values)
    except ImportError as error:
        raise missing_package(error, resolved) from error


def moving(group: Group, name: str, options: Mapping[str, Any], inert: Collection[str]) -> dict[str, Json]:
    """Return the options that differ from their defaults, as JSON: what enters a run's key by itself.

    Left out are those that the plugin calls `inert`, what follows the colon of its name, and `offline`.
    """
    _, factory, values = _bound(group, name, options)
    accepted = _parameters(factory)
    apart = {*inert, "offline", *(list(accepted)[:1] if ":" in name else ())}
    return {
        key: value if isinstance(value, str | int | float | bool) else str(value)
        for key, value in values.items()
        if key not in apart and value != accepted[key].default
    }


def _bound(group: Group, name: str, options: Mapping[str, Any]) -> tuple[str, Any, dict[str, Any]]:
    """Return a plugin's registered name, its factory, and the options as the factory takes them."""
    resolved = resolve(group, name)
    factory = _load(group, resolved)
    _, colon, rest = resolved.partition(":")
    accepted = _parameters(factory)
    if colon:
        first = next(iter(accepted), None)
        if first is None or first in options:
            raise UsageError(f"{name!r}: {resolved.partition(':')[0]} takes nothing after the colon")
        options = {first: rest, **options}
    values: dict[str, Any] = {}
    for key, value in options.items():
        found = _accepted(resolved, accepted, key)
        values[found] = _read(resolved, accepted[found], value)
    return resolved, factory, values


def missing_package(error: ImportError, who: str) -> EnvironmentProblem:
    """Return the error that names the missing package and the extra that brings it."""
    package = (error.name or "").partition(".")[0]
    extra = _EXTRAS.get(package)
    if package and importlib.util.find_spec(package) is not None:  # it is here, but not as it is wanted
        update = pip_line(extra, upgrade=True) if extra else f"update or mend the package {package}"
        return EnvironmentProblem(f"{who} needs another {package} than the installed one ({error}): {update}")
    how = pip_line(extra) if extra else f"pip install {package or 'the missing package'}"
    return EnvironmentProblem(f"{who} needs the package {package or error}: {how}")


def call_with(function: Any, who: str, options: Mapping[str, Any]) -> Any:
    """Call `function` with text options read as its annotations say (flags of `janus-eval score`)."""
    accepted = _parameters(function)
    named = {_accepted(who, accepted, key): value for key, value in options.items()}
    return function(**{key: _read(who, accepted[key], value) for key, value in named.items()})


def points(group: str) -> EntryPoints:
    """Return what installed packages offer in a group of janus_eval, twins among them."""
    return _every().select(group=f"janus_eval.{group}")


def forget() -> None:
    """Read the installed entry points anew (after an install within this process)."""
    _every.cache_clear()


def _fold(name: str) -> str:
    return name.replace("_", "-").lower()


@cache
def _every() -> Any:
    """Return what all installed packages offer: they are read once, whatever group is asked for."""
    return entry_points()


def _table(group: str) -> dict[str, EntryPoint]:
    table: dict[str, EntryPoint] = {}
    folded: dict[str, EntryPoint] = {}
    for point in points(group):
        other = folded.setdefault(_fold(point.name), point)
        if other.value != point.value:
            raise UsageError(
                f"janus_eval.{group}: two packages claim {point.name!r}: {_owner(other)} and {_owner(point)}"
            )
        table[point.name] = point
    return table


def _owner(point: EntryPoint) -> str:
    return f"{point.dist.name if point.dist else 'unknown package'} ({point.value})"


def _load(group: Group, resolved: str) -> Any:
    name = resolved.partition(":")[0]
    try:
        return _table(group)[name].load()
    except ImportError as error:
        raise missing_package(error, name) from error


def _parameters(factory: Any) -> dict[str, inspect.Parameter]:
    found = inspect.signature(factory, eval_str=True).parameters
    keep = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {key: each for key, each in found.items() if each.kind in keep and key != "self"}


def _accepted(who: str, accepted: Mapping[str, inspect.Parameter], key: str) -> str:
    """Return an option's name as the factory has it. Raises UsageError for one that it does not take."""
    found = key if key in accepted else key.replace("-", "_")
    if found not in accepted:
        told = hint(found, accepted, f"; it takes: {', '.join(accepted) or 'none'}")
        raise UsageError(f"{who} has no option {key!r}{told}")
    return found


def _read(who: str, parameter: inspect.Parameter, value: Any) -> Any:
    """Return an option's value, a text as the annotation says."""
    if not isinstance(value, str):
        return value
    try:
        return _cast(parameter.annotation, value)
    except ValueError as error:
        raise UsageError(f"{who}: option {parameter.name}={value!r}: {error}") from error


def _cast(annotation: Any, text: str) -> Any:
    """Read `text` as the first member of the annotation that takes it."""
    origin = typing.get_origin(annotation)
    members = typing.get_args(annotation)
    if origin is Literal:
        if text not in members:
            raise ValueError(f"expected one of {', '.join(map(str, members))}")
        return text
    if members and origin is not None and type(None) in members:
        if text.lower() in ("none", "null"):
            return None
        return _cast_any([each for each in members if each is not type(None)], text)
    if members and origin is not None:
        return _cast_any(list(members), text)
    if annotation is bool:
        lowered = text.lower()
        if lowered in ("true", "1", "yes", "on"):
            return True
        if lowered in ("false", "0", "no", "off"):
            return False
        raise ValueError("expected true or false")
    if annotation in (int, float):
        try:
            return annotation(text)
        except ValueError:
            raise ValueError(f"expected {'a whole number' if annotation is int else 'a number'}") from None
    if annotation is Path:
        if not text:
            raise ValueError("expected a path")
        return Path(text)
    return text


def _cast_any(members: list[Any], text: str) -> Any:
    problem = ValueError("no type takes it")
    for member in members:
        try:
            return _cast(member, text)
        except ValueError as error:
            problem = error
    raise problem
