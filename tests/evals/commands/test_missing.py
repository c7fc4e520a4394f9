"""`run -n` lists everything that the runs lack, for all of them, with what brings it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from huggingface_hub import constants
from janus_eval.evals.commands import cli
from janus_eval.evals.extras import pip_line
from support.site import install, visible


@pytest.fixture(autouse=True)
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which nothing was fetched and no key is set."""
    monkeypatch.setenv("JANUS_EVAL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("LMUData", str(tmp_path / "LMUData"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def plan(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = cli.main(["run", "-n", *arguments])
    out, err = capsys.readouterr()
    return code, out, err


def test_all_that_is_missing_is_listed_for_all_runs(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = plan(capsys, "-m", "janus-pro-7b,janusflow-1.3b", "-b", "geneval,dpg_bench,pope")
    named = (
        "janus-pro-7b",
        "janusflow-1.3b",
        "sdxl-vae",
        "geneval-detector",
        "geneval-clip",
        "dpg-bench",
        "mplug",
        "pope",
    )
    commands = [line.strip() for line in out.splitlines() if line.startswith("  janus-eval data fetch ")]
    assert sorted(commands) == sorted(f"janus-eval data fetch {name}" for name in named)
    assert "janus-pro-7b: 14.8 GB; code MIT, weights DeepSeek Model License" in out
    assert "to mend (about 27.5 GB to fetch" in out  # 14.85 + 4.1 + 0.335 + 0.276 + 1.71 + 6 + 0.255
    assert "run         janus-pro-7b on geneval" in out and "on pope" not in out  # which cannot be planned
    assert code == 6 and err == "janus-eval: error: 8 things are missing: they stand above\n"


def test_packages_and_weights_of_one_model_are_both_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("janus_eval.models.janus.adapter.needed", lacking_torch)
    code, out, err = plan(capsys, "-m", "janus-pro-1b", "-b", "pope", "--data", "toy")
    assert (code, err) == (0, "") and "janus-eval data fetch janus-pro-1b" in out
    assert "janus-pro-1b needs another torch" in out and pip_line("hf", upgrade=True) in out  # for here it is installed


def lacking_torch() -> None:
    raise ModuleNotFoundError("No module named 'torch'", name="torch")


def test_a_package_of_a_scorer_does_not_hide_its_weights(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("janus_eval.benchmarks.geneval.observer._PACKAGES", ("no_such_package",))
    code, out, _ = plan(capsys, "-m", "noise-image", "-b", "geneval")
    assert code == 6 and "needs the package no_such_package: " + pip_line("geneval") in out
    assert "janus-eval data fetch geneval-detector" in out and "run         noise-image on geneval" in out


def test_keys_of_a_model_and_of_a_judge_are_listed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ("-m", "openai:some-model", "-b", "mm_vet", "--data", "toy", "--judge", "gpt-4-turbo")
    code, out, err = plan(capsys, *asked)
    assert (code, err) == (0, "") and out.count("needs a key: set OPENAI_API_KEY") == 2
    monkeypatch.setenv("OPENAI_API_KEY", "sk-" + "1" * 20)
    assert "missing" not in plan(capsys, *asked)[1]


def test_where_nothing_is_missing_nothing_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = plan(capsys, "-m", "janus-toy", "-b", "geneval,pope")
    assert (code, err) == (0, "") and out.count(" on ge") == out.count(" on po") == 1 and "missing" not in out


def test_json_says_it_of_each_run_and_of_those_that_cannot_be_planned(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = plan(capsys, "-m", "always-yes,janus-pro-1b", "-b", "pope,gqa", "--json")
    rows = json.loads(out)
    assert code == 6 and [each["run"] for each in rows] == [None]
    assert [(each["asset"], each["bytes"]) for each in rows[0]["lacks"]] == [("pope", 255e6), ("gqa", 68e6)]
    code, out, _ = plan(capsys, "-m", "janus-pro-1b", "-b", "pope", "--data", "toy", "--json")
    (row,) = json.loads(out)
    assert code == 0 and row["run"] == "janus-pro-1b on pope"
    assert [each["mend"] for each in row["lacks"]] == ["janus-eval data fetch janus-pro-1b"]


def test_a_plugin_that_only_says_needs_is_asked_for_it(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = "class M:\n  kinds = ['text']\n  card = {}\n  def predict(self, jobs): return ['yes'] * len(jobs)\n"
    code += "  def needs(self): return ('sdxl-vae', 'its own thing')\n"
    visible(install(tmp_path / "site", "needy", code, models={"needy": "M"}), monkeypatch)
    found, out, _ = plan(capsys, "-m", "needy", "-b", "pope", "--data", "toy")
    assert found == 0 and "needy  sdxl-vae: 335 MB; MIT" in out
    assert "needy  its own thing is not on this machine" in out


def test_the_list_of_data_tells_sizes_licences_and_what_is_here(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "LMUData").mkdir()
    (tmp_path / "LMUData" / "POPE.tsv").write_text("x")
    assert cli.main(["data", "list"]) == 0
    lines = {line.split()[0]: line.split() for line in capsys.readouterr().out.splitlines() if line}
    assert lines["geneval-clip"] == ["geneval-clip", "1.7", "GB", "no", "MIT"]
    assert lines["dpg-bench"] == ["dpg-bench", "?", "no", "Apache-2.0"]  # whose size is not known
    assert lines["pope-tsv"][:3] == ["pope-tsv", "?", "yes"]
    assert cli.main(["data", "list", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["janus-pro-7b"]["bytes"] == 14_850_000_000 and rows["dpg-bench"]["bytes"] is None
    assert rows["pope-tsv"]["path"] == str(tmp_path / "LMUData" / "POPE.tsv") and all(
        row["licence"] for row in rows.values()
    )
