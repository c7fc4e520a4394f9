"""A bundle carries what runs need: whole, resumed where it stopped, and believed in nothing that it says."""

from __future__ import annotations

import fcntl
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants
from janus_eval.evals.assets import bundle, catalogue, fetch, unbundle
from janus_eval.evals.commands import cli
from janus_eval.evals.errors import EnvironmentProblem, Locked, UsageError
from janus_eval.models.janus import toy

COMMIT = "0123456789abcdef0123456789abcdef01234567"
VQA = ("configuration.json", "config.yaml", "config_bert.json", "vocab.txt", "pytorch_model.bin")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine(tmp_path / "here", monkeypatch)
    monkeypatch.chdir(tmp_path)


def machine(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Be on a machine whose caches lie below a folder."""
    monkeypatch.setenv("JANUS_EVAL_CACHE", str(folder / "cache"))
    monkeypatch.setenv("LMUData", str(folder / "LMUData"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder / "hub"))


def snapshot(repo: str, files: dict[str, bytes], kind: str = "models") -> Path:
    """Lay a repository into the hub's cache as the hub's package does: blobs, links to them, a reference."""
    folder = Path(constants.HF_HUB_CACHE) / f"{kind}--{repo.replace('/', '--')}"
    place = folder / "snapshots" / COMMIT
    for number, (name, content) in enumerate(files.items()):
        blob = folder / "blobs" / f"b{number}"
        blob.parent.mkdir(parents=True, exist_ok=True)
        blob.write_bytes(content)
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).symlink_to(blob)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(COMMIT)
    return place


def vqa() -> None:
    """Put the files of the VQA model, of which no digest is published, into the cache."""
    for number, name in enumerate(VQA):
        path = fetch.cache_root() / "mplug" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(700 * number + 1))


def made(path: Path) -> bundle.Manifest:
    """Write a bundle of the VQA model and of a repository."""
    vqa()
    snapshot("org/name", {"config.json": b"{}", "deep/model.safetensors": os.urandom(3000), "empty": b""})
    manifest = bundle.gather(["mplug", "hub:org/name"], None, command="janus-eval run", version="1")
    bundle.write(path, manifest)
    return manifest


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


# -- hostility ----------------------------------------------------------------------------------------


def forged(path: Path, *names: str, size: Any = 4, body: bytes | None = None, **more: Any) -> Path:
    """Write a bundle whose manifest says what it likes."""
    files = [{"name": name, "size": size, "sha256": "0" * 64} for name in names]
    row = {"format": 1, "janus-eval": "1", "command": "", "assets": {}, "files": files} | more
    text = json.dumps(row).encode() if body is None else body
    data = bundle.first(len(text)) + text + b"\0" * bundle.padding(len(text))
    for name in names:
        data += bundle.Member(name, 4, "").header + b"data" + b"\0" * 508
    path.write_bytes(data + bundle.END)
    return path


@pytest.mark.parametrize(
    "name",
    [
        "cache/../../escaped",
        "/etc/passwd",
        "cache//etc/passwd",
        "cache/mplug/../../escaped",
        "cache/digests/files/0.json",
        "cache/anything",
        "hub/models--a--b/refs/../../../escaped",
        "hub/models--a--b/blobs/b0",
        "hub/../escaped",
        "hub/models--a--b/snapshots/nothex/x",
        "wheels/../x.whl",
        "wheels/x.py",
        "cache/mplug/vocab.txt\n",
        "cache\\mplug\\vocab.txt",
        "bin/sh",
        "",
    ],
)
def test_a_name_that_leads_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="leads elsewhere"):
        unbundle.unpack(forged(tmp_path / "b.tar", name), tmp_path / "wheels")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["b.tar"]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"size": -1}, "no size and digest"),
        ({"size": "4"}, "no size and digest"),
        ({"size": 1 << 60}, "no size and digest"),
        ({"size": 1 << 49}, "is cut"),
        ({"size": True}, "no size and digest"),
        ({"body": b"[" * 100_000}, "cannot be read"),
        ({"body": b"{}"}, "cannot be read"),
        ({"body": b"\xff"}, "cannot be read"),
        ({"format": 2}, "format 2"),
        ({"files": [{"name": "cache/mplug/vocab.txt"}]}, "cannot be read"),
    ],
)
def test_a_manifest_that_cannot_be_meant_is_refused(tmp_path: Path, more: dict[str, Any], message: str) -> None:
    with pytest.raises((UsageError, EnvironmentProblem), match=message):
        unbundle.unpack(forged(tmp_path / "b.tar", "cache/mplug/vocab.txt", **more), tmp_path / "wheels")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["b.tar"]


def test_a_name_that_stands_twice_is_refused(tmp_path: Path) -> None:
    names = ("cache/mplug/vocab.txt",) * 2
    with pytest.raises(UsageError, match="stands twice"):
        unbundle.unpack(forged(tmp_path / "b.tar", *names), tmp_path / "wheels")


def link(kind: bytes) -> Callable[[tarfile.TarFile], None]:
    def add(tar: tarfile.TarFile) -> None:
        info = tarfile.TarInfo("bundle.json")
        info.type, info.linkname = kind, "/etc/passwd"
        tar.addfile(info)

    return add


def huge(tar: tarfile.TarFile) -> None:
    info = tarfile.TarInfo("bundle.json")
    info.size = 1 << 40
    tar.fileobj.write(info.tobuf())  # pyright: ignore


def other(tar: tarfile.TarFile) -> None:
    info = tarfile.TarInfo("readme")
    info.size = 3
    tar.addfile(info, io.BytesIO(b"hey"))


@pytest.mark.parametrize("add", [link(tarfile.SYMTYPE), link(tarfile.LNKTYPE), link(tarfile.FIFOTYPE), huge, other])
@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_an_archive_that_is_no_bundle_is_refused(tmp_path: Path, add: Callable[[Any], None], mode: str) -> None:
    with tarfile.open(tmp_path / "b.tar", mode) as tar:
        add(tar)
    with pytest.raises(UsageError, match="is no bundle"):
        unbundle.read(tmp_path / "b.tar")


def test_a_member_that_is_a_link_is_never_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = made(tmp_path / "b.tar")
    data = bytearray((tmp_path / "b.tar").read_bytes())
    info = tarfile.TarInfo("cache/mplug/vocab.txt")
    info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
    with tarfile.open(tmp_path / "b.tar") as tar:
        at = tar.getmember(info.name).offset
    data[at : at + 512] = info.tobuf()
    (tmp_path / "b.tar").write_bytes(data)
    machine(tmp_path / "there", monkeypatch)
    with pytest.raises(EnvironmentProblem, match=r"vocab\.txt is damaged"):
        unbundle.unpack(tmp_path / "b.tar", tmp_path / "wheels")
    assert not os.path.lexists(fetch.cache_root() / "mplug" / "vocab.txt")
    assert len(manifest.members) > 1


def test_nothing_is_written_through_a_link_that_lies_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(tmp_path / "b.tar")
    machine(tmp_path / "there", monkeypatch)
    (tmp_path / "elsewhere").mkdir()
    fetch.cache_root().mkdir(parents=True)
    (fetch.cache_root() / "mplug").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="is a link"):
        unbundle.unpack(tmp_path / "b.tar", tmp_path / "wheels")
    (fetch.cache_root() / "mplug").unlink()
    (fetch.cache_root() / "mplug").mkdir()
    (tmp_path / "elsewhere" / "kept").write_text("mine")
    (fetch.cache_root() / "mplug" / "vocab.txt").symlink_to(tmp_path / "elsewhere" / "kept")
    unbundle.unpack(tmp_path / "b.tar", tmp_path / "wheels")
    assert (tmp_path / "elsewhere" / "kept").read_text() == "mine"
    assert not (fetch.cache_root() / "mplug" / "vocab.txt").is_symlink()


def test_every_file_of_the_catalogue_may_be_carried() -> None:
    files = [each for item in catalogue.CATALOGUE for each in (item, *item.files) if each.urls]
    members = [bundle.Member(f"cache/{each.filename}", 1, "0" * 64) for each in files]
    unbundle._must_be_plain(Path("x"), members)
