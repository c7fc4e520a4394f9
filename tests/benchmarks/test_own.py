"""Suites of one's own from a table: each shape asked, scored and reported, and what a table may lack."""

from __future__ import annotations

from pathlib import Path

import pytest
from janus_eval.benchmarks.own.questions import Options, ShortAnswer, YesNo, read_short, read_yes_no
from janus_eval.evals.commands.cli import main
from janus_eval.evals.errors import UsageError
from janus_eval.evals.records import read_record
from janus_eval.evals.score import score
from janus_eval.reports.report import report
from support.predictions import lines, value, write, write_tsv
from support.suite_rows import PNG

QUESTION = {"question": "Which?", "A": "red", "B": "blue"}


def ran(folder: Path, *given: str, code: int = 0) -> Path:
    assert main(["run", "-o", str(folder), *given]) == code
    (found,) = folder.iterdir()
    return found


def test_a_table_under_a_name_is_a_suite_with_a_column_of_its_own(tmp_path: Path) -> None:
    data = write_tsv(tmp_path / "mine.tsv", {**QUESTION, "answer": "A"}, {**QUESTION, "answer": "blue"})
    given = ["-m", "first-option", "-b", "options:pope", "--data", str(data)]
    folder = ran(tmp_path / "runs", *given)
    record = read_record(folder)
    assert record.spec.benchmark == "options:pope" and record.metrics["fixed/accuracy"].value == 50
    assert main(["run", "-o", str(tmp_path / "runs"), *given]) == 0  # the same run, found again
    assert main(["show", str(folder), "--id", "2"]) == 0
    told = report([tmp_path / "runs"], only="measured", form="csv")
    assert "options:pope" in told and "random" not in told and "own data" not in told


@pytest.mark.parametrize(
    ("shape", "more"),
    [("options", ()), ("yes_no", ()), ("short_answer", ()), ("judge", ("--judge", "rule"))],
)
def test_each_shape_asks_the_toy_world(shape: str, more: tuple[str, ...], tmp_path: Path) -> None:
    folder = ran(tmp_path, "-m", "always-yes", "-b", shape, "--data", "toy", "-l", "4", *more)
    record = read_record(folder)
    assert record.counts["scored"] == 4 and record.complete
    assert record.headline in record.metrics


def test_a_list_of_prompts_is_drawn_and_not_scored(tmp_path: Path) -> None:
    data = tmp_path / "p.txt"
    data.write_text("a cat\n\n a dog \n", encoding="utf-8")
    folder = ran(tmp_path / "runs", "-m", "blank-image", "-b", "prompts", "--data", str(data), "--per-prompt", "2")
    record = read_record(folder)
    assert {key: each.value for key, each in record.metrics.items()} == {"drawn/pictures": 4}
    assert len(list(folder.glob("images/*/*.png"))) == 4
    assert (
        main(["run", "-m", "blank-image", "-b", "prompts", "--data", "toy", "-l", "1", "-o", str(tmp_path / "t")]) == 0
    )


@pytest.mark.parametrize(
    ("shape", "row", "told"),
    [
        ("options", {"question": "Which?", "answer": "A"}, "line 2: no column 'A' (nor 'options')"),
        ("options", {**QUESTION, "answer": "C"}, "column 'answer' holds 'C', expected one of the options A, B"),
        ("options", {**QUESTION, "A": "B", "B": "A", "answer": "A"}, "it is the text of B as well"),
        ("options", {"A": "red", "B": "blue", "answer": "A"}, "no column 'question' (nor 'prompt')"),
        ("yes_no", {"question": "Is it?", "answer": "maybe"}, "expected yes or no"),
        ("judge", {"answer": "a cat"}, "no column 'question'"),
        ("prompts", {"id": "1"}, "no column 'prompt'"),
    ],
)
def test_what_a_table_lacks_is_named(
    shape: str, row: dict[str, str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_tsv(tmp_path / "t.tsv", row)
    model = "blank-image" if shape == "prompts" else "always-yes"
    assert main(["run", "-m", model, "-b", shape, "--data", str(data), "-o", str(tmp_path)]) == 2
    assert told in capsys.readouterr().err


def test_a_shape_without_a_table_and_a_name_that_is_none_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "-m", "always-yes", "-b", "yes_no"]) == 2
    assert "give your table with --data FILE" in capsys.readouterr().err
    assert main(["run", "-m", "always-yes", "-b", "yes_no:a/b", "--data", "toy"]) == 2
    assert "the name 'a/b'" in capsys.readouterr().err


def test_pictures_are_shown_where_the_table_has_them(tmp_path: Path) -> None:
    data = str(write_tsv(tmp_path / "t.tsv", {**QUESTION, "answer": "A", "image": PNG, "id": "x", "category": "hue"}))
    (sample,) = Options(data=data).samples()
    assert (sample.id, len(sample.images), sample.tags) == ("x", 1, {"category": "hue"})
    assert sample.prompt.startswith("Which?\nA. red\nB. blue\nAnswer with")
    assert Options(data=data, preset="bare").samples()[0].prompt == "Which?"


def test_answers_made_elsewhere_are_scored_with_and_without_the_table(tmp_path: Path) -> None:
    row = {"id": "1", "question": "How many?", "answer": ["two", "2"]}
    path = write(tmp_path / "p.jsonl", {**row, "response": " Two. "})
    assert value(ShortAnswer().rescore(predictions=path), "exact/accuracy") == 100
    data, bare = write(tmp_path / "d.jsonl", row), write(tmp_path / "q.jsonl", {"id": "1", "response": "three"})
    scored = ShortAnswer(data=str(data)).rescore(predictions=bare, data=data)
    assert value(scored, "exact/accuracy") == 0 and lines(scored)[0]["read"]["exact"] == "three"
    said = write(tmp_path / "y.jsonl", {"id": "1", "question": "Is it?", "answer": "TRUE", "response": "Yes, it is"})
    assert value(YesNo().rescore(predictions=said), "vlmevalkit-2026/accuracy") == 100


def test_what_cannot_be_read_is_wrong_and_counted() -> None:
    assert read_yes_no("perhaps", "yes")["vlmevalkit-2026"] == ("unknown", 0.0, True)
    assert read_yes_no("perhaps", "yes")["pope"] == ("yes", 1.0, False)
    assert read_short("", ["a"])["exact"] == ("", 0.0, True)


@pytest.mark.parametrize("name", ["mine.jsonl", "mine.csv"])
def test_a_row_that_lost_its_picture_has_no_verdict(tmp_path: Path, name: str) -> None:
    rows = [{"question": "Is it?", "answer": "yes", "image": PNG} for _ in range(3)]
    if name == "mine.jsonl":
        data = write(tmp_path / name, *rows, {"question": "Is it?", "answer": "yes"})
    else:
        lines_of = [f"Is it?,yes,{each}" for each in (PNG, PNG, PNG, "")]
        data = tmp_path / name
        data.write_text("\n".join(["question,answer,image", *lines_of]) + "\n")
    folder = ran(tmp_path / "runs", "-m", "janus-toy", "-b", "yes_no", "--data", str(data), code=5)
    counts = read_record(folder).counts
    assert (counts["scored"], counts["unscored"]) == (3, 1)


@pytest.mark.parametrize("column", ["ID", "id ", "Index"])
def test_ids_are_seen_however_their_column_is_written(tmp_path: Path, column: str) -> None:
    known = [{"id": n, "question": f"q{n}", "answer": ("yes", "no")[n % 2]} for n in range(6)]
    data = write_tsv(tmp_path / "t.tsv", *known)
    said = [{column: each["id"], "response": each["answer"]} for each in known[::-1]]
    scored = score("yes_no", write_csv(tmp_path / "a.csv", said), data=str(data))
    assert next(iter(scored.metrics.values())).value == 100 and scored.unscored == 0


def test_rows_without_an_id_are_joined_by_their_question_and_never_by_their_line(tmp_path: Path) -> None:
    known = [{"question": f"q{n}?", "answer": ("yes", "no")[n % 2]} for n in range(6)]
    data = write_tsv(tmp_path / "t.tsv", *known)
    told = [{"question": each["question"], "response": each["answer"]} for each in known[::-1]]
    scored = score("yes_no", write(tmp_path / "a.jsonl", *told), data=str(data))
    assert next(iter(scored.metrics.values())).value == 100
    bare = write(tmp_path / "b.jsonl", *({"name": n, "response": each["answer"]} for n, each in enumerate(known)))
    with pytest.raises(UsageError, match=r"b\.jsonl line 1: no column 'id'"):
        score("yes_no", bare, data=str(data))


def write_csv(path: Path, rows: list[dict[str, object]]) -> Path:
    text = [",".join(rows[0]), *(",".join(map(str, each.values())) for each in rows)]
    path.write_text("\n".join(text) + "\n")
    return path
