"""What is known of paid services that draw: which names were shut down, and what a picture costs (services.toml)."""

from __future__ import annotations

import datetime
import re
import sys
from functools import cache
from pathlib import Path
from typing import Any

from ..evals.endpoint.address import Address
from ..evals.endpoint.purse import Price
from ..evals.errors import UsageError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_HOSTS = re.compile(r"(?:.+\.)?(?:api\.openai\.com|openai\.azure\.com|cognitiveservices\.azure\.com)")


def official(address: Address) -> bool:
    """Say whether an address is the maker's own, where names mean its models and drawings are paid for."""
    return _HOSTS.fullmatch(address.host) is not None


def check_alive(name: str, address: Address, today: datetime.date | None = None) -> None:
    """Raise UsageError for a model that its maker has shut down, with the date, the source and what stands instead."""
    for row in _rows("retired"):
        if _is_named(name, row) and official(address) and row["date"] <= (today or datetime.date.today()):
            raise UsageError(
                f"openai:{name} was shut down by {row['by']} on {row['date']} ({row['source']}): nobody can ask it any "
                f"more; successors: {', '.join(row['instead'])}; for pictures that you kept: -m images:DIR"
            )


def end_of(name: str, address: Address) -> str:
    """Return the day on which a model ends that still answers, "" where none is known."""
    found = [str(row["date"]) for row in _rows("retired") if _is_named(name, row) and official(address)]
    return found[0] if found else ""


def price_of(name: str, size: str, quality: str | None, address: Address, given: str | None) -> Price | None:
    """Return what a drawing costs: as `given`, else as the table says; None where a paid service's is not known.

    `given` is US$ a picture (0.04), or US$ for a million tokens of text in, pictures in and pictures out (5,8,30).
    Raises UsageError for a price that cannot be meant.
    """
    if given is not None:
        return _given(given)
    if not official(address):
        return Price(picture=0.0, origin="a server of one's own, no price given")
    row = next((row for row in _rows("price") if _is_named(name, row)), None)
    if row is None:
        return None
    tokens: Any = tuple(row["tokens"])
    seen = next((each for each in _rows("size") if _is_named(name, each) and each["size"] == size), {"output": {}})
    drawn = seen["output"].get(quality or "")
    picture = None if drawn is None else drawn * tokens[2] / 1e6
    return Price(picture, tokens, f"of {row['date']}, {row['source']}")


def _given(text: str) -> Price:
    try:
        numbers = [float(each) for each in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) not in (1, 3) or not all(0 <= each < float("inf") for each in numbers):
        raise UsageError(
            f"price={text!r}: expected US$ a picture (0.04), or for a million tokens of text in, pictures in, pictures "
            "out (5,8,30)"
        )
    if len(numbers) == 1:
        return Price(picture=numbers[0], origin="as given")
    return Price(tokens=(numbers[0], numbers[1], numbers[2]), origin="as given")


def _is_named(name: str, row: dict[str, Any]) -> bool:
    """Say whether a row is about a model: its name, with or without the day of its snapshot."""
    return re.sub(r"-\d{4}-\d\d-\d\d$", "", name) in row["names"]


@cache
def _table() -> dict[str, Any]:
    return tomllib.loads((Path(__file__).with_name("services.toml")).read_text(encoding="utf-8"))


def _rows(name: str) -> list[dict[str, Any]]:
    return _table()[name]
