"""Addresses of endpoints: what is refused before anything is sent, what may be recorded."""

from __future__ import annotations

import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st
from janus_eval.evals.endpoint.address import Address, elsewhere
from janus_eval.evals.endpoint.chat import Terms
from janus_eval.evals.errors import UsageError

SECRET = "hunter2pass"


@pytest.mark.parametrize(
    "text",
    [
        "http://h:99999",
        "http://h:0",
        "http://h:abc",
        "http://h:-1",
        "http://[::1",
        "http://]",
        "http://",
        "http:///v1",
        "http://a b/v1",
        "http://h\\x/v1",
        "localhost:8000/v1",
        "h/v1",
        "ftp://h/v1",
        "file:///etc/passwd",
        "http://%zz/v1",
        "http://" + "ü" * 70 + ".de",
        f"USER:{SECRET}@h/v1",
        f"http://u:{SECRET}/x@h/v1",
        f"http://u:12/{SECRET}@h/v1",
        f"http://u:12#{SECRET}@h/v1",
        f"http://u:{SECRET}[@h/v1",
        f"http://u:{SECRET}?@h/v1",
    ],
)
def test_an_address_that_cannot_be_meant_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(UsageError, match="the endpoint's address") as caught:
        Terms(text)
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://h", "http://h"),
        ("https://H.example:8443/v1/", "https://h.example:8443/v1"),
        ("http://[::1]:8000/v1", "http://[::1]:8000/v1"),
        ("http://bücher.de/v1", "http://xn--bcher-kva.de/v1"),
        ("https://me:pw@host/v1?key=k", "https://host/v1?key=***"),
        ("https://h/v1?api-version=2024-10-21&Ocp-Apim-Subscription-Key=abc", None),
        ("https://h/v1?deployment=0123456789abcdef0123456789abcdef", "https://h/v1?deployment=~3eb1bd43"),
    ],
)
@pytest.mark.claim("R17")
def test_what_is_recorded_has_no_secret(text: str, shown: str | None) -> None:
    found = Address.parse(text)
    shown = shown or "https://h/v1?api-version=2024-10-21&Ocp-Apim-Subscription-Key=***"
    assert found.shown == shown
    assert "abc" not in repr(found) and "pw" not in repr(found)


def test_two_deployments_are_two_addresses() -> None:
    queries = (
        "",
        "?api-version=1",
        "?api-version=2",
        "?deployment=a",
        "?deployment=" + "a" * 40,
        "?deployment=" + "b" * 40,
    )
    assert len({Address.parse(f"http://h/v1{query}").shown for query in queries}) == len(queries)


def test_the_query_stands_behind_the_whole_path() -> None:
    found = Address.parse("https://h/openai/v1/?api-version=2024-10-21")
    assert found.target("/chat/completions") == "/openai/v1/chat/completions?api-version=2024-10-21"
    assert Address.parse("http://h/ä b").target("/x") == "/%C3%A4%20b/x"


def test_a_redirect_is_named_without_its_secrets() -> None:
    here = Address.parse("http://h/v1")
    assert elsewhere(here, "https://u:p@other:8/v2?token=t") == "https://other:8/v2"
    assert elsewhere(here, "/v2") == "http://h/v2"
    assert elsewhere(here, "http://[x") == "an address that cannot be read"


def test_an_address_of_the_environment_is_recorded_as_what_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    assert Terms().address == "https://api.openai.com/v1"
    monkeypatch.setenv("OPENAI_BASE_URL", "http://elsewhere/v1")
    assert Terms().address == "http://elsewhere/v1"
    assert Terms("http://here").address == "http://here"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "[::1]", "localhost", "a.localhost", "0.0.0.0"])
def test_this_machine_is_known(host: str) -> None:
    assert Address.parse(f"http://{host}/").local
    assert not Address.parse("http://example.org").local


@given(st.text(max_size=30) | st.text(alphabet="http:/@[]#?%&=.1aü ", max_size=30).map(lambda rest: f"http://{rest}"))
def test_any_text_is_an_address_or_a_usage_error(text: str) -> None:
    try:
        found = Address.parse(text)
    except UsageError:
        return
    assert found.host and found.shown.isascii() and found.target("/x").isascii()
    assert Address.parse(found.shown).where == found.where
