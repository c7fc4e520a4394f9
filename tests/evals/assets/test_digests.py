"""Fingerprints: every byte counts, wherever it lies; a file that has not changed is read once, and nothing else is."""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from janus_eval.evals import progress
from janus_eval.evals.assets import cache, digests
from janus_eval.evals.assets.digests import file_digests, fingerprint, sha256
from janus_eval.evals.errors import EnvironmentProblem, UsageError
from support.notes import notes, rewrite

OLD = 1_600_000_000  # September 2020: no file of this time is racy
MB = 1 << 20


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("JANUS_EVAL_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("JANUS_EVAL_VERIFY", raising=False)
    return tmp_path / "cache"


def flip(path: Path, at: int) -> None:
    """Change one bit of one byte in place."""
    with path.open("r+b") as file:
        file.seek(at)
        old = file.read(1)
        file.seek(at)
        file.write(bytes([old[0] ^ 1]))


def sparse(path: Path, size: int, seed: int) -> random.Random:
    """Write a file of `size` bytes, most of them holes, with real content in twenty random places."""
    luck = random.Random(seed)
    with path.open("wb") as file:
        file.truncate(size)
        for _ in range(20):
            file.seek(luck.randrange(size))
            file.write(luck.randbytes(min(1000, size - file.tell())))
    return luck


# -- every byte counts --------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 2, 17, 4095, 4096, 4097, 65537, 4 * MB, 4 * MB + 1])
@pytest.mark.claim("R13")
def test_any_single_byte_changes_the_fingerprint(tmp_path: Path, size: int) -> None:
    path = tmp_path / "w.bin"
    luck = sparse(path, size, size)
    seen = {fingerprint(path)}
    places = {0, size - 1, *(luck.randrange(size) for _ in range(20))}
    for at in places:
        flip(path, at)
        seen.add(fingerprint(path))
    assert len(seen) == len(places) + 1  # other bytes each time: the changes are kept


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_any_single_byte_of_a_large_file_changes_the_fingerprint(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    luck = sparse(folder / name, 192 * MB, 7)
    with (folder / name).open("r+b") as file:
        file.write((100).to_bytes(8, "little"))  # what was read of a large file was its header and sixteen blocks
    seen = {fingerprint(folder)}
    for at in (luck.randrange(192 * MB) for _ in range(3)):
        flip(folder / name, at)
        seen.add(fingerprint(folder))
    with (folder / name).open("r+b") as file:
        file.seek(100 * MB)
        file.write(b"\1" * (2 * MB))  # a layer
    assert len({*seen, fingerprint(folder)}) == 5


def test_a_small_files_fingerprint_is_that_of_version_0_1_0(tmp_path: Path) -> None:
    """Old runs of small models keep their digests: the numbers here were printed by that version."""
    (tmp_path / "m" / "sub").mkdir(parents=True)
    (tmp_path / "m" / "sub" / "w.bin").write_bytes(bytes(range(256)) * 4000)
    (tmp_path / "m" / "config.json").write_text("{}")
    assert fingerprint(tmp_path / "m") == "609ea43e19a1999c"
    assert fingerprint(tmp_path / "m" / "config.json") == "9941f414ee797e56"


def test_names_and_contents_count_and_places_times_hidden_files_and_readmes_do_not(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name / "sub").mkdir(parents=True)
        (tmp_path / name / "sub" / "w.bin").write_bytes(b"weights")
    (tmp_path / "two" / "README.md").write_text("words")
    (tmp_path / "two" / ".cache").mkdir()
    (tmp_path / "two" / ".cache" / "x").write_text("hidden")
    os.utime(tmp_path / "two" / "sub" / "w.bin", (OLD, OLD))
    one = fingerprint(tmp_path / "one")
    assert one == fingerprint(tmp_path / "two")
    (tmp_path / "two" / "sub" / "w.bin").rename(tmp_path / "two" / "sub" / "v.bin")
    assert one != fingerprint(tmp_path / "two")
    (tmp_path / "two" / "sub" / "v.bin").rename(tmp_path / "two" / "sub" / "w.bin")
    (tmp_path / "two" / "sub" / "w.bin").write_bytes(b"Weights")
    assert one != fingerprint(tmp_path / "two")


def test_what_is_not_there_or_cannot_be_read_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="no such file or folder"):
        fingerprint(tmp_path / "nowhere")
    with pytest.raises(EnvironmentProblem, match=r"gone\.bin cannot be read: No such file"):
        sha256(tmp_path / "gone.bin")


def test_several_files_have_the_digests_that_the_tools_give(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.bin" for number in range(40)]
    for number, path in enumerate(paths):
        path.write_bytes(random.Random(number).randbytes(number * 1000))
    found = digests.digests([*paths, paths[3]], "sha256", "md5")
    assert [each["sha256"] for each in found[:-1]] == [hashlib.sha256(p.read_bytes()).hexdigest() for p in paths]
    assert found[-1]["md5"] == hashlib.md5(paths[3].read_bytes()).hexdigest()
    assert digests.digests([], "sha256") == []


# -- what has not changed is not read again -----------------------------------------------------------


@pytest.mark.usefixtures("settled")
def test_the_second_time_nothing_is_read(tmp_path: Path, read: list[str]) -> None:
    folder = tmp_path / "model"
    (folder / "sub").mkdir(parents=True)
    for name in ("a", "b", "sub/c"):
        (folder / name).write_text(name)
    first = fingerprint(folder)
    assert sorted(read) == ["a", "b", "c"]
    assert fingerprint(folder) == first and len(read) == 3
    (folder / "b").write_text("B")
    assert fingerprint(folder) != first and read[3:] == ["b"]
    (folder / "d").write_text("d")
    (folder / "a").unlink()
    fingerprint(folder)
    assert read[4:] == ["d"]


@pytest.mark.usefixtures("settled")
def test_what_is_remembered_is_trusted_unless_the_user_distrusts_it(
    tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "w.bin"
    path.write_bytes(b"true")
    true = sha256(path)
    rewrite(own_cache, lambda row: [row[0], {"sha256": "0" * 64}])
    assert sha256(path) == "0" * 64  # a lie in our own notes, with its checksum, is believed
    monkeypatch.setenv("JANUS_EVAL_VERIFY", "1")
    assert sha256(path) == true
    monkeypatch.delenv("JANUS_EVAL_VERIFY")
    assert sha256(path) == true  # and is gone from the notes


@pytest.mark.usefixtures("settled")
def test_distrust_forgets_every_digest_of_a_file(
    tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "w.bin"
    path.write_bytes(b"true")
    true = file_digests(path)
    rewrite(own_cache, lambda row: [row[0], {**row[1], "md5": "0" * 32}])
    monkeypatch.setenv("JANUS_EVAL_VERIFY", "1")
    sha256(path)
    monkeypatch.delenv("JANUS_EVAL_VERIFY")
    assert file_digests(path) == true


@pytest.mark.usefixtures("settled")
def test_a_change_in_place_with_the_old_time_set_back_is_seen(tmp_path: Path, read: list[str]) -> None:
    """By the inode's own time, which nobody can set; only a filesystem that keeps none needs JANUS_EVAL_VERIFY."""
    path = tmp_path / "w.bin"
    path.write_bytes(b"one")
    os.utime(path, (OLD, OLD))
    before = sha256(path)
    inode = path.stat().st_ino
    with path.open("r+b") as file:
        file.write(b"two")
    os.utime(path, (OLD, OLD))
    assert (path.stat().st_ino, path.stat().st_mtime) == (inode, OLD)
    assert sha256(path) != before and len(read) == 2


@pytest.mark.usefixtures("settled")
def test_without_the_inodes_time_such_a_change_is_seen_by_distrust_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = cache.mark
    monkeypatch.setattr(cache, "mark", lambda found: (*real(found)[:2], 0, *real(found)[3:]))
    path = tmp_path / "w.bin"
    path.write_bytes(b"one")
    os.utime(path, (OLD, OLD))
    before = sha256(path)
    with path.open("r+b") as file:
        file.write(b"two")
    os.utime(path, (OLD, OLD))
    assert sha256(path) == before
    monkeypatch.setenv("JANUS_EVAL_VERIFY", "1")
    assert sha256(path) == hashlib.sha256(b"two").hexdigest()


@pytest.mark.usefixtures("settled")
def test_another_file_of_equal_size_and_time_in_the_same_place_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = cache.mark
    monkeypatch.setattr(cache, "mark", lambda found: (*real(found)[:2], 0, *real(found)[3:]))  # by its inode alone
    path, other = tmp_path / "w.bin", tmp_path / "other"
    path.write_bytes(b"one")
    other.write_bytes(b"two")
    os.utime(path, (OLD, OLD))
    os.utime(other, (OLD, OLD))
    before = sha256(path)
    other.replace(path)
    assert sha256(path) == hashlib.sha256(b"two").hexdigest() != before


@pytest.mark.usefixtures("settled")
def test_a_link_that_leads_elsewhere_is_seen_and_two_links_to_one_file_are_read_once(
    tmp_path: Path, read: list[str]
) -> None:
    for name in ("one", "two"):
        (tmp_path / name).write_text(name)
    for link, target in (("a", "one"), ("b", "one")):
        (tmp_path / link).symlink_to(tmp_path / target)
    one = sha256(tmp_path / "a")
    assert sha256(tmp_path / "b") == one and read == ["one"]
    (tmp_path / "a").unlink()
    (tmp_path / "a").symlink_to(tmp_path / "two")
    assert sha256(tmp_path / "a") == hashlib.sha256(b"two").hexdigest()


def test_a_file_that_was_just_written_is_not_remembered(tmp_path: Path, own_cache: Path, read: list[str]) -> None:
    """It may be written once more within the clock's grain and keep its times, as git's racy files."""
    path = tmp_path / "w.bin"
    path.write_bytes(b"x")
    sha256(path)
    sha256(path)
    assert len(read) == 2 and not notes(own_cache)


def test_the_inodes_time_counts_for_that_too(tmp_path: Path, own_cache: Path) -> None:
    path = tmp_path / "w.bin"
    path.write_bytes(b"x")
    os.utime(path, (OLD, OLD))
    sha256(path)
    assert not notes(own_cache)
    assert cache.settled((1, OLD * 10**9, OLD * 10**9, 2, 3), time.time_ns())


def test_a_file_of_the_future_is_read_each_time(tmp_path: Path, read: list[str]) -> None:
    path = tmp_path / "w.bin"
    path.write_bytes(b"x")
    os.utime(path, (OLD * 2, OLD * 2))
    assert sha256(path) == sha256(path) and len(read) == 2


@pytest.mark.usefixtures("settled")
def test_a_file_that_changes_while_it_is_read_is_not_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "w.bin"
    path.write_bytes(b"one")
    real = os.fstat

    def later(handle: int) -> os.stat_result:
        monkeypatch.setattr(os, "fstat", real)
        path.write_bytes(b"three")
        return real(handle)

    monkeypatch.setattr(os, "fstat", later)
    sha256(path)
    assert sha256(path) == hashlib.sha256(b"three").hexdigest()


@pytest.mark.usefixtures("settled")
def test_files_that_are_gone_leave_the_notes(tmp_path: Path, own_cache: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
        sha256(tmp_path / name)
    (tmp_path / "a").unlink()
    (tmp_path / "b").write_text("B!")
    sha256(tmp_path / "b")
    (file,) = notes(own_cache)
    assert list(json.loads(file.read_bytes().partition(b"\n")[2])["files"]) == ["b"]


@pytest.mark.usefixtures("settled")
def test_what_was_read_before_a_failure_is_remembered(tmp_path: Path, read: list[str]) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
    (tmp_path / "c").mkdir()
    with pytest.raises(EnvironmentProblem, match="c cannot be read: Is a directory"):
        digests.digests([tmp_path / "a", tmp_path / "b", tmp_path / "c"], "sha256")
    read.clear()
    digests.digests([tmp_path / "a", tmp_path / "b"], "sha256")
    assert read == []


# -- how far it is ------------------------------------------------------------------------------------


@pytest.fixture
def long(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Path]:
    """Three files of 3 MB that count as long."""
    monkeypatch.setattr(digests, "_LONG", 8 * MB)
    paths = [tmp_path / name for name in "abc"]
    for path in paths:
        path.write_bytes(b"x" * (3 * MB))
    return paths


def test_reading_much_tells_how_far_it_is(
    long: list[Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    monkeypatch.setattr(progress, "EVERY", 0.0)
    digests.digests(long[:2], "sha256")
    assert capsys.readouterr() == ("", "")
    digests.digests(long, "sha256")
    told = capsys.readouterr()
    assert told.out == "" and re.search(r"^MB hashed: 9/9 in [\d.]+ s$", told.err, re.MULTILINE)


def test_a_bar_within_a_bar_is_told_in_lines(
    long: list[Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """rich refuses a second bar; a scorer's weights are checked while the bar of its stage stands."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with progress.progress("observe", 3) as tick:
        digests.digests(long, "sha256")
        tick(3)
    with progress.progress("again", 1) as tick:  # the terminal was given back
        tick(1)
    assert "observe" in (told := capsys.readouterr().err) and "again" in told


def test_an_interrupt_ends_the_reading_of_a_long_file(tmp_path: Path) -> None:
    with (tmp_path / "long.bin").open("wb") as file:
        file.truncate(40 << 30)  # sparse: half a minute at the least
    code = "import sys; from pathlib import Path; from janus_eval.evals.assets.digests import sha256\n"
    code += "print('on', flush=True); sha256(Path(sys.argv[1]))"
    running = subprocess.Popen(
        [sys.executable, "-c", code, file.name], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert running.stdout is not None and running.stdout.readline() == b"on\n"
    time.sleep(0.5)
    running.send_signal(signal.SIGINT)
    started = time.monotonic()
    running.wait(20)
    running.stdout.close()
    assert time.monotonic() - started < 10


def test_memory_stays_flat(tmp_path: Path) -> None:
    with (tmp_path / "long.bin").open("wb") as file:
        file.truncate(1 << 30)
    code = "import resource, sys; from pathlib import Path; from janus_eval.evals.assets.digests import sha256\n"
    code += "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss; sha256(Path(sys.argv[1]))\n"
    code += "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    done = subprocess.run([sys.executable, "-c", code, file.name], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 40 << 10  # kB
