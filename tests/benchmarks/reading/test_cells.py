"""Cells and files of tables as people have them: what is read, and what is refused in one line."""

from __future__ import annotations

import json
import time
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from janus_eval.benchmarks.reading.cells import listed, shown, whole
from janus_eval.benchmarks.reading.pictures import Gallery
from janus_eval.benchmarks.reading.tables import read_rows
from janus_eval.evals.errors import UsageError
from support.predictions import write, write_tsv
from support.suite_rows import PNG, TABLES, data_of


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (241, 241),
        (241.0, 241),
        ("241", 241),
        ("241.0", 241),
        ("241.", 241),
        (" 7 ", 7),
        ("-3", -3),
        (241.5, None),
        ("241.5", None),
        ("1e3", None),
        ("²", None),
        (True, None),
        (None, None),
        (float("inf"), None),
        (float("nan"), None),
        ([1], None),
    ],
)
def test_a_whole_number_in_any_writing(value: Any, number: int | None) -> None:
    assert whole(value) == number


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("['a', \"it's\"]", ["a", "it's"]),
        ('["a", "\\u00e9"]', ["a", "é"]),
        ("['\\\\frac', '\\n']", ["\\frac", "\n"]),
        ("[1, 2.50]", ["1", "2.5"]),
        ("[]", []),
        (f"['{'x' * 70_000}', 'y']", ["x" * 70_000, "y"]),
        (f'[ "{"x" * 70_000}" ,\n"y" ]', ["x" * 70_000, "y"]),
    ],
)
def test_a_list_in_a_text(text: str, items: list[str]) -> None:
    assert listed(text) == items


@pytest.mark.parametrize(
    "text",
    [
        *("[", "x", "{'a': 1}", "[['a']]", '[{"a": 1}]', "[" * 100_000, "-" * 60_000, "[" + "-" * 90_000 + "1]"),
        *(f"['{'x' * 70_000}' 'y']", f"['{'x' * 70_000}', 'y'", f"['{'x' * 70_000}\\''"),
        *("[" + "1," * 3_000_000 + "1]", "[" + "1, " * 1500 + "1]", "(" + "1," * 9 + ")"),
    ],
)
def test_what_is_no_list_or_too_long_a_one_is_refused_quickly_and_small(text: str) -> None:
    started = time.perf_counter()
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"^(expected a list, found|a list of more than 1,000 elements)") as caught:
        listed(text)
    assert tracemalloc.get_traced_memory()[1] < 40 << 20
    tracemalloc.stop()
    assert time.perf_counter() - started < 2
    assert len(str(caught.value)) < 120


def test_a_value_is_shown_short_and_on_one_line() -> None:
    assert shown("a\nb\u202e") == r"'a\nb\u202e'"
    for value in ("x" * 10_000, ["x" * 10_000] * 100, {"a": {"b": {"c": {"d": 1}}}}, 10**300):
        assert len(shown(value)) < 500


# -- TSV and CSV --------------------------------------------------------------------------------------

BREAKS = {f"U+{code:04X}": chr(code) for code in (0x2028, 0x2029, 0x85, 0x0B, 0x0C, 0x1C, 0x1D, 0x1E)}


@pytest.mark.parametrize("mark", list(BREAKS.values()), ids=list(BREAKS))
@pytest.mark.parametrize("suffix", [".tsv", ".csv"])
def test_what_unicode_calls_a_line_break_is_a_character_of_its_cell(tmp_path: Path, mark: str, suffix: str) -> None:
    text = f"a{mark}b"
    lines = [["index", "question", "image"], ["1", text, "x" * 2000], ["2", text, "y" * 2000]]
    delimiter = "\t" if suffix == ".tsv" else ","
    path = tmp_path / f"a{suffix}"
    path.write_text("".join(delimiter.join(each) + "\n" for each in lines), encoding="utf-8", newline="")
    rows = read_rows(path)
    assert [row.text("question") for row in rows] == [text, text]
    assert [row.fields["image"].read() for row in rows] == ["x" * 2000, "y" * 2000]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"id\tresponse\n1\tye\0s\n", "line 2: a NUL byte"),
        ("id\tresponse\n1\tyes\n".encode("utf-16-le"), "line 1: a NUL byte: no text table (UTF-16? save it as UTF-8)"),
        ("id\tresponse\n1\tyes\n".encode("utf-16"), "UTF-16 text: save it as UTF-8"),
        (b"id\tresponse\r1\tyes\r2\tno\r", "line 1: a carriage return that is no line end"),
        (b"id\tresponse\n1\tye\rs\n", "line 2: a carriage return that is no line end"),
        (b'id\tresponse\n1\t"yes\n2\tno\n', "line 2: a cell begins with a quote that does not close it"),
        (b'id\tresponse\n1\t"yes\n2\t"no\n', "line 2: a cell begins with a quote that does not close it"),
        (b'id\tresponse\n1\tyes\n2\t"no', "line 3: a cell begins with a quote that does not close it"),
        (b"id\tresponse\n1\tyes\nid\tresponse\n2\tno\n", "line 3: the header stands here again: take it out"),
        (b"id;question;response\n1;q;yes\n", "line 1: its columns are separated by ';', expected a comma or a tab"),
        (b"id\tid\n1\tyes\n", "line 1: a column name occurs twice: 'id', 'id'"),
        (b"id\tresponse\n1\n", "line 2: 1 cells, the header has 2 columns"),
        (b"id\tresponse\n1\tyes\tno\n", "line 2: 3 cells, the header has 2 columns"),
        (b"id\tresponse\n1\t\xff\n", "line 2: not UTF-8 text"),
        (b"PK\x03\x04 and so on", "an .xlsx that cannot be unpacked"),
        (b"\x1f\x8b and so on", "compressed: unpack it first"),
    ],
)
def test_a_damaged_table_is_refused_in_one_line(tmp_path: Path, content: bytes, told: str) -> None:
    (tmp_path / "a.tsv").write_bytes(content)
    with pytest.raises(UsageError) as caught:
        read_rows(tmp_path / "a.tsv")
    message = str(caught.value).removeprefix(str(tmp_path / "a.tsv")).lstrip(": ")
    assert message.startswith(told)
    assert message.isprintable()


def test_quotes_within_one_line_are_read_as_pandas_reads_them(tmp_path: Path) -> None:
    lines = ('1\tHe said "no".', '2\t"Yes" is right', '3\t"a ""b"" c"', '4\t"over\ntwo ""lines"""', '5\t""', "")
    (tmp_path / "a.tsv").write_text("id\tresponse\n" + "\n".join(lines))
    said = [row.text("response") for row in read_rows(tmp_path / "a.tsv")]
    assert said == ['He said "no".', "Yes is right", 'a "b" c', 'over\ntwo "lines"', ""]


@pytest.mark.parametrize("name", ["a.tsv", "a.csv", "a.jsonl", "a.json"])
def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path: Path, name: str) -> None:
    tables = {"a.tsv": "id\tresponse\n1\tx\n", "a.csv": "id,response\r\n1,x\r\n"}
    text = tables.get(name, '{"id": "1", "response": "x"}\n')
    (tmp_path / name).write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert dict(read_rows(tmp_path / name)[0].fields) == {"id": "1", "response": "x"}


def test_the_picture_of_a_row_that_begins_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text(f"index\timage\n1\t{PNG}\n\ufeff2\t{PNG}\n", encoding="utf-8")
    rows = read_rows(path)
    assert Gallery(rows).of(rows[0])[0].read() == Gallery(rows).of(rows[1])[0].read()


# -- JSON by columns ----------------------------------------------------------------------------------


def by_columns(rows: list[dict[str, Any]], order: list[int]) -> dict[str, Any]:
    """Return what pandas' to_json() writes of a table whose rows have been shuffled."""
    return {name: {str(at): rows[at].get(name) for at in order} for name in rows[0]}


@pytest.mark.parametrize("name", list(TABLES))
@pytest.mark.parametrize("suffix", [".json", ".jsonl"])
def test_a_table_by_columns_is_read_as_rows(name: str, suffix: str, tmp_path: Path) -> None:
    table = TABLES[name]()
    wanted = table.suite().rescore(predictions=write(tmp_path / "p.jsonl", *table.rows))
    keyed = dict(enumerate(table.rows))
    lists = {column: [row.get(column) for row in table.rows] for column in table.rows[0]}
    forms = [by_columns(table.rows, list(keyed)), lists]
    for at, content in enumerate(forms):
        path = tmp_path / f"{at}{suffix}"
        path.write_text(json.dumps(content))
        assert table.suite().rescore(predictions=path).metrics == wanted.metrics
    data = tmp_path / f"data{suffix}"
    data.write_text(json.dumps(by_columns(data_of(table), list(keyed))))
    assert len(table.suite(data=str(data)).samples()) == len(table.rows)


def test_rows_by_columns_keep_the_order_of_the_file(tmp_path: Path) -> None:
    rows = [{"id": number, "response": "x"} for number in range(4)]
    (tmp_path / "a.json").write_text(json.dumps(by_columns(rows, [2, 0, 3, 1])))
    assert [row.fields["id"] for row in read_rows(tmp_path / "a.json")] == [2, 0, 3, 1]


def test_columns_of_unequal_rows_are_refused(tmp_path: Path) -> None:
    for content in ({"id": {"0": 1}, "response": {"1": "x"}}, {"id": [1, 2], "response": ["x"]}):
        (tmp_path / "a.json").write_text(json.dumps(content))
        with pytest.raises(UsageError, match=r"a\.json: a table by columns whose columns have not the same rows"):
            read_rows(tmp_path / "a.json")


def test_answers_by_id_are_no_table_by_columns(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"v1": {"response": "x"}, "v2": {"response": "y"}}))
    assert [row.fields["id"] for row in read_rows(tmp_path / "a.json")] == ["v1", "v2"]


def test_lines_cut_out_of_a_list_keep_its_commas(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"id": 1, "response": "A"},\n{"id": 2, "response": "B"},\n')
    assert [row.fields["id"] for row in read_rows(tmp_path / "a.json")] == [1, 2]


@pytest.mark.parametrize("content", ['{"questions": [{"question_id": 1}], "question_type": [1]}', '{"questions": [1]}'])
def test_seed_benchs_own_file_in_a_bad_way_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(UsageError, match=r"a\.json"):
        read_rows(tmp_path / "a.json")


def test_options_are_at_most_26_and_plain(tmp_path: Path) -> None:
    for options in (["x"] * 27, [["x"]], {"A": {}}, {"A" * 30: "x"}, {"A\n": "x"}, 7, "x"):
        row = {"id": "validation_Art_1", "options": options, "answer": "A", "response": "A"}
        with pytest.raises(UsageError, match=r"line 1: column 'options' holds .*, expected a list of"):
            TABLES["mmmu"]().suite().rescore(predictions=write(tmp_path / "p.jsonl", row))


def test_one_row_of_a_tsv_holds_as_many_elements_as_a_row_may(tmp_path: Path) -> None:
    row = {"id": "validation_Art_1", "options": str(["x"] * 26), "answer": "A", "response": "A"}
    assert TABLES["mmmu"]().suite().rescore(predictions=write_tsv(tmp_path / "p.tsv", row)).n == 1
    huge = {**row, "options": "[" + "'x', " * 2_000_000 + "'x']"}
    with pytest.raises(UsageError, match="line 2: column 'options' holds"):
        TABLES["mmmu"]().suite().rescore(predictions=write_tsv(tmp_path / "q.tsv", huge))
