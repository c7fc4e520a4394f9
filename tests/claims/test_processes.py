"""Two processes on one run, and a process that is told to stop."""

from __future__ import annotations

import json
import random
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
from janus_eval.evals.records import read_record
from support.command import World, comparable, ended, folder_of, ledger, results


@pytest.fixture(scope="module")
def whole(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("whole") / "runs"
    assert world.run(output, "--batch-size", "4").code == 0
    return output


def wait_for(process: subprocess.Popen[str], output: Path, pattern: str = "ledger") -> None:
    """Wait until a process has made a file; the ledger is there when the first batch is being painted."""
    deadline = time.monotonic() + 30
    while not list(output.glob(pattern)):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.005)


@pytest.mark.claim("R6", tries=3)
def test_of_two_processes_one_works_and_the_other_is_told_who(
    world: World, whole: Path, tries: list[random.Random], tmp_path: Path
) -> None:
    for number, chance in enumerate(tries):
        output = tmp_path / str(number)
        first = world.begin(output, "--batch-size", "4", squares_pause="0.02")
        time.sleep(chance.uniform(0, 0.4))
        second = world.begin(output, "--batch-size", "4", squares_pause="0.02")
        others = {first.pid: second.pid, second.pid: first.pid}
        both = [(each.pid, ended(each)) for each in (first, second)]
        assert sorted(done.code for _, done in both) in ([0, 4], [0, 0]), both  # 0 0: one after the other
        for pid, done in both:
            if done.code == 4:
                told = rf"is locked by pid {others[pid]} on \S+ since \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d: "
                assert re.search(told, done.err), done.err
                assert done.err.count("\n") == 1 and done.out == ""
        assert len(ledger(output, "painted")) == len(ledger(output, "seen")) == 40
        assert results(output) == results(whole)


@pytest.mark.claim("R6", tries=2, long=50)
def test_the_lock_of_a_dead_process_is_taken_over(
    world: World, whole: Path, tries: list[random.Random], tmp_path: Path
) -> None:
    for number, chance in enumerate(tries):
        output = tmp_path / str(number)
        first = world.begin(output, "--batch-size", "4", squares_pause="0.02")
        wait_for(first, output, "*/.lock")
        time.sleep(chance.uniform(0, 0.2))
        first.kill()
        ended(first)
        assert f"pid {first.pid} on" in (folder_of(output) / ".lock").read_text()
        assert world.run(output, "--batch-size", "4").code == 0
        assert results(output) == results(whole)


@pytest.mark.claim("R11", tries=3)
def test_a_signal_at_any_instant_ends_the_run_soon_with_a_summary(
    world: World, whole: Path, tries: list[random.Random], tmp_path: Path
) -> None:
    for number, chance in enumerate(tries):
        output = tmp_path / str(number)
        sent, code = chance.choice([(signal.SIGINT, 130), (signal.SIGTERM, 143)])
        process = world.begin(output, "--batch-size", "4", squares_pause="0.03")
        wait_for(process, output)
        time.sleep(chance.uniform(0, 0.8))
        process.send_signal(sent)
        started = time.monotonic()
        done = ended(process)
        assert time.monotonic() - started < 5
        assert "Traceback" not in done.err
        folder = folder_of(output)
        if done.code == 0:  # it had ended already
            assert results(output) == results(whole)
            continue
        assert done.code == code, done
        if not (folder / "record.json").exists():
            record = read_record(folder)
            assert record.state == "interrupted" and not record.complete
            assert record.metrics["official/red"].value is None and record.counts["expected"] == 40
            assert "INTERRUPTED" in world.call("show", str(folder)).out
        assert world.run(output, "--batch-size", "4").code == 0
        assert comparable(folder) == comparable(folder_of(whole)), number
        assert json.loads((folder / "record.json").read_bytes())["complete"]


@pytest.mark.claim("R11", tries=1, long=20)
def test_a_second_interrupt_ends_the_summary_too(
    world: World, whole: Path, tries: list[random.Random], tmp_path: Path
) -> None:
    for number, chance in enumerate(tries):
        output = tmp_path / str(number)
        process = world.begin(output, "--batch-size", "4", squares_pause="0.1", squares_slow="30")
        wait_for(process, output, "*/evidence/0.jsonl")  # there is something to score
        time.sleep(chance.uniform(0.1, 0.4))
        process.send_signal(signal.SIGINT)
        time.sleep(0.5)  # it scores what there is, slowly
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        started = time.monotonic()
        assert ended(process).code == 130 and time.monotonic() - started < 1
        assert world.run(output, "--batch-size", "4").code == 0
        assert comparable(folder_of(output)) == comparable(folder_of(whole))
