"""When a published number was printed, as far as its source tells, and `--since`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from ..evals.errors import UsageError
from .reported import Reported

_ARXIV: Final = re.compile(r"arxiv(?:\.org/(?:abs|pdf|html)/|:|\s+)\s*(\d\d)(0[1-9]|1[0-2])\.\d{4,5}(?!\d)", re.I)
_DATED: Final = re.compile(r"\(((?:19|20)\d\d)-(0[1-9]|1[0-2])(?:-\d\d)?\)")
_SINCE: Final = re.compile(r"((?:19|20)\d\d)(?:-(0[1-9]|1[0-2]))?")


def month(citation: str) -> str:
    """Return the month of a source as YYYY-MM, "" where it does not tell.

    It is that of the first arXiv number in it, else of a date alone in brackets: "(2025-03)". The day on which
    somebody read a page ("read 2026-11-27") is none.
    """
    found = _ARXIV.search(citation)
    if found:
        return f"20{found[1]}-{found[2]}"
    found = _DATED.search(citation)
    return f"{found[1]}-{found[2]}" if found else ""


def _start(since: str) -> str:
    """Return the first month that `--since` asks for. Raises UsageError for what is no year or month."""
    found = _SINCE.fullmatch(since)
    if found is None:
        raise UsageError(f"--since {since}: expected a year or a month, 2025 or 2025-06")
    return f"{found[1]}-{found[2] or '01'}"


def recent(numbers: Sequence[Reported], since: str) -> list[Reported]:
    """Return the numbers that were printed in `since` (a year or a month) or later; of an unknown month none.

    Raises UsageError for what is no year or month, and where nothing was printed since.
    """
    start = _start(since)
    found = [each for each in numbers if month(each.citation) >= start]
    if not found:
        raise UsageError(f"--since {since}: no published number here is of {start} or later")
    return found


def told(numbers: Sequence[Reported], since: str, table: str) -> str:
    """Return a table's note: since when, and which of its sources were left out because nothing tells their month."""
    unknown = dict.fromkeys(each.source for each in numbers if each.suite == table and not month(each.citation))
    lost = f" Left out, their month not known: {', '.join(unknown)}." if unknown else ""
    return f"Published rows: printed in {_start(since)} or later, by the month of the paper that prints them.{lost}"
