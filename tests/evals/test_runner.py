"""The flow of a run: resume, faults, batches."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from janus_eval.evals import members
from janus_eval.evals.errors import EnvironmentProblem, Incomplete
from janus_eval.evals.executors import Plugin
from janus_eval.evals.executors.local import Local
from janus_eval.evals.progress import progress
from janus_eval.evals.records import read_record, read_scores
from janus_eval.evals.runner import Settings, run
from janus_eval.evals.store import RunStore
from janus_eval.evals.types import Job, RunRecord, Sample, Score
from support.worlds import Eye, Painter, Redness, spec


def carry_out(folder: Path, model: Any = None, eye: Any = None, **settings: Any) -> RunRecord:
    benchmark = Redness()
    with RunStore(folder, spec()) as store:
        return run(
            spec(),
            Plugin(members.model(model or Painter())),
            benchmark,
            Plugin(members.observer(eye or Eye())),
            store,
            benchmark.samples(),
            Settings(**settings),
            progress,
            dict,
            Local(),
        )


def tree(folder: Path) -> dict[str, str]:
    """Return digests of what must be equal between equal runs."""
    files = [*folder.glob("images/**/*.png"), folder / "scores.jsonl", folder / "record.json"]
    return {str(f.relative_to(folder)): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}


def test_a_run_ends_with_a_whole_record(tmp_path: Path) -> None:
    record = carry_out(tmp_path)
    assert record.complete
    assert record.counts["expected"] == record.counts["scored"] == 10
    assert read_record(tmp_path).metrics == record.metrics
    assert [(each.sample_id, each.index) for each in read_scores(tmp_path)][:3] == [("000", 0), ("000", 1), ("001", 0)]


def test_rerun_makes_nothing_again_and_gives_the_same_bytes(tmp_path: Path) -> None:
    carry_out(tmp_path)
    before = tree(tmp_path)
    painter, eye = Painter(), Eye()
    carry_out(tmp_path, painter, eye)
    assert painter.asked == [] and eye.seen == []
    assert tree(tmp_path) == before


@pytest.mark.claim("R2")
def test_pictures_do_not_depend_on_the_batch_size(tmp_path: Path) -> None:
    carry_out(tmp_path / "a", batch_size=1)
    carry_out(tmp_path / "b", batch_size=7)
    assert tree(tmp_path / "a") == tree(tmp_path / "b")


@pytest.mark.claim("R5")
def test_a_damaged_picture_is_named_and_made_again(tmp_path: Path) -> None:
    carry_out(tmp_path, batch_size=2)
    before = tree(tmp_path)
    victim = sorted(tmp_path.glob("images/**/*.png"))[3]
    victim.write_bytes(victim.read_bytes()[:40])
    painter = Painter()
    with RunStore(tmp_path, spec()) as store:
        store.predictions()
        assert victim.name in store.damage[0]
    carry_out(tmp_path, painter)
    assert len(painter.asked) == 2  # its whole batch is made, so that it sees the same neighbours
    assert tree(tmp_path) == before


@pytest.mark.claim("R5")
def test_a_damaged_line_is_named_and_its_sample_made_again(tmp_path: Path) -> None:
    carry_out(tmp_path)
    before = tree(tmp_path)
    lines = (tmp_path / "predictions/0.jsonl").read_bytes().splitlines(keepends=True)
    lines[4] = lines[4].replace(b'"index":0', b'"index":1').replace(b'"bytes"', b'"bytez"')
    (tmp_path / "predictions/0.jsonl").write_bytes(b"".join(lines))
    with RunStore(tmp_path, spec()) as store:
        assert len(store.predictions()) == 9
        assert "line 5" in store.damage[0]
    carry_out(tmp_path)
    assert tree(tmp_path) == before


def test_what_was_mended_is_told_once(tmp_path: Path) -> None:
    carry_out(tmp_path)
    for stream in ("predictions", "evidence"):
        path = tmp_path / stream / "0.jsonl"
        lines = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(
            b"".join([lines[0][:30] + b"\n", *lines[1:4], b"\xff\x00\n", *lines[4:], b'{"sample_id": "torn'])
        )

    def told() -> list[str]:
        with RunStore(tmp_path, spec()) as store:
            store.evidence(store.predictions())
            return list(store.damage)

    assert len(told()) >= 5  # the first lines' evidence has no prediction now
    carry_out(tmp_path)
    assert told() == []
    assert len((tmp_path / "predictions/0.jsonl").read_bytes().splitlines()) == 10


def test_a_picture_that_changed_is_looked_at_again(tmp_path: Path) -> None:
    carry_out(tmp_path)
    (tmp_path / "predictions/0.jsonl").unlink()
    eye = Eye()

    class Other(Painter):
        def predict(self, jobs: Any) -> list[Any]:
            return [each.rotate(180).resize((9, 9)) for each in super().predict(jobs)]

    carry_out(tmp_path, Other(), eye)
    assert len(eye.seen) == 10


@pytest.mark.claim("R10")
def test_a_batch_that_does_not_fit_is_halved_without_changing_a_picture(tmp_path: Path) -> None:
    carry_out(tmp_path / "roomy")
    carry_out(tmp_path / "tight", Painter(fits=3))
    assert tree(tmp_path / "roomy") == tree(tmp_path / "tight")


@pytest.mark.claim("R8")
def test_one_bad_sample_costs_only_itself_and_withholds_the_headline(tmp_path: Path) -> None:
    record = carry_out(tmp_path, Painter(fail_ids=frozenset(["002"])))
    assert not record.complete
    assert record.missing == ("002/0", "002/1")
    assert record.counts["scored"] == 8 and record.counts["errors"] == 2
    assert record.metrics["official/red"].value is None
    assert "cannot paint 002" in (tmp_path / "errors.jsonl").read_text()


@pytest.mark.claim("R8")
def test_a_picture_that_fails_while_it_is_fetched_costs_only_itself(tmp_path: Path) -> None:
    class Late(Painter):
        def predict(self, jobs: Any) -> list[Any]:
            def fetch(job: Any, picture: Any) -> Any:
                if job.sample.id == "002":
                    raise RuntimeError("no finite pixels")
                return picture

            return [partial(fetch, job, each) for job, each in zip(jobs, super().predict(jobs), strict=True)]

    record = carry_out(tmp_path, Late())
    assert record.missing == ("002/0", "002/1") and record.counts["scored"] == 8
    assert "no finite pixels" in (tmp_path / "errors.jsonl").read_text()


def test_a_score_that_is_no_number_is_no_verdict(tmp_path: Path) -> None:
    class Broken(Redness):
        def score(self, *given: Any) -> list[Score]:
            return [replace(each, value=float("nan")) for each in super().score(*given)]

    with RunStore(tmp_path, spec()) as store:
        samples = Redness().samples()
        painter, eye = Plugin(members.model(Painter())), Plugin(members.observer(Eye()))
        record = run(spec(), painter, Broken(), eye, store, samples, Settings(), progress, dict, Local())
    assert record.counts["scored"] == 0 and not record.complete
    assert read_scores(tmp_path)[0].reason.startswith("unscored: the rule gave nan")


def test_allow_unscored_keeps_the_headline(tmp_path: Path) -> None:
    record = carry_out(tmp_path, Painter(fail_ids=frozenset(["002"])), allow_unscored=True)
    assert not record.complete
    assert record.metrics["official/red"].value is not None


def test_too_many_errors_stop_the_run_and_keep_what_is_made(tmp_path: Path) -> None:
    with pytest.raises(Incomplete, match="stopped after 2"):
        carry_out(tmp_path, Painter(fail_ids=frozenset(["003", "004"])), max_errors=1, batch_size=1)
    painter = Painter()
    assert carry_out(tmp_path, painter).complete
    assert 0 < len(painter.asked) < 10


class Unpacked(Painter):
    """A model that imports its package only when it loads its weights."""

    def predict(self, jobs: Sequence[Job]) -> list[Any]:
        raise ModuleNotFoundError("No module named 'mmdet'", name="mmdet")


def test_a_missing_package_stops_the_run_with_its_mend(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentProblem, match=r"pip install .*\[mmdet\]"):
        carry_out(tmp_path, Unpacked())
    assert not (tmp_path / "errors.jsonl").exists()


@pytest.mark.parametrize("output", [None, "a text", 3])
def test_an_output_of_another_kind_is_a_failure_not_an_answer(tmp_path: Path, output: Any) -> None:
    class Confused(Painter):
        def predict(self, jobs: Sequence[Job]) -> list[Any]:
            return [
                output if job.sample.id == "001" else made
                for job, made in zip(jobs, super().predict(jobs), strict=True)
            ]

    record = carry_out(tmp_path, Confused())
    assert record.counts["errors"] == 2 and not record.complete
    assert "image was asked for, the model gave" in (tmp_path / "errors.jsonl").read_text()


@pytest.mark.parametrize("output", [None, (0.0,), (0.0, float("nan")), "ab"])
def test_what_is_no_likelihood_of_each_option_is_a_failure(tmp_path: Path, output: Any) -> None:
    class Options(Painter):
        kinds = frozenset(["likelihood"])

        def predict(self, jobs: Sequence[Job]) -> list[Any]:
            return [output for _ in jobs]

    class Choice(Redness):
        kind = "likelihood"

        def samples(self) -> list[Sample]:
            return [Sample("0", "left or right?", options=("left", "right"))]

    benchmark = Choice()
    with RunStore(tmp_path, spec()) as store:
        model, samples = Plugin(members.model(Options())), benchmark.samples()
        record = run(spec(), model, benchmark, None, store, samples, Settings(), progress, dict, Local())
    assert record.counts["errors"] == record.counts["expected"] and record.counts["predicted"] == 0


def test_a_failed_observation_is_tried_again_by_the_next_run(tmp_path: Path) -> None:
    record = carry_out(tmp_path, eye=Eye(blind=frozenset(["001"])))
    assert record.counts["unscored"] == 2 and not record.complete
    eye = Eye()
    assert carry_out(tmp_path, eye=eye).complete
    assert {sample for sample, _ in eye.seen} >= {"001"}


SLOW = """
import sys, time
sys.path[:0] = [{root!r}, {root!r} + "/evals"]
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from support.worlds import Painter
from test_runner import carry_out

class Slow(Painter):
    def predict(self, jobs):
        time.sleep(0.05)
        return super().predict(jobs)

carry_out(Path({folder!r}), Slow(), batch_size=1)
"""


@pytest.mark.parametrize("lines", [1, 4, 8])
@pytest.mark.claim("R1")
def test_kill_9_loses_at_most_the_batch_in_flight(tmp_path: Path, lines: int) -> None:
    carry_out(tmp_path / "whole", batch_size=1)
    folder = tmp_path / "killed"
    code = textwrap.dedent(SLOW).format(root=str(Path(__file__).parents[1]), folder=str(folder))
    process = subprocess.Popen([sys.executable, "-c", code])
    stored = folder / "predictions/0.jsonl"
    deadline = time.monotonic() + 30
    while not (stored.exists() and stored.read_bytes().count(b"\n") >= lines):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    have = stored.read_bytes().count(b"\n")
    painter = Painter()
    carry_out(folder, painter)
    assert len(painter.asked) == 10 - have
    assert tree(folder) == tree(tmp_path / "whole")


class Payphone(Eye):
    """An eye that is paid by the look."""

    independent = True


def test_what_has_no_neighbours_is_asked_for_what_is_missing_alone(tmp_path: Path) -> None:
    carry_out(tmp_path, eye=Payphone(blind=frozenset(["002"])))
    again = Payphone()
    assert carry_out(tmp_path, eye=again).complete
    assert again.seen == [("002", 0), ("002", 1)]


def test_evidence_of_a_batch_is_kept_when_its_errors_stop_the_run(tmp_path: Path) -> None:
    with pytest.raises(Incomplete):
        carry_out(tmp_path, eye=Payphone(blind=frozenset(["002"])), max_errors=0)
    again = Payphone()
    carry_out(tmp_path, eye=again)
    assert ("001", 0) not in again.seen
    assert ("002", 0) in again.seen
