"""Progress on stderr: a bar with rate and time left on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from threading import Lock

PATIENCE = 2.0  # seconds: shorter work shows nothing when not on a terminal
EVERY = 15.0  # seconds between plain lines
_TERMINAL = Lock()  # one bar at a time has it: rich refuses a second one, whose work is told in lines


@contextmanager
def progress(label: str, total: int, done: int = 0) -> Generator[Callable[[int], None]]:
    """Open a progress display of `total` steps, `done` of which are behind; yields tick(n)."""
    if sys.stderr.isatty() and _TERMINAL.acquire(blocking=False):
        try:
            with _bar(label, total, done) as tick:
                yield tick
        finally:
            _TERMINAL.release()
    else:
        with _lines(label, total, done) as tick:
            yield tick


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
            rate = made / max(time.monotonic() - started, 1e-9)
            bar.update(task, advance=count, rate=f"{rate:.1f}/s")

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
            rate = made / (now - started)
            left = (total - done - made) / rate
            print(f"{label}: {done + made}/{total}, {rate:.1f}/s, {left:.0f} s left", file=sys.stderr, flush=True)

    if done:
        print(f"{label}: {done}/{total} are on disk already", file=sys.stderr, flush=True)
    yield tick
    seconds = time.monotonic() - started
    if seconds >= PATIENCE:
        print(f"{label}: {done + made}/{total} in {seconds:.1f} s", file=sys.stderr, flush=True)
