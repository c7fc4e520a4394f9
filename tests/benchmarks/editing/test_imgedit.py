"""ImgEdit-Bench: grades read, means by hand, the makers' tar and folder with hostile names, and what the judge sees."""

from __future__ import annotations

import base64
import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from janus_eval.benchmarks.editing import imgedit_rules as rules
from janus_eval.benchmarks.editing.imgedit import ImgEditBench
from janus_eval.benchmarks.editing.imgedit_grader import GRADER, prompts
from janus_eval.benchmarks.judging.judge import Judge
from janus_eval.benchmarks.judging.task import Ask, Verdict
from janus_eval.evals.commands import cli
from janus_eval.evals.errors import InvalidImage, UsageError
from janus_eval.evals.types import Evidence, Picture, Prediction, Sample
from PIL import Image
from support.chat_server import Service, serving

GOOD = "Brief reasoning: Fine: mostly.\nPrompt Compliance: 4\nVisual Naturalness: 3\nPhysical & Detail Integrity: 3"


def png(color: str) -> bytes:
    held = io.BytesIO()
    Image.new("RGB", (12, 8), color).save(held, "PNG")
    return held.getvalue()


def edit(folder: Path, kind: str = "remove") -> tuple[Sample, Prediction]:
    path = folder / "7.png"
    path.write_bytes(png("blue"))
    target = {"type": kind}
    sample = Sample("7", "Remove <it>", (Picture("a.png", lambda: png("red")),), target=target, tags=target)
    return sample, Prediction("7", kind="edit", image=path)


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (GOOD, [4, 3, 3]),
        ("**Prompt Compliance**: 5\r\n- Visual Naturalness: 4 \nx: 3", [5, 4, 3]),
        ("Prompt Compliance: 5.\nVisual Naturalness: 4/5", []),
        ("Prompt Compliance : 5", [5]),
        ("Prompt Compliance:5", []),
        ("Score: 3: 4", []),
        ("A: 7", [7]),
        ("A: ²", []),
        ("I cannot grade this.", []),
        ("", []),
    ],
)
def test_grades(reply: str, expected: list[int]) -> None:
    assert rules.grades(reply) == expected


def test_an_average_is_rounded_as_the_makers_do() -> None:
    assert rules.average([4, 3, 3]) == 3.33 and rules.average([5, 5, 5]) == 5.0
    assert not rules.readable([]) and not rules.readable([5, 0]) and not rules.readable([6])


def test_the_means_by_hand() -> None:
    suite, scores = ImgEditBench(), []
    for number, (kind, grades) in enumerate([("add", [5, 5, 5]), ("add", [1, 1, 1]), ("style", [4, 4, 2])]):
        sample = Sample(str(number), "x", target={"type": kind}, tags={"type": kind}, cluster=str(number))
        evidence = Evidence(sample.id, data={"runs": [{"value": {"grades": grades, "done": True}, "calls": []}]})
        scores += suite.score(sample, Prediction(sample.id, kind="edit"), evidence)
    assert [each.value for each in scores] == pytest.approx([1.0, 0.0, (3.33 - 1) / 4])
    found = suite.aggregate(scores)
    assert found["official/add"].value == 3.0 and found["official/style"].value == 3.33
    assert found["official/overall (part)"].value == pytest.approx((3 + 3.33) / 2)
    assert found["official/overall"].value is None and "compose" in found["official/overall"].absent


# -- data ---------------------------------------------------------------------------------------------

LIST = {
    "1082": {"id": "animal/000342021.jpg", "prompt": "Smooth its shell.", "edit_type": "adjust"},
    "9": {"id": "../../secret.png", "prompt": "Remove it.", "edit_type": "remove"},
    "10": {"id": "animal/none.jpg", "prompt": "Extract it.", "edit_type": "extract"},
}


def folder(where: Path, listed: Any = None) -> Path:
    """Make what Benchmark.tar unpacks to, and a file outside of it that its list names."""
    inner = where / "Benchmark" / "singleturn"
    (inner / "animal").mkdir(parents=True)
    (inner / "animal" / "000342021.jpg").write_bytes(png("green"))
    (where / "secret.png").write_bytes(png("black"))
    (inner / "singleturn.json").write_text(json.dumps(LIST if listed is None else listed))
    return where


def packed(where: Path) -> Path:
    path = where / "Benchmark.tar"
    with tarfile.open(path, "w") as archive:
        archive.add(where / "Benchmark", "Benchmark")
    return path


@pytest.mark.parametrize("form", ["folder", "list", "tar"])
def test_folder_and_tar_hold_the_same_edits_and_nothing_outside_is_read(tmp_path: Path, form: str) -> None:
    place = folder(tmp_path)
    given = {"folder": place, "list": place / "Benchmark/singleturn/singleturn.json", "tar": packed(tmp_path)}[form]
    if form == "folder":
        (tmp_path / "Benchmark.tar").unlink()
    first, outside, gone = ImgEditBench(str(given)).samples()
    assert (first.id, first.prompt, first.target) == ("1082", "Smooth its shell.", {"type": "adjust"})
    assert first.images[0].read() == png("green")
    for sample in (outside, gone):
        with pytest.raises(InvalidImage, match="no picture"):
            sample.images[0].read()


@pytest.mark.parametrize(
    ("listed", "told"),
    [
        ([], "expected edits by their keys"),
        ({"1": {"id": "a.jpg", "prompt": "x", "edit_type": "juggle"}}, "edit_type 'juggle'"),
        ({"1": {"id": "a.jpg", "edit_type": "add"}}, "lacks one of the texts"),
        ({"1": {"id": 7, "prompt": "x", "edit_type": "add"}}, "lacks one of the texts"),
        ({"1": "x"}, "lacks one of the texts"),
    ],
)
def test_a_list_of_another_form_is_refused_in_one_line(tmp_path: Path, listed: Any, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        ImgEditBench(str(folder(tmp_path, listed))).samples()


def test_what_is_no_tar_or_ends_early_is_said(tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_bytes(b"no tar" * 200)
    with pytest.raises(UsageError, match=r"x\.tar"):
        ImgEditBench(str(tmp_path / "x.tar")).samples()
    path = packed(folder(tmp_path))
    suite = ImgEditBench(str(path))
    (first, *_) = suite.samples()
    path.write_bytes(path.read_bytes()[:600])
    with pytest.raises(InvalidImage, match="is cut"):
        first.images[0].read()
    with pytest.raises(UsageError, match="no such file or folder"):
        ImgEditBench(str(tmp_path / "nowhere")).samples()


# -- the judge ----------------------------------------------------------------------------------------


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-x")
    with serving(Service(reply=lambda body: GOOD)) as running:
        yield running


def test_the_judge_is_asked_by_type_and_sees_both_files_as_they_are(tmp_path: Path, service: Service) -> None:
    task = Judge("imgedit_bench", judge="vlm", judge_base_url=service.url, judge_timeout=5.0, judge_retries=0)
    (evidence,) = task.observe([edit(tmp_path)])
    text, *pictures = service.asked[-1]["messages"][0]["content"]
    assert text["text"] == prompts()["remove"].replace("<edit_prompt>", "Remove <it>")
    sent = [base64.b64decode(each["image_url"]["url"].partition(",")[2]) for each in pictures]
    assert sent == [png("red"), png("blue")]
    (score,) = ImgEditBench().score(*edit(tmp_path), evidence)
    assert score.details["average"] == 3.33 and not score.unparsed
    assert evidence.data["calibration"]["marks"] == "10" * 4


def test_grades_out_of_range_are_asked_for_again_and_are_no_verdict(tmp_path: Path) -> None:
    sample, prediction = edit(tmp_path)
    for replies in ([], ["A: 9"], ["A: 9", "nothing"]):
        assert isinstance(GRADER.step(sample, prediction, replies), Ask)
    end = GRADER.step(sample, prediction, ["A: 9", "nothing", "B: 0"])
    assert isinstance(end, Verdict) and end.value is None and "no grades in 3 replies" in end.reason


def test_another_number_of_grades_is_averaged_as_the_makers_do_and_counted(tmp_path: Path) -> None:
    sample, prediction = edit(tmp_path)
    end = GRADER.step(sample, prediction, ["Prompt Compliance: 4\nVisual Naturalness: 3"])
    assert isinstance(end, Verdict)
    evidence = Evidence("7", data={"runs": [{"value": end.value, "reason": end.reason, "calls": []}]})
    (score,) = ImgEditBench().score(sample, prediction, evidence)
    assert score.details["average"] == 3.5 and score.unparsed and score.reason == "2 grades instead of 3"


def test_grades_that_the_limit_cut_off_leave_no_verdict(tmp_path: Path, service: Service) -> None:
    two = "Prompt Compliance: 4\nVisual Naturalness: 3\nPhysical"
    service.reply = lambda body: {"choices": [{"message": {"content": two}, "finish_reason": "length"}]}
    task = Judge("imgedit_bench", judge="vlm", judge_base_url=service.url, judge_timeout=5.0, judge_retries=0)
    (evidence,) = task.observe([edit(tmp_path)])
    (score,) = ImgEditBench().score(*edit(tmp_path), evidence)
    assert score.value is None and "no grades in 3 replies" in score.reason
    run = evidence.data["runs"][0]
    for call in run["calls"]:
        call["finish"] = "stop"  # then the first reply was one, and no other would have been asked for
    (score,) = ImgEditBench().score(*edit(tmp_path), evidence)
    assert score.value is None and "more replies than were asked for" in score.reason


def test_the_prompts_are_the_makers() -> None:
    # SHA-256 of PKU-YuanGroup/ImgEdit 547185d, Benchmark/Basic/prompts.json.
    assert GRADER.digest == "f9468dc8" and set(prompts()) == set(rules.TYPES)


def test_a_run_leaves_the_replies_as_the_makers_scripts_read_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found: dict[str, Any] = {}
    for model in ("edit-toy", "same-picture"):
        asked = ["run", "-m", model, "-b", "imgedit_bench", "--data", "toy", "-o", str(tmp_path / model), "--json"]
        assert cli.main([*asked, "--no-packs", "--judge", "rule"]) == 0
        (row,) = json.loads(capsys.readouterr().out)
        found[model] = row["metrics"]
        (run,) = (tmp_path / model).iterdir()
        said = json.loads((run / "result.json").read_text())
        assert len(said) == 36 and (run / "images" / "36.png").is_file()
        averages = [rules.average(rules.grades(each)) for each in said.values()]
        assert set(averages) == ({5.0} if model == "edit-toy" else {1.0})
    assert found["edit-toy"]["official/overall"]["value"] == 5.0
    assert found["same-picture"]["official/overall"]["value"] == 1.0


def test_pictures_edited_elsewhere_are_judged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for sample in ImgEditBench("toy").samples():
        (tmp_path / f"{sample.id}.png").write_bytes(sample.images[0].read())
    asked = ["score", "-b", "imgedit_bench", "--images", str(tmp_path), "--pattern", "{id}.png", "--data", "toy"]
    assert cli.main([*asked, "--judge", "rule", "-o", str(tmp_path / "runs"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["metrics"]["official/overall"]["value"] == 1.0


def test_a_picture_of_no_edit_is_named_and_one_that_is_none_ends_incomplete(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "edited"
    folder.mkdir()
    names = [each.id for each in ImgEditBench("toy").samples()]
    for sample in ImgEditBench("toy").samples():
        (folder / f"{sample.id}.png").write_bytes(sample.images[0].read())
    (folder / "9999.png").write_bytes((folder / f"{names[0]}.png").read_bytes())
    (folder / f"{names[1]}.png").write_bytes(b"no picture")
    asked = ["score", "-b", "imgedit_bench", "--images", str(folder), "--pattern", "{id}.png", "--data", "toy"]
    assert cli.main([*asked, "--judge", "rule", "-o", str(tmp_path / "runs"), "--json"]) == 5
    said = capsys.readouterr()
    row = json.loads(said.out)
    assert row["unused"] == ["9999.png"] and row["unscored"] == 1
    assert "no output that was asked for: 9999.png" in said.err and "--failed" in said.err
