"""OneIG-Bench's text score: what is compared, distances and words by hand, transcripts cut short, and the toy."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from janus_eval.benchmarks.judging.judge import Judge
from janus_eval.benchmarks.oneig import lettering
from janus_eval.benchmarks.oneig.benchmark import OneIgText, OneIgTextCn
from janus_eval.benchmarks.oneig.lettering import Reading
from janus_eval.evals.commands import cli
from janus_eval.evals.errors import UsageError
from janus_eval.evals.types import Evidence, Prediction, Sample
from PIL import Image
from support.chat_server import Service, serving

WANTED = "['Big Sale', 'Now!']"


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-x")
    with serving(Service(reply=lambda body: "Big Sale\nNow")) as running:
        yield running


def suite(folder: Path, *texts: str, kind: type[OneIgText] = OneIgText) -> OneIgText:
    path = folder / "rows.jsonl"
    rows = [{"id": f"{at:03d}", kind.prompt: "a poster", "text_content": each} for at, each in enumerate(texts)]
    path.write_text("".join(json.dumps(each) + "\n" for each in rows))
    return kind(str(path))


def drawn(folder: Path, sample: Sample, index: int = 0) -> Prediction:
    path = folder / f"{sample.id}_{index}.png"
    Image.new("RGB", (8, 8), "red").save(path)
    return Prediction(sample.id, index, kind="image", image=path)


def seen(*values: Any) -> Evidence:
    return Evidence("", data={"runs": [{"value": each, "calls": []} for each in values]})


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (WANTED, "Big Sale Now"),
        ("  a\n\tb ", "a b"),
        ("Café, 50%", "Café 50"),
        ("ñ ø И", ""),
        ("['大 减价', 'Sale 5']", "大减价Sale5"),
        ("龥龦", "龥"),
    ],
)
def test_what_is_compared(text: str, kept: str) -> None:
    assert lettering.compared(text) == kept


@pytest.mark.parametrize(
    ("reply", "left"),
    [
        ("addCriterion\nSale", "\nSale"),
        ("No text recognized.", ""),
        ("No text recognized", "No text recognized"),  # what the judge is told to say, without the full stop
        ("\naddaddCriterionCriterion", ""),
    ],
)
def test_what_is_taken_out_of_a_transcript(reply: str, left: str) -> None:
    assert lettering.cleaned(reply) == left


@pytest.mark.parametrize(
    ("reply", "wanted", "expected"),
    [
        ("Big Sale Now", WANTED, Reading(0, 3, 3)),
        ("big Sale", WANTED, Reading(5, 1, 3)),
        ("Big Big Sale Now", WANTED, Reading(4, 3, 3)),
        ("No text recognized.", WANTED, Reading(12, 0, 3)),
        ("大减", "['大 减价']", Reading(1, 2, 3)),
        ("大减价", WANTED, Reading(12, 0, 3)),
        ("", "['大减价']", Reading(3, 0, 3)),
    ],
)
def test_a_transcript_by_hand(reply: str, wanted: str, expected: Reading) -> None:
    assert lettering.read(reply, wanted) == expected
    assert expected.cr == (expected.ed == 0)


def plain(one: str, two: str) -> int:
    """Return the Levenshtein distance row by row, as textbooks have it."""
    above = list(range(len(two) + 1))
    for at, each in enumerate(one, 1):
        here = [at]
        for place, other in enumerate(two):
            here.append(min(above[place + 1] + 1, here[place] + 1, above[place] + (each != other)))
        above = here
    return above[-1]


def test_distances_are_the_textbooks() -> None:
    chance = random.Random(3)
    for size in (3, 12, 90):
        for _ in range(100):
            one, two = ("".join(chance.choice("ab 多") for _ in range(chance.randrange(size))) for _ in range(2))
            assert lettering.distance(one, two) == plain(one, two), (one, two)


def test_a_reply_of_a_megabyte_is_held_against_the_longest_text_in_seconds() -> None:
    began = time.monotonic()
    assert lettering.distance("ab" * 500_000, "x" * 1500) == 1_000_000
    assert time.monotonic() - began < 30


def test_the_text_score_by_hand(tmp_path: Path) -> None:
    """Edits 0 and 5, one of two whole, 3 + 1 of 6 words: 1 - 2.5 / 100 x 1/2 x 1/3; in Chinese out of 50."""
    for kind, most in ((OneIgText, 100), (OneIgTextCn, 50)):
        bench = suite(tmp_path, WANTED, WANTED, kind=kind)
        scores = [
            score
            for sample, said in zip(bench.samples(), ("Big Sale Now", "big Sale"), strict=True)
            for score in bench.score(sample, Prediction(sample.id, kind="image"), seen(said))
        ]
        assert scores[1].value == pytest.approx(1 - 5 / most * 2 / 3) and scores[1].reason == "read: 'big Sale'"
        found = bench.aggregate(scores)
        assert (found["official/ed"].value, found["official/cr"].value) == (2.5, 0.5)
        assert found["official/wac"].value == pytest.approx(4 / 6)
        assert found["official/text"].value == pytest.approx(1 - 2.5 / most / 2 / 3)
        text = found["official/text"]
        assert text.low is not None and text.high is not None and text.value is not None
        assert 0 <= text.low <= text.value <= text.high <= 1


def test_edits_beyond_the_most_count_as_the_most(tmp_path: Path) -> None:
    bench = suite(tmp_path, "['a']")
    (sample,) = bench.samples()
    scores = bench.score(sample, Prediction(sample.id, kind="image"), seen("b" * 5000))
    assert scores[0].value == 0.0 and bench.aggregate(scores)["official/text"].value == 0.0
    assert bench.aggregate(scores)["official/ed"].value == 5000


def test_the_interval_of_the_text_score_is_that_of_its_parts_moved_together(tmp_path: Path) -> None:
    """Leaving each prompt out in turn moves the score as the estimate's parts say (jackknife)."""
    bench = suite(tmp_path, *[WANTED] * 40)
    chance = random.Random(5)
    words = ["Big", "Sale", "Now"]
    scores = [
        score
        for sample in bench.samples()
        for index in range(4)
        for score in bench.score(
            sample,
            Prediction(sample.id, index, kind="image"),
            seen(" ".join(words if chance.random() < 0.3 else chance.sample(words, chance.randrange(1, 3)))),
        )
    ]
    whole = bench.estimates(scores)["official/text"]
    assert whole.value is not None
    assert sum(share for share, _ in whole.parts.values()) == pytest.approx(whole.value)
    left = [
        bench.estimates([each for each in scores if each.sample_id != sample.id])["official/text"].value or 0.0
        for sample in bench.samples()
    ]
    mean = sum(left) / len(left)
    jackknife = sum((each - mean) ** 2 for each in left) * (len(left) - 1) / len(left)
    assert whole.variance == pytest.approx(jackknife, rel=0.1)


def test_a_picture_without_a_transcript_makes_all_four_numbers_parts(tmp_path: Path) -> None:
    bench = suite(tmp_path, WANTED)
    (sample,) = bench.samples()
    scores = [
        score
        for index, said in enumerate(("Big Sale Now", None))
        for score in bench.score(sample, Prediction(sample.id, index, kind="image"), seen(said))
    ]
    found = bench.aggregate(scores)
    for name in ("text", "ed", "cr", "wac"):
        assert found[f"official/{name}"].value is None and found[f"official/{name} (part)"].value is not None


@pytest.mark.parametrize("text", ["", "['!']", "ñ"])
def test_a_text_without_a_letter_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError, match=r"rows\.jsonl line 1: column 'text_content'"):
        suite(tmp_path, text).samples()


def test_the_judge_is_asked_once_and_a_transcript_that_was_cut_counts(tmp_path: Path, service: Service) -> None:
    bench = suite(tmp_path, WANTED, "word " * 61)
    service.reply = lambda body: {
        "choices": [{"message": {"role": "assistant", "content": "Big Sale."}, "finish_reason": "length"}],
        "model": "vlm-1",
    }
    task = Judge("oneig_text", judge="vlm", judge_base_url=service.url, judge_timeout=5.0, judge_retries=0)
    pairs = [(sample, drawn(tmp_path, sample)) for sample in bench.samples()]
    found = task.observe(pairs)
    assert sorted(each["max_tokens"] for each in service.asked) == [128, 256]
    picture, text = service.asked[0]["messages"][0]["content"]
    assert picture["image_url"]["url"].startswith("data:image/jpeg;")
    assert text["text"].startswith("Recognize the text in the image, ")
    (score,) = bench.score(*pairs[0], found[0])
    assert score.answer == ["Big Sale."] and score.details == {
        **score.details,
        "ed": 4.0,
        "cr": 0.0,
        "matched": 2.0,
        "words": 3.0,
    }


@pytest.mark.parametrize("reply", ["", {"role": "assistant", "content": None, "refusal": "I will not."}])
def test_no_reply_is_no_transcript(tmp_path: Path, service: Service, reply: Any) -> None:
    bench = suite(tmp_path, WANTED)
    service.reply = lambda body: reply
    task = Judge("oneig_text", judge="vlm", judge_base_url=service.url, judge_timeout=5.0, judge_retries=0)
    pair = (bench.samples()[0], drawn(tmp_path, bench.samples()[0]))
    (evidence,) = task.observe([pair])
    (score,) = bench.score(*pair, evidence)
    assert score.value is None


def test_the_toys_words_are_the_things_that_are_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["run", "-m", "janus-toy", "-b", "oneig_text", "-l", "2", "-o", str(tmp_path / "runs"), "--json"]
    assert cli.main(asked) == 0
    (row,) = json.loads(capsys.readouterr().out)
    metrics = row["metrics"]
    assert metrics["official/wac (part)"]["value"] > 0.3
