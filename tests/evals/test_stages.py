"""Stages by themselves: a run that stops behind one, and the same run that goes on from there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from janus_eval.benchmarks.geneval import observer
from janus_eval.evals.commands.cli import main
from janus_eval.evals.evaluation import evaluate
from janus_eval.evals.records import read_record, read_spec
from janus_eval.evals.store import RunStore
from janus_eval.evals.types import Evidence, RunRecord
from janus_eval.reports.report import report
from support.worlds import Eye, Painter, Redness


class Watched(Redness):
    """Redness with an eye of its own, which counts what it looks at."""

    def __init__(self, eye: Eye) -> None:
        super().__init__(size=4)
        self.observer = eye


def redness(painter: Painter, eye: Eye, folder: Path, until: str = "score") -> RunRecord:
    return evaluate(painter, Watched(eye), output=folder, tag="one", until=until)


def test_each_stage_makes_its_own_and_the_next_goes_on(tmp_path: Path) -> None:
    painter, eye = Painter(), Eye()
    whole = redness(Painter(), Eye(), tmp_path / "other")
    drawn = redness(painter, eye, tmp_path / "runs", "predict")
    asked = len(painter.asked)
    assert (drawn.state, drawn.metrics, drawn.complete, len(eye.seen)) == ("predicted", {}, False, 0)
    seen = redness(painter, eye, tmp_path / "runs", "observe")
    assert (seen.state, seen.metrics, len(painter.asked), len(eye.seen)) == ("observed", {}, asked, asked)
    done = redness(painter, eye, tmp_path / "runs")
    assert (done.state, done.metrics, done.spec.digest) == ("finished", whole.metrics, drawn.spec.digest)
    assert (len(painter.asked), len(eye.seen)) == (asked, asked)
    (folder,) = (tmp_path / "runs").iterdir()
    (other,) = (tmp_path / "other").iterdir()
    assert sorted(each.name for each in folder.glob("*.json")) == sorted(each.name for each in other.glob("*.json"))
    assert (folder / "scores.jsonl").read_bytes() == (other / "scores.jsonl").read_bytes()


def test_the_seconds_of_earlier_calls_are_kept_in_the_environment_and_in_nothing_signed(tmp_path: Path) -> None:
    redness(Painter(), Eye(), tmp_path, "predict")
    (folder,) = tmp_path.iterdir()
    environment = folder / "environment.json"
    told = json.loads(environment.read_text())
    assert told["stages"].keys() == {"predict", "score"}
    (worker,) = told["workers"]
    environment.write_text(json.dumps(told | {"workers": [worker | {"seconds": 7200.0}, {"odd": "x"}]}))
    for _ in range(2):
        record = redness(Painter(), Eye(), tmp_path)
        stages = record.environment["stages"]
        assert stages.keys() == {"predict", "observe", "score"}
        assert stages["predict"] == 7200.0 and stages["score"] < 5.0
    assert "stages" not in (folder / "record.json").read_text()


@pytest.mark.parametrize("text", ["[1]", "{", '{"stages": [1]}', '{"stages": {"predict": NaN}}'])
def test_a_damaged_environment_stops_no_run(tmp_path: Path, text: str) -> None:
    redness(Painter(), Eye(), tmp_path, "predict")
    (folder,) = tmp_path.iterdir()
    (folder / "environment.json").write_text(text)
    assert redness(Painter(), Eye(), tmp_path).complete


def test_a_finished_run_is_left_as_it_is(tmp_path: Path) -> None:
    done = redness(Painter(), Eye(), tmp_path)
    assert redness(Painter(), Eye(), tmp_path, "predict").metrics == done.metrics
    (folder,) = tmp_path.iterdir()
    assert read_record(folder).state == "finished"


def test_what_could_not_be_drawn_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = redness(Painter(fail_ids=frozenset(["001"])), Eye(), tmp_path, "predict")
    assert record.state == "predicted" and record.missing and not record.complete
    (folder,) = tmp_path.iterdir()
    assert main(["show", str(folder)]) == 0
    assert "PREDICTED: " in capsys.readouterr().out


def command(folder: Path, *more: str) -> int:
    given = ["-m", "blank-image", "-b", "geneval", "--data", "toy", "-l", "2", "--detector", "toy", "-o", str(folder)]
    return main(["run", *given, *more])


def test_pictures_are_drawn_where_the_scorers_packages_lack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(observer, "_PACKAGES", ("no_such_package",))
        assert command(tmp_path) == 6
        assert "no_such_package" in capsys.readouterr().err
        assert command(tmp_path, "--until", "predict") == 0
        assert "PREDICTED: 8 outputs" in capsys.readouterr().out
    (folder,) = tmp_path.iterdir()
    assert json.loads((folder / "stage.json").read_text())["state"] == "predicted"
    assert main(["show", str(folder), "--id", "00000"]) == 0
    assert "not scored yet" in capsys.readouterr().out
    told = report([tmp_path], only="measured")
    assert "predicted" in told


def test_a_scorer_that_is_elsewhere_stops_no_drawing_and_what_was_drawn_is_taken_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drawing = ["-m", "blank-image", "-b", "dpg_bench", "--data", "toy", "-l", "1", "-o", str(tmp_path)]
    scorer = ["--vqa", "hf:nobody/nothing"]
    assert main(["run", *drawing, *scorer, "--until", "predict"]) == 0
    assert main(["run", *drawing, "--vqa", "toy"]) == 0
    assert "reusing 4 pictures" in capsys.readouterr().err
    assert len(report([tmp_path], form="csv", only="measured").splitlines()) < 8


def test_an_unknown_stage_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "-m", "always-yes", "-b", "pope", "--until", "lunch"]) == 2
    assert "--until" in capsys.readouterr().err


def test_a_continuation_that_was_killed_is_not_told_as_a_change(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    redness(Painter(), Eye(), tmp_path, "predict")
    (folder,) = tmp_path.iterdir()
    assert (folder / "stage.json").is_file()
    with RunStore(folder, read_spec(folder)) as store:  # goes on, looks at one picture, and is killed
        made = next(iter(store.predictions().values()))
        store.add_evidence([(made, Evidence(made.sample_id, made.index, {"red": 1}))])
    capsys.readouterr()
    assert redness(Painter(), Eye(), tmp_path).complete
    assert "was changed" not in capsys.readouterr().err
