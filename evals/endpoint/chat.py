"""One OpenAI-compatible endpoint: requests with back-off, every reply with the model that gave it."""

from __future__ import annotations

import json
import os
import random
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from ..assets.download import retry_after
from ..errors import EnvironmentProblem, UsageError
from .address import Address, elsewhere
from .replies import (
    Drawing,
    NotTheApi,
    Refused,
    Reply,
    RequestFailed,
    ServerError,
    clean,
    error_code,
    read_body,
    read_drawing,
    read_reply,
    server_words,
)
from .transport import Broken, Late, Response, Stopped, TooLarge, Unreached, Wire, basic

T = TypeVar("T")
R = TypeVar("R")

_TRANSIENT = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
_PERMISSION = frozenset({401, 402, 403, 404, 405, 407})
_REDIRECT = frozenset({301, 302, 303, 307, 308})
_OFFICIAL = "https://api.openai.com/v1"
_LARGEST_REPLY = 32 << 20
_LARGEST_DRAWING = 256 << 20
_FIRST_KNOCKS = 2.0
"""Seconds between two tries of an address that nobody has answered at: it is wrong, or a server is starting."""
_UNTAKEN = re.compile(
    r"unsupported|not support|unrecogni[sz]ed|unknown|unexpected|not permitted|not allowed|deprecated"
    r"|instead of|use \W?\w+\W? instead",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Terms:
    """How to ask: the address, and how long to insist (seconds). The key is not part of it.

    Without a `base_url` it is OPENAI_BASE_URL's, else api.openai.com. `timeout` is for a whole reply.
    `longest_wait` bounds one wait: where a server asks for more, the request fails and a later
    run asks again. `token_field` is the request's name for the limit of new tokens: newer
    services take only `max_completion_tokens`. Raises UsageError for an address that cannot be meant.
    """

    base_url: str | None = None
    timeout: float = 120.0
    max_retries: int = 6
    first_wait: float = 1.0
    longest_wait: float = 120.0
    token_field: str = "max_tokens"

    def __post_init__(self) -> None:
        _ = self.endpoint  # an address is wrong when it is given, not when it is first asked

    @property
    def endpoint(self) -> Address:
        """Return where requests go."""
        return Address.parse(self.base_url or os.environ.get("OPENAI_BASE_URL") or _OFFICIAL)

    @property
    def address(self) -> str:
        """Return the address as it may be recorded."""
        return self.endpoint.shown


def read_key(key_env: str, key_file: Path | None, base_url: str | None) -> str:
    """Return the API key from a file or the environment.

    An address of one's own may need none; api.openai.com does. Raises UsageError for a file that
    cannot be read or holds no key, and EnvironmentProblem where a key is missing or cannot be one.
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
    if not re.fullmatch(r"[\x21-\x7e]*", key):
        where = key_file or f"the variable {key_env}"
        raise EnvironmentProblem(f"{where} holds no key: there are spaces, line ends or letters beyond ASCII in it")
    if key:
        return key
    if base_url is None and not os.environ.get("OPENAI_BASE_URL"):
        raise EnvironmentProblem(f"api.openai.com needs a key: set {key_env}, or name a file that holds it")
    return "none"


class _Passing(Exception):
    """A failure that a later try may not meet. `wait` is what the server asks for, in seconds."""

    def __init__(
        self, reason: str, wait: float | None = None, *, everybody: bool = False, unreached: bool = False
    ) -> None:
        super().__init__(reason)
        self.reason, self.wait, self.everybody, self.unreached = reason, wait, everybody, unreached


class Chat:
    """A client for one endpoint, safe to use from several threads.

    A wait that the server asks for holds back all threads. Until a first request has succeeded, a
    refused key, model or parameter and a redirect stop everything: the address or the option is
    wrong, not the request. So does an address where nothing answers, once a request has tried as often
    as it may. Later on only the request at hand fails. `remedies` says what to type where the server
    does not take a parameter, by the parameter's name.
    """

    def __init__(self, terms: Terms, key: str, who: str, remedies: Mapping[str, str] | None = None) -> None:
        address = terms.endpoint
        self._wire = Wire(address)
        self._headers = _headers(address, key)
        self._secrets = tuple(each for each in (key, *address.secrets) if each != "none")
        self._terms = terms
        self._who = who
        self._remedies = remedies or {}
        self._answered = False
        self._succeeded = False
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._not_before = 0.0
        self._jitter = random.Random()  # moves no answer: what it spreads is the load of those who wait

    def ask(
        self,
        model: str,
        messages: Sequence[Mapping[str, Any]],
        *,
        temperature: float | None = None,
        max_tokens: int | None = None,
        seed: int | None = None,
    ) -> Reply:
        """Return the reply to a conversation. Raises RequestFailed, EnvironmentProblem and UsageError."""
        body: dict[str, Any] = {"model": model, "messages": list(messages)}
        optional = {"temperature": temperature, self._terms.token_field: max_tokens, "seed": seed}
        body |= {name: value for name, value in optional.items() if value is not None}
        reply, seconds = self._post("/chat/completions", body, read_reply, _LARGEST_REPLY)
        return replace(reply, seconds=seconds)

    def draw(self, model: str, prompt: str, options: Mapping[str, Any]) -> Drawing:
        """Return one picture for a prompt. Raises RequestFailed, EnvironmentProblem and UsageError."""
        body = {"model": model, "prompt": prompt, "n": 1, **options}
        return self._post("/images/generations", body, read_drawing, _LARGEST_DRAWING)[0]

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

    # -- one request ------------------------------------------------------------------------------

    def _post(
        self, path: str, body: Mapping[str, Any], read: Callable[[Mapping[str, Any]], R], most: int
    ) -> tuple[R, float]:
        """Return what `read` makes of the reply, and the seconds that the reply took."""
        data = json.dumps(body).encode()
        tries = self._terms.max_retries + 1
        met: list[_Passing] = []
        for attempt in range(tries):
            self._hold()
            started = time.monotonic()
            try:
                result = read(read_body(*self._once(path, data, most, body)))
            except NotTheApi as error:
                met.append(_Passing(f"gave a reply that is not the API's: {error}"))
            except ServerError as error:
                met.append(self._inside(error, body))
            except _Passing as error:
                met.append(error)
            else:
                self._succeeded = True
                return result, time.monotonic() - started
            if attempt + 1 < tries:
                self._back_off(met[-1], attempt)
        told = f"{self._told(met[-1].reason)} ({tries} {'try' if tries == 1 else 'tries'})"
        if not self._answered and all(each.unreached for each in met):
            raise EnvironmentProblem(f"{told}: check the address and the network")
        raise RequestFailed(told)

    def _once(self, path: str, data: bytes, most: int, body: Mapping[str, Any]) -> tuple[bytes, str]:
        """Send a request once and return the body of a success, and its content's type."""
        try:
            response = self._wire.post(
                path, data, self._headers, seconds=self._terms.timeout, most=most, stopped=self._stop.is_set
            )
        except Unreached as error:
            if not error.passing:
                raise self._first_or_failed(f"cannot be reached: {error}: check the address") from None
            raise _Passing(f"cannot be reached ({error})", unreached=True) from None
        except Late:
            raise _Passing(f"gave no answer within {self._terms.timeout:g} s") from None
        except Broken as error:
            raise _Passing(f"broke the connection: {error}") from None
        except TooLarge as error:
            raise RequestFailed(self._told(f"gave a reply that is too large: {error}")) from None
        except Stopped:
            raise RequestFailed(f"{self._who}: stopped") from None
        self._answered = True
        if 200 <= response.status < 300:
            return self._without_secrets(response.body), response.headers.get_content_type()
        raise self._status(response, body)

    def _status(self, response: Response, body: Mapping[str, Any]) -> Exception:
        """Return the error that a status stands for."""
        if response.status in _REDIRECT:
            target = elsewhere(self._wire.address, response.headers.get("Location", ""))
            return self._first_or_failed(
                f"answered {response.status}, a redirect to {target}, which is not followed: give that address"
            )
        if response.status == 429 and error_code(response.body) == "insufficient_quota":
            return EnvironmentProblem(self._told("has no quota left for this account"))
        asked = _wait(response.headers.get("Retry-After"))
        if response.status in _TRANSIENT and asked is not None and asked > self._terms.longest_wait:
            return RequestFailed(self._told(f"answered {response.status} and asks to wait {asked:.0f} s"))
        # A server that refuses a key may repeat it in part.
        words = "" if response.status == 401 else server_words(response.body)
        return self._refused(response.status, words, body, asked)

    def _inside(self, error: ServerError, body: Mapping[str, Any]) -> _Passing:
        """Return a passing error under a status of success; raise one that its body names as lasting."""
        if error.code:
            found = self._refused(error.code, str(error), body, None)
            if not isinstance(found, _Passing):
                raise found
            return found
        return _Passing(f"answered with an error: {error}")

    def _refused(self, status: int, words: str, body: Mapping[str, Any], asked: float | None) -> Exception:
        text = f"answered {status}" + (f": {words}" if words else "")
        if status in _TRANSIENT:
            return _Passing(text, asked, everybody=asked is not None or status == 429)
        if status in _PERMISSION:
            return self._first_or_failed(text, "check the key, the model's name and the address")
        name = next((name for name in body if re.search(rf"\b{name}\b", words) and name in self._remedies), None)
        if name and _UNTAKEN.search(words):
            told = self._told(text, f"type {self._remedies[name]}")
            return Refused(told) if self._succeeded else UsageError(told)
        return Refused(self._told(text))

    def _first_or_failed(self, text: str, remedy: str = "") -> Exception:
        """Return what stops everything while nothing has succeeded yet, and what fails one request later on."""
        told = self._told(text, remedy)
        return RequestFailed(told) if self._succeeded else EnvironmentProblem(told)

    def _told(self, text: str, remedy: str = "") -> str:
        told = f"{self._who}: {self._wire.address.shown} {clean(text, self._secrets)}"
        return f"{told.rstrip('.')}: {remedy}" if remedy else told

    def _without_secrets(self, body: bytes) -> bytes:
        """Return a reply without the key, should a server repeat it: what is stored never holds it."""
        for secret in self._secrets:
            if len(secret) >= 12:  # a shorter one may be a word
                body = body.replace(secret.encode(), b"***")
        return body

    # -- waiting ----------------------------------------------------------------------------------

    def _back_off(self, met: _Passing, attempt: int) -> None:
        """Wait before the next try: what the server asks for, else 1, 2, 4 ... of `first_wait`, or down to a half."""
        longest = _FIRST_KNOCKS if met.unreached and not self._answered else self._terms.longest_wait
        pause = min(self._terms.first_wait * 2**attempt, longest) * self._jitter.uniform(0.5, 1.0)
        seconds = pause if met.wait is None else met.wait
        if not met.everybody:
            self._stop.wait(seconds)
            return
        with self._lock:
            self._not_before = max(self._not_before, time.monotonic() + seconds)

    def _hold(self) -> None:
        while (seconds := self._not_before - time.monotonic()) > 0:
            if self._stop.wait(seconds * self._jitter.uniform(1.0, 1.1)):
                break
        if self._stop.is_set():
            raise RequestFailed(f"{self._who}: stopped")


def _headers(address: Address, key: str) -> dict[str, str]:
    """Return the headers of every request; a name and a password in the address stand in the key's place."""
    named = address.user or address.password
    headers = {
        "Authorization": basic(address.user, address.password) if named else f"Bearer {key}",
        "Content-Type": "application/json",
        "Accept": "application/json",
        "User-Agent": "janus-eval",
    }
    if address.host == "api.openai.com":
        account = {"OpenAI-Organization": "OPENAI_ORG_ID", "OpenAI-Project": "OPENAI_PROJECT_ID"}
        headers |= {name: os.environ[variable] for name, variable in account.items() if os.environ.get(variable)}
    return headers


def _wait(value: str | None) -> float | None:
    try:
        return retry_after(value)
    except (TypeError, OverflowError):  # a date that no calendar has
        return None
