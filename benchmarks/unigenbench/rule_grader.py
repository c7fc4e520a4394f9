"""A judge without a large model, for the embedded world: its VQA model answers the checkpoints' descriptions.

Its replies are marked with the model id `grader-rule-unigenbench-1`, and runs that use it carry `grader=rule`.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from ..judging.rule_server import serve
from ..wise.by_rule import answered
from .wording import CHINESE, ENGLISH

MODEL = "grader-rule-unigenbench-1"
_ASKED = re.compile(rf"(?:{ENGLISH.described}|{CHINESE.described}):\u300c\n(.*?)\n\u300d", re.DOTALL)


def answer(content: Any) -> str | None:
    """Return the reply to a request of UniGenBench's whose descriptions are questions; None for another."""
    found = _ASKED.search("\n".join(each["text"] for each in content if each["type"] == "text"))
    urls = [each["image_url"]["url"] for each in content if each["type"] == "image_url"]
    questions = [each.partition(": ")[2] for each in found[1].split("\n")] if found else []
    if not questions or len(urls) != 1 or not all(each.endswith("?") for each in questions):
        return None
    said = answered(urls[0], questions)
    return f"<analysis>{said}</analysis>\n<score>{[int(each == 'yes') for each in said]}</score>"


@cache
def start() -> str:
    """Start the server, once a process, and return its base URL."""
    return serve(answer, MODEL, "this grader reads UniGenBench's protocol about the embedded world only")
