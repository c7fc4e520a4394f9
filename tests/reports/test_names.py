"""Names of measured rows: given, readable, apart."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from janus_eval.evals.commands.cli import main
from janus_eval.evals.errors import UsageError
from janus_eval.evals.records import read_record
from janus_eval.evals.types import Metric, RunRecord
from janus_eval.reports import reported
from janus_eval.reports.compare import explain
from janus_eval.reports.names import readable
from janus_eval.reports.report import compose, report
from support import runs


def record(model: str = "janus-pro-7b", *, name: str = "", **changes: Any) -> RunRecord:
    counts = {"expected": 10, "predicted": 10}
    metrics = {"official/overall": Metric(0.5, 10, 0.4, 0.6)}
    return RunRecord(runs.spec(model, **changes), "official/overall", metrics, counts, complete=True, name=name)


def names(*records: RunRecord) -> list[str]:
    rows = compose(records, reported.load())[0].rows()
    return sorted(row.cells[0].text for _, row in rows if row.kind == "measured")


@pytest.mark.parametrize(
    ("model", "weights", "name"),
    [
        ("janus-pro-7b", "checkpoint-500#0123456789abcdef", "janus-pro-7b (checkpoint-500)"),
        ("janus-pro-7b", "deepseek-ai/Janus-Pro-7B@main#0123", "janus-pro-7b"),
        ("hf:/data/runs/checkpoint-500", "checkpoint-500#0123", "hf:checkpoint-500"),
        ("hf:../checkpoint-500/", "checkpoint-500#0123", "hf:checkpoint-500"),
        ("hf:owner/name", "owner/name@main#0123", "hf:owner/name"),
        ("openai:gpt", "gpt at http://127.0.0.1:1/v1", "openai:gpt"),
        ("janus-toy", "packaged#0123", "janus-toy"),
        ("mine", "", "mine"),
    ],
)
def test_a_model_is_called_by_the_last_part_of_its_path(model: str, weights: str, name: str) -> None:
    assert readable(runs.spec(model, model_card={"weights": weights})) == name


def test_rows_of_one_name_are_told_apart_by_the_setting_that_differs() -> None:
    assert names(record(model_card={"cfg": 5.0}), record(model_card={"cfg": 7.5})) == [
        "janus-pro-7b, own weights, cfg 5.0",
        "janus-pro-7b, own weights, cfg 7.5",
    ]


def test_rows_that_differ_in_nothing_short_keep_the_end_of_their_signature() -> None:
    found = names(record(model_card={"weights": "a" * 99}), record(model_card={"weights": "b" * 99}))
    assert len(set(found)) == 2 and all(" #" in each for each in found)


def test_tag_and_step_are_part_of_the_name() -> None:
    assert names(record(step=500, tag="ema")) == ["janus-pro-7b, tag ema, step 500, own weights"]


def test_a_given_name_stands_in_place_of_all_of_it() -> None:
    assert names(record(name="Ours", step=500)) == ["Ours, own weights"]


def test_runs_of_one_model_under_two_names_are_two_rows() -> None:
    assert names(record(name="A"), record(name="B", seed=1)) == ["A", "B"]


def test_a_row_is_renamed_by_its_name_its_model_or_its_signatures_end(tmp_path: Path) -> None:
    path = runs.write(tmp_path, runs.spec("mine"), runs.scores(share=5))
    for old in ("mine", "#" + read_record(path).spec.digest[:8]):
        assert "| ▸ Ours" in report([tmp_path], form="markdown", rename=[f"{old}=Ours"])
    with pytest.raises(UsageError, match="no measured row 'mien'; did you mean 'mine'"):
        report([tmp_path], rename=["mien=Ours"])
    with pytest.raises(UsageError, match="expected OLD=NEW"):
        report([tmp_path], rename=["mine"])


def test_run_takes_a_name_that_moves_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["run", "-m", "always-yes", "-b", "pope", "--data", "toy", "-l", "4", "-o", str(tmp_path)]
    assert main([*asked, "--name", "My \x1b[31m model"]) == main([*asked[:-2], "-o", str(tmp_path / "b")]) == 0
    (one,) = tmp_path.glob("*--pope--*")
    (two,) = (tmp_path / "b").iterdir()
    assert (one / "record.json").read_bytes() == (two / "record.json").read_bytes()
    capsys.readouterr()
    assert main(["report", str(one)]) == 0
    told = capsys.readouterr().out
    assert "My \\u001b[31m model" in told and "\x1b" not in told


@pytest.mark.parametrize("asked", [[], {"name": 5}, {}])
def test_a_foreign_request_gives_no_name(tmp_path: Path, asked: object) -> None:
    path = runs.write(tmp_path, runs.spec("mine"), runs.scores(share=5))
    (path / "asked.json").write_text(json.dumps(asked))
    assert read_record(path).name == ""


def test_two_steps_of_one_model_differ_in_the_step(tmp_path: Path) -> None:
    first, second = (runs.write(tmp_path, runs.spec("mine", step=n), runs.scores(share=5)) for n in (1, 2))
    told = explain(first, second)
    assert "1 knob differs" in told
    assert ["step", "1", "2"] in [line.split() for line in told.splitlines()]
