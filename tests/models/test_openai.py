"""An endpoint as the model under test: a real HTTP server, what it is asked and what becomes of its faults."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from janus_eval.evals import registry
from janus_eval.evals.endpoint.replies import RequestFailed
from janus_eval.evals.errors import EnvironmentProblem, InvalidImage, UsageError
from janus_eval.evals.types import RESIZED, REWRITTEN, Drawn, Job, Picture, Sample
from PIL import Image
from support.chat_server import Fault, Service, serving


def encoded(form: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4), "red").save(buffer, form)
    return buffer.getvalue()


PNG, JPEG = encoded("PNG"), encoded("JPEG")


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with serving(Service()) as running:
        yield running


def model(service: Service, **options: Any) -> Any:
    return registry.create(
        "models", "openai:tiny", **{"base_url": service.url, "timeout": "5", "retries": "1", **options}
    )


def question(name: str = "a", prompt: str = "\nIs it red?", system: str = "") -> Job:
    pictures = (Picture("one.png", lambda: PNG), Picture("two.jpg", lambda: JPEG))
    return Job(Sample(name, prompt, images=pictures, system=system), "text", 0, 5)


def drawing(name: str = "a") -> Job:
    return Job(Sample(name, "a red cat"), "image", 0, 5)


def texts(outputs: Any) -> list[str]:
    return [each.text for each in outputs]


def test_pictures_come_first_then_the_question_without_its_newline(service: Service) -> None:
    assert texts(model(service).predict([question(system="Think.")])) == ["yes"]
    (body,) = service.asked
    assert [message["role"] for message in body["messages"]] == ["system", "user"]
    assert body["messages"][0]["content"] == "Think."
    one, two, text = body["messages"][1]["content"]
    assert one["image_url"]["url"] == "data:image/png;base64," + base64.b64encode(PNG).decode()
    assert two["image_url"]["url"] == "data:image/jpeg;base64," + base64.b64encode(JPEG).decode()
    assert text == {"type": "text", "text": "Is it red?"}
    assert {key: body[key] for key in ("model", "temperature", "max_tokens")} == {
        "model": "tiny",
        "temperature": 0.0,
        "max_tokens": 512,
    }


def test_answers_come_in_the_order_of_the_jobs(service: Service) -> None:
    service.reply = lambda body: body["messages"][-1]["content"][-1]["text"]
    jobs = [question(f"q{n}", f"question {n}") for n in range(20)]
    assert texts(model(service).predict(jobs)) == [f"question {n}" for n in range(20)]


def test_an_answer_says_how_it_ended_what_it_took_and_how_long(service: Service) -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 3}
    cut = {"message": {"content": "Let me look"}, "finish_reason": "length"}
    service.reply = lambda body: {"choices": [cut], "usage": usage}
    (answer,) = model(service).predict([question()])
    assert (answer.text, answer.finish, answer.usage) == ("Let me look", "length", usage)
    assert 0 < answer.seconds < 5


def test_a_temperature_brings_the_job_s_seed(service: Service) -> None:
    model(service, temperature="0.7").predict([question()])
    model(service, temperature="none").predict([question()])
    assert (service.asked[0]["temperature"], service.asked[0]["seed"]) == (0.7, 5)
    assert "temperature" not in service.asked[1]


def test_one_failure_costs_no_second_request_of_the_others(service: Service) -> None:
    def reply(body: dict[str, Any]) -> Any:
        text = body["messages"][-1]["content"][-1]["text"]
        return {"choices": "gone"} if text == "question 2" else text

    service.reply = reply
    adapter = model(service, retries="0")
    jobs = [question(f"q{n}", f"question {n}") for n in range(4)]
    with pytest.raises(RequestFailed):
        adapter.predict(jobs)
    asked = len(service.asked)
    alone = [texts(adapter.predict([job])) for job in (jobs[0], jobs[1], jobs[3])]
    assert alone == [["question 0"], ["question 1"], ["question 3"]]
    with pytest.raises(RequestFailed, match="not the API's"):
        adapter.predict([jobs[2]])
    assert len(service.asked) == asked
    service.reply = lambda body: "better"
    assert texts(adapter.predict([jobs[2]])) == ["better"]


@pytest.mark.parametrize("finish", ["length", "content_filter", "stop", None])
def test_an_empty_answer_is_a_failure_that_is_asked_for_once(service: Service, finish: str | None) -> None:
    message = {"role": "assistant", "content": ""}
    service.reply = lambda body: {"choices": [{"message": message, "finish_reason": finish}]}
    with pytest.raises(RequestFailed, match=f"the answer is empty: .*{finish or 'no finish_reason'}"):
        model(service).predict([question()])
    assert len(service.asked) == 1


def test_what_a_filter_left_of_an_answer_is_none(service: Service) -> None:
    message = {"role": "assistant", "content": "Yes, there"}
    service.reply = lambda body: {"choices": [{"message": message, "finish_reason": "content_filter"}]}
    with pytest.raises(RequestFailed, match="withheld a part of the answer"):
        model(service).predict([question()])


def test_reasoning_is_the_answer_only_where_it_is_asked_for(service: Service) -> None:
    message = {"role": "assistant", "content": None, "reasoning_content": "I see none. No"}
    service.reply = lambda body: {"choices": [{"message": message, "finish_reason": "stop"}]}
    with pytest.raises(RequestFailed, match=r"-a max_new_tokens=2048\), or take those: -a answer_from=reasoning"):
        model(service).predict([question()])
    asked = model(service, answer_from="reasoning")
    assert texts(asked.predict([question()])) == ["I see none. No"]
    assert (asked.card["answer_from"], model(service).card["answer_from"]) == ("reasoning", "content")


def test_a_refusal_is_what_the_model_said(service: Service) -> None:
    message = {"role": "assistant", "content": None, "refusal": "I cannot look at people."}
    service.reply = lambda body: {"choices": [{"message": message, "finish_reason": "stop"}]}
    assert texts(model(service).predict([question()])) == ["I cannot look at people."]


def test_faults_are_asked_again(service: Service) -> None:
    service.faults = [Fault(429, headers={"Retry-After": "0.01"}), Fault(500, headers={"Retry-After": "0.01"})]
    assert texts(model(service, retries="2").predict([question()])) == ["yes"]


@pytest.mark.parametrize("data", [PNG[:-20], b"<html>", bytes(100), b""], ids=["cut", "html", "zeros", "nothing"])
def test_a_broken_picture_is_never_sent_and_costs_its_neighbours_nothing(service: Service, data: bytes) -> None:
    broken = Job(Sample("b", "what?", images=(Picture("row 3", lambda: data),)), "text", 0, 5)
    adapter = model(service)
    with pytest.raises(InvalidImage, match="picture 'row 3' cannot be decoded"):
        adapter.predict([question(), broken])
    assert texts(adapter.predict([question()])) == ["yes"]
    with pytest.raises(InvalidImage):
        adapter.predict([broken])
    assert len(service.asked) == 1


@pytest.mark.parametrize(
    ("parameter", "remedy"),
    [
        ("max_tokens", "-a token_field=max_completion_tokens"),
        ("temperature", "-a temperature=none"),
        ("num_inference_steps", "-a steps=none"),
    ],
)
def test_a_parameter_that_the_service_does_not_take_says_what_to_type(
    service: Service, parameter: str, remedy: str
) -> None:
    message = f"Unsupported parameter: '{parameter}' is not supported with this model."
    service.faults = [Fault(400, json.dumps({"error": {"message": message}}))]
    with pytest.raises(UsageError, match=f"{message.rstrip('.')}: type {remedy}$"):
        model(service, steps="4", canary="no").predict([drawing() if "steps" in remedy else question()])


def test_a_wrong_name_stops_the_run(service: Service) -> None:
    service.faults = [Fault(404, json.dumps({"error": {"message": "no model tiny"}}))]
    with pytest.raises(EnvironmentProblem, match="answered 404: no model tiny"):
        model(service).predict([question()])


def test_a_drawing_is_a_file_that_keeps_the_prompt_that_the_service_made(service: Service) -> None:
    drawn = base64.b64encode(JPEG).decode()
    service.reply = lambda body: {"data": [{"b64_json": drawn, "revised_prompt": "a café with a red cat"}]}
    adapter = model(service, size="256x256", canary="no")
    (made,) = adapter.predict([drawing()])
    assert isinstance(made, Drawn) and isinstance(made.file, Path)
    assert (made.served, made.notes) == (service.model, (REWRITTEN, RESIZED))
    asked = {"model": "tiny", "prompt": "a red cat", "n": 1, "size": "256x256", "response_format": "b64_json"}
    assert service.asked == [asked | {"seed": 5}]
    with Image.open(made.file) as saved:
        assert (saved.format, saved.mode, saved.size) == ("PNG", "RGB", (4, 4))
        assert saved.text == {"revised_prompt": "a café with a red cat", "model": service.model}


def test_a_drawing_that_cannot_be_decoded_fails(service: Service) -> None:
    service.reply = lambda body: {"data": [{"b64_json": base64.b64encode(b"no picture").decode()}]}
    with pytest.raises(RequestFailed, match="cannot be decoded"):
        model(service, canary="no").predict([drawing()])
    assert len(service.asked) == 1


def test_the_card_holds_the_address_and_no_secret(service: Service) -> None:
    card = registry.create("models", "openai:tiny", base_url="https://me:pw@host/v1?key=k").card
    assert card["weights"] == "tiny at https://host/v1?key=***"
    assert "pw" not in repr(card)


def test_options_that_cannot_be_meant_are_refused(service: Service) -> None:
    wrong = ({"max_new_tokens": "0"}, {"timeout": "0"}, {"timeout": "nan"}, {"temperature": "nan"})
    for options in (*wrong, {"token_field": "tokens"}, {"base_url": "http://h:99999"}, {"answer_from": "nowhere"}):
        with pytest.raises(UsageError):
            model(service, **options)
    with pytest.raises(EnvironmentProblem, match="OPENAI_API_KEY"):
        registry.create("models", "openai:gpt-x").predict([question()])
