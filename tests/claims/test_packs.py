"""Pictures in packs: the same bytes from one process and from many, killed or not; damage costs what was damaged."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from janus_eval.evals.files import seal
from janus_eval.evals.stored import read_lines
from support.command import World, folder_of, ledger, results

BATCH = ("--batch-size", "4")


@pytest.fixture(scope="module")
def whole(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An uninterrupted run of one process."""
    output = tmp_path_factory.mktemp("whole")
    assert world.run(output, *BATCH, "--packs").code == 0
    return folder_of(output)


def test_a_packed_run_has_the_scores_of_one_in_files_and_a_tar_of_its_pictures(
    world: World, whole: Path, tmp_path: Path
) -> None:
    assert world.run(tmp_path, *BATCH).code == 0
    plain = folder_of(tmp_path)
    for name in ("record.json", "scores.jsonl", "spec.json", "plan.json", "evidence/0.jsonl"):
        assert (plain / name).read_bytes() == (whole / name).read_bytes()
    (pack,) = whole.glob("packs/*")
    with tarfile.open(pack) as tar:
        held = {each.name: tar.extractfile(each).read() for each in tar}  # type: ignore[union-attr]  # plain files
    assert held == {str(path.relative_to(plain)): path.read_bytes() for path in plain.glob("images/**/*.png")}
    assert not (whole / "images").exists()


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_shards_leave_the_bytes_of_one_process(world: World, whole: Path, count: int, tmp_path: Path) -> None:
    for shard in reversed(range(count)):
        assert world.run(tmp_path, *BATCH, "--packs", "--shard", f"{shard}/{count}").code == 0
    assert world.call("finish", str(folder_of(tmp_path))).code == 0
    assert results(folder_of(tmp_path)) == results(whole)


@pytest.mark.claim("R1", tries=3)
def test_kill_9_at_any_instant_of_a_packed_run(
    world: World, whole: Path, tries: list[random.Random], tmp_path: Path
) -> None:
    for number, chance in enumerate(tries):
        output, kills = tmp_path / str(number), chance.randint(1, 3)
        for _ in range(kills):
            at = str(chance.randint(5, 45))
            world.run(output, *BATCH, "--packs", faults_root=output, faults_kill_at=at)
        assert world.run(output, *BATCH, "--packs").code == 0
        made = ledger(output, "painted")
        assert len(set(made)) == 40 and len(made) - 40 <= kills * 8, number
        assert results(folder_of(output)) == results(whole), number


@pytest.mark.claim("R4", tries=3)
def test_a_pack_that_cannot_grow_past_any_byte(
    world: World, whole: Path, tries: list[random.Random], tmp_path: Path
) -> None:
    (pack,) = whole.glob("packs/*")
    for number, chance in enumerate(tries):
        output, most = tmp_path / str(number), chance.randrange(pack.stat().st_size)
        done = world.run(output, *BATCH, "--packs", faults_file_size=str(most), squares_ledger="")
        assert done.code == 6 and done.err.count("\n") == 1
        assert world.run(output, *BATCH, "--packs").code == 0
        assert results(folder_of(output)) == results(whole), most


def test_a_damaged_picture_of_a_pack_is_made_again_alone(world: World, whole: Path, tmp_path: Path) -> None:
    assert world.run(tmp_path, *BATCH, "--packs").code == 0
    folder = folder_of(tmp_path)
    (pack,) = folder.glob("packs/*")
    row = list(read_lines(folder, "predictions"))[9]
    data = bytearray(pack.read_bytes())
    data[row["at"] + row["bytes"] // 2] ^= 1
    pack.write_bytes(data)
    (tmp_path / "ledger").unlink()
    done = world.run(tmp_path, *BATCH, "--packs")
    assert done.code == 0 and f"{row['image']} of" in done.err and "damaged" in done.err
    assert len(ledger(tmp_path, "painted")) == 4  # its batch
    assert results(folder) == results(whole)


def test_export_makes_the_folder_of_a_run_in_files(world: World, whole: Path, tmp_path: Path) -> None:
    assert world.run(tmp_path / "runs", *BATCH).code == 0
    plain = folder_of(tmp_path / "runs")
    for number, run in enumerate((whole, plain)):
        assert world.call("export", str(run), "-o", str(tmp_path / str(number))).code == 0
    expected = {name: each for name, each in results(plain).items() if name.startswith(("images/", "squares.json"))}
    assert results(tmp_path / "0") == results(tmp_path / "1") == expected


def test_what_a_killed_export_left_is_gone_after_the_next_one_and_after_gc(
    world: World, whole: Path, tmp_path: Path
) -> None:
    def kill(at: int) -> list[Path]:
        world.call("export", str(whole), "-o", str(tmp_path / "out"), faults_root=tmp_path, faults_kill_at=str(at))
        return list(tmp_path.glob(".part-*"))

    (draft,) = kill(30)
    assert sum(path.is_file() for path in draft.rglob("*")) in range(5, 40)
    (tmp_path / ".part-out-elsewhere-1-0").mkdir()  # of another machine: nobody here knows whether it works
    assert world.call("export", str(whole), "-o", str(tmp_path / "out")).code == 0
    assert not draft.exists() and len(list(tmp_path.glob(".part-*"))) == 1

    shutil.rmtree(tmp_path / "out")
    kill(30)
    for more in (["-n"], ["-y"]):
        done = world.call("gc", str(tmp_path), "--state", "damaged", *more)
        assert done.code == 0 and "1 draft of killed processes" in done.out
    assert [path.name for path in tmp_path.iterdir()] == [".part-out-elsewhere-1-0"]


LIES: tuple[dict[str, object], ...] = (
    {"at": -1},
    {"at": 1},
    {"at": 10**30},
    {"at": "0"},
    {"bytes": 1},
    {"bytes": -1},
    {"bytes": 10**15},
    {"sha256": "0" * 64},
    {"pack": ".."},
    {"pack": "../predictions/0"},
    {"pack": None},
    {"image": "../../outside.png"},
    {"image": "images/a\0b"},
    {"image": "images/\ud800"},
    {"kind": "text", "text": "a text in a pack", "image": None},
    {"kind": "likelihood", "likelihoods": [1.0], "bytes": None},
    {"refused": "no", "image": None},
)


def test_lines_that_lie_about_their_place_cost_their_pictures_alone(world: World, whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / whole.name
    shutil.copytree(whole, folder)
    rows: list[dict[str, object]] = list(read_lines(folder, "predictions"))
    lying = [{**row, **lie} for row, lie in zip(rows, LIES, strict=False)]
    lines = [seal(row) + "\n" for row in [*lying, *rows[len(LIES) :]]]
    (folder / "predictions" / "0.jsonl").write_text("".join(lines), encoding="utf-8")
    for command in (("show", str(folder), "--id", "000"), ("export", str(folder), "-o", str(tmp_path / "out"))):
        assert "Traceback" not in world.call(*command).err
    shutil.rmtree(tmp_path / "out", ignore_errors=True)
    done = world.run(tmp_path, *BATCH, "--packs")
    assert done.code == 0, done.err
    assert len(LIES) <= len(ledger(tmp_path, "painted")) <= len(LIES) + 3  # their batches
    again = [row for row in read_lines(folder, "predictions") if row["kind"] == "image"]
    assert again == rows and not (tmp_path.parent / "outside.png").exists()
    assert [path.name for path in folder.glob("packs/*")] == [path.name for path in whole.glob("packs/*")]


def _link(pack: Path) -> None:
    pack.symlink_to(pack.rename(pack.parents[2] / "elsewhere.tar"))


def _folder(pack: Path) -> None:
    pack.unlink()
    pack.mkdir()


def _pipe(pack: Path) -> None:
    pack.unlink()
    os.mkfifo(pack)


@pytest.mark.parametrize(("make", "code"), [(_link, 2), (_pipe, 2), (_folder, 6)])
def test_a_pack_that_is_no_file_is_told_in_one_line(
    world: World, whole: Path, make: Callable[[Path], None], code: int, tmp_path: Path
) -> None:
    folder = tmp_path / whole.name
    shutil.copytree(whole, folder)
    (pack,) = folder.glob("packs/*")
    make(pack)
    seen = world.call("show", str(folder), "--id", "000")
    assert seen.code == 0 and "Traceback" not in seen.err
    done = world.run(tmp_path, *BATCH, "--packs")
    assert done.code == code and str(pack.parent.parent) in done.err.splitlines()[-1]
    assert "Traceback" not in done.err


def test_show_and_report_say_the_same_of_packs_and_of_files(world: World, whole: Path, tmp_path: Path) -> None:
    assert world.run(tmp_path, *BATCH).code == 0
    plain = folder_of(tmp_path)
    for name in ("environment.json", "asked.json"):  # times, and the words of the request
        shutil.copy(whole / name, plain / name)
    for command in (["show"], ["show", "--failed"], ["report"], ["report", "-f", "json"]):
        said = [world.call(*command, str(run)) for run in (plain, whole)]
        texts = [each.out.replace(str(run.parent), "") for each, run in zip(said, (plain, whole), strict=True)]
        assert said[0].code == said[1].code == 0 and texts[0] and texts[0] == texts[1], command


def _stored(output: Path) -> int:
    return sum(path.read_bytes().count(b"\n") for path in output.glob("*/predictions/0.jsonl"))


def test_a_stop_copies_no_pictures_and_the_end_makes_one_pack(world: World, whole: Path, tmp_path: Path) -> None:
    for number in (1, 2):
        before = _stored(tmp_path)
        process = world.begin(tmp_path, *BATCH, "--packs", squares_pause="0.5")
        until = time.monotonic() + 50
        while _stored(tmp_path) < before + 4 and time.monotonic() < until:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        assert len(list(folder_of(tmp_path).glob("packs/*"))) == number
        assert json.loads((folder_of(tmp_path) / "interrupted.json").read_bytes())["state"] == "interrupted"
    assert world.run(tmp_path, *BATCH, "--packs").code == 0
    assert results(folder_of(tmp_path)) == results(whole)
