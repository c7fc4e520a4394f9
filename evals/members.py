"""A plugin with all of its members: checked when it is made, defaults where it has none of its own."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, cast, get_args, get_type_hints

from .errors import UsageError, nearest
from .plugins import (
    Benchmark,
    BenchmarkMembers,
    Eyes,
    Model,
    ModelAdapter,
    ModelMembers,
    Observer,
    ObserverMembers,
    Suite,
)
from .types import PICTURES, Kind

KINDS: Final[tuple[Kind, ...]] = get_args(Kind)


@dataclass(frozen=True, slots=True)
class Member:
    """One member that a kind of plugin has or may have."""

    name: str
    text: str
    required: bool
    default: Any = None


_DECLARED: Final[Mapping[str, tuple[type, type]]] = {
    "models": (ModelAdapter, ModelMembers),
    "benchmarks": (Benchmark, BenchmarkMembers),
    "observers": (Observer, ObserverMembers),
}


def model(adapter: ModelAdapter, who: str = "") -> Model:
    """Return a model adapter with every member. Raises UsageError for one that has a member wrong."""
    return cast(Model, _whole("models", adapter, who))


def benchmark(suite: Benchmark, who: str = "") -> Suite:
    """Return a suite with every member. Raises UsageError for one that has a member wrong."""
    return cast(Suite, _whole("benchmarks", suite, who))


def observer(eyes: Observer, who: str = "") -> Eyes:
    """Return an observer with every member. Raises UsageError for one that has a member wrong."""
    return cast(Eyes, _whole("observers", eyes, who))


def of_factory(factory: Any) -> BenchmarkMembers:
    """Return the members that a suite's factory itself carries, before a suite is made."""
    return cast(BenchmarkMembers, _Whole(factory, _defaults("benchmarks")))


def observers(factory: Any) -> list[str]:
    """Return the observers that the suites of a factory may use: the one they need and those they can do without."""
    needed = inspect.getattr_static(factory, "observer", None)  # a property where it depends on options
    return [*([needed] if isinstance(needed, str) else []), *of_factory(factory).optional_observers]


def disk_need(suite: Suite, model: Model, outputs: int) -> int:
    """Return about how many bytes so many outputs take: pictures as PNG, and lines of modest length about each."""
    picture = 1.6 * model.image_size**2 if suite.kind in PICTURES else 0
    return round(outputs * (picture + _LINES * (2 if suite.observer else 1)))


_LINES = 500
"""Bytes of an output's lines in predictions and scores, or in evidence: what short answers take, so that no run is
refused that had room."""


def members(group: str) -> list[Member]:
    """Return the members of a group's plugins, the required ones first."""
    needed, optional = _DECLARED[group]
    found = [Member(name, inspect.getdoc(each) or "", True) for name, each in vars(needed).items() if name[0] != "_"]
    hints = get_type_hints(optional, include_extras=True, localns={"Image": Any, "Estimate": Any})
    for name, value in vars(optional).items():
        if name[0] != "_" and callable(value):
            found.append(Member(name, inspect.getdoc(value) or "", False, value))
        elif name[0] != "_":
            found.append(Member(name, get_args(hints[name])[1], False, value))
    return found


def problems(group: str, plugin: Any) -> dict[str, str]:
    """Return what is wrong with a plugin, by member; nothing is computed and nothing is loaded."""
    found: dict[str, str] = {}
    declared = {each.name: each for each in members(group)}
    needed, optional = _DECLARED[group]
    for name, member in declared.items():
        if not has(plugin, name):
            if member.required:
                found[name] = "is missing"
            continue
        shape = inspect.getattr_static(needed if member.required else optional, name)
        if not callable(shape) and inspect.isfunction(_static(plugin, name)):
            found[name] = "is a method, a value is expected"
        elif callable(shape):
            why = _misfit(plugin, name, shape)
            found |= {name: why} if why else {}
    if group == "models" and "kinds" not in found:
        found |= _wrong_kinds("kinds", plugin.kinds)
    if group == "benchmarks" and "kind" not in found:
        found |= _wrong_kinds("kind", [plugin.kind])
    for name in _public(plugin) - declared.keys():
        near = nearest(name, [each for each in declared if not has(plugin, each)])
        if near is not None and _alike(near, name):
            found[name] = f"is nothing that is read; did you mean {near!r}?"
    return found


class _Whole:
    """A plugin with the defaults of the members that it lacks."""

    def __init__(self, plugin: Any, defaults: Any) -> None:
        self._plugin = plugin
        self._defaults = defaults

    def __getattr__(self, name: str) -> Any:
        return getattr(self._plugin if has(self._plugin, name) else self._defaults, name)


def _whole(group: str, plugin: Any, who: str) -> Any:
    if isinstance(plugin, _Whole):
        return plugin
    for name, why in problems(group, plugin).items():
        raise UsageError(f"{who or type(plugin).__name__}: the member {name!r} {why}")
    return _Whole(plugin, _defaults(group))


@cache
def _defaults(group: str) -> Any:
    return type("Defaults", (_DECLARED[group][1],), {})()  # a Protocol itself is made by nobody


def has(plugin: Any, name: str) -> bool:
    """Return whether a plugin has a member, without computing it."""
    if _static(plugin, name) is not _NOTHING:
        return True
    return hasattr(type(plugin), "__getattr__") and hasattr(plugin, name)  # a proxy


_NOTHING = object()


def _static(plugin: Any, name: str) -> Any:
    """Return a member as it is declared; `_NOTHING` where it has none, or hands it on to another (a proxy)."""
    return inspect.getattr_static(plugin, name, _NOTHING)


def _misfit(plugin: Any, name: str, shape: Callable[..., Any]) -> str:
    """Return why a method cannot be called as the harness calls it, or nothing."""
    own = _static(plugin, name)
    if isinstance(own, property) or type(own).__name__ == "cached_property":
        return "is a property, a method is expected"
    found = getattr(plugin, name)
    if not callable(found):
        return f"is {found!r:.40}, a method is expected"
    wanted = [each for each in inspect.signature(shape).parameters.values() if each.name != "self"]
    positional = [each for each in wanted if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
    if any(each.kind is each.VAR_KEYWORD for each in wanted):
        return ""  # its own parameters are its flags
    try:
        signature = inspect.signature(found)
    except ValueError:  # of a builtin
        return ""
    try:
        signature.bind(*positional)
    except TypeError as error:
        told = ", ".join(each.name for each in positional) or "nothing"
        return f"is called with ({told}), but takes {signature}: {error}"
    return ""


def _wrong_kinds(name: str, kinds: Any) -> dict[str, str]:
    if isinstance(kinds, str) or not isinstance(kinds, Collection) or not kinds:
        return {name: f"is {kinds!r:.60}, expected some of {', '.join(KINDS)}"}
    unknown = [each for each in kinds if each not in KINDS]
    return {name: f"names {unknown[0]!r:.60}; the kinds are {', '.join(KINDS)}"} if unknown else {}


def _public(plugin: Any) -> set[str]:
    own = vars(plugin) if hasattr(plugin, "__dict__") else {}
    return {name for name in (*dir(type(plugin)), *own) if not name.startswith("_")}


def _alike(one: str, other: str) -> bool:
    """Return whether two names differ by underscores, case, or one letter more, less, changed or swapped."""
    one, other = (each.replace("_", "").lower() for each in (one, other))
    if min(len(one), len(other)) < 6:
        return one == other
    while one and other and one[0] == other[0]:
        one, other = one[1:], other[1:]
    while one and other and one[-1] == other[-1]:
        one, other = one[:-1], other[:-1]
    return max(len(one), len(other)) <= 1 or (len(one) == 2 and one == other[::-1])
