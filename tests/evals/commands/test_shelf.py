"""`list`, `list runs`, `rm` and `gc`: what there is, and what may be taken away."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from janus_eval.evals import registry
from janus_eval.evals.commands import shelf
from janus_eval.evals.commands.cli import main
from janus_eval.evals.files import lock
from support import runs, site


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """A folder with a finished run, one without a record, and something that is no run."""
    folder = tmp_path / "runs"
    runs.write(folder, runs.spec("whole"), runs.scores(share=20))
    (runs.write(folder, runs.spec("cut"), runs.scores(share=20)) / "record.json").unlink()
    (folder / "notes").mkdir()
    (folder / "notes" / "mine.txt").write_text("keep")
    return folder


def named(folder: Path, model: str) -> Path:
    (found,) = folder.glob(f"{model}--*")
    return found


def said(capsys: pytest.CaptureFixture[str], *asked: str, code: int = 0) -> str:
    assert main(list(asked)) == code
    captured = capsys.readouterr()
    return captured.out + captured.err


# -- list ---------------------------------------------------------------------------------------------


def test_list_says_a_line_about_each_name_and_imports_no_plugin() -> None:
    code = "import sys; from janus_eval.evals.commands.cli import main; main(['list'])\n"
    code += "assert not [m for m in sys.modules if m.startswith(('janus_eval.models', 'torch', 'jinja2'))]"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    lines = {line.split()[0]: line.split()[1:] for line in told.splitlines() if line.startswith("  ")}
    assert lines["janus-pro-7b"][:2] == ["Janus-Pro", "7B,"]
    assert all(lines.values()), [name for name, rest in lines.items() if not rest]


def test_a_plugin_of_others_is_described_unless_its_source_is_not_to_be_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code = 'raise SystemExit("imported")\nclass Theirs:\n    """\x1b[31mTheir model. It has more to say."""\n'
    models = {"theirs": "Theirs", "unsaid": "Unsaid"}
    site.visible(site.install(tmp_path, "theirs_pkg", code, models=models), monkeypatch)
    told = said(capsys, "list", "models")
    registry.forget()
    assert re.search(r"theirs +\\u001b\[31mTheir model\n", told)
    assert "\n  unsaid\n" in told


def test_recipes_are_listed_with_their_default_first(capsys: pytest.CaptureFixture[str]) -> None:
    told = json.loads(said(capsys, "list", "recipes", "--json"))
    assert told["janus-pro-7b"] == ["paper-like"]
    assert told["pope"][0] == "janus-pr541" and "official" in told["pope"]


def test_runs_are_listed_with_state_size_and_age(kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = {row["title"]: row for row in json.loads(said(capsys, "list", "runs", str(kept), "--json"))}
    assert {title: row["state"] for title, row in rows.items()} == {
        "whole on geneval": "finished",
        "cut on geneval": "unfinished",
    }
    assert all(row["bytes"] > 100 and row["seconds_ago"] >= 0 for row in rows.values())
    told = said(capsys, "list", "runs", str(kept))
    assert "finished" in told and "kB" in told and "notes" not in told


def test_a_run_that_a_process_holds_is_running(kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with lock(named(kept, "cut") / ".lock"):
        assert "running" in said(capsys, "list", "runs", str(kept))
        assert "held by a process" in said(capsys, "rm", "--yes", str(named(kept, "cut")), code=4)
        assert "nothing to remove" in said(capsys, "gc", str(kept), "--state", "running,unfinished", "--yes")
    assert "running" not in said(capsys, "list", "runs", str(kept))


def test_a_run_that_is_damaged_is_listed_as_such(kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (named(kept, "whole") / "record.json").write_text("{")
    assert "damaged" in said(capsys, "list", "runs", str(kept))


@pytest.mark.parametrize(("count", "told"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (2_340_000_000, "2.3 GB")])
def test_sizes_in_words(count: int, told: str) -> None:
    assert shelf.size(count) == told


@pytest.mark.parametrize(("seconds", "told"), [(5, "just now"), (60, "1 minute"), (7300, "2 hours"), (1e6, "11 days")])
def test_ages_in_words(seconds: float, told: str) -> None:
    assert shelf.age(seconds) == told


# -- rm and gc ----------------------------------------------------------------------------------------


def test_rm_takes_the_run_away_and_nothing_else(kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gone = named(kept, "whole")
    assert "removed 1 run" in said(capsys, "rm", "-y", str(gone))
    assert not gone.exists()
    assert sorted(each.name.partition("--")[0] for each in kept.iterdir()) == ["cut", "notes"]


def test_nothing_is_removed_where_nobody_can_be_asked(kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "give --yes" in said(capsys, "rm", str(named(kept, "whole")), code=2)
    assert "would remove 1 run" in said(capsys, "rm", "-n", str(named(kept, "whole")))
    assert (named(kept, "whole") / "record.json").is_file()


@pytest.mark.parametrize(("answer", "stays"), [("y\n", False), ("n\n", True), ("\n", True), ("", True)])
def test_rm_asks_first(kept: Path, monkeypatch: pytest.MonkeyPatch, answer: str, stays: bool) -> None:
    master, slave = os.openpty()
    os.write(master, answer.encode() or b"\x04")
    with os.fdopen(slave, "r", encoding="utf-8") as terminal:
        monkeypatch.setattr(sys, "stdin", terminal)
        path = named(kept, "whole")
        assert main(["rm", str(path)]) == 0
    os.close(master)
    assert path.exists() is stays


def test_what_is_no_run_is_refused_and_links_are_not_followed(kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = named(kept, "whole")
    (kept / "link").symlink_to(whole)
    assert "is a link" in said(capsys, "rm", "-y", str(kept / "link"), code=2)
    assert "is no run" in said(capsys, "rm", "-y", str(kept / "notes"), code=2)
    assert "is no run" in said(capsys, "rm", "-y", str(kept), code=2)
    (kept / "notes" / "spec.json").write_text('{"mine": 1}')
    assert "none of ours" in said(capsys, "rm", "-y", str(kept / "notes"), code=2)
    assert (kept / "notes" / "mine.txt").is_file() and (whole / "record.json").is_file()
    (whole / "images").mkdir(exist_ok=True)
    (whole / "images" / "away").symlink_to(kept / "notes")
    said(capsys, "rm", "-y", str(whole))
    assert not whole.exists() and (kept / "notes" / "mine.txt").is_file()


def test_one_that_must_stay_keeps_all_of_them(kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, "rm", "-y", str(named(kept, "whole")), str(kept / "notes"), code=2)
    assert named(kept, "whole").exists()


def test_a_run_that_holds_another_stays(kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    inner = runs.write(named(kept, "whole"), runs.spec("inner"), runs.scores(share=20))
    assert "holds another run" in said(capsys, "rm", "-y", str(named(kept, "whole")), code=2)
    assert (inner / "record.json").is_file()


def test_gc_prunes_by_state_and_by_age(kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "say which runs may go" in said(capsys, "gc", str(kept), code=2)
    assert "did you mean 'unfinished'" in said(capsys, "gc", str(kept), "--state", "unfinishd", code=2)
    assert "expected a number" in said(capsys, "gc", str(kept), "--older", "soon", code=2)
    assert "nothing to remove" in said(capsys, "gc", str(kept), "--older", "1d", "-y")
    said(capsys, "gc", str(kept), "--state", "unfinished", "-y")
    assert [each.name.partition("--")[0] for each in sorted(kept.iterdir())] == ["notes", "whole"]
    long_ago = time.time() - 5 * 86400
    for each in [named(kept, "whole"), *named(kept, "whole").rglob("*")]:
        os.utime(each, (long_ago, long_ago))
    said(capsys, "gc", str(kept), "--older", "4d", "-y")
    assert [each.name for each in kept.iterdir()] == ["notes"]


def test_a_removal_that_was_killed_leaves_a_run_that_can_be_removed(
    kept: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = named(kept, "whole")

    def killed(_: object) -> None:
        raise KeyboardInterrupt

    (path / "images").mkdir(exist_ok=True)
    with monkeypatch.context() as during:
        during.setattr(shelf.shutil, "rmtree", killed)
        assert main(["rm", "-y", str(path)]) == 130
    assert not (path / "record.json").exists() and (path / "spec.json").is_file()
    said(capsys, "rm", "-y", str(path))
    assert not path.exists()
