"""Runs that the first house wrote (fixtures/format-1, written by version 0.1.0) are opened, reported and compared."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from janus_eval.evals import evaluate
from janus_eval.evals.commands.cli import main
from janus_eval.evals.records import find_runs, read_record, read_scores
from janus_eval.evals.stored import Stored
from janus_eval.evals.types import RunRecord

OLD = Path(__file__).parents[1] / "fixtures" / "format-1"


def out(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(list(arguments)) == 0
    return capsys.readouterr().out


@pytest.mark.claim("R19")
def test_every_old_run_is_read_whole() -> None:
    runs = find_runs([OLD])
    assert len(runs) == 3
    for run in runs:
        record, stored = read_record(run), Stored(run)
        assert record.spec.digest == run.name.rpartition("--")[2]
        assert record.counts["predicted"] == len(stored.predictions()) and stored.damage == []
        assert len(read_scores(run)) > 0


@pytest.mark.claim("R19")
def test_old_runs_are_reported_and_shown(capsys: pytest.CaptureFixture[str]) -> None:
    told = out(capsys, "report", str(OLD))
    assert "always-yes" in told and "noise-image" in told
    assert "official/mean_f1" in out(capsys, "show", str(next(OLD.glob("always-yes--*"))))


@pytest.mark.claim("R19")
def test_a_record_without_a_checksum_is_marked_wherever_it_is_told(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    run, baseline, file = str(next(OLD.glob("janus-toy--*"))), str(tmp_path / "b.json"), tmp_path / "gate.xml"
    for arguments in (["show", run, "--json"], ["report", run, "-f", "json"], ["claims", run], ["compare", run, run]):
        assert "unsealed" in out(capsys, *arguments) or '"sealed": false' in out(capsys, *arguments)
    assert "UNSEALED" in out(capsys, "show", run)
    out(capsys, "gate", run, "--baseline", baseline, "--update")
    assert main(["gate", run, "--baseline", baseline, "--junit", str(file)]) != 0
    assert "unsealed" in capsys.readouterr().out
    assert "unsealed" in file.read_text()


@pytest.mark.claim("R19")
def test_old_runs_are_compared(capsys: pytest.CaptureFixture[str]) -> None:
    first, second = (str(next(OLD.glob(f"{name}--pope--*"))) for name in ("always-yes", "janus-toy"))
    assert "official/micro_f1" in out(capsys, "compare", first, second)
    assert "m.answer" in out(capsys, "explain", first, second)


@pytest.mark.claim("R19")
def test_an_old_run_may_be_a_baseline_and_is_never_passed(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    run, baseline = str(next(OLD.glob("always-yes--*"))), str(tmp_path / "b.json")
    out(capsys, "gate", run, "--baseline", baseline, "--update")
    assert main(["gate", run, "--baseline", baseline]) == 5


def taken_up(tmp_path: Path, name: str, suite: str, limit: str, **options: str) -> tuple[Path, RunRecord, RunRecord]:
    """Return a copy of an old run without its record, what asking again gives, and the old record."""
    source = next(OLD.glob(f"{name}--*"))
    folder = tmp_path / source.name
    shutil.copytree(source, folder)
    (folder / "record.json").unlink()
    record = evaluate(name, suite, data="toy", limit=limit, output=tmp_path, benchmark_options=options)
    return folder, record, read_record(source)


def equal(record: RunRecord, old: RunRecord) -> bool:
    """Return whether the numbers are the old ones; a part of a suite bears a mark since."""
    numbers = {key.removesuffix(" (part)"): each.value for key, each in record.metrics.items() if each.value}
    return bool(numbers) and numbers.items() <= {key: each.value for key, each in old.metrics.items()}.items()


def made(folder: Path) -> dict[str, bytes]:
    """Return what cost time to make."""
    files = [folder / name / "0.jsonl" for name in ("predictions", "evidence")]
    return {each.parent.name: each.read_bytes() for each in files if each.exists()}


@pytest.mark.claim("R19")
def test_an_old_run_is_taken_up_again(tmp_path: Path) -> None:
    folder, record, old = taken_up(tmp_path, "noise-image", "geneval", "2", detector="toy")
    assert record.spec.digest == old.spec.digest and record.counts.items() >= old.counts.items() and equal(record, old)
    assert [each.name for each in tmp_path.iterdir()] == [folder.name]
    assert made(folder) == made(OLD / folder.name)


@pytest.mark.claim("R19")
def test_an_old_run_of_questions_stays_and_a_new_one_is_made_beside_it(tmp_path: Path) -> None:
    """Its key held neither the gold answers nor the bytes of pictures: nobody knows whether they were today's."""
    folder, record, old = taken_up(tmp_path, "always-yes", "pope", "12")
    card = dict(old.spec.benchmark_card)
    assert card.pop("data") and record.spec.benchmark_card == {**card, "samples": record.spec.benchmark_card["samples"]}
    assert record.counts.items() >= old.counts.items() and equal(record, old)
    assert {each.name for each in tmp_path.iterdir()} == {folder.name, f"always-yes--pope--{record.spec.digest}"}
    assert not (folder / "record.json").exists() and made(folder) == made(OLD / folder.name)
