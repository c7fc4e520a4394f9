"""What every understanding suite says about bad rows, and the toy world through all of them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from janus_eval.benchmarks.gqa import Gqa
from janus_eval.benchmarks.mm_vet.benchmark import MmVet
from janus_eval.benchmarks.mmbench.benchmark import MmBench
from janus_eval.benchmarks.mme import Mme
from janus_eval.benchmarks.mmmu.benchmark import Mmmu
from janus_eval.benchmarks.pope import Pope
from janus_eval.benchmarks.seed_bench import SeedBench
from janus_eval.evals.errors import UsageError
from janus_eval.evals.types import Prediction
from support.predictions import write


@pytest.mark.parametrize(
    ("suite", "row", "column"),
    [
        (Pope, {"id": 1, "category": "random", "response": "x"}, "answer"),
        (Mme, {"category": "OCR", "image": "a", "response": "x"}, "answer"),
        (MmBench, {"index": 1, "A": "x", "B": "y", "response": "x"}, "answer"),
        (MmBench, {"index": 1, "answer": "A", "response": "x"}, "A"),
        (SeedBench, {"id": 1, "response": "x"}, "answer"),
        (Gqa, {"id": 1, "response": "x"}, "answer"),
        (Mmmu, {"id": 1, "options": ["x", "y"], "response": "x"}, "answer"),
        (MmVet, {"id": 1, "response": "x"}, "capability"),
    ],
)
def test_a_missing_column_is_named_with_file_and_line(tmp_path: Path, suite: Any, row: Any, column: str) -> None:
    with pytest.raises(UsageError, match=rf"p.jsonl line 1: no column '{column}'.*--data PATH"):
        suite().rescore(predictions=write(tmp_path / "p.jsonl", row))


@pytest.mark.parametrize(
    ("suite", "row"),
    [
        (Pope, {"id": 1, "category": "random", "answer": "maybe"}),
        (Mme, {"category": "OCR", "image": "a", "answer": "maybe"}),
        (SeedBench, {"id": 1, "answer": "E"}),
        (Mmmu, {"id": 1, "options": ["x", "y"], "answer": "C"}),
    ],
)
def test_a_wrong_label_is_named(tmp_path: Path, suite: Any, row: Any) -> None:
    with pytest.raises(UsageError, match=r"p.jsonl line 1: column 'answer' holds"):
        suite().rescore(predictions=write(tmp_path / "p.jsonl", {**row, "response": "x"}))


def test_a_row_with_two_answers_is_odd_unless_they_agree(tmp_path: Path) -> None:
    rows = [{"id": n, "category": "random", "answer": "yes", "response": "yes"} for n in range(3)]
    agree, differ = {**rows[0], "prediction": "yes"}, {**rows[0], "prediction": "no"}
    found = Pope().rescore(predictions=write(tmp_path / "p.jsonl", agree, *rows[1:]))
    assert (found.n, found.unscored) == (3, 0)
    found = Pope().rescore(predictions=write(tmp_path / "p.jsonl", differ, *rows[1:]))
    assert (found.n, found.unscored) == (3, 1)
    with pytest.raises(UsageError, match=r"p.jsonl line 1: response and prediction differ: which is the answer"):
        Pope().rescore(predictions=write(tmp_path / "p.jsonl", differ))


def test_an_id_that_the_data_lacks_is_named(tmp_path: Path) -> None:
    data = write(tmp_path / "gqa.jsonl", {"id": "1", "question": "q", "answer": "a"})
    with pytest.raises(UsageError, match=r"p.jsonl line 1: id '2' is not in the data set \(1 samples\)"):
        Gqa().rescore(predictions=write(tmp_path / "p.jsonl", {"id": "2", "response": "a"}), data=data)


def test_scoring_needs_no_torch() -> None:
    code = (
        "import sys\n"
        "from janus_eval.benchmarks import gqa, mm_vet, mme, mmmu, pope, seed_bench\n"
        "from janus_eval.benchmarks.mmbench import benchmark\n"
        "heavy = {'torch', 'transformers', 'pandas', 'datasets', 'openai', 'pyarrow'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("suite", [Pope, Mme, MmBench, SeedBench, Gqa, Mmmu, MmVet])
def test_the_toy_world_runs_through_every_suite(suite: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JANUS_EVAL_CACHE", str(tmp_path))
    made = suite(data="toy")
    samples = made.samples()
    assert all(each.images and each.images[0].read()[:4] == b"\x89PNG" for each in samples)
    assert len({each.id for each in samples}) == len(samples) == made.card["rows"]
    scores = [score for each in samples for score in made.score(each, Prediction(each.id, text="A"))]
    assert made.headline in made.aggregate(scores)
    assert suite(data="toy").card == made.card


@pytest.mark.parametrize("suite", [Pope, Mme, MmBench, SeedBench, Gqa, Mmmu, MmVet])
def test_a_score_without_a_file_is_a_wrong_request(suite: Any) -> None:
    with pytest.raises(UsageError, match="no file of predictions"):
        suite().rescore()
