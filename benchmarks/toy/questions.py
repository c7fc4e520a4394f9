"""Questions about scenes with their answers, made by seed: yes or no, how many, which colour, what is where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from .dense import NUMBERS
from .world import COLOR_NAMES, NAMES, RELATIONS, Scene, Thing, holds, places, related_places, with_article

YES_NO = ("existence", "count", "color", "position")
OPEN = ("count", "color", "name", "place")
NOWHERE = "none"


@dataclass(frozen=True, slots=True)
class Question:
    """A question, its answer (yes, no or one word) and, for open ones, wrong answers of the same kind."""

    text: str
    answer: str
    kind: str
    others: tuple[str, ...] = ()


def scene(rng: Random, texture: bool = True) -> Scene:
    """Return a scene of one to four things, made so that counts, colours and places can be asked about."""
    style = rng.choice(["mixed", "mixed", "counted", "related"])
    names = rng.sample(NAMES, 4)
    colors = [rng.choice(COLOR_NAMES) for _ in names]
    if style == "related":
        cells = related_places(rng, rng.choice(RELATIONS))
        things = [Thing(names[i], colors[i], *cells[i]) for i in range(2)]
    elif style == "counted":
        number = rng.randint(1, 4)
        extra = rng.randint(0, 4 - number)
        kinds = [0] * number + list(range(1, 1 + extra))
        cells = places(rng, len(kinds))
        things = [Thing(names[k], colors[k], *cell) for k, cell in zip(kinds, cells, strict=True)]
    else:
        cells = places(rng, rng.randint(1, 4))
        things = [Thing(names[k], colors[k], *cell) for k, cell in enumerate(cells)]
    return Scene(tuple(things), rng.randrange(1 << 30) if texture and rng.random() < 0.5 else None)


def single(scene: Scene) -> list[Thing]:
    """Return the things whose name occurs once."""
    return [thing for thing in scene.things if scene.count(thing.name) == 1]


def absent(rng: Random, scene: Scene) -> str:
    return rng.choice([name for name in NAMES if not scene.count(name)])


def other_color(rng: Random, color: str) -> str:
    return rng.choice([each for each in COLOR_NAMES if each != color])


def relation_of(a: Thing, b: Thing) -> str | None:
    return next((relation for relation in RELATIONS if holds(relation, a, b)), None)


def pairs(scene: Scene) -> list[tuple[Thing, str, Thing]]:
    """Return every (a, relation, b) among things that occur once whose relation is clear."""
    ones = single(scene)
    found = [(a, relation_of(a, b), b) for a in ones for b in ones if a is not b]
    return [(a, relation, b) for a, relation, b in found if relation is not None]


def yes_no(rng: Random, scene: Scene, kind: str, yes: bool) -> Question | None:
    """Return a yes/no question of the kind with that answer; None where the scene allows none."""
    answer = "yes" if yes else "no"
    where = rng.choice(["in the image", "in this image", "in the picture"])
    thing = rng.choice(scene.things)
    if kind == "existence":
        name = thing.name if yes else absent(rng, scene)
        return Question(f"Is there {with_article(name)} {where}?", answer, kind)
    if kind == "count":
        number = scene.count(thing.name)
        if not yes:
            number = rng.choice([each for each in NUMBERS if each != number])
        phrase = f"Is there only one {thing.name}" if number == 1 else f"Are there {NUMBERS[number]} {thing.name}s"
        return Question(f"{phrase} {where}?", answer, kind)
    if kind == "color":
        ones = single(scene)
        if not ones:
            return None
        thing = rng.choice(ones)
        color = thing.color if yes else other_color(rng, thing.color)
        if not yes and len(ones) > 1 and rng.random() < 0.5:  # the colour of another thing: the harder no
            others = [one.color for one in ones if one.color != thing.color]
            color = rng.choice(others) if others else color
        if rng.random() < 0.5:
            return Question(f"Is there {with_article(f'{color} {thing.name}')} {where}?", answer, kind)
        return Question(f"Is the {thing.name} {color}?", answer, kind)
    found = pairs(scene)
    if not found:
        return None
    a, relation, b = rng.choice(found)
    if not yes:
        relation = rng.choice([each for each in RELATIONS if each != relation])
    return Question(f"Is the {a.name} {relation} the {b.name}?", answer, "position")


def opened(rng: Random, scene: Scene, kind: str) -> Question | None:
    """Return an open question of the kind, answered by one word; None where the scene allows none."""
    ones = single(scene)
    if kind == "count":
        present = rng.random() < 0.9
        name = rng.choice(scene.things).name if present else absent(rng, scene)
        number = scene.count(name)
        answer = NUMBERS[number] if number else "zero"
        others = tuple(each for each in (*NUMBERS.values(), "zero") if each != answer)
        text = rng.choice([f"How many {name}s are in the image?", f"How many {name}s are there?"])
        return Question(text, answer, kind, others)
    if kind == "color" and ones:
        thing = rng.choice(ones)
        text = rng.choice([f"What color is the {thing.name}?", f"What is the color of the {thing.name}?"])
        return Question(text, thing.color, kind, tuple(each for each in COLOR_NAMES if each != thing.color))
    if kind == "name":
        lone = [one for one in scene.things if sum(each.color == one.color for each in scene.things) == 1]
        if lone:
            thing = rng.choice(lone)
            text = rng.choice([f"What is {thing.color}?", f"Which thing is {thing.color}?"])
            return Question(text, thing.name, kind, tuple(each for each in NAMES if each != thing.name))
    if kind == "place":
        found = [p for p in pairs(scene) if sum(b is p[2] and relation == p[1] for _, relation, b in pairs(scene)) == 1]
        if found and len(single(scene)) == len(scene.things):
            a, relation, b = rng.choice(found)
            others = tuple(each for each in NAMES if each not in (a.name, b.name))
            return Question(f"What is {relation} the {b.name}?", a.name, kind, others)
    return None


@dataclass(frozen=True, slots=True)
class Choice:
    """A question with lettered options."""

    text: str
    options: tuple[str, ...]
    answer: int
    kind: str

    @property
    def letter(self) -> str:
        return "ABCDEFGHIJ"[self.answer]


def choice(rng: Random, scene: Scene, kind: str, count: int = 4, shown: Sequence[str] = ()) -> Choice | None:
    """Return an open question with `count` options; wrong ones are taken from what the scene shows first."""
    question = opened(rng, scene, kind)
    if question is None:
        return None
    tempting = [each for each in dict.fromkeys(shown) if each in question.others]
    wrong = rng.sample(tempting, min(len(tempting), rng.randint(0, count - 1)))
    wrong += rng.sample([each for each in question.others if each not in wrong], count - 1 - len(wrong))
    options = [question.answer, *wrong]
    rng.shuffle(options)
    return Choice(question.text, tuple(options), options.index(question.answer), kind)
