"""Every command block of README and docs is run in a toy world, or says why it is not; none has a wrong option."""

from __future__ import annotations

import contextlib
import json
import shutil
from pathlib import Path

import pytest
from janus_eval.evals.commands import cli
from support.pages import PAGES, ROOT, SHELL, Block, Place, arguments, blocks, spans, unseen

BLOCKS = [each for page in PAGES for each in blocks(page)]
RUNNABLE = [each for each in BLOCKS if each.kind in (*SHELL, "python")]
ANSWERS = [{"id": n, "category": "random", "answer": "yes", "response": "Yes."} for n in (1, 2)]


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a reader of the pages has: runs of fakes and of the toy model, and files of answers."""
    folder = tmp_path_factory.mktemp("given")
    for answer, name in (("Yes", "RUN_A"), ("red", "RUN_B")):
        asked = ["-m", "always-yes", "-a", f"answer={answer}", "-b", "gqa", "--data", "toy", "-o", str(folder / "made")]
        assert cli.main(["run", *asked]) == 0
        newest = max((folder / "made").iterdir(), key=lambda each: each.stat().st_mtime_ns)
        shutil.copytree(newest, folder / name)
    shutil.copytree(folder / "RUN_A", folder / "RUN")
    shutil.rmtree(folder / "made")
    runs = str(folder / "runs")
    for model, suites in (("always-yes", "gqa,mmbench,pope"), ("janus-toy", "geneval")):
        limit = ["-l", "4"] if model == "janus-toy" else []
        assert cli.main(["run", "-m", model, "-b", suites, "--data", "toy", *limit, "-o", runs]) == 0
    (folder / "predictions.jsonl").write_text("".join(json.dumps(each) + "\n" for each in ANSWERS))
    return folder


@pytest.fixture(scope="module")
def places() -> dict[Path, Place]:
    return {}


@pytest.mark.parametrize("block", [each for each in RUNNABLE if not each.why], ids=str)
def test_a_block_runs_and_prints_what_it_shows(
    block: Block, given: Path, places: dict[Path, Place], tmp_path_factory: pytest.TempPathFactory
) -> None:
    if block.page not in places:
        folder = tmp_path_factory.mktemp(block.page.stem)
        if block.page.stem != "tutorial":  # it begins with nothing
            shutil.copytree(given, folder, dirs_exist_ok=True)
        places[block.page] = Place(folder, [each for each in RUNNABLE if each.page == block.page])
    printed = places[block.page].run(block)
    if block.kind == "console":
        assert unseen(block, printed) == [], printed


@pytest.mark.parametrize("page", PAGES, ids=lambda each: each.stem)
def test_a_command_has_no_option_that_the_parser_does_not_know(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run.yaml").write_text("model: janus-toy\nbench: [geneval]\n")
    script = "".join(each.commands() for each in blocks(page) if each.kind in SHELL)
    for asked in [*arguments(script), *(said for span in spans(page) for said in arguments(span))]:
        with contextlib.suppress(cli._Helped):
            cli._parse(asked)


@pytest.mark.parametrize("page", PAGES, ids=lambda each: each.stem)
def test_a_block_that_is_not_run_says_why_and_is_no_nonsense(page: Path) -> None:
    for each in blocks(page):
        if each.kind in ("", "text"):
            starts = [
                line for line in each.text.splitlines() if line.startswith(("janus-eval ", "$ ", "pip ", "python "))
            ]
            assert starts == [], f"{each} holds commands: name its language"
        if each.kind not in (*SHELL, "python"):
            assert not each.why, f"{each} is no command: its mark says nothing"
        if each.kind == "python":
            compile(each.text, str(each), "exec")
    text = page.read_text(encoding="utf-8")
    indented = [line for line in text.split("\n") if line.startswith(("    janus-eval ", "    python ", "    pip "))]
    assert indented == [], "a command stands in a fence, where it is run"
    assert text.count("<!-- not run: ") == sum(bool(each.why) for each in blocks(page)), "a mark without a block"


def test_a_wrong_option_and_a_wrong_output_are_found() -> None:
    block = Block(ROOT / "README.md", 1, "console", "$ janus-eval run -m a \\\n", "")
    (asked,) = arguments("x=1 janus-eval score -b pope answers.jsonl --lmit 3 && true  # --jsn\n")
    assert asked == ["score", "-b", "pope", "answers.jsonl", "--lmit", "3"]
    with pytest.raises(cli.UsageError, match="unknown argument"):
        cli._parse(asked)
    shown = Block(block.page, 1, "console", "$ x\nGate passed\n...\nexit code 0\n", "")
    assert unseen(shown, "Gate passed\nmore\nexit code 0\n") == []
    assert unseen(shown, "Gate FAILED\nmore\nexit code 3\n") == ["Gate passed", "exit code 0"]
