"""Environments of workers: whole or not there, equal to their lock and their repository's trees."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from janus_eval.evals.commands.cli import main
from janus_eval.evals.types import Answer, Job, Sample
from janus_eval.models.workers.environments import Recipe
from janus_eval.models.workers.model import worker
from janus_eval.models.workers.source import tree_of

pytest.importorskip("uv")

ADAPTER = """
import greeting, os, sys
class Model:
    kinds, card = ["text"], {}
    def predict(self, jobs):
        return [greeting.WORD + " " + open(os.path.join(self.source, "code", "word.txt")).read()] * len(jobs)
def model(source):
    made = Model()
    made.source = source
    return made
"""


def wheel(folder: Path, word: str = "hello") -> str:
    """Write a wheel of one module and return its digest."""
    folder.mkdir(exist_ok=True)
    path = folder / "greeting-1.0-py3-none-any.whl"
    info = "greeting-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(zipfile.ZipInfo("greeting.py"), f"WORD = {word!r}\n")
        file.writestr(zipfile.ZipInfo(f"{info}/METADATA"), "Metadata-Version: 2.1\nName: greeting\nVersion: 1.0\n")
        file.writestr(
            zipfile.ZipInfo(f"{info}/WHEEL"), "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        file.writestr(zipfile.ZipInfo(f"{info}/RECORD"), f"greeting.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n")
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def adapter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An adapter with its lock, its wheel and its repository, all at hand."""
    monkeypatch.setenv("JANUS_EVAL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    monkeypatch.delenv("JANUS_EVAL_ENVS", raising=False)
    code = tmp_path / "repository" / "code"
    code.mkdir(parents=True)
    (code / "word.txt").write_text("world")
    path = tmp_path / "greets.py"
    path.write_text(ADAPTER)
    path.with_suffix(".lock").write_text(f"greeting==1.0 --hash=sha256:{wheel(tmp_path / 'wheels')}\n")
    path.with_suffix(".toml").write_text(
        f'[source]\nrepository = "https://example.invalid/owner/name"\ncommit = "{"1" * 40}"\nlicence = "MIT"\n'
        f'[source.trees]\ncode = "{tree_of(code)}"\n'
    )
    return path


def create(adapter: Path, *more: str, source: Path | None = None, python: str = sys.executable) -> int:
    folder = adapter.parent
    given = ["--wheels", str(folder / "wheels"), "--source", str(source or folder / "repository"), "--offline"]
    return main(["env", "create", f"worker:{adapter}", *(["--python", python] if python else []), *given, *more])


def answers(adapter: Path) -> list[str]:
    asked = worker(str(adapter))
    try:
        return [each.text for each in asked.predict([Job(Sample("a", "a"), "text", 0, 1)]) if isinstance(each, Answer)]
    finally:
        asked.close()


def test_a_model_runs_in_the_environment_that_was_made_for_it(adapter: Path) -> None:
    assert create(adapter) == 0
    assert answers(adapter) == ["hello world"]
    assert main(["env", "check", f"worker:{adapter}"]) == 0


def test_without_its_environment_the_command_that_makes_it_is_named(
    adapter: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    create(adapter)
    (Recipe.named(str(adapter)).folder / "complete.json").unlink()  # as a build that was killed leaves it
    assert main(["env", "check", f"worker:{adapter}"]) == 6
    assert f"janus-eval env create worker:{adapter}" in capsys.readouterr().err
    assert create(adapter) == 0
    assert answers(adapter) == ["hello world"]


def test_an_interpreter_that_vanished_is_told(adapter: Path, capsys: pytest.CaptureFixture[str]) -> None:
    create(adapter)
    (Recipe.named(str(adapter)).folder / "bin" / "python").unlink()
    assert main(["env", "check", f"worker:{adapter}"]) == 6
    assert "not on this machine" in capsys.readouterr().err


def test_another_wheel_than_the_lock_s_is_refused(adapter: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wheel(adapter.parent / "wheels", "goodbye")
    assert create(adapter) == 6
    assert "Hash mismatch" in capsys.readouterr().err
    assert not (Recipe.named(str(adapter)).folder / "complete.json").exists()


def test_a_lock_that_does_not_resolve_is_one_line(adapter: Path, capsys: pytest.CaptureFixture[str]) -> None:
    adapter.with_suffix(".lock").write_text(f"nosuch==1.0 --hash=sha256:{'0' * 64}\n")
    assert create(adapter) == 6
    told = capsys.readouterr().err.strip().splitlines()[-1]
    assert "lock cannot be installed" in told and "nosuch" in told


def test_a_python_that_is_not_here_is_one_line(adapter: Path, capsys: pytest.CaptureFixture[str]) -> None:
    adapter.with_suffix(".toml").write_text(f'python = "3.6.1"\n{adapter.with_suffix(".toml").read_text()}')
    assert create(adapter, python="") == 6
    assert "no Python 3.6.1" in capsys.readouterr().err


def test_a_repository_with_other_code_is_refused(adapter: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (adapter.parent / "repository" / "code" / "word.txt").write_text("elsewhere")
    assert create(adapter) == 6
    assert "is not that of commit" in capsys.readouterr().err


def test_code_that_was_changed_after_the_build_is_found(adapter: Path, capsys: pytest.CaptureFixture[str]) -> None:
    create(adapter)
    (Recipe.named(str(adapter)).folder / "source" / "code" / "word.txt").write_text("changed")
    assert main(["env", "check", f"worker:{adapter}"]) == 6
    assert "its repository's code" in capsys.readouterr().err


def test_packages_that_were_changed_after_the_build_are_found(
    adapter: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    create(adapter)
    (info,) = Recipe.named(str(adapter)).folder.rglob("greeting-1.0.dist-info")
    shutil.rmtree(info)
    assert main(["env", "check", f"worker:{adapter}"]) == 6
    assert "greeting is missing, was 1.0" in capsys.readouterr().err


def test_an_archive_stands_in_for_the_repository(adapter: Path) -> None:
    path = adapter.parent / "archive.tar.gz"
    with tarfile.open(path, "w:gz") as file:
        file.add(adapter.parent / "repository", f"name-{'1' * 40}")
        evil = tarfile.TarInfo("name/code/../../../evil")
        file.addfile(evil)
    assert create(adapter, source=path) == 0
    assert answers(adapter) == ["hello world"]


def test_a_folder_within_a_folder_is_taken_alone(adapter: Path) -> None:
    inner = adapter.parent / "repository" / "code" / "inner"
    inner.mkdir()
    (inner / "more.txt").write_text("more")
    (inner.parent / "word.txt").write_text("changed, and not taken")
    table = adapter.with_suffix(".toml")
    table.write_text(table.read_text().rpartition("code =")[0] + f'"code/inner" = "{tree_of(inner)}"\n')
    path = adapter.parent / "archive.tar.gz"
    with tarfile.open(path, "w:gz") as file:
        file.add(adapter.parent / "repository", f"name-{'1' * 40}")
    for source in (path, adapter.parent / "repository"):
        assert create(adapter, "--force", source=source) == 0
        taken = Recipe.named(str(adapter)).folder / "source"
        assert [each.relative_to(taken).as_posix() for each in taken.rglob("*.txt")] == ["code/inner/more.txt"]


@pytest.mark.skipif(shutil.which("git") is None, reason="git makes the checkout")
def test_a_checkout_gives_its_commit_whatever_lies_in_its_folder(adapter: Path) -> None:
    folder = adapter.parent / "repository"
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.invalid", "-C", str(folder)]
    for line in (["init", "-q"], ["add", "."], ["commit", "-qm", "one"]):
        subprocess.run([*git, *line], check=True)
    commit = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    tree = subprocess.run([*git, "rev-parse", "HEAD:code"], check=True, capture_output=True, text=True).stdout.strip()
    assert tree == tree_of(folder / "code")
    table = adapter.with_suffix(".toml")
    table.write_text(table.read_text().replace("1" * 40, commit))
    (folder / "code" / "word.txt").write_text("changed since")
    assert create(adapter) == 0
    assert answers(adapter) == ["hello world"]


def test_builders_that_race_leave_one_whole_environment(adapter: Path) -> None:
    folder = adapter.parent
    line = [sys.executable, "-m", "janus_eval.evals.commands.cli", "env", "create", f"worker:{adapter}"]
    line += ["--python", sys.executable, "--wheels", str(folder / "wheels"), "--source", str(folder / "repository")]
    racing = [subprocess.Popen(line, env=dict(os.environ), stdout=subprocess.DEVNULL) for _ in range(3)]
    assert [each.wait() for each in racing] == [0, 0, 0]
    assert answers(adapter) == ["hello world"]


def test_environments_are_listed_and_removed(adapter: Path, capsys: pytest.CaptureFixture[str]) -> None:
    create(adapter)
    capsys.readouterr()
    assert main(["env", "list", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["name"], row["state"]) == ("greets", "whole")
    assert main(["env", "rm", "greets"]) == 0
    assert not Path(row["path"]).exists()
    assert main(["env", "rm", "greets"]) == 2


def test_another_lock_is_another_environment(adapter: Path) -> None:
    before = Recipe.named(str(adapter))
    first = before.folder
    adapter.with_suffix(".lock").write_text("# other\n")
    assert Recipe.named(str(adapter)).folder != first


def test_a_model_of_this_process_needs_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["env", "create", "noise-image"]) == 2
    assert "needs no environment" in capsys.readouterr().err
