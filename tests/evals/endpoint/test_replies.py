"""What servers say, as values: where an answer may stand, what is none, and their words where they refuse."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from janus_eval.evals.endpoint.replies import (
    NotTheApi,
    Reply,
    RequestFailed,
    ServerError,
    answer_of,
    clean,
    error_code,
    grade_of,
    read_body,
    read_drawing,
    read_reply,
    server_words,
)

KEY = "sk-very-secret-key-0123456789"


def reply(message: Any, finish: Any = "stop", **more: Any) -> Reply:
    return read_reply({"choices": [{"message": message, "finish_reason": finish}], **more})


def answer(message: Any, finish: Any = "stop", **options: Any) -> str:
    return answer_of(reply(message, finish), "m", remedy="more!", **options)


EMPTY: list[dict[str, Any]] = [
    {"content": ""},
    {"content": None},
    {},
    {"content": " \n"},
    {"content": " \u200b\u200d\ufeff"},
    {"content": "\u3164\u2800\ufe0f"},
    {"content": []},
    {"content": [{"type": "text", "text": ""}]},
]


@pytest.mark.parametrize("message", EMPTY, ids=repr)
def test_an_empty_answer_is_none_wherever_the_text_went(message: dict[str, Any]) -> None:
    with pytest.raises(RequestFailed, match=r"m: the answer is empty: finish_reason stop$"):
        answer(message)
    with pytest.raises(RequestFailed, match=r"the answer is empty: no finish_reason$"):
        answer(message, None)
    with pytest.raises(RequestFailed, match=r"no token was left for it \(finish_reason length\): more!$"):
        answer(message, "length")
    with pytest.raises(RequestFailed, match=r"the service withheld it \(finish_reason content_filter\)$"):
        answer(message, "content_filter")
    for field in ("reasoning_content", "reasoning"):
        thought = message | {field: "I see none. No"}
        with pytest.raises(RequestFailed, match=f"14 characters stand in {field}: more!$"):
            answer(thought)
        with pytest.raises(RequestFailed, match=r"more!, or take those: -a answer_from=reasoning$"):
            answer(thought, answer_from="content")
        assert answer(thought, answer_from="reasoning") == "I see none. No"
    assert answer(message | {"refusal": "I will not."}) == "I will not."


@pytest.mark.parametrize("text", ["<|im_end|>", "</s></s>", "<|im_start|>assistant\n", "<｜end▁of▁sentence｜>"])
def test_the_tokens_of_a_chat_template_alone_are_no_answer(text: str) -> None:
    with pytest.raises(RequestFailed, match="it holds a chat template's tokens alone: "):
        answer({"content": text})
    assert answer({"content": f"No{text}"}) == f"No{text}"


def test_reasoning_beside_an_answer_changes_nothing() -> None:
    for source in ("content", "reasoning"):
        assert answer({"content": "Yes", "reasoning_content": "No"}, answer_from=source) == "Yes"


def test_content_in_parts_is_joined_and_thinking_is_no_answer() -> None:
    parts = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "No"}]},
        {"type": "text", "text": "ye"},
        {"text": "s"},
    ]
    assert answer({"content": parts}) == "yes"
    with pytest.raises(RequestFailed, match="2 characters stand in parts of content"):
        answer({"content": parts[:1]})
    assert answer({"content": [{"type": "refusal", "refusal": "I will not."}]}) == "I will not."


@pytest.mark.parametrize("finish", ["length", "MAX_TOKENS", "max_output_tokens", "model_length"])
def test_a_limit_of_tokens_has_one_name(finish: str) -> None:
    assert reply({"content": "Let me"}, finish).finish == "length"


def test_usage_is_what_equal_requests_have_in_common() -> None:
    usage = {
        "prompt_tokens": 5,
        "completion_tokens": 2,
        "total_tokens": True,
        "prompt_cache_hit_tokens": 3,
        "time": 0.1,
    }
    assert reply({"content": "a"}, usage=usage).usage == {"prompt_tokens": 5, "completion_tokens": 2}
    assert reply({"content": "a"}, usage=[1]).usage == reply({"content": "a"}, usage=None).usage == {}


def test_half_an_emoji_at_the_end_is_marked() -> None:
    assert answer({"content": "yes 🦊\ud83e"}) == "yes 🦊\ufffd"


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({}, "no choices"),
        ({"message": "the model sleeps"}, "no choices: the model sleeps"),
        ({"choices": []}, "an empty list of choices"),
        ({"choices": [{"index": 1, "message": {"content": "yes"}}]}, "a first choice of index 1"),
        ({"choices": {"a": 1}}, "no choices"),
        ({"choices": ["yes"]}, "choices that are no objects"),
        ({"choices": [{}]}, "a choice without a message"),
        ({"choices": [{"message": "yes"}]}, "a choice without a message"),
        ({"choices": [{"message": {"content": 3}}]}, "content that is no text but int"),
        ({"choices": [{"message": {"content": ["yes"]}}]}, "a part of content that is no object"),
        ({"choices": [{"message": {"content": "a"}, "finish_reason": 3}]}, "finish_reason that is no text"),
    ],
    ids=repr,
)
def test_a_row_that_is_not_the_api_s_is_named(row: dict[str, Any], why: str) -> None:
    with pytest.raises(NotTheApi, match=f"^{why}"):
        read_reply(row)


@pytest.mark.parametrize(
    ("body", "kind", "why"),
    [
        (b"", "application/json", "an empty body"),
        (b"{not json", "application/json", "no JSON: {not json"),
        (b"[]", "application/json", "a JSON list in place of an object"),
        (b"null", "application/json", "a JSON NoneType in place of an object"),
        (b"<html><title>Log in</title></html>", "text/html", "a web page: Log in"),
        (b"\xff\xfe\xfa", "application/json", "its text is not UTF-8"),
        (b'{"a": "\xff"}', "application/json", "its text is not UTF-8"),
        (b"[" * 1_000_000, "application/json", "its JSON is too deep"),
        (b"data: {}\n\n", "text/event-stream", "a stream of events"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_body_that_is_not_the_api_s_is_named(body: bytes, kind: str, why: str) -> None:
    with pytest.raises(NotTheApi, match=f"^{why}"):
        read_body(body, kind)


def test_a_wrong_content_type_around_a_right_body_does_no_harm() -> None:
    assert read_body(b'{"a": 1}', "text/html") == {"a": 1}


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ({"error": {"message": "slow down", "code": 429}}, 429),
        ({"error": {"message": "slow down", "code": "429"}}, 429),
        ({"error": {"message": "slow down", "code": "rate"}}, 0),
        ({"error": "slow down"}, 0),
        ({"error": "slow down", "choices": []}, 0),
    ],
    ids=repr,
)
def test_an_error_under_a_status_of_success_keeps_the_server_s_words(row: Any, code: int) -> None:
    with pytest.raises(ServerError, match="slow down") as caught:
        read_body(json.dumps(row).encode(), "application/json")
    assert caught.value.code == code


def test_an_error_in_a_choice_is_one() -> None:
    with pytest.raises(ServerError, match="provider is down"):
        read_reply({"choices": [{"error": {"message": "provider is down"}, "message": {"content": "ha"}}]})
    with pytest.raises(ServerError, match="broke the answer off"):
        reply({"content": "Let me"}, "error")


def test_a_withheld_or_empty_reply_is_no_grade() -> None:
    with pytest.raises(RequestFailed, match="withheld"):
        grade_of(reply({"content": "0.9"}, "content_filter"), "judge", remedy="")
    with pytest.raises(RequestFailed, match="6 characters stand in reasoning_content: more"):
        grade_of(reply({"content": "", "reasoning_content": "0.9 is"}), "judge", remedy="more")
    assert grade_of(reply({"content": None, "refusal": "no 1.0"}), "judge", remedy="") == ""
    assert grade_of(reply({"content": "0.5"}, "length"), "judge", remedy="") == "0.5"
    with pytest.raises(RequestFailed, match="the limit of tokens cut a number"):
        grade_of(reply({"content": "0."}, "length"), "judge", remedy="")


def test_a_picture_that_is_none_is_named() -> None:
    for row, why in (
        ({"data": []}, "empty list"),
        ({"data": [{}]}, "neither b64_json nor url"),
        ({"data": [{"b64_json": "ü"}]}, "base64"),
    ):
        with pytest.raises(NotTheApi, match=why):
            read_drawing(row)


# -- words --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"error": {"message": "too long", "param": "messages"}}, "messages: too long"),
        ({"error": "too long"}, "too long"),
        ({"message": "too long", "object": "error"}, "too long"),
        ({"detail": "too long"}, "too long"),
        ({"detail": [{"loc": ["body", "seed"], "msg": "not permitted"}]}, "seed: not permitted"),
        ({"error": {"error": {"message": {"message": {"message": "deep"}}}}}, ""),
        (b"<html><style>b{}</style><h1>Bad Gateway</h1></html>", "Bad Gateway"),
        (b"plain", "plain"),
        (b"", ""),
    ],
    ids=repr,
)
def test_the_server_s_words_are_found_where_servers_put_them(body: Any, words: str) -> None:
    assert server_words(body if isinstance(body, bytes) else json.dumps(body).encode()) == words


def test_words_are_short_and_on_one_line_without_control_characters_or_the_key() -> None:
    assert clean("a\x1b[31m\r\nb\u202e\0c", ()) == "a [31m b c"
    assert clean("x" * 300, ()) == "x" * 197 + "..."
    assert clean(f"key {KEY} is wrong", (KEY,)) == "key *** is wrong"
    assert clean(f"key {KEY[:12]}...{KEY[-9:]} is wrong", (KEY,)) == "key ***...*** is wrong"
    assert clean("user me with word pass", ("me", "pass")) == "user me with word ***"
    assert KEY[:8] not in clean("y" * 190 + KEY, (KEY,))


# -- anything at all ----------------------------------------------------------------------------------

NAMES = "choices message content text type error code data b64_json url usage reasoning refusal thinking detail loc msg"
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
ANYTHING = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES.split()), inner, max_size=4),
    max_leaves=12,
)
CHOICE = st.fixed_dictionaries({"message": st.dictionaries(st.sampled_from(NAMES.split()), ANYTHING, max_size=3)})


@settings(max_examples=300, deadline=None)
@given(ANYTHING | st.fixed_dictionaries({"choices": st.lists(CHOICE, max_size=2)}, optional={"usage": ANYTHING}))
def test_any_json_is_a_reply_or_an_error_of_ours(row: Any) -> None:
    body = json.dumps(row).encode()
    assert "\n" not in clean(server_words(body) + error_code(body), ("some secret",))
    try:
        found = read_body(body, "application/json")
        assert read_reply(found).text == read_reply(found).text.encode().decode()
        answer_of(read_reply(found), "m", remedy="")
        read_drawing(found)
    except (NotTheApi, ServerError, RequestFailed):
        pass


def test_token_probabilities_sum_to_one_at_most() -> None:
    def first(*chances: float) -> Reply:
        top = [{"token": str(at), "logprob": math.log(each)} for at, each in enumerate(chances)]
        choice = {"message": {"content": "Yes"}, "finish_reason": "length", "logprobs": {"content": [{}]}}
        choice["logprobs"]["content"][0]["top_logprobs"] = top
        return read_reply({"choices": [choice]})

    assert sum(first(0.9, 0.1).first.values()) == pytest.approx(1)
    with pytest.raises(NotTheApi, match="sum to more than 1"):
        first(0.9, 0.9)


@pytest.mark.parametrize("finish", ["tool_calls", "function_call"])
def test_what_is_said_before_a_tool_is_called_is_no_answer(finish: str) -> None:
    with pytest.raises(ServerError, match=f"broke the answer off .finish_reason {finish}"):
        answer({"content": "I will look.", "tool_calls": [{"id": "x", "function": {"name": "look"}}]}, finish)


def test_a_tool_that_is_called_is_no_answer_whatever_the_finish_reason() -> None:
    with pytest.raises(ServerError, match="called a tool in the place of an answer"):
        answer({"content": "I will look.", "tool_calls": [{"id": "x", "function": {"name": "look"}}]}, "stop")
    assert answer({"content": "Yes", "tool_calls": []}, "stop") == "Yes"
