"""Groups, globs, underscores and other harnesses' flags; a plugin's own words in the help."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from janus_eval.evals.commands import spelling
from janus_eval.evals.commands.cli import main


@pytest.mark.parametrize(
    ("given", "ours"),
    [
        ("run --batch_size 4", "run --batch-size 4"),
        ("run --batch_size=4 --tag=a_b", "run --batch-size=4 --tag=a_b"),
        ("run --model_args path=a_b --tasks pope", "run --model-args path=a_b --bench pope"),
        ("run --tasks=pope,mme --gen_kwargs temperature=0", "run --bench=pope,mme --gen-args temperature=0"),
        ("run --output_path x --log-dir y", "run --output x --output y"),
        ("run -M a=1 -Mb=2 -T c=3", "run --model-args a=1 --model-args=b=2 --bench-args c=3"),
        ("run --predict_only", "run --until predict"),
        ("run --sample-id 1,2 --model-base-url http://x", "run --ids 1,2 --base-url http://x"),
        ("report --tasks x", "report --tasks x"),
        ("list -- --batch_size", "list -- --batch_size"),
    ],
)
def test_flags_are_taken_as_others_spell_them(given: str, ours: str) -> None:
    assert spelling.flags(given.split()) == ours.split()


def test_a_plan_asked_for_in_lm_evals_words_is_ours(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    theirs = f"run --model always-yes --tasks pope --model_args answer=No --limit 4 --output_path {tmp_path} -n --json"
    ours = f"run -m always-yes -b pope -a answer=No -l 4 -o {tmp_path} -n --json"
    plans: list[object] = []
    for each in (theirs, ours):
        assert main([*each.split(), "--data", "toy"]) == 0
        plans.append(json.loads(capsys.readouterr().out))
    assert plans[0] == plans[1]


def test_groups_are_the_published_suites_of_a_kind() -> None:
    groups = ("@gen", "@edit", "@und", "@all")
    drawn, edited, asked, every = (spelling.names("benchmarks", [each]) for each in groups)
    assert edited == ["gedit_bench", "gedit_bench_cn", "imgedit_bench"]
    seen = ["wise", "wise_rewritten", "wise_verified"]
    assert drawn == [
        *("dpg_bench", "genai_bench", "geneval", "geneval2", "geneval_long"),
        *("oneig_alignment", "oneig_alignment_cn", "oneig_text", "oneig_text_cn", "t2i_compbench", "tiif", "tiif_mini"),
        *("unigenbench", "unigenbench_cn", "unigenbench_cn_long", "unigenbench_long"),
        *seen,
    ]
    seven = ["gqa", "mm_vet", "mmbench", "mme", "mmmu", "pope", "seed_bench"]
    later = ["ai2d", "chartqa", "mathvista", "mmbench_cn", "mmmu_pro", "mmmu_pro_vision", "mmstar", "mmvp", "ocrbench"]
    assert asked == sorted([*seven, *later, "realworldqa"])
    assert sorted(every) == sorted([*drawn, *edited, *asked])
    papers = spelling.names("benchmarks", ["@2026"])
    assert len(papers) == 14 and set(papers) <= set(every)


def test_globs_are_spelled_out_once_each_and_paths_are_left_alone() -> None:
    assert spelling.names("models", ["janus_pro*", "janus-pro-7b"]) == ["janus-pro-1b", "janus-pro-7b"]
    assert spelling.names("benchmarks", ["mm[em][eu]*", "mme"]) == ["mmmu", "mmmu_pro", "mmmu_pro_vision", "mme"]
    assert spelling.names("models", ["hf:/a/*"]) == ["hf:/a/*"]


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (["-m", "zz*", "-b", "pope"], "no model fits 'zz*'; known: always-yes"),
        (["-m", "always-yes", "-b", "@gne"], "no group '@gne'; did you mean '@gen'?"),
        (["-m", "@all", "-b", "pope"], "groups are of benchmarks"),
    ],
)
def test_a_group_or_glob_that_holds_nothing_is_refused(
    asked: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", *asked]) == 2
    assert told in capsys.readouterr().err


def test_help_tells_the_options_of_the_model_and_the_benchmark(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "-h", "-m", "janus-pro-7b", "-b", "geneval"]) == 0
    told = capsys.readouterr().out
    assert "the model janus-pro-7b (-a KEY=VALUE)" in told
    assert "Janus-Pro 7B, understanding and drawing" in told
    assert "image_position=before|after" in told and "default: paper-like" in told
    assert "the benchmark geneval" in told and "counting_threshold=NUMBER" in told


def test_a_misspelt_model_is_said_in_place_of_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "-h", "-m", "janus-pro-7c"]) == 2
    assert "did you mean 'janus-pro-7b'" in capsys.readouterr().err
