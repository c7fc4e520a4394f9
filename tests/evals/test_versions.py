"""Which version of the harness made what: told where a run's stages had two, and where a checkout was changed."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from janus_eval.evals import environment, evaluate, plan, where
from janus_eval.evals.commands import cli


def git(folder: Path, *words: str) -> None:
    who = ["-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True)


def test_a_checkout_that_was_changed_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "evals").mkdir()
    (tmp_path / "evals" / "environment.py").write_text("a = 1\n")
    (tmp_path / "notes.txt").write_text("n")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "first")
    monkeypatch.setattr(environment, "__file__", str(tmp_path / "evals" / "environment.py"))

    def version() -> str:
        environment._is_changed.cache_clear()  # pyright: ignore[reportPrivateUsage] -- a process looks once
        return environment.harness_version()

    first = version()
    assert "+g" in first and not first.endswith(".changed")
    (tmp_path / "notes.txt").write_text("no code")
    assert version() == first
    (tmp_path / "evals" / "environment.py").write_text("a = 2\n")
    assert version() == first + ".changed"
    git(tmp_path, "commit", "-qam", "second")
    assert version().partition("+")[0] == first.partition("+")[0] and version() != first
    assert not version().endswith(".changed")


def test_a_run_whose_outputs_another_version_made_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(plan, "harness_version", lambda: "0.8")
    evaluate("always-yes", "pope", data="toy", limit="6", output=tmp_path)
    (folder,) = tmp_path.iterdir()
    assert cli.main(["show", str(folder)]) == 0
    assert "VERSIONS" not in capsys.readouterr().out
    monkeypatch.setattr(plan, "harness_version", lambda: "0.9")
    record = evaluate("always-yes", "pope", data="toy", limit="6", output=tmp_path)
    assert record.spec.version == "0.9"
    assert cli.main(["show", str(folder)]) == 0
    assert "VERSIONS: 0.8 made outputs of it, 0.9 the numbers" in capsys.readouterr().out


def test_a_run_resumed_under_another_torch_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def ask() -> None:
        evaluate("janus-toy", "pope", data="toy", limit="4", batch_size=2, output=tmp_path)

    ask()
    (folder,) = tmp_path.iterdir()
    (path,) = (folder / "predictions").glob("*.jsonl")
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:2]))
    (folder / "record.json").unlink()
    monkeypatch.setattr(where, "_packages", lambda: "torch 1.0, transformers 9.9")
    ask()
    assert cli.main(["show", str(folder)]) == 0
    told = capsys.readouterr().out
    assert f"torch 1.0 and {environment.installed('torch')}" in told and "MIXED: its outputs were made under" in told
    assert where.mixed([{"stage": "predict", "with": "torch 2.1"}, {"stage": "observe", "with": "torch 2.2"}]) == []
    cards = [{"stage": "predict", "device": each} for each in ("A100", "H100")]
    assert where.mixed(cards) == ["device A100 and H100"]


def test_the_record_itself_tells_of_other_versions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for version in ("0.8", "0.9"):
        monkeypatch.setattr(plan, "harness_version", lambda version=version: version)
        evaluate("always-yes", "pope", data="toy", limit="6", output=tmp_path)
    (folder,) = tmp_path.iterdir()
    machine = json.loads((folder / "environment.json").read_text())
    (folder / "environment.json").write_text(json.dumps({**machine, "workers": []}))
    assert cli.main(["show", str(folder)]) == 0
    assert "VERSIONS: 0.8 made outputs of it, 0.9 the numbers" in capsys.readouterr().out
