"""A run's command, its signature, and a file of settings: each asks for the same run."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from janus_eval.evals.commands import cli, config, history
from janus_eval.evals.commands.cli import main
from janus_eval.evals.errors import UsageError
from janus_eval.evals.records import read_record
from janus_eval.evals.request import Request

TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc", "Cf", "Zl", "Zp", "Co", "Cn")), min_size=1, max_size=12)
ROW: dict[str, Any] = {
    **Request(("always-yes",), ("pope",)).to_json(),
    "models": ["always-yes"],
    "benchmarks": ["pope"],
}


def back(command: str) -> Request:
    """Return the request that a command line stands for."""
    args = cli._parse(shlex.split(command)[1:])
    return history.flags.request_of(args)


def made(folder: Path, *more: str) -> Path:
    asked = ["run", "-m", "always-yes", "-b", "pope", "--data", "toy", "-l", "4", "-o", str(folder), *more]
    assert main(asked) == 0
    (found,) = (each for each in folder.iterdir() if each.is_dir())
    return found


# -- command ------------------------------------------------------------------------------------------


def test_the_command_of_a_run_makes_the_same_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = made(tmp_path, "-a", "answer=No, it isn't", "--seed", "7", "--tag", "-x y", "--name", "It's mine")
    before = (run / "record.json").read_bytes()
    capsys.readouterr()
    assert main(["command", str(run)]) == 0
    told = capsys.readouterr().out
    assert main(shlex.split(told)[1:]) == 0
    assert (run / "record.json").read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == [run.name]
    assert read_record(run).name == "It's mine"


@settings(max_examples=60, deadline=None)
@given(TEXT, TEXT, TEXT, st.lists(TEXT, min_size=1, max_size=3), st.integers(0, 9))
def test_any_text_comes_back_from_the_command(answer: str, tag: str, name: str, ids: list[str], seed: int) -> None:
    row = {**ROW, "model_options": {"answer": answer}, "tag": tag, "name": name, "ids": ids, "seed": seed}
    command = history.as_command(row, Path("runs/x"))
    assert "\n" not in command
    if "--again" in command:  # what no flag can say: a comma that would begin an option, or divide an id
        assert any("," in each for each in (answer, *ids))
    elif name.strip():
        assert back(command).to_json() == row


def test_what_could_move_a_cursor_is_spelled_out_for_the_shell() -> None:
    assert history.quoted("a\x1b[31m\n'b'\\") == "$'a\\u001b[31m\\u000a\\'b\\'\\\\'"


def test_a_secret_of_the_environment_stands_in_no_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-0123456789abcdef")
    row = {**ROW, "model_options": {"answer": "sk-0123456789abcdef"}}
    assert "sk-0123456789" not in history.as_command(row, Path("runs/x"))


def test_a_folder_that_does_not_say_what_it_was_asked_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["command", str(tmp_path)]) == 2
    assert "does not say what it was asked" in capsys.readouterr().err
    (tmp_path / "asked.json").write_text('{"models": 5}')
    assert main(["command", str(tmp_path)]) == 2
    assert "what was asked is damaged" in capsys.readouterr().err


# -- from a signature ---------------------------------------------------------------------------------


def test_a_signature_asks_for_its_run(tmp_path: Path) -> None:
    run = made(tmp_path / "a", "-a", "answer=No", "--seed", "3", "--step", "5", "--tag", "t", "--preset", "llava")
    signature = read_record(run).spec.signature
    assert main(["run", "--from-signature", f"signature: {signature}", "-o", str(tmp_path / "b")]) == 0
    (again,) = (tmp_path / "b").iterdir()
    assert again.name == run.name
    assert (again / "record.json").read_bytes() == (run / "record.json").read_bytes()


def test_a_signature_that_was_edited_or_is_cut_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    signature = read_record(made(tmp_path / "a")).spec.signature
    for text, told in (
        (signature.replace("m.answer:Yes", "m.answer:No"), "it was edited"),
        (signature.replace("b.rows:380", "b.rows:381"), "b.rows: 381, now 380"),
        (signature[:-3], "expected SUITE|MODEL"),
        ("pope|always-yes|...|#0123456789ab", "a knob is missing"),
    ):
        assert main(["run", "--from-signature", text, "-o", str(tmp_path / "b")]) == 2
        assert told in capsys.readouterr().err
    assert main(["run", "--from-signature", signature, "-b", "mme"]) == 2
    assert "leave out --bench" in capsys.readouterr().err
    assert not (tmp_path / "b").exists()


def test_values_with_bars_and_colons_are_read_whole() -> None:
    spec, _ = history.parsed("s|m|seed:1|limit:all|m.roles:<|User|>,<|A|>|m.url:http://h:1/|janus-eval:1|#0123456789ab")
    assert spec.model_card == {"roles": "<|User|>,<|A|>", "url": "http://h:1/"}
    assert (spec.seed, spec.limit) == (1, None)


# -- a file of settings -------------------------------------------------------------------------------


def plan(capsys: pytest.CaptureFixture[str], *asked: str) -> list[dict[str, str]]:
    assert main(["run", "-n", "--json", *asked]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_file_of_settings_stands_for_flags(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(
        "model: always-yes\nbench: [pope, mme]\nlimit: 3\ndata: toy\nmodel_args: {answer: 'No'}\npreset: llava\n"
    )
    flags = ["-m", "always-yes", "-b", "pope,mme", "-l", "3", "--data", "toy", "-a", "answer=No", "--preset", "llava"]
    assert plan(capsys, "-C", str(file)) == plan(capsys, *flags)


def test_flags_win_over_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "run.yaml"
    file.write_text("model: janus-toy\nbench: mme\nlimit: 3\ndata: toy\nmodel_args: {answer: 'No'}\noffline: true\n")
    given = ["-m", "always-yes", "--bench=pope", "-l5", "-a", "answer=Yes", "--batch_size", "2"]
    (found,) = plan(capsys, "--config", str(file), *given)
    assert (found["run"], found["samples"], found["batch size"]) == ("always-yes on pope", 5, "2")
    assert "m.answer:Yes" in found["signature"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("modle: x", "unknown key 'modle'; did you mean 'model'?"),
        ("model: {a: b}", "model takes one value, no keys"),
        ("model_args: {a: [1]}", "a takes one plain value"),
        ("model: a\nmodel: b", "the key 'model' is given twice"),
        ("[1, 2]", "expected keys with values"),
        ("", "expected keys with values"),
        ("1: x", "expected keys with values"),
        ("a: !!python/object/apply:os.system ['true']", "is no plain YAML"),
        ("a: [", "is no plain YAML"),
        ("[" * 5000, "is no plain YAML"),
        ("model: \x00", "is no plain YAML"),
        ("x: &a [1]\nmodel: [*a, *a]", "takes one plain value"),
    ],
)
def test_a_file_that_is_none_of_settings_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, told: str
) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(text)
    assert main(["run", "-C", str(file)]) == 2
    err = capsys.readouterr().err
    assert told in err and err.count("\n") == 1


def test_a_file_that_is_not_there_or_is_named_twice_is_refused(tmp_path: Path) -> None:
    for asked, told in (
        (["-C", str(tmp_path / "no.yaml")], "no such file of settings"),
        (["-C"], "names no file"),
        (["-C", "a", "--config=b"], "given twice"),
    ):
        with pytest.raises(UsageError, match=told):
            config.merged(["run", *asked])
