"""Repeats with other seeds, pass@k by hand, and what a suite can show before it is run."""

from __future__ import annotations

import itertools
import json
import math
import random
import statistics
from pathlib import Path

import pytest
from janus_eval.evals.commands import cli
from janus_eval.evals.errors import UsageError
from janus_eval.evals.types import Metric, RunRecord, Score
from janus_eval.reports.compare import Run
from janus_eval.reports.power import Design
from janus_eval.reports.repeats import pass_at, repeats
from support import runs


def run(verdicts: dict[str, list[float | None]], seed: int = 0) -> Run:
    scores = [
        Score(name, index, "official", value, reason="" if value is not None else "missing: failed")
        for name, values in verdicts.items()
        for index, value in enumerate(values)
    ]
    metrics = {"official/overall": Metric(0.5, len(scores), 0.4, 0.6)}
    return Run(RunRecord(runs.spec("mine", seed=seed), "official/overall", metrics, {}, complete=True), scores)


def test_pass_at_k_is_the_share_of_all_choices_of_k_that_hold_a_right_one() -> None:
    verdicts = {"a": [1.0, 0.0, 0.0, 0.0], "b": [0.0] * 4, "c": [1.0, 1.0, 0.0, 1.0]}
    found = pass_at([run({key: [*each] for key, each in verdicts.items()})])
    assert list(found) == [1, 2, 4]
    for k, (value, _) in found.items():
        shares = [statistics.fmean(any(c) for c in itertools.combinations(each, k)) for each in verdicts.values()]
        assert value == pytest.approx(statistics.fmean(shares))


def test_outputs_of_all_seeds_count_and_an_output_without_a_verdict_takes_its_prompt_out() -> None:
    both = [run({"a": [1.0], "b": [0.0], "c": [1.0]}, 0), run({"a": [0.0], "b": [0.0], "c": [None]}, 1)]
    found = pass_at(both)
    assert {k: value for k, (value, _) in found.items()} == {1: 0.25, 2: 0.5}


def test_grades_have_no_pass_at_k() -> None:
    assert pass_at([run({"a": [0.5, 1.0]})]) == {}
    assert pass_at([run({"a": [1.0]})]) == {}


def test_seeds_of_one_model_are_one_table_and_others_stand_apart(tmp_path: Path) -> None:
    for seed in (0, 1, 2):
        runs.write(tmp_path, runs.spec("mine", seed=seed), runs.scores(seed, share=10))
    runs.write(tmp_path, runs.spec("other"), runs.scores(9, share=10))
    rows = json.loads(repeats([tmp_path], form="json"))
    text = repeats([tmp_path])
    assert "mine on geneval: 3 runs" in text and "other on geneval: 1 run" in text
    assert "Seeds: 0, 1, 2." in text and "pass@8" in text and "pass@12" in text
    assert rows
    means = [Run.read(each).record.metrics["official/overall"].value or 0 for each in sorted(tmp_path.iterdir())[:3]]
    assert f"{statistics.fmean(means):.5f}" in text
    assert f"{statistics.stdev(means) / math.sqrt(3):.5f}" in text


def test_a_copy_of_a_run_is_no_repeat_of_it(tmp_path: Path) -> None:
    for place in ("a", "b"):
        runs.write(tmp_path / place, runs.spec("mine", seed=1), runs.scores(1, share=10))
    with pytest.raises(UsageError, match="with the seed 1"):
        repeats([tmp_path / "a", tmp_path / "b"])


def test_a_folder_without_a_run_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        repeats([tmp_path])


def test_run_repeats_makes_a_run_for_each_seed_and_tells_the_mean(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = [
        "run",
        "-m",
        "noise-image",
        "-b",
        "wise_verified",
        "--data",
        "toy",
        "-l",
        "3",
        "--judge",
        "rule",
        "-o",
        str(tmp_path),
    ]
    assert cli.main([*asked, "--seed", "5", "--repeats", "2", "--report"]) == 0
    out = capsys.readouterr().out
    specs = [json.loads((each / "spec.json").read_text()) for each in tmp_path.iterdir()]
    assert sorted(each["seed"] for each in specs) == [5, 6]
    assert len({each["model"] for each in specs}) == 1
    assert "noise-image on wise_verified: 2 runs" in out and "Seeds: 5, 6." in out
    assert "NanoBanana-Pro" in out and "Measured beside reported" in out
    assert cli.main([*asked, "--repeats", "0"]) == 2


# -- before a run -------------------------------------------------------------------------------------


def test_the_standard_error_is_that_of_simulated_runs() -> None:
    design = Design(prompts=60, outputs=4, value=0.7, correlation=0.5)
    chance, found = random.Random(1), []
    for _ in range(3000):
        total = 0.0
        for _ in range(60):  # with the chance 0.5 an output repeats its prompt's own verdict: correlation 0.25
            own = chance.random() < 0.7
            total += sum(own if chance.random() < math.sqrt(0.5) else chance.random() < 0.7 for _ in range(4))
        found.append(total / 240)
    assert statistics.stdev(found) == pytest.approx(design.error, rel=0.05)


def test_what_is_called_detectable_is_found_four_times_in_five() -> None:
    design = Design(prompts=400, outputs=1, value=0.5, correlation=0.5, likeness=0.0)
    shift, chance = design.detectable(paired=False), random.Random(2)
    error = math.sqrt(2) * design.error
    hits = 0
    for _ in range(1500):
        a = sum(chance.random() < 0.5 - shift / 2 for _ in range(400)) / 400
        b = sum(chance.random() < 0.5 + shift / 2 for _ in range(400)) / 400
        hits += abs(b - a) / error > 1.96
    assert hits / 1500 == pytest.approx(0.8, abs=0.04)


def test_more_prompts_help_and_more_seeds_only_within_a_prompt() -> None:
    design = Design(553, 4, 0.8)
    assert Design(design.prompts_for(0.02), 4, 0.8).detectable(paired=True) <= 0.02
    assert design.repeats_for(0.02) is None
    loose = Design(553, 4, 0.8, correlation=0.05)
    count = loose.repeats_for(0.015)
    assert count is not None and count > 1
    assert Design(553, 4 * count, 0.8, correlation=0.05).detectable(paired=True) <= 0.015


@pytest.mark.parametrize("arguments", [["--difference", "2"], ["--difference", "0.1", "--value", "80"]])
def test_points_in_place_of_shares_are_one_line(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    assert cli.main(["power", "-b", "geneval", "--data", "toy", *arguments]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_the_command_tells_what_geneval_can_show(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["power", "-b", "geneval", "--difference", "0.02", "--value", "0.8"]) == 0
    out = capsys.readouterr().out
    assert "553 prompts, 4 outputs each" in out and "± 0.0264" in out
    assert cli.main(["power", "-b", "geneval", "--difference", "0.02", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["repeats_needed"] is None


@pytest.mark.parametrize("typed", [("--difference", "nan"), ("--difference", "0.1", "--value", "2")])
def test_what_is_typed_for_power_is_judged_before_the_data_are_sought(
    typed: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["power", "-b", "short_answer", "--data", str(tmp_path / "none.csv"), *typed]) == 2
    assert f"{typed[-2]} {float(typed[-1])}" in capsys.readouterr().err
