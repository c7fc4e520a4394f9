"""The generated suite."""

import hashlib

import pytest
from janus_eval.benchmarks.geneval.benchmark import GenEval
from janus_eval.benchmarks.geneval.prompts import CLASSES, OFFICIAL_SHA256, TASKS, metadata_bytes, suite
from janus_eval.evals.errors import UsageError


def sha256(rows):
    return hashlib.sha256(metadata_bytes(rows)).hexdigest()


@pytest.mark.claim("R14", cases=553)
def test_the_official_suite_has_553_prompts_and_the_official_bytes():
    assert len(suite()) == 553
    assert sha256(suite()) == OFFICIAL_SHA256


def test_another_seed_and_size_give_what_the_official_script_gave():
    # Digests of the files that create_prompts.py of djghosh13/geneval af4902f wrote with --seed and -n.
    assert sha256(suite(7, 25)) == "c32172dee1d6afee0cfcb6e04b0759824314f12a073e8ad927392ec062f2e1be"
    assert sha256(suite(123, 5)) == "24e5cb8d49fe85a4e327474866f716156aca304b904f1476fe173153ec7ef8c1"
    assert sha256(suite(43, 300)) == "4a8cd3e46cfb03daf044acdcc8caab086e4f8ab4e2ffc63dc259cdc28eb08c36"


def test_size_zero_leaves_each_class_once():
    rows = suite(1, 0)
    assert {row["tag"] for row in rows} == {"single_object"}
    assert sorted(row["include"][0]["class"] for row in rows) == sorted(CLASSES)


def test_prompts_are_worded_as_the_official_ones():
    rows = suite(1, 2000)
    assert {row["tag"] for row in rows} == set(TASKS)
    texts = {row["prompt"] for row in rows}
    assert "a photo of an apple" in texts and "a photo of a bus" in texts
    counted = {text.partition(" of ")[2] for text in texts if " of two " in text or " of four " in text}
    # The plural is the official one: "es" after a final s, "s" after all else.
    assert {"two buses", "four dogs", "two sandwichs"} <= counted
    assert not any(f" a {vowel}" in text for text in texts for vowel in "aeiou")


def test_nobody_is_asked_to_paint_a_person():
    clauses = [clause for row in suite(3, 500) for clause in row["include"] if "color" in clause]
    assert clauses and all(clause["class"] != "person" for clause in clauses)


def test_no_prompt_comes_twice():
    lines = metadata_bytes(suite(5, 500)).splitlines()
    assert len(lines) == len(set(lines)) < 80 + 5 * 500


def test_a_negative_seed_or_size_is_refused():
    with pytest.raises(UsageError, match="seed -1"):
        suite(-1)
    with pytest.raises(UsageError, match="size -2"):
        suite(0, -2)


def test_a_size_that_would_run_for_minutes_is_refused_at_once():
    with pytest.raises(UsageError, match="at most 100000 prompts for a task: got size 99999999999"):
        GenEval().data_export(size=99_999_999_999)
    with pytest.raises(UsageError, match="got size 100001"):
        GenEval(suite_size=100_001).samples()
