"""WISE: replies of all kinds read, its weights by hand, and a judge that is shown pictures, over HTTP and locally."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from janus_eval.benchmarks.judging.judge import Judge
from janus_eval.benchmarks.wise import rules
from janus_eval.benchmarks.wise.benchmark import Wise, WiseVerified
from janus_eval.benchmarks.wise.grader import GRADER, VERIFIED_GRADER
from janus_eval.evals import reasoning
from janus_eval.evals.commands import cli
from janus_eval.evals.errors import UsageError
from janus_eval.evals.types import Evidence, Prediction, Sample
from PIL import Image
from support.chat_server import Fault, Service, drip, serving
from support.tiny_models import save_vision_language_model

ROW = {"Prompt": "a fruit", "Explanation": "This refers to a red apple.", "Category": "x", "Subcategory": "food"}
IDS = {Wise: (1, 401, 568, 701, 801, 901), WiseVerified: (1, 401, 521, 641, 761, 881)}


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-x")
    with serving(Service(reply=lambda body: "Score: 1")) as running:
        yield running


def suite(folder: Path, kind: Any = WiseVerified) -> Any:
    path = folder / "prompts.json"
    path.write_text(json.dumps([{**ROW, "prompt_id": number} for number in IDS[kind]]))
    return kind(str(path))


def drawn(folder: Path, sample: Sample) -> Prediction:
    path = folder / f"{sample.id}.png"
    Image.new("RGB", (8, 8), "red").save(path)
    return Prediction(sample.id, kind="image", image=path)


def pairs(folder: Path, kind: Any = WiseVerified) -> list[tuple[Sample, Prediction]]:
    return [(each, drawn(folder, each)) for each in suite(folder, kind).samples()]


def judge(service: Service, task: str = "wise_verified", **options: Any) -> Judge:
    options = {"judge": "vlm", "judge_base_url": service.url, "judge_timeout": 5.0, "judge_retries": 1, **options}
    return Judge(task, **options)


def scored(folder: Path, found: list[Evidence], kind: Any = WiseVerified) -> tuple[list[Any], dict[str, Any]]:
    bench = suite(folder, kind)
    scores = [
        score
        for sample, seen in zip(bench.samples(), found, strict=True)
        for score in bench.score(sample, Prediction(sample.id, kind="image", image=folder / "drawn.png"), seen)
    ]
    return scores, dict(bench.aggregate(scores))


# -- rules --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("Consistency: 2\nRealism: 1\nAesthetic Quality: 0", {"consistency": 2, "realism": 1, "aesthetic_quality": 0}),
        (
            "**Consistency**: 2\n**Realism**: 1\n**aesthetic quality** 0",
            dict(zip(rules.ASPECTS, (2, 1, 0), strict=True)),
        ),
        ("2\n1\n0", {"consistency": 2, "realism": 1, "aesthetic_quality": 0}),
        ("Consistency: 1\nConsistency: 2", {"consistency": 2}),
        ("Consistency: 7\nRealism: 1", {"realism": 1}),
        ("Consistency: 10\nRealism: 1.5\nAesthetic Quality: 2.0", {"aesthetic_quality": 2}),
        ("Consistency: 2\nConsistency: 10\nRealism: 1/2", {"realism": 1}),
        *((f"Consistency: {each}", {}) for each in ("1,5", "1½", "1 or 2", "0-2", "1e0", "1/10", "1 out of 10")),
        ("Consistency: 2 - good", {"consistency": 2}),
        ("一致性：2", {}),
        ("I cannot judge this image.", {}),
        ("", {}),
    ],
)
def test_grades(reply: str, expected: dict[str, int]) -> None:
    assert rules.grades(reply) == expected


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("Score: 1", 1),
        ("**Score** 0", 0),
        ("score:1.", 1),
        (" 1 \n", 1),
        ("Score: 0\nScore: 1", 0),
        ("<think>Score: 0?</think>\nScore: 1", 1),
        ("0\n1", None),
        ("Score: 10", None),
        *((f"Score: {each}", None) for each in ("1.5", "0.5", "0-1", "1 or 0", "1,5", "1 (out of 10)", "1%", "1/10")),
        *((f"Score: {each}", 1) for each in ("1.", "1/1", "1, for it has 2 cats", "1\n- 2 cats")),
        ("得分：1", None),
        ("The picture is right.", None),
    ],
)
def test_verdicts(reply: str, expected: int | None) -> None:
    assert rules.verdict(reasoning.answer_after(reply) or "") == expected  # as the judge shows a task its replies


def test_two_verdicts_in_one_reply_are_noticed() -> None:
    assert rules.contradicts("Score: 0 ... Score: 1")
    assert rules.contradicts("Realism: 0\nRealism: 2")
    assert not rules.contradicts("Score: 1\nScore: 1")


def test_wiscore_and_the_weights_by_hand(tmp_path: Path) -> None:
    assert rules.wiscore({"consistency": 2, "realism": 1, "aesthetic_quality": 0}) == pytest.approx(0.8)
    grades = [dict.fromkeys(rules.ASPECTS, value) for value in (2, 0, 0, 2, 0, 0)]
    found = [Evidence("", data={"runs": [{"value": each, "calls": []}]}) for each in grades]
    metrics = scored(tmp_path, found, Wise)[1]
    assert metrics["official/overall"].value == pytest.approx(0.4 + 0.1)
    assert metrics["official/consistency"].value == pytest.approx(4 / 6)
    binary = [Evidence("", data={"runs": [{"value": each, "calls": []}]}) for each in (1, 1, 0, 0, 0, 0)]
    scores, found = scored(tmp_path, binary)
    assert found["official/overall"].value == pytest.approx(0.52)
    without = WiseVerified().aggregate([each for each in scores if each.tags["category"] != "time"])
    assert without["official/overall"].value is None and without["official/overall"].absent == ("time",)


@pytest.mark.parametrize("number", [0, 1001, "x"])
def test_an_id_that_is_in_no_category_is_refused(tmp_path: Path, number: Any) -> None:
    (tmp_path / "p.json").write_text(json.dumps([{**ROW, "prompt_id": number}]))
    with pytest.raises(UsageError, match="prompt_id"):
        Wise(str(tmp_path / "p.json")).samples()


def test_a_prompt_that_stands_twice_is_refused(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.json").write_text(json.dumps([{**ROW, "prompt_id": 3}]))
    with pytest.raises(UsageError, match="prompt_id 3 stands twice"):
        Wise(str(tmp_path)).samples()


# -- a judge at an endpoint ---------------------------------------------------------------------------


def test_the_judge_is_shown_the_picture_behind_the_protocol_text(tmp_path: Path, service: Service) -> None:
    (evidence, *_) = judge(service, judge_thinking="off").observe(pairs(tmp_path)[:1])
    body = service.asked[-1]
    system, user = body["messages"]
    assert system["content"].startswith("You are a professional text-to-image quality auditor.")
    text, picture = user["content"]
    assert text["text"].endswith('EXPLANATION: "This refers to a red apple."\n\nReturn only `Score: 0` or `Score: 1`.')
    assert base64.b64decode(picture["image_url"]["url"].partition(",")[2]) == (tmp_path / "1.png").read_bytes()
    assert (body["temperature"], body["max_tokens"]) == (0.0, 500)
    assert body["chat_template_kwargs"] == {"enable_thinking": False}
    (call,) = evidence.data["runs"][0]["calls"]
    assert (call["reply"], call["model"]) == ("Score: 1", "served-model-2026-01-01")


@pytest.mark.parametrize("reply", ["It looks fine to me.", "得分：1 分", "I'm sorry, I can't help with that."])
def test_a_reply_without_a_verdict_is_asked_three_times_and_is_no_zero(
    tmp_path: Path, service: Service, reply: str
) -> None:
    one = pairs(tmp_path)[:1]
    task = judge(service)
    task.observe(one)
    before = len(service.asked)
    service.reply = lambda body: reply
    (evidence,) = task.observe(one)
    assert len(service.asked) - before == 3
    (score,) = suite(tmp_path).score(*one[0], evidence)
    assert score.value is None
    assert "no verdict in 3 replies" in score.reason


def test_a_refusal_is_kept_and_leaves_no_verdict(tmp_path: Path, service: Service) -> None:
    message = {"role": "assistant", "content": None, "refusal": "I will not look at this."}
    service.reply = lambda body: {"choices": [{"message": message, "finish_reason": "stop"}]}
    (evidence,) = judge(service).observe(pairs(tmp_path)[:1])
    (run,) = evidence.data["runs"]
    assert (run["value"], run["calls"][0]["refusal"]) == (None, "I will not look at this.")
    assert evidence.data["calibration"]["marks"] == "-" * 8


def test_two_verdicts_are_read_as_officially_and_counted(tmp_path: Path, service: Service) -> None:
    service.reply = lambda body: "Score: 0\nOn second thoughts, Score: 1"
    one = pairs(tmp_path)[:1]
    (evidence,) = judge(service).observe(one)
    (score,) = suite(tmp_path).score(*one[0], evidence)
    assert (score.value, score.unparsed, score.reason) == (0.0, True, "two verdicts in one reply")


def test_a_judge_that_is_too_slow_is_an_error_that_is_asked_again(tmp_path: Path, service: Service) -> None:
    one = pairs(tmp_path)[:1]
    task = judge(service, judge_timeout=0.3, judge_retries=0)
    task.observe(one)
    service.faults = [drip()]
    (evidence,) = task.observe(one)
    assert evidence.error is not None and "no answer within 0.3 s" in evidence.error
    (evidence,) = task.observe(one)
    assert evidence.error is None


def test_a_picture_that_is_none_is_never_sent(tmp_path: Path, service: Service) -> None:
    ((sample, prediction), *_) = pairs(tmp_path)
    (tmp_path / "1.png").write_bytes(b"no picture")
    (evidence,) = judge(service).observe([(sample, prediction)])
    assert len(service.asked) == 8  # the calibration set alone
    (score,) = suite(tmp_path).score(sample, prediction, evidence)
    assert score.value is None and score.reason.startswith("invalid image")


def test_a_judge_that_changes_its_version_in_the_middle_withholds_the_number(tmp_path: Path, service: Service) -> None:
    task, asked = judge(service), pairs(tmp_path)
    found = list(task.observe(asked[:4]))
    service.model = "served-model-2026-09-09"
    found += task.observe(asked[4:])
    metrics = scored(tmp_path, found)[1]
    assert metrics["judge/versions"].value == 2
    assert metrics["official/overall"].value is None
    assert metrics["official/overall"].absent == ("2 judged by another version of the judge",)
    assert metrics["official/overall (part)"].value == 1.0


def test_the_calibration_set_shows_what_a_judge_is_worth_and_that_it_drifts(tmp_path: Path, service: Service) -> None:
    asked = pairs(tmp_path)
    found = list(judge(service).observe(asked[:3]))  # says yes to everything: four of eight are right
    right = {each.sample.target["prompt"]: each for each in VERIFIED_GRADER.calibration()}
    assert len(right) == 4
    service.reply = lambda body: "Score: 0"
    found += judge(service).observe(asked[3:])
    assert {each.data["calibration"]["marks"] for each in found} == {"10" * 4, "01" * 4}
    metrics = scored(tmp_path, found)[1]
    assert (metrics["judge/calibration"].value, metrics["judge/calibration"].n) == (50.0, 8)
    assert metrics["judge/drift"].value == 8


def test_of_three_grades_the_calibration_set_knows_consistency(tmp_path: Path, service: Service) -> None:
    service.reply = lambda body: "Consistency: 2\nRealism: 0\nAesthetic Quality: 1"
    (evidence, *_) = judge(service, "wise").observe(pairs(tmp_path, Wise)[:1])
    assert evidence.data["calibration"]["marks"] == "10" * 4
    assert judge(service, "wise").card["calibration"] != judge(service).card["calibration"]


def test_the_toy_s_judge_by_rule_is_right_about_the_whole_calibration_set(tmp_path: Path) -> None:
    for name, kind in (("wise", Wise), ("wise_verified", WiseVerified)):
        row = {**ROW, "Explanation": "A red apple. Is there an apple?", "prompt_id": 1}
        (tmp_path / "toy.json").write_text(json.dumps([row]))
        (sample,) = kind(str(tmp_path / "toy.json")).samples()
        (evidence,) = Judge(name, world="toy").observe([(sample, drawn(tmp_path, sample))])
        assert evidence.data["calibration"]["marks"] == "1" * 8
        assert evidence.data["runs"][0]["calls"][0]["model"] == "grader-rule-wise-1"


# -- a judge on this machine --------------------------------------------------------------------------


def test_a_local_model_judges_and_every_reply_is_kept(tmp_path: Path) -> None:
    save_vision_language_model(tmp_path / "vlm")
    task = Judge("wise_verified", judge=f"hf:{tmp_path / 'vlm'}", judge_max_tokens=3, device="cpu")
    ((sample, prediction), *_) = pairs(tmp_path)
    first, second = (task.observe([(sample, prediction)])[0] for _ in range(2))
    assert first == second
    calls = first.data["runs"][0]["calls"]
    assert calls and all(call["model"].startswith("hf:vlm#") for call in calls)
    assert len(first.data["calibration"]["marks"]) == 8
    assert task.card["judge"] == "hf:vlm"
    assert str(tmp_path) not in json.dumps(task.card) + json.dumps(first.data)


def test_a_local_judge_has_no_address(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="leave out --judge-base-url"):
        Judge("wise", judge="hf:a/b", judge_base_url="http://localhost:1/v1")


def test_the_protocol_texts_are_the_makers() -> None:
    # SHA-256 of system and user text of PKU-YuanGroup/WISE eb51174 with {PROMPT} and {EXPLANATION} in their places.
    assert (GRADER.digest, VERIFIED_GRADER.digest) == ("71c80b87", "d419fd7d")


def test_a_failed_calibration_request_is_no_verdict_and_stops_nothing(tmp_path: Path, service: Service) -> None:
    task = judge(service, judge_retries=0, judge_concurrency=1)
    service.reply = lambda body: "Score: 1" if len(service.asked) != 3 else Fault(500, "{}")
    (evidence,) = task.observe(pairs(tmp_path)[:1])
    assert evidence.data["calibration"]["marks"] == "10-01010"
    assert evidence.error is None


def test_a_folder_of_pictures_as_the_makers_name_them_is_judged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for sample in WiseVerified("toy").samples():
        drawn(tmp_path, sample)
    asked = ["score", "-b", "wise_verified", "--images", str(tmp_path), "--pattern", "{id}.png", "--data", "toy"]
    assert cli.main([*asked, "--judge", "rule", "-o", str(tmp_path / "runs"), "--json"]) == 0
    metrics = json.loads(capsys.readouterr().out)["metrics"]
    assert metrics["official/overall"]["value"] == 0.0  # all are plain red
    assert metrics["judge/calibration"]["value"] == 100.0
