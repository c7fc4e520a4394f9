"""A scorer that works while the next batch is drawn, in one process: the same bytes, killed, or short of memory."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from janus_eval.evals import evaluate
from janus_eval.evals.errors import OutOfMemory
from janus_eval.evals.types import Evidence, Job, Prediction, Sample
from support.command import World, folder_of, ledger, results
from support.squares import Eye, Painter, Squares

OVERLAP = ("--batch-size", "4", "--overlap")


@pytest.fixture(scope="module")
def whole(world: World, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The files of a run in which one comes after the other."""
    output = tmp_path_factory.mktemp("whole")
    assert world.run(output, "--batch-size", "4", "--no-overlap").code == 0
    lines = (output / "ledger").read_text().splitlines()
    assert [line.split()[0] for line in lines] == ["painted"] * 40 + ["seen"] * 40
    return results(folder_of(output))


def test_pictures_are_seen_while_others_are_drawn(world: World, whole: dict[str, str], tmp_path: Path) -> None:
    done = world.run(tmp_path, *OVERLAP, squares_pause="0.1")
    assert done.code == 0, done.err
    order = [line.split()[0] for line in (tmp_path / "ledger").read_text().splitlines()]
    assert order.index("seen") < 20 and order != sorted(order)
    assert results(folder_of(tmp_path)) == whole


@pytest.mark.claim("R1", tries=3)
def test_kill_9_at_any_instant_of_a_run_that_overlaps(
    world: World, whole: dict[str, str], tries: list[random.Random], tmp_path: Path
) -> None:
    for number, chance in enumerate(tries):
        output, kills = tmp_path / str(number), chance.randint(1, 3)
        for _ in range(kills):
            at = str(chance.randint(5, 90))
            world.run(output, *OVERLAP, faults_root=output, faults_kill_at=at, squares_pause="0.01")
        assert world.run(output, *OVERLAP).code == 0
        for what in ("painted", "seen"):
            made = ledger(output, what)
            assert len(set(made)) == 40 and len(made) - 40 <= kills * 3 * 4, (
                number,
                what,
            )  # two looks in hand, one stored
        assert results(folder_of(output)) == whole, number


def test_an_interrupt_does_not_wait_for_the_scorer(world: World, whole: dict[str, str], tmp_path: Path) -> None:
    process = world.begin(tmp_path, *OVERLAP, squares_pause="0.1", squares_look="8")
    until = time.monotonic() + 50
    while len(ledger(tmp_path, "painted")) < 16 and time.monotonic() < until:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    began = time.monotonic()
    process.communicate(timeout=60)
    assert process.returncode == 130 and time.monotonic() - began < 5
    assert (folder_of(tmp_path) / "interrupted.json").is_file()
    assert world.run(tmp_path, *OVERLAP).code == 0
    assert results(folder_of(tmp_path)) == whole


class Device:
    """Memory for one at a time."""

    def __init__(self) -> None:
        self._held = threading.Lock()
        self.sizes: list[int] = []
        self.crowded = 0

    @contextmanager
    def hold(self, items: Sequence[Any]) -> Generator[None]:
        if not self._held.acquire(blocking=False):
            self.crowded += 1
            raise OutOfMemory("somebody else has it")
        try:
            time.sleep(0.02)
            self.sizes.append(len(items))
            yield
        finally:
            self._held.release()


@pytest.mark.parametrize("slow", ["model", "scorer"])
def test_short_memory_ends_the_overlap_and_halves_no_batch(
    slow: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    device = Device()

    class Large(Painter):
        def predict(self, jobs: Sequence[Job]) -> list[Any]:
            with device.hold(jobs):
                time.sleep(0.05 if slow == "model" else 0)
                return super().predict(jobs)

    class Keen(Eye):
        def observe(self, pairs: Sequence[tuple[Sample, Prediction]]) -> list[Evidence]:
            with device.hold(pairs):
                time.sleep(0.05 if slow == "scorer" else 0)
                return super().observe(pairs)

    class Seen(Squares):
        observer: Any = Keen()

    for overlap in (False, True):
        evaluate(
            Large(), Seen(), output=tmp_path / str(overlap), step=1, batch_size=4, executor_options={"overlap": overlap}
        )
        assert bool(device.crowded) is overlap
    assert set(device.sizes) == {4}
    assert capsys.readouterr().err.count("they take turns from here") == 1
    assert results(folder_of(tmp_path / "False")) == results(folder_of(tmp_path / "True"))
