"""Readers of free text: what each protocol takes for yes or no, for an option letter, for a short answer.

Every reader is a pure function of the response (and the options). The protocols are named as in
the metric keys: `official`, `vlmevalkit-2024` (open-compass/VLMEvalKit f4646f72, the commit that
merged the Janus authors' pull request), `vlmevalkit-2026` (e8e78f05), `lmms-eval`
(EvolvingLMMs-Lab/lmms-eval 75571cfe). None means: read nothing.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Mapping
from typing import Final

PROTOCOLS: Final = ("official", "vlmevalkit-2024", "vlmevalkit-2026", "lmms-eval")

# -- yes or no ----------------------------------------------------------------------------------------


def yes_no_pope(text: str) -> str:
    """Return `no` where the first sentence holds the token No, no or not, else `yes`.

    Port of RUCAIBox/POPE 3df3ba1b evaluate.py: text before the first full stop, commas deleted,
    split on single spaces. Everything else, an empty answer too, is a yes.
    """
    words = text.partition(".")[0].replace(",", "").split(" ")
    return "no" if {"No", "no", "not"} & set(words) else "yes"


def yes_no_mme(text: str) -> str:
    """Return `yes`, `no` or `other` as MME's calculation.py does: by the first four characters.

    Port of BradyFU/Awesome-Multimodal-Large-Language-Models, branch Evaluation dd295090.
    """
    return _first_four(text.lower())


def yes_no_mme_lmms(text: str) -> str:
    """Return `yes`, `no` or `other` as lmms-eval's mme/utils.py: stripped, no full stops, y and n count."""
    lowered = text.lower().strip().replace(".", "")
    if len(lowered) == 1:
        return {"y": "yes", "n": "no"}.get(lowered, "other")
    return _first_four(lowered)


def yes_no_pope_lmms(text: str) -> str:
    """Return the lowered, stripped response, which lmms-eval's pope/utils.py compares as a whole."""
    return text.lower().strip()


def yes_no_vlmevalkit_2024(text: str) -> str:
    """Return `Yes`, `No` or `Unknown` as VLMEvalKit f4646f72 utils/yorn.py: by whole words."""
    return _yes_no_words(text, _STOP_2024)


def yes_no_vlmevalkit_2026(text: str) -> str:
    """Return `Yes`, `No` or `Unknown` as VLMEvalKit e8e78f05 utils/yorn.py: by whole words."""
    return _yes_no_words(text, _STOP_2026)


def says_yes_or_no(text: str) -> bool:
    """Return whether a yes, a no or a not stands in the text as a word of its own, in any case."""
    return _YES_NO_WORD.search(text) is not None


_YES_NO_WORD: Final = re.compile(r"\b(?:yes|no|not)\b", re.IGNORECASE)
_CLEARED: Final = ';/[]"{}()=+\\_-><@`,?!'
_DIGIT_COMMA_DIGIT: Final = re.compile(r"\d,\d")
_STOP_2024: Final = re.compile(r"\.(?!\d)")
_STOP_2026: Final = re.compile(r"(?<!\d)\.(?!\d)")
_MOST_STOPS: Final = 32
"""The originals pass re.UNICODE (32) where re.sub takes the count: later full stops stay."""


def _first_four(lowered: str) -> str:
    if lowered in ("yes", "no"):
        return lowered
    head = lowered[:4]
    return "yes" if "yes" in head else "no" if "no" in head else "other"


def _yes_no_words(text: str, stop: re.Pattern[str]) -> str:
    words = clear_punctuation(text.lower(), stop).split()
    if ("yes" in words) == ("no" in words):
        return "Unknown"
    return "Yes" if "yes" in words else "No"


def clear_punctuation(text: str, stop: re.Pattern[str]) -> str:
    """Return `text` without punctuation, by the VQA rule of VLMEvalKit's smp/misc.py.

    A mark that stands beside a space anywhere is deleted everywhere, else it becomes a space;
    one digit-comma-digit makes all of them deleted.
    """
    delete_all = _DIGIT_COMMA_DIGIT.search(text) is not None
    cleared = text
    for mark in _CLEARED:
        if mark in text:
            beside_space = mark + " " in text or " " + mark in text
            cleared = cleared.replace(mark, "" if delete_all or beside_space else " ")
    return stop.sub("", cleared, count=_MOST_STOPS)


# -- an option letter ---------------------------------------------------------------------------------


def letter_exact(text: str) -> str | None:
    """Return the response where it is nothing but one of A to D (LLaVA's SEED-Bench script, c121f043)."""
    return text if text in ("A", "B", "C", "D") else None


def letter_first(text: str) -> str:
    """Return the first character of the stripped response (lmms-eval seedbench/utils.py)."""
    return text.strip()[:1]


def letter_vlmevalkit_2024(text: str, options: Mapping[str, str]) -> str | None:
    """Return a letter, `Z` for a refusal, or None, as can_infer of VLMEvalKit f4646f72 does."""
    letter = _letter_token(text, options)
    return letter if letter is not None else _only_option_within(text, options)


def letter_vlmevalkit_2026(text: str, options: Mapping[str, str]) -> str | None:
    """Return a letter, `Z` for a refusal, or None, as can_infer of VLMEvalKit e8e78f05 does.

    A letter counts only where its first occurrence is among the last four tokens; "answer is X"
    is read too; an answer longer than twice all option texts is not searched for them.
    """
    letter = _letter_token(text, options, among_last=4)
    if letter is None and _API_FAILURE not in text:
        said = _ANSWER_IS.search(text)
        letter = said.group(1).upper() if said else None
        letter = letter if letter in options else None
    if letter is not None:
        return letter
    if len(text.lower()) > 2 * sum(map(len, options.values())):
        return None
    return _only_option_within(text, options)


def letter_lmms(text: str, options: Mapping[str, str]) -> str | None:
    """Return a letter A to E or None, as the matcher of lmms-eval mmbench/mmbench_evals.py does.

    The response is stripped first (en_utils.py). A lone A in more than three words is an article.
    """
    text = text.strip()
    if _API_FAILURE in text:
        return _only_option_within(text, options)
    tokens = set(words := text.split())
    bare = [letter for letter in "ABCDE" if letter in tokens]
    if len(bare) == 1 and not ("A" in tokens and len(words) > 3):
        return bare[0]
    for before, after in _AFFIXES:
        dressed = [letter for letter in "ABCDE" if before + letter + after in tokens]
        if len(dressed) == 1:
            return dressed[0]
    return _only_option_within(text, options)


def letter_fixed(text: str, options: Mapping[str, str]) -> str | None:
    """Return the letter that an answer names, None where it names none; our own reader, nobody's port.

    The most explicit naming counts, and of several the last: a boxed or tagged letter, "answer is C", a letter
    that begins the answer ("C. ...", "C) ...", alone on its line). Else the only letter written as "(C)", the
    only one that stands alone, the only option whose text occurs; where they are several, none is named. The
    words A and I before another word ("A pretty girl") are no letters of options.
    """
    bare = text.strip()
    for form in _NAMED:
        found = [each[1] for each in form.finditer(bare) if each[1] in options]
        if found:
            return found[-1]
    for form in _MENTIONED:
        mentioned = {each[1] for each in form.finditer(bare) if each[1] in options}
        if mentioned:
            return mentioned.pop() if len(mentioned) == 1 else None
    return _only_option_within(text, {letter: option for letter, option in options.items() if option})


def letter_extracted(text: str, letters: str = "ABCD") -> str | None:
    """Return the letter that lmms-eval's _task_utils/mcq_extract.py reads (MMStar, RealWorldQA), None for its "".

    Every way in which a letter stands in the answer has a rank; the highest counts, and in it the last place.
    """
    bare = text.strip()
    for mark in ",.!?;:'\"":
        bare = bare.strip(mark)
    padded, core = f" {bare} ", bare.strip()
    found = [
        (rank, padded.rfind(form.format(each)), each)
        for form, rank in _EXTRACTED
        for each in letters
        if form.format(each) in padded
    ]
    for phrase in _SAID:
        start = padded.lower().find(phrase)
        places = [(padded.find(each, start + len(phrase)), each) for each in letters] if start >= 0 else []
        found += [(7, place, each) for place, each in places if place >= 0]
    found += [(10, 0, each) for each in letters if core.startswith(each) and not core[1:2].isalpha()]
    found += [(9, len(core), each) for each in letters if core.endswith(each) and not core[-2:-1].isalpha()]
    found = found or [(0, padded.rfind(each), each) for each in letters if each in padded]
    return max(found, key=lambda each: each[:2])[2] if found and text.strip() else None


_EXTRACTED: Final = (("({})", 6), ("{}.", 5), ("{}:", 4), ("{})", 3), ("{} ", 2))
_SAID: Final = (
    *("the answer is", "answer is", "the correct answer is", "correct answer is"),
    *("the best answer is", "best answer is", "the correct option is", "correct option is"),
    *("the best option is", "best option is", "the choice is", "choice is", "the correct choice is"),
    *("correct choice is", "i choose", "i select", "i pick", "my answer is", "my choice is"),
    *("옵션", "정답은", "답은", "답:", "答案是", "答案为", "选", "答えは"),
)
_LETTER: Final = r"([B-HJ-Z]|[AI](?![*_]*[ \t]+[^\W\d_]|['’]))(?!\w)"
"""A letter of its own; before a word on the same line an A is an article and an I a pronoun."""
_DRESS: Final = r"[\s(\[{*_\"'`$]*(?:\\(?:text|mathrm|mathbf|boxed)\s*\{\s*)?"
_NAMED: Final = (
    re.compile(r"\\boxed\s*\{\s*(?:\\(?:text|mathrm|mathbf)\s*\{\s*)?\(?([A-Z])\b"),
    re.compile(rf"<answer>{_DRESS}([A-Z])\b(?=[^<]*</answer>)"),
    re.compile(rf"\b(?i:answer|option|choice)\b[*_]*(?i:\s+(?:is|would\s+be|should\s+be))?[:*_]*{_DRESS}{_LETTER}"),
    re.compile(rf"^{_DRESS}([A-Z])[*_\"'`$]*(?:[).:\]}}](?!\s*(?:or|and)\b)|\s*$|[ \t]*[*_]*\n|\s+[-–—]\s)"),
)
"""How an answer names a letter, the most explicit form first."""
_MENTIONED: Final = (re.compile(r"[(\[{]([A-Z])[)\]}]"), re.compile(rf"(?<![\w'’]){_LETTER}"))
_API_FAILURE: Final = "Failed to obtain answer via API"
_REFUSALS: Final = (
    "Sorry, I can't help with images of people yet.",
    "I can't process this file.",
    "I'm sorry, but without the image provided",
    "Cannot determine the answer",
)
_TO_SPACES: Final = str.maketrans(dict.fromkeys(".()[],:;!*#{}", " "))
_ANSWER_IS: Final = re.compile(r"(?:correct\s+)?answer\s+is\s+\**([ABCD])\**", re.IGNORECASE)
_AFFIXES: Final = (
    *(("", after) for after in (".", ",", ":", ")", ").")),
    *(("(", after) for after in (")", ").")),
    *((":", after) for after in ("", ",", ".", ")", ").")),
)


def _letter_token(text: str, options: Mapping[str, str], among_last: int | None = None) -> str | None:
    """Return the one option letter that stands alone; refusals and a lone Z give `Z`."""
    if _API_FAILURE in text:
        return None
    if any(refusal in text for refusal in _REFUSALS):
        return "Z"
    tokens = text.translate(_TO_SPACES).split()
    found = [letter for letter in options if letter in tokens]
    if len(found) == 1:
        near_the_end = among_last is None or tokens.index(found[0]) >= len(tokens) - among_last
        return found[0] if near_the_end else None
    return "Z" if not found and "Z" in tokens else None


def _only_option_within(text: str, options: Mapping[str, str]) -> str | None:
    """Return the letter of the only option whose text is a substring of the response, case apart."""
    lowered = text.lower()
    within = [letter for letter, option in options.items() if option.lower() in lowered]
    return within[0] if len(within) == 1 else None


# -- a short answer -----------------------------------------------------------------------------------


def short_llava(text: str) -> str:
    """Return the response without final full stops, lowered (LLaVA c121f043 convert_gqa_for_eval.py)."""
    return text.rstrip(".").lower()


def short_lmms(text: str) -> str:
    """Return the lowered response without ASCII punctuation (lmms-eval's exact_match as GQA sets it).

    It compares numpy arrays, which drop NULs at the end of a text.
    """
    return text.lower().translate(_NO_PUNCTUATION).rstrip("\0")


def short_vlmevalkit(text: str) -> str:
    """Return the stripped, lowered response (VLMEvalKit vqa_eval.py, method "accuracy")."""
    return text.strip().lower()


_NO_PUNCTUATION: Final = str.maketrans("", "", string.punctuation)

YES_NO_VLMEVALKIT: Final[Mapping[str, Callable[[str], str]]] = {
    "vlmevalkit-2024": yes_no_vlmevalkit_2024,
    "vlmevalkit-2026": yes_no_vlmevalkit_2026,
}
LETTER: Final[Mapping[str, Callable[[str, Mapping[str, str]], str | None]]] = {
    "vlmevalkit-2024": letter_vlmevalkit_2024,
    "vlmevalkit-2026": letter_vlmevalkit_2026,
    "lmms-eval": letter_lmms,
}
