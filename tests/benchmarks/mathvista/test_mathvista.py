"""MathVista: what rules read, what a judge extracts, options by letter and by edit distance, numbers, lists."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from janus_eval.benchmarks.mathvista.benchmark import MathVista
from janus_eval.benchmarks.mathvista.extraction import extracted
from janus_eval.benchmarks.mathvista.rules import normalised, score
from janus_eval.evals.types import Prediction, Sample
from support.chat_server import Service, serving
from support.predictions import lines, part, picture, told, value, write

CHOICES = ["3/11", "8/11", "6/11", "3/5"]


def target(kind: str, answer: str, precision: float | None = None) -> dict[str, Any]:
    choices = CHOICES if kind == "text" else []
    return {"query": "q", "choices": choices, "answer_type": kind, "answer": answer, "precision": precision}


@pytest.mark.parametrize(
    ("text", "kind", "found"),
    [
        ("8/11", "text", "8/11"),
        ("B", "text", None),
        ("(B) 8/11", "text", None),
        ('The answer is "B".', "text", "B"),
        ("14", "integer", "14"),
        (" 14\n", "integer", "14"),
        ("14.0", "integer", None),
        ("1_000", "integer", "1000"),
        ("１４", "integer", "14"),
        ("1.450", "float", "1.45"),
        ("nan", "float", "nan"),
        ("14 apples", "integer", None),
        ('The answer is "14".', "integer", "14"),
        ("[2007, 2008]", "list", None),
        ("", "text", ""),
        ("", "integer", ""),
    ],
)
def test_what_rules_read_without_a_judge(text: str, kind: str, found: str | None) -> None:
    assert extracted(text, target(kind, "x")) == found


@pytest.mark.parametrize(
    ("found", "kind", "answer"),
    [
        ("B", "text", "8/11"),
        ("(b) 8/11", "text", "8/11"),
        ("E", "text", "3/5"),
        ("6/12", "text", "6/11"),
        ("", "text", "3/5"),
        ("14.7", "integer", "14"),
        ("fourteen", "integer", None),
        ("inf", "integer", None),
        ("1.449", "float", "1.45"),
        ("one", "float", None),
        ("[1, 2]", "list", "[1, 2]"),
    ],
)
def test_an_extracted_answer_takes_the_form_of_the_right_one(found: str, kind: str, answer: str | None) -> None:
    assert normalised(found, target(kind, "x", 2)) == answer


VERDICTS = [  # answer, kind, right answer, and the verdicts of official, VLMEvalKit and lmms-eval without a judge
    ("8/11", "text", "8/11", 1, 1, 1),
    ("3/5", "text", "8/11", 0, 0, 0),
    ("The correct answer is (B) 8/11.", "text", "8/11", None, 1, None),
    ("Answer: C", "text", "8/11", None, 0, None),
    (" 8/11", "text", "8/11", None, 1, 1),
    ("14", "integer", "14", 1, 1, 1),
    ("15", "integer", "14", 0, 0, 0),
    ("It is 14.", "integer", "14", None, None, None),
    ("1.45", "float", "1.45", 1, 1, 0),
    ("[1, 2]", "list", "[1, 2]", None, 0, None),
    ("Не знаю", "integer", "14", None, None, None),
    ("", "integer", "14", 0, None, 0),
]


@pytest.mark.parametrize(("text", "kind", "answer", "official", "vlmevalkit", "lmms"), VERDICTS)
def test_without_a_judge_what_no_rule_reads_has_no_verdict(
    text: str, kind: str, answer: str, official: int | None, vlmevalkit: int | None, lmms: int | None
) -> None:
    scores = score(Sample("1", "", target=target(kind, answer, 2.0)), Prediction("1", 0, "text", text=text))
    found = {each.protocol: each.value for each in scores}
    assert found == {"official": official, "vlmevalkit-2026": vlmevalkit, "lmms-eval": lmms}


@pytest.mark.parametrize(
    ("text", "kind", "unparsed"),
    [
        ("", "text", True),
        (" ", "text", True),
        ("", "integer", True),
        ('The answer is "E".', "text", True),
        ('The answer is "purple".', "text", True),
        ('The answer is "6 / 12".', "text", False),
        ('The answer is "B".', "text", False),
        ("8/11", "text", False),
        ('The answer is "many".', "integer", True),
        ("14", "integer", False),
    ],
)
def test_what_the_official_rule_settles_without_an_answer_is_unparsed(text: str, kind: str, unparsed: bool) -> None:
    scores = score(Sample("1", "", target=target(kind, "14", 1)), Prediction("1", 0, "text", text=text))
    assert next(each for each in scores if each.protocol == "official").unparsed is unparsed


def rows(*said: str) -> list[dict[str, Any]]:
    about = {"question_type": "free_form", "answer_type": "integer", "answer": "14", "question": "Which number?"}
    skills = ("['arithmetic reasoning']", "['arithmetic reasoning', 'statistical reasoning']")
    return [
        {"index": n, **about, "task": "figure QA", "skills": skills[n % 2], "response": each}
        for n, each in enumerate(said)
    ]


def test_a_judge_is_asked_only_for_what_no_rule_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    file = write(tmp_path / "p.jsonl", *rows("14", "The number is 14, I think."))
    assert part(MathVista().rescore(predictions=file), "official/accuracy") == 100
    with serving(Service(reply=lambda body: "14")) as service:
        scored = MathVista().rescore(predictions=file, judge="j", judge_base_url=service.url)
    assert len(service.asked) == 1
    asked = service.asked[0]["messages"][0]["content"]
    assert asked.startswith("Please read the following example.")
    assert asked.endswith("B\n\nWhich number?\n\nThe number is 14, I think.\n\nExtracted answer: ")
    assert value(scored, "official/accuracy") == value(scored, "official/statistical_reasoning") == 100


def test_a_reply_that_holds_no_number_is_wrong_as_in_the_original(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    file = write(tmp_path / "p.jsonl", *rows("fourteen"))
    with serving(Service(reply=lambda body: "I cannot say")) as service:
        scored = MathVista().rescore(predictions=file, judge="j", judge_base_url=service.url)
    assert lines(scored)[0]["correct"]["official"] is False


def test_the_hubs_table_holds_its_picture_and_query_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = {"pid": "7", "question": "Which?", "image": "images/7.jpg", "choices": ["x", "y"], "unit": "cm"}
    row |= {"query": "Hint: h\nQuestion: Which?", "answer": "y", "answer_type": "text", "precision": None}
    row |= {"metadata": {"task": "geometry", "skills": ["logic"]}}
    datasets = pytest.importorskip("datasets")
    table = datasets.Dataset.from_list([{**row, "decoded_image": picture("p")}])
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    (tmp_path / "hub" / "data").mkdir(parents=True)
    table = table.cast_column("decoded_image", datasets.Image())
    table.to_parquet(str(tmp_path / "hub" / "data" / "testmini-00000-of-00001.parquet"))
    samples = {
        preset: MathVista(data=str(tmp_path / "hub"), preset=preset).samples()[0] for preset in MathVista.presets
    }
    assert samples["official"].id == "7"
    assert samples["official"].prompt == row["query"]
    assert samples["official"].images[0].read() == b"p"
    assert samples["official"].tags == {"task": "geometry", "skills": "logic"}
    assert samples["lmms-eval"].prompt == (
        "Which? (Unit: cm)\nA. x\nB. y\nAnswer with the option's letter from the given choices directly."
    )


@pytest.mark.parametrize(
    "change",
    [{"answer_type": "colour"}, {"answer": None}, {"choices": "[1"}, {"choices": ["13"]}, {"skills": {"a": 1}}],
)
def test_a_row_of_mathvista_that_cannot_be_scored_is_named(tmp_path: Path, change: dict[str, Any]) -> None:
    row = {**rows("14")[0], **change}
    assert "line 1: column " in told(lambda: MathVista().rescore(predictions=write(tmp_path / "p.jsonl", row)))
