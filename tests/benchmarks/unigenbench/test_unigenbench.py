"""UniGenBench: replies of all kinds read, its dimensions by hand, and a judge that is shown pictures over HTTP."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from janus_eval.benchmarks.judging.judge import Judge
from janus_eval.benchmarks.unigenbench import rules
from janus_eval.benchmarks.unigenbench.benchmark import UniGenBench, UniGenBenchCn, UniGenBenchCnLong, UniGenBenchLong
from janus_eval.benchmarks.unigenbench.grader import CHINESE_GRADER, GRADER
from janus_eval.benchmarks.unigenbench.wording import CHINESE, ENGLISH
from janus_eval.evals.commands import cli
from janus_eval.evals.errors import UsageError
from janus_eval.evals.stats import Estimate
from janus_eval.evals.types import Evidence, Prediction, Sample, Score
from PIL import Image
from support.chat_server import Service, serving

KINDS = ["Style", "Attribute - Color", "Attribute - Size"]
MEANT = ["ink", "a red {cat}", "large"]
REPLY = "<description><analysis>['a', 'b', 'c']</analysis><score>[1, 0, 1]</score></description>"


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-x")
    with serving(Service(reply=lambda body: REPLY)) as running:
        yield running


def row(index: Any, kinds: Any = KINDS, meant: Any = MEANT, **more: Any) -> dict[str, Any]:
    told = {"Primary Categories": "Art", "Testpoints": kinds, "Testpoint Description": meant}
    return {"index": index, "prompt_en": "ink of a {red} cat", "sub_dims_en": json.dumps(told), **more}


def suite(folder: Path, *rows: dict[str, Any]) -> UniGenBench:
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(each) + "\n" for each in rows or (row(0),)))
    return UniGenBench(str(path))


def drawn(folder: Path, sample: Sample, index: int = 0) -> Prediction:
    path = folder / f"{sample.id}_{index}.png"
    Image.new("RGB", (8, 8), "red").save(path)
    return Prediction(sample.id, index, kind="image", image=path)


def judge(service: Service) -> Judge:
    return Judge("unigenbench", judge="vlm", judge_base_url=service.url, judge_timeout=5.0, judge_retries=1)


def seen(*values: Any) -> Evidence:
    return Evidence("", data={"runs": [{"value": each, "calls": []} for each in values]})


def lists(analysis: str, score: str) -> str:
    return f"<analysis>{analysis}</analysis>\n<score>\n {score} </score>"


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (lists("['a', 'b']", "[1, 0]"), [1, 0]),
        (lists("('a', 'b')", "(1.0, 0)"), [1, 0]),
        (lists("['a', 'b', 'c']", "[1, 0]"), None),
        (lists("['a', 'b']", "[1]"), None),
        (lists("['a' 'b']", "[1, 0]"), None),
        (lists("['a', it's]", "[1, 0]"), None),
        (lists("['a', 'b']", "[1, 0.5]"), None),
        (lists("['a', 'b']", "[True, False]"), None),
        (lists("['a', 'b']", "['1', '0']"), None),
        (lists("['a', 'b']", "'10'"), None),
        (lists("['a', 'b']", "__import__('os')"), None),
        (lists("['a', 'b']", "[" * 5000), None),
        (lists("{[]: 1}", "[1, 0]"), None),
        (lists(r"['\d', 'b']", "[1, 0]"), [1, 0]),
        ("<score>[1, 0]</score>", None),
        ("I cannot judge this.", None),
        ("", None),
    ],
)
def test_verdicts(reply: str, expected: list[int] | None) -> None:
    assert rules.verdicts(reply, 2) == expected


def test_27_kinds_in_ten_dimensions() -> None:
    assert len(ENGLISH.checkpoints) == 27
    assert len({*map(rules.primary, ENGLISH.checkpoints)}) == 10
    assert {*map(CHINESE.english, CHINESE.checkpoints)} == {*ENGLISH.checkpoints}


@pytest.mark.parametrize("lost", ENGLISH.checkpoints)
def test_a_number_that_lacks_one_kind_is_a_part(lost: str) -> None:
    def made(kinds: Sequence[str]) -> Mapping[str, Estimate]:
        details = {"checkpoints": list(kinds), "met": [1.0] * len(kinds)}
        return rules.estimates([Score("0", 0, "official", 1.0, details=details)], "official")

    whole = made(tuple(ENGLISH.checkpoints))
    assert len(whole) == 1 + 10 + 27 - 4 and not any(each.absent for each in whole.values())
    found = made([each for each in ENGLISH.checkpoints if each != lost])
    short = {key for key, each in found.items() if each.absent}
    dimension = f"official/{rules.slug(rules.primary(lost))}"
    assert short == {"official/overall", dimension} & found.keys()
    assert rules.slug(lost) in found["official/overall"].absent


def test_dimensions_and_overall_by_hand(tmp_path: Path) -> None:
    """Checkpoints are counted: of two pictures style 1 of 2, colour 0 of 2, size 2 of 2: attribute 2 of 4."""
    bench = suite(tmp_path)
    sample = bench.samples()[0]
    scores = [
        score
        for index, said in enumerate(([1, 0, 1], [0, 0, 1]))
        for score in bench.score(sample, Prediction(sample.id, index, kind="image"), seen(said))
    ]
    assert [each.value for each in scores] == pytest.approx([2 / 3, 1 / 3])
    metrics = {key: each.value for key, each in bench.aggregate(scores).items()}
    assert metrics["official/style"] == 50.0 and metrics["official/attribute (part)"] == 50.0
    assert (metrics["official/attribute_color"], metrics["official/attribute_size"]) == (0.0, 100.0)
    assert metrics["official/overall (part)"] == 50.0 and metrics["official/overall"] is None
    assert "grammar" in bench.aggregate(scores)["official/overall"].absent
    assert scores[0].reason == "not met: Attribute - Color"


def test_runs_of_a_judge_are_averaged_and_one_without_a_verdict_leaves_none(tmp_path: Path) -> None:
    bench = suite(tmp_path)
    sample = bench.samples()[0]
    (score,) = bench.score(sample, Prediction(sample.id, kind="image"), seen([1, 1, 1], [1, 1, 0]))
    assert score.value == pytest.approx(5 / 6)
    (score,) = bench.score(sample, Prediction(sample.id, kind="image"), seen([1, 1, 1], None))
    assert score.value is None
    for wrong in ([1], [1, 1, 2], ["1", "1", "1"]):
        with pytest.raises(UsageError, match="remove it to judge again"):
            bench.score(sample, Prediction(sample.id, kind="image"), seen(wrong))


@pytest.mark.parametrize(
    "wrong",
    [
        row("x"),
        row(-1),
        row(0, kinds=["Colour"], meant=["red"]),
        row(0, meant=["ink"]),
        row(0, kinds="Style", meant="a"),
        row(0, kinds=[], meant=[]),
        row(0, sub_dims_en="{"),
        row(0, sub_dims_en="[]"),
    ],
)
def test_a_row_that_is_none_is_refused(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"rows\.jsonl line 1"):
        suite(tmp_path, wrong).samples()


def test_a_prompt_that_stands_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="index 3 stands twice"):
        suite(tmp_path, row(3), row("3")).samples()


def test_the_judge_is_asked_about_each_checkpoint_behind_the_makers_text(tmp_path: Path, service: Service) -> None:
    sample = suite(tmp_path).samples()[0]
    pair = (sample, drawn(tmp_path, sample, 3))
    (evidence,) = judge(service).observe([pair])
    body = service.asked[-1]
    (user,) = body["messages"]
    text, picture = user["content"]
    assert "「ink of a {red} cat」" in text["text"]
    assert "from the angles specified in ['Style', 'Attribute - Color', 'Attribute - Size']. " in text["text"]
    assert (
        "Checkpoints Description:「\nStyle: ink\nAttribute - Color: a red {cat}\nAttribute - Size: large\n」"
        in text["text"]
    )
    assert base64.b64decode(picture["image_url"]["url"].partition(",")[2]) == (tmp_path / "0_3.png").read_bytes()
    assert (body["temperature"], body["max_tokens"]) == (1.0, 4096)
    assert evidence.data["runs"][0]["value"] == [1, 0, 1]
    assert evidence.data["calibration"]["marks"] == "-" * 8  # three verdicts where two were asked for


def test_a_reply_without_verdicts_is_asked_three_times_and_is_no_zero(tmp_path: Path, service: Service) -> None:
    bench = suite(tmp_path)
    sample = bench.samples()[0]
    pair = (sample, drawn(tmp_path, sample))
    task = judge(service)
    task.observe([pair])
    before = len(service.asked)
    service.reply = lambda body: lists("['a', 'b', 'c']", "[1, 0, maybe]")
    (evidence,) = task.observe([pair])
    assert len(service.asked) - before == 3
    (score,) = bench.score(*pair, evidence)
    assert score.value is None and "no 3 verdicts in 3 replies" in score.reason
    metrics = bench.aggregate([score])
    assert metrics["official/overall"].value is None and metrics["official/overall"].absent


def test_the_protocol_texts_are_the_makers() -> None:
    # SHA-256 of each language's template and its explanations: CodeGoat24/UniGenBench 49d0bce, eval/src/eval_common.py.
    assert (GRADER.digest, CHINESE_GRADER.digest) == ("037471bf", "5d354598")


def chinese(folder: Path, kinds: Any = ("风格", "属性-颜色")) -> UniGenBenchCn:
    told = {"一级垂类": "艺术", "考点": list(kinds), "考点对应描述": ["水墨", "红色的猫"]}
    row = {"index": 0, "prompt_zh": "水墨画：一只红猫", "sub_dims_zh": json.dumps(told)}
    (folder / "zh.jsonl").write_text(json.dumps(row))
    return UniGenBenchCn(str(folder / "zh.jsonl"))


def test_a_chinese_prompt_is_asked_about_in_chinese_and_counts_under_the_english_names(
    tmp_path: Path, service: Service
) -> None:
    bench = chinese(tmp_path)
    sample = bench.samples()[0]
    service.reply = lambda body: lists("['甲', '乙']", "[1, 0]")
    task = Judge("unigenbench_cn", judge="vlm", judge_base_url=service.url, judge_timeout=5.0, judge_retries=1)
    pair = (sample, drawn(tmp_path, sample))
    (evidence,) = task.observe([pair])
    text = service.asked[-1]["messages"][0]["content"][0]["text"]
    assert text.startswith("你是一个精确且客观的中文图像描述系统。") and "「水墨画：一只红猫」" in text
    assert "需要根据['风格', '属性-颜色']中的这些角度" in text
    assert "考点描述说明:「\n风格: 水墨\n属性-颜色: 红色的猫\n」" in text
    metrics = {key: each.value for key, each in bench.aggregate(bench.score(*pair, evidence)).items()}
    assert (metrics["official/style"], metrics["official/attribute_color"]) == (100.0, 0.0)
    with pytest.raises(UsageError, match="27 kinds"):
        chinese(tmp_path, ("Style", "属性-颜色")).samples()


def test_a_comma_that_a_row_lacks_is_put_in_and_named_and_nothing_else_is(tmp_path: Path) -> None:
    """As row 509 of the makers' long English table: two kinds side by side, on which their own script ends."""
    whole = row(509)["sub_dims_en"]
    cut = whole.replace('"Style", ', '"Style" ')
    bench = suite(tmp_path, row(0), row(509, sub_dims_en=cut))
    assert bench.samples()[1].target["checkpoints"] == KINDS
    assert bench.card["mended"] == ["509"] and "mended" not in suite(tmp_path, row(509)).card
    for other in (whole.replace('"Style", ', "Style, "), whole[:-1], cut.replace('"ink", ', '"ink" '), cut + '"'):
        with pytest.raises(UsageError, match=r"rows\.jsonl line 1"):
            suite(tmp_path, row(509, sub_dims_en=other)).samples()


@pytest.mark.parametrize("kind", [UniGenBench, UniGenBenchLong, UniGenBenchCn, UniGenBenchCnLong])
def test_the_toy_is_drawn_and_judged_by_rule(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: type[UniGenBench]
) -> None:
    (tmp_path / "drawn").mkdir()
    for sample in kind("toy").samples():
        for index in range(4):
            drawn(tmp_path / "drawn", sample, index)
    asked = ["score", "-b", kind.name, "--images", str(tmp_path / "drawn"), "--data", "toy", "--judge", "rule"]
    assert cli.main([*asked, "-o", str(tmp_path / "runs"), "--json"]) == 0
    metrics = json.loads(capsys.readouterr().out)["metrics"]
    assert metrics["judge/calibration"]["value"] == 100.0
    assert 0 <= metrics["official/overall"]["value"] < 60
    assert (
        len([key for key in metrics if key.startswith("official/")]) == 17
    )  # overall, 10 dimensions, 6 kinds below one
