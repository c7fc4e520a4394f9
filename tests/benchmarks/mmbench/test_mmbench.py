"""MMBench: circular and vanilla, the judge that matches options."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from janus_eval.benchmarks.mmbench.benchmark import MmBench
from janus_eval.evals.errors import UsageError
from janus_eval.evals.types import Prediction
from PIL import Image
from support.chat_server import Service, serving
from support.predictions import lines, on_the_hub, part, picture, value, write

FRUIT = ("apple", "banana", "cherry", "durian")


def rolled(index: int, answers: tuple[str, ...], **more: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for k, said in enumerate(answers):
        options = {"ABCD"[(at + k) % 4]: fruit for at, fruit in enumerate(FRUIT)}
        row = {"index": index + k * 1_000_000, "question": "q", **options, "answer": "ABCD"[(1 + k) % 4]}
        rows.append({**row, "response": said, **more})
    return rows


def test_circular_needs_every_roll(tmp_path: Path) -> None:
    rows = rolled(1, ("B", "C", "D", "A"), category="cp") + rolled(2, ("banana", "B", "D", "A"), category="lr")
    scored = MmBench().rescore(predictions=write(tmp_path / "p.jsonl", *rows))
    assert value(scored, "official/circular") == 50
    assert value(scored, "vlmevalkit-2024/vanilla_all") == 87.5
    assert value(scored, "vlmevalkit-2024/vanilla_unrolled") == 100
    assert value(scored, "official/circular_cp") == 100
    assert value(scored, "official/circular_lr") == 0


def test_a_question_has_as_many_rolls_as_options_that_move(tmp_path: Path) -> None:
    three = rolled(1, ("B", "C", "D"))
    stays = [{**row, "D": "all of these"} for row in rolled(2, ("B", "C"))]
    stays.append({**stays[0], "index": 2_000_002, "A": "banana", "B": "cherry", "C": "apple", "answer": "A"})
    stays[2]["response"] = "A"
    whole = MmBench().rescore(predictions=write(tmp_path / "a.jsonl", *rolled(1, ("B", "C", "D", "A")), *stays))
    assert value(whole, "official/circular") == 100
    for rows in ([three[0], three[1], rolled(1, ("B", "C", "D", "A"))[3]], [three[0]]):
        scored = MmBench().rescore(predictions=write(tmp_path / "b.jsonl", *rows))
        assert part(scored, "official/circular") == 100
        assert scored.metrics["official/circular"].absent == ("1 rolls without a row",)
    scored = MmBench().rescore(predictions=write(tmp_path / "c.jsonl", *three))
    assert scored.metrics["official/circular"].absent == ("1 without a row",)
    assert value(scored, "vlmevalkit-2024/vanilla_all") is None  # right in three rows of four


@pytest.mark.parametrize("lost", range(1, 4))
def test_a_file_without_one_roll_of_each_question_is_a_part(tmp_path: Path, lost: int) -> None:
    rows = [row for at in range(8) for row in rolled(at, ("B", "C", "D", "B" if at % 2 else "A"))]
    left = [row for row in rows if row["index"] // 1_000_000 != lost]
    found = MmBench().rescore(predictions=write(tmp_path / "p.jsonl", *left)).metrics["official/circular"]
    assert found.value is None and found.absent[0].startswith("8 ")


def test_a_table_that_is_asked_without_its_last_rolls_is_a_part(tmp_path: Path) -> None:
    whole = [row for at in range(3) for row in rolled(at, ("", "", "", ""))]
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    two = [{"index": 9, "question": "q", "A": "yes", "B": "no", "answer": "A"}]
    two.append({**two[0], "index": 1_000_009, "A": "no", "B": "yes", "answer": "B"})
    for left, fewer in ((0, None), (1, 1), (2, 2), (3, 1)):  # of one roll it is known that a second is lost
        rows = [*two, *(row for row in whole if row["index"] % 1_000_000 or row["index"] // 1_000_000 < 4 - left)]
        suite = MmBench(data=str(write(tmp_path / "rows.jsonl", *({**row, "image_path": "a.png"} for row in rows))))
        asked = [(each, Prediction(each.id, text=each.target["answer"])) for each in suite.samples()]
        found = suite.estimates([score for each, said in asked for score in suite.score(each, said, None)])
        assert found["official/circular"].value == 100
        assert found["official/circular"].absent == ({"rolls without a row": fewer} if fewer else {})


def test_scores_that_tell_only_how_many_options_there_were_are_read_on(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    rows = [{**row, "image_path": "a.png"} for row in (*rolled(1, ("",) * 4), rolled(2, ("",))[0])]
    suite = MmBench(data=str(write(tmp_path / "rows.jsonl", *rows)))
    asked = [(each, Prediction(each.id, text=each.target["answer"])) for each in suite.samples()]
    scores = [replace(score, details={"rolls": 4}) for each, said in asked for score in suite.score(each, said, None)]
    assert suite.estimates(scores)["official/circular"].absent == {"rolls without a row": 1}


def test_an_answer_that_is_no_option_is_a_wrong_label(tmp_path: Path) -> None:
    row = {"index": 1, "A": "x", "B": "y", "C": None, "D": "nan", "answer": "D", "response": "A"}
    with pytest.raises(UsageError, match=r"line 1: column 'answer' holds 'D', expected one of the options A, B"):
        MmBench().rescore(predictions=write(tmp_path / "p.jsonl", row))


def test_lmms_eval_takes_nan_for_an_option(tmp_path: Path) -> None:
    row = {"index": 1, "A": "x", "B": "y", "C": "nan", "D": None, "answer": "A", "response": "banana"}
    scored = MmBench().rescore(predictions=write(tmp_path / "p.jsonl", row))
    assert lines(scored)[0]["read"]["lmms-eval"] == "C"
    assert lines(scored)[0]["read"]["official"] is None


def test_an_index_may_be_a_text(tmp_path: Path) -> None:
    rows = [{**row, "index": str(row["index"])} for row in rolled(1, ("B", "C", "D", "A"))]
    assert value(MmBench().rescore(predictions=write(tmp_path / "p.jsonl", *rows)), "official/circular") == 100


def test_mmbench_on_the_hub_has_texts_for_indices_and_nan_for_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = {"index": "241", "question": "q?", "hint": "nan", "A": "x", "B": "y", "C": "nan", "D": "nan", "answer": "B"}
    row |= {"category": "image_style", "L2-category": "coarse_perception", "image": picture("a")}
    on_the_hub(tmp_path / "en" / "dev-00000-of-00001.parquet", [row], monkeypatch)
    (sample,) = MmBench(data=str(tmp_path)).samples()
    instruction = "Answer with the option's letter from the given choices directly."
    assert sample.prompt == f"\nq?\nA. x\nB. y\n\n{instruction}"
    assert sample.tags == {"category": "image_style", "l2-category": "coarse_perception"}
    generic = MmBench(data=str(tmp_path), preset="official").samples()[0].prompt
    assert generic == "Question: q?\nOptions:\nA. x\nB. y\nPlease select the correct answer from the options above. \n"
    lmms = MmBench(data=str(tmp_path), preset="lmms-eval").samples()[0].prompt
    assert lmms == f"q? There are several options:\nA. x\nB. y\n\n{instruction}"


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    with serving(Service(reply=lambda body: "0.5")) as running:
        yield running


def test_a_judge_finds_the_option_that_an_answer_means(tmp_path: Path, service: Service) -> None:
    service.reply = lambda body: "B" if "the yellow one" in body["messages"][0]["content"] else "none"
    rows = rolled(1, ("the yellow one", "C", "D", "A")) + rolled(2, ("B", "C", "no idea", "A"))
    path = write(tmp_path / "p.jsonl", *rows)
    scored = MmBench().rescore(predictions=path, judge="gpt-x", judge_base_url=service.url, judge_retries=0)
    assert value(scored, "official/circular") == 0
    assert part(scored, "official-judge/circular") == 100  # of the one question that has a verdict in every roll
    assert scored.metrics["official-judge/circular"].absent == ("1 without a verdict",)
    assert len(service.asked) == 1 + 3  # what exact matching reads is not asked about; three tries at most
    assert scored.unscored == 1
