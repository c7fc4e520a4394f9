"""No metric is moved by an omission or a failure without saying so: over all suites, at random."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from janus_eval.evals import members, registry, stats
from janus_eval.evals.types import PART, Evidence, Metric, Prediction, Sample, Score

SUITES = (
    *("pope", "mme", "mmbench", "seed_bench", "gqa", "mmmu", "mm_vet", "geneval", "dpg_bench"),
    *("mmstar", "realworldqa", "ai2d", "chartqa", "ocrbench", "mmbench_cn"),
    *("mmvp", "mmmu_pro", "mmmu_pro_vision", "mathvista", "geneval2"),
    *("wise", "wise_rewritten", "wise_verified", "tiif", "tiif_mini", "unigenbench", "genai_bench"),
    *("t2i_compbench", "unigenbench_long", "unigenbench_cn", "unigenbench_cn_long"),
    *("oneig_alignment", "oneig_alignment_cn", "oneig_text", "oneig_text_cn"),
    *("gedit_bench", "gedit_bench_cn", "imgedit_bench"),
)
TRIES = 12


@cache
def judged(name: str) -> tuple[Any, Sequence[Score]]:
    """Return a suite over its toy data and the scores of random answers."""
    suite = members.benchmark(registry.create("benchmarks", name, data="toy"), name)
    chance = random.Random(name)
    scores: list[Score] = []
    for sample in suite.samples():
        for index in range(suite.outputs):
            scores += suite.score(sample, *answered(suite, sample, index, chance))
    return suite, scores


def answered(suite: Any, sample: Sample, index: int, chance: random.Random) -> tuple[Prediction, Evidence | None]:
    prediction = Prediction(sample.id, index, suite.kind, text=chance.choice(("yes", "No", "A", "B", "C", "red", "3")))
    if suite.name == "geneval":
        kinds = [clause["class"] for clause in sample.target["include"]]
        boxes = {
            kind: [[9 * n, 9 * n, 9 * n + 8, 9 * n + 8, 0.95] for n in range(chance.randrange(3))] for kind in kinds
        }
        data = {"boxes": boxes, "colors": {}, "masks": {}, "floor": 0.1, "size": [64, 64]}
        data["colors"] = {kind: ["red"] * len(found) for kind, found in boxes.items()}
        return prediction, Evidence(sample.id, index, data)
    if suite.name == "dpg_bench":
        answers = {str(each["id"]): chance.choice(("yes", "no")) for each in sample.target}
        return prediction, Evidence(sample.id, index, {"answers": answers, "scorer": "mplug", "cut": []})
    if suite.name == "geneval2":
        asked = sample.target["vqa_list"]
        data = {"chances": [chance.random() for _ in asked], "said": [chance.choice(("yes", "two")) for _ in asked]}
        return prediction, Evidence(sample.id, index, data)
    if suite.name in ("wise", "wise_rewritten", "wise_verified"):
        grades = {name: chance.randrange(3) for name in ("consistency", "realism", "aesthetic_quality")}
        value = chance.randrange(2) if suite.name == "wise_verified" else grades
        return prediction, Evidence(sample.id, index, {"runs": [{"value": value}]})
    if suite.kind == "edit":
        grades = [chance.randrange(1, 6) for _ in range(3)]
        value = {"grades": grades, "semantics": grades[0], "quality": grades[1], "done": True}
        return prediction, Evidence(sample.id, index, {"runs": [{"value": value}]})
    if suite.name in ("tiif", "tiif_mini"):
        said = [chance.choice(("yes", "no")) for _ in sample.target["questions"]]
        return prediction, Evidence(sample.id, index, {"runs": [{"value": said}]})
    if suite.name == "genai_bench":
        return prediction, Evidence(sample.id, index, {"chances": [chance.random()], "said": ["Yes"]})
    if suite.name == "t2i_compbench":
        phrases = sample.target["phrases"]
        data = {"chances": [chance.random() for _ in phrases], "phrases": phrases}
        return prediction, Evidence(sample.id, index, data)
    if suite.name.startswith("unigenbench"):
        met = [chance.randrange(2) for _ in sample.target["checkpoints"]]
        return prediction, Evidence(sample.id, index, {"runs": [{"value": met}]})
    if suite.name.startswith("oneig_alignment"):
        said = [chance.choice(("Yes", "No", "yes", "no")) for _ in sample.target["questions"]]
        return prediction, Evidence(sample.id, index, {"runs": [{"value": said}]})
    if suite.name.startswith("oneig_text"):
        return prediction, Evidence(sample.id, index, {"runs": [{"value": chance.choice(("cat dog", "bus", "x"))}]})
    if suite.name == "mm_vet":
        return prediction, Evidence(sample.id, index, {"runs": [{"value": chance.choice((0.0, 0.5, 1.0))}]})
    return prediction, None


def without(scores: Sequence[Score], lost: set[tuple[str, int]], reason: str) -> list[Score]:
    """Return the scores with some outputs lost: one score without protocol stands for each."""
    kept = [each for each in scores if (each.sample_id, each.index) not in lost]
    gone = {(each.sample_id, each.index): each for each in scores if (each.sample_id, each.index) in lost}
    return kept + [
        replace(each, protocol="", value=None, answer=None, unparsed=False, details=None, reason=reason)
        for each in gone.values()
    ]


def check(whole: Mapping[str, Metric], part: Mapping[str, Metric]) -> None:
    """Hold that a number under its own name is that of the whole, or says what its protocol leaves out."""
    for key, each in part.items():
        if key.endswith(PART):
            assert part[key.removesuffix(PART)].value is None and each.absent, key
        elif each.value is not None and not each.left_out and not key.endswith("/failed"):  # the share of failures
            assert key in whole, f"{key} is nothing that the whole has"
            assert each.value == pytest.approx(whole[key].value, abs=1e-12), key
        elif each.value is None and whole.get(key, each).value is not None:
            assert each.absent or each.left_out, f"{key} is withheld and does not say why"


@pytest.mark.parametrize("reason", [stats.NOT_ASKED + ": 8", "missing: the model failed: x", stats.NO_ROW])
@pytest.mark.parametrize("name", SUITES)
def test_an_omission_moves_no_number_without_a_mark(name: str, reason: str) -> None:
    suite, scores = judged(name)
    whole = suite.aggregate(scores)
    outputs = sorted({(each.sample_id, each.index) for each in scores})
    chance = random.Random(f"{name} {reason}")
    for count in [1, len(outputs) - 1, *(chance.randrange(1, len(outputs)) for _ in range(TRIES))]:
        check(whole, suite.aggregate(without(scores, set(chance.sample(outputs, count)), reason)))


@pytest.mark.parametrize("name", SUITES)
def test_where_everything_fails_no_metric_has_a_value(name: str) -> None:
    suite, scores = judged(name)
    outputs = {(each.sample_id, each.index) for each in scores}
    found = suite.aggregate(without(scores, outputs, "missing: the model failed: x"))
    told = {key: each.value for key, each in found.items() if each.value}
    assert {key: value for key, value in told.items() if not key.endswith(("/failed", "/fallbacks"))} == {}
    assert found.get(suite.headline, Metric(None, 0)).value is None


@pytest.mark.parametrize("name", SUITES)
def test_a_category_that_is_whole_keeps_its_number(name: str) -> None:
    suite, scores = judged(name)
    tag = {"pope": "category", "mme": "category", "mmmu": "subject", "geneval": "task"}.get(name)
    if tag is None:
        return
    victims = sorted({each.tags[tag] for each in scores})[:1]
    lost = {(each.sample_id, each.index) for each in scores if each.tags[tag] in victims}
    whole, part = suite.aggregate(scores), suite.aggregate(without(scores, lost, stats.NO_ROW))
    others = [key for key in whole if key in part and whole[key].value is not None and part[key].value is not None]
    assert any(each in key for key in others for each in {s.tags[tag] for s in scores} - {*victims})
    assert part[suite.headline].value is None and part[suite.headline].absent


LACKING = {
    "pope": ("category", "random", "official/mean_f1"),
    "mme": ("category", "existence", "official/perception"),
    "geneval": ("task", "counting", "official/overall"),
    "mmmu": ("subject", None, "official/accuracy"),
}


@pytest.mark.parametrize("name", list(LACKING))
def test_one_part_never_stands_under_the_name_of_the_whole(name: str) -> None:
    tag, only, headline = LACKING[name]
    suite, scores = judged(name)
    only = only or scores[0].tags[tag]
    found = suite.aggregate([each for each in scores if each.tags[tag] == only])
    assert found[headline].value is None and found[headline].absent
    assert found[headline + PART].value is not None


def test_circular_without_rolls_is_not_circular() -> None:
    suite, scores = judged("mmbench")
    unrolled = [each for each in scores if int(each.sample_id) < 1_000_000]
    found = suite.aggregate(unrolled)
    assert found["official/circular"].value is None
    assert "rolls without a row" in found["official/circular"].absent[0]
    assert (
        found["vlmevalkit-2024/vanilla_unrolled"].value
        == suite.aggregate(scores)["vlmevalkit-2024/vanilla_unrolled"].value
    )
