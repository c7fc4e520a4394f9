"""The example that scores ten harnesses' files with ten commands does so, with the right numbers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from janus_eval.evals.commands.cli import main

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "examples"))
import open_door  # noqa: E402 -- an example is no part of the package

RIGHT = {
    "vlmevalkit": ("official/circular", 50.0, "VLMEvalKit's outputs/MODEL (my-model_MMBench_DEV_EN.xlsx), 8 rows"),
    "mmbench_upload": ("official/circular", 50.0, "MMBench's upload xlsx, 8 rows"),
    "lmms_eval": ("official/random_accuracy", 50.0, "lmms-eval's samples (JSON), 2 rows"),
    "inspect_log": ("official/Art", 50.0, "inspect's eval log (JSON), 2 rows"),
    "evalscope": ("official/random_accuracy", 50.0, "evalscope's predictions (JSON), 2 rows"),
    "llava": ("official/existence", 50.0, "LLaVA's answers (JSON), 2 rows"),
    "mmmu_tool": ("official/Math", 100.0, "MMMU's official outputs (2 files), 2 rows"),
    "pope_tool": ("official/random_f1", 200 / 3, "POPE's official answers (JSON), 2 rows"),
    "mm_vet_tool": ("official/rec", 100.0, "answers by id (JSON), 2 rows"),
    "mme_tool": ("official/existence (part)", 200.0, "MME's official folder (existence.txt), 2 rows"),
}


@pytest.mark.parametrize("harness", open_door.HARNESSES, ids=lambda each: each.__name__)
def test_a_harness_leaves_what_one_command_scores(
    harness: open_door.Harness, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["score", *harness(tmp_path), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    key, value, read_as = RIGHT[harness.__name__]
    assert said["read_as"] == read_as
    assert said["metrics"][key]["value"] == pytest.approx(value)


def test_the_example_scores_all_ten(tmp_path: Path) -> None:
    assert len(RIGHT) == len(open_door.HARNESSES) == 10
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "open_door.py"), str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.count("$ janus-eval score") == 10
    assert done.stdout.count(": read as ") >= 10
