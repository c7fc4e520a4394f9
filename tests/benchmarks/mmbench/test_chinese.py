"""MMBench-CN: the Chinese lines of the tools that have one, circular as dev-en."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from janus_eval.benchmarks.mmbench.benchmark import read
from janus_eval.benchmarks.mmbench.chinese import MmBenchCn
from support.chat_server import Service, serving
from support.predictions import value, write

FRUIT = ("苹果", "香蕉", "樱桃", "榴莲")
OPTIONS = dict(zip("ABCD", FRUIT, strict=True))
VERDICTS = [  # answer, and whether VLMEvalKit and lmms-eval read the right letter, B
    ("B", 1, 1),
    ("B. 香蕉", 1, 1),
    ("答案是香蕉。", 1, 1),
    ("香蕉", 1, 1),
    ("答案是B", 0, 0),
    ("选择 B", 1, 1),
    ("（B）", 0, 0),
    ("苹果或香蕉", 0, 0),
    ("", 0, 0),
]


def rolled(answers: tuple[str, ...]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for k, said in enumerate(answers):
        options = {"ABCD"[(at + k) % 4]: fruit for at, fruit in enumerate(FRUIT)}
        row = {"index": 1 + k * 1_000_000, "question": "图中是什么?", **options, "answer": "ABCD"[(1 + k) % 4]}
        rows.append({**row, "response": said})
    return rows


@pytest.mark.parametrize(("text", "vlmevalkit", "lmms"), VERDICTS)
def test_a_letter_of_mmbench_cn(text: str, vlmevalkit: int, lmms: int) -> None:
    found = read(text, {"answer": "B", "options": OPTIONS, "nan": []})
    assert {name: found[name][1] for name in ("vlmevalkit-2026", "lmms-eval")} == {
        "vlmevalkit-2026": vlmevalkit,
        "lmms-eval": lmms,
    }


def test_the_prompts_of_mmbench_cn(tmp_path: Path) -> None:
    file = write(tmp_path / "t.jsonl", {**rolled(("B",))[0], "image": "p" * 70})
    prompts = {preset: MmBenchCn(data=str(file), preset=preset).samples()[0].prompt for preset in MmBenchCn.presets}
    assert prompts["llava"] == "图中是什么?\nA. 苹果\nB. 香蕉\nC. 樱桃\nD. 榴莲\n请直接回答选项字母。"
    assert prompts["lmms-eval"] == (
        "图中是什么? There are several options:\nA. 苹果\nB. 香蕉\nC. 樱桃\nD. 榴莲\n\n"
        "请直接使用所提供的选项字母作为答案回答。"
    )
    assert prompts["official"].startswith("Question: 图中是什么?\nOptions:\nA. 苹果\n")


def test_a_judge_is_asked_in_chinese_and_every_roll_must_be_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    file = write(tmp_path / "p.jsonl", *rolled(("B", "黄色的水果", "D", "A")))
    assert value(MmBenchCn().rescore(predictions=file), "official/circular") == 0
    with serving(Service(reply=lambda body: "C")) as service:
        scored = MmBenchCn().rescore(predictions=file, judge="j", judge_base_url=service.url)
    assert value(scored, "official-judge/circular") == 100
    assert "你是一个帮助我匹配答案" in service.asked[0]["messages"][0]["content"]
