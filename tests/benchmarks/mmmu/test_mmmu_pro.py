"""MMMU-Pro: the line "Answer: X", ten options, guesses that nobody draws, screenshots."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from janus_eval.benchmarks.mmmu.pro import MmmuPro, MmmuProVision, read
from support.predictions import on_the_hub, picture, told, value, write

WORDS = ("red", "green", "blue", "a dog", "a cat", "seven", "eight", "None", "left", "right")
OPTIONS = dict(zip("ABCDEFGHIJ", WORDS, strict=True))
VERDICTS = [  # answer, and the letters that the official parser, VLMEvalKit and lmms-eval read
    ("J", "J", "J", "J"),
    ("(J)", "J", "J", "J"),
    ("First A, then C.\nAnswer: J", "J", None, "J"),
    ("Answer: $J", "J", None, "J"),
    ("Answer: A or J", "J", None, "J"),
    ("Answer: J\nAnswer: B", "B", None, "B"),
    ("A. red", "A", "A", "A"),
    ("It is red, not blue", None, None, None),
    ("I think that it is the red one here", "I", "A", "I"),
    ("eight", None, "G", None),
    ("Ответ J", "J", "J", "J"),
    ("", None, None, None),
]


@pytest.mark.parametrize(("text", "official", "vlmevalkit", "lmms"), VERDICTS)
def test_a_letter_of_mmmu_pro(text: str, official: str | None, vlmevalkit: str | None, lmms: str | None) -> None:
    found = {name: letter for name, (letter, _, _) in read(text, target("J")).items()}
    assert found == {"official": official, "vlmevalkit-2026": vlmevalkit, "lmms-eval": lmms}


def target(answer: str, *, seen: bool = False) -> dict[str, Any]:
    return {"answer": answer, "options": OPTIONS, "seen": seen}


def test_lmms_eval_compares_an_answer_about_a_screenshot_as_a_whole() -> None:
    assert [read(said, target("J", seen=True))["lmms-eval"][1] for said in ("J", "J.", "(J)", "")] == [1, 0, 0, 0]


def rows(*said: str, subject: str = "Art") -> list[dict[str, Any]]:
    return [
        {"id": f"test_{subject}_{n}", "options": str(list(WORDS)), "answer": "J", "subject": subject, "response": each}
        for n, each in enumerate(said)
    ]


def test_a_guess_is_counted_and_wrong(tmp_path: Path) -> None:
    mine = [*rows("J", "?", "A"), *rows("J", subject="Math")]
    scored = MmmuPro().rescore(predictions=write(tmp_path / "p.jsonl", *mine))
    assert "official/accuracy" not in scored.metrics
    expected = {"accuracy_no_fallback": 50, "fallbacks": 1, "Math": 100, "domain_art_and_design": 100 / 3}
    assert {name: value(scored, f"official/{name}") for name in expected} == pytest.approx(expected)
    assert value(scored, "vlmevalkit-2026/accuracy") == 50


def hub(folder: Path, monkeypatch: pytest.MonkeyPatch, **row: Any) -> str:
    options = str(["<image 2>", "<image 1>"])
    row = {"id": "test_Art_1", "options": options, "answer": "B", "subject": "Art", **row}
    name = "vision" if "image" in row else "standard (10 options)"
    on_the_hub(folder / name / "test-00000-of-00001.parquet", [row], monkeypatch)
    return str(folder)


def test_pictures_follow_the_text_in_the_official_presets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = {f"image_{n}": picture(f"p{n}") for n in (1, 2)}
    data = hub(tmp_path, monkeypatch, question="Which is like <image 1>?", **pictures)
    samples = {preset: MmmuPro(data=data, preset=preset).samples()[0] for preset in MmmuPro.presets}
    shown = {preset: [each.read().decode() for each in sample.images] for preset, sample in samples.items()}
    assert shown["official"] == shown["cot"] == ["p1", "p2", "p1"]
    assert shown["lmms-eval"] == shown["vlmevalkit"] == ["p1", "p2"]
    assert samples["official"].prompt == (
        "Which is like <image>?\nA. <image>\nB. <image>\nAnswer with the option letter from the given choices directly."
    )
    assert samples["lmms-eval"].prompt.startswith("Which is like <image 1>?\nA. <image 2>\nB. <image 1>\n\nAnswer with")


def test_a_screenshot_is_asked_without_its_question(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (sample,) = MmmuProVision(data=hub(tmp_path, monkeypatch, image=picture("p"))).samples()
    assert sample.prompt.startswith("Answer with the option letter from the given choices directly. The last line")
    assert len(sample.images) == 1


@pytest.mark.parametrize("change", [{"options": "[]"}, {"options": "no list"}, {"options": None}, {"answer": "K"}])
def test_a_row_of_mmmu_pro_that_cannot_be_scored_is_named(tmp_path: Path, change: dict[str, Any]) -> None:
    row = {**rows("J")[0], **change}
    assert "line 1: " in told(lambda: MmmuPro().rescore(predictions=write(tmp_path / "p.jsonl", row)))
