"""Multiple-choice questions: the options of a row, and the prompts in which the field asks them."""

from __future__ import annotations

import string
from collections.abc import Mapping

from ...evals.types import Json
from .cells import listed
from .rows import Row

SHORT_LINE = "\nAnswer the question using a single word or phrase."
LETTER_LINE = "Answer with the option's letter from the given choices directly."


def options_of(row: Row) -> dict[str, str] | None:
    """Return a row's options by letter, None where the row has no column for them.

    Taken from `index2ans` or `choices` (an object or a list), `options` (a list, or a text that
    holds one), the columns A, B, ... or choice_a, choice_b, ... Empty ones and "nan" are left out.
    """
    for name in ("index2ans", "choices", "options"):
        value = row.find(name)
        if value is not None:
            return lettered(row, name, value)
    for letters in (string.ascii_uppercase, [f"choice_{letter}" for letter in string.ascii_lowercase]):
        if any(letter in row.fields for letter in letters[:2]):
            found = {string.ascii_uppercase[at]: row.words(name) for at, name in enumerate(letters)}
            return {letter: text for letter, text in found.items() if text is not None}
    return None


def lettered(row: Row, column: str, value: Json) -> dict[str, str]:
    """Return options given as an object, a list, or a text that holds a list, by letter."""
    given = value
    if isinstance(value, str):
        try:
            value = listed(value)
        except ValueError as error:
            raise row.wrong(column, given, "a list of options") from error
    if isinstance(value, list):
        value = dict(zip(string.ascii_uppercase, value, strict=False)) if len(value) <= 26 else None
    if not isinstance(value, dict) or len(value) > 26 or not all(_is_option(*each) for each in value.items()):
        raise row.wrong(column, given, "a list of at most 26 options")
    return {str(letter): str(text) for letter, text in value.items() if text is not None or isinstance(given, list)}


def _is_option(letter: Json, text: Json) -> bool:
    return len(str(letter)) <= 20 and str(letter).isprintable() and not isinstance(text, list | dict)


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
