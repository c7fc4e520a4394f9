"""Splits whose answers are not public: asked, kept, not scored, and handed in as each server wants it."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from janus_eval.benchmarks.reading.workbook import workbook
from janus_eval.evals.commands.cli import main
from janus_eval.evals.records import read_record
from support.predictions import write, write_tsv
from support.suite_rows import PNG

SHEET = {"m": "http://schemas.openxmlformats.org/spreadsheetml/2006/main"}
FRUIT = {"A": "apple", "B": "banana", "C": "cherry", "D": "durian", "image": PNG}


def cells(path: Path) -> list[dict[str, str]]:
    """Return the rows of a workbook: the column's letter and what stands there."""
    with zipfile.ZipFile(path) as archive:
        root = ElementTree.fromstring(archive.read("xl/worksheets/sheet1.xml"))
    rows: list[dict[str, str]] = []
    for row in root.iterfind(".//m:row", SHEET):
        found = {cell.get("r", "")[0]: "".join(cell.itertext()) for cell in row.iterfind("m:c", SHEET)}
        rows.append(found)
    return rows


def run(bench: str, data: Path, folder: Path, model: str = "first-option") -> Path:
    """Run on a table without answers and return the run's folder: it is kept and incomplete."""
    assert main(["run", "-m", model, "-b", bench, "--data", str(data), "-o", str(folder)]) == 5
    (found,) = folder.iterdir()
    return found


def exported(bench: str, data: Path, folder: Path, model: str = "first-option") -> Path:
    out = folder / "hand-in"
    assert main(["export", str(run(bench, data, folder / "runs", model)), "-o", str(out)]) == 0
    return out


def mmbench(tmp_path: Path, **more: Any) -> Path:
    rows = [{"index": at, "question": "Which?", **FRUIT, "category": "colour", **more} for at in (0, 1_000_000)]
    return write_tsv(tmp_path / "MMBench_TEST_EN.tsv", *rows)


def test_without_answers_all_is_asked_and_nothing_is_scored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = run("mmbench", mmbench(tmp_path), tmp_path / "runs")
    record = read_record(folder)
    assert record.counts["predicted"] == 2 and record.counts["scored"] == 0
    assert all(each.value is None for each in record.metrics.values())
    assert record.metrics["official/circular"].absent == ("2 without a right answer",)
    assert record.spec.benchmark_card["answers"] == "none"
    told = capsys.readouterr().out
    assert "NOT SCORED: the data tell no right answers" in told and "janus-eval export" in told


def test_an_empty_column_is_no_answers_either_and_one_empty_cell_is_a_gap(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("mmbench", mmbench(tmp_path, answer=""), tmp_path / "runs")
    rows = [{"index": at, "question": "?", **FRUIT, "answer": "A" if at else ""} for at in (0, 1)]
    data = write_tsv(tmp_path / "gap.tsv", *rows)
    assert main(["run", "-m", "first-option", "-b", "mmbench", "--data", str(data), "-o", str(tmp_path)]) == 2
    assert "line 2: column 'answer' is empty" in capsys.readouterr().err


def test_mmbench_is_handed_in_as_a_workbook(tmp_path: Path) -> None:
    head, *rows = cells(exported("mmbench", mmbench(tmp_path), tmp_path))
    assert head == dict(zip("ABCDEFG", ("index", "question", "A", "B", "C", "D", "prediction"), strict=True))
    assert [row["A"] for row in rows] == ["0", "1000000"]
    assert rows[0] == {"A": "0", "B": "Which?", "C": "apple", "D": "banana", "E": "cherry", "F": "durian", "G": "A"}


def test_mmmu_is_handed_in_as_letters_and_open_answers(tmp_path: Path) -> None:
    rows = [
        {"id": "test_Art_1", "question": "<image 1> Which?", "question_type": "multiple-choice", **FRUIT},
        {"id": "test_Art_2", "question": "<image 1> How?", "question_type": "open", "image": PNG},
    ]
    data = write(tmp_path / "test.jsonl", *rows)
    assert json.loads(exported("mmmu", data, tmp_path, "always-yes").read_text()) == {
        "test_Art_1": "A",  # "Yes" is no letter: the official parser guesses
        "test_Art_2": "Yes",
    }


def test_gqa_is_handed_in_as_a_list(tmp_path: Path) -> None:
    data = write_tsv(tmp_path / "t.tsv", {"index": "201", "question": "Is it?", "image": PNG})
    out = exported("gqa", data, tmp_path, "always-yes")
    assert json.loads(out.read_text()) == [{"questionId": "201", "prediction": "yes"}]


def test_mm_vet_is_handed_in_by_id_and_no_judge_is_asked(tmp_path: Path) -> None:
    data = write_tsv(tmp_path / "t.tsv", {"index": "v1_0", "question": "What?", "image": PNG})
    assert json.loads(exported("mm_vet", data, tmp_path, "always-yes").read_text()) == {"v1_0": "Yes"}


@pytest.mark.parametrize("bench", ["pope", "seed_bench"])
def test_the_other_suites_are_asked_too(bench: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    row = {"index": 1, "question": "Which?", "category": "random", **FRUIT}
    folder = run(bench, write_tsv(tmp_path / "t.tsv", row), tmp_path / "runs")
    assert main(["export", str(folder), "-o", str(tmp_path / "x")]) == 2
    assert f"{bench} has no server" in capsys.readouterr().err


def test_an_unwhole_run_is_not_handed_in(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["-m", "first-option", "-b", "mmbench", "--data", str(mmbench(tmp_path)), "-o", str(tmp_path / "runs")]
    assert main(["run", *given, "-l", "1", "--until", "predict"]) == 0
    (folder,) = (tmp_path / "runs").iterdir()
    assert main(["export", str(folder), "-o", str(tmp_path / "x")]) == 5
    assert "1 of 2 answers are missing" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


def test_a_workbook_holds_texts_as_they_are_and_no_formulas(tmp_path: Path) -> None:
    ugly = ["=1+1", "<b>&", " a\tb\n", "bell\x07", "\ud800", "\r", "x" * 40_000, ""]
    path = tmp_path / "w.xlsx"
    path.write_bytes(workbook([ugly, [1, "two"]]))
    first, second = cells(path)
    assert [first.get(each, "") for each in "ABCDEFGH"] == [
        *("=1+1", "<b>&", " a\tb\n", "bell_x0007_", "_xD800_", "_x000D_", "x" * 32_767, "")
    ]
    assert second == {"A": "1", "B": "two"}
    assert b"<f>" not in zipfile.ZipFile(path).read("xl/worksheets/sheet1.xml")
    assert workbook([ugly]) == workbook([ugly])
