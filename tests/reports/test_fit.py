"""The terminal's tables: within its width whatever they hold, words whole, nothing left out in silence."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from janus_eval.reports.fit import fold
from janus_eval.reports.render import render
from janus_eval.reports.table import Cell, Group, Head, Row, Table
from rich.cells import cell_len

CODE = re.compile(r"\x1b\[[0-9]*m")


def table(heads: list[Head], *rows: list[str], stub: int = 1, **more: tuple[str, ...]) -> Table:
    found = tuple(Row(tuple(map(Cell, each))) for each in rows)
    return Table("key", "Title", tuple(heads), (Group("", found),), stub=stub, **more)


def words(*texts: str) -> list[Head]:
    return [Head(each.lower(), each, number=False) for each in texts]


def numbers(*texts: str) -> list[Head]:
    return [Head(each.lower(), each) for each in texts]


def widest(text: str) -> int:
    return max(cell_len(CODE.sub("", line)) for line in text.splitlines())


TEXT = st.text(st.characters(exclude_categories=("C", "Z")) | st.sampled_from(" /_-日"), max_size=40).map(str.strip)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(TEXT, min_size=6, max_size=6), min_size=1, max_size=4), st.integers(40, 120), st.booleans())
def test_no_line_is_wider_than_the_terminal(rows: list[list[str]], width: int, color: bool) -> None:
    what = table([*words("Model", "Metric"), *numbers("One", "Two", "Three", "Four")], *rows, stub=2)
    assert widest(render([what], "text", width=width, color=color)) <= width


def test_words_stay_whole_where_there_is_room_for_them() -> None:
    said = "not comparable: a regression was found in the second of two runs"
    what = table(words("Metric", "Verdict"), ["official/overall", said])
    shown = render([what], "text", width=40)
    assert widest(shown) <= 40
    assert set(said.split()) <= set(shown.split())


def test_an_interval_folds_below_its_number_in_line() -> None:
    what = table([*words("Model"), *numbers("A", "B")], ["a-model-of-nine", "0.50 [0.40, 0.70]", "1.00"])
    rows = render([what], "text", width=32).splitlines()[3:]
    assert [row.split() for row in rows] == [["a-model-of-nine", "0.50", "1.00"], ["[0.40,"], ["0.70]"]]
    assert len(rows[1]) == len(rows[2]) == rows[0].index("0.50") + len("0.50")


def test_light_columns_leave_first_and_are_named() -> None:
    heads = [
        *words("Model"),
        Head("n", "Count", light=2),
        Head("s", "Source", number=False, light=1),
        *numbers("Value"),
    ]
    what = table(heads, ["a-model", "1234", "somewhere", "0.5"])
    shown = render([what], "text", width=30)
    assert "1234" not in shown and "somewhere" in shown
    assert "no room for Count: a wider terminal or -f csv shows them" in " ".join(shown.split())
    assert "1234" in render([what], "text")


def test_what_cannot_be_narrowed_stands_in_blocks_that_repeat_the_names() -> None:
    what = table([*words("Model"), *numbers(*"ABCDEF")], ["mine", *["123456789"] * 6])
    shown = render([what], "text", width=40)
    assert widest(shown) <= 40
    assert shown.count("123456789") == 6
    assert shown.count("mine") == shown.count("Title (") == 2


def test_a_column_in_which_nothing_stands_is_left_out_and_named() -> None:
    what = table([*words("Model"), *numbers("A", "B")], ["one", "-", "1"], ["two", "", "2"])
    shown = render([what], "text")
    assert [line.split() for line in shown.splitlines()[1:4:2]] == [["Model", "B"], ["one", "1"]]
    assert "nothing in A" in shown


def test_remarks_behind_numbers_become_letters_where_room_is_short() -> None:
    what = table([*words("Model"), *numbers("A", "B")], ["mine", "0.5 (rows 40) (part)", "0.6 (rows 40) (part)"])
    assert "0.5 (rows 40) (part)" in render([what], "text")
    narrow = render([what], "text", width=24)
    assert "0.5ᵃ" in narrow and "0.6ᵃ" in narrow
    assert "ᵃ (rows 40) (part)" in narrow


def test_ranks_keep_digits_in_line_without_colours() -> None:
    rows = (Row((Cell("a"), Cell("1.0", 1.0, "best"))), Row((Cell("b"), Cell("0.5", 0.5))))
    what = Table("k", "t", (Head("m", "M", number=False), Head("v", "Value")), (Group("", rows),))
    first, second = render([what], "text").splitlines()[3:5]
    assert first.index(".") == second.index(".")
    assert first.endswith("1.0*")


def test_a_signature_is_shown_by_its_end() -> None:
    signature = "pope|mine|seed:0|limit:all|m.weights:abc|#0123456789ab"
    what = table(words("M"), ["x"], notes=(f"A: {signature}",), signatures=(signature,))
    assert "A: pope|mine|...|#0123456789ab" in render([what], "text")
    assert signature in render([what], "markdown").replace("\\", "")


@pytest.mark.parametrize(
    ("text", "size", "lines"),
    [
        ("one two three", 7, ["one two", "three"]),
        ("official/overall", 10, ["official/", "overall"]),
        ("image_accuracy", 8, ["image_", "accuracy"]),
        ("abcdefghij", 4, ["abcd", "efgh", "ij"]),
        ("日本語", 4, ["日本", "語"]),
        ("", 4, [""]),
    ],
)
def test_lines_break_between_words_and_long_words_at_their_joints(text: str, size: int, lines: list[str]) -> None:
    assert fold(text, size) == lines
