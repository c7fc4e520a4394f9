"""Texts that say nothing: blanks, characters that show nothing, the tokens of a chat template."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_UNSEEN: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Fillers that Unicode counts among letters, marks and symbols: those of Hangul, the empty cell of braille."""
_SELECTORS: Final = re.compile("[\u180b-\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef]")
_ROLE: Final = r"(?:<\|(?:im_start|start_header_id)\|>|<start_of_turn>)[ \t]*(?:assistant|model)?"
_TOKEN: Final = re.compile(
    rf"{_ROLE}|<\|[^<>|\s]{{1,40}}\|>|<｜[^<>｜\s]{{1,40}}｜>|</?s>|<(?:pad|unk|eos|bos|end_of_turn|end_of_utterance)>",
)


def shows(text: str) -> bool:
    """Return whether a text says anything to a reader, be it a sign: blanks, fillers and a template's tokens do not."""
    return any(map(_is_seen, without_tokens(text)))


def without_tokens(text: str) -> str:
    """Return a text without the tokens that a chat template writes around an answer."""
    return _TOKEN.sub("", text) if "<" in text else text


def _is_seen(char: str) -> bool:
    if char.isascii() and char.isprintable():
        return char != " "
    hidden = char.isspace() or char in _UNSEEN or unicodedata.category(char) in ("Cc", "Cf")
    return not hidden and _SELECTORS.fullmatch(char) is None
