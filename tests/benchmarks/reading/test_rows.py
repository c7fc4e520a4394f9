"""Tables as they lie on disk: forms, damage, and pictures that stay there until they are asked for."""

from __future__ import annotations

import base64
import contextlib
import json
import os
from pathlib import Path

import pytest
from janus_eval.benchmarks.pope import Pope
from janus_eval.benchmarks.reading.elsewhere import response_of
from janus_eval.benchmarks.reading.sources import Source
from janus_eval.benchmarks.reading.tables import read_rows
from janus_eval.evals import registry
from janus_eval.evals.errors import UsageError
from support.predictions import write, write_tsv

PIXELS = bytes(range(256)) * 8
BASE64 = base64.b64encode(PIXELS).decode()


def test_json_lines_know_their_line(tmp_path: Path) -> None:
    rows = read_rows(write(tmp_path / "a.jsonl", {"id": 1}, {"id": 2}))
    assert [(row.fields["id"], row.line) for row in rows] == [(1, 1), (2, 2)]


def test_json_lines_may_be_called_json(tmp_path: Path) -> None:
    assert len(read_rows(write(tmp_path / "a.json", {"id": 1}, {"id": 2}))) == 2


def test_a_dictionary_of_texts_is_answers_by_id(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"v1": "a cat"}))
    assert dict(read_rows(tmp_path / "a.json")[0].fields) == {"id": "v1", "response": "a cat"}


def test_seed_benchs_official_file_names_the_types(tmp_path: Path) -> None:
    content = {"questions": [{"question_id": 7, "question_type_id": 1}], "question_type": {"Scene Understanding": 1}}
    (tmp_path / "a.json").write_text(json.dumps(content))
    assert read_rows(tmp_path / "a.json")[0].fields["type"] == "Scene Understanding"


def test_a_table_may_hold_tabs_newlines_and_quotes(tmp_path: Path) -> None:
    text = 'a "b"\tc\nd'
    rows = read_rows(write_tsv(tmp_path / "a.tsv", {"id": "1", "response": text}, {"id": "2", "response": ""}))
    assert rows[0].text("response") == text
    assert rows[1].text("response") == ""
    assert rows[1].find("response") is None


def test_a_half_written_last_line_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"id": 1}\n{"id": 2, "resp')
    with pytest.raises(UsageError, match=r"a.jsonl line 2: not JSON \(half-written last line"):
        read_rows(tmp_path / "a.jsonl")


def test_a_short_row_of_a_table_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("id\tresponse\n1\tyes\n2\n")
    with pytest.raises(UsageError, match=r"a.tsv line 3: 1 cells, the header has 2"):
        read_rows(tmp_path / "a.tsv")


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.tsv", "a.csv"])
def test_an_empty_file_is_an_error(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("[]" if name == "a.json" else "")
    with pytest.raises(UsageError, match="empty"):
        read_rows(tmp_path / name)


@pytest.mark.parametrize(
    ("line", "message"),
    [("[1]", "holds a list"), ("7", "holds a number"), ("{", "not JSON"), ("[" * 100_000, "not JSON")],
)
def test_a_line_that_is_no_object_is_an_error(tmp_path: Path, line: str, message: str) -> None:
    (tmp_path / "a.jsonl").write_text(line + "\n")
    with pytest.raises(UsageError, match=f"line 1: {message}"):
        read_rows(tmp_path / "a.jsonl")


@pytest.mark.parametrize("content", ["[" * 200_000, '{"id": ' * 200_000, "[" + "9" * 5000 + "]"])
def test_json_that_python_cannot_hold_is_an_error(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(UsageError, match=r"a\.json: not JSON that can be read"):
        read_rows(tmp_path / "a.json")


def test_pictures_nested_too_deeply_are_an_error(tmp_path: Path) -> None:
    deep = "[" * 900 + "]" * 900
    (tmp_path / "a.jsonl").write_text(f'{{"id": 1, "image": {deep}}}\n')
    with contextlib.suppress(UsageError):  # how deep is too deep differs between Python's versions
        read_rows(tmp_path / "a.jsonl")


@pytest.mark.parametrize("content", ['{"id": 1}\n{"id": 2}\n', '[{"id": 1}, {"id": 2}]'])
def test_a_pipe_is_read_once(content: str) -> None:
    reading, writing = os.pipe()
    os.write(writing, content.encode())
    os.close(writing)
    assert [row.fields["id"] for row in read_rows(Path(f"/dev/fd/{reading}"))] == [1, 2]
    os.close(reading)


def test_a_folder_is_no_table(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a regular file"):
        read_rows(tmp_path)


def test_bytes_that_are_no_text_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_bytes(b"id\tresponse\n\xff\xfe\tx\n")
    with pytest.raises(UsageError, match="not UTF-8"):
        read_rows(tmp_path / "a.tsv")


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        read_rows(tmp_path / "a.jsonl")


def test_a_number_is_no_answer(tmp_path: Path) -> None:
    row = read_rows(write(tmp_path / "a.jsonl", {"id": 1, "response": 5}))[0]
    with pytest.raises(UsageError, match=r"line 1: column 'response' holds a number, expected text"):
        row.text("response")


def source() -> Source:
    return Source("pope", hub="pope", tsv="pope-tsv", files=("POPE.tsv", "data/test-*.parquet"))


def test_a_folder_gives_its_best_table(tmp_path: Path) -> None:
    (tmp_path / "POPE.tsv").write_text("x")
    (tmp_path / "other.tsv").write_text("x")
    assert source().tables(str(tmp_path)) == [tmp_path / "POPE.tsv"]


def test_a_folder_with_one_table_needs_no_name(tmp_path: Path) -> None:
    (tmp_path / "mine.jsonl").write_text("x")
    assert source().tables(str(tmp_path)) == [tmp_path / "mine.jsonl"]


def test_a_folder_with_two_tables_is_asked_about(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("x")
    (tmp_path / "b.jsonl").write_text("x")
    with pytest.raises(UsageError, match="2 other tables"):
        source().tables(str(tmp_path))


def test_a_table_of_vlmevalkit_is_used_where_it_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LMUData", str(tmp_path))
    monkeypatch.setenv("JANUS_EVAL_CACHE", str(tmp_path / "cache"))
    (tmp_path / "MMVet.tsv").write_text("x")
    mm_vet = Source("mm_vet", hub="mm-vet", tsv="mm-vet-tsv", files=("MMVet.tsv",))
    with pytest.raises(Exception, match="MD5"):  # found, and its digest is checked
        mm_vet.tables("")


def test_a_data_world_is_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JANUS_EVAL_CACHE", str(tmp_path))
    assert source().tables("toy")[0].name == "POPE.tsv"


def test_a_data_worlds_name_wins_over_a_folder_which_a_path_still_reaches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JANUS_EVAL_CACHE", str(tmp_path / "cache"))
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / "POPE.tsv").write_text("x")
    monkeypatch.chdir(tmp_path)
    assert source().tables("toy") == [tmp_path / "cache" / "toy" / "pope-1" / "POPE.tsv"]
    assert source().tables("./toy") == [Path("toy/POPE.tsv")]


def test_a_path_that_is_not_there_is_an_error() -> None:
    with pytest.raises(UsageError, match="janus-eval data fetch pope"):
        source().tables("./nothing-here")


def test_scoring_reads_the_folder_that_a_path_names_although_a_world_has_that_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "toy").mkdir()
    row = {"id": "7", "category": "random", "question": "Is there a cat?", "answer": "yes", "response": "yes"}
    write_tsv(tmp_path / "toy" / "POPE.tsv", row)
    file = write(tmp_path / "answers.jsonl", row)
    scored = registry.call_with(Pope().rescore, "pope", {"predictions": str(file), "data": "./toy"})
    assert scored.n == 1 and scored.extra["missing"] == []


@pytest.mark.parametrize("name", ["p.jsonl", "p.json"])
def test_an_object_that_says_two_things_of_one_name_is_no_row(tmp_path: Path, name: str) -> None:
    lines = ['{"id": "a", "response": "yes", "response": "no"}', *(f'{{"id": "{n}", "response": "no"}}' for n in "bcd")]
    text = "\n".join(lines) if name == "p.jsonl" else f"[{','.join(lines)}]"
    (tmp_path / name).write_text(text)
    with pytest.raises(UsageError, match="the name 'response' stands twice in one object"):
        read_rows(tmp_path / name)


@pytest.mark.parametrize("name", [" response", "Response", "RESPONSE ", "Prediction"])
def test_an_answer_under_a_name_that_is_nearly_right_is_the_answer(tmp_path: Path, name: str) -> None:
    (tmp_path / "p.csv").write_text(f"id,text,answer,{name}\n1,What is it?,dog,dog\n")
    (row,) = read_rows(tmp_path / "p.csv")
    assert response_of(row) == "dog"


def test_two_columns_of_answers_but_for_case_are_refused(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("id,response,Response\n1,dog,cat\n")
    with pytest.raises(UsageError, match=r"line 2: .*'Response' and 'response'"):
        read_rows(tmp_path / "p.csv")
