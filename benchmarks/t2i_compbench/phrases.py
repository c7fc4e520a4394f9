"""The noun phrases of a prompt: those of the makers' prompts as kept here, or spaCy's own."""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

from ...evals.errors import EnvironmentProblem, UsageError

MODEL: Final = "en_core_web_sm"
KEPT: Final = f"{MODEL}-3.8.0"
"""Whose phrases spans.txt holds: MIT, Explosion; spaCy 3.8. The makers' requirements name 3.5.0."""
PASSED_OVER: Final = ("top", "the side", "the left", "the right")
"""Phrases that are no question, with this writing alone."""
MOST: Final = 8
"""Phrases asked about a picture: what a prompt has beyond them is not looked at."""


@cache
def _spans() -> Mapping[str, Sequence[tuple[int, int]]]:
    """Return first and last places (the last not within) of each phrase, by the start of the prompt's SHA-256."""
    found: dict[str, Sequence[tuple[int, int]]] = {}
    for line in Path(__file__).with_name("spans.txt").read_text(encoding="ascii").splitlines():
        key, *places = line.split()
        found[key] = [(int(start), int(end)) for start, _, end in (each.partition("-") for each in places)]
    return found


def kept(prompt: str) -> list[str]:
    """Return the phrases of one of the makers' 900 prompts. Raises UsageError for another."""
    spans = _spans().get(hashlib.sha256(prompt.encode()).hexdigest()[:12])
    if spans is None:
        raise UsageError(
            f"t2i_compbench: {prompt!r:.80} is no prompt of its makers: give its table a column phrases, or say "
            f"--phrases spacy (pip install spacy, python -m spacy download {MODEL})"
        )
    return [prompt[start:end] for start, end in spans]


def by_spacy() -> tuple[Callable[[str], list[str]], str]:
    """Return a function that finds a prompt's phrases, and the model and version that it asks.

    Raises EnvironmentProblem where spaCy or its model is not installed.
    """
    try:
        spacy: Any = importlib.import_module("spacy")
        language: Any = spacy.load(MODEL)
    except (ImportError, OSError) as error:
        what = " ".join(str(error).split())[:120]
        ways = f"pip install spacy and python -m spacy download {MODEL}, or leave out --phrases spacy"
        raise EnvironmentProblem(f"t2i_compbench: no {MODEL} here ({what}): {ways}") from error

    def phrases(prompt: str) -> list[str]:
        return [each.text for each in language(prompt).noun_chunks if each.text not in PASSED_OVER]

    return phrases, f"{MODEL}-{language.meta['version']}"
