"""examples/plugin is what a third party writes: it is installed as a package and used through the command alone."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[1] / "examples" / "plugin"
Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> Command:
    """Install the example into a folder of its own and return what calls `janus-eval` with it."""
    folder = tmp_path_factory.mktemp("example")
    litter = shutil.ignore_patterns("__pycache__", "build", "*.egg-info")
    shutil.copytree(EXAMPLE, folder / "plugin", ignore=litter)  # a build leaves files beside what it builds
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--quiet"]
    flags = ["--no-deps", "--no-build-isolation", "--no-index", "--target", str(folder / "site")]
    done = subprocess.run([*pip, *flags, str(folder / "plugin")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (folder / "work").mkdir()
    environment = os.environ | {"PYTHONPATH": str(folder / "site")}

    def call(*arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-m", "janus_eval.evals.commands.cli", *arguments]
        done = subprocess.run(line, capture_output=True, text=True, check=False, env=environment, cwd=folder / "work")
        assert done.returncode == code, done.stdout + done.stderr
        return done

    return call


def test_both_plugins_are_listed(command: Command) -> None:
    listed = json.loads(command("list", "--json").stdout)
    assert "echo-colour" in listed["models"] and "colour-quiz" in listed["benchmarks"]


@pytest.mark.parametrize("name", ["echo-colour", "colour-quiz"])
def test_both_plugins_have_every_member_right(command: Command, name: str) -> None:
    assert json.loads(command("validate", name, "--json").stdout)["problems"] == {}


@pytest.mark.parametrize(
    ("flags", "ground", "spot", "accuracy"), [((), 100, 0, 62.5), (("-a", "rank=2"), 0, 100, 37.5)]
)
def test_the_commonest_colour_answers_five_of_eight_questions(
    command: Command, tmp_path: Path, flags: tuple[str, ...], ground: float, spot: float, accuracy: float
) -> None:
    asked = ("run", "-m", "echo-colour", "-b", "colour-quiz", *flags, "-o", str(tmp_path), "--json")
    (record,) = json.loads(command(*asked).stdout)
    values = {name: metric["value"] for name, metric in record["metrics"].items()}
    assert values == {"exact/accuracy": accuracy, "exact/ground": ground, "exact/spot": spot}
    assert (record["complete"], record["counts"]["expected"]) == (True, 8)


def test_a_rank_that_is_none_is_one_line(command: Command, tmp_path: Path) -> None:
    asked = ("run", "-m", "echo-colour", "-b", "colour-quiz", "-a", "rank=0", "-o", str(tmp_path))
    assert command(*asked, code=2).stderr == "janus-eval: error: rank: expected a number from 1, found 0\n"


@pytest.mark.parametrize(("count", "missing", "code"), [(8, [], 0), (6, ["7", "8"], 5)])
def test_answers_made_elsewhere_need_only_their_ids(
    command: Command, tmp_path: Path, count: int, missing: list[str], code: int
) -> None:
    lines = [json.dumps({"id": number, "response": " Red."}) for number in range(1, count + 1)]
    (tmp_path / "answers.jsonl").write_text("\n".join(lines) + "\n")
    asked = ("score", "-b", "colour-quiz", str(tmp_path / "answers.jsonl"), "--json")
    scored = json.loads(command(*asked, code=code).stdout)
    # Red is right in the first question and in the eighth.
    values = {key: each["value"] for key, each in scored["metrics"].items() if "accuracy" in key}
    part = {"exact/accuracy": None, "exact/accuracy (part)": pytest.approx(100 / 6)}
    assert values == ({"exact/accuracy": 25.0} if count == 8 else part)
    assert (scored["n"], scored["missing"]) == (8, missing)


def test_the_report_has_its_column_and_a_published_number_beside_it(command: Command, tmp_path: Path) -> None:
    command("run", "-m", "echo-colour", "-b", "colour-quiz", "-o", str(tmp_path / "runs"))
    numbers = tmp_path / "numbers.csv"
    head, source = "suite,column,model,value,source\n", "their report\n"
    numbers.write_text(f"{head}own,colour-quiz,echo-colour,75.0,{source}colour-quiz,,theirs,87.5,{source}")
    shown = command("report", str(tmp_path / "runs"), "--reported", str(numbers), "-f", "json").stdout
    column, beside = json.loads(shown)["tables"]
    assert [head["title"] for head in column["columns"]] == ["Model", "Colour quiz"]
    rows = [[cell["text"] for cell in row["cells"]] for group in column["groups"] for row in group["rows"]]
    assert [name for name, _ in rows] == ["echo-colour [their report]", "echo-colour", "theirs [their report]"]
    assert [number.partition(" [")[0] for _, number in rows] == ["75.0", "62.50", "87.5"]
    (row,) = beside["groups"][0]["rows"]
    texts = [cell["text"] for cell in row["cells"]]
    assert (texts[1], texts[5], texts[6]) == ("exact/accuracy", "−12.500", "inside noise")
