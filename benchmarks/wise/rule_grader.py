"""A judge without a large model, for the embedded world: its VQA model answers the questions in an explanation.

Its replies are marked with the model id `grader-rule-wise-1`, and runs that use it carry `grader=rule`.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from ..judging.rule_server import serve
from .by_rule import answered

MODEL = "grader-rule-wise-1"
_ASKED = re.compile(r'^PROMPT: "(.*)"\nEXPLANATION: "(.*)"$', re.MULTILINE)


def answer(content: Any) -> str | None:
    """Return the reply to a request of WISE's; None for one that is none or whose explanation asks nothing.

    All questions answered yes is 2 (or Score: 1), none 0, else 1 (or Score: 0). The rule has no taste: it repeats the
    grade of consistency for realism and aesthetic quality.
    """
    texts = [each["text"] for each in content if each["type"] == "text"]
    urls = [each["image_url"]["url"] for each in content if each["type"] == "image_url"]
    found = _ASKED.findall("\n".join(texts))
    questions = re.findall(r"[A-Z][^.?]*\?", found[-1][1]) if found else []
    if not questions or len(urls) != 1:
        return None
    yes = answered(urls[0], questions).count("yes")
    if "Score: 0" in texts[0]:
        return f"Score: {int(yes == len(questions))}"
    grade = 2 if yes == len(questions) else 1 if yes else 0
    return f"Consistency: {grade}\nRealism: {grade}\nAesthetic Quality: {grade}"


@cache
def start() -> str:
    """Start the server, once a process, and return its base URL."""
    return serve(answer, MODEL, "this grader reads WISE's protocols about the embedded world only")
