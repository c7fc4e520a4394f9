"""The installed command as a process: signals, locks, exit codes, a full disk."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-m", "janus_eval.evals.commands.cli", "run", "-m", "noise-image", "-b", "geneval"]
COMMAND += ["--detector", "toy", "--clip", "toy", "--data", "official", "--batch-size", "4"]


def start(output: Path, *more: str, limit: str = "12") -> subprocess.Popen[str]:
    command = [*COMMAND, "-o", str(output), "-l", limit, *more]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=240)
    return process.returncode, out, err


def wait_for(output: Path, stream: str, lines: int, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while sum(path.read_bytes().count(b"\n") for path in output.glob(f"*/{stream}/0.jsonl")) < lines:
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)


def tree(output: Path) -> dict[str, str]:
    files = [*output.glob("*/images/**/*.png"), *output.glob("*/scores.jsonl"), *output.glob("*/record.json")]
    return {str(f.relative_to(output)): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the output folder of an uninterrupted run."""
    output = tmp_path_factory.mktemp("whole")
    code, out, err = finish(start(output, "--json"))
    assert code == 0, err
    assert json.loads(out)[0]["counts"]["scored"] == 48
    return output


@pytest.mark.claim("R11")
def test_an_interrupted_run_resumes_to_the_same_bytes(whole: Path, tmp_path: Path) -> None:
    # Killed, interrupted and terminated in turn, each time a little further on, then left to finish.
    for sent, code, lines in ((signal.SIGKILL, -9, 8), (signal.SIGINT, 130, 20), (signal.SIGTERM, 143, 32)):
        process = start(tmp_path)
        wait_for(tmp_path, "evidence", lines, process)
        process.send_signal(sent)
        found, _, err = finish(process)
        assert found == code
        assert "Traceback" not in err
        assert not list(tmp_path.glob("*/record.json"))
    assert finish(start(tmp_path))[0] == 0
    assert tree(tmp_path) == tree(whole)


@pytest.mark.claim("R6")
def test_a_second_process_on_one_run_exits_4_and_names_the_first(tmp_path: Path) -> None:
    first = start(tmp_path, limit="100")
    wait_for(tmp_path, "predictions", 1, first)
    code, _, err = finish(start(tmp_path, limit="100"))
    first.kill()
    finish(first)
    assert code == 4
    assert f"locked by pid {first.pid} on {os.uname().nodename}" in err and err.count("\n") == 1


@pytest.mark.claim("R4")
def test_a_full_disk_exits_6_and_the_run_resumes(whole: Path, tmp_path: Path) -> None:
    shell = f'ulimit -f 4; exec "$@" -o {tmp_path} -l 12'  # files of at most 4 blocks of 1024 bytes
    done = subprocess.run(["bash", "-c", shell, "-", *COMMAND], capture_output=True, text=True, check=False)
    assert done.returncode == 6, done.stderr
    assert "cannot write to" in done.stderr and "Traceback" not in done.stderr
    assert finish(start(tmp_path))[0] == 0
    assert tree(tmp_path) == tree(whole)


def test_an_output_that_is_a_file_exits_6(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, out, err = finish(start(tmp_path / "file", limit="1"))
    assert (code, out) == (6, "") and "a file stands where the folder should be" in err and err.count("\n") == 1


@pytest.mark.claim("R18")
def test_missing_pictures_exit_5_with_the_headline_withheld(whole: Path, tmp_path: Path) -> None:
    pictures = next(whole.glob("*/images"))
    command = [sys.executable, "-m", "janus_eval.evals.commands.cli", "score", "-b", "geneval"]
    command += ["--images", str(pictures), "--detector", "toy", "--clip", "toy", "-o", str(tmp_path), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 5, done.stderr
    found = json.loads(done.stdout)
    assert found["metrics"]["official/overall"]["value"] is None
    assert len(found["missing"]) == (553 - 12) * 4
    assert "pictures are missing" in done.stderr
