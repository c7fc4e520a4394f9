"""MathVista as a judge's task: which answer a model's response holds; and what of that needs no judge.

The prompt is a protocol string, carried over as data: lupantech/MathVista 53d5258, evaluation/prompts/ext_ans.py
(CC BY-SA 4.0; lmms-eval has the same). The rules are a port of evaluation/extract_answer.py there.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ...evals.errors import UsageError
from ...evals.types import Json, Prediction, Sample
from ..judging.task import Ask, Verdict

DEMO: Final = """\
Please read the following example. Then extract the answer from the model response and type it at the end of \
the prompt.

Hint: Please answer the question requiring an integer answer and provide the final value, e.g., 1, 2, 3, at \
the end.
Question: Which number is missing?

Model response: The number missing in the sequence is 14.

Extracted answer: 14

Hint: Please answer the question requiring a floating-point number with one decimal place and provide the \
final value, e.g., 1.2, 1.3, 1.4, at the end.
Question: What is the fraction of females facing the camera?

Model response: The fraction of females facing the camera is 0.6, which means that six out of ten females in \
the group are facing the camera.

Extracted answer: 0.6

Hint: Please answer the question requiring a floating-point number with two decimal places and provide the \
final value, e.g., 1.23, 1.34, 1.45, at the end.
Question: How much money does Luca need to buy a sour apple candy and a butterscotch candy? (Unit: $)

Model response: Luca needs $1.45 to buy a sour apple candy and a butterscotch candy.

Extracted answer: 1.45

Hint: Please answer the question requiring a Python list as an answer and provide the final list, e.g., [1, \
2, 3], [1.2, 1.3, 1.4], at the end.
Question: Between which two years does the line  graph saw its maximum peak?

Model response: The line graph saw its maximum peak between 2007 and 2008.

Extracted answer: [2007, 2008]

Hint: Please answer the question and provide the correct option letter, e.g., A, B, C, D, at the end.
Question: What fraction of the shape is blue?
Choices:
(A) 3/11
(B) 8/11
(C) 6/11
(D) 3/5

Model response: The correct answer is (B) 8/11.

Extracted answer: B\
"""
_QUOTED: Final = re.compile(r'The answer is "(.*)"\.')


def extracted(text: str, target: Mapping[str, Json], *, quick: bool = True) -> str | None:
    """Return the answer that the official rules read without a language model: an option as it stands, a number alone,
    with --quick_extract (`quick`) The answer is "...". None where one is asked; nothing said is an empty answer."""
    if not text or text in target["choices"]:
        return text
    for kind, number in (("integer", int), ("float", float)):
        if target["answer_type"] == kind:
            try:
                return str(number(text))
            except ValueError:
                pass
    found = _QUOTED.search(text) if quick else None
    return found[1] if found else None


@dataclass(frozen=True, slots=True)
class Extractor:
    """The judge's task. `sample.target` holds "query", "choices" and "answer_type".

    An answer that the rules read is not asked about. The verdict is the reply, the extracted answer.
    """

    name: str = "mathvista"

    @property
    def digest(self) -> str:
        return hashlib.sha256(DEMO.encode()).hexdigest()[:8]

    def stand_in(self) -> str:
        raise UsageError(f"judge: no rule stands in for the judge of {self.name}; give --judge MODEL")

    def step(self, sample: Sample, prediction: Prediction, replies: Sequence[str]) -> Ask | Verdict:
        text = prediction.text or ""
        found = extracted(text, sample.target)
        if found is not None:
            return Verdict(found, "read without the judge")
        if replies:
            return Verdict(replies[-1])
        return Ask(f"{DEMO}\n\n{sample.target['query']}\n\n{text}\n\nExtracted answer: ")


EXTRACTOR = Extractor()
