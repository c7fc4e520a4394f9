"""The embedded world: scenes that can be told apart, and questions whose answers are true."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from janus_eval.benchmarks.geneval.prompts import CLASSES, COLORS
from janus_eval.benchmarks.toy.dense import dense, things
from janus_eval.benchmarks.toy.icons import icon
from janus_eval.benchmarks.toy.questions import OPEN, YES_NO, choice, opened, scene, yes_no
from janus_eval.benchmarks.toy.world import (
    BACKGROUND,
    COLOR_NAMES,
    HELD_OUT,
    NAMES,
    RELATIONS,
    Scene,
    Thing,
    holds,
    mask,
    pixels,
    places,
    related_places,
)


def test_things_are_coco_classes_in_genevals_colours() -> None:
    assert set(NAMES) <= set(CLASSES)
    assert COLOR_NAMES == COLORS


def test_no_two_icons_look_alike() -> None:
    tiles = {icon(name, color).tobytes() for name in NAMES for color in COLOR_NAMES}
    assert len(tiles) == len(NAMES) * len(COLOR_NAMES)


def test_a_scene_is_drawn_where_its_things_are_and_nowhere_else() -> None:
    apple = Thing("apple", "red", row=1, column=4)
    picture = pixels(Scene((apple,)))
    x0, y0, x1, y1 = apple.box
    assert (x0, y0, x1, y1) == (32, 8, 56, 32)
    outside = np.ones((64, 64), dtype=bool)
    outside[y0:y1, x0:x1] = False
    assert (picture[outside] == BACKGROUND).all()
    assert mask(apple)[y0:y1, x0:x1].mean() > 0.4
    assert not mask(apple)[outside].any()


def test_places_leave_an_empty_cell_between_things() -> None:
    for seed in range(300):
        cells = places(Random(seed), 1 + seed % 4)
        assert len(cells) == 1 + seed % 4
        for number, (row, column) in enumerate(cells):
            assert all(abs(row - r) > 3 or abs(column - c) > 3 for r, c in cells[:number])


@pytest.mark.parametrize("relation", RELATIONS)
def test_related_places_hold_their_relation_and_no_other(relation: str) -> None:
    for seed in range(50):
        first, second = related_places(Random(seed), relation)
        a, b = Thing("cup", "red", *first), Thing("car", "red", *second)
        assert [each for each in RELATIONS if holds(each, a, b)] == [relation]


def test_a_texture_is_light_and_comes_from_its_seed() -> None:
    plain, rough = pixels(Scene(())), pixels(Scene((), texture=5))
    assert 0 < np.abs(plain.astype(int) - rough.astype(int)).max() < 40
    assert np.array_equal(rough, pixels(Scene((), texture=5)))


def true_of(seen: Scene, text: str) -> bool:
    """Read a yes/no question again, independently of the code that made it, and answer it."""
    words = text.rstrip("?").replace(" Please answer yes or no.", "").split()
    names = [each.rstrip("s") if each not in NAMES else each for each in words]
    asked = [each for each in names if each in NAMES]
    colors = [each for each in words if each in COLOR_NAMES]
    numbers = {"one": 1, "two": 2, "three": 3, "four": 4}
    if relation := next((each for each in RELATIONS if f" {each} the " in text), None):
        a, b = (next(thing for thing in seen.things if thing.name == name) for name in asked)
        gaps = {"left of": b.column - a.column, "right of": a.column - b.column}
        gaps |= {"above": b.row - a.row, "below": a.row - b.row}
        return max(gaps, key=lambda each: gaps[each]) == relation
    found = [thing for thing in seen.things if thing.name == asked[0]]
    if colors:
        return [thing.color for thing in found] == colors
    count = next((numbers[each] for each in words if each in numbers), None)
    return len(found) == count if count is not None else bool(found)


@pytest.mark.parametrize("kind", YES_NO)
def test_yes_and_no_are_true(kind: str) -> None:
    asked = 0
    for seed in range(200):
        rng = Random(seed)
        seen = scene(rng)
        question = yes_no(rng, seen, kind, yes=seed % 2 == 0)
        if question is not None:
            asked += 1
            assert question.answer == ("yes" if seed % 2 == 0 else "no")
            assert true_of(seen, question.text) == (seed % 2 == 0), (question, seen)
    assert asked > 60


@pytest.mark.parametrize("kind", OPEN)
def test_open_answers_are_seen_and_the_others_are_not_the_answer(kind: str) -> None:
    asked = 0
    for seed in range(200):
        rng = Random(seed)
        seen = scene(rng)
        question = opened(rng, seen, kind)
        if question is None:
            continue
        asked += 1
        assert question.answer not in question.others
        if kind == "color":
            assert question.answer in {thing.color for thing in seen.things}
        elif kind != "count":
            assert seen.count(question.answer) == 1
    assert asked > 60


def test_a_choice_has_one_right_letter() -> None:
    for seed in range(100):
        rng = Random(seed)
        made = choice(rng, scene(rng), "count", 4)
        assert made is not None
        assert len(set(made.options)) == 4
        assert made.options["ABCD".index(made.letter)] == made.options[made.answer]


def test_dense_prompts_keep_to_what_is_allowed_and_can_be_drawn() -> None:
    for seed in range(200):
        rng = Random(seed)
        wish = dense(rng, lambda name, color: (name, color) not in HELD_OUT)
        drawn = things(rng, wish)
        assert 2 <= len(drawn) <= 4
        assert not {(thing.name, thing.color) for thing in drawn} & HELD_OUT
        if wish.relation:
            assert holds(wish.relation, drawn[0], drawn[1])
