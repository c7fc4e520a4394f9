"""Runs that the first house wrote (fixtures/format-1, written by version 0.1.0) are opened, reported and compared."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from janus_eval.evals import evaluate
from janus_eval.evals.commands.cli import main
from janus_eval.evals.stored import Stored, find_runs, read_record, read_scores

OLD = Path(__file__).parents[1] / "fixtures" / "format-1"


def out(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(list(arguments)) == 0
    return capsys.readouterr().out


def test_every_old_run_is_read_whole() -> None:
    runs = find_runs([OLD])
    assert len(runs) == 3
    for run in runs:
        record, stored = read_record(run), Stored(run)
        assert record.spec.digest == run.name.rpartition("--")[2]
        assert record.counts["predicted"] == len(stored.predictions()) and stored.damage == []
        assert len(read_scores(run)) > 0


def test_old_runs_are_reported_and_shown(capsys: pytest.CaptureFixture[str]) -> None:
    told = out(capsys, "report", str(OLD))
    assert "always-yes" in told and "noise-image" in told
    assert "official/mean_f1" in out(capsys, "show", str(next(OLD.glob("always-yes--*"))))


def test_old_runs_are_compared(capsys: pytest.CaptureFixture[str]) -> None:
    first, second = (str(next(OLD.glob(f"{name}--pope--*"))) for name in ("always-yes", "janus-toy"))
    assert "official/micro_f1" in out(capsys, "compare", first, second)
    assert "m.answer" in out(capsys, "explain", first, second)


def test_an_old_run_passes_the_gate_against_itself(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    run, baseline = str(next(OLD.glob("janus-toy--*"))), str(tmp_path / "b.json")
    out(capsys, "gate", run, "--baseline", baseline, "--update")
    out(capsys, "gate", run, "--baseline", baseline)


def test_an_old_run_is_taken_up_again(tmp_path: Path) -> None:
    source = next(OLD.glob("always-yes--*"))
    folder = tmp_path / source.name
    shutil.copytree(source, folder)
    (folder / "record.json").unlink()
    record = evaluate("always-yes", "pope", data="toy", limit="12", output=tmp_path)
    old = read_record(source)
    assert record.spec.digest == old.spec.digest and record.counts == {**old.counts, "cut": 0, "refused": 0}
    parts = {
        key: (record.metrics[f"{key} (part)"].value, each.value) for key, each in old.metrics.items() if each.value
    }
    assert all(new == before for new, before in parts.values()) and parts  # twelve of 380 rows bear a mark now
    assert [each.name for each in tmp_path.iterdir()] == [folder.name]
