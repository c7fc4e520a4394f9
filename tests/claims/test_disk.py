"""A disk that is full at any byte: one line and exit code 6, nothing lost, and a start that cannot end is refused."""

from __future__ import annotations

import random
import shutil
import subprocess
from collections import namedtuple
from pathlib import Path

import pytest
from janus_eval.evals import evaluate
from janus_eval.evals.errors import EnvironmentProblem
from support.command import World, results
from support.worlds import Eye, Painter, Redness


@pytest.fixture(scope="module")
def whole(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("whole") / "runs"
    assert world.run(output).code == 0
    return output


def check_told(code: int, err: str, output: Path) -> None:
    """A disk that is full is one line that says where, and never a success."""
    assert code == 6, err
    assert f"cannot write to {output}" in err and err.count("\n") == 1
    assert "free some space" in err or "a file-size limit was hit" in err


@pytest.mark.claim("R4", tries=4)
def test_a_file_that_cannot_grow_past_any_byte(
    world: World, whole: Path, tries: list[random.Random], tmp_path: Path
) -> None:
    largest = max(path.stat().st_size for path in whole.rglob("*") if path.is_file() and path.name != "ledger")
    for number, chance in enumerate(tries):
        output, most = tmp_path / str(number), chance.randrange(largest)
        done = world.run(output, faults_file_size=str(most), squares_ledger="")
        check_told(done.code, done.err, output)
        assert world.run(output).code == 0
        assert results(output) == results(whole), most


@pytest.fixture(scope="module")
def mounts(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Skip where no small disk can be made."""
    place = tmp_path_factory.mktemp("mounts")
    if not shutil.which("unshare") or inside("true", place, 64).returncode:
        pytest.skip("no filesystem can be mounted here")


def inside(script: str, place: Path, kilobytes: int, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a script in a namespace of its own where `place` is a disk of so many kilobytes."""
    mounted = f"mount -t tmpfs -o size={kilobytes}k,nr_inodes=0 none {place} || exit 99; {script}"
    return subprocess.run(
        ["unshare", "-rm", "sh", "-c", mounted], capture_output=True, text=True, check=False, timeout=120
    )


@pytest.mark.claim("R4", tries=5, long=50)
@pytest.mark.usefixtures("mounts")
def test_a_disk_of_any_size(world: World, whole: Path, tries: list[random.Random], tmp_path: Path) -> None:
    used = sum(-(-path.stat().st_size // 4096) * 4 for path in whole.rglob("*") if path.is_file())  # kilobytes in pages
    disk, told, last = tmp_path / "disk", tmp_path / "told", tmp_path / "last"
    disk.mkdir()
    for number in range(len(tries)):  # in even steps up to what a run takes
        kilobytes = 4 + (used - 20) * number // len(tries) // 4 * 4
        command = world.line("run", "-m", "painter", "-b", "squares", "-o", str(disk / "runs"))
        script = f"{command} 2>{told}; code=$?; mount -o remount,size=9m {disk}; {command} || exit 98; "
        script += f"rm -rf {last}; cp -r {disk}/runs {last}; exit $code"
        done = inside(script, disk, kilobytes)
        check_told(done.returncode, told.read_text(), disk / "runs")
        assert results(last) == results(whole), kilobytes


@pytest.mark.claim("R4")
def test_a_run_that_the_disk_cannot_hold_is_refused_before_it_begins(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    free = 0
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(free, 0, free))
    painter = Painter()
    suite = Redness()
    suite.observer = Eye()  # type: ignore[assignment]  # an object, as Python allows
    with pytest.raises(EnvironmentProblem, match=r"about 2.4 MB are needed, 0\.0 MB are free: free some space"):
        evaluate(painter, suite, output=tmp_path)
    assert painter.asked == []
    free = 10**9
    assert evaluate(painter, suite, output=tmp_path).complete
    free = 0
    assert evaluate(painter, suite, output=tmp_path).complete  # nothing lacks: nothing is needed
