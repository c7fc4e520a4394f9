"""DPG-Bench through the command: a run, its grids, and the same pictures scored again from a folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from janus_eval.evals.commands.cli import main


def run(folder: Path, *more: str) -> Path:
    arguments = ["run", "-m", "noise-image", "-b", "dpg", "--data", "example", "--vqa", "toy", "--device", "cpu"]
    assert main([*arguments, "-o", str(folder), *more]) == 0
    (found,) = (each.parent for each in folder.glob("*/record.json"))
    return found


def scored(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> dict[str, Any]:
    capsys.readouterr()
    assert main(["score", "-b", "dpg_bench", "--json", "--device", "cpu", *arguments]) == code
    return json.loads(capsys.readouterr().out)


def test_a_runs_pictures_score_the_same_from_its_grids_and_from_its_singles(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = run(tmp_path)
    record = json.loads((folder / "record.json").read_text())
    assert record["headline"] == "official@toy/overall"
    assert record["counts"]["expected"] == record["counts"]["scored"] == 32
    assert len(list((folder / "grids").iterdir())) == 8
    summary = json.loads((folder / "dpg_bench.json").read_text())
    assert len(summary["items"]) == 8
    assert summary["problems"] == {}

    common = ("--data", "example", "--vqa", "toy")
    kept = tmp_path / "answers.jsonl"
    grids = scored(capsys, *common, "--images", str(folder / "grids"), "--resolution", "64", "--answers", str(kept))
    singles = scored(capsys, *common, "--images", str(folder / "images"))
    stored = scored(capsys, "--questions", str(_example()), "--answers", str(kept))
    expected = {key: each["value"] for key, each in record["metrics"].items()}
    for each in (grids, singles, stored):
        assert {key: metric["value"] for key, metric in each["metrics"].items()} == expected
        assert each["items"] == summary["items"]
        assert each["failed_items"] == []

    # Half of the answers are lost: only those are asked for again.
    lines = kept.read_text().splitlines()
    kept.write_text("\n".join(lines[:160]) + "\n")
    again = scored(capsys, *common, "--images", str(folder / "grids"), "--resolution", "64", "--answers", str(kept))
    assert again["metrics"] == grids["metrics"]
    assert sorted(kept.read_text().splitlines()) == sorted(lines)


def _example() -> Path:
    from janus_eval.benchmarks.dpg_bench.benchmark import DpgBench

    return DpgBench("example").path


def test_a_missing_and_a_broken_grid_are_named_and_drop_out_of_official_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = run(tmp_path)
    grids = folder / "grids"
    (grids / "example_sea.png").unlink()
    (grids / "example_shop.png").write_bytes(b"\x89PNG")
    (grids / "notes.txt").write_text("mine")
    arguments = ("--data", "example", "--vqa", "toy", "--images", str(grids), "--resolution", "64")
    found = scored(capsys, *arguments, code=5)
    assert found["missing"] == ["example_shop", "example_sea"]
    assert found["failed_items"] == ["example_shop"]
    assert found["problems"]["item_without_picture"] == ["example_sea"]
    assert found["problems"]["ignored_file"] == ["notes.txt"]
    assert "example_shop" in found["problems"]["broken_picture"][0]
    assert found["metrics"]["official@toy/overall"]["n"] == 6
    assert found["unscored"] == 1


def test_equal_runs_give_equal_scores(tmp_path: Path) -> None:
    first, second = run(tmp_path / "a"), run(tmp_path / "b")
    for name in ("scores.jsonl", "dpg_bench.json", "grids/example_desk.png"):
        assert (first / name).read_bytes() == (second / name).read_bytes()
