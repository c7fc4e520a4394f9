"""Two runs side by side: paired where they share samples, knob by knob where they differ."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from janus_eval.evals import evaluate, stats
from janus_eval.evals.commands import cli
from janus_eval.evals.errors import UsageError
from janus_eval.reports.compare import Run, compare, differing, explain, knobs, pair
from support import runs
from support.predictions import write
from support.suite_rows import PNG


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Path]:
    first = runs.write(tmp_path, runs.spec("janus-pro-7b", seed=1), runs.scores(1))
    card = {"cfg": 4.0, "prompt": {"role": "User"}, "weights": runs.WEIGHTS}
    second = runs.write(tmp_path, runs.spec("janus-pro-7b", seed=2, model_card=card), runs.scores(2, drop=0.08))
    return first, second


def test_a_pair_of_full_runs_shows_the_drop(two: tuple[Path, Path]) -> None:
    pairing = pair(Run.read(two[0]), Run.read(two[1]))
    overall = pairing.differences["official/overall"]
    assert overall is not None and overall.paired
    assert pairing.shared == 2212
    assert -0.12 < overall.value < -0.04
    assert overall.p < 0.001
    assert overall.low < overall.value < overall.high < 0


def test_pairing_is_sharper_than_the_intervals_alone(two: tuple[Path, Path]) -> None:
    first, second = (Run.read(each) for each in two)
    sharp = pair(first, second).differences["official/overall"]
    blunt = pair(Run(first.record), Run(second.record)).differences["official/overall"]
    assert sharp is not None and blunt is not None
    assert sharp.paired and not blunt.paired
    assert sharp.deviation < 0.9 * blunt.deviation


def test_only_shared_samples_are_compared(two: tuple[Path, Path]) -> None:
    first, second = (Run.read(each) for each in two)
    rows = [each for each in second.scores if int(each.sample_id) % 2]
    record = replace(second.record, metrics=stats.metrics(runs.estimates(rows)))
    half = Run(record, rows)
    pairing = pair(first, half)
    assert pairing.shared == len(half.scores) < 2212
    overall, values = pairing.differences["official/overall"], pairing.values["official/overall"]
    assert overall is not None and overall.paired
    assert values[0] is not None and values[1] is not None
    assert overall.value == pytest.approx(values[1] - values[0])  # the table's three numbers belong together
    assert values[0] != first.record.metrics["official/overall"].value


def test_ids_that_name_other_samples_are_not_joined(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = [
        {"id": str(at), "category": "random", "question": f"Is it {at}?", "answer": "yes", "image": PNG}
        for at in range(6)
    ]
    for name, golds in (("a", "yyyyyy"), ("b", "yyynyy"), ("c", "yyyyyy")):
        rows = [{**row, "answer": "yes" if gold == "y" else "no"} for row, gold in zip(asked, golds, strict=True)]
        rows = [{**row, "question": "Is it else?"} for row in rows] if name == "c" else rows
        data = write(tmp_path / f"{name}.jsonl", *rows)
        evaluate("always-yes", "pope", data=data, output=tmp_path / name)
    folders = {name: str(*(tmp_path / name).iterdir()) for name in "abc"}
    assert cli.main(["compare", folders["a"], folders["b"]]) == 2
    told = capsys.readouterr().err
    assert "random/3 is not one sample in both runs (answer: yes in the first, no in the second)" in told
    assert cli.main(["compare", folders["a"], folders["c"]]) == 0  # no tag tells, so that a line does
    assert "OTHER DATA OR PROMPTS" in capsys.readouterr().out
    assert cli.main(["compare", folders["a"], folders["a"]]) == 0
    assert "OTHER DATA OR PROMPTS" not in capsys.readouterr().out


def test_a_protocol_that_the_other_run_lacks_is_no_forgery(tmp_path: Path) -> None:
    record = evaluate("first-option", "mmmu", data="toy", output=tmp_path)
    (folder,) = tmp_path.iterdir()
    new = Run.read(folder)
    known = {key: each for key, each in record.metrics.items() if not key.startswith("fixed/")}
    old = Run(replace(new.record, metrics=known), [each for each in new.scores if each.protocol != "fixed"])
    shared = pair(old, new).differences
    assert shared and not any(key.startswith("fixed/") for key in shared)


def test_a_record_that_the_rules_no_longer_give_is_not_paired(two: tuple[Path, Path]) -> None:
    first, second = (Run.read(each) for each in two)
    forged = {**first.record.metrics, "official/overall": replace(first.record.metrics["official/overall"], value=0.9)}
    pairing = pair(replace(first, record=replace(first.record, metrics=forged)), second)
    overall = pairing.differences["official/overall"]
    assert overall is not None and not overall.paired
    assert pairing.reasons["official/overall"] == "from the intervals alone"
    colors = pairing.differences["official/colors"]
    assert colors is not None and colors.paired


def test_a_benchmark_that_is_not_installed_is_compared_by_intervals(tmp_path: Path) -> None:
    paths = [runs.write(tmp_path, runs.spec("m", benchmark="gone", seed=s), runs.scores(s, share=5)) for s in (1, 2)]
    pairing = pair(Run.read(paths[0]), Run.read(paths[1]))
    assert all(each is not None and not each.paired for each in pairing.differences.values())


def test_different_benchmarks_are_refused(tmp_path: Path) -> None:
    first = runs.write(tmp_path, runs.spec("m"), runs.scores(share=20))
    second = runs.write(tmp_path, runs.spec("m", benchmark="pope"), runs.scores(share=20))
    with pytest.raises(UsageError, match="geneval and pope"):
        compare(first, second)


def test_runs_without_a_common_sample_are_refused(tmp_path: Path) -> None:
    rows = runs.scores(share=5)
    first = runs.write(tmp_path, runs.spec("m"), [each for each in rows if int(each.sample_id) % 2])
    second = runs.write(tmp_path, runs.spec("m", seed=2), [each for each in rows if not int(each.sample_id) % 2])
    with pytest.raises(UsageError, match="share no sample"):
        compare(first, second)


def test_the_page_names_differences_flips_and_knobs(two: tuple[Path, Path]) -> None:
    tables = {table["key"]: table for table in json.loads(compare(*two, form="json", flips=5))["tables"]}
    assert list(tables) == ["differences", "flips", "knobs"]
    first = tables["differences"]["groups"][0]["rows"][0]["cells"]
    assert (first[0]["text"], first[-1]["text"]) == ("official/overall", "B is lower")
    worse = tables["flips"]["groups"][0]
    assert worse["name"].startswith("Worse in B (") and len(worse["rows"]) == 5
    changed = {row["cells"][0]["text"] for group in tables["knobs"]["groups"] for row in group["rows"]}
    assert changed == {"seed", "m.cfg", "m.prompt.role"}


def test_a_hostile_answer_breaks_no_line(tmp_path: Path) -> None:
    rows = runs.scores(share=20)
    answer = "yes\n| --- |\x1b[2J<script>\u202e"
    flipped = [replace(rows[0], value=1 - (rows[0].value or 0), answer=answer, reason=answer), *rows[1:]]
    first = runs.write(tmp_path, runs.spec("m"), rows)
    second = runs.write(tmp_path, runs.spec("m", seed=2), flipped)
    for form in ("text", "markdown", "html", "latex", "csv"):
        shown = compare(first, second, form=form)  # type: ignore[arg-type]  # a Format
        assert "\x1b" not in shown and "\u202e" not in shown
        if form == "html":
            assert "<script>\\u" not in shown


def test_every_knob_is_named() -> None:
    first = runs.spec("a", model_card={"cfg": 5, "same": 1}, limit="20")
    second = runs.spec("a", model_card={"cfg": 4, "same": 1, "new": None}, version="0.2.0")
    found = differing(first, second)
    assert found == {
        "limit": ("20", "all"),
        "m.cfg": ("5", "4"),
        "m.new": ("-", "null"),
        "janus-eval": ("0.1.0", "0.2.0"),
    }
    assert knobs(first)["o.detector"] == "mask2former"


def test_equal_runs_have_no_knob_to_name(tmp_path: Path) -> None:
    path = runs.write(tmp_path, runs.spec("m"), runs.scores(share=20))
    assert "No knob differs: the two runs have one signature" in explain(path, path)


def test_the_commands_exit_0_and_name_what_is_wrong(
    two: tuple[Path, Path], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert cli.main(["compare", str(two[0]), str(two[1])]) == 0
    assert "B is lower" in capsys.readouterr().out
    assert cli.main(["explain", str(two[0]), str(two[1])]) == 0
    assert "m.cfg" in capsys.readouterr().out
    assert cli.main(["compare", str(two[0]), str(tmp_path / "none")]) == 2
    assert "no finished run" in capsys.readouterr().err
    assert cli.main(["compare", str(two[0]), str(two[1]), "--flips", "-1"]) == 2
    (two[0] / "scores.jsonl").write_text('{"sample_id": 1')
    capsys.readouterr()
    assert cli.main(["compare", str(two[0]), str(two[1])]) == 2
    assert "scores.jsonl line 1 is damaged" in capsys.readouterr().err
