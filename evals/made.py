"""A plugin as a plan made it, with its knobs, and everything that it lacks on this machine."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from . import registry
from .assets import fetch as assets
from .errors import EnvironmentProblem, UsageError
from .executors import Executor, Plugin
from .types import Json

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Lack:
    """Something that `who` (a model, a suite, an observer) lacks, in words; `asset` is what brings it, where that is
    fetched. Without something `barring` the runs that need it cannot even be planned."""

    who: str
    problem: str
    asset: str = ""
    barring: bool = False


@dataclass(frozen=True, slots=True)
class Made:
    """A plugin with its name and the options that it was made with; `factory` is None for a caller's object."""

    name: str
    plugin: Any
    options: Mapping[str, Any]
    moving: Mapping[str, Json]
    factory: Any = None
    maker: tuple[str, Mapping[str, Any]] | None = None
    """The name and the options that make an equal one elsewhere, where they are not its own."""

    @property
    def travels(self) -> Plugin[Any]:
        """The plugin, and what makes an equal one elsewhere where it is no object of the caller's."""
        if not self.factory:
            return Plugin(self.plugin)
        return Plugin(self.plugin, *(self.maker or (self.name, self.options)))


class Meeting:
    """Calls what makes a plan. What it lacks ends the plan, or goes to a list of `lacks` and the plan goes on."""

    def __init__(self, lacks: list[Lack] | None) -> None:
        self._lacks = lacks

    def __call__(self, who: str | Any, make: Callable[..., T], *given: Any) -> T | None:
        try:
            return make(*given)
        except EnvironmentProblem as error:
            if self._lacks is None:
                raise
            self._note(Lack(who if isinstance(who, str) else type(who).__name__, str(error), barring=True))
            return None

    def ask(self, *made: Made | None) -> None:
        """Note what plugins lack: assets, keys, and what their cards need."""
        for each in made if self._lacks is not None else ():
            if each is None:
                continue
            here = each.plugin
            wanted = [*here.assets(), *(self(each.name, here.needs) or () if hasattr(here, "needs") else ())]
            for asset in dict.fromkeys(wanted):
                if not _is_here(asset):
                    self._note(Lack(each.name, f"{asset} is not on this machine", asset))
            if hasattr(here, "lacks"):  # a model or an observer
                told = [*here.lacks(), card_of(each, tolerant=True).get("missing")]
                for problem in filter(None, told):
                    self._note(Lack(each.name, str(problem)))

    def _note(self, lack: Lack) -> None:
        """Add it, unless what was said before says the same."""
        lacks = self._lacks
        assert lacks is not None
        for at, each in enumerate(lacks):
            same = each.problem == lack.problem or (bool(each.asset) and "data fetch" in lack.problem)
            if each.who == lack.who and same:
                lacks[at] = replace(each, barring=each.barring or lack.barring)
                return
        lacks.append(lack)


def _is_here(asset: str) -> bool:
    try:
        return assets.locate(asset) is not None
    except UsageError:  # a name of a plugin's own
        return False


def card_of(made: Made, *, tolerant: bool, executor: Executor | None = None) -> Mapping[str, Json]:
    """Return a plugin's knobs; a plan that is only looked at says what is missing instead of fetching it."""
    try:
        card: Mapping[str, Json] = made.plugin.card if executor is None else executor.card(made.travels)
        json.dumps(dict(card), sort_keys=True)
    except ModuleNotFoundError as error:
        problem = registry.missing_package(error, made.name)
    except EnvironmentProblem as error:
        problem = error
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(f"{made.name}: its card is no JSON object: {error}") from error
    else:
        return card
    if not tolerant:
        raise problem
    return {"missing": str(problem)}
