"""What a row of answers made elsewhere says of its request: it failed, a filter took the answer, the limit cut it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from ...evals.blanks import shows, without_tokens
from ...evals.endpoint.replies import BROKEN, ended_as
from ...evals.errors import UsageError
from ...evals.types import Json
from .cells import missing, nowhere, shown
from .rows import Row

MARKS: Final = ("Failed to obtain answer via API", "[LMMS_EVAL_REQUEST_FAILED")
"""How harnesses begin what they write in the place of an answer that did not come: open-compass/VLMEvalKit e8e78f05,
vlmeval/api/base.py (fail_msg); EvolvingLMMs-Lab/lmms-eval 75571cfe, its models behind an API."""
_NANS: Final = frozenset(("nan", "NaN"))
"""What pandas and JavaScript write in the place of no value."""
_ERRORS: Final = ("error", "exception")
_ENDS: Final = ("finish_reason", "stop_reason", "finish")
_MODELS: Final = ("model_id", "model")
_LONGEST: Final = 120
_NO_ERROR: Final = frozenset(("false", "no", "-", "n/a", "ok", "{}", "[]"))
_NUMBER: Final = re.compile(r"\s*[-+]?[\d.]+\s*")


def text_that_came(row: Row, text_of: Callable[[Row], str]) -> str:
    """Return a row's answer. Raises UsageError where it, or the row, says that none came: that is never a wrong one."""
    name = next((each for each in _ERRORS if _tells(row.fields.get(each))), None)
    if name is not None:
        raise UsageError(f"{row.where}: its request failed (column {name!r}: {_words(row.fields[name])})")
    text = text_of(row)
    if text.lstrip().startswith(MARKS):
        raise UsageError(f"{row.where}: its request failed: {shown(text.strip()[:_LONGEST])}")
    if text.strip() in _NANS:
        raise UsageError(f"{row.where}: its answer is {text.strip()}: what a table writes where there was none")
    finish = _finish(row)
    if ended_as(finish) in ("content_filter", BROKEN):
        raise UsageError(f"{row.where}: the service left the answer off ({shown(finish)})")
    return text


def cut(rows: Sequence[Row]) -> dict[str, Json]:
    """Return what is said of answers that their rows call cut by a limit of tokens; {} where none is."""
    count = sum(ended_as(_finish(row)) == "length" for row in rows)
    told = f"{count:,} of {len(rows):,} answers end at the token limit and are scored as they are"
    return {"cut": told} if count else {}


def blank(texts: Sequence[str]) -> dict[str, Json]:
    """Return what is said of answers without a word; {} where none is.

    A model may say nothing; lmms-eval and others write the same where a request failed.
    """
    count = sum(not shows(each) for each in texts)
    return {"blank": f"{count:,} of {len(texts):,} answers hold no word and are scored as they are"} if count else {}


def tokens(texts: Sequence[str]) -> dict[str, Json]:
    """Return what is said of answers around which a chat template's tokens were left; {} where none were."""
    count = sum(shows(each) and without_tokens(each) != each for each in texts)
    told = f"{count:,} of {len(texts):,} answers hold a chat template's tokens and are scored as they are"
    return {"tokens": told} if count else {}


def models(rows: Sequence[Row]) -> dict[str, Json]:
    """Return how many answers are whose, where the rows name more than one model; {} where they do not."""
    named = (next((row.fields[each] for each in _MODELS if isinstance(row.fields.get(each), str)), "") for row in rows)
    found: Mapping[str, int] = Counter(str(each)[:_LONGEST] or "no name" for each in named)
    return {"models": dict(found)} if len(found) > 1 else {}


def _tells(value: Json) -> bool:
    """Return whether a cell tells of a failure: a text, an object or a list that holds something, or a true."""
    if isinstance(value, str):
        return not nowhere(value) and value.strip().lower() not in _NO_ERROR and _NUMBER.fullmatch(value) is None
    return value is True or (isinstance(value, dict | list) and bool(value))


def _words(value: Json) -> str:
    inner = value.get("message") if isinstance(value, dict) else None
    return shown(str(value if missing(inner) else inner)[:_LONGEST])


def _finish(row: Row) -> str:
    return next((str(row.fields[each])[:40] for each in _ENDS if isinstance(row.fields.get(each), str)), "")
