"""One OpenAI-compatible endpoint: requests with back-off, every reply with the model that gave it."""

from __future__ import annotations

import base64
import json
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from .assets.download import retry_after, shown
from .errors import EnvironmentProblem, JanusEvalError, UsageError

T = TypeVar("T")
R = TypeVar("R")

_TRANSIENT = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
_PERMISSION = frozenset({401, 403, 404})


class RequestFailed(JanusEvalError):
    """One request got no usable reply; others may."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a chat model said. `model` is the id that the server returned, not the one asked for."""

    text: str
    model: str
    finish: str = ""
    refusal: str = ""
    usage: Mapping[str, int] = field(default_factory=dict[str, int])


@dataclass(frozen=True, slots=True)
class Drawing:
    """An encoded picture, and the prompt that the service made of ours where it says so."""

    image: bytes
    model: str
    revised_prompt: str = ""


@dataclass(frozen=True, slots=True)
class Terms:
    """How to ask: the address, and how long to insist (seconds). The key is not part of it.

    `longest_wait` bounds one wait: where a server asks for more, the request fails and a later
    run asks again. `token_field` is the request's name for the limit of new tokens: newer
    services take only `max_completion_tokens`.
    """

    base_url: str | None = None
    timeout: float = 120.0
    max_retries: int = 6
    first_wait: float = 1.0
    longest_wait: float = 120.0
    token_field: str = "max_tokens"

    @property
    def address(self) -> str:
        """Return the address as it may be recorded."""
        return shown(self.base_url) if self.base_url else "https://api.openai.com/v1"


def read_key(key_env: str, key_file: Path | None, base_url: str | None) -> str:
    """Return the API key from a file or the environment.

    An address of one's own may need none; without an address it is api.openai.com, which does.
    Raises UsageError for an unreadable file and EnvironmentProblem where a key is missing.
    """
    if key_file is not None:
        try:
            key = key_file.expanduser().read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"the key file {key_file} cannot be read: {type(error).__name__}") from error
        if not key:
            raise UsageError(f"the key file {key_file} is empty")
    else:
        key = os.environ.get(key_env, "").strip()
    if key:
        return key
    if base_url is None:
        raise EnvironmentProblem(f"api.openai.com needs a key: set {key_env}, or name a file that holds it")
    return "none"


class Chat:
    """A client for one endpoint, safe to use from several threads.

    A wait that the server asks for holds back all threads. Until a first request has succeeded, a
    refused connection, key or model stops everything with EnvironmentProblem: the address is
    wrong, not the request. Later on only the request at hand fails.
    """

    def __init__(self, terms: Terms, key: str, who: str) -> None:
        try:
            import openai
        except ImportError as error:
            raise EnvironmentProblem(f'{who} needs the package openai: pip install "janus-eval[judge]"') from error
        self._openai = openai
        # A server on this machine is never behind the proxy that the environment names.
        local = terms.base_url is not None and urlsplit(terms.base_url).hostname in ("127.0.0.1", "localhost", "::1")
        self._client = openai.OpenAI(
            api_key=key,
            base_url=terms.base_url,
            timeout=terms.timeout,
            max_retries=0,
            # No plugin has an end at which to close connections, so that each request closes its own.
            default_headers={"Connection": "close"},
            http_client=openai.DefaultHttpxClient(trust_env=not local),
        )
        self._key = key
        self._terms = terms
        self._who = who
        self._reached = False
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._not_before = 0.0

    def ask(
        self,
        model: str,
        messages: Sequence[Mapping[str, Any]],
        *,
        temperature: float | None = None,
        max_tokens: int | None = None,
        seed: int | None = None,
    ) -> Reply:
        """Return the reply to a conversation. Raises RequestFailed and EnvironmentProblem."""
        body: dict[str, Any] = {"model": model, "messages": list(messages)}
        optional = {"temperature": temperature, self._terms.token_field: max_tokens, "seed": seed}
        body |= {name: value for name, value in optional.items() if value is not None}
        return self._post("/chat/completions", body, _reply)

    def draw(self, model: str, prompt: str, options: Mapping[str, Any]) -> Drawing:
        """Return one picture for a prompt. Raises RequestFailed and EnvironmentProblem."""
        return self._post("/images/generations", {"model": model, "prompt": prompt, "n": 1, **options}, _drawing)

    def gather(self, function: Callable[[T], R], items: Sequence[T], workers: int) -> list[R]:
        """Call `function` on all items at once, `workers` at a time; on an error or Ctrl-C stop the others."""
        self._stop.clear()
        with ThreadPoolExecutor(max(1, workers)) as pool:
            futures = [pool.submit(function, item) for item in items]
            try:
                done, _ = wait(futures, return_when=FIRST_EXCEPTION)
                for future in done:
                    future.result()
                return [future.result() for future in futures]
            except BaseException:
                self._stop.set()
                for future in futures:
                    future.cancel()
                raise

    def _post(self, path: str, body: Mapping[str, Any], read: Callable[[Any], R]) -> R:
        reason = ""
        for attempt in range(self._terms.max_retries + 1):
            self._hold()
            pause = min(self._terms.first_wait * 2**attempt, self._terms.longest_wait)
            everybody = False
            try:
                # As text, read here: the client's own classes accept a body that lacks what they name.
                result = read(json.loads(self._client.post(path, body=dict(body), cast_to=str)))
            except self._openai.APIStatusError as error:
                reason = self._status(error)
                asked = retry_after(error.response.headers.get("retry-after"))
                if asked is not None and asked > self._terms.longest_wait:
                    raise RequestFailed(f"{self._who}: {reason} and asks to wait {asked:.0f} s") from None
                pause = pause if asked is None else asked
                everybody = asked is not None or error.status_code == 429
            except self._openai.APITimeoutError:
                reason = f"no answer within {self._terms.timeout:g} s"
            except self._openai.APIConnectionError as error:
                reason = f"{self._terms.address} cannot be reached ({type(error.__cause__ or error).__name__})"
                if not self._reached:
                    raise EnvironmentProblem(f"{self._who}: {reason}: check the address and the network") from None
            except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
                reason = f"{self._terms.address} gave a reply that is not the API's: {type(error).__name__}"
            else:
                self._reached = True
                return result
            if attempt < self._terms.max_retries:
                self._back_off(pause, everybody)
        raise RequestFailed(f"{self._who}: {reason} ({self._terms.max_retries + 1} tries)")

    def _status(self, error: Any) -> str:
        """Return what a status says; raise where asking again cannot help."""
        code: int = error.status_code
        if code == 429 and getattr(error, "code", None) == "insufficient_quota":
            raise EnvironmentProblem(f"{self._who}: the account at {self._terms.address} has no quota left") from None
        if code in _TRANSIENT:
            return f"{self._terms.address} answered {code}"
        text = f"{self._terms.address} answered {code}{self._said(error)}"
        if code in _PERMISSION and not self._reached:
            raise EnvironmentProblem(f"{self._who}: {text}: check the key, the model's name and the address") from None
        raise RequestFailed(f"{self._who}: {text}") from None

    def _said(self, error: Any) -> str:
        """Return the server's own words, short and without the key; none at all about keys."""
        body = error.body if isinstance(error.body, dict) else {}
        words = body.get("message")
        if error.status_code in (401, 403) or not isinstance(words, str):
            return ""
        return ": " + " ".join(words.replace(self._key, "***").split())[:200]

    def _back_off(self, seconds: float, everybody: bool) -> None:
        if not everybody:
            self._stop.wait(seconds)
            return
        with self._lock:
            self._not_before = max(self._not_before, time.monotonic() + seconds)

    def _hold(self) -> None:
        while (seconds := self._not_before - time.monotonic()) > 0:
            if self._stop.wait(seconds):
                break
        if self._stop.is_set():
            raise RequestFailed(f"{self._who}: stopped")


def picture_part(image: bytes) -> dict[str, Any]:
    """Return an encoded picture as a part of a message's content; its kind is read from its first bytes."""
    kinds = ((b"\x89PNG", "png"), (b"\xff\xd8", "jpeg"), (b"GIF8", "gif"), (b"RIFF", "webp"))
    kind = next((name for start, name in kinds if image.startswith(start)), "png")
    data = base64.b64encode(image).decode()
    return {"type": "image_url", "image_url": {"url": f"data:image/{kind};base64,{data}"}}


def _reply(row: Any) -> Reply:
    choice = row["choices"][0]
    message = choice["message"]
    text, refusal = message.get("content"), message.get("refusal")
    if isinstance(text, list):  # some servers answer in parts
        text = "".join(part["text"] for part in text if part["type"] == "text")
    if text is None and not refusal and choice.get("finish_reason") != "content_filter":
        raise ValueError("a message without content")
    usage = row.get("usage") or {}
    return Reply(
        text=_text(text or ""),
        model=_text(row.get("model") or ""),
        finish=_text(choice.get("finish_reason") or ""),
        refusal=_text(refusal or ""),
        usage={key: value for key, value in usage.items() if isinstance(value, int)},
    )


def _drawing(row: Any) -> Drawing:
    one = row["data"][0]
    if "b64_json" not in one and "url" in one:
        raise RequestFailed("the service sent an address in place of a picture: ask with image_format=b64_json")
    return Drawing(
        image=base64.b64decode(one["b64_json"], validate=True),
        model=_text(row.get("model") or ""),
        revised_prompt=_text(one.get("revised_prompt") or ""),
    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("text expected")
    return value
