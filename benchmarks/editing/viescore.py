"""VIEScore's rules as GEdit-Bench has them, pure: what a judge's reply says, and how grades become a score.

Port of stepfun-ai/Step1X-Edit 570eba6, GEdit-Bench/viescore/utils.py (mllm_output_to_dict, fix_json) and
viescore/__init__.py (evaluate), Apache-2.0; but a grade that cannot be read is none, where the original draws one at
random from 0 to 10 at its second try.
"""

from __future__ import annotations

import json
import math
import re
from typing import Final

from ...evals.types import Json

BEST: Final = 10.0
_MARK: Final = "||V^=^V||"
_LIST: Final = re.compile(r"\[\d+, ?\d+\]")
_NUMBER: Final = re.compile(r"-?\d+(\.\d+)?")
_WORD: Final = re.compile(r"true|false|null", re.IGNORECASE)


def said(reply: str) -> Json:
    """Return what stands under "score" in a reply, a list but where the makers' repair gives another; None for none.

    The reply is JSON, between two marks or from the first brace to the last; or a bare list of two whole numbers; or
    a whole number alone.
    """
    if reply.count(_MARK) == 2:
        start, end = reply.find(_MARK) + len(_MARK), reply.rfind(_MARK)
    else:
        start, end = reply.find("{"), reply.rfind("}") + 1
        if start == -1 or end == 0:
            return _bare(reply)
    if start == end:
        return None
    text = reply[start:end].strip().replace("\n", "")
    try:
        found = json.loads(text)
        score = found["score"]
    except (ValueError, KeyError, TypeError, IndexError, RecursionError):
        return _mended(text)
    return score if isinstance(score, list) else [score]


def _bare(reply: str) -> Json:
    start, end = reply.find("["), reply.rfind("]") + 1
    try:
        if _LIST.fullmatch(reply[start:end]):
            return json.loads(reply[start:end])
        number = int(reply)
    except ValueError:
        return None
    return [number] if 0 <= number <= BEST else None


def _mended(text: str) -> Json:
    """Return the score of what is nearly JSON: names without quotes, texts without quotes, a number alone."""

    def cell(match: re.Match[str]) -> str:
        key, value, end = match.groups()
        value = value.strip()
        if _NUMBER.fullmatch(value):
            value = f"[{value}]"
        elif not _WORD.fullmatch(value):
            value = f'"{value}"'
        return f"{key}: {value}{end}"

    try:
        found = json.loads(re.sub(r'(".*?"):(.*?)(,|})', cell, re.sub(r"(\w+):", r'"\1":', text)))
        return found["score"]
    except (ValueError, KeyError, TypeError, IndexError, RecursionError):
        return None


def grade(reply: str) -> float | None:
    """Return the least of a reply's grades; None where they are no numbers from 0 to 10."""
    found = said(reply)
    if not isinstance(found, list) or not found:
        return None
    if not all(type(each) in (int, float) and 0 <= each <= BEST for each in found):
        return None
    return float(min(found))


def overall(semantics: float, quality: float) -> float:
    """Return the score of an edit, 0 to 10: the root of the product."""
    return math.sqrt(semantics * quality)
