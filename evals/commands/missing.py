"""What runs lack, in one list: who, what, how large, under which licence, and the commands that bring all of it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ..assets.fetch import Asset, asset
from ..errors import UsageError
from . import terminal
from .shelf import size as in_words

if TYPE_CHECKING:
    from ..made import Lack
    from ..plan import Pair
    from ..types import Json


def lines(lacks: Sequence[Lack]) -> list[str]:
    """Return what is missing and the commands that mend it; nothing where nothing is missing."""
    if not lacks:
        return []
    wide = max(len(each.who) for each in lacks)
    told = [line for each in lacks for line in terminal.hung(f"  {each.who:<{wide}}  ", _words(each))]
    mends = list(dict.fromkeys(mend for each in lacks if (mend := _mend(each))))
    size = sum(each.size or 0 for each in {each.name: each for each in _assets(lacks)}.values())
    known = f" (about {in_words(size)} to fetch, as far as sizes are known)" if size else ""
    return ["missing:", *told, *(["", f"to mend{known}:", *(f"  {each}" for each in mends)] if mends else [])]


def of(pair: Pair, lacks: Sequence[Lack]) -> dict[str, Json]:
    """Return {"lacks": ...} of one run, nothing where it lacks nothing."""
    observer = pair.suite.observer
    mine = {pair.spec.model, pair.spec.benchmark, observer if isinstance(observer, str) else ""}
    found = [row(each) for each in lacks if each.who in mine]
    return {"lacks": found} if found else {}


def row(lack: Lack) -> dict[str, Json]:
    """Return a lack as JSON; `bytes` and `licence` where the catalogue tells them."""
    found: dict[str, Json] = {"who": lack.who, "problem": lack.problem, "mend": _mend(lack)}
    item = _asset(lack)
    return found | ({"asset": lack.asset, "bytes": item.size, "licence": item.licence} if item else {})


def about(item: Asset) -> str:
    """Return an asset's size, where it is known, and its licence, as a catalogue tells them."""
    return ", ".join([*([f"about {in_words(item.size)}"] if item.size else []), f"licence: {item.licence}"])


def shortly(item: Asset) -> str:
    """Return an asset's size, where it is known, and its licence, as a line of a list."""
    return "; ".join([*([in_words(item.size)] if item.size else []), item.licence])


def _words(lack: Lack) -> str:
    item = _asset(lack)
    return lack.problem if item is None else f"{lack.asset}: {shortly(item)}"


def _mend(lack: Lack) -> str:
    """Return the command that brings it, "" where none does."""
    if lack.asset:
        return f"janus-eval data fetch {lack.asset}"
    found = re.search(r"pip install .+$|janus-eval (?:data fetch|env create) [\w:./@-]*\w", lack.problem)
    return found[0] if found else ""


def _asset(lack: Lack) -> Asset | None:
    try:
        return asset(lack.asset) if lack.asset else None
    except UsageError:
        return None


def _assets(lacks: Sequence[Lack]) -> Iterator[Asset]:
    yield from filter(None, map(_asset, lacks))
