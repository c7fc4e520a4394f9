"""Self-consistency: GenEval's clauses as questions, a model's own yes and no held against the detector's verdict."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from janus_eval.benchmarks.geneval import metadata
from janus_eval.benchmarks.geneval.own_pictures import SelfConsistency, questions
from janus_eval.benchmarks.toy.world import Scene, Thing, draw
from janus_eval.evals.commands import cli
from janus_eval.evals.errors import UsageError
from janus_eval.evals.types import Prediction
from janus_eval.evals.verify import verify

CAT = {"class": "cat", "count": 1, "color": "red"}
ROWS: list[dict[str, Any]] = [
    {"tag": "colors", "include": [CAT], "prompt": "a photo of a red cat"},
    {"tag": "counting", "include": [{"class": "bus", "count": 2}], "prompt": "a photo of two buses"},
]


def results(folder: Path, verdicts: list[bool], rows: list[dict[str, Any]] | None = None) -> Path:
    """Write an official results.jsonl with a picture of a red cat for each verdict."""
    lines: list[str] = []
    for number, correct in enumerate(verdicts):
        draw(Scene((Thing("cat", "red", 1, 1),))).save(folder / f"{number}.png")
        asked = (rows or ROWS)[number % len(rows or ROWS)]
        row = {"filename": f"{number}.png", "tag": asked["tag"], "prompt": asked["prompt"], "correct": correct}
        lines.append(json.dumps({**row, "reason": "", "metadata": json.dumps(asked)}))
    (folder / "results.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def metrics(folder: Path, answers: list[str]) -> dict[str, Any]:
    suite = SelfConsistency(data=str(folder))
    samples = suite.samples()
    scores = [suite.score(a, Prediction(a.id, text=b), None)[0] for a, b in zip(samples, answers, strict=True)]
    return dict(suite.aggregate(scores))


def test_each_clause_and_each_relation_is_a_question() -> None:
    clauses = [{"class": "apple", "count": 1}, {"class": "dog", "count": 1, "position": ["left of", 0]}]
    asked = metadata.read({"tag": "position", "include": clauses, "prompt": "a photo of a dog left of an apple"})
    assert questions(asked) == [
        "Is there an apple in the image?",
        "Is there a dog in the image?",
        "Is the dog left of the apple?",
    ]
    assert questions(metadata.read(ROWS[0])) == ["Is there a red cat in the image?"]
    assert questions(metadata.read(ROWS[1])) == ["Are there two buses in the image?"]


def test_agreement_and_kappa_by_hand(tmp_path: Path) -> None:
    # Detector: right, right, wrong, wrong; the model: yes, no, no, no. Equal in 3 of 4, by chance 0.5.
    found = metrics(results(tmp_path, [True, True, False, False]), ["Yes.", "no", "No", "No, there is not"])
    assert found["self/agreement"].value == 0.75
    assert found["self/kappa"].value == pytest.approx(0.5)
    assert (found["self/yes"].value, found["self/detector"].value) == (0.25, 0.5)
    assert (found["self/yes_if_right"].value, found["self/yes_if_wrong"].value) == (0.5, 0.0)
    assert (found["self/agreement/colors"].value, found["self/agreement/counting"].value) == (1.0, 0.5)


def test_a_picture_is_right_in_the_model_s_eyes_where_it_says_yes_to_all(tmp_path: Path) -> None:
    row = {"tag": "two_object", "include": [CAT, {"class": "dog", "count": 1}], "prompt": "a red cat and a dog"}
    folder = results(tmp_path, [True, False], [row])
    assert metrics(folder, ["yes", "yes", "yes", "no"])["self/kappa"].value == 1.0


def test_an_answer_that_is_neither_is_no_verdict(tmp_path: Path) -> None:
    found = metrics(results(tmp_path, [True, False]), ["perhaps", "no"])
    assert found["self/kappa"].value is None
    assert found["self/agreement"].absent == ("1 without an answer",)


def test_a_model_looks_at_its_own_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = results(tmp_path, [True, False])
    asked = ["run", "-m", "janus-toy", "-b", "self_consistency", "--data", str(folder), "-o", str(tmp_path / "runs")]
    assert cli.main([*asked, "--json"]) == 0
    (record,) = json.loads(capsys.readouterr().out)
    assert record["metrics"]["self/agreement"]["value"] == 1.0  # a red cat is seen, two buses are not
    assert record["metrics"]["self/kappa"]["value"] == 1.0


def test_without_pictures_it_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="give a finished GenEval run's folder"):
        SelfConsistency().samples()
    with pytest.raises(UsageError, match="a finished GenEval run has it"):
        SelfConsistency(data=str(tmp_path)).samples()
    results(tmp_path, [True])
    text = (tmp_path / "results.jsonl").read_text()
    (tmp_path / "results.jsonl").write_text(text.replace('"correct": true', '"correct": "yes"'))
    with pytest.raises(UsageError, match=r"line 1.*correct"):
        SelfConsistency(data=str(tmp_path)).samples()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("drawn")
    assert cli.main(["run", "-m", "janus-toy", "-b", "geneval", "-l", "2", "-o", str(out), "--json"]) == 0
    (folder,) = out.iterdir()
    return folder


@pytest.fixture
def drawn(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / made.name))


def edited(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_a_run_as_it_lies_is_asked_about(drawn: Path) -> None:
    assert SelfConsistency(data=str(drawn)).samples()
    assert SelfConsistency(data=str(drawn / "results.jsonl")).samples()


def test_a_run_that_was_changed_is_not_asked_about(drawn: Path) -> None:
    def told(match: str) -> None:
        with pytest.raises(UsageError, match=match):
            SelfConsistency(data=str(drawn)).samples()

    results = (drawn / "results.jsonl").read_text()
    verdict = '"correct":' + ("true" if '"correct":true' in results else "false")
    for new in (verdict.replace("true", "maybe").replace("false", "true").replace("maybe", "false"), '"correct":null'):
        edited(drawn / "results.jsonl", verdict, new)
        told(r"results\.jsonl is not what the run wrote")
        (drawn / "results.jsonl").write_text(results)
    (drawn / "results.jsonl").write_text("".join(results.splitlines(keepends=True)[1:]))
    told(r"results\.jsonl is not what the run wrote")
    (drawn / "results.jsonl").write_text(results)
    one, two = sorted(drawn.glob("images/*/samples/*.png"))[::7]
    kept = one.read_bytes()
    one.write_bytes(two.read_bytes())
    told("is not the picture that the run drew")
    one.write_bytes(kept)
    (drawn / "record.json").unlink()
    told("has no record.json")


def test_verify_names_files_of_a_run_that_say_otherwise_than_its_scores(drawn: Path) -> None:
    assert not verify(drawn).wrong
    edited(drawn / "results.jsonl", '"correct":', '"correct": ')
    edited(drawn / "images/00000/metadata.jsonl", '"count"', '"Count"')
    assert [Path(each.split(" is not ")[0]).name for each in verify(drawn).wrong] == ["metadata.jsonl", "results.jsonl"]
