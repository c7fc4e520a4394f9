"""A whole run of GenEval: the official layout, and judging it again from what lies in it."""

import json
import random
from collections.abc import Sequence
from contextlib import nullcontext

import pytest
from janus_eval.benchmarks.geneval.benchmark import GenEval
from janus_eval.evals import members
from janus_eval.evals.commands.cli import main
from janus_eval.evals.errors import UsageError
from janus_eval.evals.executors import Plugin
from janus_eval.evals.executors.local import Local
from janus_eval.evals.runner import Settings, run
from janus_eval.evals.store import RunStore
from janus_eval.evals.types import Evidence, Prediction, RunSpec, Sample
from janus_eval.models.fake import NoiseImage
from PIL import Image
from support.geneval_rows import PROMPTS, seen
from support.predictions import write


@pytest.fixture
def suite(tmp_path):
    return str(write(tmp_path / "prompts.jsonl", *PROMPTS))


class Dice:
    """An observer that rolls what it sees from the sample's id, and cannot decode one picture."""

    card = {"dice": 1}
    batch_size = 4

    def observe(self, pairs: Sequence[tuple[Sample, Prediction]]) -> list[Evidence]:
        found = []
        for sample, prediction in pairs:
            rng = random.Random(f"{sample.id}/{prediction.index}")
            boxes = {
                label: [[5 * k, 0, 5 * k + 4, 4, rng.random()] for k in range(3)] for label in ("cat", "dog", "tie")
            }
            data = {**seen(**boxes), "floor": 0.0}
            if (sample.id, prediction.index) == ("00002", 3):
                data = {"invalid": "cut in half"}
            found.append(Evidence(sample.id, prediction.index, data))
        return found


@pytest.fixture
def finished(tmp_path, suite):
    return carried_out(tmp_path, suite)


def carried_out(tmp_path, suite, limit=None):
    benchmark = GenEval(data=suite)
    samples = benchmark.samples()[: int(limit or 3)]
    spec = RunSpec("noise-image", "geneval", 0, limit, {}, benchmark.card, {}, "0")
    settings = Settings(batch_size=4)
    with RunStore(tmp_path / "run", spec) as store:
        record = run(
            spec,
            Plugin(members.model(NoiseImage(size=16))),
            benchmark,
            Plugin(members.observer(Dice())),
            store,
            samples,
            settings,
            lambda *_: nullcontext(lambda _: None),
            dict,
            Local(),
        )
    return benchmark, record, tmp_path / "run"


def test_a_run_lies_in_the_official_layout(finished):
    _, record, folder = finished
    assert record.counts["invalid_images"] == 1 and record.counts["scored"] == 11
    names = sorted(path.relative_to(folder / "images").as_posix() for path in (folder / "images").rglob("*.*"))
    assert names[:6] == ["00000/grid.png", "00000/metadata.jsonl"] + [f"00000/samples/000{k}.png" for k in range(4)]
    assert json.loads((folder / "images/00001/metadata.jsonl").read_text()) == PROMPTS[1]


def test_the_grid_shows_the_four_pictures_two_a_row(finished):
    _, _, folder = finished
    with (
        Image.open(folder / "images/00000/grid.png") as grid,
        Image.open(folder / "images/00000/samples/0003.png") as last,
    ):
        assert grid.size == (2 + 18 * 2, 2 + 18 * 2)
        assert grid.crop((20, 20, 36, 36)).tobytes() == last.convert("RGB").tobytes()
        assert grid.getpixel((19, 5)) == (0, 0, 0)


def test_results_jsonl_holds_what_the_official_summary_reads(finished):
    _, record, folder = finished
    rows = [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]
    assert list(rows[0]) == ["filename", "tag", "prompt", "correct", "reason", "metadata", "details"]
    assert rows[0]["filename"] == "images/00000/samples/0000.png"
    assert json.loads(rows[0]["metadata"]) == PROMPTS[0] and len(rows) == 11
    by_task = [[row["correct"] for row in rows if row["tag"] == each["tag"]] for each in PROMPTS]
    assert record.metrics["official/overall (part)"].value == pytest.approx(sum(sum(x) / len(x) for x in by_task) / 3)


def test_a_run_is_judged_again_from_its_own_evidence(finished):
    _, record, folder = finished
    found = GenEval().rescore(evidence=folder)
    assert found.metrics == record.metrics and (found.n, found.unscored) == (12, 1)
    rows = {each["id"]: each for each in found.rows}
    assert rows["00002/3"] == {"id": "00002/3", "correct": None, "reason": "invalid image: cut in half", "details": {}}
    nothing = GenEval().rescore(evidence=folder, threshold=1.0, counting_threshold=1.0)
    assert nothing.metrics["official/correct_images (part)"].value == 0.0


def changed(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize(
    ("file", "old", "new", "told"),
    [
        ("scores.jsonl", '"value":1.0', '"value":0.0', "scores.jsonl is not the file"),
        ("scores.jsonl", '"sample_id":"00001"', '"sample_id":"00002"', "scores.jsonl is not the file"),
        ("record.json", '"threshold": 0.3', '"threshold": 0.9', "was changed after it was written"),
        ("images/00000/metadata.jsonl", '"count": 1', '"count": 2', "not here, or were changed"),
        ("images/00000/metadata.jsonl", '"class": "cat"', '"class": "dog"', "not here, or were changed"),
    ],
)
def test_an_edit_in_a_run_moves_nothing_that_is_judged_again(finished, file, old, new, told):
    _, _, folder = finished
    changed(folder / file, old, new)
    with pytest.raises(UsageError, match=told):
        GenEval().rescore(evidence=folder)


def test_lines_that_were_lost_from_a_run_are_missed(finished):
    _, _, folder = finished
    lines = (folder / "scores.jsonl").read_bytes().splitlines(keepends=True)
    (folder / "scores.jsonl").write_bytes(b"".join(lines[2:]))
    with pytest.raises(UsageError, match="not the file"):
        GenEval().rescore(evidence=folder)


def test_a_limited_run_judged_again_is_as_limited(tmp_path, suite):
    benchmark, record, folder = carried_out(tmp_path, suite, limit="1")
    assert record.metrics["official/single_object"].value is not None
    assert record.metrics["official/counting"].absent == ("4 not asked",)
    found = benchmark.rescore(evidence=folder)
    assert (found.metrics, found.n, found.unscored) == (record.metrics, 4, 0)
    with pytest.raises(UsageError, match="name its data with --data"):  # one prompt of three lies in the run
        GenEval().rescore(evidence=folder)


def test_evidence_that_was_changed_is_not_judged_again(finished):
    _, _, folder = finished
    (path,) = (folder / "evidence").glob("*.jsonl")
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[1:]))
    for asked in ({"evidence": folder}, {"predictions": folder}):
        with pytest.raises(UsageError, match=r"evidence was changed after record\.json was written"):
            GenEval().rescore(**asked)


def test_a_picture_whose_evidence_is_gone_is_without_evidence(finished):
    """A record of format 1 names no digests."""
    _, _, folder = finished
    (path,) = (folder / "evidence").glob("*.jsonl")
    path.write_text("".join(path.read_text().splitlines(keepends=True)[1:]))
    record = json.loads((folder / "record.json").read_text())
    old = {key: value for key, value in record.items() if key != "sum" and not key.endswith("_sha256")}
    (folder / "record.json").write_text(json.dumps({**old, "format": 1}))
    found = GenEval().rescore(evidence=folder)
    assert found.metrics["official/correct_images (part)"].absent[:2] == (
        "1 without evidence",
        "1 with an invalid picture",
    )
    assert found.unscored == 2


def test_a_folder_that_is_no_run_is_named(tmp_path):
    with pytest.raises(UsageError, match="is no run"):
        GenEval().rescore(evidence=tmp_path)


def test_other_options_than_the_official_are_said_with_their_rows(tmp_path, finished, capsys):
    _, _, folder = finished
    assert "options" not in GenEval().rescore(evidence=folder).extra
    said = GenEval().rescore(evidence=folder, threshold=0.5).extra["options"]
    assert said == {"threshold=0.5": "(11 rows)"}
    row = {"id": 0, "metadata": PROMPTS[0], "boxes": {"cat": [[0, 0, 9, 9, 0.2]]}, "colors": {}}
    rows = [row, {**row, "id": 1, "options": {"threshold": 0.1}}, {**row, "id": 2, "options": {"threshold": 0.3}}]
    assert main(["score", "-b", "geneval", "--evidence", str(write(tmp_path / "e.jsonl", *rows))]) == 0
    assert "options: the official ones (2 rows), threshold=0.1 (1 rows)" in capsys.readouterr().out


def test_options_given_for_a_results_jsonl_are_said(tmp_path):
    row = {"filename": "a.png", "correct": True, "metadata": PROMPTS[0], "details": {"cat": [[0, 0, 9, 9, 0.7]]}}
    said = GenEval().rescore(predictions=write(tmp_path / "r.jsonl", row), threshold=0.6).extra["options"]
    assert said == {"threshold=0.6": "(1 rows)"}
