"""The options of a question, in the columns in which they are met."""

from __future__ import annotations

import string

from ...evals.types import Json
from .cells import listed
from .rows import Row


def options_of(row: Row) -> dict[str, str] | None:
    """Return a row's options by letter, None where the row has no column for them.

    Taken from `index2ans` or `choices` (an object or a list), `options` (a list, or a text that
    holds one), the columns A, B, ... or choice_a, choice_b, ... Empty ones and "nan" are left out.
    """
    for name in ("index2ans", "choices", "options"):
        value = row.find(name)
        if value is not None:
            return lettered(row, name, value)
    for letters in (string.ascii_uppercase, [f"choice_{letter}" for letter in string.ascii_lowercase]):
        if any(letter in row.fields for letter in letters[:2]):
            found = {string.ascii_uppercase[at]: row.words(name) for at, name in enumerate(letters)}
            return {letter: text for letter, text in found.items() if text is not None}
    return None


def lettered(row: Row, column: str, value: Json) -> dict[str, str]:
    """Return options given as an object, a list, or a text that holds a list, by letter."""
    given = value
    if isinstance(value, str):
        try:
            value = listed(value)
        except ValueError as error:
            raise row.wrong(column, given, "a list of options") from error
    if isinstance(value, list):
        value = dict(zip(string.ascii_uppercase, value, strict=False)) if len(value) <= 26 else None
    if not isinstance(value, dict) or len(value) > 26 or not all(_is_option(*each) for each in value.items()):
        raise row.wrong(column, given, "a list of at most 26 options")
    return {str(letter): str(text) for letter, text in value.items() if text is not None or isinstance(given, list)}


def _is_option(letter: Json, text: Json) -> bool:
    return len(str(letter)) <= 20 and str(letter).isprintable() and not isinstance(text, list | dict)
