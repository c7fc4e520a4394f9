"""MMMU's reader of free text: an option letter, or the numbers and phrases of an open answer.

Port of MMMU-Benchmark/MMMU bb0b95a9 mmmu/utils/eval_utils.py (Apache-2.0) and of lmms-eval's copy
(75571cfe, tasks/_task_utils/mmmu_mcq_utils.py). Where the originals draw a random letter these
functions return None: the caller draws, and counts the draw.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

Value: TypeAlias = "str | float"


def option_official(text: str, letters: Sequence[str], options: Mapping[str, str]) -> str | None:
    """Return the letter that the official parser reads, None where it would guess.

    Candidates are letters written as "(X)", else as " X ", else, in a response of more than five
    words, options whose text occurs; of several the one that occurs last.
    """
    padded = _padded(text)
    for form in ("({})", " {} "):
        found = [letter for letter in letters if form.format(letter) in padded]
        if found:
            return _last(padded, found, [form.format(letter) for letter in found])
    return _by_text(padded, options)


def option_lmms(text: str, letters: Sequence[str], options: Mapping[str, str]) -> str | None:
    """Return the letter that lmms-eval's copy reads: "X " without a space before, and "X." count too."""
    padded = _padded(text)
    for form in ("({})", "{} ", "{}."):
        found = [letter for letter in letters if form.format(letter) in padded]
        if found:
            # Of several the original looks for the last " X " even where it found "X " or "X.".
            rank = "({})" if form == "({})" else " {} "
            return _last(padded, found, [rank.format(letter) for letter in found])
    return _by_text(padded, options)


def option_pro(text: str, options: Mapping[str, str]) -> str | None:
    """Return the letter behind the last "Answer:", where it is one, else as lmms-eval's copy of MMMU's parser; None
    where it would guess (mmmu-pro/evaluate.py)."""
    _, said, tail = text.rpartition("Answer:")
    named = [letter for letter in options if letter in tail] if said else []
    return named[0] if len(named) == 1 else option_lmms(text, list(options), options)


def open_values(text: str) -> list[Value]:
    """Return what the official parser reads out of an open answer: numbers first, then phrases."""
    phrases = _key_phrases(text)
    raw = [*phrases, *(number for phrase in phrases for number in _numbers(phrase))]
    values = {value for each in raw for value in normalised(each)}
    return sorted(values, key=lambda value: (isinstance(value, str), str(value)))


def open_correct(values: Sequence[Value], gold: str | Sequence[str]) -> bool:
    """Return whether a number read equals a gold number, or a gold phrase stands in a phrase read."""
    golds = [value for each in ([gold] if isinstance(gold, str) else gold) for value in normalised(each)]
    phrases = [each for each in golds if isinstance(each, str)]
    for value in values:
        if isinstance(value, str):
            if any(phrase in value for phrase in phrases):
                return True
        elif value in golds:
            return True
    return False


def open_correct_lmms(values: Sequence[Value], gold: str | Sequence[str]) -> bool:
    """Return lmms-eval's verdict at 75571cfe: the first value is compared character by character.

    A normalised gold phrase has no character or at least two, so that only an empty one can stand
    in a character (lmms-eval#1436).
    """
    golds = [value for each in ([gold] if isinstance(gold, str) else gold) for value in normalised(each)]
    return "" in golds and any(str(value) for value in values)


def normalised(text: str) -> list[Value]:
    """Return a number rounded to two decimals, a lowered phrase, or a single character with a space."""
    stripped = text.strip()
    try:
        return [round(float(stripped.replace(",", "")), 2)]
    except ValueError:
        lowered = stripped.lower()
        return [" " + lowered, lowered + " "] if len(lowered) == 1 else [lowered]


_COMMA_NUMBER: Final = re.compile(r"-?\b\d{1,3}(?:,\d{3})+\b")
_SCIENTIFIC: Final = re.compile(r"-?\d+(?:\.\d+)?[eE][+-]?\d+")
_PLAIN_NUMBER: Final = re.compile(r"-?(?:\d+\.\d+|\.\d+|\d+\b)(?![eE][+-]?\d+)(?![,\d])")
_PIECES: Final = re.compile(r"\.\s(?=[A-Z])|\n")
_KEYS: Final = ("could be ", "so ", "is ", "thus ", "therefore ", "final ", "answer ", "result ")
_TRIVIAL: Final = frozenset(":,.!?;'")


def _padded(text: str) -> str:
    for mark in ",.!?;:'":
        text = text.strip(mark)
    return f" {text} "


def _last(text: str, letters: Sequence[str], marks: Sequence[str]) -> str:
    places = [text.rfind(mark) for mark in marks]
    return letters[places.index(max(places))]


def _by_text(padded: str, options: Mapping[str, str]) -> str | None:
    if len(padded.split()) <= 5:
        return None
    lowered = padded.lower()
    found = [letter for letter, option in options.items() if option.lower() in lowered]
    return _last(lowered, found, [options[letter].lower() for letter in found]) if found else None


def _numbers(text: str) -> list[str]:
    return [*_COMMA_NUMBER.findall(text), *_SCIENTIFIC.findall(text), *_PLAIN_NUMBER.findall(text)]


def _key_phrases(text: str) -> list[str]:
    """Return for each piece of the answer its shortest tail after a key word; without any, the whole."""
    whole = text.strip().strip(".").lower()
    pieces = _PIECES.split(whole)
    phrases: list[str] = []
    for number, piece in enumerate(pieces):
        # Only the last piece may be an equation.
        keys = (*_KEYS, "=") if number == len(pieces) - 1 else _KEYS
        tails = [piece.rpartition(key)[2].strip() for key in keys if key in piece]
        # The original keeps the first tail and replaces it by a shorter one; an empty tail counts
        # as none found yet, so that a later one, however long, takes its place.
        shortest = ""
        for tail in tails:
            if not shortest or len(tail) < len(shortest):
                shortest = tail
        if shortest and shortest not in _TRIVIAL:
            phrases.append(shortest)
    return phrases or [whole]
