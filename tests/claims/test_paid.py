"""Pictures that are paid for: what a killed process leaves is not paid twice, and what may have been is counted."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from support.command import Done, World, ended, folder_of
from support.images_server import Studio, painting

N = 12


def begin(world: World, studio: Studio, output: Path, *more: str, **faults: str) -> subprocess.Popen[str]:
    output.mkdir(exist_ok=True)
    prompts = output.parent / "prompts.txt"
    prompts.write_text("".join(f"a photo of {number + 10} cats\n" for number in range(N)))
    asked = ["run", "-m", "openai:painter", "-b", "prompts", "--data", str(prompts), "--base-url", studio.url]
    return world.start(*asked, "-o", str(output), "-a", "size=8x8,price=0.04", *more, **faults)


def draw(world: World, studio: Studio, output: Path, *more: str, **faults: str) -> Done:
    return ended(begin(world, studio, output, *more, **faults))


def paid(output: Path) -> dict[str, Any]:
    return json.loads((folder_of(output) / "environment.json").read_text())["paid"]


@pytest.mark.claim("R1", cases=2)
@pytest.mark.parametrize("held", [4, 11])
def test_kill_9_between_two_pictures_costs_none(world: World, tmp_path: Path, held: int) -> None:
    with painting(Studio(hold_from=held, forgets=True)) as studio:
        more = ("-a", "concurrency=1", "--no-canary")
        process = begin(world, studio, tmp_path / "runs", *more)
        while len(studio.asked) < held:
            assert process.poll() is None
            time.sleep(0.01)
        process.kill()
        process.communicate()
        assert studio.billed == held - 1
        studio.hold_from = None
        studio.go.set()
        done = draw(world, studio, tmp_path / "runs", *more)
        assert (done.code, studio.billed) == (0, N), done.err
        assert "1 requests of the last try have no end: they may have been paid" in done.err
        assert (paid(tmp_path / "runs")["pictures"], paid(tmp_path / "runs")["perhaps_paid"]) == (N, 1)


@pytest.mark.claim("R1", tries=3, long=60)
def test_kill_9_at_any_instant_pays_again_for_what_was_under_way_alone(
    world: World, tmp_path: Path, tries: list[random.Random]
) -> None:
    for number, chance in enumerate(tries):
        output, most = tmp_path / f"runs{number}", chance.choice([1, 8])
        with painting(Studio(delay=0.03)) as studio:
            kills = 0
            for _ in range(3):
                at = str(chance.choice([0, chance.randint(1, 150)]))  # a file operation, or any time after some request
                faults = {"faults_root": str(output), "faults_kill_at": at}
                process = begin(world, studio, output, "-a", f"concurrency={most}", **faults)
                begun, wanted = time.monotonic(), len(studio.asked) + chance.randint(1, N)
                while process.poll() is None and (at != "0" or len(studio.asked) < wanted):
                    assert time.monotonic() - begun < 60
                    time.sleep(chance.uniform(0.001, 0.03))
                process.kill()
                process.communicate()
                kills += 1
            done = draw(world, studio, output, "-a", f"concurrency={most}")
            assert done.code == 0, done.err
            told = paid(output)
            assert N + 4 <= studio.billed <= N + 4 + kills * most  # the canary's four with them
            assert told["pictures"] == N + 4
            # What the run says that it may have cost is never less than the bill.
            assert studio.billed <= told["pictures"] + told.get("perhaps_paid", 0)
            assert told["usd"] == pytest.approx(0.04 * told["pictures"])
            assert len({*(folder_of(output) / "images").rglob("*.png")}) == N
            assert [*(folder_of(output) / "service").glob("*.png")] == []


@pytest.mark.claim("R11")
def test_an_interrupt_ends_a_drawing_soon_and_counts_it(world: World, tmp_path: Path) -> None:
    with painting(Studio(hold_from=3, forgets=True)) as studio:
        more = ("-a", "concurrency=1", "--no-canary")
        process = begin(world, studio, tmp_path / "runs", *more)
        while len(studio.asked) < 3:
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        begun = time.monotonic()
        assert ended(process).code == 130 and time.monotonic() - begun < 5
        studio.hold_from = None
        done = draw(world, studio, tmp_path / "runs", *more)
        assert (done.code, studio.billed) == (0, N), done.err
        assert "may have been paid" not in done.err  # this one had its end written down
        assert paid(tmp_path / "runs")["perhaps_paid"] == 1


@pytest.mark.claim("R4")
def test_a_full_disk_exits_6_and_loses_no_picture_that_came(world: World, tmp_path: Path) -> None:
    with painting(Studio()) as studio:
        more = ("-a", "concurrency=1", "--no-canary")
        done = draw(world, studio, tmp_path / "runs", *more, faults_file_size="2000")
        assert done.code == 6 and done.err.count("\n") == 1, done.err
        came = len([*folder_of(tmp_path / "runs").rglob("*.png")])
        assert 0 < came <= studio.billed <= came + 1
        assert draw(world, studio, tmp_path / "runs", *more).code == 0
        assert studio.billed <= N + 1
