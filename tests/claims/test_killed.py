"""A process that is killed at any instant: what it leaves is valid, little is made again, the bytes are the same."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path

import pytest
from janus_eval.evals.files import unseal
from PIL import Image
from support.command import World, comparable, folder_of, ledger, results

BATCH = 4
IN_FLIGHT = 2 * BATCH
"""The batch that is computed and the one that is put on disk meanwhile."""


@pytest.fixture(scope="module")
def whole(world: World, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """An uninterrupted run of 40 squares, and how many file operations it takes."""
    output = tmp_path_factory.mktemp("whole") / "runs"
    count = output.parent / "count"
    done = world.run(output, "--batch-size", str(BATCH), faults_root=output, faults_count=count)
    assert done.code == 0, done.err
    return output, int(count.read_text())


def killed(world: World, output: Path, chance: random.Random, operations: int, *more: str) -> None:
    """Start a run and kill it: before a file operation (any, or one of the last: record and export), or at any time."""
    where = chance.choice(["any", "end", "time"])
    if where == "time":
        process = world.begin(output, "--batch-size", str(BATCH), *more, squares_pause="0.01")
        time.sleep(chance.uniform(0.1, 0.7))
        process.kill()
        process.communicate()
    else:
        at = chance.randint(1 if where == "any" else max(1, operations - 14), operations)
        world.run(output, "--batch-size", str(BATCH), *more, faults_root=output, faults_kill_at=str(at))


def check_valid(output: Path) -> None:
    """Every file is whole, apart from drafts and the last line of a file that grows."""
    for path in (each for each in output.rglob("*") if each.is_file() and each.name not in (".lock", "ledger")):
        if path.name.startswith(".part-"):
            continue
        if path.suffix == ".png":
            Image.open(path).load()
        elif path.suffix == ".json":
            json.loads(path.read_bytes())
        elif path.name == "scores.jsonl":
            assert all(json.loads(line) for line in path.read_bytes().splitlines())
        else:
            lines = path.read_bytes().split(b"\n")
            assert all(unseal(line) is not None for line in lines[:-1]), path


@pytest.mark.claim("R1", tries=5)
@pytest.mark.claim("R3", tries=5)
def test_kill_9_at_any_instant_also_of_a_resume(
    world: World, whole: tuple[Path, int], tries: list[random.Random], tmp_path: Path
) -> None:
    expected, operations = whole
    for number, chance in enumerate(tries):
        output, left = tmp_path / str(number), operations
        kills = chance.choice([1, 1, 2, 3])
        for _ in range(kills):
            killed(world, output, chance, left)
            left = max(20, left - len(set(ledger(output, "painted"))) * 6)  # a resume has less to do
            check_valid(output)
        done = world.run(output, "--batch-size", str(BATCH))
        assert done.code == 0, done.err
        for what in ("painted", "seen"):
            made = ledger(output, what)
            assert len(set(made)) == 40 and len(made) - 40 <= kills * IN_FLIGHT, (number, what)
        assert not list(output.rglob(".part-*"))
        assert results(output) == results(expected), number


@pytest.mark.claim("R1", tries=3)
def test_kill_9_while_a_report_is_written(
    world: World, whole: tuple[Path, int], tries: list[random.Random], tmp_path: Path
) -> None:
    runs, _ = whole
    command = ("report", str(runs), "--format", "html", "-o")
    count = tmp_path / "count"
    done = world.call(*command, str(tmp_path / "a" / "r.html"), faults_root=tmp_path / "a", faults_count=count)
    assert done.code == 0, done.err
    page = (tmp_path / "a" / "r.html").read_bytes()
    for number, chance in enumerate(tries):
        folder = tmp_path / f"b{number}"
        folder.mkdir()
        (folder / "r.html").write_text("the old one")
        at = chance.randint(1, int(count.read_text()))
        world.call(*command, str(folder / "r.html"), faults_root=folder, faults_kill_at=str(at))
        assert (folder / "r.html").read_bytes() in (b"the old one", page)
        assert world.call(*command, str(folder / "r.html")).code == 0
        assert [each.name for each in folder.iterdir()] == ["r.html"] and (folder / "r.html").read_bytes() == page


@pytest.mark.claim("R2", tries=2, long=100)
def test_a_resume_with_other_batches_and_workers_gives_the_same_bytes(
    world: World, whole: tuple[Path, int], tries: list[random.Random], tmp_path: Path
) -> None:
    expected, operations = whole
    seeds = set(ledger(expected, "painted"))
    for number, chance in enumerate(tries):
        output = tmp_path / str(number)
        for _ in range(2):
            count = chance.choice([1, 1, 2, 3])
            shard = () if count == 1 else ("--shard", f"{chance.randrange(count)}/{count}")
            asked = ("--batch-size", str(chance.randint(1, 50)), *shard)
            at = str(chance.randint(20, operations))
            world.run(output, *asked, faults_root=output, faults_kill_at=at)
        done = world.run(output, "--batch-size", str(chance.randint(1, 50)))
        assert done.code == 0, done.err
        assert set(ledger(output, "painted")) == seeds  # the same squares under the same seeds
        assert comparable(folder_of(output)) == comparable(folder_of(expected)), number
