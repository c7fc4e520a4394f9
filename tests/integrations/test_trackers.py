"""Trackers: told of finished runs in processes of their own; nothing that one does moves a run."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from janus_eval.evals import registry
from janus_eval.evals.commands.cli import main
from janus_eval.evals.errors import EnvironmentProblem, UsageError
from janus_eval.evals.extras import pip_line
from janus_eval.evals.types import Metric, RunRecord
from janus_eval.integrations.trackers.telling import Trackers
from janus_eval.integrations.trackers.told import PICTURES, SAMPLES, numbers, told
from support import runs
from support.site import install, visible

CODE = """
import json, os, pathlib, sys, time

from janus_eval.integrations.trackers.told import offline


class Lines:
    def __init__(self, file):
        self.file = file

    def tell(self, told):
        print("a library's chatter")
        row = {"name": told.name, "key": told.key, "step": told.step, "numbers": dict(told.numbers)}
        row |= {"config": dict(told.config), "pictures": [[text, str(path)] for text, path in told.pictures]}
        row |= {"offline": offline()}
        row |= {key: [[cell.text for cell in row.cells] for _, row in t.rows()] for key, t in told.tables.items()}
        with open(self.file, "a") as file:
            file.write(json.dumps(row) + "\\n")


class Raises:
    def __init__(self, what="x"):
        pass

    def tell(self, told):
        raise ConnectionError("no\\n::error::network")


class Ends(Raises):
    def tell(self, told):
        os.kill(os.getpid(), 9)


class Exits(Raises):
    def tell(self, told):
        sys.exit(0)


class Secret:
    def __init__(self, address):
        self.address = address

    def tell(self, told):
        raise OSError(f"cannot reach {self.address}")


class Sleeps:
    def __init__(self, file):
        self.file = file

    def tell(self, told):
        with open(self.file, "a") as file:
            file.write("asked\\n")
        time.sleep(3600)
"""
NAMES = {"lines": "Lines", "raises": "Raises", "ends": "Ends", "exits": "Exits", "sleeps": "Sleeps", "secret": "Secret"}


@pytest.fixture(autouse=True)
def trackers(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Small trackers, installed as a third party's are."""
    site = install(tmp_path_factory.mktemp("site"), "small", CODE, trackers=NAMES)
    install(site, "broken", "import no_such_library\n", trackers={"lacks": "Tracker"})
    with monkeypatch.context() as patch:
        visible(site, patch)
        yield
    registry.forget()


def command(folder: Path, *more: str, model: str = "always-yes", bench: str = "gqa") -> int:
    return main(["run", "-m", model, "-b", bench, "--data", "toy", "-o", str(folder), *more])


def rows(file: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def tree(folder: Path) -> dict[str, bytes]:
    apart = ("environment.json", ".lock")
    found = [each for each in folder.rglob("*") if each.is_file() and each.name not in apart]
    return {str(each.relative_to(folder)): each.read_bytes() for each in found}


def test_a_run_is_told_and_is_the_run_that_it_was(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(tmp_path / "plain") == 0
    assert command(tmp_path / "told", "--json", "--log", f"lines:{tmp_path / 'log'}") == 0
    assert tree(tmp_path / "plain") == tree(tmp_path / "told")
    assert "chatter" not in capsys.readouterr().out
    [row] = rows(tmp_path / "log")
    found = row["numbers"]
    assert isinstance(found, dict)
    assert found["janus_eval/gqa/official/accuracy"] == 15.0
    assert found["janus_eval/gqa/official/accuracy/low"] < 15.0 < found["janus_eval/gqa/official/accuracy/high"]
    assert row["name"] == "always-yes on gqa" and ["official/accuracy", "15.0000"] in [m[:2] for m in row["metrics"]]  # type: ignore[attr-defined]  # JSON
    assert 0 < len(row["samples"]) <= SAMPLES  # type: ignore[arg-type]  # JSON


def test_each_run_of_a_command_is_told_and_told_again_by_the_same_command(tmp_path: Path) -> None:
    for times in (1, 2):
        assert command(tmp_path / "runs", "--log", f"lines:{tmp_path / 'log'}", "-l", "2", "-b", "pope") == 0
        assert [each["name"] for each in rows(tmp_path / "log")] == ["always-yes on gqa", "always-yes on pope"] * times


def test_pictures_are_told_with_why(tmp_path: Path) -> None:
    given = ("-l", "4", "--detector", "toy", "--log", f"lines:{tmp_path / 'log'}")
    assert command(tmp_path / "runs", *given, model="blank-image", bench="geneval") == 0
    [row] = rows(tmp_path / "log")
    pictures = row["pictures"]
    assert isinstance(pictures, list) and len(pictures) == PICTURES
    assert all(Path(path).is_file() and ": " in text for text, path in pictures)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("raises", "ConnectionError: no ::error::network"),
        ("ends", "ended its process (exit code -9)"),
        ("exits", "SystemExit: 0"),
    ],
)
def test_a_tracker_that_fails_is_one_line_and_no_harm(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, says: str
) -> None:
    assert command(tmp_path / "plain") == 0
    capsys.readouterr()
    assert command(tmp_path / "runs", "--log", name, "--log", f"lines:{tmp_path / 'log'}") == 0
    [line] = [each for each in capsys.readouterr().err.splitlines() if "warning" in each]
    assert f"tracker {name}" in line and says in line
    assert tree(tmp_path / "plain") == tree(tmp_path / "runs") and len(rows(tmp_path / "log")) == 1


def test_a_tracker_that_hangs_is_ended_and_asked_no_more(tmp_path: Path) -> None:
    run = runs.write(tmp_path, runs.spec("m"), runs.scores(share=50))
    asked = Trackers([f"sleeps:{tmp_path / 'log'}"], patience=5)
    [line] = asked.tell(run)
    assert "tracker sleeps gave no answer in 5 s" in line
    assert asked.tell(run) == [] and (tmp_path / "log").read_text() == "asked\n"


def test_offline_reaches_the_trackers(tmp_path: Path) -> None:
    for more in ([], ["--offline"]):
        assert command(tmp_path / "runs", "--log", f"lines:{tmp_path / 'log'}", *more) == 0
    assert [each["offline"] for each in rows(tmp_path / "log")] == [False, True]


def test_what_is_not_installed_is_said_before_the_start(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(tmp_path / "runs", "--log", "lacks") == 6
    assert "lacks needs the package no_such_library: pip install no_such_library" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("name", ["tensorboard", "wandb", "mlflow", "trackio"])
def test_the_line_that_installs_a_known_tracker_names_its_extra(name: str) -> None:
    missing = registry.missing_package(ModuleNotFoundError(name=name), name)
    assert isinstance(missing, EnvironmentProblem)
    assert pip_line(name) in str(missing) and name in registry.names("trackers")


def test_a_wrong_name_or_none_is_an_error_of_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(tmp_path / "runs", "--log", "tensorbored:x") == 2
    assert "did you mean 'tensorboard'" in capsys.readouterr().err
    assert command(tmp_path / "runs", "--log", "") == 2
    assert command(tmp_path / "runs", "--log", "lines") == 2  # it wants a file
    assert not (tmp_path / "runs").exists()


def test_an_address_with_a_password_is_not_repeated(tmp_path: Path) -> None:
    run = runs.write(tmp_path, runs.spec("m"), runs.scores(share=50))
    [line] = Trackers(["secret:http://me:hunter2@host/x"]).tell(run)
    assert "hunter2" not in line and "cannot reach ***" in line


def test_a_module_in_the_folder_of_the_command_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = runs.write(tmp_path, runs.spec("m"), runs.scores(share=50))
    (tmp_path / "json.py").write_text("import pathlib; pathlib.Path('ran').touch()\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [each for each in sys.path if each])
    assert Trackers([f"lines:{tmp_path / 'log'}"]).tell(run) == []
    assert rows(tmp_path / "log") and not (tmp_path / "ran").exists()


def test_a_withheld_number_is_not_told_and_a_part_only_by_its_name() -> None:
    metrics = {"a/x": Metric(None, 9, 0.1, 0.2, ("1 failed",)), "a/x (part)": Metric(0.5, 8, 0.4, 0.6)}
    metrics |= {"b": Metric(1.0, 3)}
    found = numbers(RunRecord(runs.spec("m"), "a/x", metrics, {}, False))
    part = "janus_eval/geneval/a/x (part)"
    assert found == {part: 0.5, f"{part}/low": 0.4, f"{part}/high": 0.6, "janus_eval/geneval/b": 1.0}


def test_the_steps_of_one_training_share_a_key(tmp_path: Path) -> None:
    def key(name: str, **changes: object) -> str:
        what = runs.spec("m", **changes)  # type: ignore[arg-type]  # a test's shorthand
        return told(runs.write(tmp_path / name, what, runs.scores(share=50)), tmp_path).key

    weights = [{"weights": name} for name in "ab"]
    steps = [key(str(step), step=step, model_card=card) for step, card in enumerate(weights)]
    assert steps[0] == steps[1] != key("tagged", step=1, tag="other")
    assert key("one", model_card=weights[0]) != key("two", model_card=weights[1])


def test_hostile_names_are_told_clean(tmp_path: Path) -> None:
    found = told(runs.write(tmp_path, runs.spec("m\x1b[2J\n::error::x"), runs.scores(share=50)), tmp_path)
    assert all(char not in found.name + found.group for char in "\x1b\n")
    assert "\x1b" not in json.dumps(dict(found.config))


def test_no_tracker_is_told_of_a_folder_that_holds_no_run(tmp_path: Path) -> None:
    [line] = Trackers([f"lines:{tmp_path / 'log'}"]).tell(tmp_path)
    assert "no finished run" in line and not (tmp_path / "log").exists()
    with pytest.raises(UsageError):
        told(tmp_path, tmp_path)
