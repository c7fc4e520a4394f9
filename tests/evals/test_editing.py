"""The kind `edit` through the whole harness: refused, stored, packed, resumed, verified, shown, exported, tried."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from janus_eval.evals import members, registry
from janus_eval.evals.commands import cli
from janus_eval.evals.smoke import smoke
from janus_eval.evals.types import Job, Picture, Sample
from janus_eval.models.workers.model import worker
from PIL import Image

ASKED = ("run", "-m", "edit-toy", "-b", "imgedit_bench", "-l", "5", "--batch-size", "2")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with one finished run, whose pictures are files, and one, whose pictures are packed."""
    place = tmp_path_factory.mktemp("editing")
    for name, flag in (("files", "--no-packs"), ("packs", "--packs")):
        assert cli.main([*ASKED, "-o", str(place / name), flag]) == 0
    return place


def only(folder: Path) -> Path:
    (found,) = folder.iterdir()
    return found


def lines(run: Path) -> list[dict[str, Any]]:
    (path,) = (run / "predictions").glob("*.jsonl")
    return [json.loads(each) for each in path.read_text().splitlines()]


def test_a_model_that_does_not_edit_is_refused_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["run", "-m", "blank-image", "-b", "gedit_bench", "--data", "toy", "-o", str(tmp_path)]
    assert cli.main(asked) == 2
    error = capsys.readouterr().err.strip()
    assert error == "janus-eval: error: gedit_bench asks for edit outputs, blank-image gives only: image"


def test_an_editor_is_refused_by_a_suite_of_drawings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", "-m", "edit-toy", "-b", "geneval", "-o", str(tmp_path)]) == 2
    assert "geneval asks for image outputs, edit-toy gives only: edit" in capsys.readouterr().err


def test_edits_are_stored_as_pictures_are(runs: Path) -> None:
    loose, packed = (lines(only(runs / name)) for name in ("files", "packs"))
    assert {each["kind"] for each in loose + packed} == {"edit"}
    assert [each["sha256"] for each in loose] == [each["sha256"] for each in packed]
    for each in loose:
        with Image.open(only(runs / "files") / each["image"]) as picture:
            assert picture.size == (256, 256)
    assert all("pack" in each for each in packed) and not any("pack" in each for each in loose)


@pytest.mark.parametrize("name", ["files", "packs"])
def test_a_run_is_verified_from_its_files(runs: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["verify", str(only(runs / name))]) == 0
    capsys.readouterr()


@pytest.mark.parametrize("name", ["files", "packs"])
def test_what_a_kill_left_is_made_again_and_comes_out_equal(
    runs: Path, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "again"
    shutil.copytree(runs / name, place)
    run = only(place)
    whole = (run / "record.json").read_bytes()
    before = lines(run)
    (path,) = (run / "predictions").glob("*.jsonl")
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:2]))
    for each in ("record.json", "scores.jsonl"):
        (run / each).unlink()
    assert cli.main([*ASKED, "-o", str(place), "--packs" if name == "packs" else "--no-packs"]) == 0
    capsys.readouterr()
    assert [each["sha256"] for each in lines(run)] == [each["sha256"] for each in before]
    assert json.loads((run / "record.json").read_text())["metrics"] == json.loads(whole)["metrics"]


def test_show_tells_source_instruction_and_verdict(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sample = lines(only(runs / "files"))[0]["sample_id"]
    assert cli.main(["show", str(only(runs / "files")), "--id", sample]) == 0
    told = capsys.readouterr().out
    assert "Prompt Compliance: 5" in told and "images/" in told and "imgedit_bench.tsv" in told


def test_export_makes_the_makers_folder(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["export", str(only(runs / "packs")), "-o", str(tmp_path / "out")]) == 0
    capsys.readouterr()
    keys = {each["sample_id"] for each in lines(only(runs / "packs"))}
    assert {path.stem for path in (tmp_path / "out" / "images").iterdir()} == keys
    assert set(json.loads((tmp_path / "out" / "result.json").read_text())) == keys


def test_the_browser_is_given_source_and_edit(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("jinja2")
    assert cli.main(["view", str(only(runs / "packs")), "-o", str(tmp_path / "site")]) == 0
    capsys.readouterr()
    (text,) = [each.read_text() for each in (tmp_path / "site").rglob("*-0.js")]
    detail = json.loads(text[text.index(",") + 1 : text.rindex(")")])
    for each in detail.values():
        assert each["image"] and each["inputs"] and each["image"] != each["inputs"][0]


def test_a_model_is_tried_with_edits_too() -> None:
    model = members.model(registry.create("models", "same-picture"))
    assert [(each.what, each.state) for each in smoke(model)] == [("edit", "ok"), ("edit in a batch", "ok")]
    assert "96 x 96" in next(iter(smoke(model))).detail


class Textual:
    kinds = frozenset(["edit"])
    card: dict[str, Any] = {}

    def predict(self, jobs: Sequence[Job]) -> list[str]:
        return ["done" for _ in jobs]


def test_an_editor_that_gives_no_picture_fails() -> None:
    (found,) = smoke(members.model(Textual()))
    assert found.state == "failed" and "edit was asked for, the model gave 'done'" in found.detail


WORKER = """
class Darker:
    kinds = ["edit"]
    card = {}
    def predict(self, jobs):
        for job in jobs:
            assert job.kind == "edit" and len(job.pictures) == 1
            yield bytes(job.pictures[0])
def model():
    return Darker()
"""


def test_a_worker_edits_what_it_is_sent(tmp_path: Path) -> None:
    (tmp_path / "darker.py").write_text(WORKER)
    path = tmp_path / "a.png"
    Image.new("RGB", (6, 4), "blue").save(path)
    model = worker(f"{tmp_path / 'darker.py'}:model")
    try:
        assert model.kinds == {"edit"}
        (made,) = model.predict([Job(Sample("a", "darker", (Picture.file(path),)), "edit", 0, 1)])
        assert callable(made) and made().size == (6, 4)
    finally:
        model.close()
