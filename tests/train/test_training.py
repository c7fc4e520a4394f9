"""Training goes on as if it had not been interrupted; labels and questions made for it are right."""

from __future__ import annotations

import fcntl
import signal
import subprocess
import sys
import time
from pathlib import Path
from random import Random

import pytest
import torch
from janus_eval.benchmarks.toy.world import RELATIONS, Scene, Thing, holds
from janus_eval.evals import evaluate

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
    assert things("nothing") == []
    with pytest.raises(SystemExit, match="not labelled"):
        things("")
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


class Thief:
    """What a hostile checkpoint runs when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.mark,)


@pytest.mark.parametrize("content", ["cut", "empty", "thief", "other"])
def test_a_checkpoint_that_is_none_is_named_and_nothing_in_it_is_run(content: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    torch.save({"model": torch.zeros(9), "optimizer": {}, "step": 1}, out / "last.pt")
    if content == "thief":
        torch.save({"model": Thief(tmp_path / "mark"), "optimizer": {}, "step": 1}, out / "last.pt")
    elif content == "other":
        torch.save({"vq": {}, "optimizer": {}, "step": 1}, out / "last.pt")
    else:
        (out / "last.pt").write_bytes((out / "last.pt").read_bytes()[:300] if content == "cut" else b"")
    for done in (
        run("clip.py", "--out", str(out), "--steps", "1"),
        run("export.py", "detector", str(out), "--to", str(tmp_path / "to")),
    ):
        assert done.returncode == 1
        wanted = "has no model" if content == "other" else "cannot be read"
        assert f"{out / 'last.pt'} {wanted}" in done.stderr
        assert "Traceback" not in done.stderr
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["clip.py", "--batch", "0"], "0: at least 2"),
        (["clip.py", "--threads", "0"], "0: at least 1"),
        (["clip.py", "--device", "nonsense"], "--device nonsense: "),
        (["all.py", "--jobs", "0"], "0: at least 1"),
        (["export.py", "janus", "nowhere", "--to", "there"], "janus: two folders, of janus and of vq"),
        (["export.py", "clip", "nowhere", "--to", "there"], "nowhere holds no finished training"),
        (["export.py", "vqa", "nowhere", "--to", "there"], "nowhere holds no checkpoint"),
        (["measure.py", "--scenes", "0"], "0: at least 1"),
    ],
)
def test_what_cannot_be_is_said_in_a_line(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    script, *rest = arguments
    out = ["--out", "out"] if script in ("clip.py", "all.py") else []
    done = run(script, *rest, *out)
    assert done.returncode in (1, 2)
    assert message in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_a_training_goes_on_with_its_own_arguments_only(tmp_path: Path) -> None:
    (tmp_path / "arguments.json").write_text('{"steps": 9, "batch": 48, "seed": 7}')
    done = run("clip.py", "--out", str(tmp_path), "--steps", "1")
    assert done.returncode == 1
    assert done.stderr == f"{tmp_path} was begun with --seed 7: another needs a folder of its own\n"


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_who_stops_the_whole_training_stops_its_stages(stop: signal.Signals, tmp_path: Path) -> None:
    whole = subprocess.Popen(
        [sys.executable, str(TRAIN / "all.py"), "--out", str(tmp_path), "--jobs", "1"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    lock = tmp_path / "janus" / "lock"
    while whole.poll() is None and not (lock.exists() and lock.read_text()):
        time.sleep(0.1)
    whole.send_signal(stop)
    _, said = whole.communicate(timeout=60)
    assert whole.returncode == 128 + stop
    assert said == ""
    with lock.open() as file:  # its process has ended
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_labels_are_not_overwritten_and_a_table_that_is_not_whole_is_refused(tmp_path: Path) -> None:
    from label import read, sheets

    evaluate("blank-image", "geneval", output=tmp_path, limit="1", observer_options={"detector": "toy"})
    (run_folder,) = (each.parent for each in tmp_path.glob("*/record.json"))
    sheets(run_folder, tmp_path / "to", 1)
    with pytest.raises(SystemExit, match=r"labels\.csv exists"):
        sheets(run_folder, tmp_path / "to", 1)
    table = (tmp_path / "to" / "labels.csv").read_text()
    assert [row["number"] for row in read(tmp_path / "to" / "labels.csv")] == ["1"]
    for damaged in (table + table.splitlines()[1], table.replace(",0,", ",x,"), table.replace("things", "thing"), '"1'):
        (tmp_path / "damaged.csv").write_text(damaged)
        with pytest.raises(SystemExit, match=r"damaged\.csv"):
            read(tmp_path / "damaged.csv")
