"""Reading the questions: the official columns, odd cells, and files that are no such file."""

from __future__ import annotations

from pathlib import Path

import pytest
from janus_eval.benchmarks.dpg_bench.benchmark import DpgBench
from janus_eval.benchmarks.dpg_bench.questions import dependencies, parse_questions, problems, read_questions
from janus_eval.evals.errors import EnvironmentProblem, UsageError
from support.dpg_questions import HEAD, row


@pytest.mark.parametrize(
    ("cell", "parents", "words"),
    [
        ("0", (0,), ()),
        ("1, 4,10", (1, 4, 10), ()),
        ("5, right", (5,), ("right",)),
        ("", (), ("",)),
        ("1,,2", (1, 2), ("",)),
        ("1.0", (), ("1.0",)),
    ],
)
def test_a_dependency_cell_gives_its_numbers_and_its_words(
    cell: str, parents: tuple[int, ...], words: tuple[str, ...]
) -> None:
    assert dependencies(cell) == (parents, words)


def test_ids_that_look_like_numbers_stay_text() -> None:
    items = parse_questions(HEAD + row("007", 1) + row("7", 1), "x.csv")
    assert [each.id for each in items] == ["007", "7"]


def test_commas_quotes_line_breaks_and_a_byte_order_mark_are_read(tmp_path: Path) -> None:
    file = tmp_path / "q.csv"
    file.write_bytes(
        b"\xef\xbb\xbf"
        + HEAD.encode()
        + 'a,"one, ""two""\nthree",k,1,0,entity,whole,"entity - whole (café, x)",Is it “café”?\n'.encode()
    )
    (item,) = read_questions(file)
    assert item.prompt == 'one, "two"\nthree'
    assert item.questions[0].category == "entity - whole"
    assert item.questions[0].text == "Is it “café”?"


def test_what_is_wrong_is_named_with_its_item() -> None:
    text = HEAD + row("a", 1, "5, right") + row("a", 1) + row("a", 2, "3") + row("a", 3, "2") + row("a", 4, "9")
    text += row("b", 1, statement="") + row("a", 6)
    first, second = parse_questions(text, "x.csv")
    found = problems(first)
    assert set(found) == {"malformed_dependency", "duplicate_proposition", "missing_parent", "cycle", "scattered_rows"}
    assert all(line.startswith("a: ") for lines in found.values() for line in lines)
    assert "'right'" in found["malformed_dependency"][0]
    assert problems(second) == {"missing_tuple": ["b: question 1 has no tuple, hence no category"]}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no column 'item_id'"),
        ("item_id,text\na,b\n", "no column 'proposition_id'"),
        (HEAD, "holds no questions"),
        (HEAD + row("a", "one"), "data row 1: proposition_id 'one'"),
        (HEAD + row("a", 1) + row("", 2), "data row 2 has no item_id"),
        (HEAD + "a,b\n", "data row 1 is cut short"),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused_in_one_line(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=r"x\.csv") as refused:
        parse_questions(text, "x.csv")
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00\x01"])
def test_a_missing_or_binary_file_is_refused(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "q.csv"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UsageError, match=r"q\.csv"):
        read_questions(file)


def test_the_example_is_sound_and_holds_one_question_over_25_words() -> None:
    suite = DpgBench("example")
    assert len(suite.samples()) == 8
    assert not any(problems(item) for item in suite.items)
    assert sum(len(each.text.split()) > 25 for item in suite.items for each in item.questions) == 1


def test_an_item_id_that_would_leave_the_folder_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "q.csv"
    file.write_text(HEAD + row("../a", 1))
    with pytest.raises(UsageError, match="cannot name a file"):
        DpgBench(str(file)).samples()


def test_the_card_holds_the_questions_digest_but_no_folder_name(tmp_path: Path) -> None:
    file = tmp_path / "q.csv"
    file.write_text(HEAD + row("a", 1))
    card = DpgBench(str(file)).card
    assert card["data"] == "q.csv"
    assert len(card["sha256"]) == 16
    assert str(tmp_path) not in str(card)


def test_the_official_file_is_asked_for_by_name_and_not_fetched_offline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JANUS_EVAL_CACHE", str(tmp_path))
    with pytest.raises(EnvironmentProblem, match=r"janus-eval data fetch dpg-bench"):
        DpgBench(offline=True).samples()


def test_the_toy_worlds_questions_are_sound() -> None:
    suite = DpgBench(world="toy")
    assert suite.card["data"] == "toy"
    assert suite.samples()
    assert not any(problems(item) for item in suite.items)
