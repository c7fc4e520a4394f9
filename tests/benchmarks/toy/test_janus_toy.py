"""The measurement discriminates: the trained toy draws and answers what is asked, the untrained one does neither."""

from __future__ import annotations

from pathlib import Path

import pytest
from janus_eval.benchmarks.geneval.benchmark import GenEval
from janus_eval.benchmarks.geneval.observer import GenEvalObserver
from janus_eval.benchmarks.pope import Pope
from janus_eval.evals import registry
from janus_eval.evals.types import Job, Prediction, job_seed


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JANUS_EVAL_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize(("weights", "least", "most"), [("packaged", 0.8, 1.0), ("random", 0.0, 0.1)])
def test_trained_weights_draw_and_random_ones_do_not(weights: str, least: float, most: float, tmp_path: Path) -> None:
    model = registry.create("models", "janus-toy", weights=weights, device="cpu")
    benchmark = GenEval(data="toy")
    samples = [each for each in benchmark.samples() if each.tags["task"] in ("single_object", "two_object")][:24]
    jobs = [Job(each, "image", 0, job_seed(0, each.id, 0)) for each in samples]
    pairs = []
    for sample, picture in zip(samples, model.predict(jobs), strict=True):
        path = tmp_path / f"{sample.id}.png"
        (picture() if callable(picture) else picture).save(path)
        pairs.append((sample, Prediction(sample.id, 0, "image", image=path)))
    found = GenEvalObserver(world="toy", device="cpu").observe(pairs)
    values = [
        benchmark.score(sample, prediction, evidence)[0].value
        for (sample, prediction), evidence in zip(pairs, found, strict=True)
    ]
    share = sum(value or 0.0 for value in values) / len(values)
    assert least <= share <= most


@pytest.mark.parametrize(("weights", "least", "most"), [("packaged", 0.8, 1.0), ("random", 0.0, 0.6)])
def test_trained_weights_answer_and_random_ones_are_at_chance(weights: str, least: float, most: float) -> None:
    model = registry.create("models", "janus-toy", weights=weights, device="cpu")
    benchmark = Pope(data="toy")
    samples = benchmark.samples()[::5]
    said = model.predict([Job(each, "text", 0, job_seed(0, each.id, 0)) for each in samples])
    scores = [
        benchmark.score(sample, Prediction(sample.id, 0, "text", text=text.text), None)[0]
        for sample, text in zip(samples, said, strict=True)
    ]
    assert least <= sum(each.value or 0.0 for each in scores) / len(scores) <= most
