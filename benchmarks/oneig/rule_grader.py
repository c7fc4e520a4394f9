"""A judge without a large model, for the embedded world: its VQA model answers questions, and names what it sees.

The things that it names stand for text, which the embedded world has none of. Its replies are marked with the model id
`grader-rule-oneig-1`, and runs that use it carry `grader=rule`.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from ..judging.rule_server import serve
from ..wise.by_rule import answered
from .wording import ANSWER, TRANSCRIBE

MODEL = "grader-rule-oneig-1"


def answer(content: Any) -> str | None:
    """Return the reply to a request of OneIG-Bench's; None for one that is none."""
    from ..toy.world import NAMES, with_article

    asked = "\n".join(each["text"] for each in content if each["type"] == "text")
    urls = [each["image_url"]["url"] for each in content if each["type"] == "image_url"]
    if len(urls) != 1:
        return None
    if asked == TRANSCRIBE:
        said = answered(urls[0], [f"Is there {with_article(name)}?" for name in NAMES])
        seen = [name for name, each in zip(NAMES, said, strict=True) if each == "yes"]
        return " ".join(seen) or "No text recognized."
    if not asked.endswith(f"?{ANSWER}"):
        return None
    return answered(urls[0], [asked.removesuffix(ANSWER)])[0].capitalize()


@cache
def start() -> str:
    """Start the server, once a process, and return its base URL."""
    return serve(answer, MODEL, "this grader reads OneIG-Bench's protocol about the embedded world only")
