"""A model in a process of its own: whoever is killed, and whenever, the pictures are those of a run in one process."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from pathlib import Path

import pytest
from support.command import Done, World, ended

ADAPTER = """
import hashlib, os, time
class Pixels:
    mode, size = "RGB", (64, 64)
    def __init__(self, seed):
        self.tile = hashlib.shake_256(str(seed).encode()).digest(8 * 8 * 3)
    def tobytes(self):
        tile = self.tile
        return b"".join(b"".join(tile[24 * y + 3 * x:24 * y + 3 * x + 3] * 8 for x in range(8)) * 8 for y in range(8))
    def convert(self, mode):
        return self
class Noise:
    kinds, card, batch_size = ["image"], {"size": 64}, 4
    def predict(self, jobs):
        for job in jobs:
            time.sleep(0.01)
            yield Pixels(job.seed)
def model(note):
    with open(note + ".new", "w") as file:
        file.write(str(os.getpid()))
    os.rename(note + ".new", note)
    return Noise()
"""


@pytest.fixture
def asked(tmp_path: Path) -> tuple[str, ...]:
    """What is asked of both: 24 prompts, 2 pictures each."""
    table = tmp_path / "prompts.csv"
    table.write_text("prompt\n" + "".join(f"a square of colour {number}\n" for number in range(24)))
    (tmp_path / "noise.py").write_text(ADAPTER)
    return ("-b", "prompts", "--data", str(table), "--name", "mine", "--per-prompt", "2", "--batch-size", "4")


def through_worker(tmp_path: Path, asked: tuple[str, ...], number: int) -> tuple[list[str], Path]:
    """Return the command, and the file in which the worker notes who it is."""
    note = tmp_path / "pid"
    model = ["-m", f"worker:{tmp_path / 'noise.py'}", "-a", f"options={json.dumps({'note': str(note)})}"]
    return ["run", *model, *asked, "-o", str(tmp_path / str(number))], note


def pictures(output: Path) -> dict[str, bytes]:
    """Return the pictures of the one run below a folder."""
    (run,) = [each for each in output.iterdir() if each.is_dir()]
    return {str(each.relative_to(run)): each.read_bytes() for each in sorted((run / "images").rglob("*.png"))}


def in_process(world: World, tmp_path: Path, asked: tuple[str, ...]) -> dict[str, bytes]:
    done = world.call("run", "-m", "noise-image", *asked, "-o", str(tmp_path / "whole"))
    assert done.code == 0, done.err
    found = pictures(tmp_path / "whole")
    assert len(found) == 48
    return found


def kill_worker(world: World, line: list[str], note: Path, cache: Path, wait: float) -> Done:
    """Run to the end, killing the worker `wait` seconds after it was made."""
    note.unlink(missing_ok=True)
    process = world.start(*line, janus_eval_cache=cache)
    while not note.exists() and process.poll() is None:
        time.sleep(0.005)
    time.sleep(wait)
    if process.poll() is None:
        os.kill(int(note.read_text()), signal.SIGKILL)
    return ended(process)


@pytest.mark.claim("R1", tries=3, long=50)
def test_kill_9_of_the_worker_at_any_moment(
    world: World, asked: tuple[str, ...], tries: list[random.Random], tmp_path: Path
) -> None:
    expected = in_process(world, tmp_path, asked)
    for number, chance in enumerate(tries):
        line, note = through_worker(tmp_path, asked, number)
        done = kill_worker(world, line, note, tmp_path / "cache", chance.uniform(0, 0.6))
        assert done.code == 0, done.err
        assert pictures(tmp_path / str(number)) == expected, number


@pytest.mark.claim("R1", tries=3, long=50)
def test_kill_9_of_a_harness_with_a_worker_and_a_resume(
    world: World, asked: tuple[str, ...], tries: list[random.Random], tmp_path: Path
) -> None:
    expected = in_process(world, tmp_path, asked)
    for number, chance in enumerate(tries):
        line, note = through_worker(tmp_path, asked, number)
        note.unlink(missing_ok=True)
        process = world.start(*line, janus_eval_cache=tmp_path / "cache")
        while not note.exists() and process.poll() is None:
            time.sleep(0.005)
        time.sleep(chance.uniform(0, 0.7))
        process.kill()
        process.communicate()
        done = ended(world.start(*line, janus_eval_cache=tmp_path / "cache"))
        assert done.code == 0, done.err
        assert pictures(tmp_path / str(number)) == expected, number
