"""Processes that share a run through its folder alone: killed, requeued, doubled, left out; one of them ends it."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path

import pytest
from support.command import World, ended, folder_of, ledger, results

BATCH = ("--batch-size", "4")
IN_FLIGHT = 8
"""Outputs of the batch that is computed and of the one that is put on disk meanwhile."""


@pytest.fixture(scope="module")
def wholes(world: World, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """The files of uninterrupted runs of one process, by how they keep their pictures."""
    found: dict[str, dict[str, str]] = {}
    for store in ("--no-packs", "--packs"):
        output = tmp_path_factory.mktemp("whole")
        assert world.run(output, *BATCH, store).code == 0
        found[store] = results(folder_of(output))
    return found


@pytest.fixture(scope="module")
def whole(wholes: dict[str, dict[str, str]]) -> dict[str, str]:
    return wholes["--no-packs"]


def finish(world: World, output: Path, **environment: str) -> tuple[int, str]:
    done = world.call("finish", str(folder_of(output)), squares_ledger=output / "ledger", **environment)
    return done.code, done.err


@pytest.mark.claim("R1", tries=2, long=100)
@pytest.mark.claim("R20", tries=2, long=100)
@pytest.mark.parametrize("store", ["--no-packs", "--packs"])
def test_shards_killed_at_any_instant_requeued_or_left_out(
    store: str, world: World, wholes: dict[str, dict[str, str]], tries: list[random.Random], tmp_path: Path
) -> None:
    for number, chance in enumerate(tries):
        output, kills = tmp_path / str(number), 0
        count = chance.randint(1, 5)
        for shard in chance.sample(range(count), count):
            asked = (*BATCH, store, "--shard", f"{shard}/{count}")
            for _ in range(chance.choice([0, 1, 2])):  # requeued up to twice
                world.run(output, *asked, faults_root=output, faults_kill_at=str(chance.randint(1, 60)))
                kills += 1
            if chance.random() < 0.7:
                assert world.run(output, *asked).code == 0
        if not any(output.glob("*/asked.json")):
            assert world.run(output, *BATCH, store, "--shard", "0/2").code == 0  # all were killed before they began
        for _ in range(chance.choice([0, 1])):
            finish(world, output, faults_root=str(output), faults_kill_at=str(chance.randint(1, 40)))
            kills += 1
        assert finish(world, output)[0] == 0, number
        for what in ("painted", "seen"):
            made = ledger(output, what)
            assert len(set(made)) == 40 and len(made) - 40 <= kills * IN_FLIGHT, (number, what)
        assert results(folder_of(output)) == wholes[store], number
        assert [path.name for path in output.iterdir() if path.is_file()] == ["ledger"]


@pytest.mark.claim("R20", tries=2, long=20)
def test_two_shards_of_one_number_at_once(
    world: World, whole: dict[str, str], tries: list[random.Random], tmp_path: Path
) -> None:
    for number, chance in enumerate(tries):
        output, count = tmp_path / str(number), chance.randint(1, 3)
        shards = [*range(count), chance.randrange(count)]
        twins = [world.begin(output, *BATCH, "--shard", f"{each}/{count}", squares_pause="0.02") for each in shards]
        assert [ended(each).code for each in twins] == [0] * len(shards)
        assert finish(world, output) == (0, "")
        assert results(folder_of(output)) == whole


def test_another_count_and_clocks_that_are_wrong_move_nothing(
    world: World, whole: dict[str, str], tmp_path: Path
) -> None:
    for number, shard in enumerate(("0/2", "0/3", "2/3", "1/3")):
        assert world.run(tmp_path, *BATCH, "--shard", shard).code == 0
        for path in folder_of(tmp_path).rglob("*"):  # of a machine that is days ahead, or behind
            os.utime(path, (0, 4e9 if number % 2 else 1e9))
    assert finish(world, tmp_path) == (0, "")
    assert results(folder_of(tmp_path)) == whole
    assert len(ledger(tmp_path, "painted")) == len(ledger(tmp_path, "seen")) == 40


def test_finishing_twice_and_a_late_shard_change_nothing(world: World, whole: dict[str, str], tmp_path: Path) -> None:
    for shard in ("0/2", "1/2"):
        assert world.run(tmp_path, *BATCH, "--shard", shard).code == 0
    made = ledger(tmp_path, "painted")
    for _ in range(2):
        assert finish(world, tmp_path) == (0, "")
        assert world.run(tmp_path, *BATCH, "--shard", "1/3").code == 0
        assert results(folder_of(tmp_path)) == whole and ledger(tmp_path, "painted") == made


def test_a_shard_on_another_kind_of_machine_is_refused(world: World, tmp_path: Path) -> None:
    assert world.run(tmp_path, "--shard", "0/2", squares_device="cuda").code == 0
    done = world.run(tmp_path, "--shard", "1/2")
    assert done.code == 2
    assert done.err.count("\n") == 1 and "model.device is cuda there, cpu here" in done.err


def test_a_machine_that_would_make_other_outputs_ends_only_what_is_whole(
    world: World, whole: dict[str, str], tmp_path: Path
) -> None:
    assert world.run(tmp_path, *BATCH, "--shard", "0/2").code == 0
    code, told = finish(world, tmp_path, squares_device="cuda")
    assert code == 5 and "model.device is cpu there, cuda here" in told and told.count("\n") == 1
    assert world.run(tmp_path, *BATCH, "--shard", "1/2").code == 0
    assert finish(world, tmp_path, squares_device="cuda") == (0, "")
    assert results(folder_of(tmp_path)) == whole


def test_who_made_what_is_told(world: World, tmp_path: Path) -> None:
    for shard in ("0/2", "1/2"):
        assert world.run(tmp_path, *BATCH, "--shard", shard).code == 0
    assert finish(world, tmp_path) == (0, "")
    workers = json.loads((folder_of(tmp_path) / "environment.json").read_bytes())["workers"]
    drew = [each for each in workers if each["stage"] == "predict"]
    assert sorted(each["batches"] for each in drew) == ["0,2,4,6,8", "1,3,5,7,9"]
    assert [each["outputs"] for each in drew] == [20, 20]
    assert {each["writer"][:8] for each in workers} == {"000of002", "001of002"}


@pytest.mark.parametrize(
    ("text", "environment", "message"),
    [
        ("2/2", {}, "I from 0 to N-1"),
        ("0/0", {}, "I from 0 to N-1"),
        ("x", {}, "expected I/N, auto or auto/N"),
        ("auto", {}, "neither SLURM_ARRAY_TASK_ID (a Slurm array) nor JOB_COMPLETION_INDEX (Kubernetes) is set"),
        ("auto", {"job_completion_index": "1"}, "give --shard auto/N"),
        ("auto/2", {"job_completion_index": "one"}, "JOB_COMPLETION_INDEX is 'one'"),
    ],
)
def test_a_shard_that_is_none_is_one_line(
    world: World, tmp_path: Path, text: str, environment: dict[str, str], message: str
) -> None:
    done = world.run(tmp_path, "--shard", text, **environment)
    assert done.code == 2 and message in done.err and done.err.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "environment"),
    [
        ("auto", {"slurm_array_task_id": "7", "slurm_array_task_min": "5", "slurm_array_task_count": "4"}),
        ("auto/4", {"job_completion_index": "2"}),
    ],
)
def test_a_shard_is_named_by_slurm_and_by_kubernetes(
    world: World, tmp_path: Path, text: str, environment: dict[str, str]
) -> None:
    assert world.run(tmp_path, *BATCH, "--shard", text, **environment).code == 0
    (lines,) = folder_of(tmp_path).glob("predictions/*.jsonl")
    assert lines.name.startswith("002of004-")


def test_shards_whose_spec_was_changed_are_not_taken_together(world: World, tmp_path: Path) -> None:
    assert world.run(tmp_path, *BATCH, "--shard", "0/1").code == 0
    folder = folder_of(tmp_path)
    whole = (folder / "spec.json").read_bytes()
    for key, value in (("seed", 7), ("tag", "of another"), ("model_card", {"weights": "abcdef"})):
        (folder / "spec.json").write_text(json.dumps(json.loads(whole) | {key: value}))
        code, told = finish(world, tmp_path)
        assert code == 2 and told.count("\n") == 1 and "says another run" in told, key
    (folder / "spec.json").write_text(json.dumps(json.loads(whole) | {"seed": 7}))
    moved = folder.rename(tmp_path / "moved")
    code, told = finish(world, tmp_path)
    assert code == 2 and "disagree about seed" in told
    (moved / "spec.json").write_bytes(whole)
    assert finish(world, tmp_path) == (0, "")


def test_options_that_are_no_object_end_in_a_line(world: World, tmp_path: Path) -> None:
    assert world.run(tmp_path, *BATCH, "--shard", "0/1").code == 0
    for text in ("[]", "null", '"x"'):
        (folder_of(tmp_path) / "options.json").write_text(text)
        code, told = finish(world, tmp_path)
        assert code == 2 and told.count("\n") == 1 and "options.json is damaged" in told
