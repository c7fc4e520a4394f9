"""What MMMU-Pro is asked in each preset, and with which pictures.

The texts are protocol strings, carried over as data: MMMU-Benchmark/MMMU bb0b95a9 mmmu-pro/prompts.yaml and
infer/infer_gpt.py, VLMEvalKit e8e78f05 MMMUProDataset, lmms-eval 75571cfe mmmu_pro.
"""

from __future__ import annotations

import re
from typing import Final

from ...evals.types import Picture
from ..reading.options import options_of
from ..reading.rows import Row
from ..reading.suite import Asked

_MARKER: Final = re.compile(r"<image\s+(\d{1,2})>", re.ASCII)
_LETTER: Final = "Answer with the option letter from the given choices directly."
_LAST: Final = (
    "The last line of your response should be of the following format: 'Answer: $LETTER' (without quotes) where LETTER"
    " is one of options."
)
_STEPS: Final = " Think step by step before answering."
_SEEN: Final = {
    "official": f"{_LETTER} {_LAST}",
    "cot": f"Write out the multiple-choice question in the image and then solve it. {_LAST}{_STEPS}",
    "vlmevalkit": "Answer the following multiple-choice question in the image. "
    "Answer directly with the option letter from the given choices. ",
    "lmms-eval": _LETTER,
}
"""What is asked about a screenshot: mmmu-pro/prompts.yaml (direct and cot), and the tools' own."""


def prompt(row: Row, preset: str) -> str:
    """Return the text of a question with its options; where it names pictures, `official` has <image> alone."""
    question, options = row.text("question"), options_of(row) or {}
    lines = "\n".join(f"{letter}. {text}" for letter, text in options.items())
    if preset == "vlmevalkit":
        return (
            f"Question: {question}\nOptions:\n{lines}\nAnswer directly with the option letter from the given choices. "
        )
    if preset == "lmms-eval":
        return f"{question}\n{lines}\n\n{_LETTER}"
    ask = _LETTER if preset == "official" else f"Answer the preceding multiple choice question. {_LAST}{_STEPS}"
    return _MARKER.sub("<image>", f"{question}\n{lines}") + f"\n{ask}"


def prompt_seen(row: Row, preset: str) -> str:
    """Return what is asked about a screenshot, which holds the question itself."""
    del row
    return _SEEN[preset]


def pictures(row: Row, asked: Asked) -> tuple[Picture, ...]:
    """Return the pictures: for the official presets as often as the text names them, in its order."""
    named = _MARKER.findall("\n".join([row.words("question") or "", *(options_of(row) or {}).values()]))
    if asked.preset == "vlmevalkit" or "image_1" not in row.fields:
        return asked.pictures(row)
    named = sorted(set(named)) if asked.preset == "lmms-eval" else named
    return asked.pictures(row, [f"image_{int(each)}" for each in named])
