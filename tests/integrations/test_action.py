"""The GitHub action: its steps are carried out as a runner does it, with bash, on a repository with a remote."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text())
STEPS: dict[str, dict[str, Any]] = {each["id"]: each for each in ACTION["runs"]["steps"] if "id" in each}


@dataclass
class Runner:
    """A checkout of a repository whose default branch holds a baseline, and what a runner knows."""

    folder: Path
    inputs: dict[str, str]
    known: dict[str, str] = field(default_factory=dict[str, str])

    def step(self, name: str) -> subprocess.CompletedProcess[str]:
        """Carry out one step; what it puts out is known to the next ones."""
        output, summary = self.folder / "output", self.folder / "summary.md"
        output.write_text("")
        env = {key: self._filled(value) for key, value in STEPS[name]["env"].items()}
        files = {"GITHUB_OUTPUT": str(output), "GITHUB_STEP_SUMMARY": str(summary), "RUNNER_TEMP": str(self.folder)}
        path = f"{self.folder / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", STEPS[name]["run"]],
            cwd=self.folder / "checkout",
            env={**os.environ, **files, **env, "PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        for line in output.read_text().splitlines():
            key, _, value = line.partition("=")
            self.known[f"steps.{name}.outputs.{key}"] = value
        return done

    def gated(self) -> subprocess.CompletedProcess[str]:
        """Carry out the steps up to the gate; each before it must succeed."""
        for name in ("baseline", "run"):
            done = self.step(name)
            assert done.returncode == 0, done.stderr
        return self.step("gate")

    def _filled(self, text: str) -> str:
        given = {**self.known, **{f"inputs.{key}": value for key, value in self.inputs.items()}}
        return re.sub(r"\$\{\{ (.+?) \}\}", lambda found: given[found[1]], text)


def git(folder: Path, *arguments: str) -> None:
    who = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "init.defaultBranch=main"]
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


def command(folder: Path, *arguments: str) -> None:
    subprocess.run([Path(sys.executable).with_name("janus-eval"), *arguments], cwd=folder, check=True, timeout=300)


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    origin, checkout = tmp_path / "origin", tmp_path / "checkout"
    (origin / "ci").mkdir(parents=True)
    ask = ("-m", "always-yes", "-b", "gqa", "--data", "toy")
    command(tmp_path, "run", *ask, "-o", "before")
    command(tmp_path, "gate", "before", "--baseline", str(origin / "ci/baseline.json.gz"), "--update")
    git(origin, "init", "-q")
    git(origin, "add", ".")
    git(origin, "commit", "-qm", "baseline")
    git(tmp_path, "clone", "-q", str(origin), "checkout")
    (checkout / "ci/baseline.json.gz").write_bytes(b"a change brings its own baseline")
    inputs = {key: str(each.get("default", "")) for key, each in ACTION["inputs"].items()}
    inputs |= {"models": "always-yes", "benchmarks": "gqa", "arguments": "--data toy"}
    return Runner(
        tmp_path,
        inputs | {"baseline": "ci/baseline.json.gz", "token": "t"},
        {"github.event.repository.default_branch": "main", "github.event.number": "7"},
    )


def test_it_passes_what_has_not_fallen(runner: Runner) -> None:
    assert runner.gated().returncode == 0
    assert runner.known["steps.gate.outputs.outcome"] == "pass"
    assert "passed" in (runner.folder / "summary.md").read_text()


def test_it_fails_on_a_regression_with_a_comment(runner: Runner) -> None:
    runner.inputs["arguments"] = "--data toy -a answer=red"
    done = runner.gated()
    assert done.returncode == 3 and "::error" in done.stdout
    assert runner.known["steps.gate.outputs.outcome"] == "regression"
    gh = runner.folder / "bin" / "gh"
    gh.parent.mkdir()
    gh.write_text('#!/bin/sh\nprintf "%s\\n" "$@" > "$RUNNER_TEMP/asked"\n')
    gh.chmod(0o755)
    assert runner.step("comment").returncode == 0
    assert (runner.folder / "asked").read_text().startswith("pr\ncomment\n7\n--body-file\n")
    assert "regression" in Path(runner.known["steps.gate.outputs.comment"]).read_text()


def test_another_limit_is_incomplete_not_green(runner: Runner) -> None:
    runner.inputs["arguments"] = "--data toy --limit 10"
    assert runner.gated().returncode == 5
    assert runner.known["steps.gate.outputs.outcome"] == "incomplete"


def test_arguments_are_words_and_never_commands(runner: Runner) -> None:
    runner.inputs["arguments"] = "--data toy --tag 'x; touch pwned $(touch pwned) `touch pwned`'"
    assert runner.gated().returncode == 0
    assert not list(runner.folder.rglob("pwned"))


def test_a_branch_without_a_baseline_is_said(runner: Runner) -> None:
    runner.inputs["baseline"] = "ci/other.json"
    done = runner.step("baseline")
    assert done.returncode == 2 and "main holds no baseline" in done.stdout


def test_no_step_puts_an_input_into_its_script() -> None:
    assert all("${{" not in each.get("run", "") for each in ACTION["runs"]["steps"])


def test_every_output_is_one_that_a_step_gives(runner: Runner) -> None:
    runner.gated()
    assert {each["value"].strip("${ }") for each in ACTION["outputs"].values()} <= runner.known.keys()
