"""The judge: a real HTTP server with faults, and what the evidence keeps of them."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from janus_eval.benchmarks.judging.judge import Judge
from janus_eval.benchmarks.judging.task import Verdict, load_task
from janus_eval.benchmarks.mm_vet import grader as mm_vet_grader
from janus_eval.benchmarks.mm_vet import prompt as grading
from janus_eval.benchmarks.mm_vet import rule_grader
from janus_eval.evals.errors import EnvironmentProblem, UsageError
from janus_eval.evals.types import Evidence, Prediction, Sample
from support.chat_server import Fault, Service, serving

KEY = "sk-very-secret-key"


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with serving(Service(reply=lambda body: "0.5")) as running:
        yield running


def pair(name: str = "v1", answer: str = "a cat", said: str = "a cat") -> tuple[Sample, Prediction]:
    return (
        Sample(name, "What is it?", target={"question": "What is it?", "answer": answer}),
        Prediction(name, text=said),
    )


def judge(service: Service, **options: Any) -> Judge:
    options = {"judge_base_url": service.url, "judge_timeout": 5.0, "judge_retries": 2, **options}
    return Judge("mm_vet", judge="gpt-x", **options)


def one(service: Service, **options: Any) -> Evidence:
    (evidence,) = judge(service, **options).observe([pair()])
    return evidence


def values(evidence: Evidence) -> list[float | None]:
    return [run["value"] for run in evidence.data["runs"]]


def quick(**headers: str) -> Fault:
    return Fault(429, headers={"Retry-After": "0.01", **headers})


def test_a_reply_is_kept_with_the_model_that_the_server_names(service: Service) -> None:
    evidence = one(service)
    assert evidence.error is None
    (call,) = evidence.data["runs"][0]["calls"]
    assert call["reply"] == "0.5"
    assert call["model"] == "served-model-2026-01-01"
    assert call["usage"] == {"total_tokens": 7}
    assert len(call["prompt_sha256"]) == 64
    (body,) = service.asked
    assert (body["model"], body["temperature"], body["max_tokens"]) == ("gpt-x", 0.0, 3)
    assert body["messages"][0]["content"].endswith("What is it? | a cat | a cat | ")


def test_every_answer_is_judged_as_often_as_asked_and_in_order(service: Service) -> None:
    service.reply = lambda body: "0.1" if "said-1" in body["messages"][0]["content"] else "0.2"
    pairs = [pair(f"v{n}", said=f"said-{n}") for n in range(3)]
    found = judge(service, judge_runs=3).observe(pairs)
    assert [each.sample_id for each in found] == ["v0", "v1", "v2"]
    assert [values(each) for each in found] == [[0.2] * 3, [0.1] * 3, [0.2] * 3]
    assert len(service.asked) == 9


def test_an_unreadable_grade_is_asked_again_warmer_with_the_official_suffix(service: Service) -> None:
    replies = iter(["good", "2.0", "0.4"])
    service.reply = lambda body: next(replies)
    assert values(one(service)) == [0.4]
    assert [body["temperature"] for body in service.asked] == [0.0, 0.0, 0.5]
    assert [body["messages"][0]["content"].endswith("(digit): ") for body in service.asked] == [False, True, True]


def test_six_unreadable_grades_leave_no_verdict_and_never_a_zero(service: Service) -> None:
    service.reply = lambda body: "I cannot say"
    evidence = one(service)
    assert values(evidence) == [None]
    assert "unreadable grade in 6 replies" in evidence.data["runs"][0]["reason"]
    assert len(service.asked) == 6


def test_a_judge_s_own_reasoning_is_no_verdict(service: Service) -> None:
    replies = iter(["<think>0.1, or</think>\n0.4", "<think>0.1", "0.9"])
    service.reply = lambda body: next(replies)
    evidence = one(service)
    assert values(evidence) == [0.4] and "<think>" in evidence.data["runs"][0]["calls"][0]["reply"]
    assert values(one(service)) == [0.9]
    sample, prediction = pair()
    assert judge(service).doubt(sample, prediction, evidence.data) == ""


def test_a_refusal_is_kept_and_counts_as_unreadable(service: Service) -> None:
    message = {"role": "assistant", "content": None, "refusal": "I will not grade this."}
    service.reply = lambda body: {"choices": [{"message": message, "finish_reason": "stop"}]}
    evidence = one(service)
    assert values(evidence) == [None]
    assert evidence.data["runs"][0]["calls"][0]["refusal"] == "I will not grade this."


@pytest.mark.parametrize(
    "fault",
    [
        quick(),
        Fault(500, headers={"Retry-After": "0.01"}),
        Fault(503, "<html>", {"Content-Type": "text/html", "Retry-After": "0"}),
    ],
    ids=["429", "500", "503 page"],
)
def test_a_passing_fault_is_asked_again(service: Service, fault: Fault) -> None:
    service.faults = [fault, fault]
    assert values(one(service)) == [0.5]
    assert len(service.asked) == 3


def test_retry_after_is_waited_for(service: Service) -> None:
    service.faults = [Fault(429, headers={"Retry-After": "0.4"})]
    one(service)
    assert service.times[1] - service.times[0] >= 0.4


def test_a_wait_longer_than_patience_fails_the_judgement_at_once(service: Service) -> None:
    service.faults = [Fault(429, headers={"Retry-After": "3600"})]
    evidence = one(service)
    assert evidence.error is not None
    assert "asks to wait 3600 s" in evidence.error


def test_a_reply_that_is_not_the_api_s_is_an_error_in_the_end(service: Service) -> None:
    service.faults = [Fault(200, "{not json")] * 2
    evidence = one(service, judge_retries=0)
    assert evidence.error is not None
    assert "not the API's" in evidence.error
    assert values(evidence) == [None]


def test_a_timeout_is_an_error_of_its_sample_alone(service: Service) -> None:
    service.faults = [Fault(wait=1.0)]
    found = judge(service, judge_timeout=0.2, judge_retries=0, judge_concurrency=1).observe([pair("a"), pair("b")])
    assert found[0].error is not None
    assert "no answer within 0.2 s" in found[0].error
    assert found[1].error is None
    assert values(found[1]) == [0.5]


@pytest.mark.parametrize(
    ("message", "finish", "why"),
    [
        ({"content": ""}, "stop", "the answer is empty: finish_reason stop"),
        ({"content": None}, "length", "--judge-max-tokens"),
        ({"content": "", "reasoning_content": "0.9, because"}, "stop", "12 characters stand in reasoning_content"),
        ({"content": "0.9"}, "content_filter", "withheld the reply"),
        ({"content": None}, "content_filter", "withheld the reply"),
    ],
    ids=["empty", "cut", "thought", "filtered", "all filtered"],
)
def test_a_reply_that_is_none_is_no_grade_and_is_asked_again_by_the_next_run(
    service: Service, message: dict[str, Any], finish: str, why: str
) -> None:
    service.reply = lambda body: {"choices": [{"message": message, "finish_reason": finish}]}
    evidence = one(service)
    assert values(evidence) == [None]
    assert evidence.error is not None and why in evidence.error and "answer_from" not in evidence.error
    assert len(service.asked) == 1


def test_a_parameter_that_the_judge_does_not_take_says_what_to_type(service: Service) -> None:
    message = "Use 'max_completion_tokens' instead of 'max_tokens'"
    service.faults = [Fault(400, json.dumps({"error": {"message": message}}))]
    with pytest.raises(UsageError, match="type --judge-token-field max_completion_tokens"):
        one(service)


def test_calls_made_before_a_failure_are_kept_with_it(service: Service) -> None:
    replies = iter(["good", {"choices": "gone"}])
    service.reply = lambda body: next(replies)
    evidence = one(service, judge_retries=0)
    assert evidence.error is not None
    assert [call["reply"] for call in evidence.data["runs"][0]["calls"]] == ["good"]


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_wrong_key_or_model_stops_at_the_first_request(service: Service, status: int) -> None:
    service.faults = [Fault(status, json.dumps({"error": {"message": f"Incorrect API key provided: {KEY}"}}))] * 9
    with pytest.raises(EnvironmentProblem, match=f"answered {status}.*check the key") as caught:
        one(service)
    assert KEY not in str(caught.value)


def test_no_server_is_an_error_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(EnvironmentProblem, match=r"127.0.0.1:9/v1 cannot be reached"):
        Judge("mm_vet", judge="gpt-x", judge_base_url="http://127.0.0.1:9/v1", judge_retries=0).observe([pair()])


def test_an_exhausted_account_stops_the_run(service: Service) -> None:
    service.faults = [Fault(429, json.dumps({"error": {"message": "pay", "code": "insufficient_quota"}}))]
    with pytest.raises(EnvironmentProblem, match="no quota left"):
        one(service)


def test_a_bad_request_is_an_error_of_its_sample_without_the_key(service: Service) -> None:
    service.faults = [Fault(400, json.dumps({"error": {"message": f"max_tokens?  {KEY}"}}))]
    evidence = one(service)
    assert evidence.error is not None
    assert "answered 400: max_tokens? ***" in evidence.error
    assert evidence.lasting
    service.faults = [Fault(500)]
    assert not one(service, judge_retries=0).lasting


def test_the_key_stands_in_no_log_card_or_evidence(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    asked = judge(service)
    found = asked.observe([pair()])
    assert service.keys == [f"Bearer {KEY}"]
    for text in (repr(found), repr(asked.card), repr(asked), caplog.text):
        assert KEY not in text


def test_a_key_comes_from_a_file(service: Service, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("from-file\n")
    one(service, judge_key_file=tmp_path / "key")
    assert service.keys == ["Bearer from-file"]
    with pytest.raises(UsageError, match="cannot be read"):
        one(service, judge_key_file=tmp_path / "none")


def test_openai_itself_needs_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(EnvironmentProblem, match="set OPENAI_API_KEY"):
        Judge("mm_vet", judge="gpt-x").observe([pair()])


def test_without_a_judge_nothing_is_graded_and_nothing_asked() -> None:
    silent = Judge("mm_vet")
    (evidence,) = silent.observe([pair()])
    assert evidence.error is None
    assert evidence.data["runs"] == []
    assert silent.card == {"judge": "none"}


def test_the_card_names_model_task_address_and_runs_but_no_secret() -> None:
    asked = Judge("mm_vet", judge="gpt-x", judge_base_url="https://me:pw@host/v1?token=t", judge_runs=5)
    assert asked.card == {
        "judge": "gpt-x",
        "runs": 5,
        "task": f"mm_vet@{mm_vet_grader.GRADER.digest}",
        "url": "https://host/v1?token=***",
    }


@pytest.mark.parametrize(
    "options", [{"judge_runs": 0}, {"judge_base_url": "http://x"}, {"judge": "rule", "judge_base_url": "http://x"}]
)
def test_options_that_cannot_be_meant_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Judge("mm_vet", **options)


def test_an_unknown_task_names_those_there_are() -> None:
    with pytest.raises(UsageError, match="mm_vet"):
        load_task("mm_wet")
    assert load_task("mm-vet") is mm_vet_grader.GRADER


def test_the_toy_world_is_graded_by_rule_over_the_same_path() -> None:
    grader = Judge("mm_vet", world="toy", judge_runs=2)
    assert grader.card["grader"] == "rule"
    found = grader.observe([pair(said="The cat sits."), pair(answer="red<AND>cat"), pair(answer="dog<OR>cow")])
    assert [values(each) for each in found] == [[1.0, 1.0], [0.5, 0.5], [0.0, 0.0]]
    assert found[0].data["runs"][0]["calls"][0]["model"] == rule_grader.MODEL


def test_the_rule_grader_refuses_what_it_does_not_read(service: Service) -> None:
    from janus_eval.evals.endpoint.chat import Chat, Terms
    from janus_eval.evals.endpoint.replies import RequestFailed

    chat = Chat(Terms(rule_grader.start(), max_retries=0), "none", "judge")
    with pytest.raises(RequestFailed, match="MM-Vet's grading prompt only"):
        chat.ask("rule", [{"role": "user", "content": "Which option is it?"}])


@pytest.mark.parametrize(
    ("expected", "said", "grade"),
    [
        ("a cat", "It is the Cat.", 1.0),
        ("cat", "concatenate", 0.0),
        ("-1<AND>-5", "x = -1", 0.5),
        ("-1 <AND> -5", "x = -1 or x = -5", 1.0),
        ("1.25<OR>5/4", "d is 5/4", 1.0),
        ("red<AND>blue<AND>green", "blue", 0.3),
        ("yes", "", 0.0),
    ],
)
def test_grading_by_rule(expected: str, said: str, grade: float) -> None:
    assert rule_grader.grade(expected, said) == grade


@pytest.mark.parametrize(
    ("reply", "grade"),
    [("0.5", 0.5), ("0.5 because", 0.5), ("\n1.0", 1.0), (" 0.5", None), ("1.1", None), ("50%", None), ("", None)],
)
@pytest.mark.claim("R14")
def test_grades_are_read_as_the_official_script_does(reply: str, grade: float | None) -> None:
    assert grading.read_grade(reply) == grade


def test_the_official_grade_never_reads_the_sixth_reply() -> None:
    assert grading.official_grade(["bad"] * 5 + ["0.4"]) == 0.0
    assert grading.official_grade(["bad"] * 4 + ["0.4"]) == 0.4


def test_a_grade_of_nan_is_no_verdict() -> None:
    sample, prediction = pair()
    step = mm_vet_grader.GRADER.step(sample, prediction, ["nan"])
    assert step == Verdict(None, "the judge's grade is nan")


def test_the_prompt_has_the_published_shape() -> None:
    text = grading.prompt("Q?", "a<AND>b", "said")
    lines = text.split("\n")
    assert lines[-1] == "Q? | a <AND> b | said | "
    assert lines[2] == "Question | Ground truth | Prediction | Correctness"
    assert [line.rsplit(" | ", 1)[-1] for line in lines[4:11]] == ["0.0", "0.5", "0.5", "0.5", "1.0", "0.4", "1.0"]
