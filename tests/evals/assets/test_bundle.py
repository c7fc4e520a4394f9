"""A bundle carries what runs need: whole, resumed where it stopped, and believed in nothing that it says."""

from __future__ import annotations

import fcntl
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

import pytest
from janus_eval.evals import plan
from janus_eval.evals.assets import bundle, fetch, unbundle
from janus_eval.evals.commands import cli
from janus_eval.evals.errors import EnvironmentProblem, Locked, UsageError
from janus_eval.evals.request import Request
from janus_eval.models.janus import toy
from support.bundles import VQA, machine, made, snapshot, vqa


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine(tmp_path / "here", monkeypatch)
    monkeypatch.chdir(tmp_path)


# -- there and back -----------------------------------------------------------------------------------


def test_what_is_carried_is_found_on_the_other_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = made(tmp_path / "b.tar")
    before = {name: fetch.verify(name) for name in ("mplug", "hub:org/name")}
    with tarfile.open(tmp_path / "b.tar") as tar:  # it is a plain tar all the same
        names = tar.getnames()
        assert names == ["bundle.json", *(each.name for each in manifest.members)]
        assert all(each.isreg() for each in tar.getmembers())
    machine(tmp_path / "there", monkeypatch)
    assert fetch.locate("mplug") is None and fetch.locate("hub:org/name") is None
    _, done = unbundle.unpack(tmp_path / "b.tar", tmp_path / "wheels")
    assert sorted(done.new) == sorted(names[1:]) and not done.there and not done.replaced
    assert {name: fetch.verify(name) for name in before} == before
    _, done = unbundle.unpack(tmp_path / "b.tar", tmp_path / "wheels")
    assert len(done.there) == len(names) - 1 and not done.new


def test_a_run_needs_nothing_but_its_bundle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    toy.build(tmp_path / "weights")
    snapshot("deepseek-ai/Janus-1.3B", {each.name: each.read_bytes() for each in (tmp_path / "weights").iterdir()})
    asked = ["-m", "janus-1.3b", "-b", "pope", "--data", "toy"]
    assert cli.main(["bundle", "create", "b.tar", *asked, "--offline"]) == 0
    out = capsys.readouterr().out
    assert "janus-1.3b: licence: code MIT, weights DeepSeek Model License" in out
    machine(tmp_path / "there", monkeypatch)
    run = ["run", *asked, "--offline", "-l", "2", "-a", "max_new_tokens=2", "-o", "runs"]
    assert cli.main(run) == 6
    capsys.readouterr()
    assert cli.main(["bundle", "import", "b.tar"]) == 0
    assert "then: janus-eval run --offline -m janus-1.3b -b pope --data toy" in capsys.readouterr().out
    assert cli.main(run) == 0
    shutil.rmtree(tmp_path / "here")
    assert cli.main([*run[:-1], "again"]) == 0


def test_what_runs_read_is_known_without_the_packages_that_they_need(monkeypatch: pytest.MonkeyPatch) -> None:
    def lacking(name: str, *_: Any) -> None:
        return None if name in ("torch", "transformers", "cv2", "pycocotools", "datasets") else real(name, *_)

    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lacking)
    asked = Request(("janus-pro-7b", "janusflow-1.3b"), ("geneval", "dpg_bench", "pope"))
    drawn = ["geneval-detector", "geneval-clip", "dpg-bench", "mplug", "pope"]
    assert plan.assets_of(asked) == ["janus-pro-7b", *drawn, "janusflow-1.3b", "sdxl-vae"]
    assert plan.assets_of(Request(("janus-toy",), ("geneval", "dpg_bench", "pope"))) == []
    options = {"path": "weights"}
    assert plan.assets_of(Request(("janus-pro-7b",), ("pope",), model_options=options, data="toy")) == []
    revised = Request(("janus-pro-7b",), ("pope",), model_options={"revision": "abc"}, data="toy")
    assert plan.assets_of(revised) == ["hub:deepseek-ai/Janus-Pro-7B@abc"]


def test_a_table_of_the_other_kit_is_carried_into_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here" / "LMUData").mkdir(parents=True)
    (tmp_path / "here" / "LMUData" / "POPE.tsv").write_bytes(b"rows")
    manifest = bundle.gather(["pope-tsv"], None, command="", version="1")
    assert [each.name for each in manifest.members] == ["cache/tsv/POPE.tsv"]
    bundle.write(tmp_path / "b.tar", manifest)
    machine(tmp_path / "there", monkeypatch)
    unbundle.unpack(tmp_path / "b.tar", tmp_path / "wheels")
    assert fetch.locate("pope-tsv") == tmp_path / "there" / "cache" / "tsv" / "POPE.tsv"


def test_wheels_go_into_a_folder_of_their_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "dist").mkdir()
    assert cli.main(["bundle", "create", "b.tar", "--wheels", "dist"]) == 2
    (tmp_path / "dist" / "a-1.0-py3-none-any.whl").write_bytes(b"wheel")
    assert cli.main(["bundle", "create", "b.tar", "--wheels", "dist"]) == 0
    assert cli.main(["bundle", "import", "b.tar", "--wheels-to", "w"]) == 0
    assert (tmp_path / "w" / "a-1.0-py3-none-any.whl").read_bytes() == b"wheel"
    assert "pip install --no-index --find-links w 'janus-eval[all]'" in capsys.readouterr().out


def test_what_is_not_here_cannot_be_carried(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["bundle", "create", "b.tar", "-m", "janus-pro-7b", "-b", "pope", "--offline"]) == 6
    assert cli.main(["bundle", "create", "b.tar", "--asset", "mplugg", "--offline"]) == 2
    assert cli.main(["bundle", "create", "b.tar"]) == 2
    assert cli.main(["bundle", "create", "b.tar", "-m", "always-yes", "-b", "pope", "--data", "toy"]) == 2
    assert "nothing to carry" in capsys.readouterr().err
    assert list(tmp_path.glob("b.tar*")) == []


# -- stops --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.5, 0.9, 0.99, 1.0])
def test_writing_goes_on_where_it_stopped(tmp_path: Path, share: float) -> None:
    manifest = made(tmp_path / "b.tar")
    whole = (tmp_path / "b.tar").read_bytes()
    (tmp_path / "c.tar.part").write_bytes(whole[: int(len(whole) * share)])
    kept = bundle.write(tmp_path / "c.tar", manifest)
    assert (tmp_path / "c.tar").read_bytes() == whole and not (tmp_path / "c.tar.part").exists()
    assert kept <= len(whole) * share and (kept > 0 or share < 0.3)


def test_a_kill_leaves_what_the_same_command_goes_on_from(tmp_path: Path) -> None:
    vqa()
    (fetch.cache_root() / "mplug" / "pytorch_model.bin").write_bytes(os.urandom(1 << 20) * 96)
    command = [sys.executable, "-m", "janus_eval.evals.commands.cli", "bundle", "create", "b.tar", "--asset", "mplug"]
    first = subprocess.Popen([*command, "--offline"], cwd=tmp_path, stdout=subprocess.DEVNULL)
    part = tmp_path / "b.tar.part"
    while first.poll() is None and not (part.exists() and part.stat().st_size > 10 << 20):
        time.sleep(0.002)
    first.kill()
    first.wait()
    assert part.exists() and not (tmp_path / "b.tar").exists()
    done = subprocess.run([*command, "--offline", "--json"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["kept"] > 0 and not part.exists()
    assert len(unbundle.verify(tmp_path / "b.tar").members) == len(VQA)


def test_what_a_stop_left_damaged_is_written_again(tmp_path: Path) -> None:
    manifest = made(tmp_path / "b.tar")
    whole = (tmp_path / "b.tar").read_bytes()
    for at in (10, 600, len(whole) // 2, len(whole) - 2000):
        broken = bytearray(whole)
        broken[at] ^= 1
        (tmp_path / "c.tar.part").write_bytes(broken)
        bundle.write(tmp_path / "c.tar", manifest)
        assert (tmp_path / "c.tar").read_bytes() == whole


def test_two_that_write_one_bundle_do_not_mix(tmp_path: Path) -> None:
    manifest = made(tmp_path / "b.tar")
    with (tmp_path / "c.tar.part").open("wb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(Locked, match="another process"):
            bundle.write(tmp_path / "c.tar", manifest)


def test_a_file_that_changes_meanwhile_is_told(tmp_path: Path) -> None:
    manifest = made(tmp_path / "b.tar")
    (fetch.cache_root() / "mplug" / "vocab.txt").write_bytes(b"another")
    with pytest.raises(EnvironmentProblem, match=r"vocab\.txt changed while it was read"):
        bundle.write(tmp_path / "c.tar", manifest)
    assert not (tmp_path / "c.tar").exists()


def test_importing_goes_on_and_mends_what_is_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(tmp_path / "b.tar")
    machine(tmp_path / "there", monkeypatch)
    unbundle.unpack(tmp_path / "b.tar", tmp_path / "wheels")
    vocabulary = fetch.cache_root() / "mplug" / "vocab.txt"
    vocabulary.unlink()
    model = fetch.cache_root() / "mplug" / "pytorch_model.bin"
    model.write_bytes(b"x" * model.stat().st_size)
    _, done = unbundle.unpack(tmp_path / "b.tar", tmp_path / "wheels")
    assert (done.new, done.replaced) == (("cache/mplug/vocab.txt",), ("cache/mplug/pytorch_model.bin",))


# -- damage -------------------------------------------------------------------------------------------


def test_a_damaged_member_is_named_and_all_others_are_put_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = made(tmp_path / "b.tar")
    broken = bytearray((tmp_path / "b.tar").read_bytes())
    with tarfile.open(tmp_path / "b.tar") as tar:
        broken[tar.getmember("cache/mplug/vocab.txt").offset_data + 5] ^= 1
    (tmp_path / "b.tar").write_bytes(broken)
    machine(tmp_path / "there", monkeypatch)
    for action in ("verify", "import"):
        assert cli.main(["bundle", action, "b.tar"]) == 6
        assert "cache/mplug/vocab.txt is damaged: copy the bundle again" in capsys.readouterr().err
    there = [each for each in (tmp_path / "there").rglob("*") if each.is_file() and "digests" not in each.parts]
    assert len(there) == len(manifest.members) - 1 and not [each for each in there if "vocab" in each.name]


@pytest.mark.parametrize("share", [0.1, 0.5, 0.97])
def test_a_bundle_that_is_cut_is_told_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, share: float
) -> None:
    made(tmp_path / "b.tar")
    os.truncate(tmp_path / "b.tar", int((tmp_path / "b.tar").stat().st_size * share))
    machine(tmp_path / "there", monkeypatch)
    with pytest.raises((EnvironmentProblem, UsageError), match=r"is cut|cannot be read"):
        unbundle.unpack(tmp_path / "b.tar", tmp_path / "wheels")
    assert not (tmp_path / "there").exists()


def test_a_disk_without_room_is_told_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(tmp_path / "b.tar")
    machine(tmp_path / "there", monkeypatch)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**9, 10**9, 5000))
    with pytest.raises(EnvironmentProblem, match="are needed"):
        unbundle.unpack(tmp_path / "b.tar", tmp_path / "wheels")
    assert not (tmp_path / "there").exists()
