"""Dense prompts of the embedded world: several things, colours, numbers and a relation in a few sentences."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from .world import COLOR_NAMES, NAMES, RELATIONS, Thing, places, related_places, with_article

NUMBERS = {1: "one", 2: "two", 3: "three", 4: "four"}
Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Group:
    """Some equal things: how many, which colour, which name."""

    count: int
    color: str
    name: str

    @property
    def phrase(self) -> str:
        one = f"{self.color} {self.name}"
        return with_article(one) if self.count == 1 else f"{NUMBERS[self.count]} {one}s"


@dataclass(frozen=True, slots=True)
class Dense:
    """A dense prompt: its groups, and a relation between the first two where each is one thing."""

    groups: tuple[Group, ...]
    relation: str | None

    @property
    def prompt(self) -> str:
        phrases = [group.phrase for group in self.groups]
        shown = f"{', '.join(phrases[:-1])} and {phrases[-1]}"
        text = f"The picture shows {shown}."
        if self.relation is not None:
            text += f" The {self.groups[0].name} is {self.relation} the {self.groups[1].name}."
        return text


def dense(rng: Random, allowed: Callable[[str, str], bool] = lambda name, color: True) -> Dense:
    """Return a dense prompt of two to four things in two or three groups; `allowed` filters (name, colour)."""
    kinds = rng.choice([2, 2, 3])
    names = rng.sample(NAMES, kinds)
    colors = [rng.choice([color for color in COLOR_NAMES if allowed(name, color)]) for name in names]
    related = kinds == 2 and rng.random() < 0.6
    counts = [1] * kinds
    if not related and rng.random() < 0.7:
        counts[rng.randrange(kinds)] = 2
    groups = tuple(Group(*each) for each in zip(counts, colors, names, strict=True))
    return Dense(groups, rng.choice(RELATIONS) if related else None)


def things(rng: Random, wish: Dense) -> tuple[Thing, ...]:
    """Return things that fulfil the prompt, at places chosen by `rng`."""
    kinds = [group for group in wish.groups for _ in range(group.count)]
    cells = related_places(rng, wish.relation) if wish.relation else places(rng, len(kinds))
    return tuple(Thing(group.name, group.color, *cell) for group, cell in zip(kinds, cells, strict=True))
