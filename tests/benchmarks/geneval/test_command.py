"""`janus-eval score` and `data export` for GenEval, as a user calls them."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from janus_eval.benchmarks.geneval.prompts import OFFICIAL_SHA256
from janus_eval.evals.commands.cli import main
from janus_eval.evals.types import Job, Sample
from janus_eval.models.fake import NoiseImage

FIXTURE = Path(__file__).parents[2] / "fixtures" / "geneval" / "official_verdicts.jsonl"


def test_score_prints_metrics_and_writes_a_line_a_row(tmp_path, capsys):
    out = tmp_path / "rows.jsonl"
    assert main(["score", "--bench", "geneval", "--evidence", str(FIXTURE), "--json", "--out", str(out)]) == 0
    printed = json.loads(capsys.readouterr().out)
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    expected = [json.loads(line) for line in FIXTURE.read_text().splitlines()]
    assert rows == [{"id": each["id"], **each["expected"]} for each in expected]
    right = sum(each["expected"]["correct"] for each in expected)
    assert printed["n"] == 90 and printed["metrics"]["official/correct_images"]["value"] is None
    assert printed["metrics"]["official/correct_images (part)"]["value"] == pytest.approx(right / 90)


def test_a_flag_wins_over_the_rows_options(capsys):
    arguments = ["score", "--bench", "geneval", "--evidence", str(FIXTURE), "--json"]
    assert main([*arguments, "--threshold", "1", "--counting-threshold", "1"]) == 0
    assert json.loads(capsys.readouterr().out)["metrics"]["official/correct_images (part)"]["value"] == 0


def test_a_damaged_file_ends_with_one_line_and_exit_code_2(tmp_path, capsys):
    path = tmp_path / "e.jsonl"
    path.write_text(FIXTURE.read_text().splitlines()[0] + '\n{"id": 1}\n')
    assert main(["score", "--bench", "geneval", "--evidence", str(path)]) == 2
    said = capsys.readouterr().err.strip()
    assert said.count("\n") == 0 and "e.jsonl line 2: metadata is missing" in said


def test_scoring_needs_no_torch():
    code = (
        "import sys\nfrom janus_eval.evals.commands.cli import main\n"
        f"code = main(['score', '--bench', 'geneval', '--evidence', {str(FIXTURE)!r}, '--json'])\n"
        "print(code, [name for name in ('torch', 'transformers', 'cv2', 'pandas') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0 []"


def test_export_writes_the_official_metadata_file(tmp_path):
    assert main(["data", "export", "geneval", "-o", str(tmp_path / "m.jsonl")]) == 0
    assert hashlib.sha256((tmp_path / "m.jsonl").read_bytes()).hexdigest() == OFFICIAL_SHA256
    assert main(["data", "export", "geneval", "--seed", "7", "--size", "25", "-o", str(tmp_path / "n.jsonl")]) == 0
    assert (tmp_path / "n.jsonl").read_bytes().count(b"\n") > 80


def test_a_folder_made_by_anyone_is_scored_and_what_is_wrong_with_it_is_counted(tmp_path, capsys):
    for package in ("torch", "transformers", "pycocotools"):
        pytest.importorskip(package)
    for name, label in (("00000", "cat"), ("00001", "dog")):
        (tmp_path / name / "samples").mkdir(parents=True)
        clause = {"class": label, "count": 1}
        asked = {"tag": "single_object", "include": [clause], "prompt": f"a photo of a {label}"}
        (tmp_path / name / "metadata.jsonl").write_text(json.dumps(asked))
        for number in range(2):
            noise = NoiseImage(size=32).predict([Job(Sample(name, ""), "image", number, number)])[0]
            noise.save(tmp_path / name / f"samples/{number:05d}.png")
    cut = tmp_path / "00000/samples/00001.png"
    cut.write_bytes(cut.read_bytes()[:50])
    (tmp_path / "00001/samples/00000.png").unlink()
    (tmp_path / "00001/samples/00002.png").symlink_to("/etc/hostname")
    arguments = ["score", "--bench", "geneval", "--images", str(tmp_path), "-o", str(tmp_path / "runs"), "--json"]
    main([*arguments, "--detector", "toy", "--clip", "toy", "--device", "cpu"])
    printed = json.loads(capsys.readouterr().out)
    # Numbers 1 and 2 of 00001 count from one: the second is a link that leads out, and refused.
    assert printed["missing"] == ["00001/1"]
    assert printed["counts"] | {"errors": 0} == {
        "expected": 4,
        "predicted": 3,
        "scored": 2,
        "unparsed": 0,
        "unscored": 2,
        "cut": 0,
        "lasting": 0,
        "refused": 0,
        "invalid_images": 1,
        "errors": 0,
    }
    assert printed["metrics"]["official/overall"]["value"] is None


@pytest.mark.parametrize("data", ["toy", "official"])
def test_who_looks_is_of_the_world_that_the_data_are_of(data, tmp_path, capsys):
    for package in ("torch", "transformers", "pycocotools"):
        pytest.importorskip(package)
    asked = ["run", "-m", "noise-image", "-b", "geneval", "--data", data, "--offline", "-o", str(tmp_path), "-n"]
    main(asked)
    printed = capsys.readouterr().out
    assert ("o.detector:toy-" in printed) == (data == "toy") and "o.detector:" in printed
