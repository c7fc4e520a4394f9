"""ChartQA: numbers within five percent, percent signs, lists of right answers, the two splits."""

from __future__ import annotations

from pathlib import Path

import pytest
from janus_eval.benchmarks.chartqa import ChartQa, read, relaxed
from support.predictions import told, value, write


@pytest.mark.parametrize(
    ("said", "gold", "right"),
    [
        ("105", "100", True),
        ("95", "100", True),
        ("105.1", "100", False),
        ("-100", "100", False),
        ("12%", "0.12", True),
        ("12", "12%", False),
        ("0", "0", True),
        ("0.0", "0", False),
        ("Yes", "yes", True),
        ("1,200", "1200", False),
        ("1e2", "100", True),
        ("nan", "100", False),
        ("100", "nan", False),
        ("inf", "100", False),
        ("%", "100", False),
        ("１０４", "100", True),
        ("hundred", "100", False),
        ("100.", "100", True),
        ("The answer is 100", "100", False),
        ("", "100", False),
    ],
)
def test_relaxed_accuracy(said: str, gold: str, right: bool) -> None:
    assert relaxed(said, gold) is right


@pytest.mark.parametrize(
    ("said", "gold", "vlmevalkit", "lmms"),
    [
        ("blue\n", "Blue", 1, 0),
        (" 20", "20", 1, 1),
        ("b", "['a', 'b']", 1, 0),
        ("2008", "[2007, 2008]", 1, 0),
        ("[Yes, No]", "[Yes, No]", 1, 1),
        ("[]", "[]", 1, 1),
    ],
)
def test_vlmevalkit_strips_and_knows_lists(said: str, gold: str, vlmevalkit: int, lmms: int) -> None:
    found = {name: verdict for name, (_, verdict, _) in read(said, [gold]).items()}
    assert found == {"vlmevalkit-2026": vlmevalkit, "lmms-eval": lmms}


@pytest.mark.parametrize("names", [("test_human", "test_augmented"), ("human_test", "augmented_test")])
def test_chartqa_has_a_number_for_each_split(tmp_path: Path, names: tuple[str, str]) -> None:
    rows = [{"id": n, "type": names[n > 0], "answer": "7", "response": "7" if n < 2 else "x"} for n in range(4)]
    scored = ChartQa().rescore(predictions=write(tmp_path / "p.jsonl", *rows))
    assert [value(scored, f"lmms-eval/{name}") for name in ("accuracy", "human")] == [50, 100]
    assert value(scored, "vlmevalkit-2026/augmented") == pytest.approx(100 / 3)


def test_the_prompts_of_chartqa(tmp_path: Path) -> None:
    file = write(tmp_path / "t.jsonl", {"question": "How many?", "answer": "7", "image": "p" * 70})
    prompts = {preset: ChartQa(data=str(file), preset=preset).samples()[0].prompt for preset in ChartQa.presets}
    assert prompts["official"] == "How many?"
    assert prompts["lmms-eval"] == "How many?\nAnswer the question with a single word."
    assert prompts["vlmevalkit"] == "How many?\nAnswer the question using a single word or phrase."


@pytest.mark.parametrize("answer", [None, {}, [], [["7"]], True])
def test_a_right_answer_of_chartqa_that_is_none_is_named(tmp_path: Path, answer: object) -> None:
    row = {"id": 0, "answer": answer, "response": "7"}
    assert "column 'answer'" in told(lambda: ChartQa().rescore(predictions=write(tmp_path / "p.jsonl", row)))
