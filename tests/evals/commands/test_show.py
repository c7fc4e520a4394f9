"""What `janus-eval show` prints and draws, on a small real run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from janus_eval.evals import evaluate
from janus_eval.evals.commands import cli, sample
from PIL import Image


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("runs")
    options = {"detector": "toy", "data": "official"}
    evaluate("noise-image", "geneval", output=output, limit="2", observer_options=options, benchmark_options=options)
    return next(output.glob("*/record.json")).parent


@pytest.fixture
def options_run(tmp_path: Path) -> Path:
    """A run over a table of our own, its picture in a file."""
    Image.new("RGB", (40, 30), "red").save(tmp_path / "red.png")
    rows = "id,question,A,B,answer,image_path\nq1,Which colour?,blue,red,B,red.png\n"
    (tmp_path / "mine.csv").write_text(rows)
    options = {"data": str(tmp_path / "mine.csv"), "name": "mine"}
    evaluate("first-option", "options", output=tmp_path / "runs", benchmark_options=options)
    return next(tmp_path.glob("runs/*/record.json")).parent


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
    lines = call(capsys, str(run), "--id", "00001/2")[1].splitlines()
    assert lines[0] == "question  a photo of a cow" and "  official  wrong  expected cow>=1, found 0" in lines


def test_a_question_shows_options_gold_picture_and_readings(
    options_run: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    out = call(capsys, str(options_run), "--id", "q1")[1]
    assert "question  Which colour?" in out and "options   A: blue\n          B: red" in out
    assert "gold      B" in out and f"picture   {tmp_path / 'red.png'}" in out
    assert "answer    A" in out and "wrong  read A" in out


def test_a_very_large_table_is_read_for_a_question_only_where_asked(
    options_run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sample, "_MANY", 0)
    out = call(capsys, str(options_run), "--id", "q1")[1]
    assert "the question stands among 1 rows" in out and "Which colour?" not in out and "answer    A" in out
    assert "question  Which colour?" in call(capsys, str(options_run), "--id", "q1", "--question")[1]


def test_a_sample_whose_data_are_gone_says_so_and_shows_the_rest(
    options_run: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "mine.csv").unlink()
    code, out, _ = call(capsys, str(options_run), "--id", "q1")
    assert code == 0 and out.startswith("lacks     the data of this run cannot be read:") and "answer    A" in out


def test_an_unfinished_run_shows_what_it_has(options_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("record.json", "scores.jsonl"):
        (options_run / name).unlink()
    assert "answer    A" in call(capsys, str(options_run), "--id", "q1")[1]
    code, out, _ = call(capsys, str(options_run))
    assert code == 0 and "UNFINISHED: 1 outputs" in out


def test_a_terminal_that_shows_pictures_gets_them_written_anew(
    options_run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.delenv("TMUX", raising=False)
    monkeypatch.setenv("TERM", "xterm-kitty")
    assert "\x1b_Ga=T,f=100,m=0;iVBOR" in call(capsys, str(options_run), "--id", "q1")[1]


def test_an_unknown_sample_brings_the_nearest(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = call(capsys, str(run), "--id", "00002")
    assert code == 2 and "did you mean" in err


def test_failures_stand_below_their_reason_one_line_a_sample(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = call(capsys, str(run), "--failed")[1].splitlines()
    at = lines.index("expected cow>=1, found 0 (1 sample)")
    assert lines[at + 1] == "  00001/0,1,2,3  a photo of a cow"
    rows = json.loads(call(capsys, str(run), "--failed", "--json")[1])
    assert len(rows) == 8


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
