"""TIIF-Bench: replies of all kinds read, its groups by hand, and a judge that is shown pictures over HTTP."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from janus_eval.benchmarks.judging.judge import Judge
from janus_eval.benchmarks.tiif import rules
from janus_eval.benchmarks.tiif.benchmark import Tiif, TiifMini
from janus_eval.benchmarks.tiif.grader import GRADER, texts
from janus_eval.evals.assets.catalogue import CATALOGUE
from janus_eval.evals.commands import cli
from janus_eval.evals.errors import UsageError
from janus_eval.evals.types import Evidence, Prediction, Sample, Score
from PIL import Image
from support.chat_server import Service, serving

QUESTIONS = ["Is there a cat in the image?  ", "Is the cat red?", "Is there a dog?"]


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-x")
    with serving(Service(reply=lambda body: "yes, a cat\nYes\nNo.")) as running:
        yield running


def row(kind: str, **more: Any) -> dict[str, Any]:
    told = {"type": kind, "short_description": "a red cat", "long_description": "a cat, red and alone"}
    return {**told, "yn_question_list": QUESTIONS, "yn_answer_list": ["yes", "Yes", "no"], **more}


def suite(folder: Path, *rows: dict[str, Any]) -> Tiif:
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(each) + "\n" for each in rows or (row("style"),)))
    return Tiif(str(path))


def drawn(folder: Path, sample: Sample) -> Prediction:
    path = folder / f"{sample.id}.png"
    Image.new("RGB", (8, 8), "red").save(path)
    return Prediction(sample.id, kind="image", image=path)


def judge(service: Service, **options: Any) -> Judge:
    return Judge("tiif", judge="vlm", judge_base_url=service.url, judge_timeout=5.0, judge_retries=1, **options)


def seen(*values: Any) -> Evidence:
    return Evidence("", data={"runs": [{"value": each, "calls": []} for each in values]})


# -- rules --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("yes\nno\nyes", ["yes", "no", "yes"]),
        ("Yes, it is.\n\n  NO: none\nyes - so", ["yes", "no", "yes"]),
        ("Here are the answers:\nyes\nno\nno", ["yes", "no", "no"]),
        ("yes\nno", None),
        ("yes\nno\nyes\nno", None),
        ("1. yes\n2. no\n3. yes", None),
        ("yesterday\nnothing\nyes\nno\nno", ["yes", "no", "no"]),
        ("**yes**\nno\nyes", None),
        ("是\n否\n是", None),
        ("yes no yes", None),
        ("", None),
    ],
)
def test_answers(reply: str, expected: list[str] | None) -> None:
    assert rules.answers(reply, 3) == expected


def test_the_39_types_stand_in_nine_groups() -> None:
    """36 of them count: the makers' groups name texture+color and color+texture, and shape+texture."""
    assert len(rules.GROUPS) == 9 and len({*rules.TYPES}) == len(rules.TYPES) == 39


@pytest.mark.parametrize("lost", rules.TYPES)
def test_a_number_that_lacks_one_type_is_a_part(lost: str) -> None:
    def made(types: Sequence[str]) -> set[str]:
        tags = [{"type": each, "length": length} for each in types for length in rules.LENGTHS]
        known = {"questions": 2}
        scores = [Score(str(at), 0, "o", 1.0, tags=each, details=known) for at, each in enumerate(tags)]
        found = rules.estimates(scores, "o")
        return {key for key, each in found.items() if {lost, *group} & each.absent.keys()}

    group = [name for name, types in rules.GROUPS.items() if types == (lost,)]
    assert not made(rules.TYPES)
    (name,) = [name for name, types in rules.GROUPS.items() if lost in types]
    mean = [title for title, part in (("basic", rules.BASIC), ("advanced", rules.ADVANCED)) if name in part]
    short = {
        f"o/{each}_{length}" for each in ("overall", *mean, *([] if group else [name])) for length in rules.LENGTHS
    }
    assert made([each for each in rules.TYPES if each != lost]) == short


def test_groups_and_overall_by_hand(tmp_path: Path) -> None:
    """Of type questions are counted, of groups types are averaged: 3/3 and 1/3 are one style group of 4/6 questions."""
    bench = suite(tmp_path, row("style"), row("style", yn_question_list=["Is it?"], yn_answer_list=["no"]), row("text"))
    said = [["yes", "yes", "no"]] * 2 + [["yes"]] * 2 + [["no", "no", "no"]] * 2
    scores = [
        score
        for sample, values in zip(bench.samples(), said, strict=True)
        for score in bench.score(sample, Prediction(sample.id, kind="image"), seen(values))
    ]
    assert [each.value for each in scores] == pytest.approx([1, 1, 0, 0, 1 / 3, 1 / 3])
    metrics = bench.aggregate(scores)
    assert metrics["official/style_short"].value == pytest.approx(75.0)
    assert metrics["official/overall_short (part)"].value == pytest.approx((75 + 100 / 3) / 2)
    assert metrics["official/overall_long (part)"].value == metrics["official/advanced_long (part)"].value
    lacking = metrics["official/overall_short"]
    assert lacking.value is None and "real_world" in lacking.absent and "style" not in lacking.absent
    assert scores[2].reason == "not as asked: Is it?"


def test_runs_of_a_judge_are_averaged_and_one_without_a_verdict_leaves_none(tmp_path: Path) -> None:
    bench = suite(tmp_path)
    sample = bench.samples()[0]
    (score,) = bench.score(sample, Prediction(sample.id, kind="image"), seen(["yes"] * 3, ["yes", "yes", "no"]))
    assert score.value == pytest.approx(5 / 6)
    (score,) = bench.score(sample, Prediction(sample.id, kind="image"), seen(["yes"] * 3, None))
    assert score.value is None
    for wrong in (["yes"], ["yes", "yes", "maybe"], [1, 2, 3]):
        with pytest.raises(UsageError, match="remove it to judge again"):
            bench.score(sample, Prediction(sample.id, kind="image"), seen(wrong))


# -- data ---------------------------------------------------------------------------------------------


def test_the_makers_folder_is_read_pair_by_pair(tmp_path: Path) -> None:
    for part, keys in (
        ("", ("short_description", "long_description")),
        ("_eval", ("yn_question_list", "yn_answer_list")),
    ):
        folder = tmp_path / f"testmini{part}_prompts"
        folder.mkdir()
        for kind in ("style", "action+2d"):
            lines = [json.dumps({"type": kind, **{key: row(kind)[key] for key in keys}})] * 2
            (folder / f"{kind}{part}_prompts.jsonl").write_text("\n".join(lines) + "\n")
    bench = TiifMini(str(tmp_path))
    ids = [each.id for each in bench.samples()]
    assert ids[:3] == ["action+2d-0-short", "action+2d-0-long", "action+2d-1-short"] and len(ids) == 8
    assert bench.image_path(0, bench.samples()[3], 0) == "action+2d/long_description/1.png"
    (tmp_path / "testmini_eval_prompts" / "style_eval_prompts.jsonl").write_text(json.dumps(row("style")) + "\n")
    with pytest.raises(UsageError, match="1 rows for the 2 prompts"):
        TiifMini(str(tmp_path)).samples()
    with pytest.raises(UsageError, match="no test_prompts"):
        Tiif(str(tmp_path)).samples()


@pytest.mark.parametrize(
    "wrong",
    [
        row("colour"),
        row("style", yn_answer_list=["yes"]),
        row("style", yn_answer_list=["yes", "yes", "perhaps"]),
        row("style", yn_question_list="Is it?"),
        row("style", yn_question_list=[], yn_answer_list=[]),
    ],
)
def test_a_row_that_is_none_is_refused(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"rows\.jsonl line 1"):
        suite(tmp_path, wrong).samples()


def test_the_files_of_both_splits_are_known_by_their_content() -> None:
    known = {each.name: each for each in CATALOGUE}
    assert [len(known[name].files) for name in ("tiif", "tiif-mini")] == [78, 78]
    assert all(each.git_blob and each.urls[0].endswith(".jsonl") for each in known["tiif"].files)


# -- a judge at an endpoint ---------------------------------------------------------------------------


def test_the_judge_is_asked_all_questions_about_the_picture_at_once(tmp_path: Path, service: Service) -> None:
    sample = suite(tmp_path).samples()[0]
    (evidence,) = judge(service).observe([(sample, drawn(tmp_path, sample))])
    body = service.asked[-1]
    system, user = body["messages"]
    assert system["content"] == "You are a professional image critic."
    text, picture = user["content"]
    assert "Questions:\nIs there a cat in the image?\nIs the cat red?\nIs there a dog?\n\n" in text["text"]
    assert (
        base64.b64decode(picture["image_url"]["url"].partition(",")[2]) == (tmp_path / f"{sample.id}.png").read_bytes()
    )
    assert body["temperature"] == 1.0 and "max_tokens" not in body
    assert evidence.data["runs"][0]["value"] == ["yes", "yes", "no"]
    assert evidence.data["calibration"]["marks"] == "10" * 4


def test_a_reply_that_cannot_be_counted_is_asked_three_times_and_is_no_zero(tmp_path: Path, service: Service) -> None:
    bench = suite(tmp_path)
    sample = bench.samples()[0]
    pair = (sample, drawn(tmp_path, sample))
    task = judge(service)
    task.observe([pair])
    before = len(service.asked)
    service.reply = lambda body: "1. yes\n2. yes\n3. no"
    (evidence,) = task.observe([pair])
    asked = [each["messages"][1]["content"][0]["text"] for each in service.asked[before:]]
    assert len(asked) == 3
    (score,) = bench.score(*pair, evidence)
    assert score.value is None and "not 3 answers in 3 replies" in score.reason
    again = GRADER.step(sample, pair[1], [])
    assert asked[0] == getattr(again, "prompt", None)  # the same text every time


def test_the_protocol_texts_are_the_makers() -> None:
    # SHA-256 of the system text and the three raw prompts of A113N-W3I/TIIF-Bench 3aae750, eval/eval_with_vlm.py.
    assert (GRADER.digest, len(texts())) == ("d506b815", 3)


def test_the_toy_is_drawn_and_judged_by_rule(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "drawn").mkdir()
    for sample in TiifMini("toy").samples():
        drawn(tmp_path / "drawn", sample)
    asked = ["score", "-b", "tiif_mini", "--images", str(tmp_path / "drawn"), "--pattern", "{id}.png"]
    asked += ["--data", "toy", "--judge", "rule"]
    assert cli.main([*asked, "-o", str(tmp_path / "runs"), "--json"]) == 0
    metrics = json.loads(capsys.readouterr().out)["metrics"]
    assert metrics["judge/calibration"]["value"] == 100.0
    assert 0 <= metrics["official/overall_short"]["value"] < 60
    assert metrics["official/overall_short"]["n"] > 0
