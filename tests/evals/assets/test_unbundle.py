"""A bundle is believed in nothing: names, links, sizes and archives that would lead elsewhere are refused."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from janus_eval.evals.assets import bundle, catalogue, fetch, unbundle
from janus_eval.evals.errors import EnvironmentProblem, UsageError
from support.bundles import forged, machine, made


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine(tmp_path / "here", monkeypatch)
    monkeypatch.chdir(tmp_path)


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
