"""A grader without a model: a local OpenAI-compatible server that grades MM-Vet's prompts by rule.

It stands in for a judge where there is none (the toy world, a dry run of the judge path). Its
replies are marked with the model id `grader-rule-1`, and runs that use it carry `grader=rule`.
"""

from __future__ import annotations

import re
from functools import cache

from ..judging.rule_server import serve
from .prompt import AGAIN, TABLE

MODEL = "grader-rule-1"


def grade(expected: str, prediction: str) -> float:
    """Return the share of the expected elements that stand in the prediction as whole words.

    <AND> joins elements that are all needed, <OR> alternatives of which one is enough. Case,
    articles and punctuation do not count. The share is rounded to a tenth, as a judge would say it.
    """
    said = f" {_words(prediction)} "
    choices = [[_words(each) for each in choice.split("<AND>")] for choice in expected.split("<OR>")]
    shares = [sum(bool(each) and f" {each} " in said for each in choice) / len(choice) for choice in choices]
    return round(max(shares), 1)


def answer(prompt: str) -> str | None:
    """Return the reply to a grader's prompt, or None where it is not MM-Vet's.

    The row is `question | expected | prediction | `; a question with a bar in it cannot be told
    apart from its answer, and is refused too.
    """
    if not prompt.startswith(TABLE + "\n"):
        return None
    row = prompt[len(TABLE) + 1 :].removesuffix(AGAIN).removesuffix(" | ")
    fields = row.split(" | ")
    if len(fields) < 3:
        return None
    return f"{grade(fields[1], ' | '.join(fields[2:])):.1f}"


def _words(text: str) -> str:
    found = re.findall(r"-?\d+(?:\.\d+)?|\w+", text.lower())
    return " ".join(each for each in found if each not in ("a", "an", "the"))


@cache
def start() -> str:
    """Start the server, once a process, and return its base URL."""
    return serve(answer, MODEL, "this grader reads MM-Vet's grading prompt only")
