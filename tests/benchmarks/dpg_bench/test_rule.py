"""DPG-Bench's two rules on questions that a reader can follow by hand, and the official script's numbers."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from janus_eval.benchmarks.dpg_bench import rule, scoring
from janus_eval.benchmarks.dpg_bench.benchmark import DpgBench
from janus_eval.benchmarks.dpg_bench.questions import Question, cycle


def question(number: int, *parents: int, category: str | None = "entity - whole", row: int | None = None) -> Question:
    return Question(number, parents or (0,), category, f"question {number}?", number if row is None else row)


def say(text: str) -> dict[int, str]:
    """Return answers from letters: y and n, anything else is neither."""
    words = {"y": "yes", "n": "no"}
    return {number: words.get(letter, "no bus") for number, letter in enumerate(text, 1)}


CHAIN = [question(1), question(2, 1), question(3, 2)]
BACKWARDS = [question(3, 2, row=1), question(2, 1, row=2), question(1, row=3)]


@pytest.mark.parametrize(
    ("answers", "value", "zeroed"), [("yyy", 1.0, 0), ("nyy", 0.0, 2), ("yny", 1 / 3, 1), ("yyn", 2 / 3, 0)]
)
def test_a_no_zeroes_every_descendant_under_both_rules(answers: str, value: float, zeroed: int) -> None:
    for verdict in (rule.official("item", CHAIN, say(answers)), rule.fixed(CHAIN, say(answers))):
        assert verdict.value == value
        assert verdict.zeroed == zeroed


@pytest.mark.claim("R14")
def test_official_zeros_do_not_reach_rows_that_came_before_them() -> None:
    assert rule.official("item", BACKWARDS, say("nyy")).value == 1 / 3
    assert rule.fixed(BACKWARDS, say("nyy")).value == 0


@pytest.mark.claim("R14")
def test_official_skips_the_first_row_of_the_file_and_so_fails_its_item() -> None:
    first = [question(1, row=0), question(2, 1, row=1), question(3, row=2)]
    assert rule.official("item", first, say("yyy")).value is None
    assert "question 2 depends on 1" in rule.official("item", first, say("yyy")).reason
    assert rule.fixed(first, say("yyn")).value == 2 / 3


def test_official_looks_at_no_parent_after_the_first_that_was_answered_no() -> None:
    rows = [question(1), question(2, 1, 9)]
    assert rule.official("item", rows, say("ny")).value == 0
    assert rule.official("item", rows, say("yy")).value is None


def test_official_categories_are_before_zeroing_and_fixed_ones_after() -> None:
    rows = [question(1), question(2, 1, category="attribute - color")]
    assert rule.official("item", rows, say("ny")).categories == {"entity - whole": (0, 1), "attribute - color": (1, 1)}
    assert rule.fixed(rows, say("ny")).categories == {"entity - whole": (0, 1), "attribute - color": (0, 1)}


def test_official_keeps_the_last_block_of_an_item_whose_rows_are_scattered() -> None:
    rows = [question(1, row=1), question(2, row=2), question(3, row=7)]
    assert list(rule.official_questions(rows)) == [3]
    assert rule.fixed(rows, say("nny")).value == 1 / 3


def test_official_stops_counting_categories_at_a_missing_tuple_but_keeps_the_score() -> None:
    rows = [question(1), question(2, category=None), question(3)]
    verdict = rule.official("item", rows, say("yyy"))
    assert (verdict.value, verdict.categories) == (1.0, {"entity - whole": (1, 1)})


@pytest.mark.parametrize("answer", ["Yes", "yes.", "yes ", "", "no bus", "yes yes"])
def test_only_the_exact_word_yes_counts(answer: str) -> None:
    for verdict in (rule.official("item", [question(1)], {1: answer}), rule.fixed([question(1)], {1: answer})):
        assert verdict.value == 0
    assert rule.neither({1: answer, 2: "yes", 3: "no"}) == [1]


def test_a_missing_parent_counts_as_answered_no() -> None:
    assert rule.fixed([question(1), question(2, 9)], say("yy")).value == 0.5


def test_a_cycle_gives_no_verdict_and_names_its_questions() -> None:
    verdict = rule.fixed([question(1, 2), question(2, 1)], say("yy"))
    assert verdict.value is None
    assert "1 -> 2 -> 1" in verdict.reason


def test_a_missing_answer_gives_no_verdict() -> None:
    for verdict in (rule.official("item", CHAIN, say("yy")), rule.fixed(CHAIN, say("yy"))):
        assert verdict.value is None
        assert "no answer to question 3" in verdict.reason


def test_a_chain_of_fifty_thousand_questions_needs_no_recursion() -> None:
    rows = [question(number, number - 1) for number in range(1, 50_001)][::-1]
    assert cycle(rows) is None
    assert rule.fixed(rows, dict.fromkeys(range(1, 50_001), "yes")).value == 1


def reaches(parents: dict[int, list[int]], start: int) -> set[int]:
    """Return all ancestors, by the plainest search there is."""
    seen: set[int] = set()
    todo = list(parents.get(start, []))
    while todo:
        node = todo.pop()
        if node not in seen:
            seen.add(node)
            todo += parents.get(node, [])
    return seen


@given(st.data())
def test_fixed_agrees_with_a_plain_search_for_ancestors(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 8))
    parents = {n: data.draw(st.lists(st.integers(0, size + 1), min_size=1, max_size=3)) for n in range(1, size + 1)}
    order = data.draw(st.permutations(list(parents)))
    answers = {n: data.draw(st.sampled_from(["yes", "yes", "no", "no bus"])) for n in parents}
    rows = [question(n, *parents[n], row=place) for place, n in enumerate(order)]
    real = {n: [p for p in parents[n] if p] for n in parents}
    verdict = rule.fixed(rows, answers)
    if any(n in reaches(real, n) for n in parents):
        assert verdict.value is None
        return
    good = [answers[n] == "yes" and all(answers.get(each) == "yes" for each in reaches(real, n)) for n in parents]
    assert verdict.value == sum(good) / size


def example_answer(item: str, picture: int, proposition: int) -> str:
    byte = hashlib.sha256(f"{item}/{picture}/{proposition}".encode()).digest()[0]
    return "no" if byte < 50 else "no bus" if byte < 64 else "yes"


@pytest.mark.claim("R14")
def test_the_official_scripts_numbers_on_the_example_come_out_to_the_last_digit() -> None:
    """The numbers: compute_dpg_bench.py of TencentQQGYLab/ELLA 3c228f1 with these answers as its VQA model."""
    scores = [
        score
        for item in DpgBench("example").items
        for picture in range(4)
        for score in scoring.score_picture(
            item.id,
            item.questions,
            picture,
            {each.id: example_answer(item.id, picture, each.id) for each in item.questions},
            scoring.MPLUG,
        )
    ]
    metrics = scoring.metrics(scores)
    assert metrics["official/overall"].value == 54.47916666666666
    assert scoring.item_scores(scores, "official")["example_kitchen"] == [
        0.3333333333333333,
        0.5555555555555556,
        0.8888888888888888,
        0.5555555555555556,
    ]
    broad = {"global": 100.0, "relation": 78.57142857142857, "attribute": 75.0, "entity": 77.14285714285715}
    detailed = {
        "attribute - color": 70.58823529411765,
        "attribute - shape": 100.0,
        "attribute - size": 50.0,
        "attribute - texture": 100.0,
        "entity - part": 100.0,
        "entity - state": 0.0,
        "entity - whole": 83.33333333333334,
        "global -": 100.0,
        "other - count": 66.66666666666666,
        "other - text rendering": 100.0,
        "relation - non-spatial": 100.0,
        "relation - spatial": 72.72727272727273,
    }
    expected = {f"official/l1/{key}": value for key, value in (broad | {"other": 75.0}).items()}
    expected |= {f"official/l2/{key}": value for key, value in detailed.items()}
    assert {key: metrics[key].value for key in metrics if key.startswith(("official/l1", "official/l2"))} == expected


def test_an_item_with_a_missing_picture_leaves_official_and_stays_in_fixed() -> None:
    scores = [
        *scoring.score_picture("a", CHAIN, 0, say("yyy"), scoring.MPLUG),
        *scoring.score_picture("a", CHAIN, 1, say("nnn"), scoring.MPLUG),
        *scoring.score_picture("b", CHAIN, 0, say("yyn"), scoring.MPLUG),
        *scoring.unscored("b", 1, "invalid image", scoring.MPLUG),
    ]
    metrics = scoring.metrics(scores)
    assert metrics["official/overall"].value == 50
    assert metrics["official/failed"].value == 50
    assert metrics["official/overall"].left_out == ("1 failed items",)
    assert metrics["fixed/overall (part)"].value == pytest.approx((50 + 200 / 3) / 2)
    assert metrics["fixed/overall"].absent == ("1 with an invalid picture",)
    assert metrics["fixed/failed"].value == 0


def test_the_intervals_stand_around_the_values() -> None:
    scores = [
        each
        for number in range(12)
        for each in scoring.score_picture(f"i{number}", CHAIN, 0, say("yyy" if number % 3 else "yny"), scoring.MPLUG)
    ]
    overall = scoring.metrics(scores)["fixed/overall"]
    assert overall.low is not None
    assert overall.high is not None
    assert overall.low < (overall.value or 0) < overall.high


def test_another_scorers_numbers_go_under_its_name() -> None:
    scores = scoring.score_picture("a", CHAIN, 0, say("yyy"), "hf:org/name")
    assert "official@hf:org/name/overall" in scoring.metrics(scores)
    assert "official/overall" not in scoring.metrics(scores)
    assert DpgBench("example", vqa="hf:org/name").headline == "official@hf:org/name/overall"
    assert DpgBench("example", vqa=str(Path("some") / "folder")).headline == "official/overall"
