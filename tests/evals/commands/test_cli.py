"""The command line: exit codes, one-line errors, routing of plugin flags."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from janus_eval.benchmarks.reading.suite import TableBenchmark
from janus_eval.evals import evaluate, samples
from janus_eval.evals.commands import cli, flags, overview
from janus_eval.evals.errors import UsageError
from janus_eval.evals.extras import pip_line
from janus_eval.evals.records import read_scores
from janus_eval.evals.types import Sample
from support.site import install, visible

SAMPLES = [Sample(f"{n:02d}", "") for n in range(50)]


def call(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = cli.main(list(arguments))
    out, err = capsys.readouterr()
    return code, out, err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "-m", "noise-image", "-b", "genevall"], "did you mean 'geneval'"),
        (["run", "-m", "janus-por-7b", "-b", "geneval"], "did you mean 'janus-pro-7b'"),
        (["run", "-m", "janus-toy", "-b", "geneval", "--lmit", "3"], "did you mean '--limit'"),
        (["list", "--jsn"], "did you mean '--json'"),
        (["run", "-b", "geneval"], "required: -m/--model"),
        (["run", "-m", "janus-toy", "-b", "geneval", "-l", "none"], "expected a number"),
        (["run", "-m", "janus-toy", "-b", "geneval", "--ids", "999999"], "no sample '999999'"),
        (["run", "-m", "janus-toy", "-b", "geneval", "-a", "noequals"], "wants key=value"),
        (["run", "-m", "janus-toy", "-b", "geneval", "-l", "1", "--batch-size", "0"], "--batch-size '0'"),
        (["run", "-m", "janus-toy", "-b", "geneval", "-l", "1", "--batch-size", "²"], "--batch-size '²'"),
        (["run", "-m", "janus-toy", "-b", "geneval", "-l", "1", "--max-errors", "-1"], "--max-errors -1"),
        (["run", "-m", "janus-toy", "-b", "geneval", "--ids", ","], "names no sample"),
        (["run", "-m", ",", "-b", "geneval"], "--model names nothing"),
        (["run", "-m", "janus-toy", "-b", ""], "--bench names nothing"),
        (["run", "-m", "janus-toy", "-b", "geneval", "--data", ""], "--data names nothing"),
        (["run", "-m", "always-yes", "-b", "pope", "--base-url", "http://localhost"], "--base-url: no endpoint"),
        (["run", "-m", "janus-toy", "-b", "pope", "--seed", "1", "--seed", "1"], "argument --seed: given twice"),
        (["run", "-m", "janus-toy", "-b", "pope", "-l", "1", "--limit", "1"], "argument -l/--limit: given twice"),
        (["run", "-m", "janus-toy", "-b", "pope", "-a", "dtype=a", "-a", "dtype=b"], "'dtype' is given twice"),
        (["run", "-m", "janus-toy", "-b", "pope", "-a", "x=a", "--gen-args", "x=b"], "'x' is given twice"),
        (["run", "-m", "janus-toy", "-b", "pope", "--preset", "llava", "--bench-args", "preset=llava"], "given twice"),
        (["run", "-m", "janus-toy", "-b", "pope", "--bench-args", "presets=llava"], "no option 'presets'"),
        (["run", "-m", "janus-toy", "-b", "pope", "-o", ""], "argument -o/--output: is empty"),
        (["run", "-m", "janus-1.3b", "-b", "pope", "-a", "path="], "option path='': expected a path"),
        (["report", ""], "argument RUN: is empty"),
        (["gate", "a", "--baseline", "", "--update"], "argument --baseline: is empty"),
        (["show", "a", "--id", "1", "--id", "2"], "argument --id: given twice"),
        (["validate", "nothing"], "no plugin is called 'nothing'"),
        (["frobnicate"], "invalid choice"),
        (["data", "fetch"], "needs a name"),
    ],
)
@pytest.mark.claim("R18")
def test_a_usage_error_is_one_line_and_exit_code_2(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, arguments: list[str], message: str
) -> None:
    if arguments[0] == "run":
        arguments = [*arguments, "-o", str(tmp_path)]
    code, out, err = call(capsys, *arguments)
    assert code == 2
    assert out == ""
    assert err.count("\n") == 1 and message in err


def test_a_missing_package_is_one_line_with_its_mend(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)  # an import of it fails as where it is not installed
    arguments = ["run", "-m", "janus-pro-7b", "-b", "pope", "--data", "toy", "-o", str(tmp_path)]
    code, _, err = call(capsys, *arguments)
    assert code == 6
    assert err == f"janus-eval: error: janus-pro-7b needs the package torch: {pip_line('hf')}\n"
    code, out, _ = call(capsys, *arguments, "--dry-run")
    assert code == 0 and pip_line("hf") in out


def test_listing_names_everything_registered(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capsys, "list", "--json")
    found = json.loads(out)
    assert code == 0
    assert {"janus-toy", "janus-pro-7b", "sd3-medium"} <= set(found["models"])
    assert {"geneval"} <= set(found["benchmarks"])


@pytest.mark.parametrize(
    ("limit", "first", "last", "written"),
    [
        ("3", 0, 3, "3"),
        ("03", 0, 3, "3"),
        ("3.0", 0, 3, "3"),
        ("0.10", 0, 5, "0.1"),
        ("10-20", 10, 20, "10-20"),
        ("50", 0, 50, None),
        ("1000", 0, 50, None),
    ],
)
def test_limit_takes_a_number_a_share_or_a_range(limit: str, first: int, last: int, written: str | None) -> None:
    assert samples.select(SAMPLES, limit, None) == (SAMPLES[first:last], written)


def test_an_answer_that_no_terminal_can_show_is_escaped(tmp_path: Path) -> None:
    arguments = ["run", "-m", "always-yes", "-b", "pope", "--data", "toy", "-l", "1", "-a", "answer=Ja é 😀", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "janus_eval.evals.commands.cli", *arguments, "-o", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.isascii()
    assert json.loads(done.stdout)[0]["spec"]["model_card"]["answer"] == "Ja é 😀"


def test_rows_keep_an_answer_that_is_no_valid_text(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text('{"id": "1", "category": "random", "answer": "yes", "response": "\\ud800"}\n')
    code, _, err = call(capsys, "score", "-b", "pope", str(tmp_path / "in.jsonl"), "--out", str(tmp_path / "out.jsonl"))
    assert (code, err) == (0, "")
    assert json.loads((tmp_path / "out.jsonl").read_text())["read"]["lmms-eval"] == "\ud800"


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.claim("R18")
def test_a_full_disk_behind_the_output_is_one_line_and_exit_code_6(unbuffered: str) -> None:
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "janus_eval.evals.commands.cli", "list", "--json"]
        done = subprocess.run(
            command,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            env=os.environ | {"PYTHONUNBUFFERED": unbuffered},
        )
    assert (done.returncode, done.stderr.count("\n")) == (6, 1) and "the disk is full" in done.stderr


def piped(*arguments: str, before: str = "") -> int:
    """Run the command in a shell that closes or redirects its streams and return the exit code."""
    line = f'exec "$0" -m janus_eval.evals.commands.cli "$@" {before}'
    return subprocess.run(["bash", "-c", line, sys.executable, *arguments], check=False).returncode


@pytest.mark.parametrize("streams", ["2>/dev/full", "2>&-", ">&- 2>&-", ">&- 2>/dev/full"])
def test_a_stderr_that_takes_nothing_changes_no_exit_code(streams: str, tmp_path: Path) -> None:
    assert piped("show", str(tmp_path), before=streams) == 2
    assert piped("list", before=streams + " >/dev/null") == 0


@pytest.mark.parametrize(
    "where", ["", "  def __init__(self):\n    sys.exit(0)\n", "  def predict(self, jobs):\n    sys.exit(0)\n"]
)
def test_a_plugin_that_exits_never_gives_the_exit_code(
    where: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code = "import sys\nclass M:\n  kinds = frozenset(['text'])\n  card = {}\n" + (where or "sys.exit(0)\n")
    visible(install(tmp_path / "site", "leaver", code, models={"leaver": "M"}), monkeypatch)
    found, _, err = call(capsys, "run", "-m", "leaver", "-b", "pope", "--data", "toy", "-o", str(tmp_path / "runs"))
    assert found == 1 and "ended the process: SystemExit(0)" in err.splitlines()[-1]


def test_the_help_has_each_command_in_one_group_and_fits_80_columns(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capsys, "--help")
    grouped = [name for names in overview.GROUPS.values() for name in names]
    assert code == 0 and len(grouped) == len(overview.COMMANDS)
    assert all(re.search(rf"^  {name} +\S", out, re.M) for name in grouped)
    assert max(map(len, out.splitlines())) <= 80


def test_help_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert [call(capsys, *each, "--help")[0] for each in ([], ["run"], ["gate"])] == [0, 0, 0]


def test_an_export_into_a_closed_stdout_is_no_crash() -> None:
    assert piped("data", "export", "geneval", "--size", "25", before=">&-") == 0


def test_an_argument_that_is_no_utf_8_makes_a_run_that_can_be_read(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    odd = os.fsdecode(b"x\xff\x1b[1m")
    options = ["-a", f"answer={odd}", "--tag", odd, "-o", str(tmp_path / odd)]
    assert call(capsys, "run", "-m", "always-yes", "-b", "pope", "--data", "toy", "-l", "2", *options)[0] == 0
    for command in (["report", str(tmp_path / odd)], ["show", str(next((tmp_path / odd).iterdir()))]):
        code, out, err = call(capsys, *command)
        assert (code, err) == (0, "") and "x\\udcff\\u001b[1m" in out
    code, _, err = call(capsys, "run", "-m", "openai:x", "-b", "pope", "--data", "toy", "--base-url", f"http://h/{odd}")
    assert code == 2 and "the endpoint's address is no UTF-8" in err


@pytest.mark.parametrize("key", ["presets", "thresold"])
def test_python_refuses_an_option_that_nobody_takes(tmp_path: Path, key: str) -> None:
    with pytest.raises(UsageError, match=f"pope has no option '{key}'"):
        evaluate("always-yes", "pope", output=tmp_path, data="toy", benchmark_options={key: "x"})


def test_python_takes_a_number_for_limit_and_a_list_for_ids(tmp_path: Path) -> None:
    record = evaluate("always-yes", "pope", output=tmp_path, data="toy", limit=2)
    assert record.counts["expected"] == 2
    ids = [each.sample_id for each in read_scores(next(tmp_path.iterdir()))][:1]
    assert evaluate("always-yes", "pope", output=tmp_path, data="toy", ids=ids).counts["expected"] == 1
    with pytest.raises(UsageError, match="exclude each other"):
        evaluate("always-yes", "pope", output=tmp_path, data="toy", limit=2, ids=ids)


def test_doctor_warns_of_a_cache_that_is_a_file(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("JANUS_EVAL_CACHE", str(tmp_path / "file"))
    found = {row["what"]: row["state"] for row in json.loads(call(capsys, "doctor", "--json")[1])}
    assert found["cache"] == "warning"


@pytest.mark.parametrize(
    ("ids", "message"),
    [(("a", "b", "a"), "two samples have the id 'a'"), (("\ud800",), "is no valid text"), ((), "has no samples")],
)
def test_ids_that_cannot_name_samples_are_refused(monkeypatch: pytest.MonkeyPatch, ids: Any, message: str) -> None:
    monkeypatch.setattr(TableBenchmark, "samples", lambda _: [Sample(each, "Is there a cat?") for each in ids])
    with pytest.raises(UsageError, match=message):
        evaluate("always-yes", "pope", data="toy")


@pytest.mark.parametrize("limit", ["0", "-1", "nan", "inf", "1e400", "2.5", "60-70", "a-b", ""])
def test_a_limit_that_means_nothing_is_refused(limit: str) -> None:
    with pytest.raises(UsageError, match="--limit"):
        samples.select(SAMPLES, limit, None)


def test_ids_keep_their_order_and_count_once() -> None:
    chosen, written = samples.select(SAMPLES, None, ("07", "03", "07"))
    assert [each.id for each in chosen] == ["07", "03"] and written == "ids:07,03"


def test_a_comma_splits_options_only_where_a_key_follows() -> None:
    assert flags.key_values(["a=1,b=x,y,c=z"], "-a") == {"a": "1", "b": "x,y", "c": "z"}


def test_names_with_a_colon_are_kept_whole() -> None:
    assert flags.split_names(["a,b", "images:dir,with,commas"]) == ["a", "b", "images:dir,with,commas"]


def test_doctor_says_what_is_missing_and_how_to_mend_it(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capsys, "doctor", "--json")
    rows = {row["what"]: row for row in json.loads(out)}
    assert code == 0 and rows["python"]["state"] == "ok"
    assert rows["geneval-detector"]["mend"] in ("", "janus-eval data fetch geneval-detector")


@pytest.mark.parametrize("asked", [("doctor", "--json"), ("run", "-b", "geneval", "--help"), ("list",)])
def test_quick_commands_import_neither_torch_nor_numpy(asked: tuple[str, ...]) -> None:
    told = "import sys\nfrom janus_eval.evals.commands.cli import entry\nsys.argv = ['janus-eval', *sys.argv[1:]]\n"
    told += (
        "try: entry()\nfinally: print([each for each in ('torch', 'numpy') if each in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", told, *asked], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0 and done.stderr.strip().endswith("[]")
