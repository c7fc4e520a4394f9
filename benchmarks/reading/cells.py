"""What stands in one cell: nothing, a whole number, a list; and how messages show it."""

from __future__ import annotations

import ast
import json
import re
import reprlib
from typing import Final

from ...evals.types import Json

MOST_ITEMS: Final = 1000
"""No row has more pictures, options or answers; a list of millions of elements fills memory when it is read."""
_SHORT: Final = 1 << 16
"""Python's notation is read by its own parser only up to this many characters: it takes 100 times their memory."""
_WHOLE: Final = re.compile(r"\s*([+-]?\d{1,4000})(?:\.0*)?\s*", re.ASCII)
_ITEM: Final = re.compile(r"""\s*(?:'([^'\\]*)'|"([^"\\]*)"|([+-]?[\w.]+))\s*(,?)""")
_NOWHERE: Final = ("", "none", "null", "nan")


def missing(value: Json) -> bool:
    """Return whether a cell is empty: null, an empty text, a float nan, or the text "nan"."""
    return value is None or value == "" or value == "nan" or (isinstance(value, float) and value != value)


def nowhere(value: Json) -> bool:
    """Return whether a cell names no category: `missing`, or one of the texts None, null and nan."""
    return missing(value) or (isinstance(value, str) and value.strip().lower() in _NOWHERE)


def whole(value: Json) -> int | None:
    """Return the whole number that a cell holds, None where it holds none: 241, 241.0, "241" and "241.0" are 241."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        found = _WHOLE.fullmatch(value)
        return int(found[1]) if found else None
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    return value if isinstance(value, int) else None


def plain(value: Json) -> bool:
    """Return whether a value is a text or a number, which can be shown and compared."""
    return isinstance(value, str | int | float) and not isinstance(value, bool)


def listed(text: str) -> list[str]:
    """Return a list that a text cell holds in Python's or JSON's notation; raise ValueError where it is none.

    A long text is read by hand: quoted texts without escapes, as pictures in base64 are.
    """
    if text.count(",") >= MOST_ITEMS * (1 if len(text) > _SHORT else 4):
        raise ValueError(f"a list of more than {MOST_ITEMS:,} elements")
    try:
        found = _by_hand(text) if len(text) > _SHORT else _parsed(text)
        flat = isinstance(found, list) and not any(isinstance(each, list | tuple | dict | set) for each in found)
        items = [str(each) for each in found] if flat else None
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        items = None
    if items is None:
        raise ValueError(f"expected a list, found {shown(text)}")
    if len(items) > MOST_ITEMS:
        raise ValueError(f"a list of more than {MOST_ITEMS:,} elements")
    return items


def _parsed(text: str) -> Json:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return ast.literal_eval(text)


def _by_hand(text: str) -> list[str]:
    inner = text.strip()
    if not (inner.startswith("[") and inner.endswith("]")):
        raise ValueError("no brackets")
    items: list[str] = []
    at, end, more = 1, len(inner) - 1, True
    while at < end:
        found = _ITEM.match(inner, at, end) if more else None
        if found is None:
            raise ValueError(f"no list at {at}")
        items.append(next(each for each in found.groups() if each is not None))
        at, more = found.end(), bool(found[4])
    return items


def shown(value: Json) -> str:
    """Return a value as a message shows it: on one line, without unprintable characters, short."""
    return _BRIEF.repr(value)


def kind(value: Json) -> str:
    """Return in words what a value is."""
    names = {dict: "an object", list: "a list", str: "a text", bool: "a truth value", type(None): "null"}
    return names.get(type(value), "a number" if isinstance(value, int | float) else type(value).__name__)


_BRIEF: Final = reprlib.Repr()
_BRIEF.maxstring = _BRIEF.maxother = _BRIEF.maxlong = 60
_BRIEF.maxlevel = 2
