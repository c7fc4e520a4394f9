"""A suite that no published table has gets a column of its own, and published numbers of its own beside it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from janus_eval.evals import registry
from janus_eval.evals.commands import cli
from janus_eval.evals.errors import UsageError
from janus_eval.evals.types import Json, Metric, RunRecord
from janus_eval.reports import reported
from janus_eval.reports.report import beside, compose, report
from janus_eval.reports.table import FORMATS, Table
from support import runs, site

HEAD = "suite,column,model,value,source,metric\n"
CODE = """
class Quiz:
    title = "Colour quiz"
    decimals = 2
    def __init__(self):
        raise RuntimeError("a report makes no suite")
class Late:
    @property
    def title(self):
        raise RuntimeError("a report makes no suite")
class Broken:
    import a_package_nobody_has
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    points = {"colour-quiz": "Quiz", "late": "Late"}
    site.visible(
        site.install(tmp_path / "site", "quiz", CODE.partition("class Broken")[0], benchmarks=points), monkeypatch
    )
    yield
    registry.forget()


def record(
    model: str = "mine", benchmark: str = "colour-quiz", value: float | None = 0.75, **changes: Json
) -> RunRecord:
    headline = changes.pop("headline", "official/accuracy")
    bounds = (None, None) if value is None else (value - 0.1, value + 0.1)
    metrics = {headline: Metric(value, 100, *bounds), "official/spot": Metric(0.5, 50, 0.4, 0.6)}
    what = runs.spec(model, benchmark=benchmark, observer_card={}, **changes)
    return RunRecord(what, headline, metrics, {"expected": 100, "predicted": 100}, complete=True)


def own(records: list[RunRecord], numbers: list[reported.Reported] | None = None) -> Table:
    return next(each for each in compose(records, numbers or reported.load()) if each.key == "own")


def file(folder: Path, *lines: str) -> Path:
    path = folder / "numbers.csv"
    path.write_text(HEAD + "".join(line + "\n" for line in lines))
    return path


def texts(table: Table) -> list[list[str]]:
    return [[cell.text for cell in row.cells] for _, row in table.rows()]


# -- the column ---------------------------------------------------------------------------------------


def test_an_installed_suite_says_its_heading_and_decimals(installed: None) -> None:
    table = own([record()])
    assert (table.title, [head.text for head in table.heads]) == ("Other suites", ["Model", "Colour quiz"])
    assert texts(table) == [["mine", "0.75 ±0.10"]]
    assert "Colour quiz: official/accuracy." in table.notes


@pytest.mark.parametrize(("value", "text"), [(0.75, "0.7500 ±0.1000"), (75.0, "75.0 ±0.1")])
def test_a_suite_that_is_gone_keeps_its_name_and_digits_enough(value: float, text: str) -> None:
    table = own([record(benchmark="gone:a/b", value=value)])
    assert [head.text for head in table.heads] == ["Model", "gone:a/b"]
    assert texts(table) == [["mine", text]]


def test_a_title_that_only_a_made_suite_knows_is_not_asked_for(installed: None) -> None:
    assert own([record(benchmark="late")]).heads[1].text == "late"


def test_a_suite_that_lacks_a_package_is_reported_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site.visible(site.install(tmp_path, "broken", CODE, benchmarks={"broken": "Broken"}), monkeypatch)
    assert own([record(benchmark="broken")]).heads[1].text == "broken"
    registry.forget()


def test_each_suite_has_a_column_and_a_model_one_row() -> None:
    table = own([record(benchmark="b", value=0.5), record(benchmark="a", value=0.25)])
    assert [head.key for head in table.heads] == ["model", "a", "b"]
    assert texts(table) == [["mine", "0.2500 ±0.1000", "0.5000 ±0.1000"]]


def test_another_headline_in_the_column_is_named() -> None:
    table = own([record("one"), record("two", headline="official/f1")])
    assert [row[1] for row in texts(table)] == ["0.7500 ±0.1000", "0.7500 ±0.1000 (official/f1)"]
    assert "colour-quiz: official/accuracy, official/f1." in table.notes


def test_marks_and_ranks_are_those_of_every_table() -> None:
    toy = record("five", value=0.99, benchmark_card={"world": "toy"})
    whole = [record("one", value=0.7), record("two", value=0.8), record("three", value=None)]
    table = own([*whole, record("four", value=0.9, limit="20"), toy])
    found = [(name, row.cells[0].text, row.cells[1].rank) for name, row in table.rows()]
    assert found[:4] == [
        ("Measured", n, r) for n, r in [("one", "second"), ("two", "best"), ("three", ""), ("four, limit 20", "")]
    ]
    assert found[4] == ("Toy data (compares with nothing above)", "five, toy", "")
    assert texts(table)[2][1] == "withheld"


def test_runs_of_published_suites_bring_no_further_table(tmp_path: Path) -> None:
    numbers = reported.load([file(tmp_path, "own,colour-quiz,mine,0.8,me,")], ["colour-quiz"])
    geneval = record(benchmark="geneval", headline="official/overall")
    assert [table.key for table in compose([geneval], numbers)] == ["geneval", "beside"]
    assert [table.key for table in compose([geneval, record()], numbers)] == ["geneval", "own", "beside"]


# -- published numbers --------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["own,colour-quiz", "colour-quiz,colour-quiz", "colour-quiz,"])
def test_a_published_number_stands_beside_the_measured_one(tmp_path: Path, installed: None, place: str) -> None:
    numbers = reported.load([file(tmp_path, f"{place},mine,0.8,my thesis,", f"{place},theirs,0.9,their page,")])
    table = own([record()], numbers)
    assert texts(table) == [["mine [my thesis]", "0.8"], ["mine", "0.75 ±0.10"], ["theirs [their page]", "0.9"]]
    lines = texts(beside([record()], numbers))
    assert [(row[1], row[4], row[6], row[7]) for row in lines] == [
        ("official/accuracy", "0.8", "inside noise", "my thesis")
    ]


def test_a_number_of_another_metric_differs_in_protocol_unless_the_run_has_it(tmp_path: Path) -> None:
    lines = ["own,colour-quiz,mine,0.5,me,official/spot", "own,colour-quiz,mine,0.7,me,strict/accuracy"]
    numbers = reported.load([file(tmp_path, *lines)], ["colour-quiz"])
    assert [(row[1], row[6]) for row in texts(beside([record()], numbers))] == [
        ("official/spot", "inside noise"),
        ("official/accuracy", "protocol differs: metric official/accuracy, reported strict/accuracy"),
    ]


def test_a_metric_that_no_run_has_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = str(tmp_path / "runs")
    assert cli.main(["run", "-m", "always-yes", "-b", "gqa", "--data", "toy", "-o", output]) == 0
    path = tmp_path / "mine.csv"
    for metric, said in (("official/acuracy", True), ("official/accuracy", False), ("", False)):
        path.write_text(f"{HEAD}und,gqa:mine,always-yes,15,theirs,{metric}\n".replace("und", reported.layouts()[0].key))
        capsys.readouterr()
        assert cli.main(["report", output, "--reported", str(path)]) == 0
        assert ("theirs: no run of gqa has the metric 'official/acuracy'" in capsys.readouterr().err) is said


def test_a_number_needs_no_run(tmp_path: Path, installed: None) -> None:
    shown = report(own=[file(tmp_path, "colour-quiz,,theirs,91.5,their page,")])
    assert "Other suites" in shown and "theirs [their page]" in shown and "91.5" in shown


def test_a_number_of_a_suite_that_is_gone_needs_its_run(tmp_path: Path) -> None:
    path = file(tmp_path, "colour-quiz,,mine,0.8,me,")
    runs.write(tmp_path / "runs", runs.spec("mine", benchmark="colour-quiz"), runs.scores(share=20))
    assert "inside noise" in report([tmp_path / "runs"], own=[path])
    assert "0.8" in report([tmp_path / "runs"], own=[path], only="reported")
    with pytest.raises(UsageError, match="unknown suite 'colour-quiz'"):
        report(own=[path])


OWN = "chartqa, colour-quiz, genai_bench, geneval2, "


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("colour-quizz,", "line 2: unknown suite 'colour-quizz'; did you mean 'colour-quiz'?"),
        ("own,color-quiz", "line 2: unknown column 'color-quiz'; did you mean 'colour-quiz'?"),
        ("colour-quiz,accuracy", "line 2: unknown column 'accuracy'; known: colour-quiz"),
        ("own,", f"line 2: unknown column ''; known: {OWN}"),
        ("own,gqa", f"line 2: unknown column 'gqa'; known: {OWN}"),
        ("gqa,gqa", "line 2: unknown suite 'gqa'; known: understanding, geneval, dpg_bench, "),
        ("geneval,overal", "line 2: unknown column 'overal'; did you mean 'overall'?"),
    ],
)
def test_a_misspelt_place_is_one_line(
    tmp_path: Path, installed: None, capsys: pytest.CaptureFixture[str], place: str, message: str
) -> None:
    assert cli.main(["report", "--reported", str(file(tmp_path, f"{place},mine,0.8,me,"))]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and message in err


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (("geneval,overall,mine,80,me,",), "80 under geneval overall: expected 0 to 1"),
        (("geneval,overall,mine,-0.5,me,",), "expected 0 to 1"),
        (("understanding,pope,mine,850,me,",), "expected 0 to 100"),
        (("geneval,overall,mine,0.8,me,", "geneval,overall,mine,0.5,me,"), "mine has 0.8 and 0.5"),
    ],
)
def test_a_number_that_its_column_cannot_hold_or_that_stands_twice_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], lines: tuple[str, ...], message: str
) -> None:
    assert cli.main(["report", "--reported", str(file(tmp_path, *lines))]) == 2
    assert message in capsys.readouterr().err


def test_a_heading_that_names_a_column_twice_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "numbers.csv"
    path.write_text("suite,column,model,value,value,source\ngeneval,overall,mine,0.8,0.5,me\n")
    assert cli.main(["report", "--reported", str(path)]) == 2
    assert "two columns of one name" in capsys.readouterr().err


# -- the command --------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for model in ("one", "two"):
        for suite in ("colour-quiz", "shape-quiz"):
            drop = 1.0 if model == "two" else 0.0
            runs.write(tmp_path / "runs", runs.spec(model, benchmark=suite), runs.scores(drop=drop, share=20))
    return tmp_path / "runs"


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_has_the_table(folder: Path, installed: None, form: str) -> None:
    shown = report([folder], form=form)  # type: ignore[arg-type]  # one of FORMATS
    heads = ("Colour quiz", "shape-quiz") if form != "latex" else ("Colour quiz", "shape")
    assert all(each in shown for each in (*heads, "Other suites" if form != "csv" else "own,"))


def command(tmp_path: Path, *flags: str) -> list[tuple[list[str], list[str]]]:
    """Return what `report` writes of the own table: column keys and row names."""
    out = tmp_path / "t.json"
    numbers = file(tmp_path, "own,shape-quiz,one,0.9,me,")
    assert cli.main(["report", *flags, "--reported", str(numbers), "-f", "json", "-o", str(out)]) == 0
    tables = [each for each in json.loads(out.read_text())["tables"] if each["key"] == "own"]
    rows = [[row["cells"][0]["text"] for group in each["groups"] for row in group["rows"]] for each in tables]
    return [([head["key"] for head in each["columns"]], names) for each, names in zip(tables, rows, strict=True)]


def test_the_table_is_sorted_and_cut_like_the_others(folder: Path, tmp_path: Path) -> None:
    both = ["model", "colour-quiz", "shape-quiz"]
    assert command(tmp_path, str(folder)) == [(both, ["one [me]", "one", "two"])]
    assert command(tmp_path, str(folder), "--only", "measured", "--sort=-colour-quiz") == [(both, ["two", "one"])]
    assert command(tmp_path, str(folder), "--columns", "colour-quiz")[0][0] == ["model", "colour-quiz"]
    assert command(tmp_path, str(folder), "--only", "reported") == [(["model", "shape-quiz"], ["one [me]"])]
