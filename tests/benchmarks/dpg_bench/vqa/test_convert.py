"""The command that converts an mPLUG folder once."""

from __future__ import annotations

from pathlib import Path

import pytest
from janus_eval.benchmarks.dpg_bench.vqa.convert import main
from janus_eval.benchmarks.dpg_bench.vqa.weights import load
from support.mplug_folder import sizes, write_folder


def test_a_converted_folder_loads(tmp_path: Path) -> None:
    write_folder(tmp_path / "old", sizes())
    assert main([str(tmp_path / "old"), str(tmp_path / "new")]) == 0
    assert load(tmp_path / "new")[0].sizes == sizes()
    assert not list((tmp_path / "new").glob("*.part"))


def test_mistakes_are_one_line_and_a_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert main([str(tmp_path / "nowhere"), str(tmp_path / "new")]) == 2
    assert capsys.readouterr().err.count("\n") == 2
    (tmp_path / "empty").mkdir()
    assert main([str(tmp_path / "empty"), str(tmp_path / "new")]) == 6
