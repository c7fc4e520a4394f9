"""What `janus-eval show` prints and draws, on a small real run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from janus_eval.evals import evaluate
from janus_eval.evals.commands import cli
from PIL import Image


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("runs")
    options = {"detector": "toy", "data": "official"}
    evaluate("noise-image", "geneval", output=output, limit="2", observer_options=options, benchmark_options=options)
    return next(output.glob("*/record.json")).parent


def call(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = cli.main(["show", *arguments])
    out, err = capsys.readouterr()
    return code, out, err


def test_a_run_shows_its_numbers_and_knobs(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capsys, str(run))
    assert code == 0
    assert "official/overall" in out and "LIMITED to 2" in out and "benchmark.threshold = 0.3" in out


def test_a_sample_shows_its_evidence_and_verdict(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    known = json.loads(call(capsys, str(run), "--id", "00001/2", "--json")[1])
    assert [row["index"] for row in known["predictions"]] == [2]
    assert {"boxes", "colors"} <= known["evidence"][0]["data"].keys()
    assert known["scores"][0]["value"] == 0.0
    assert "value: 0.0" in call(capsys, str(run), "--id", "00001/2")[1]


def test_an_unknown_sample_brings_the_nearest(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = call(capsys, str(run), "--id", "00002")
    assert code == 2 and "did you mean" in err


def test_failures_are_listed_with_their_reason(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = call(capsys, str(run), "--failed")[1].splitlines()
    assert len(lines) == 8 and "expected" in lines[0]


def test_pictures_are_drawn_on_one_sheet(run: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, out, _ = call(capsys, str(run), "--draw", str(tmp_path / "sheet.png"), "--count", "3")
    assert code == 0 and "3 pictures drawn" in out
    with Image.open(tmp_path / "sheet.png") as three:
        three.load()
    call(capsys, str(run), "--draw", str(tmp_path / "one.png"), "--id", "00000/1")
    with Image.open(tmp_path / "one.png") as one:
        assert one.width < three.width


def test_a_sheet_that_cannot_be_written_is_one_clear_error(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = call(capsys, str(run), "--draw", "/no/such/folder/sheet.png")
    assert code == 6 and "cannot write" in err and err.count("\n") == 1


def test_a_full_disk_leaves_the_sheet_that_was_there(run: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.png"
    sheet.write_bytes(b"an older sheet")
    command = f'ulimit -f 4; exec "{sys.executable}" -m janus_eval.evals.commands.cli show "{run}" --draw "{sheet}"'
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == 6 and "cannot write" in done.stderr
    assert sheet.read_bytes() == b"an older sheet"
    assert list(tmp_path.iterdir()) == [sheet]
