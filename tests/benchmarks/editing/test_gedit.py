"""GEdit-Bench: replies of all kinds read, means by hand, its table as it lies on the hub, what its judge sees."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from janus_eval.benchmarks.editing import viescore
from janus_eval.benchmarks.editing.gedit import TASKS, GEditBench, GEditBenchCn
from janus_eval.benchmarks.editing.gedit_grader import GRADER, text
from janus_eval.benchmarks.judging.judge import Judge
from janus_eval.benchmarks.judging.task import Ask, Verdict
from janus_eval.evals.commands import cli
from janus_eval.evals.errors import InvalidImage, UsageError
from janus_eval.evals.types import Evidence, Picture, Prediction, Sample
from PIL import Image
from support.chat_server import Service, serving

GOOD = '{"score": [7, 9], "reasoning": "fine"}'


def png(color: str, size: tuple[int, int] = (12, 8)) -> bytes:
    held = io.BytesIO()
    Image.new("RGB", size, color).save(held, "PNG")
    return held.getvalue()


def edit(folder: Path, **more: Any) -> tuple[Sample, Prediction]:
    """Return a sample with a source of 12 x 8 and an edited picture of 30 x 20."""
    path = folder / "made.png"
    path.write_bytes(png("blue", (30, 20)))
    sample = Sample("k1", "Make it <blue>.", (Picture("k1.png", lambda: png("red")),), **more)
    return sample, Prediction("k1", kind="edit", image=path)


# -- rules --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (GOOD, 7),
        ('||V^=^V||\n{"score": [5, 10], "reasoning": "a"}\n||V^=^V||', 5),
        ('Sure!\n```json\n{"score": [8,\n 3]}\n```', 3),
        ("[6, 0]", 0),
        (" 9 ", 9),
        ('{"score": 4}', 4),
        ("{score: 5, reasoning: bad}", 5),
        ('{"score": [7.5, 8]}', 7.5),
        ('{"score": [12, 8]}', None),
        ('{"score": [-1, 8]}', None),
        ('{"score": [true, 8]}', None),
        ('{"score": [NaN, 8]}', None),
        ('{"score": ["8", 9]}', None),
        ('{"score": []}', None),
        ('{"score": [[5], [6]]}', None),
        ('{"reasoning": "none"}', None),
        ("||V^=^V||[3, 4]||V^=^V||", None),
        ("||V^=^V||||V^=^V||", None),
        ("[7, 8, 9]", None),
        ("[05, 3]", None),
        ("11", None),
        ("}{", None),
        ("I cannot judge this image.", None),
        ("九分", None),
        ("", None),
        ("{" * 100_000, None),
        ("9" * 5000, None),
    ],
)
def test_grades(reply: str, expected: float | None) -> None:
    assert viescore.grade(reply) == expected


def verdict(semantics: float, quality: float) -> dict[str, Any]:
    return {"runs": [{"value": {"semantics": semantics, "quality": quality, "done": semantics >= 5}, "calls": []}]}


def test_the_means_by_hand() -> None:
    suite, scores = GEditBench(), []
    for number, (task, shared, semantics, quality) in enumerate(
        [("color_alter", "yes", 9, 4), ("color_alter", "no", 0, 10), ("subject-add", "yes", 4, 4)]
    ):
        sample = Sample(str(number), "x", tags={"task": task, "intersection": shared}, cluster=str(number))
        evidence = Evidence(sample.id, data=verdict(semantics, quality))
        scores += suite.score(sample, Prediction(sample.id, kind="edit"), evidence)
    assert [each.value for each in scores] == [0.6, 0.0, 0.4]
    found = suite.aggregate(scores)
    # Nine tasks are not there: the numbers stand apart, as means over the two that are.
    part = {key.removesuffix(" (part)"): each.value for key, each in found.items() if each.value is not None}
    assert part["official/overall"] == pytest.approx((3 + 4) / 2)
    assert part["official/semantics"] == pytest.approx((4.5 + 4) / 2)
    assert part["official/quality"] == pytest.approx((7 + 4) / 2)
    assert part["official/intersection_overall"] == pytest.approx((6 + 4) / 2)
    assert part["official/color_alter"] == 3
    assert found["official/overall"].value is None and "ps_human" in found["official/overall"].absent


# -- data ---------------------------------------------------------------------------------------------


def rows(count: int = 1) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for task in TASKS:
        for number in range(count):
            row = {"key": f"{task}{number}", "task_type": task, "Intersection_exist": number == 0}
            for language, words in (("en", "Make it blue."), ("cn", "变成蓝色。")):
                found.append({**row, "instruction": words, "instruction_language": language})
    return found


def test_an_arrow_table_of_the_hub_is_read_and_its_pictures_stay_there(tmp_path: Path) -> None:
    import datasets

    table = [
        {
            **row,
            "input_image": {"bytes": png("red"), "path": None},
            "input_image_raw": {"bytes": png("green"), "path": None},
        }
        for row in rows()
    ]
    features = datasets.Features(
        {name: datasets.Value("string") for name in ("key", "task_type", "instruction", "instruction_language")}
        | {"Intersection_exist": datasets.Value("bool")}
        | {name: datasets.Image() for name in ("input_image", "input_image_raw")}
    )
    datasets.Dataset.from_list(table, features=features).save_to_disk(str(tmp_path / "train"))
    english, chinese = GEditBench(str(tmp_path)), GEditBenchCn(str(tmp_path), source="input_image")
    assert [each.tags["task"] for each in english.samples()] == list(TASKS)
    assert {each.prompt for each in chinese.samples()} == {"变成蓝色。"}
    assert english.samples()[0].images[0].read() == png("green")
    assert chinese.samples()[0].images[0].read() == png("red")
    assert english.card["source"] == "input_image_raw" and english.card["origin"] == "given"


def table(folder: Path, **changed: Any) -> str:
    path = folder / "rows.jsonl"
    picture = base64.b64encode(png("red")).decode()
    path.write_text("".join(json.dumps({**row, "input_image": picture, **changed}) + "\n" for row in rows()))
    return str(path)


def test_a_row_without_the_raw_picture_shows_the_other(tmp_path: Path) -> None:
    assert GEditBench(table(tmp_path)).samples()[0].images[0].read() == png("red")


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"task_type": "juggling"}, "task_type"),
        ({"Intersection_exist": "perhaps"}, "Intersection_exist"),
        ({"instruction_language": "fr"}, "no row with instruction_language 'en'"),
        ({"instruction": None}, "instruction"),
    ],
)
def test_a_table_of_another_form_is_refused_in_one_line(tmp_path: Path, changed: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        GEditBench(table(tmp_path, **changed)).samples()


def test_pictures_lie_where_the_makers_scripts_look() -> None:
    sample = Sample("k7", "x", tags={"task": "ps_human"})
    assert GEditBench().image_path(0, sample, 0) == "fullset/ps_human/en/k7.png"
    assert GEditBenchCn().image_path(0, sample, 0) == "fullset/ps_human/cn/k7.png"


# -- the judge ----------------------------------------------------------------------------------------


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-x")
    with serving(Service(reply=lambda body: GOOD)) as running:
        yield running


def judged(service: Service, folder: Path) -> Evidence:
    task = Judge("gedit_bench", judge="vlm", judge_base_url=service.url, judge_timeout=5.0, judge_retries=0)
    return task.observe([edit(folder)])[0]


def shown(body: dict[str, Any]) -> tuple[str, list[Image.Image]]:
    said, *pictures = body["messages"][-1]["content"]
    data = [base64.b64decode(each["image_url"]["url"].partition(",")[2]) for each in pictures]
    return said["text"], [Image.open(io.BytesIO(each)) for each in data]


def test_the_judge_sees_source_and_edit_in_one_size_and_then_the_edit_alone(tmp_path: Path, service: Service) -> None:
    evidence = judged(service, tmp_path)
    (asked, pictures), (about, alone) = map(shown, service.asked[-2:])
    assert asked == text("semantics").replace("<instruction>", "Make it <blue>.") and about == text("quality")
    assert [each.size for each in (*pictures, *alone)] == [(12, 8)] * 3
    assert {each.format for each in (*pictures, *alone)} == {"JPEG"}
    reds = [each.convert("RGB").getpixel((6, 4))[0] for each in (*pictures, *alone)]
    assert reds[0] > 200 and reds[1] < 50 and reds[2] < 50
    assert service.asked[-1]["max_tokens"] == 1400
    assert evidence.data["runs"][0]["value"] == {"semantics": 7, "quality": 7, "done": True}
    assert evidence.data["calibration"]["marks"] == "10" * 4  # a judge that praises everything


def steps(replies: Sequence[str], folder: Path) -> Ask | Verdict:
    return GRADER.step(*edit(folder), replies)


def test_both_questions_are_asked_again_where_one_reply_cannot_be_read(tmp_path: Path) -> None:
    first = steps(["nonsense", GOOD], tmp_path)
    assert isinstance(first, Ask) and len(first.pictures) == 2 and first.temperature == 1.0
    second = steps(["nonsense", GOOD, GOOD], tmp_path)
    assert isinstance(second, Ask) and len(second.pictures) == 1
    end = steps(["nonsense", GOOD, GOOD, "[3, 4]"], tmp_path)
    assert isinstance(end, Verdict) and end.value["quality"] == 3


def test_three_rounds_without_grades_are_no_verdict_and_no_guess(tmp_path: Path, service: Service) -> None:
    service.reply = lambda body: "I'm sorry, I can't help with that."
    evidence = judged(service, tmp_path)
    assert len(evidence.data["runs"][0]["calls"]) == 6
    (score,) = GEditBench().score(*edit(tmp_path), evidence)
    assert score.value is None and "no grades in 3 rounds" in score.reason


def test_a_picture_that_is_none_is_never_sent(tmp_path: Path, service: Service) -> None:
    sample, prediction = edit(tmp_path)
    assert prediction.image is not None
    prediction.image.write_bytes(b"no picture")
    task = Judge("gedit_bench", judge="vlm", judge_base_url=service.url, judge_retries=0)
    (evidence,) = task.observe([(sample, prediction)])
    assert len(service.asked) == 16  # the calibration set alone
    (score,) = GEditBench().score(sample, prediction, evidence)
    assert score.value is None and score.reason.startswith("invalid image")


def test_a_sample_without_a_source_has_no_verdict(tmp_path: Path) -> None:
    _, prediction = edit(tmp_path)
    end = GRADER.step(Sample("k1", "x"), prediction, [])
    assert isinstance(end, Verdict) and end.reason.startswith("invalid image")


def test_the_protocol_texts_are_the_makers() -> None:
    # SHA-256 of both texts as VIEScore(task="tie") joins them, stepfun-ai/Step1X-Edit 570eba6.
    assert GRADER.digest == "b0fb2b52"


def test_the_toy_s_judge_by_rule_is_right_about_the_whole_calibration_set(tmp_path: Path) -> None:
    (sample, *_) = GEditBench("toy").samples()
    (tmp_path / "same.png").write_bytes(sample.images[0].read())
    task = Judge("gedit_bench", world="toy")
    (evidence,) = task.observe([(sample, Prediction(sample.id, kind="edit", image=tmp_path / "same.png"))])
    assert evidence.data["calibration"]["marks"] == "1" * 8
    assert evidence.data["runs"][0]["value"]["semantics"] == 0  # nothing was edited
    assert evidence.data["runs"][0]["calls"][0]["model"] == "grader-rule-edit-1"


def test_a_kept_evidence_that_no_judge_wrote_is_refused(tmp_path: Path) -> None:
    evidence = Evidence("k1", data={"runs": [{"value": {"semantics": "nine"}}]})
    with pytest.raises(UsageError, match="remove it to judge again"):
        GEditBench().score(*edit(tmp_path), evidence)


def test_a_broken_source_costs_its_sample_alone(tmp_path: Path) -> None:
    sample = Sample("k1", "x", (Picture("a.png", lambda: b"GIF89a"),))
    asked = GRADER.step(sample, edit(tmp_path)[1], [])
    assert isinstance(asked, Ask)
    with pytest.raises(InvalidImage):
        asked.pictures[0].read()


def test_the_editor_and_the_floor_stand_at_the_ends(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found: dict[str, dict[str, Any]] = {}
    for bench in ("gedit_bench", "gedit_bench_cn"):
        for model in ("edit-toy", "same-picture"):
            asked = ["run", "-m", model, "-b", bench, "--data", "toy", "--judge", "rule", "-o", str(tmp_path), "--json"]
            assert cli.main(asked) == 0
            (row,) = json.loads(capsys.readouterr().out)
            found[f"{model} {bench}"] = row["metrics"]
    for bench in ("gedit_bench", "gedit_bench_cn"):
        best, floor = found[f"edit-toy {bench}"], found[f"same-picture {bench}"]
        assert best["official/overall"]["value"] == 10.0 and floor["official/overall"]["value"] == 0.0
        assert floor["official/quality"]["value"] == 10.0
