"""Training goes on as if it had not been interrupted; labels and questions made for it are right."""

from __future__ import annotations

import fcntl
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest
import torch
from janus_eval.benchmarks.toy.world import RELATIONS, Scene, Thing, holds

TRAIN = Path(__file__).parents[2] / "train"


@pytest.fixture(autouse=True)
def scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(TRAIN))


def run(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(TRAIN / script), *arguments], capture_output=True, text=True, check=False
    )


def test_an_interrupted_training_gives_the_weights_of_an_uninterrupted_one(tmp_path: Path) -> None:
    small = ["--batch", "4"]
    for out, steps in (("whole", "4"), ("parts", "2"), ("parts", "4")):
        done = run("janus.py", "--out", str(tmp_path / out), "--steps", steps, *small)
        assert done.returncode == 0, done.stderr
    assert "from step 2" in done.stdout
    whole, parts = (torch.load(tmp_path / out / "last.pt", weights_only=True) for out in ("whole", "parts"))
    assert whole["step"] == parts["step"] == 4
    for name, each in whole["pupil"].items():
        assert torch.equal(each, parts["pupil"][name]), name


def test_a_stage_that_fails_is_named_with_its_last_words(tmp_path: Path) -> None:
    done = run("all.py", "--out", str(tmp_path), "--device", "no-such-device", "--jobs", "1")
    assert done.returncode == 1
    assert done.stderr.startswith(f"janus failed: see {tmp_path / 'janus.log'}")
    assert "no-such-device" in done.stderr


def test_where_a_thing_is_is_asked_only_where_it_is_clear() -> None:
    from sight import where

    seen = Scene((Thing("cat", "red", 0, 5),))
    assert {where(Random(n), seen) for n in range(30)} == {
        ("Is the cat on the left or on the right?", "right"),
        ("Is the cat at the top or at the bottom?", "top"),
    }
    middle = Scene((Thing("cat", "red", 2, 3),))
    assert {where(Random(n), middle) for n in range(30)} == {None}


def test_labels_are_things_of_the_world_or_unknown() -> None:
    from label import things

    assert things("red apple, red apple, ?") == [("red", "apple"), ("red", "apple")]
    assert things("") == []
    with pytest.raises(SystemExit, match="'red dragon' is no thing of the world"):
        things("red dragon")


@pytest.mark.parametrize("task", ["two_object", "color_attr", "position", "dense"])
def test_the_prompt_tells_which_thing_is_drawn_first(task: str) -> None:
    from drawing import example

    for seed in range(60):
        text, things = example(Random(f"order/{seed}"), task)
        drawn = sorted(things, key=lambda thing: (thing.row, thing.column))
        relation = next((each for each in RELATIONS if f" {each} " in text), None)
        assert [drawn.index(thing) for thing in things] == (
            [1, 0] if relation in ("right of", "below") else list(range(len(things)))
        ), text
        if relation:
            assert holds(relation, *things)


def test_two_trainings_do_not_share_a_folder(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write("12345")
        lock.flush()
        done = run("clip.py", "--out", str(tmp_path), "--steps", "1")
    assert done.returncode == 1
    assert done.stderr == f"{tmp_path} is being trained by process 12345: wait for it or stop it\n"
