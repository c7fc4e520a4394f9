"""AI2D: a letter with a full stop or the whole answer, right answers by letter or by place."""

from __future__ import annotations

from pathlib import Path

import pytest
from janus_eval.benchmarks.ai2d import Ai2d, read
from support.predictions import on_the_hub, picture, told, value, write

OPTIONS = {"A": "frog", "B": "snake", "C": "grass", "D": "a hawk"}
VERDICTS = [  # answer, and whether VLMEvalKit and lmms-eval read the right letter, B
    ("B", 1, 1),
    ("b", 0, 1),
    ("B. snake", 1, 1),
    ("  B. is right, not A", 0, 1),
    ("(B)", 1, 1),
    ("B)", 1, 1),
    ("B snake", 1, 0),
    ("snake", 1, 0),
    ("The answer is B", 1, 0),
    ("A snake eats frogs", 0, 0),
    ("\n\nB.", 1, 1),
    ("Б", 0, 0),
    ("", 0, 0),
]


@pytest.mark.parametrize(("text", "vlmevalkit", "lmms"), VERDICTS)
def test_a_letter_of_ai2d(text: str, vlmevalkit: int, lmms: int) -> None:
    found = {name: verdict for name, (_, verdict, _) in read(text, {"answer": "B", "options": OPTIONS}).items()}
    assert found == {"vlmevalkit-2026": vlmevalkit, "lmms-eval": lmms}


def test_ai2d_counts_questions_by_category(tmp_path: Path) -> None:
    said = (("A", "web"), ("A.", "web"), ("C", "cycle"))
    rows = [{"index": n, **OPTIONS, "answer": "A", "response": s, "category": c} for n, (s, c) in enumerate(said)]
    scored = Ai2d().rescore(predictions=write(tmp_path / "p.jsonl", *rows))
    expected = {"accuracy": 200 / 3, "web": 100, "cycle": 0}
    for protocol in ("vlmevalkit-2026", "lmms-eval"):
        assert {name: value(scored, f"{protocol}/{name}") for name in expected} == pytest.approx(expected)


def test_the_hub_tells_the_place_of_the_right_option(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = {"question": "Who?", "options": list(OPTIONS.values()), "answer": "3", "image": picture("p")}
    on_the_hub(tmp_path / "data" / "test-00000-of-00001.parquet", [row], monkeypatch)
    (sample,) = Ai2d(data=str(tmp_path), preset="lmms-eval").samples()
    assert sample.target == {"answer": "D", "options": OPTIONS}
    assert sample.prompt == (
        "Who?\nA. frog\nB. snake\nC. grass\nD. a hawk\nAnswer with the option's letter from the given choices directly."
    )


@pytest.mark.parametrize("change", [{"answer": "4"}, {"answer": "-1"}, {"answer": "E"}, {"options": []}])
def test_a_row_of_ai2d_that_cannot_be_asked_is_named(tmp_path: Path, change: dict[str, object]) -> None:
    row = {"id": 0, "options": list(OPTIONS.values()), "answer": "3", "response": "D", **change}
    assert "line 1: " in told(lambda: Ai2d().rescore(predictions=write(tmp_path / "p.jsonl", row)))
