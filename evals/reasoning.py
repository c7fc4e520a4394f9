"""What a thinking model writes before its answer: the marks around it, and the answer that follows them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from .blanks import shows
from .types import Prediction

NO_ANSWER: Final = "no answer: its reasoning is not closed, or nothing follows it"
"""Why an output without an answer has no verdict."""
_WORDS: Final = "think|thinking|thought|thoughts|reason|reasoning|reflection|scratchpad|seed:think"
"""Not `analysis`: judges are asked for that part of a verdict by name (UniGenBench)."""
_OPEN: Final = re.compile(
    rf"<\s*(?:{_WORDS})\s*>|\[think\]|◁think▷|<\|begin_of_thought\|>|<\|channel\|>analysis<\|message\|>", re.IGNORECASE
)
_CLOSE: Final = re.compile(
    rf"</\s*(?:{_WORDS})\s*>|\[/think\]|◁/think▷|<\|end_of_thought\|>|<\|channel\|>final<\|message\|>", re.IGNORECASE
)
_BEGIN: Final = re.compile(
    r"\s*(?:</?(?:seed:)?(?:think|reason)|◁think|\[think|<\|(?:begin_of_thought|channel))", re.IGNORECASE
)


def answer_after(text: str) -> str | None:
    """Return what follows the last closing mark, without the blanks before it; a text without marks as it is.

    An opening mark may be missing: chat templates write it into the prompt. None where reasoning is begun and
    not closed, or nothing follows it: the text holds no answer.
    """
    rest = _rest(text)
    if _OPEN.search(rest) or (len(rest) < len(text) and not shows(rest)):
        return None
    return rest.lstrip() if len(rest) < len(text) else text


def _rest(text: str) -> str:
    ends = [each.end() for each in _CLOSE.finditer(text)]
    return text[ends[-1] :] if ends else text


def begins(token: str) -> bool:
    """Return whether a reply's first token, which may hold a part of a mark alone, begins reasoning."""
    return _BEGIN.match(token) is not None


def read(prediction: Prediction, *, strip: bool) -> Prediction:
    """Return the prediction with what `reasoning` says of its text; with `strip` the text is what follows it.

    The text is None where there is no answer. An output without marks is returned as it is.
    """
    text = prediction.text
    if text is None or not (_OPEN.search(text) or _CLOSE.search(text)):
        return prediction
    answer = answer_after(text)
    found = replace(prediction, reasoning="unclosed" if _OPEN.search(_rest(text)) else "closed")
    return replace(found, text=answer) if strip else found


def counted(predictions: Iterable[Prediction], *, strip: bool) -> Mapping[str, int]:
    """Return how many answers hold reasoning, kept or stripped, and in how many it is unclosed; {} where none does."""
    found = [each.reasoning for each in predictions if each.reasoning]
    if not found:
        return {}
    return {"stripped" if strip else "kept": len(found), "unclosed": found.count("unclosed")}
