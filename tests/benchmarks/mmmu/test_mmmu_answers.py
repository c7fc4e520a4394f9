"""MMMU's reader: letters, numbers and phrases out of free text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from janus_eval.benchmarks.mmmu.answers import (
    Value,
    open_correct,
    open_correct_lmms,
    open_values,
    option_lmms,
    option_official,
)

PRICES = {"A": "$6", "B": "$7", "C": "$8", "D": "$9"}


@pytest.mark.parametrize(
    ("text", "official", "lmms"),
    [
        ("B", "B", "B"),
        ("(B) then (A)", "A", "A"),
        ("A and B", "B", "B"),
        ("B)", None, None),
        ("**B**", None, None),
        ("b", None, None),
        ("DNA", None, "A"),
        ("Is it B.x", None, "B"),
        ("$8", None, None),
        ("In the end the price must be $8", "C", "C"),
        ("", None, None),
    ],
)
@pytest.mark.claim("R14")
def test_an_option_of_mmmu(text: str, official: str | None, lmms: str | None) -> None:
    assert option_official(text, list(PRICES), PRICES) == official
    assert option_lmms(text, list(PRICES), PRICES) == lmms


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("30", [30.0]),
        ("The answer is 30.", [30.0]),
        ("x=3.456", [3.46]),
        ("$1,250", [1250.0, 250.0, "$1,250"]),
        ("3.0e1", [1.0, 3.0, 30.0]),
        ("B", [" b", "b "]),
        ("", [""]),
        ("so it is left\nbut thus right", ["left", "right"]),
    ],
)
@pytest.mark.claim("R14")
def test_values_of_an_open_answer(text: str, values: list[Value]) -> None:
    assert open_values(text) == values


@pytest.mark.parametrize(
    ("text", "gold", "right"),
    [
        ("29.996", "30", True),
        ("30v", "30", False),  # a number in a word is not looked for
        ("MgS2", "MgS", True),
        ("Mg S", "MgS", False),
        ("Florida", ["Tampa", "Florida"], True),
        ("a c b", "c", True),
        ("cat", "c", False),
    ],
)
@pytest.mark.claim("R14")
def test_an_open_answer_is_right_by_number_or_by_phrase(text: str, gold: str | list[str], right: bool) -> None:
    assert open_correct(open_values(text), gold) is right


def test_lmms_eval_takes_no_open_answer_for_right() -> None:
    assert not open_correct_lmms(open_values("30"), "30")
    assert not open_correct_lmms(open_values("left"), "left")


@given(st.text(max_size=80))
def test_no_text_breaks_the_reader(text: str) -> None:
    assert option_official(text, list(PRICES), PRICES) in (*PRICES, None)
    assert all(isinstance(value, str | float) for value in open_values(text))
