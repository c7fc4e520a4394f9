"""Answers made elsewhere that say themselves that they are none, cut, or another model's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from janus_eval.benchmarks.gqa import Gqa
from janus_eval.benchmarks.mmstar import MmStar
from janus_eval.evals.commands.cli import main
from janus_eval.evals.errors import UsageError
from support.predictions import part, value, write


def answers(*odd: dict[str, Any], count: int = 4) -> list[dict[str, Any]]:
    """Return right answers, behind wrong ones that are `odd`."""
    wrong = [{"id": f"x{at}", "answer": "cat", "response": "", **each} for at, each in enumerate(odd)]
    return [*wrong, *({"id": at, "answer": "cat", "response": "cat"} for at in range(count))]


@pytest.mark.parametrize(
    "told",
    [
        {"error": "timeout"},
        {"response": "Error 429", "error": {"message": "too many requests"}},
        {"response": None, "exception": "ReadTimeout"},
        {"response": "dog", "error": True},
        {"response": "Failed to obtain answer via API."},
        {"response": "Failed to obtain answer via API. "},
        {"response": "[LMMS_EVAL_REQUEST_FAILED after 5 retries] Connection refused"},
        {"response": "do", "finish_reason": "content_filter"},
        {"response": "do", "stop_reason": "abort"},
        {"response": "nan"},
        {"response": float("nan")},
        {"response": float("inf")},
        {"response": "NaN "},
    ],
)
def test_a_request_that_failed_elsewhere_is_no_wrong_answer(tmp_path: Path, told: dict[str, Any]) -> None:
    scored = Gqa().rescore(predictions=write(tmp_path / "a.jsonl", *answers(told)))
    assert part(scored, "official/accuracy") == 100 and scored.unscored == 1
    assert len(scored.extra["odd_rows"]) == 1 and "line 1" in scored.extra["odd_rows"][0]


@pytest.mark.parametrize("told", [None, "", "None", "nan", "no", "0.0", False, 0, 0.25, [], {}])
def test_a_column_of_errors_that_tells_of_none_changes_nothing(tmp_path: Path, told: object) -> None:
    scored = Gqa().rescore(predictions=write(tmp_path / "a.jsonl", *answers({"response": "dog", "error": told})))
    assert value(scored, "official/accuracy") == 80 and not scored.extra.get("odd_rows")


def test_answers_that_a_limit_cut_are_scored_and_counted(tmp_path: Path) -> None:
    rows = answers({"response": "cat", "finish_reason": "length"}, {"response": "dog", "stop_reason": "max_tokens"})
    scored = Gqa().rescore(predictions=write(tmp_path / "a.jsonl", *rows))
    assert scored.unscored == 0 and scored.extra["cut"].startswith("2 of 6 answers")


def test_logs_of_inspect_and_evalscope_keep_what_failed(tmp_path: Path) -> None:
    def message(text: str, stop: str) -> list[dict[str, Any]]:
        return [{"message": {"role": "assistant", "content": text}, "stop_reason": stop}]

    def inspected(at: int, output: dict[str, Any], **more: Any) -> dict[str, Any]:
        return {"id": at, "epoch": 1, "input": "Which?", "target": "cat", "output": output, **more}

    right = {"model": "m", "completion": "cat", "choices": message("cat", "stop")}
    samples = [
        inspected(0, {"model": "", "completion": "", "choices": []}, error={"message": "TimeoutError"}),
        inspected(1, {"model": "", "completion": "", "choices": []}),
        inspected(2, {"model": "m", "completion": "", "choices": message("", "content_filter")}),
        inspected(3, {"model": "m", "completion": "ca", "choices": message("ca", "max_tokens")}),
        *(inspected(at, right) for at in range(4, 9)),
    ]
    (tmp_path / "log.json").write_text(json.dumps({"eval": {"task": "gqa"}, "samples": samples}))
    scored = Gqa().rescore(predictions=tmp_path / "log.json")
    assert scored.unscored == 3 and "TimeoutError" in scored.extra["odd_rows"][0]
    assert scored.extra["cut"].startswith("1 of 6") and "models" not in scored.extra
    rows = [
        {"index": at, "model": "m", "model_output": {"choices": message(text, "stop"), "error": error}}
        | {"metadata": {"id": at, "answer": "cat"}}
        for at, (text, error) in enumerate([("", "APIConnectionError"), ("cat", None), ("cat", None)])
    ]
    scored = Gqa().rescore(predictions=write(tmp_path / "evalscope.jsonl", *rows))
    assert part(scored, "official/accuracy") == 100 and "APIConnectionError" in scored.extra["odd_rows"][0]


def test_rows_of_two_models_in_one_file_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{**row, "model_id": "a" if at % 2 else "b"} for at, row in enumerate(answers(count=5))]
    assert main(["score", "-b", "gqa", str(write(tmp_path / "a.jsonl", *rows))]) == 0
    said = capsys.readouterr()
    assert "more than one model" in said.err and "models: b 3, a 2" in said.out
    one = [{**row, "model_id": "a"} for row in rows]
    assert "models" not in Gqa().rescore(predictions=write(tmp_path / "b.jsonl", *one)).extra


@pytest.mark.parametrize(("first", "said"), [(1, "one higher"), (-1, "one lower"), (0, "")])
def test_answers_that_are_numbered_from_another_number_are_refused(tmp_path: Path, first: int, said: str) -> None:
    asked = {"question": "Which?", "A": "red", "B": "blue", "category": "math", "l2_category": "x"}
    gold = write(tmp_path / "gold.jsonl", *({"index": at, **asked, "answer": "AB"[at % 2]} for at in range(1, 9)))
    found = write(tmp_path / "a.jsonl", *({"id": at + first, "response": "AB"[at % 2]} for at in range(1, 9)))
    if not said:
        assert part(MmStar().rescore(predictions=found, data=gold), "official/accuracy") == 100
        return
    with pytest.raises(UsageError, match=said):
        MmStar().rescore(predictions=found, data=gold)


def test_a_whole_number_that_a_table_made_a_float_is_its_text(tmp_path: Path) -> None:
    rows = [{"id": 0, "answer": "3", "response": 3.0}, {"id": 1, "answer": "2.5", "response": 2.5}]
    assert value(Gqa().rescore(predictions=write(tmp_path / "a.jsonl", *rows)), "official/accuracy") == 100


def test_answers_without_a_word_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "a.jsonl", *answers({}, {"response": " \n"}, {"response": "\u200b"}))
    scored = Gqa().rescore(predictions=path)
    assert value(scored, "official/accuracy") == pytest.approx(100 * 4 / 7)  # a model may say nothing
    assert main(["score", "-b", "gqa", str(path)]) == 0
    assert "blank: 3 of 7 answers hold no word and are scored as they are" in capsys.readouterr().out
    assert "blank" not in Gqa().rescore(predictions=write(tmp_path / "b.jsonl", *answers())).extra


def test_a_file_with_answers_without_a_verdict_is_incomplete(tmp_path: Path) -> None:
    cut = {"response": "<think>a cat, no"}
    path = write(tmp_path / "a.jsonl", *answers(cut))
    assert main(["score", "-b", "gqa", str(path), "--reasoning", "strip"]) == 5
    assert main(["score", "-b", "gqa", str(path)]) == 0


def test_answers_with_a_chat_templates_tokens_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = [{"response": "<|endoftext|>"}, {"response": "\u3164"}, {"response": "\u2800"}, {"response": "cat</s>"}]
    path = write(tmp_path / "a.jsonl", *answers(*told))
    assert main(["score", "-b", "gqa", str(path)]) == 0
    out = capsys.readouterr().out
    assert "blank: 3 of 8 answers hold no word" in out
    assert "tokens: 1 of 8 answers hold a chat template's tokens and are scored as they are" in out
