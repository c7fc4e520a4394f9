"""Exit codes are an interface, and the help is there at once."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.command import World, ended
from support.site import install

FAILING = """
class Model:
    kinds = frozenset(["text"])
    card = {"weights": "w"}
    def __init__(self, how: str = "some"):
        self.how = how
    def batch_size(self, jobs):
        return 1 // (self.how != "bug")
    def predict(self, jobs):
        raise ValueError("no answer")
"""


@pytest.fixture(scope="module")
def failing(world: World) -> World:
    """The squares, and a model that fails."""
    install(world.site / "more", "failing", FAILING, models={"failing": "Model"})
    return World(Path(f"{world.site}:{world.site / 'more'}"))


@pytest.mark.claim("R18")
def test_each_exit_code_says_what_it_says_it_does(failing: World, tmp_path: Path) -> None:
    output, toy = tmp_path / "runs", ["-b", "pope", "--data", "toy", "-l", "3", "-o", str(tmp_path / "toy")]
    assert failing.run(output).code == 0
    assert failing.call("run", "-m", "failing", "-a", "how=bug", *toy).code == 1
    assert failing.call("run", "-m", "painter", "-b", "sqares").code == 2
    for answer in ("yes", "", "no"):
        asked = ("-m", "always-yes", "-a", f"answer={answer or 'yes'}", "-b", "pope", "--data", "toy", "-l", "90")
        assert failing.call("run", *asked, "-o", str(tmp_path / f"says {answer}")).code == 0
    baseline = ("--baseline", str(tmp_path / "baseline.json"))
    assert failing.call("gate", str(tmp_path / "says yes"), *baseline, "--update").code == 0
    assert failing.call("gate", str(tmp_path / "says "), *baseline).code == 0
    assert failing.call("gate", str(tmp_path / "says no"), *baseline).code == 3
    slow = failing.begin(tmp_path / "slow", squares_pause="20")
    while not list((tmp_path / "slow").glob("ledger")):
        time.sleep(0.01)
    assert failing.run(tmp_path / "slow").code == 4
    slow.send_signal(signal.SIGINT)
    assert ended(slow).code == 130
    slow = failing.begin(tmp_path / "slower", squares_pause="20")
    while not list((tmp_path / "slower").glob("ledger")):
        time.sleep(0.01)
    slow.send_signal(signal.SIGTERM)
    assert ended(slow).code == 143
    assert failing.call("run", "-m", "failing", *toy).code == 5
    assert failing.call("run", "-m", "failing", *toy, "--max-errors", "0").code == 5
    (tmp_path / "file").write_text("")
    assert failing.call("run", "-m", "painter", "-b", "squares", "-o", str(tmp_path / "file")).code == 6


@pytest.mark.claim("R18")
@pytest.mark.parametrize("asked", [["--help"], ["run", "--help"], ["report", "--help"], ["list"]], ids=" ".join)
def test_help_imports_nothing_heavy(asked: list[str]) -> None:
    code = "import sys, janus_eval.evals.commands.cli as cli\n"
    code += "try:\n    cli.main(sys.argv[1:])\nexcept SystemExit:\n    pass\n"
    # What takes seconds is importing these; `perf/startup.py` tells the seconds.
    code += "heavy = {'torch', 'numpy', 'transformers', 'pandas', 'PIL', 'huggingface_hub', 'jinja2', 'rich'}\n"
    code += "heavy |= {'ray', 'submitit'}\n"
    code += "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, *asked], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
