"""The code dictionary that the toy is trained on is exact, and what is held out stays out."""

from __future__ import annotations

from pathlib import Path
from random import Random

import numpy as np
import pytest
from janus_eval.benchmarks.toy.world import HELD_OUT, NAMES, Scene, Thing, pixels


@pytest.fixture(autouse=True)
def scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "train"))


def test_codes_draw_a_scene_exactly_and_are_read_back() -> None:
    from codes import grid, picture
    from drawing import TASKS, example, fulfils, read

    for number in range(140):
        rng = Random(number)
        task = TASKS[number % len(TASKS)]
        _, things = example(rng, task)
        cells = grid(things)
        assert np.array_equal(picture(cells), pixels(Scene(things)))
        found, clean = read(cells)
        assert clean
        assert fulfils(things, task, None, found)


def test_a_wish_is_its_things_its_colours_and_its_relation() -> None:
    from drawing import fulfils

    cat, cup = Thing("cat", "red", 0, 0), Thing("cup", "blue", 0, 5)
    wish = (cat, cup)
    assert fulfils(wish, "position", "left of", [cup, cat])
    assert not fulfils(wish, "position", "right of", [cup, cat])
    assert not fulfils(wish, "two_object", None, [cat])
    swapped = [Thing("cat", "blue", 0, 0), Thing("cup", "red", 0, 5)]
    assert fulfils(wish, "two_object", None, swapped)
    assert not fulfils(wish, "color_attr", None, swapped)


def test_a_broken_thing_is_no_thing() -> None:
    from codes import grid
    from drawing import read

    cells = grid((Thing("cup", "red", 0, 0),))
    cells[9] = grid((Thing("car", "red", 0, 0),))[9]
    found, clean = read(cells)
    assert (found, clean) == ([], False)


def test_held_out_pairs_never_occur_in_training() -> None:
    from drawing import TASKS, example

    met: set[tuple[str, str]] = set()
    for number in range(4000):
        _, things = example(Random(f"t/{number}"), TASKS[number % len(TASKS)])
        met |= {(thing.name, thing.color) for thing in things}
    assert not met & HELD_OUT
    assert len(met) == len(NAMES) * 10 - len(HELD_OUT)
