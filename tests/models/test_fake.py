"""Models without weights."""

import io

import pytest
from janus_eval.evals import registry
from janus_eval.evals.errors import InvalidImage, JanusEvalError, UsageError
from janus_eval.evals.types import Job, Picture, Sample, job_seed
from PIL import Image


def job(seed=1, kind="text", options=()):
    return Job(Sample("s", "is it?", options=options), kind, 0, seed)


def test_always_yes_says_yes():
    model = registry.create("models", "always-yes")
    assert model.predict([job(), job()]) == ["Yes", "Yes"] and model.card == {"answer": "Yes"}
    assert registry.create("models", "always-yes", answer="no").predict([job()]) == ["no"]
    assert registry.create("models", "first-option").predict([job()]) == ["A"]


def test_it_finds_all_options_alike():
    assert registry.create("models", "always-yes").predict([job(kind="likelihood", options=("a", "b"))]) == [(0.0, 0.0)]


def test_noise_depends_on_the_seed_alone():
    model = registry.create("models", "noise-image", size="24")
    one, two = model.predict([job(job_seed(0, "s", k), "image") for k in range(2)])
    (again,) = model.predict([job(job_seed(0, "s", 1), "image")])
    assert one.size == (24, 24) and one.tobytes() != two.tobytes() == again.tobytes()


def test_noise_is_the_same_on_every_machine():
    (picture,) = registry.create("models", "noise-image", size=8).predict([job(5, "image")])
    assert picture.getpixel((0, 0)) == PIXEL


PIXEL = (23, 47, 132)
"""The first three bytes of SHAKE-256 of "5"."""


def test_blank_is_blank():
    (picture,) = registry.create("models", "blank-image", size=4, grey=9).predict([job(kind="image")])
    assert picture.size == (4, 4) and picture.getextrema() == ((9, 9),) * 3


@pytest.mark.parametrize("size", ["0", "-3", "100000", "x"])
def test_a_size_that_cannot_be_meant_is_refused(size):
    with pytest.raises(UsageError, match="size"):
        registry.create("models", "noise-image", size=size)


def edit(*pictures: Picture) -> Job:
    return Job(Sample("s", "make it blue", pictures), "edit", 0, 1)


def test_the_same_picture_comes_back() -> None:
    held = io.BytesIO()
    Image.new("RGB", (5, 3), "red").save(held, "PNG")
    model = registry.create("models", "same-picture")
    (made,) = model.predict([edit(Picture("a.png", held.getvalue))])
    assert made.size == (5, 3) and made.getpixel((4, 2)) == (255, 0, 0)
    with pytest.raises(JanusEvalError, match="'s' has no picture to edit"):
        model.predict([edit()])
    with pytest.raises(InvalidImage, match=r"a\.png"):
        model.predict([edit(Picture("a.png", lambda: b"no picture"))])
