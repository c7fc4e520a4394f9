"""SEED-Bench: the letter alone, the likelihood, the id that occurs twice."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from janus_eval.benchmarks.seed_bench import SeedBench
from janus_eval.evals.errors import UsageError
from janus_eval.evals.types import Prediction
from support.predictions import part, value, write


def test_seed_bench_wants_the_letter_alone(tmp_path: Path) -> None:
    said = ("A", "A.", "b", "C")
    rows = [{"id": n, "answer": "A", "response": text, "type": 1} for n, text in enumerate(said)]
    scored = SeedBench().rescore(predictions=write(tmp_path / "p.jsonl", *rows))
    assert part(scored, "official/image_accuracy") == 25
    assert part(scored, "lmms-eval/image_accuracy") == 50
    assert value(scored, "official/scene_understanding") == 25
    assert set(scored.extra["absent"]) == {"vlmevalkit-2024", "vlmevalkit-2026"}
    assert not any(key.startswith("vlmevalkit") for key in scored.metrics)


def test_a_seed_id_may_occur_twice_and_no_more(tmp_path: Path) -> None:
    rows = [{"question_id": "49914", "gt_answer": "A", "prediction": text} for text in ("A", "B")]
    scored = SeedBench().rescore(predictions=write(tmp_path / "p.jsonl", *rows))
    assert (scored.n, value(scored, "official/image_accuracy")) == (2, 50)
    assert scored.extra["duplicate_ids"] == ["49914"]
    with pytest.raises(UsageError, match="duplicate key '49914'"):
        SeedBench().rescore(predictions=write(tmp_path / "p.jsonl", *rows, rows[0]))


def test_videos_of_seed_bench_are_apart(tmp_path: Path) -> None:
    rows = [{"id": "1", "answer": "A", "response": "A"}, {"id": "v1", "answer": "A", "response": "B"}]
    scored = SeedBench().rescore(predictions=write(tmp_path / "p.jsonl", *rows))
    assert value(scored, "official/image_accuracy") == 100
    assert value(scored, "official/video_accuracy") == 0
    assert value(scored, "official/accuracy") == 50


def test_seed_bench_by_likelihood_takes_the_largest(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"picture")
    row = {"id": 1, "image": "a.png", "question": "q", "A": "x", "B": "y", "C": "z", "D": "w", "answer": "B"}
    suite = SeedBench(data=str(write(tmp_path / "seed.jsonl", row)), preset="official")
    (sample,) = suite.samples()
    assert (sample.prompt, sample.options) == ("q", ("x", "y", "z", "w"))
    prediction = Prediction(sample.id, kind="likelihood", likelihoods=(-2.0, -1.0, -9.0, -1.5))
    (score,) = suite.score(sample, prediction)
    assert (score.protocol, score.answer, score.value) == ("likelihood", "B", 1)
    assert suite.extra_kinds == {"likelihood"}
    assert not SeedBench().extra_kinds


def test_seed_bench_reads_its_official_files(tmp_path: Path) -> None:
    row = {"question_id": "7", "question": "q", "answer": "B", "data_id": "1_2", "data_type": "image"}
    row |= {f"choice_{letter}": letter * 2 for letter in "abcd"}
    video = {**row, "question_id": "v1", "data_type": "video"}
    content = {"questions": [{**row, "question_type_id": 5}, video], "question_type": {"Instances Counting": 5}}
    (tmp_path / "SEED-Bench.json").write_text(json.dumps(content))
    (tmp_path / "SEED-Bench-image").mkdir()
    (tmp_path / "SEED-Bench-image" / "1_2").write_bytes(b"picture")
    (sample,) = SeedBench(data=str(tmp_path), preset="llava").samples()
    assert sample.images[0].read() == b"picture"
    instruction = "Answer with the option's letter from the given choices directly."
    assert sample.prompt == f"q\nA. aa\nB. bb\nC. cc\nD. dd\n{instruction}"
    path = write(tmp_path / "p.jsonl", {"question_id": 7, "text": "B"})
    scored = SeedBench().rescore(predictions=path, data=tmp_path)
    assert (scored.n, value(scored, "official/instances_counting"), scored.extra["missing"]) == (1, 100, [])
