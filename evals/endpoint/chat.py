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
from email.message import Message
from typing import Any, TypeVar
from urllib.parse import urljoin

from ..assets.download import retry_after
from ..errors import EnvironmentProblem, UsageError
from .address import Address, elsewhere
from .forms import File, form
from .pace import Pace
from .replies import (
    Declined,
    Lost,
    NotTheApi,
    Passing,
    Refused,
    Reply,
    RequestFailed,
    ServerError,
    clean,
    error_code,
    read_body,
    read_reply,
    server_words,
)
from .transport import Broken, Late, Response, Stopped, TooLarge, TransportError, Unreached, Wire, basic

T = TypeVar("T")
R = TypeVar("R")

_TRANSIENT = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
_PERMISSION = frozenset({401, 402, 403, 404, 405, 407})
_REDIRECT = frozenset({301, 302, 303, 307, 308})
_OFFICIAL = "https://api.openai.com/v1"
_LARGEST_REPLY = 32 << 20
_MANY = 1 << 16
"""Requests at once where the caller's own threads are the limit."""
_BUSY = frozenset({503, 529})
"""The statuses of a server that did not begin."""
_NO_MONEY = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"})
_MONEY_CAME = "once that is mended, the same command goes on from here"
_MODERATION = frozenset({"content_policy_violation", "moderation_blocked", "content_filter", "contentfilter"})
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


def _now() -> None:
    """Do nothing before a request goes out."""


class Chat:
    """A client for one endpoint, safe to use from several threads.

    A wait that the server asks for holds back all threads. Until a first request has succeeded, a
    refused key, model or parameter and a redirect stop everything: the address or the option is
    wrong, not the request. So does an address where nothing answers, once a request has tried as often
    as it may. Later on only the request at hand fails. `remedies` says what to type where the server
    does not take a parameter, by the parameter's name.
    """

    def __init__(
        self,
        terms: Terms,
        key: str,
        who: str,
        remedies: Mapping[str, str] | None = None,
        pace: Pace | None = None,
    ) -> None:
        address = terms.endpoint
        self._pace = pace or Pace(_MANY)
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
        more: Mapping[str, Any] | None = None,
    ) -> Reply:
        """Return the reply to a conversation, `more` joining the request. Raises RequestFailed, EnvironmentProblem and
        UsageError."""
        body: dict[str, Any] = {"model": model, "messages": list(messages)}
        optional = {"temperature": temperature, self._terms.token_field: max_tokens, "seed": seed}
        body |= {name: value for name, value in optional.items() if value is not None} | dict(more or {})
        reply, seconds = self._post("/chat/completions", body, read_reply, _LARGEST_REPLY)
        return replace(reply, seconds=seconds)

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
        met: list[Passing] = []
        while len(met) <= self._terms.max_retries:
            if met:
                self.back_off(met)
            try:
                return self.once(path, body, read, most)[:2]
            except Passing as error:
                met.append(error)
        raise self.gave_up(met)

    def once(
        self,
        path: str,
        body: Mapping[str, Any],
        read: Callable[[Mapping[str, Any]], R],
        most: int,
        *,
        seconds: float | None = None,
        before: Callable[[], None] = _now,
        files: Sequence[File] = (),
    ) -> tuple[R, float, Message]:
        """Ask once, when it is its turn; return what `read` makes of the reply, the seconds that it took, its headers.

        With `files` the request is a form, else JSON. `before` is called when nothing stands between it and the
        request. Raises Passing where another try may do better, else RequestFailed, EnvironmentProblem and UsageError.
        """
        with self._pace.turn(self._stop.is_set) as began:
            self._hold()
            before()
            started = time.monotonic()
            response = self._sent(path, body, files, most, seconds or self._terms.timeout)
            self._pace.learn(began, response.status, response.headers)
            if not 200 <= response.status < 300:
                raise self._status(response, body)
            try:
                found = read(read_body(self._without_secrets(response.body), response.headers.get_content_type()))
            except NotTheApi as error:
                raise Passing(f"gave a reply that is not the API's: {error}", lost=True) from None
            except ServerError as error:
                raise self._inside(error, body) from None
            self._succeeded = True
            return found, time.monotonic() - started, response.headers

    def _sent(self, path: str, body: Mapping[str, Any], files: Sequence[File], most: int, seconds: float) -> Response:
        """Send a request once and return what came, whatever its status."""
        medium, data = form(body, files) if files else (self._headers["Content-Type"], json.dumps(body).encode())
        headers = {**self._headers, "Content-Type": medium}
        try:
            response = self._wire.post(path, data, headers, seconds=seconds, most=most, stopped=self._stop.is_set)
        except Unreached as error:
            if not error.passing:
                raise self._first_or_failed(f"cannot be reached: {error}: check the address") from None
            raise Passing(f"cannot be reached ({error})", unreached=True) from None
        except Late:
            raise Passing(f"gave no answer within {seconds:g} s", late=True) from None
        except Broken as error:
            raise Passing(f"broke the connection: {error}", lost=True) from None
        except TooLarge as error:
            raise Lost(self._told(f"gave a reply that is too large: {error}")) from None
        except Stopped:
            raise Lost(f"{self._who}: stopped") from None
        self._answered = True
        return response

    def fetch(self, url: str, most: int, seconds: float) -> bytes:
        """Return what lies at an address that a reply names: at the endpoint itself, or at another host by https.

        The key goes to the endpoint alone. Raises RequestFailed, which repeats nothing of the address: it is a key.
        """
        here = self._wire.address
        try:
            target = Address.parse(urljoin(here.origin + here.path + "/", url), "the picture's address")
            wire, headers = self._wire, self._headers
            if target.origin != here.origin:
                if target.scheme != "https" or target.local or re.fullmatch(r"[\d.]+|.*:.*", target.host, re.ASCII):
                    raise RequestFailed(
                        self._told("sent a picture's address that is not asked: no https of a named host")
                    )
                wire, headers = Wire(target), {"User-Agent": "janus-eval"}
            elif target != here:
                wire = Wire(replace(target, user=here.user, password=here.password))
            found = wire.get("", headers, seconds=seconds, most=most, stopped=self._stop.is_set)
        except (UsageError, ValueError):
            raise RequestFailed(self._told("sent a picture's address that cannot be read")) from None
        except TransportError as error:
            raise RequestFailed(self._told(f"did not give the picture that it sent the address of: {error}")) from None
        if found.status != 200:
            raise RequestFailed(self._told(f"answered {found.status} for the picture that it sent the address of"))
        return found.body

    def _status(self, response: Response, body: Mapping[str, Any]) -> Exception:
        """Return the error that a status stands for."""
        if response.status in _REDIRECT:
            target = elsewhere(self._wire.address, response.headers.get("Location", ""))
            return self._first_or_failed(
                f"answered {response.status}, a redirect to {target}, which is not followed: give that address"
            )
        code = error_code(response.body).lower()
        if response.status == 402 or code in _NO_MONEY:
            return EnvironmentProblem(self._told(f"has no quota left for this account ({code or 402})", _MONEY_CAME))
        asked = _wait(response.headers.get("Retry-After"))
        if response.status in _TRANSIENT and asked is not None and asked > self._terms.longest_wait:
            return RequestFailed(self._told(f"answered {response.status} and asks to wait {asked:.0f} s"))
        # A server that refuses a key may repeat it in part.
        words = "" if response.status == 401 else server_words(response.body)
        return self._refused(response.status, words, body, asked, code)

    def _inside(self, error: ServerError, body: Mapping[str, Any]) -> Exception:
        """Return what an error under a status of success is: a passing one where its body names no status."""
        if error.code or error.name in _MODERATION:
            return self._refused(error.code or 400, str(error), body, None, error.name)
        return Passing(f"answered with an error: {error}", lost=True)

    def _refused(
        self, status: int, words: str, body: Mapping[str, Any], asked: float | None, code: str = ""
    ) -> Exception:
        text = f"answered {status}" + (f": {words}" if words else "")
        if code in _MODERATION and 400 <= status < 500:
            return Declined(self._told(text), code, clean(words, self._secrets))
        if status in _TRANSIENT:
            lost = status >= 500 and status not in _BUSY
            return Passing(text, asked, everybody=asked is not None or status == 429, lost=lost)
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

    def stopped(self) -> bool:
        """Say whether the caller wants nothing any more."""
        return self._stop.is_set()

    @property
    def retries(self) -> int:
        """Return how often a request is asked again."""
        return self._terms.max_retries

    def gave_up(self, met: Sequence[Passing]) -> Exception:
        """Return what a request comes to that met only these."""
        told = f"{self._told(met[-1].reason)} ({len(met)} {'try' if len(met) == 1 else 'tries'})"
        if not self._answered and all(each.unreached for each in met):
            return EnvironmentProblem(f"{told}: check the address and the network")
        return RequestFailed(told)

    def back_off(self, tries: Sequence[Passing]) -> None:
        """Wait before the next try: what the server asks for, else 1, 2, 4 ... of `first_wait`, or down to a half."""
        met = tries[-1]
        longest = _FIRST_KNOCKS if met.unreached and not self._answered else self._terms.longest_wait
        pause = min(self._terms.first_wait * 2 ** (len(tries) - 1), longest) * self._jitter.uniform(0.5, 1.0)
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
