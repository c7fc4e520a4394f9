"""A judge without a large model, for the embedded world: its VQA model answers TIIF-Bench's questions.

Its replies are marked with the model id `grader-rule-tiif-1`, and runs that use it carry `grader=rule`.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from ..judging.rule_server import serve
from ..wise.by_rule import answered

MODEL = "grader-rule-tiif-1"
_ASKED = re.compile(r"\nQuestions:\n(.*?)\n\n(?:Note that|Instructions):\n", re.DOTALL)


def answer(content: Any) -> str | None:
    """Return the reply to a request of TIIF-Bench's, a line a question; None for one that is none."""
    found = _ASKED.search("\n".join(each["text"] for each in content if each["type"] == "text"))
    urls = [each["image_url"]["url"] for each in content if each["type"] == "image_url"]
    if found is None or len(urls) != 1:
        return None
    return "\n".join(f"{said}, as the VQA model sees it" for said in answered(urls[0], found[1].split("\n")))


@cache
def start() -> str:
    """Start the server, once a process, and return its base URL."""
    return serve(answer, MODEL, "this grader reads TIIF-Bench's protocol about the embedded world only")
