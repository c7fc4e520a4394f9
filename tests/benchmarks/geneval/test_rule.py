"""The rule: a table by hand, the official script's verdicts, and the ugly inputs."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from janus_eval.benchmarks.geneval import metadata
from janus_eval.benchmarks.geneval.rule import Options, verdict
from janus_eval.evals.errors import UsageError

FIXTURE = Path(__file__).parents[2] / "fixtures" / "geneval" / "official_verdicts.jsonl"


def asks(*include, exclude=(), tag="two_object"):
    return metadata.read({"tag": tag, "include": list(include), "exclude": list(exclude), "prompt": "x"})


def cls(name, count=1, **more):
    return {"class": name, "count": count, **more}


def box(x, y, score=0.8, side=10):
    return [x, y, x + side, y + side, score]


def judge(asked, boxes, colors=None, **options):
    found = verdict(asked, boxes, colors or {}, Options(**options))
    return found.correct, found.reason


CAT, DOG_LEFT = cls("cat"), cls("dog", position=["left of", 0])


@pytest.mark.parametrize(
    ("asked", "boxes", "colors", "reason"),
    [
        (asks(CAT), {"cat": [box(0, 0)]}, {}, ""),
        (asks(CAT), {}, {}, "expected cat>=1, found 0"),
        (asks(CAT), {"cat": [box(0, 0, 0.3)]}, {}, "expected cat>=1, found 0"),
        (asks(CAT, cls("dog")), {}, {}, "expected cat>=1, found 0\nexpected dog>=1, found 0"),
        (asks(cls("cat", color="red")), {"cat": [box(0, 0)]}, {"cat": ["red"]}, ""),
        (
            asks(cls("cat", 2, color="red")),
            {"cat": [box(0, 0), box(50, 0)]},
            {"cat": ["pink", "red"]},
            "expected red cat>=2, found 1 red; and 1 red, 1 pink",
        ),
        # Only the best cat's colour counts.
        (
            asks(cls("cat", color="red")),
            {"cat": [box(0, 0, 0.5), box(50, 0, 0.9)]},
            {"cat": ["red", "blue"]},
            "expected red cat>=1, found 0 red; and 1 blue",
        ),
        (asks(CAT, DOG_LEFT), {"cat": [box(100, 0)], "dog": [box(0, 0)]}, {}, ""),
        (
            asks(CAT, DOG_LEFT),
            {"cat": [box(0, 0)], "dog": [box(100, 100)]},
            {},
            "expected dog left of target, found right of and below target",
        ),
        (
            asks(CAT, DOG_LEFT),
            {"cat": [box(0, 0)], "dog": [box(1, 0)]},
            {},
            "expected dog left of target, found  target",
        ),
        (
            asks(CAT, DOG_LEFT),
            {"dog": [box(0, 0)]},
            {},
            "expected cat>=1, found 0\nno target for dog to be left of",
        ),
        (
            asks(CAT, exclude=[cls("cat", 2)]),
            {"cat": [box(0, 0), box(50, 0), box(90, 0)]},
            {},
            "expected cat<2, found 3",
        ),
        (asks(CAT, exclude=[cls("cat", 2)]), {"cat": [box(0, 0)]}, {}, ""),
        (asks(cls("cat", 2), tag="counting"), {"cat": [box(0, 0, 0.95), box(9, 0)]}, {}, "expected cat>=2, found 1"),
    ],
)
def test_a_verdict_and_its_reason(asked, boxes, colors, reason):
    assert judge(asked, boxes, colors) == (not reason, reason)


@pytest.mark.claim("R14", cases=90)
def test_the_official_script_gave_the_same_verdicts():
    # Inputs made at random; verdicts by `evaluate_image` of djghosh13/geneval af4902f (MIT) under numpy 2.4.
    rows = [json.loads(line) for line in FIXTURE.read_text().splitlines()]
    for row in rows:
        found = verdict(metadata.read(row["metadata"]), row["boxes"], row["colors"], Options(**row["options"]))
        details = {label: [list(each) for each in boxes] for label, boxes in found.details.items()}
        assert {"correct": found.correct, "reason": found.reason, "details": details} == row["expected"], row["id"]
    assert len(rows) == 90


def test_a_score_that_is_the_threshold_in_float32_does_not_exceed_it():
    nearly = 0.3 + 1e-9  # above 0.3 as a double, the same float32
    assert judge(asks(CAT), {"cat": [box(0, 0, nearly)]}) == (False, "expected cat>=1, found 0")


def test_at_most_max_objects_of_a_class_count_and_the_best_do():
    boxes = {"cat": [box(10 * k, 0, 0.5 + k / 100) for k in range(20)]}
    found = verdict(asks(CAT), boxes, {}, Options())
    assert [each[0] for each in found.details["cat"]] == [10.0 * k for k in range(19, 3, -1)]
    assert len(verdict(asks(CAT), boxes, {}, Options(max_objects=3)).details["cat"]) == 3


def test_equal_scores_stand_later_box_first():
    found = verdict(asks(CAT), {"cat": [box(0, 0), box(50, 0), box(90, 0)]}, {}, Options())
    assert [each[0] for each in found.details["cat"]] == [90.0, 50.0, 0.0]


def test_overlapping_boxes_are_dropped_only_where_asked():
    boxes = {"cat": [box(0, 0, 0.9), box(1, 0, 0.8), box(50, 0, 0.7)]}
    twins = asks(CAT, exclude=[cls("cat", 3)])
    assert judge(twins, boxes) == (False, "expected cat<3, found 3")
    assert judge(twins, boxes, max_overlap=0.5) == (True, "")


def test_overlap_counts_a_pixel_more_on_either_axis():
    # 11 x 11 and 11 x 11 share 6 x 11: 66 / (242 - 66) = 0.375; with plain areas it would be 1/3.
    boxes = {"cat": [box(0, 0, 0.9), box(5, 0, 0.8)]}
    one = asks(CAT, exclude=[cls("cat", 2)])
    assert judge(one, boxes, max_overlap=0.37) == (True, "")
    assert judge(one, boxes, max_overlap=0.38) == (False, "expected cat<2, found 2")


def test_two_relations_can_hold_and_come_in_a_fixed_order():
    boxes = {"cat": [box(100, 100)], "dog": [box(0, 0)]}
    assert judge(asks(CAT, cls("dog", position=["above", 0])), boxes)[0]
    assert judge(asks(CAT, DOG_LEFT), boxes)[0]
    below = judge(asks(CAT, cls("dog", position=["below", 0])), boxes)
    assert below == (False, "expected dog below target, found left of and above target")


def test_position_threshold_is_a_share_of_both_sizes():
    # Centres 40 apart, sizes 10 + 10: the shortened distance must exceed half of the distance.
    boxes = {"cat": [box(40, 0)], "dog": [box(0, 0)]}
    assert judge(asks(CAT, DOG_LEFT), boxes, position_threshold=0.9)[0]
    assert not judge(asks(CAT, DOG_LEFT), boxes, position_threshold=1.0)[0]


def test_every_pair_must_stand_in_the_relation():
    asked = asks(cls("cat", 2), DOG_LEFT)
    boxes = {"cat": [box(100, 0, 0.9), box(0, 0, 0.8)], "dog": [box(50, 0)]}
    assert judge(asked, boxes) == (False, "expected dog left of target, found right of target")


def test_a_class_that_nobody_asked_for_is_listed_and_harmless():
    found = verdict(asks(CAT), {"zebra": [box(0, 0)], "cat": [box(0, 0)], "person": [box(0, 0)]}, {}, Options())
    assert found.correct and list(found.details) == ["person", "cat", "zebra"]


def test_a_colour_that_is_asked_for_and_missing_is_no_verdict():
    with pytest.raises(UsageError, match="colour of"):
        judge(asks(cls("cat", color="red")), {"cat": [box(0, 0)]})
    with pytest.raises(UsageError, match='2 of "cat" for 1 boxes'):
        judge(asks(cls("cat", color="red")), {"cat": [box(0, 0)]}, {"cat": ["red", "red"]})


@pytest.mark.parametrize(
    "row", [[1, 2, 3, 4], [1, 2, 3, 4, "0.9"], [1, 2, 3, 4, None], "abcde", 7, None, [1, 2, 3, 4, 10**400]]
)
def test_a_row_that_is_no_box_is_named(row):
    with pytest.raises(UsageError, match=r'of "cat" is .*expected five numbers'):
        judge(asks(CAT), {"cat": [row]})


@pytest.mark.parametrize("number", [float("nan"), float("inf"), 1e39])
def test_a_number_that_is_not_finite_is_refused(number):
    with pytest.raises(UsageError, match="not finite"):
        judge(asks(CAT), {"cat": [[0, 0, 1, number, 0.9]]})


@pytest.mark.parametrize(
    "options",
    [
        {"threshold": "0.3"},
        {"counting_threshold": float("nan")},
        {"max_objects": 1.5},
        {"max_objects": 0},
        {"max_overlap": True},
        {"position_threshold": -1},
    ],
)
def test_an_option_that_cannot_be_meant_is_named(options):
    with pytest.raises(UsageError, match=f"option {next(iter(options))}"):
        Options(**options)


WHOLE = {"tag": "colors", "include": [{"class": "cat", "count": 1, "color": "red"}], "prompt": "a photo of a red cat"}


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"tag": None}, "tag: expected a task"),
        ({"prompt": 3}, "prompt: expected a text"),
        ({"include": {}}, "include: expected a list"),
        ({"include": ["cat"]}, r"include\[0\]: expected an object"),
        ({"include": [{"count": 1}]}, r"include\[0\].class is missing"),
        ({"include": [{"class": "cat"}]}, r"include\[0\].count is missing"),
        ({"include": [{"class": "cat", "count": "1"}]}, r"include\[0\].count: expected a whole number"),
        ({"include": [{"class": "cat", "count": True}]}, r"include\[0\].count"),
        ({"include": [{"class": "cat", "count": -1}]}, r"include\[0\].count: expected 0 or more"),
        ({"include": [{"class": "cat", "count": 1, "position": ["left", 0]}]}, r"include\[0\].position: expected"),
        ({"include": [{"class": "cat", "count": 1, "position": ["above", 0]}]}, "no earlier clause"),
        ({"exclude": [{"class": "cat", "count": 0}]}, r"exclude\[0\].count"),
    ],
)
def test_metadata_that_cannot_be_meant_names_its_field(change, names):
    with pytest.raises(UsageError, match=names):
        metadata.read({**WHOLE, **change})


@pytest.mark.parametrize("field", ["tag", "include", "prompt"])
def test_a_missing_field_is_named(field):
    with pytest.raises(UsageError, match=f"{field} is missing"):
        metadata.read({key: value for key, value in WHOLE.items() if key != field})


def test_judging_imports_no_numpy_and_no_torch():
    code = (
        "import sys, janus_eval.benchmarks.geneval.benchmark\n"
        "print([name for name in ('numpy', 'pandas', 'torch', 'PIL', 'cv2', 'pycocotools') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@given(st.permutations(range(6)))
def test_the_order_of_the_boxes_does_not_matter(order):
    boxes = [box(30 * k, 7 * k, 0.4 + k / 10) for k in range(6)]
    colors = ["red", "blue", "red", "red", "pink", "red"]
    asked = asks(cls("cat", 2, color="red"), exclude=[cls("cat", 6)])
    plain = verdict(asked, {"cat": boxes}, {"cat": colors}, Options(max_overlap=0.5))
    shuffled = {"cat": [boxes[k] for k in order]}, {"cat": [colors[k] for k in order]}
    assert verdict(asked, *shuffled, Options(max_overlap=0.5)) == plain
