"""What the commands print on a real terminal of 80 columns, and into a pipe."""

from __future__ import annotations

import fcntl
import os
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from janus_eval.evals.commands.cli import main
from rich.cells import cell_len
from support import runs


def on_terminal(columns: int, *asked: str) -> str:
    """Return what the command prints on a terminal of so many columns."""
    master, slave = os.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    command = [sys.executable, "-m", "janus_eval.evals.commands.cli", *asked]
    around = {key: value for key, value in os.environ.items() if key != "COLUMNS"}
    process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=around)
    os.close(slave)
    found = b""
    while True:
        try:
            more = os.read(master, 1 << 16)
        except OSError:  # the terminal is gone: the command has ended
            break
        if not more:
            break
        found += more
    process.wait()
    os.close(master)
    return found.decode().replace("\r\n", "\n")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    runs.write(tmp_path, runs.spec("janus-pro-7b"), runs.scores(share=20))
    runs.write(tmp_path, runs.spec("a-model-with-a-long-name-of-its-own", seed=1), runs.scores(1, share=20))
    return tmp_path


def test_report_fits_eighty_columns_and_loses_no_word(folder: Path) -> None:
    told = re.sub(r"\x1b\[[0-9]*m", "", on_terminal(80, "report", str(folder)))
    assert max(map(cell_len, told.splitlines())) <= 80
    assert {"Transfusion", "TokenFlow-XL", "janus-pro-7b"} <= set(told.split())
    assert "GenEval" in told and "Measured beside reported" in told


def test_compare_and_the_list_fit_too(folder: Path) -> None:
    first, second = sorted(map(str, folder.iterdir()))
    for asked in (("compare", first, second), ("list",), ("claims",)):
        assert max(map(cell_len, on_terminal(80, *asked).splitlines())) <= 80, asked


def test_a_pipe_gets_one_line_a_row_without_colours_whatever_columns_says(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    for columns in ("20", "300"):
        monkeypatch.setenv("COLUMNS", columns)
        assert main(["report", str(folder)]) == 0
        told.append(capsys.readouterr().out)
    assert told[0] == told[1]
    assert "\x1b" not in told[0]
    assert any(line.startswith("Janus-Pro-7B ") and "0.80" in line for line in told[0].splitlines())
