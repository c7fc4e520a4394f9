"""Several processes share one run: same bytes, real errors, deaths named."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from janus_eval.evals import registry
from janus_eval.evals.errors import EnvironmentProblem, UsageError
from janus_eval.evals.progress import progress
from janus_eval.evals.runner import Settings, run
from janus_eval.evals.store import RunStore
from janus_eval.evals.types import Job, Picture, Sample
from janus_eval.evals.workers import WorkerModel
from support.worlds import Eye, Painter, Redness, spec


@pytest.fixture
def painter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Register a model that other processes can build too."""
    site = tmp_path / "site"
    info = site / "painters-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: painters\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[janus_eval.models]\nworker-painter = painters:Model\n")
    (site / "painters.py").write_text(
        "from support.worlds import Painter\nfrom janus_eval.evals.errors import UsageError\n"
        "class Model(Painter):\n"
        "    def __init__(self, device: str = 'cpu'):\n        super().__init__()\n"
        "    def batch_size(self, jobs):\n        return 10 * len(jobs)\n"
        "    def predict(self, jobs):\n"
        "        if jobs[0].sample.prompt == 'usage':\n            raise UsageError('no such prompt')\n"
        "        if jobs[0].sample.prompt == 'bug':\n            raise KeyError('bug')\n"
        "        if jobs[0].sample.images:\n            return [jobs[0].sample.images[0].read().decode()]\n"
        "        return super().predict(jobs)\n"
    )
    monkeypatch.syspath_prepend(str(site))
    registry.forget()
    yield "worker-painter"
    registry.forget()


def worker(name: str) -> WorkerModel:
    return WorkerModel(name, {"device": "cpu"}, Painter.kinds, Painter.card)


def job(prompt: str, *images: Picture) -> Job:
    return Job(Sample("a", prompt, images), "image", 0, 1)


@pytest.mark.claim("R20")
def test_two_workers_make_the_same_run_as_one(painter: str, tmp_path: Path) -> None:
    def carry_out(folder: Path, models: list[WorkerModel]) -> dict[str, bytes]:
        with RunStore(folder, spec()) as store:
            samples = Redness().samples()
            run(spec(), models, Redness(), Eye(), store, samples, Settings(batch_size=1), progress, dict)
        for each in models:
            each.close()
        names = [*folder.glob("images/**/*.png"), folder / "scores.jsonl", folder / "record.json"]
        return {str(path.relative_to(folder)): path.read_bytes() for path in names}

    one = carry_out(tmp_path / "one", [worker(painter)])
    assert carry_out(tmp_path / "two", [worker(painter), worker(painter)]) == one


def test_errors_of_a_worker_arrive_as_themselves(painter: str) -> None:
    model = worker(painter)
    with pytest.raises(UsageError, match="no such prompt"):
        model.predict([job("usage")])
    with pytest.raises(RuntimeError, match="KeyError: 'bug'"):
        model.predict([job("bug")])
    assert model.predict([job("", Picture("lazy", lambda: b"bytes"))]) == ["bytes"]
    model.close()


def test_a_worker_is_asked_how_many_jobs_fit_on_its_device(painter: str) -> None:
    model = worker(painter)
    assert model.batch_size([job("x", Picture("lazy", lambda: b""))] * 3) == 30
    model.close()


def test_a_killed_worker_is_named_and_the_next_call_starts_another(painter: str) -> None:
    model = worker(painter)
    model.predict([job("x")])
    os.kill(model._process.pid, signal.SIGKILL)
    with pytest.raises(EnvironmentProblem, match="worker-painter on cpu died"):
        model.predict([job("x")])
    assert len(model.predict([job("x")])) == 1
    model.close()
