"""How fast an endpoint is asked: so many requests at once and a minute, and fewer while it says that it is too fast."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from email.message import Message

_LONGEST = 120.0
"""Seconds that a server's own word holds everybody back at most: a wrong clock shall stop no run."""
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "": 1.0}


class Pace:
    """Turns for the threads that ask one endpoint: `most` at once, `per_minute` begun in any minute.

    A 429 halves what may run at once; as many good replies in a row as may run give one more. What a server tells
    in x-ratelimit headers is kept: no more at once than it has left, and none before it has some again.
    """

    def __init__(self, most: int, per_minute: float | None = None) -> None:
        self._most = self._allowed = most
        self._gap = 60.0 / per_minute if per_minute else 0.0
        self._change = threading.Condition()
        self._running = self._good = 0
        self._next = self._not_before = self._cut = 0.0

    @property
    def allowed(self) -> int:
        """Return how many may run at once now."""
        return self._allowed

    @contextmanager
    def turn(self, stopped: Callable[[], bool]) -> Generator[float, None, None]:
        """Wait for a turn, or until `stopped`, and hold it; gives when it began."""
        with self._change:
            while (seconds := self._wait()) > 0 and not stopped():
                self._change.wait(min(seconds, 0.5))
            self._next = max(self._next, time.monotonic()) + self._gap
            self._running += 1
        try:
            yield time.monotonic()
        finally:
            with self._change:
                self._running -= 1
                self._change.notify_all()

    def _wait(self) -> float:
        if self._running >= self._allowed:
            return _LONGEST  # until another gives its turn back
        return max(self._next if self._gap else 0.0, self._not_before) - time.monotonic()

    def learn(self, began: float, status: int, headers: Message) -> None:
        """Take in what a reply says of the pace at which it was asked for."""
        left, reset = _number(headers, "remaining"), _seconds(headers)
        with self._change:
            now = time.monotonic()
            if status == 429 and began > self._cut:  # those that ran beside it are the same offence
                self._allowed, self._good, self._cut = max(1, self._allowed // 2), 0, now
            elif 200 <= status < 300:
                self._good += 1
                if self._good >= self._allowed < self._most:
                    self._allowed, self._good = self._allowed + 1, 0
            if left is not None:
                self._allowed = max(1, min(self._allowed, int(left)))
                if left < 1 and reset is not None:
                    self._not_before = max(self._not_before, now + min(reset, _LONGEST))
            self._change.notify_all()


def _number(headers: Message, what: str) -> float | None:
    """Return the least that a server has left of what a drawing takes."""
    found = [headers.get(f"x-ratelimit-{what}-{each}") for each in ("requests", "images")]
    numbers = [float(each) for each in found if each is not None and re.fullmatch(r"\d{1,9}", each.strip(), re.ASCII)]
    return min(numbers, default=None)


def _seconds(headers: Message) -> float | None:
    """Return after how long it has some again: 20ms, 1.5s, 6m0s, or a number of seconds."""
    found = [headers.get(f"x-ratelimit-reset-{each}") or "" for each in ("requests", "images")]
    told = [re.findall(r"(\d{1,9}(?:\.\d+)?)(ms|s|m|h|)", each.strip(), re.ASCII) for each in found if each]
    return max((sum(float(number) * _UNITS[unit] for number, unit in parts) for parts in told if parts), default=None)
