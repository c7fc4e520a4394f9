"""The client of OpenAI-compatible endpoints against a real server that misbehaves."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from janus_eval.evals.endpoint.address import Address
from janus_eval.evals.endpoint.chat import Chat, Terms
from janus_eval.evals.endpoint.keys import read_key
from janus_eval.evals.endpoint.replies import Refused, RequestFailed
from janus_eval.evals.errors import EnvironmentProblem, UsageError
from support.chat_server import Fault, Service, drip, nowhere, reset, sent, serving

ASK = [{"role": "user", "content": "hello"}]


@pytest.fixture
def service() -> Iterator[Service]:
    with serving(Service()) as running:
        yield running


def chat(service: Service, retries: int = 1, *, key: str = "key", timeout: float = 5.0, **remedies: str) -> Chat:
    return Chat(Terms(service.url, timeout=timeout, max_retries=retries, first_wait=0.01), key, "test", remedies)


def refusal(status: int, message: str, **more: str) -> Fault:
    return Fault(status, json.dumps({"error": {"message": message, **more}}))


@pytest.mark.parametrize(
    "body",
    [
        "{not json",
        "",
        "[]",
        '{"choices": []}',
        '{"choices": [{"message": {"content": 3}}]}',
        "<html>please log in</html>",
        b"\xff\xfe",
        b"[" * 100_000,
        '{"error": {"message": "overloaded"}}',
        '{"error": {"message": "overloaded", "code": 503}}',
        '{"choices": [{"message": {"content": "ye"}, "finish_reason": "error"}]}',
    ],
)
def test_a_body_that_is_no_reply_is_asked_again_then_fails(service: Service, body: str | bytes) -> None:
    service.faults = [Fault(200, body)]
    assert chat(service).ask("m", ASK).text == "yes"
    service.faults = [Fault(200, body)] * 2
    with pytest.raises(RequestFailed, match=r"(not the API's|an error|answered 503): .*\(2 tries\)"):
        chat(service).ask("m", ASK)


@pytest.mark.parametrize(
    "fault",
    [reset(), sent(b""), sent(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"), sent(b"no http\r\n\r\n")],
    ids=["reset", "closed", "half a body", "no HTTP"],
)
def test_a_connection_that_breaks_is_tried_again_also_the_first(service: Service, fault: Fault) -> None:
    service.faults = [fault]
    assert chat(service).ask("m", ASK).text == "yes"
    service.faults = [fault] * 2
    with pytest.raises(RequestFailed, match=r"v1 broke the connection: .*\(2 tries\)"):
        chat(service).ask("m", ASK)


def test_a_reply_that_drips_is_late_and_tried_again(service: Service) -> None:
    service.faults = [drip()]
    assert chat(service, timeout=0.4).ask("m", ASK).text == "yes"
    service.faults = [drip()] * 2
    begun = time.monotonic()
    with pytest.raises(RequestFailed, match=r"gave no answer within 0.4 s \(2 tries\)"):
        chat(service, timeout=0.4).ask("m", ASK)
    assert time.monotonic() - begun < 2


def test_a_reply_that_is_too_large_fails_at_once(service: Service) -> None:
    service.faults = [sent(b"HTTP/1.1 200 OK\r\nContent-Length: 200000000\r\n\r\n{")]
    with pytest.raises(RequestFailed, match="too large: 200000000 bytes"):
        chat(service).ask("m", ASK)
    assert len(service.asked) == 1


def test_only_an_address_where_nothing_ever_answers_is_the_machine_s_problem(service: Service) -> None:
    terms = Terms(nowhere(), max_retries=2, first_wait=0.01)
    with pytest.raises(EnvironmentProblem, match=r"v1 cannot be reached \(.*refused\) \(3 tries\): check the address"):
        Chat(terms, "key", "test").ask("m", ASK)
    client = chat(service)
    service.faults = [Fault(500, headers={"Retry-After": "0"})] * 2
    with pytest.raises(RequestFailed):
        client.ask("m", ASK)
    client._wire.address = replace(client._wire.address, port=Address.parse(nowhere()).port)
    with pytest.raises(RequestFailed, match="cannot be reached"):
        client.ask("m", ASK)


def test_a_server_that_comes_up_late_is_found(service: Service) -> None:
    client = chat(service, retries=8)
    right = client._wire.address
    client._wire.address = replace(right, port=Address.parse(nowhere()).port)
    threading.Timer(0.3, lambda: setattr(client._wire, "address", right)).start()
    assert client.ask("m", ASK).text == "yes"


def test_a_redirect_sends_nothing_elsewhere_and_names_the_target(service: Service) -> None:
    with serving(Service()) as other:
        there = other.url.replace("//", "//u:hunter2@") + "?token=hunter2"
        service.faults = [Fault(307, headers={"Location": there})]
        with pytest.raises(EnvironmentProblem, match="answered 307, a redirect to " + other.url) as caught:
            chat(service).ask("m", ASK)
        assert "hunter2" not in str(caught.value)
        assert (len(service.asked), other.asked) == (1, [])


def test_the_server_s_words_come_without_the_key_and_without_control_characters(service: Service) -> None:
    service.faults = [refusal(400, "no\x1b[2J\n" + "sk-0123456789abcdef" + " please" * 100)]
    with pytest.raises(Refused) as caught:
        chat(service, key="sk-0123456789abcdef").ask("m", ASK)
    assert "answered 400: no [2J *** please please" in str(caught.value)
    assert len(str(caught.value)) < 260 and "0123" not in str(caught.value)


@pytest.mark.parametrize(
    "message",
    [
        "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
        "Unrecognized request argument supplied: max_tokens",
        "Please use max_completion_tokens instead of max_tokens",
    ],
)
def test_a_parameter_that_is_not_taken_ends_with_what_to_type(service: Service, message: str) -> None:
    service.faults = [refusal(400, message)]
    client = chat(service, max_tokens="-a token_field=max_completion_tokens")
    with pytest.raises(UsageError, match=r": type -a token_field=max_completion_tokens$") as caught:
        client.ask("m", ASK, max_tokens=5)
    assert f"{message.rstrip('.')}: type" in str(caught.value)
    client.ask("m", ASK, max_tokens=5)
    service.faults = [refusal(400, message)]
    with pytest.raises(Refused, match=r": type -a token_field=max_completion_tokens$"):
        client.ask("m", ASK, max_tokens=5)


def test_a_parameter_that_is_too_large_is_no_parameter_that_is_not_taken(service: Service) -> None:
    service.faults = [refusal(400, "max_tokens is too large: 5. This model supports at most 4 completion tokens")]
    with pytest.raises(Refused, match=r"supports at most 4 completion tokens$"):
        chat(service, max_tokens="-a x=y").ask("m", ASK, max_tokens=5)


class Patient(threading.Event):
    """Remembers how long it should have waited."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout or 0.0)
        return False


@pytest.mark.claim("R9")
def test_waits_grow_to_the_longest_and_are_spread(service: Service) -> None:
    service.faults = [Fault(500)] * 40
    client = Chat(Terms(service.url, max_retries=40), "key", "test")
    client._stop = Patient()
    client.ask("m", ASK)
    wanted = [min(2.0**n, 120.0) for n in range(40)]
    shares = [each / most for each, most in zip(client._stop.waits, wanted, strict=True)]
    assert all(0.5 <= share <= 1 for share in shares)
    assert min(shares) < 0.65 and max(shares) > 0.85


@pytest.mark.parametrize("value", ["soon", "nan", "-1", "Mon, 99 Jan 99999 00:00:00 GMT", ""])
def test_a_retry_after_that_means_nothing_does_no_harm(service: Service, value: str) -> None:
    service.faults = [Fault(500, headers={"Retry-After": value})]
    assert chat(service).ask("m", ASK).text == "yes"


def test_a_name_and_a_password_in_the_address_stand_in_the_key_s_place(service: Service) -> None:
    Chat(Terms(service.url.replace("//", "//me:p%40ss@")), "key", "test").ask("m", ASK)
    chat(service).ask("m", ASK)
    assert service.keys == ["Basic " + base64.b64encode(b"me:p@ss").decode(), "Bearer key"]


def test_a_key_that_a_server_repeats_is_no_part_of_what_is_kept(service: Service) -> None:
    key = "sk-0123456789abcdef"
    service.reply = lambda body: f"you are {key}"
    service.model = key
    found = chat(service, key=key).ask("m", ASK)
    assert (found.text, found.model) == ("you are ***", "***")


@pytest.mark.parametrize("key", ["two words", "line\nend", "schlüssel"])
def test_a_key_that_cannot_be_one_is_said_and_not_repeated(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("A_KEY", key)
    with pytest.raises(EnvironmentProblem, match="the variable A_KEY holds no key") as caught:
        read_key("A_KEY", None, "http://h")
    assert key not in str(caught.value)


def test_a_reply_comes_with_its_seconds(service: Service) -> None:
    service.faults = [Fault(500, headers={"Retry-After": "0.3"})]
    assert 0 < chat(service).ask("m", ASK).seconds < 0.3


@pytest.mark.claim("R9")
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


def test_an_interrupt_ends_the_requests_that_are_under_way(service: Service) -> None:
    service.reply = lambda body: Fault(wait=3.0)
    client = chat(service, timeout=60.0)

    def work(n: int) -> str:
        if n == 1:
            time.sleep(0.3)
            raise KeyboardInterrupt
        return client.ask("m", ASK).text

    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        client.gather(work, [0, 1], workers=2)
    assert time.monotonic() - begun < 2


def test_the_limit_of_new_tokens_has_the_name_that_was_chosen(service: Service) -> None:
    Chat(Terms(service.url, token_field="max_completion_tokens"), "key", "test").ask("m", ASK, max_tokens=3)
    assert service.asked[0] == {"model": "m", "messages": ASK, "max_completion_tokens": 3}


@pytest.mark.parametrize(
    "url",
    [
        "http://elsewhere.example/x.png?sig=planted",
        "https://127.0.0.1/planted.png",
        "https://169.254.169.254/planted",
        "https://[::1]/planted.png",
        "https://localhost/planted.png",
        "file:///planted",
        "ftp://elsewhere.example/planted",
        "http://[planted",
        "https://h:99999/planted",
    ],
)
def test_a_picture_s_address_that_a_reply_names_is_asked_only_at_the_endpoint_or_a_named_host(
    service: Service, url: str
) -> None:
    with pytest.raises(RequestFailed, match="address that") as caught:
        chat(service).fetch(url, 1000, 5.0)
    assert "planted" not in str(caught.value) and service.asked == []
