"""Edits of the embedded world: understood in two languages, seen in pixels, carried out, and graded by rule."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import numpy as np
import pytest
from janus_eval.benchmarks.editing.rule_grader import looked
from janus_eval.benchmarks.toy import edits
from janus_eval.benchmarks.toy.edits import Edit, Operation
from janus_eval.benchmarks.toy.world import Scene, Thing, pixels

OPERATIONS: Sequence[Operation] = ("recolour", "remove", "replace", "add", "move", "ground", "grey", "extract")
APPLE, CUP = Thing("apple", "red", 0, 0), Thing("cup", "green", 5, 1)
SCENE = Scene((APPLE, CUP))


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("chinese", [False, True])
def test_what_is_worded_is_understood(operation: Operation, chinese: bool) -> None:
    for seed in range(20):
        _, asked = edits.asked(Random(f"{operation}{seed}"), (operation, "remove"))
        assert edits.understood(edits.worded(asked, chinese=chinese)) == asked


@pytest.mark.parametrize(
    "words", ["", "Paint it nicely.", "Remove the red apple. And sing.", "Remove the mauve apple.", "去掉苹果。"]
)
def test_what_is_not_understood_is_no_edit(words: str) -> None:
    assert edits.understood(words) == []


def test_all_things_are_seen_where_they_stand() -> None:
    for seed in range(60):
        scene, _ = edits.asked(Random(seed), ("remove",))
        assert set(edits.seen(pixels(scene))) == set(scene.things)


def test_a_plain_picture_and_noise_show_nothing() -> None:
    assert edits.seen(np.full((64, 64, 3), 200, dtype=np.uint8)) == ()
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    assert edits.seen(noise) == ()


@pytest.mark.parametrize(
    ("edit", "things"),
    [
        (Edit("recolour", "red", "apple", "blue"), {Thing("apple", "blue", 0, 0), CUP}),
        (Edit("remove", "red", "apple"), {CUP}),
        (Edit("replace", "red", "apple", "black", "cat"), {Thing("cat", "black", 0, 0), CUP}),
        (Edit("add", "", "", "pink", "kite", "upper right"), {APPLE, CUP, Thing("kite", "pink", 0, 5)}),
        (Edit("move", "red", "apple", "", "", "lower right"), {Thing("apple", "red", 5, 5), CUP}),
        (Edit("ground", ground="sand"), {APPLE, CUP}),
        (Edit("extract", "red", "apple"), {APPLE}),
        (Edit("remove", "blue", "dog"), {APPLE, CUP}),
    ],
)
def test_an_edit_leaves_what_it_says(edit: Edit, things: set[Thing]) -> None:
    assert set(edits.seen(edits.edited(pixels(SCENE), [edit]))) == things


def test_black_and_white_has_no_colour() -> None:
    made = edits.edited(pixels(SCENE), [Edit("grey")])
    assert (made == made[..., :1]).all()


def test_the_rule_tells_right_undone_and_overdone_apart() -> None:
    source, asked = pixels(SCENE), [Edit("remove", "red", "apple")]
    right = edits.edited(source, asked)
    overdone = edits.edited(source, [*asked, Edit("remove", "green", "cup")])
    assert looked(source, right, asked).done == looked(source, right, asked).kept == 1.0
    undone = looked(source, source, asked)
    assert (undone.done, undone.kept) == (0.0, 1.0)
    too_much = looked(source, overdone, asked)
    assert too_much.done == 1.0 and 0.8 < too_much.kept < 0.99
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    assert looked(source, noise, asked).natural < 0.5 < looked(source, right, asked).natural
