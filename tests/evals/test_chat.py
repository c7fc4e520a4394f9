"""The client of OpenAI-compatible endpoints against a real server that misbehaves."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Iterator

import pytest
from janus_eval.evals.chat import Chat, RequestFailed, Terms, picture_part
from support.chat_server import Fault, Service, serving

ASK = [{"role": "user", "content": "hello"}]


@pytest.fixture
def service() -> Iterator[Service]:
    with serving(Service()) as running:
        yield running


def chat(service: Service, retries: int = 1, **options: float) -> Chat:
    return Chat(Terms(service.url, timeout=5.0, max_retries=retries, first_wait=0.01, **options), "key", "test")


@pytest.mark.parametrize(
    "body",
    [
        "{not json",
        "",
        "[]",
        '{"choices": []}',
        '{"choices": [{"message": {}}]}',
        '{"choices": [{"message": {"content": 3}}]}',
    ],
)
def test_a_body_that_is_not_the_api_s_is_asked_again_then_fails(service: Service, body: str) -> None:
    service.faults = [Fault(200, body)]
    assert chat(service).ask("m", ASK).text == "yes"
    service.faults = [Fault(200, body)] * 2
    with pytest.raises(RequestFailed, match=r"not the API's.*\(2 tries\)"):
        chat(service).ask("m", ASK)


def test_a_wait_that_the_server_asks_for_holds_back_all_threads(service: Service) -> None:
    service.faults = [Fault(429, headers={"Retry-After": "0.5"})]
    client = chat(service)
    client.gather(lambda n: time.sleep(0.1 * n) or client.ask("m", ASK), range(4), workers=4)
    assert all(each - service.times[0] >= 0.45 for each in service.times[1:])


def test_a_request_after_success_fails_alone_where_the_server_goes_away(service: Service) -> None:
    client = chat(service)
    client.ask("m", ASK)
    service.faults = [Fault(404)]
    with pytest.raises(RequestFailed, match="answered 404"):
        client.ask("m", ASK)


def test_an_interrupt_ends_the_waits_of_the_other_threads(service: Service) -> None:
    service.faults = [Fault(429, headers={"Retry-After": "60"})]
    client = chat(service)
    started = threading.Event()

    def work(n: int) -> str:
        if n == 1:
            started.wait(5)
            time.sleep(0.2)
            raise KeyboardInterrupt
        started.set()
        return client.ask("m", ASK).text

    begun = time.monotonic()
    with pytest.raises((KeyboardInterrupt, RequestFailed)):
        client.gather(work, [0, 1], workers=2)
    assert time.monotonic() - begun < 5


def test_the_limit_of_new_tokens_has_the_name_that_was_chosen(service: Service) -> None:
    Chat(Terms(service.url, token_field="max_completion_tokens"), "key", "test").ask("m", ASK, max_tokens=3)
    assert service.asked[0] == {"model": "m", "messages": ASK, "max_completion_tokens": 3}


def test_a_picture_comes_with_the_prompt_that_the_service_made(service: Service) -> None:
    picture = {"b64_json": base64.b64encode(b"png bytes").decode(), "revised_prompt": "a nicer cat"}
    service.reply = lambda body: {"data": [picture]}
    drawing = chat(service).draw("d", "a cat", {"size": "256x256"})
    assert (drawing.image, drawing.revised_prompt, drawing.model) == (b"png bytes", "a nicer cat", service.model)
    assert service.asked[0] == {"model": "d", "prompt": "a cat", "n": 1, "size": "256x256"}


@pytest.mark.parametrize(("start", "kind"), [(b"\x89PNG", "png"), (b"\xff\xd8\xff", "jpeg"), (b"RIFFxxxxWEBP", "webp")])
def test_a_picture_is_sent_under_its_own_kind(start: bytes, kind: str) -> None:
    assert json.dumps(picture_part(start)).count(f"data:image/{kind};base64,") == 1


def test_an_answer_in_parts_is_joined(service: Service) -> None:
    parts = [{"type": "text", "text": "ye"}, {"type": "text", "text": "s"}]
    service.reply = lambda body: {"choices": [{"message": {"content": parts}}]}
    assert chat(service).ask("m", ASK).text == "yes"


def test_an_address_in_place_of_a_picture_is_said(service: Service) -> None:
    service.reply = lambda body: {"data": [{"url": "http://elsewhere/x.png"}]}
    with pytest.raises(RequestFailed, match="image_format=b64_json"):
        chat(service).draw("d", "a cat", {})
