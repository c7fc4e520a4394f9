"""What an OpenAI-compatible server said: replies and pictures read from JSON, and its words where it refuses."""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from ..blanks import shows, without_tokens
from ..errors import JanusEvalError

AnswerFrom = Literal["content", "reasoning"]
_ELSEWHERE = ("reasoning_content", "reasoning", "thinking")
"""Where servers put a reasoning model's text; `reasoning_content` is vLLM's, SGLang's and DeepSeek's name."""
_CUT = frozenset({"length", "max_tokens", "max_output_tokens", "model_length"})
_BROKEN = frozenset(
    (
        *("abort", "aborted", "cancelled", "canceled", "error", "insufficient_system_resource", "network_error"),
        *("pause_turn", "tool_calls", "function_call"),
    )
)
"""What services, vLLM and SGLang among them, call an answer that they left off in the middle, or for a tool."""
_WITHHELD = frozenset(
    {"content_filter", "sensitive", "safety", "recitation", "blocklist", "prohibited_content", "spii", "language"}
)
"""What services call an answer that a filter left off."""
_USAGE = ("prompt_tokens", "completion_tokens", "total_tokens")
"""What equal requests have in common; cache hits and times differ between them."""
_LONGEST = 40_000
"""Characters of a rewritten prompt that are kept: services take 32,000, and a PNG is to stay readable."""
_DRAWN = ("size", "quality", "output_format", "background")
_WHOLE = 1.01
"""What probabilities may sum to: log probabilities come rounded."""
_TOKENS = ("input_tokens", "input_text_tokens", "input_image_tokens", "output_tokens", "total_tokens")


class RequestFailed(JanusEvalError):
    """One request got no usable reply; others may."""


class Lost(RequestFailed):
    """What was asked for did not come whole, or is of no use, and may be paid all the same."""


class Refused(RequestFailed):
    """The server does not take what it was asked: the same request is refused again."""

    lasting = True


class Declined(Refused):
    """The service's moderation does not give what it was asked for; `code` and `words` are its own."""

    def __init__(self, told: str, code: str, words: str) -> None:
        super().__init__(told)
        self.code, self.words = code, words


class Passing(Exception):
    """A failure that a later try may not meet. `wait` is what the server asks for, in seconds.

    `lost` says that the request went out and its reply did not come whole: what it asked for may be paid all the same.
    """

    def __init__(
        self,
        reason: str,
        wait: float | None = None,
        *,
        everybody: bool = False,
        unreached: bool = False,
        lost: bool = False,
        late: bool = False,
    ) -> None:
        super().__init__(reason)
        self.reason, self.wait, self.everybody, self.unreached = reason, wait, everybody, unreached
        self.lost, self.late = lost or late, late


class NotTheApi(Exception):
    """A body that is not what the interface promises; the message says what it is."""


class ServerError(Exception):
    """An error under a status of success; `code` is the status that the body names, 0 where it names none, `name`
    its word for the error."""

    def __init__(self, words: str, code: int = 0, name: str = "") -> None:
        super().__init__(words)
        self.code, self.name = code, name


@dataclass(frozen=True, slots=True)
class Reply:
    """What a chat model said. `model` is the id that the server returned, not the one asked for.

    `reasoning` is text that the server put beside the answer, `beside` the name under which it stood.
    `finish` is the server's finish_reason; whatever means the limit of tokens is "length". `first` are the
    probabilities of the likeliest first tokens, by their text, where they were asked for and given.
    """

    text: str
    model: str
    finish: str = ""
    refusal: str = ""
    reasoning: str = ""
    beside: str = ""
    usage: Mapping[str, int] = field(default_factory=dict[str, int])
    seconds: float = 0.0
    first: Mapping[str, float] = field(default_factory=dict[str, float])


@dataclass(frozen=True, slots=True)
class Drawing:
    """An encoded picture, or the address at which it lies, and what the service says of it.

    `revised_prompt` is what it made of ours; `told` are size, quality and format as it drew; `usage` counts tokens.
    """

    image: bytes
    url: str
    model: str
    revised_prompt: str = ""
    told: Mapping[str, str] = field(default_factory=dict[str, str])
    usage: Mapping[str, int] = field(default_factory=dict[str, int])


BROKEN = "broken"


def ended_as(finish: str) -> str:
    """Return the one name for how an answer ended: "length", "content_filter", BROKEN, else the service's own word."""
    word = finish.lower()
    for name, words in (("length", _CUT), ("content_filter", _WITHHELD), (BROKEN, _BROKEN)):
        if word in words:
            return name
    return finish


def answer_of(reply: Reply, who: str, *, remedy: str, answer_from: AnswerFrom | None = None) -> str:
    """Return what the model answered: its text, or its refusal. An empty answer is none, nor is what a filter left.

    `answer_from` "reasoning" takes the reasoning where the text is empty. `remedy` is what to do about
    a model that spends its tokens before it answers. Raises RequestFailed, with the reason, where there is nothing.
    """
    if reply.finish == "content_filter" and shows(reply.text):
        raise RequestFailed(f"{who}: the service withheld a part of the answer (finish_reason content_filter)")
    for text in (reply.text, reply.refusal, reply.reasoning if answer_from == "reasoning" else ""):
        if shows(text):
            return text
    if reply.finish == "content_filter":
        why = "the service withheld it (finish_reason content_filter)"
    elif reply.reasoning.strip():
        why = f"{len(reply.reasoning)} characters stand in {reply.beside}: {remedy}"
        why += ", or take those: -a answer_from=reasoning" if answer_from else ""
    elif reply.finish == "length":
        why = f"no token was left for it (finish_reason length): {remedy}"
    elif without_tokens(reply.text) != reply.text:
        why = f"it holds a chat template's tokens alone: {reply.text.strip()!r:.60}"
    else:
        why = f"finish_reason {reply.finish}" if reply.finish else "no finish_reason"
    raise RequestFailed(f"{who}: the answer is empty: {why}")


def grade_of(reply: Reply, who: str, *, remedy: str, whole: bool = True) -> str:
    """Return what a judge said; "" where it refused. Raises RequestFailed for what is no reply of its own.

    A part of a reply that the service withheld is not one: it could be read as a grade. A `whole` one is not cut
    where a number may go on.
    """
    if reply.finish == "content_filter":
        raise RequestFailed(f"{who}: the service withheld the reply (finish_reason content_filter)")
    if whole and reply.finish == "length" and reply.text.rstrip().endswith((".", "-", "+")):
        raise RequestFailed(f"{who}: the limit of tokens cut a number ({reply.text.strip()[-20:]!r}): {remedy}")
    answer_of(reply, who, remedy=remedy)
    return reply.text


# -- bodies -------------------------------------------------------------------------------------------


def read_body(body: bytes, kind: str) -> Mapping[str, Any]:
    """Return the object of a body. Raises NotTheApi, and ServerError where it tells of an error."""
    try:
        row = json.loads(body)
    except UnicodeDecodeError:
        raise NotTheApi("its text is not UTF-8") from None
    except RecursionError:
        raise NotTheApi("its JSON is too deep") from None
    except ValueError:
        if not body.strip():
            raise NotTheApi("an empty body") from None
        if kind == "text/event-stream":
            raise NotTheApi("a stream of events, one answer in one piece was asked for") from None
        what = "a web page" if "html" in kind or body.lstrip()[:1] == b"<" else "no JSON"
        raise NotTheApi(f"{what}{_quoted(server_words(body))}") from None
    if not isinstance(row, dict):
        raise NotTheApi(f"a JSON {type(row).__name__} in place of an object")
    if row.get("object") == "error":
        raise ServerError(server_words(body) or "an error without words", _code(row), error_code(body))
    if row.get("error"):
        raise ServerError(server_words(body) or "an error without words", _code(row["error"]), error_code(body))
    return row


def read_reply(row: Mapping[str, Any]) -> Reply:
    """Return the reply of /chat/completions. Raises NotTheApi and ServerError."""
    choice = _first(row, "choices")
    if choice.get("index") not in (None, 0):
        raise NotTheApi(f"a first choice of index {choice['index']!r:.20}")
    if choice.get("error"):
        raise ServerError(_words_in(choice["error"]) or "an error without words", _code(choice["error"]))
    message = choice.get("message")
    if not isinstance(message, dict):
        raise NotTheApi("a choice without a message")
    text, thought, refusal = _content(message.get("content"))
    finish = clean(_text(choice, "finish_reason"), (), 40)
    ended = ended_as(finish)
    if ended == BROKEN:
        raise ServerError(f"the service broke the answer off (finish_reason {finish})")
    if message.get("tool_calls"):
        raise ServerError("the model called a tool in the place of an answer (tool_calls)")
    beside = next((name for name in _ELSEWHERE if isinstance(message.get(name), str) and message[name].strip()), "")
    usage = row.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    return Reply(
        text=text,
        model=_text(row, "model"),
        finish=ended,
        refusal=_text(message, "refusal") or refusal,
        reasoning=message[beside] if beside else thought,
        beside=beside or ("parts of content that are no text" if thought else ""),
        usage={name: usage[name] for name in _USAGE if type(usage.get(name)) is int},
        first=_first_token(choice.get("logprobs")),
    )


def _first_token(given: Any) -> dict[str, float]:
    """Return the probabilities of the first token's alternatives; several tokens of one text are added up.

    Raises NotTheApi for log probabilities that are none.
    """
    content = given.get("content") if isinstance(given, dict) else None
    if not isinstance(content, list) or not content:
        return {}
    found: dict[str, float] = {}
    tops = content[0].get("top_logprobs") if isinstance(content[0], dict) else None
    for each in tops if isinstance(tops, list) else ():
        text, value = (each.get("token"), each.get("logprob")) if isinstance(each, dict) else (None, None)
        if not isinstance(text, str) or not isinstance(value, int | float) or not value <= 1e-6:
            raise NotTheApi("log probabilities that are none")
        found[_sound(text)] = found.get(_sound(text), 0.0) + math.exp(value)
    if sum(found.values()) > _WHOLE:
        raise NotTheApi("token probabilities that sum to more than 1")
    return found


def read_drawing(row: Mapping[str, Any]) -> Drawing:
    """Return the picture of /images/generations, or where it lies. Raises NotTheApi."""
    one = _first(row, "data")
    image, url = b"", ""
    if isinstance(one.get("b64_json"), str):
        try:
            image = base64.b64decode(one["b64_json"], validate=True)
        except ValueError:
            raise NotTheApi("a picture that is no base64") from None
    elif isinstance(one.get("url"), str) and one["url"]:
        url = one["url"]
    else:
        raise NotTheApi("neither b64_json nor url")
    usage: Any = row.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    parts: Any = usage.get("input_tokens_details")
    counts = {**usage, **{f"input_{key}": each for key, each in parts.items()}} if isinstance(parts, dict) else usage
    return Drawing(
        image,
        url,
        model=clean(_text(row, "model"), (), 100),
        revised_prompt=_text(one, "revised_prompt")[:_LONGEST].replace("\0", " "),
        told={name: clean(row[name], (), 40) for name in _DRAWN if isinstance(row.get(name), str)},
        usage={name: counts[name] for name in _TOKENS if type(counts.get(name)) is int and counts[name] >= 0},
    )


def _first(row: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = row.get(name)
    if not isinstance(found, list):
        words = _words_in(row)
        raise NotTheApi(f"no {name}{_quoted(words)}")
    if not found:
        raise NotTheApi(f"an empty list of {name}")
    if not isinstance(found[0], dict):
        raise NotTheApi(f"{name} that are no objects")
    return found[0]


def _content(value: Any) -> tuple[str, str, str]:
    """Return a message's text, what was thought and what was refused: a text, nothing, or parts of the three."""
    if value is None or isinstance(value, str):
        return _sound(value or ""), "", ""
    if not isinstance(value, list):
        raise NotTheApi(f"content that is no text but {type(value).__name__}")
    texts, thoughts, refusals = list[str](), list[str](), list[str]()
    for part in value:
        if not isinstance(part, dict):
            raise NotTheApi("a part of content that is no object")
        kind = part.get("type", "text")
        if kind in ("text", "output_text"):
            texts.append(_text(part, "text"))
        elif kind == "refusal":
            refusals.append(_text(part, "refusal"))
        elif kind in ("thinking", "reasoning"):
            inner = part.get(kind, part.get("text"))
            thoughts.append(_content(inner)[0])
    return "".join(texts), "".join(thoughts), "".join(refusals)


def _text(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    if value is not None and not isinstance(value, str):
        raise NotTheApi(f"{name} that is no text but {type(value).__name__}")
    return _sound(value or "")


def _sound(text: str) -> str:
    """Return a text that UTF-8 can hold: half a surrogate pair, where an emoji was cut, becomes U+FFFD."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


# -- the server's words -------------------------------------------------------------------------------


def server_words(body: bytes) -> str:
    """Return what an error's body says in words: its JSON message, or its text without tags; "" for nothing."""
    text = body.decode("utf-8", "replace")
    try:
        return _words_in(json.loads(text))
    except (ValueError, RecursionError):
        return re.sub(r"<(script|style)\b.*?</\1>|<[^>]*>", " ", text[:4000], flags=re.DOTALL | re.IGNORECASE).strip()


def error_code(body: bytes) -> str:
    """Return the code that an error's body names, such as insufficient_quota; "" for none."""
    try:
        row = json.loads(body)
        error = row["error"]
        return str(error.get("code") or error.get("type") or "")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return ""


def _words_in(row: Any, depth: int = 0) -> str:
    if isinstance(row, str):
        return row
    if isinstance(row, list) and depth < 4:  # FastAPI's list of what is wrong with the request
        return "; ".join(filter(None, (_words_in(each, depth + 1) for each in row[:3])))
    if isinstance(row, dict) and depth < 4:
        for name in ("error", "message", "detail", "msg", "error_msg"):
            if row.get(name) and (found := _words_in(row[name], depth + 1)):
                place = row.get("loc", row.get("param"))  # the parameter that it is about: FastAPI's, OpenAI's name
                place = place[-1] if isinstance(place, list) and place else place
                return f"{place}: {found}" if isinstance(place, str) and place and place not in found else found
    return ""


def _code(error: Any) -> int:
    code = str(error.get("code")) if isinstance(error, dict) else ""
    return int(code) if re.fullmatch(r"[45]\d\d", code, re.ASCII) else 0


def _quoted(words: str) -> str:
    return f": {words}" if words else ""


def clean(words: str, secrets: Iterable[str], most: int = 200) -> str:
    """Return a server's words on one line, short, without control characters and without a secret.

    Of a secret, eight characters in a row are too many: some servers repeat a part of a wrong key.
    """
    text = " ".join("".join(each if each.isprintable() else " " for each in words[:20_000]).split())
    hidden = bytearray(len(text))
    for secret in secrets:
        for start, end in _places(text, secret):
            hidden[start:end] = b"\x01" * (end - start)
    shown = "".join(each if not at else "\0" for each, at in zip(text, hidden, strict=True))
    shown = re.sub("\0+", "***", shown)
    return shown if len(shown) <= most else shown[: most - 3] + "..."


def _places(text: str, secret: str) -> Sequence[tuple[int, int]]:
    """Return where a secret stands in a text, or eight characters of it; one of fewer than four is none."""
    if len(secret) < 4:
        return []
    size = min(8, len(secret))
    return [(at, at + size) for at in range(len(text) - size + 1) if text[at : at + size] in secret]
