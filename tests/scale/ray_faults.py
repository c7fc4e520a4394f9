"""What a Ray cluster does to a run: workers, nodes and the driver are killed; nodes join; the bytes stay the same.

pytest tests/scale/ray_faults.py                          two tries of each
JANUS_EVAL_TRIES=20 pytest tests/scale/ray_faults.py      the long form (`tox -e scale`)
"""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from janus_eval.evals.files import unseal
from support.command import World, ended, folder_of, results
from support.nodes import Nodes, until

BATCH = ("--batch-size", "4")
STORES = ("--no-packs", "--packs")
IN_FLIGHT = 2 * 4
"""Outputs of the two batches that one worker has."""
PATIENCE = 180
"""Seconds for a run on a machine that others use too."""


@pytest.fixture(scope="module")
def wholes(world: World, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """The files of uninterrupted runs of one process, by how they keep their pictures."""
    found: dict[str, dict[str, str]] = {}
    for store in STORES:
        output = tmp_path_factory.mktemp("whole")
        done = world.run(output, *BATCH, store, squares_ledger="")
        assert done.code == 0, done.err
        found[store] = results(folder_of(output))
    return found


@pytest.fixture(scope="module")
def whole(wholes: dict[str, dict[str, str]]) -> dict[str, str]:
    return wholes["--no-packs"]


@pytest.fixture(autouse=True)
def fresh(ledger_file: Path) -> None:
    ledger_file.unlink(missing_ok=True)


def begin(world: World, nodes: Nodes, output: Path, workers: int = 2, *more: str) -> subprocess.Popen[str]:
    where = ("--executor", "ray", "--ray-address", nodes.address, "--workers", str(workers), "--observers", "1")
    return world.begin(output, *BATCH, *where, *more)


def told(output: Path) -> list[dict[str, Any]]:
    """Return who made what so far."""
    lines = [line for path in output.glob("*/where.jsonl") for line in path.read_bytes().splitlines()]
    return [row for row in map(unseal, lines) if row is not None]


def nth(output: Path, number: int, stage: str = "predict") -> dict[str, Any]:
    """Wait until so many batches of a stage are stored and return who made the last of them."""
    return until(lambda: [row for row in told(output) if row["stage"] == stage][number - 1 :])[0]


def at_an_instant(process: subprocess.Popen[str], chance: random.Random) -> None:
    """Wait for less than a batch takes; the run must be under way still: a kill behind its end would try nothing."""
    time.sleep(chance.uniform(0, 0.15))
    assert process.poll() is None


def made_once(ledger_file: Path, lost: int) -> None:
    """Each square was painted and seen; no more was made again than so many lost workers had in hand."""
    lines = ledger_file.read_text().splitlines()
    for what in ("painted", "seen"):
        made = [line for line in lines if line.startswith(what)]
        assert len(set(made)) == 40 and len(made) - 40 <= lost * IN_FLIGHT, (what, len(made))


def check(process: subprocess.Popen[str], output: Path, whole: dict[str, str]) -> None:
    done = ended(process, PATIENCE)
    assert done.code == 0, done.err
    assert results(folder_of(output)) == whole


@pytest.mark.parametrize("stage", ["predict", "observe"])
def test_a_worker_killed_at_any_instant(
    stage: str,
    world: World,
    nodes: Nodes,
    whole: dict[str, str],
    ledger_file: Path,
    tries: list[random.Random],
    tmp_path: Path,
) -> None:
    nodes.fill(2)
    for number, chance in enumerate(tries):
        ledger_file.unlink(missing_ok=True)
        output = tmp_path / str(number)
        process = begin(world, nodes, output)
        struck = nth(output, chance.randint(1, 6), stage)["pid"]
        at_an_instant(process, chance)
        os.kill(struck, signal.SIGKILL)
        check(process, output, whole)
        made_once(ledger_file, 1)


def test_a_node_lost_at_any_instant(
    world: World, nodes: Nodes, whole: dict[str, str], ledger_file: Path, tries: list[random.Random], tmp_path: Path
) -> None:
    for number, chance in enumerate(tries):
        nodes.fill(3)
        ledger_file.unlink(missing_ok=True)
        output = tmp_path / str(number)
        process = begin(world, nodes, output)
        nth(output, chance.randint(1, 6))
        at_an_instant(process, chance)
        nodes.lose(chance.choice(nodes.held))
        check(process, output, whole)
        made_once(ledger_file, 3)


def test_a_node_that_joins_is_used(
    world: World, nodes: Nodes, whole: dict[str, str], ledger_file: Path, tmp_path: Path
) -> None:
    nodes.fill(0)
    nodes.join(SQUARES_PAUSE="2")  # slow: the other one comes in time
    process = begin(world, nodes, tmp_path)
    nth(tmp_path, 1)
    nodes.join()
    check(process, tmp_path, whole)
    made_once(ledger_file, 0)
    workers = json.loads((folder_of(tmp_path) / "environment.json").read_bytes())["workers"]
    assert len({each["pid"] for each in workers if each["stage"] == "predict"}) == 2
    nodes.lose(nodes.held[0])


@pytest.mark.parametrize("store", STORES)
def test_the_driver_killed_at_any_instant(
    store: str,
    world: World,
    nodes: Nodes,
    wholes: dict[str, dict[str, str]],
    ledger_file: Path,
    tries: list[random.Random],
    tmp_path: Path,
) -> None:
    nodes.fill(2)
    for number, chance in enumerate(tries):
        ledger_file.unlink(missing_ok=True)
        output = tmp_path / str(number)
        process = begin(world, nodes, output, 2, store)
        nth(output, chance.randint(1, 6))
        at_an_instant(process, chance)
        process.kill()
        process.communicate()
        check(begin(world, nodes, output, 2, store), output, wholes[store])
        made_once(ledger_file, 3)  # two painters and the eye


def test_a_node_without_the_weights_is_not_used(
    world: World, nodes: Nodes, whole: dict[str, str], tmp_path: Path
) -> None:
    nodes.fill(0)
    nodes.join(SQUARES_PAUSE="2")  # slow: the other one says in time what it lacks
    nodes.join(SQUARES_LACKS="1")
    process = begin(world, nodes, tmp_path)
    done = ended(process, PATIENCE)
    nodes.fill(0)
    assert done.code == 0 and "is not used: the painter's weights are not on this machine" in done.err
    assert results(folder_of(tmp_path)) == whole


def test_no_node_has_the_weights(world: World, nodes: Nodes, tmp_path: Path) -> None:
    nodes.fill(0)
    nodes.join(SQUARES_LACKS="1")
    nodes.join(SQUARES_LACKS="1")
    done = ended(begin(world, nodes, tmp_path), PATIENCE)
    nodes.fill(0)
    assert done.code == 6 and "no worker is left for painter: the painter's weights are not" in done.err


def test_a_batch_that_kills_every_worker_is_given_up_and_named(world: World, nodes: Nodes, tmp_path: Path) -> None:
    nodes.fill(0)
    for _ in range(2):
        nodes.join(SQUARES_KILLER="011")
    done = ended(begin(world, nodes, tmp_path), PATIENCE)
    nodes.fill(0)
    assert done.code == 5, done.err
    lost = {json.loads(line)["sample_id"] for line in (folder_of(tmp_path) / "errors.jsonl").read_text().splitlines()}
    assert "011" in lost and len(lost) == 2  # a batch of four: two squares, twice each
    assert "3 workers were lost while they made it" in (folder_of(tmp_path) / "errors.jsonl").read_text()
    record = json.loads((folder_of(tmp_path) / "record.json").read_bytes())
    assert record["counts"]["predicted"] == 36


def test_a_worker_lost_while_it_is_asked_for_the_size_of_a_batch(
    world: World, nodes: Nodes, ledger_file: Path, tmp_path: Path
) -> None:
    nodes.fill(0)
    nodes.join(SQUARES_UNSIZED=str(tmp_path / "once"))
    where = ("--executor", "ray", "--ray-address", nodes.address, "--workers", "1", "--observers", "1")
    done = ended(world.begin(tmp_path / "runs", *where), PATIENCE)
    nodes.fill(0)
    assert done.code == 0 and done.err.count("a worker of painter was lost") == 1, done.err
    assert (tmp_path / "once").exists()
    made_once(ledger_file, 0)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_any_number_of_nodes_gives_the_same_bytes(
    count: int, world: World, nodes: Nodes, whole: dict[str, str], tmp_path: Path
) -> None:
    nodes.fill(count)
    check(begin(world, nodes, tmp_path, count), tmp_path, whole)


def test_another_cluster_of_the_machine_is_not_joined(
    world: World, nodes: Nodes, ledger_file: Path, tmp_path: Path
) -> None:
    nodes.fill(1)
    done = world.run(tmp_path, *BATCH, "--executor", "ray", ray_address=nodes.address, squares_ledger=tmp_path / "own")
    assert done.code == 0, done.err
    assert not ledger_file.exists() and (tmp_path / "own").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--ray-address", "127.0.0.1:1"), 6, "the Ray cluster 127.0.0.1:1"),
        (("--ray-address", "nowhere"), 2, "expected local, auto or HOST:PORT"),
        (("--workers", "0"), 2, "workers 0: expected a whole number from 1"),
        (("--gpus-per-worker", "1.5"), 2, "gpus_per_worker 1.5: expected a share up to 1"),
        (("--model-python", "/nowhere/python"), 6, "--model-python /nowhere/python cannot be started"),
        (("--slurm", "time=1"), 2, "no option 'slurm'"),
    ],
)
def test_what_cannot_be_is_one_line(
    world: World, tmp_path: Path, arguments: tuple[str, ...], code: int, message: str
) -> None:
    done = world.run(tmp_path, "--executor", "ray", *arguments)
    assert done.code == code and message in done.err and done.err.count("\n") == 1, done.err


def test_an_address_that_hangs_is_given_up(world: World, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        done = ended(world.begin(tmp_path, "--executor", "ray", "--ray-address", address), PATIENCE)
    assert done.code == 6 and done.err.count("\n") == 1
    assert f"the Ray cluster {address} does not answer within 40 s" in done.err


def test_a_home_that_cannot_be_written_is_not_needed(world: World, whole: dict[str, str], tmp_path: Path) -> None:
    where = ("--executor", "ray", "--workers", "1", "--observers", "1")
    check(world.begin(tmp_path, *BATCH, *where, home="/proc", squares_ledger=""), tmp_path, whole)
