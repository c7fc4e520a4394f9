"""The cache's notes about files: damaged, hostile or impossible ones cost time and nothing else; so do neighbours."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from janus_eval.evals.assets import cache, digests
from janus_eval.evals.assets.digests import sha256
from support.notes import notes, sealed


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("JANUS_EVAL_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("JANUS_EVAL_VERIFY", raising=False)
    return tmp_path / "cache"


# -- notes that are damaged, hostile or impossible ----------------------------------------------------


BODIES: dict[str, Callable[[str, list], object]] = {
    "a list": lambda folder, mark: [],
    "a number": lambda folder, mark: 3,
    "no files": lambda folder, mark: {"folder": folder},
    "files a list": lambda folder, mark: {"folder": folder, "files": [1]},
    "another folder's": lambda folder, mark: {"folder": "/", "files": {"w.bin": [mark, {"sha256": "0" * 64}]}},
    "a note that is none": lambda folder, mark: {"folder": folder, "files": {"w.bin": None}},
    "a short note": lambda folder, mark: {"folder": folder, "files": {"w.bin": [mark]}},
    "a short mark": lambda folder, mark: {"folder": folder, "files": {"w.bin": [mark[:4], {"sha256": "0" * 64}]}},
    "a mark of floats": lambda folder, mark: {
        "folder": folder,
        "files": {"w.bin": [[float(each) for each in mark], {"sha256": "0" * 64}]},
    },
    "digits that are none": lambda folder, mark: {"folder": folder, "files": {"w.bin": [mark, {"sha256": "g" * 64}]}},
    "an odd digit": lambda folder, mark: {"folder": folder, "files": {"w.bin": [mark, {"sha256": "0" * 63}]}},
    "a digest that is no text": lambda folder, mark: {"folder": folder, "files": {"w.bin": [mark, {"sha256": 0}]}},
    "digests a list": lambda folder, mark: {"folder": folder, "files": {"w.bin": [mark, ["0" * 64]]}},
    "no digest": lambda folder, mark: {"folder": folder, "files": {"w.bin": [mark, {}]}},
}


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize("what", BODIES)
def test_notes_that_say_nonsense_are_passed_over(tmp_path: Path, own_cache: Path, what: str) -> None:
    path = tmp_path / "w.bin"
    path.write_bytes(b"x")
    true = sha256(path)
    (file,) = notes(own_cache)
    body = BODIES[what](str(tmp_path), list(cache.mark(path.stat())))
    file.write_bytes(sealed(json.dumps(body).encode()))
    assert sha256(path) == true


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"\xff\xfe\0",
        sealed(b"[" * 200_000),
        sealed(b'{"a":' + b"9" * 10_000 + b"}"),
        sealed(b"\xff"),
        sealed(b"{}")[:-1],
        b"0" * 64 + b"\n{}",
    ],
)
def test_notes_that_are_damaged_are_passed_over(tmp_path: Path, own_cache: Path, content: bytes) -> None:
    path = tmp_path / "w.bin"
    path.write_bytes(b"x")
    true = sha256(path)
    (file,) = notes(own_cache)
    file.write_bytes(content)
    assert sha256(path) == true
    assert file.read_bytes() != content  # and written anew


@pytest.mark.usefixtures("settled")
def test_a_flipped_bit_anywhere_in_the_notes_never_changes_a_digest(tmp_path: Path, own_cache: Path) -> None:
    path = tmp_path / "w.bin"
    path.write_bytes(b"x")
    true = sha256(path)
    (file,) = notes(own_cache)
    whole = file.read_bytes()
    for at in range(0, len(whole), 3):
        file.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert sha256(path) == true


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize("what", ["pipe", "folder", "loop", "huge"])
def test_notes_that_are_no_file_are_passed_over(tmp_path: Path, own_cache: Path, what: str) -> None:
    path = tmp_path / "w.bin"
    path.write_bytes(b"x")
    true = sha256(path)
    (file,) = notes(own_cache)
    file.unlink()
    if what == "pipe":
        os.mkfifo(file)  # reading it would wait for ever
    elif what == "folder":
        file.mkdir()
    elif what == "loop":
        file.symlink_to(file.name)
    else:
        with file.open("wb") as sparse_file:
            sparse_file.truncate(1 << 40)
    assert sha256(path) == sha256(path) == true
    assert not list(file.parent.glob(".part-*"))


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize("what", ["a file in the way", "read-only", "full"])
def test_a_cache_that_cannot_be_written_only_costs_time(
    tmp_path: Path, own_cache: Path, read: list[str], monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    path = tmp_path / "w.bin"
    path.write_bytes(b"x")
    if what == "a file in the way":
        own_cache.write_text("")
    else:

        def refused(*given: object, **more: object) -> object:
            raise OSError(errno.EROFS if what == "read-only" else errno.ENOSPC, what)

        monkeypatch.setattr(*((tempfile, "mkstemp") if what == "read-only" else (os, "fdopen")), refused)
    assert sha256(path) == sha256(path) == hashlib.sha256(b"x").hexdigest() and len(read) == 2
    assert not list(tmp_path.glob("cache/**/.part-*"))


# -- several at once ----------------------------------------------------------------------------------

MANY = """
import sys
from pathlib import Path
from janus_eval.evals.assets import cache
from janus_eval.evals.assets.digests import digests
cache._RACY = -(10**12)
folder, rounds = Path(sys.argv[1]), int(sys.argv[2])
for number in range(rounds):
    mine = sorted(folder.iterdir())[number % 3 :: 3]
    print([each["sha256"] for each in digests(mine, "sha256", again=number % 2 == 0)][:1])
"""


@pytest.mark.usefixtures("settled")
def test_two_processes_at_once_spoil_nothing(tmp_path: Path, own_cache: Path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(300):
        (folder / f"{number:03d}").write_text(str(number))
    command = [sys.executable, "-c", MANY, str(folder), "30"]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    told = [each.communicate(timeout=120) for each in both]
    assert [each.returncode for each in both] == [0, 0] and told[0] == told[1] and told[0][1] == ""
    paths = sorted(folder.iterdir())
    true = [hashlib.sha256(each.read_bytes()).hexdigest() for each in paths]
    assert [each["sha256"] for each in digests.digests(paths, "sha256")] == true
    (file,) = notes(own_cache)  # whole: its checksum fits
    assert sealed(file.read_bytes().partition(b"\n")[2]) == file.read_bytes()
    assert not list(file.parent.glob(".part-*"))


@pytest.mark.usefixtures("settled")
def test_threads_of_one_process_spoil_nothing(tmp_path: Path) -> None:
    for number in range(20):
        (tmp_path / f"{number}.bin").write_text(str(number))
    paths = sorted(tmp_path.glob("*.bin"))
    true = [hashlib.sha256(each.read_bytes()).hexdigest() for each in paths]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda number: [each["sha256"] for each in digests.digests(paths, "sha256")], range(40)))
    assert all(each == true for each in found)
