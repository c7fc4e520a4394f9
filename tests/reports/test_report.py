"""Published numbers carry their source; measured rows stand beside them with a verdict."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from janus_eval.evals.commands import cli
from janus_eval.evals.errors import UsageError
from janus_eval.evals.files import seal_of
from janus_eval.evals.records import read_record
from janus_eval.evals.types import Metric, RunRecord
from janus_eval.reports import reported
from janus_eval.reports.report import beside, compose, report
from janus_eval.reports.standing import marks, verdict
from support import runs

HEAD = "suite,column,group,model,params,note,value,metric,knobs,basis,source\n"


def number(column: str = "overall", model: str = "Janus-Pro-7B") -> reported.Reported:
    rows = reported.load()
    return next(each for each in rows if (each.suite, each.column, each.model) == ("geneval", column, model))


def record(value: float | None = 0.8, *, low: float = 0.78, high: float = 0.82, **changes: object) -> RunRecord:
    metrics = {"official/overall": Metric(value, 2212, low, high)}
    counts = {"expected": 2212, "predicted": 2212, "scored": 2212, "unparsed": 0, "unscored": 0}
    what = runs.spec("janus-pro-7b", **changes)  # type: ignore[arg-type]  # a test's shorthand
    return RunRecord(what, "official/overall", metrics, counts, complete=True)


# -- the published numbers ----------------------------------------------------------------------------


def test_every_number_has_a_citation() -> None:
    rows = reported.load()
    assert all(each.source and each.citation and each.citation != each.source for each in rows)
    cells = Counter(each.source for each in rows if each.value is not None)
    # Table 4: 19 models with 7 numbers, 2 with the overall one; Table 5: 13 models with 6.
    assert [cells[f"janus-pro-table-{n}"] for n in (3, 4, 5)] == [117, 19 * 7 + 2, 13 * 6]


def test_every_row_belongs_to_a_published_column_and_group() -> None:
    layouts = {layout.key: layout for layout in reported.layouts()}
    for each in reported.load():
        columns = {column.key for column in layouts[each.suite].columns}
        assert each.column.partition(":")[0] in columns | {""}
        assert each.group in layouts[each.suite].groups


def test_a_thousand_numbers_and_what_later_papers_print_takes_no_rank() -> None:
    numbers = [each for each in reported.load() if each.value is not None]
    assert len(numbers) >= 1000
    tables = compose([], reported.load(), only="reported")
    apart = [
        row for table in tables for group, row in table.rows() if group in ("Later papers", "Re-measured by others")
    ]
    assert apart and not any(cell.rank for row in apart for cell in row.cells)


def test_rewritten_prompts_and_another_judge_are_never_the_same_column() -> None:
    rows = reported.load()
    best = [each for each in rows if (each.model, each.column, each.printed) == ("BAGEL", "overall", "0.88")]
    assert {each.suite for each in best} == {"geneval_long"}
    judges = {each.source: each.knobs["judge"] for each in rows if each.suite == "wise" and "judge" in each.knobs}
    assert judges["wise-leaderboard"] == "gpt-4o-2024-05-13"
    assert judges["torchumm-readme"] == "Qwen2.5-VL-72B-Instruct"


def test_no_cell_is_entered_twice() -> None:
    cells = Counter((each.suite, each.column, each.model, each.params, each.source) for each in reported.load())
    assert [cell for cell, count in cells.items() if count > 1] == []


def test_the_papers_pope_is_the_random_split() -> None:
    rows = [each for each in reported.load() if (each.column, each.source) == ("pope", "janus-pro-table-3")]
    pro = next(each for each in rows if each.model == "Janus-Pro-7B")
    llava = next(each for each in rows if (each.model, each.params) == ("LLaVA-v1.5", "7B"))
    assert (pro.metric, pro.basis) == ("vlmevalkit-2024/random_f1", "inferred")
    assert llava.metric == "official/mean_f1"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("suite,model\n", "no column 'column'"),
        (HEAD + "geneval,overall,,Mine,,,0.9,,,,\n", "line 2: a number without a source"),
        (HEAD + "geneval,overall,,Mine,,,ninety,,,,me\n", "'ninety' is no number"),
        (HEAD + "geneval,overall,,Mine,,,nan,,,,me\n", "'nan' is no number"),
        (HEAD + "geneval,overall,,Mine,,,0_8,,,,me\n", "'0_8' is no number"),
        (HEAD + "geneval,overall,,Mine,,,０.８,,,,me\n", "'０.８' is no number"),
        (HEAD + "geneval,total,,Mine,,,0.9,,,,me\n", "unknown column 'total'"),
        (HEAD + "genevil,overall,,Mine,,,0.9,,,,me\n", "unknown suite 'genevil'"),
        (HEAD + "geneval,overall,,,,,0.9,,,,me\n", "no model"),
        (HEAD + "geneval,overall\n", "not as many fields"),
        (HEAD + "geneval,overall,,Mine,,,0.9,,fast,,me\n", "key=value, got 'fast'"),
        (HEAD.replace("basis", "bases"), "unknown column 'bases'"),
    ],
)
def test_a_bad_file_of_numbers_is_named_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "own.csv"
    path.write_text(text)
    with pytest.raises(UsageError, match=message):
        reported.read(path)


def test_own_numbers_join_the_table_with_their_source(tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    path.write_text("suite,column,model,value,source\ngeneval,overall,Mine,0.91,my thesis p. 3\n")
    shown = report(own=[path])
    assert "Your numbers" in shown
    assert "Mine" in shown and "0.91" in shown and "my thesis p. 3" in shown
    with pytest.raises(UsageError, match="cannot be read"):
        report(own=[tmp_path / "none.csv"])


# -- measured beside reported -------------------------------------------------------------------------


def test_the_papers_three_tables_and_the_later_ones_need_no_run() -> None:
    tables = compose([], reported.load(), only="reported")
    later = ["understanding_later", "geneval_long", "wise", "wise_verified", "imgedit", "gedit", "gedit_tasks", "oneig"]
    assert [table.key for table in tables] == ["understanding", "geneval", "dpg_bench", *later]
    shown = report(only="reported", form="markdown")
    assert "| Janus-Pro-7B" in shown
    assert "**0.80**" in shown and "**84.19**" in shown and "**79.2**" in shown
    assert "<u>87.4</u>" in shown  # POPE: second to ILLUME


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        (record(0.79), "inside noise"),
        (record(0.75), "unexplained: noise is 0.028"),
        (record(0.80, limit="20"), "not comparable: limit 20"),
        (record(0.80, model_card={"world": "toy"}), "not comparable: toy"),
        (record(0.80, benchmark_card={"data": "toy"}), "not comparable: toy"),
        (record(0.80, observer_card={"detector": "toy-0123"}), "not comparable: toy"),
        (
            record(0.80, observer_card={"detector": "hub:x (approximation)"}),
            "protocol differs: detector hub:x (approximation)",
        ),
        (record(None), "not comparable: withheld"),
        (record(0.80, benchmark_card={"threshold": 0.5}), "protocol differs: threshold 0.5, reported 0.3"),
        (record(0.80, benchmark_card={"suite": "abc"}), "protocol differs: suite abc, reported official"),
    ],
)
def test_the_verdict_on_one_number(what: RunRecord, expected: str) -> None:
    assert verdict(what, "official/overall", number()) == expected


def test_another_metric_is_another_protocol_even_where_numbers_agree() -> None:
    other = RunRecord(runs.spec("janus-pro-7b"), "x", {"fixed/overall": Metric(0.8, 9, 0.7, 0.9)}, {}, complete=True)
    assert verdict(other, "fixed/overall", number()) == (
        "protocol differs: metric fixed/overall, reported official/overall"
    )


def test_a_measured_row_stands_below_the_published_one(tmp_path: Path) -> None:
    runs.write(tmp_path, runs.spec("janus-pro-7b"), runs.scores())
    lines = report([tmp_path]).splitlines()
    row = next(number for number, line in enumerate(lines) if line.startswith("Janus-Pro-7B "))
    assert "janus-pro-7b" in lines[row + 1] and "±" in lines[row + 1]
    assert any("official/overall" in line and "inside noise" in line for line in lines)
    assert "Image understanding" not in lines  # no run belongs there


def test_the_whole_signature_stands_in_every_format_but_the_terminals(tmp_path: Path) -> None:
    path = runs.write(tmp_path, runs.spec("janus-pro-7b"), runs.scores())
    signature = read_record(path).spec.signature
    for form in ("json", "html", "latex", "markdown"):
        assert signature[-8:] in report([tmp_path], form=form)  # type: ignore[arg-type]  # a Format
    assert "seed:0" not in report([tmp_path])
    assert signature[-13:-7] in report([tmp_path])  # enough of its end to find the run by


def test_a_lopsided_interval_shows_its_ends_and_an_even_one_its_half(tmp_path: Path) -> None:
    metrics = {"official/overall": Metric(0.98, 50, 0.89, 0.99), "official/two_object": Metric(0.5, 50, 0.4, 0.61)}
    what = RunRecord(runs.spec("janus-pro-7b"), "official/overall", metrics, {}, complete=True)
    texts = {cell.text for _, row in compose([what], reported.load())[0].rows() for cell in row.cells}
    assert "0.98 [0.89, 0.99]" in texts
    assert "0.50 ±0.10" in texts or "0.50 ±0.11" in texts


def test_runs_that_are_not_whole_are_marked_wherever_they_stand(tmp_path: Path) -> None:
    runs.write(tmp_path, runs.spec("sd3-medium", limit="100"), runs.scores(share=5))
    runs.write(tmp_path, runs.spec("janus-pro-1b"), runs.scores(share=5), missing=12)
    shown = report([tmp_path])
    measured = [line for line in shown.splitlines() if line.startswith("▸")]
    assert len(measured) > 10
    assert all("limit 100" in line or "12 of 456 missing" in line for line in measured)
    table = compose([read_record(each) for each in tmp_path.iterdir()], reported.load())[0]
    assert not any(cell.rank for _, row in table.rows() if row.kind == "measured" for cell in row.cells)


def test_a_toy_row_never_stands_among_published_ones(tmp_path: Path) -> None:
    runs.write(tmp_path, runs.spec("janus-toy", model_card={"world": "toy"}), runs.scores(share=5))
    runs.write(tmp_path, runs.spec("janus-pro-7b", benchmark_card={"data": "toy"}), runs.scores(share=5))
    for table in compose([read_record(each) for each in tmp_path.iterdir()], reported.load()):
        for group in table.groups:
            toy = [row for row in group.rows if row.kind == "measured"]
            assert not toy or ("toy" in group.name.lower() and len(toy) == len(group.rows))
            assert all("toy" in row.cells[0].text and not row.ranked for row in toy)


def test_two_signatures_of_one_model_stay_two_rows(tmp_path: Path) -> None:
    for seed in (1, 2):
        runs.write(tmp_path, runs.spec("janus-pro-7b", seed=seed), runs.scores(seed, share=5))
    table = compose([read_record(each) for each in tmp_path.iterdir()], reported.load())[0]
    names = [row.cells[0].text for _, row in table.rows() if row.kind == "measured"]
    assert len(names) == len(set(names)) == 2
    assert sorted(names) == ["janus-pro-7b, seed 1", "janus-pro-7b, seed 2"]


def test_every_measured_number_is_held_against_every_source(tmp_path: Path) -> None:
    path = runs.write(tmp_path, runs.spec("janus-pro-1b"), runs.scores(share=5))
    rows = [row for _, row in beside([read_record(path)], reported.load()).rows()]
    sources = [row.cells[7].text for row in rows if row.cells[1].text == "official/two_object"]
    assert [each.partition(",")[0] for each in sources] == ["janus-pro-table-4", "janus-210"]


def test_a_metric_that_no_table_knows_is_still_shown() -> None:
    what = runs.spec("mine", benchmark="other")
    other = RunRecord(what, "acc", {"acc": Metric(0.5, 10)}, {"expected": 10, "predicted": 10}, complete=True)
    row = beside([other], reported.load()).rows()[0][1]
    assert [cell.text for cell in row.cells[:3]] == ["mine", "acc", "0.50000"]
    assert row.cells[6].text == "no reported number"


def test_another_scorers_number_stands_in_the_column_and_says_so() -> None:
    metrics = {"official@hf:some/vqa/overall": Metric(80.0, 10, 79.0, 81.0)}
    what = runs.spec("janus-pro-7b", benchmark="dpg_bench", benchmark_card={}, observer_card={})
    other = RunRecord(what, next(iter(metrics)), metrics, {"expected": 10, "predicted": 10}, complete=True)
    table, lines = compose([other], reported.load())
    cell = next(row for _, row in table.rows() if row.kind == "measured").cells[-1]
    assert cell.text == "80.00 ±1.00 (official@hf:some/vqa)"
    verdicts = [row.cells[6].text for _, row in lines.rows()]
    # The paper's own number and TorchUMM's.
    assert verdicts == ["protocol differs: metric official@hf:some/vqa/overall, reported official/overall"] * 2


def test_missing_and_unscored_are_counted_apart() -> None:
    counts = {"expected": 10, "predicted": 8, "unscored": 5}
    what = RunRecord(runs.spec("m"), "x", {}, counts, complete=False)
    assert marks(what) == ["2 of 10 missing", "3 unscored"]


# -- the command --------------------------------------------------------------------------------------


def test_the_command_writes_a_file_and_takes_all_flags(tmp_path: Path) -> None:
    runs.write(tmp_path / "runs", runs.spec("janus-pro-7b"), runs.scores(share=5))
    out = tmp_path / "t.json"
    flags = ["--format", "json", "--sort", "overall", "--columns", "overall,counting", "--only", "measured"]
    assert cli.main(["report", str(tmp_path / "runs"), *flags, "-o", str(out)]) == 0
    table = json.loads(out.read_text())["tables"][0]
    assert [column["key"] for column in table["columns"]] == ["model", "counting", "overall"]
    assert [len(group["rows"]) for group in table["groups"]] == [1]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["nowhere"], "no finished run here"),
        (["--only", "measured"], "no run was given"),
        (["--sort", "overal"], "did you mean 'overall'"),
        (["--reported", "none.csv"], "cannot be read"),
        (["--only", "reported", "-o", "/dev/null/t.md"], "cannot write"),
    ],
)
def test_a_wrong_request_is_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["report", *flags]) in (2, 6)
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and message in err


def resealed(text: str) -> str:
    """Return a record as one would leave it who knows of the checksum."""
    row = json.loads(text)
    row.pop("sum")
    return json.dumps(row | {"sum": seal_of(row)})


def test_a_damaged_or_foreign_record_is_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = runs.write(tmp_path, runs.spec("janus-pro-7b"), runs.scores(share=20)) / "record.json"
    whole = path.read_text()
    value = json.loads(whole)["metrics"]["official/overall"]["value"]
    for broken, message in [
        (whole[:200], "is damaged"),
        (whole.replace('"format": 2', '"format": 9'), "has format 9"),
        (whole.replace(f'"value": {value}', '"value": 0.99'), "was changed after it was written"),
        (resealed(whole.replace(f'"value": {value}', '"value": "much"')), "is damaged"),
        (resealed(whole.replace('"expected": ', '"expected": "x", "y": ')), "is damaged"),
        (resealed(whole.replace('"headline": "official/overall"', '"headline": null')), "is damaged"),
        (resealed(whole.replace('"complete": true', '"complete": "yes"')), "is damaged"),
        ("[" * 100_000, "is damaged"),
        ("[]", "is damaged"),
    ]:
        assert broken != whole
        path.write_text(broken)
        assert cli.main(["report", str(tmp_path)]) == 2
        assert message in capsys.readouterr().err
