"""MMStar: three readers of a letter, capabilities and parts, the hub's table that holds options in its questions."""

from __future__ import annotations

from pathlib import Path

import pytest
from janus_eval.benchmarks.mmstar import CAPABILITIES, MmStar, read
from support.predictions import on_the_hub, part, picture, told, value, write

OPTIONS = {"A": "a red cat", "B": "a blue dog", "C": "two cups", "D": "none"}
VERDICTS = [  # answer, and whether official, VLMEvalKit and lmms-eval read the right letter, B
    ("B", 1, 1, 1),
    ("b.", 1, 0, 0),
    ("(B) a blue dog", 1, 1, 1),
    ("Option B", 1, 1, 1),
    ("The answer is\nb", 1, 1, 0),
    ("The correct answer is B.", 0, 1, 1),
    ("a blue dog", 0, 1, 0),
    ("Blue dogs bark; B", 1, 1, 1),
    ("A or B", 0, 0, 0),
    ("B, as a long dog of this blue kind would", 1, 0, 1),
    ("答案是B", 0, 0, 1),
    ("Ｂ", 0, 0, 0),
    ("Beautiful", 1, 0, 1),
    ("", 0, 0, 0),
    (" (", 0, 0, 0),
]


@pytest.mark.parametrize(("text", "official", "vlmevalkit", "lmms"), VERDICTS)
def test_a_letter_of_mmstar(text: str, official: int, vlmevalkit: int, lmms: int) -> None:
    found = {name: verdict for name, (_, verdict, _) in read(text, {"answer": "B", "options": OPTIONS}).items()}
    assert found == {"official": official, "vlmevalkit-2026": vlmevalkit, "lmms-eval": lmms}


def rows(**more: str) -> list[dict[str, object]]:
    said = ("A", "A", "B", "A", "A", "A")
    return [
        {"index": n, **OPTIONS, "answer": "A", "category": name, "l2_category": "p", "response": each, **more}
        for n, (name, each) in enumerate(zip(CAPABILITIES, said, strict=True))
    ]


def test_mmstar_counts_questions_and_lmms_eval_averages_parts(tmp_path: Path) -> None:
    mine = [*rows(), {**rows()[0], "index": 9, "l2_category": "q", "response": "C"}]
    scored = MmStar().rescore(predictions=write(tmp_path / "p.jsonl", *mine))
    assert value(scored, "official/accuracy") == pytest.approx(500 / 7)
    assert value(scored, "official/coarse_perception") == 50
    assert value(scored, "official/science_technology") == 100
    assert value(scored, "lmms-eval/average") == pytest.approx((500 / 6 + 0) / 2)


def test_a_capability_of_which_no_row_is_there_withholds_the_whole(tmp_path: Path) -> None:
    assert part(MmStar().rescore(predictions=write(tmp_path / "p.jsonl", *rows()[:3])), "official/accuracy")


def test_the_hubs_questions_hold_their_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = {"index": 0, "question": "What?\nOptions: A: x, B: y", "answer": "B", "category": "math", "l2_category": "g"}
    on_the_hub(tmp_path / "hub" / "mmstar.parquet", [{**row, "image": picture("p")}], monkeypatch)
    (sample,) = MmStar(data=str(tmp_path / "hub")).samples()
    assert sample.prompt == f"{row['question']}\nAnswer with the option's letter from the given choices directly."
    assert set(read("B", sample.target)) == {"official", "lmms-eval"}


def test_the_prompts_of_mmstar(tmp_path: Path) -> None:
    file = write(tmp_path / "t.jsonl", {"index": 0, "question": "What?", **OPTIONS, "answer": "A", "image": "p" * 70})
    prompts = {preset: MmStar(data=str(file), preset=preset).samples()[0].prompt for preset in MmStar.presets}
    assert prompts["official"].startswith("Question: What?\nOptions:\nA. a red cat\n")
    assert prompts["lmms-eval"] == (
        "What?\nOptions: A: a red cat, B: a blue dog, C: two cups, D: none\n"
        "Answer with the option's letter from the given choices directly"
    )


@pytest.mark.parametrize("answer", ["E", "", 7, ["A"], "AB"])
def test_a_right_answer_that_is_no_option_is_named(tmp_path: Path, answer: object) -> None:
    row = {**rows()[0], "answer": answer}
    assert "column 'answer'" in told(lambda: MmStar().rescore(predictions=write(tmp_path / "p.jsonl", row)))
