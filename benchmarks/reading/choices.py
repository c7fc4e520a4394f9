"""Multiple-choice questions: the options of a row, the prompts in which the field asks them, a row's sample."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from ...evals.types import Json, Sample
from .answers import LETTER
from .cells import whole
from .options import options_of
from .rows import Row
from .scores import Read
from .suite import Asked, row_id

SHORT_LINE = "\nAnswer the question using a single word or phrase."
LETTER_LINE = "Answer with the option's letter from the given choices directly."


def prompt_of(preset: str, question: str, options: Mapping[str, str], hint: str | None = None) -> str:
    """Return the user text of a question with options.

    `janus-pr541`: VLMEvalKit f4646f72 vlm/janus.py; `vlmevalkit`: its generic prompt, which is
    MMBench's official one; `llava`: LLaVA c121f043 model_vqa_mmbench.py; `lmms-eval`: 75571cfe
    seedbench/utils.py.
    """
    lines = "".join(f"{letter}. {text}\n" for letter, text in options.items())
    if preset == "janus-pr541":
        ending = f"{lines}\n{LETTER_LINE}" if options else "Answer the question directly. "
        return f"\n{_before('Hint: ', hint)}{question}\n{ending}"
    if preset in ("official", "vlmevalkit"):
        return (
            f"{_before('Hint: ', hint)}Question: {question}\nOptions:\n{lines}"
            "Please select the correct answer from the options above. \n"
        )
    return f"{_before('', hint)}{question}\n{lines}{LETTER_LINE}"


def _before(label: str, hint: str | None) -> str:
    return f"{label}{hint}\n" if hint is not None else ""


# -- a suite of such questions ------------------------------------------------------------------------

GOLDS: Final = ("answer", "gold", "gt_answer")
CATEGORY: Final = {"category": ("category",)}
"""The tags of most such suites, and the columns that may hold them."""


def answer_of(row: Row, options: Mapping[str, str] | None, hint: str) -> str:
    """Return the letter of the right answer; a row may tell its option's place, from 0, instead."""
    answer = row.need(*GOLDS, hint=hint)
    letters, place = list(options or "ABCD"), whole(answer)
    if place is not None and 0 <= place < len(letters):
        return letters[place]
    if answer not in letters:
        raise row.wrong("answer", answer, f"one of the options {', '.join(letters)}")
    return answer


def choice(
    row: Row,
    asked: Asked,
    prompt: Callable[[Row, str], str],
    tags: Mapping[str, Sequence[str]] = CATEGORY,
    answer: Callable[[Row, Mapping[str, str] | None, str], str] = answer_of,
) -> Sample:
    """Return a row's sample; its target has the right letter as "answer", and "options", None where the table has none.

    `prompt` makes the text of a row in a preset, `answer` finds the right one.
    """
    options = options_of(row)
    labels = {name: row.label(*columns) for name, columns in tags.items()}
    return Sample(
        id=row_id(row),
        prompt=asked.text(lambda: prompt(row, asked.preset)),
        images=asked.pictures(row),
        target={"answer": None if asked.unanswered else answer(row, options, asked.hint), "options": options},
        tags={name: label for name, label in labels.items() if label is not None},
    )


def letter_read(letter: str | None, gold: str) -> Read:
    """Return what is made of a letter that a protocol read; None, "" and `Z` (a refusal) are wrong."""
    return letter or None, float(letter == gold), letter in (None, "", "Z")


def letter_vlmevalkit(text: str, target: Mapping[str, Json]) -> dict[str, Read]:
    """Return what VLMEvalKit reads in an answer; nothing where the table does not tell the options, which it needs."""
    options = target["options"]
    name = "vlmevalkit-2026"
    return {name: letter_read(LETTER[name](text, options), target["answer"])} if options is not None else {}
