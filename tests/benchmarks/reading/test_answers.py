"""Readers of free text: what every protocol makes of plain and of ugly answers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from janus_eval.benchmarks.reading import answers

PETS = {"A": "a cat", "B": "a dog", "C": "a catfish", "D": "None"}


@pytest.mark.parametrize(
    ("text", "official", "word", "lmms"),
    [
        ("Yes", "yes", "Yes", "yes"),
        ("No, there is a bird.", "no", "No", "no, there is a bird."),
        ("no", "no", "No", "no"),
        ("NO", "yes", "No", "no"),
        ("No!", "yes", "No", "no!"),
        ("No\n", "yes", "No", "no"),
        ("It is not.", "no", "Unknown", "it is not."),
        ("It isn't.", "yes", "Unknown", "it isn't."),
        ("Yes. No.", "yes", "Unknown", "yes. no."),
        ("yes, not sure", "no", "Yes", "yes, not sure"),
        ("(no)", "yes", "No", "(no)"),
        ("", "yes", "Unknown", ""),
        ("否", "yes", "Unknown", "否"),
    ],
)
@pytest.mark.claim("R14")
def test_yes_or_no_in_pope(text: str, official: str, word: str, lmms: str) -> None:
    assert answers.yes_no_pope(text) == official
    assert answers.yes_no_vlmevalkit_2024(text) == word
    assert answers.yes_no_vlmevalkit_2026(text) == word
    assert answers.yes_no_pope_lmms(text) == lmms


@pytest.mark.parametrize(
    ("text", "official", "lmms"),
    [
        ("Yes", "yes", "yes"),
        (" no", "no", "no"),
        ("   no", "other", "no"),
        ("eyes", "yes", "yes"),
        ("know", "no", "no"),
        ("Answer: yes", "other", "other"),
        ("Y.", "other", "yes"),
        ("n", "other", "no"),
        ("Yesno", "yes", "yes"),
        ("", "other", "other"),
    ],
)
@pytest.mark.claim("R14")
def test_yes_or_no_in_mme_is_in_the_first_four_characters(text: str, official: str, lmms: str) -> None:
    assert answers.yes_no_mme(text) == official
    assert answers.yes_no_mme_lmms(text) == lmms


def test_a_comma_between_digits_deletes_punctuation_instead_of_spacing_it() -> None:
    assert answers.yes_no_vlmevalkit_2024("no-one") == "No"
    assert answers.yes_no_vlmevalkit_2024("no-one of 1,000") == "Unknown"


def test_a_dash_beside_a_space_is_deleted_everywhere() -> None:
    assert answers.yes_no_vlmevalkit_2024("yes-sir - indeed") == "Unknown"


def test_only_the_first_32_full_stops_are_cleared() -> None:
    assert answers.yes_no_vlmevalkit_2024("." * 32 + "yes") == "Yes"
    assert answers.yes_no_vlmevalkit_2024("." * 33 + "yes") == "Unknown"


@pytest.mark.parametrize(
    ("text", "then", "now", "lmms"),
    [
        ("B", "B", "B", "B"),
        ("(B).", "B", "B", "B"),
        ("**B**", "B", "B", None),
        ("b", None, None, None),
        ("A or B", None, None, None),
        ("It is a dog", "B", "B", "B"),
        ("a cat", "A", "A", "A"),
        ("a catfish", None, None, None),  # "a cat" stands in it too
        ("none of them", "D", "D", "D"),
        ("B for its ears", "B", "B", "B"),
        ("B because it has long ears and barks at every stranger that comes along", "B", None, "B"),
        ("the correct answer is b", None, "B", None),
        ("Z", "Z", "Z", None),
        ("I can't process this file. B", "Z", "Z", "B"),
        ("Failed to obtain answer via API, a dog", "B", "B", "B"),
        ("A dog it is", "A", "A", "B"),  # an article to lmms-eval
        ("", None, None, None),
    ],
)
@pytest.mark.claim("R14")
def test_an_option_letter(text: str, then: str | None, now: str | None, lmms: str | None) -> None:
    assert answers.letter_vlmevalkit_2024(text, PETS) == then
    assert answers.letter_vlmevalkit_2026(text, PETS) == now
    assert answers.letter_lmms(text, PETS) == lmms


def test_readers_leave_the_options_as_they_are() -> None:
    options = {"A": "A Cat", "B": "A Dog"}
    answers.letter_vlmevalkit_2024("a cat", options)
    assert options == {"A": "A Cat", "B": "A Dog"}


@pytest.mark.parametrize(
    ("text", "exact", "first"),
    [("A", "A", "A"), ("A.", None, "A"), (" B", None, "B"), ("because", None, "b"), ("", None, ""), ("E", None, "E")],
)
@pytest.mark.claim("R14")
def test_seed_bench_takes_the_whole_or_the_first_character(text: str, exact: str | None, first: str) -> None:
    assert answers.letter_exact(text) == exact
    assert answers.letter_first(text) == first


@pytest.mark.parametrize(
    ("text", "llava", "lmms", "kit"),
    [
        ("Dog.", "dog", "dog", "dog."),
        ("T-shirt", "t-shirt", "tshirt", "t-shirt"),
        (" no", " no", " no", "no"),
        ("yes!..", "yes!", "yes", "yes!.."),
    ],
)
@pytest.mark.claim("R14")
def test_short_answers_are_normalised_three_ways(text: str, llava: str, lmms: str, kit: str) -> None:
    assert answers.short_llava(text) == llava
    assert answers.short_lmms(text) == lmms
    assert answers.short_vlmevalkit(text) == kit


@given(st.text(max_size=80))
def test_no_text_breaks_a_reader(text: str) -> None:
    assert answers.yes_no_pope(text) in ("yes", "no")
    assert answers.yes_no_mme(text) in ("yes", "no", "other")
    assert answers.yes_no_vlmevalkit_2024(text) in ("Yes", "No", "Unknown")
    for reader in answers.LETTER.values():
        assert reader(text, PETS) in (*PETS, "E", "Z", None)


FRUIT = {"A": "a red hat", "B": "a blue hat", "C": "a pretty girl", "D": "an old man"}


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        *((each, "C") for each in ("C", "**C**", "C. A pretty girl", "C) A pretty girl", "(C) A pretty girl")),
        *((each, "C") for each in (r"\boxed{C}", r"$\boxed{\text{C}}$", "<answer>C</answer>", "Answer: C", "c'est C")),
        ("The answer is A... no. The answer is C.", "C"),
        ("C\n\nExplanation: A is wrong because of B.", "C"),
        ("The correct option is C because A is wrong", "C"),
        ("A girl is shown, so I say C", "C"),
        ("I see a pretty girl", "C"),
        *((each, "A") for each in ("A", "A.", "(A)", "A: a red hat")),
        *((each, None) for each in ("", "c", "CAT", "B or C", "(A) or (B)", "E", "A hat")),
    ],
)
def test_fixed_reads_the_letter_that_an_answer_names(text: str, letter: str | None) -> None:
    assert answers.letter_fixed(text, FRUIT) == letter
