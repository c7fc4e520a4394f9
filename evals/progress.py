"""Progress on stderr: a bar with rate and time left on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from threading import Lock, Timer

from . import screen

PATIENCE = 2.0  # seconds: shorter work shows nothing when not on a terminal
EVERY = 15.0  # seconds between plain lines
FIRST = 10.0  # seconds after which a log says that the work has begun, whether or not anything is made
_TERMINAL = Lock()  # one bar at a time has it: rich refuses a second one, whose work is told in lines


@contextmanager
def progress(label: str, total: int, done: int = 0) -> Generator[Callable[[int], None]]:
    """Open a progress display of `total` steps, `done` of which are behind; yields tick(n)."""
    if _is_terminal() and _TERMINAL.acquire(blocking=False):
        try:
            with _bar(label, total, done) as tick:
                yield tick
        finally:
            _TERMINAL.release()
    else:
        with _lines(label, total, done) as tick:
            yield tick


def _is_terminal() -> bool:
    return sys.stderr is not None and not sys.stderr.closed and sys.stderr.isatty()


@contextmanager
def _bar(label: str, total: int, done: int) -> Generator[Callable[[int], None]]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("[bold]{task.description:<8}"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    started = time.monotonic()
    made = 0
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(label, total=total, completed=done, rate="")

        def tick(count: int) -> None:
            nonlocal made
            made += count
            bar.update(task, advance=count, rate=_rate(made, time.monotonic() - started))

        yield tick


@contextmanager
def _lines(label: str, total: int, done: int) -> Generator[Callable[[int], None]]:
    started = shown = time.monotonic()
    made = 0

    def tick(count: int) -> None:
        nonlocal made, shown
        made += count
        now = time.monotonic()
        if now - shown >= EVERY:
            shown = now
            screen.err([f"{label}: {done + made}/{total}, {_pace(made, now - started, total - done - made)}"])

    def first() -> None:
        if not made:
            screen.err([f"{label}: {done}/{total}, the first batch is under way"])

    if done:
        screen.err([f"{label}: {done}/{total} are on disk already"])
    alarm = Timer(FIRST, first)
    alarm.daemon = True
    alarm.start()
    try:
        yield tick
    finally:
        alarm.cancel()
    seconds = time.monotonic() - started
    if seconds >= PATIENCE:
        screen.err([f"{label}: {done + made}/{total} in {seconds:.1f} s"])


def _pace(made: int, seconds: float, left: int) -> str:
    """Return how fast it goes and how long it will take; below one a second in seconds an item."""
    if made == 0:
        return f"none in {seconds:.0f} s"
    return f"{_rate(made, seconds)}, {left * seconds / made:.0f} s left"


def _rate(made: int, seconds: float) -> str:
    """Return how fast it goes: items a second, below one of them seconds an item."""
    if made and seconds > made:
        return f"{seconds / made:.1f} s each"
    return f"{made / max(seconds, 1e-9):.1f}/s"
