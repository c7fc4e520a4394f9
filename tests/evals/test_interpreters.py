"""`--model-python`: a model under another Python, in the way that this one and its Ray allow."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from janus_eval.evals import interpreters
from janus_eval.evals.commands.cli import main
from janus_eval.evals.errors import EnvironmentProblem
from janus_eval.evals.request import Machine
from support.command import results
from support.pythons import another_python

DRAWN = ("run", "-m", "noise-image", "-b", "geneval", "--until", "predict", "-l", "4", "--batch-size", "4", "--json")
SAID = ("run", "-m", "janus-toy", "-b", "pope", "-l", "4", "--batch-size", "4", "--device", "cpu", "--json")


@pytest.fixture(scope="module")
def rayless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python with all that this one has, but Ray."""
    return another_python(tmp_path_factory.mktemp("rayless") / "venv", "ray")


def machine(python: Path, executor: str = "") -> Machine:
    return Machine(executor=executor, executor_options={"model_python": python})


@pytest.mark.parametrize("asked", [DRAWN, SAID])
def test_a_process_of_its_own_gives_the_bytes_of_this_one(
    asked: tuple[str, ...], rayless: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, more in (("here", ()), ("there", ("--model-python", str(rayless)))):
        main([*asked, *more, "-o", str(tmp_path / name)])
    assert len(results(tmp_path / "here")) > 5 and results(tmp_path / "there") == results(tmp_path / "here")
    (run,) = (tmp_path / "there").iterdir()
    assert '"worker"' in (run / "environment.json").read_text()
    capsys.readouterr()
    assert main([*asked[:-1], "--model-python", str(rayless), "-o", str(tmp_path / "there"), "-n"]) == 0
    plan = capsys.readouterr().out
    assert f"{rayless}: Python {sys.version_info[0]}.{sys.version_info[1]}, no Ray; the model runs in" in plan
    assert "on disk already" in plan


def test_a_shard_takes_it_too(rayless: Path, tmp_path: Path) -> None:
    for shard in ("0/2", "1/2"):
        assert main([*DRAWN, "--shard", shard, "--model-python", str(rayless), "-o", str(tmp_path / "shards")]) == 0
    (run,) = (tmp_path / "shards").glob("noise-image--*")
    assert len(list(run.glob("images/**/*.png"))) == 16


def test_without_ray_there_the_workers_of_ray_start_processes_of_their_own(rayless: Path) -> None:
    for executor in ("ray", "", "local", "slurm"):
        assert interpreters.own_process(machine(rayless, executor)) == rayless
        assert interpreters.options(machine(rayless, executor)) == {}


def test_without_ray_its_executor_is_refused_in_a_line(rayless: Path, tmp_path: Path) -> None:
    code = "from janus_eval.evals.commands.cli import entry; entry()"
    asked = [*DRAWN, "--executor", "ray", "-o", str(tmp_path / "runs")]
    done = subprocess.run([str(rayless), "-c", code, *asked], capture_output=True, text=True, check=False)
    assert done.returncode == 6
    assert done.stderr.startswith("janus-eval: error: the executor ray needs the package ray: pip install ")
    assert "[ray]" in done.stderr and done.stderr.count("\n") == 1


def test_what_cannot_run_the_model_is_named(tmp_path: Path) -> None:
    bare = another_python(tmp_path / "bare", "janus_eval", "__editable__")
    with pytest.raises(EnvironmentProblem, match="cannot be used: ModuleNotFoundError: No module named 'janus_eval'"):
        interpreters.told(machine(bare))
    with pytest.raises(EnvironmentProblem, match="cannot be started: No such file"):
        interpreters.told(machine(tmp_path / "nowhere"))
    (tmp_path / "python").write_text("#!/bin/sh\necho hello\n")
    (tmp_path / "python").chmod(0o755)
    with pytest.raises(EnvironmentProblem, match="answers otherwise than a Python does"):
        interpreters.told(machine(tmp_path / "python"))
