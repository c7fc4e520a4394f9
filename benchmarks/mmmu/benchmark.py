"""MMMU validation: college questions with options or open answers; unreadable options are guessed, with seed 42.

Port of MMMU-Benchmark/MMMU bb0b95a9 (mmmu/main_parse_and_eval.py, utils/eval_utils.py, utils/data_utils.py).
"""

from __future__ import annotations

import json
import random
import re
import string
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from ...evals import stats
from ...evals.stats import Estimate
from ...evals.types import Evidence, Json, Picture, Prediction, Sample, Score, Scored
from ..judging.matched import matched_rescore
from ..judging.matcher import MMMU, matched
from ..reading.answers import LETTER, letter_fixed
from ..reading.cells import listed
from ..reading.cells import plain as scalar
from ..reading.choices import LETTER_LINE, prompt_of
from ..reading.elsewhere import Answers
from ..reading.options import lettered, options_of
from ..reading.rows import Row
from ..reading.scores import GUESSED, Read, by_protocol, grouped, percent, plain, scores_of, slug
from ..reading.sources import Source
from ..reading.suite import Asked, TableSuite, row_id
from .answers import open_correct, open_correct_lmms, open_values, option_lmms, option_official

PROTOCOLS: Final = ("official", "fixed", "vlmevalkit-2024", "vlmevalkit-2026", "vlmevalkit-judge", "lmms-eval")
SEED: Final = 42
"""The official module seeds its one stream of guesses with it when it is imported."""
DOMAINS: Final[Mapping[str, tuple[str, ...]]] = {
    "Art and Design": ("Art", "Art_Theory", "Design", "Music"),
    "Business": ("Accounting", "Economics", "Finance", "Manage", "Marketing"),
    "Science": ("Biology", "Chemistry", "Geography", "Math", "Physics"),
    "Health and Medicine": (
        *("Basic_Medical_Science", "Clinical_Medicine", "Diagnostics_and_Laboratory_Medicine"),
        *("Pharmacy", "Public_Health"),
    ),
    "Humanities and Social Science": ("History", "Literature", "Sociology", "Psychology"),
    "Tech and Engineering": (
        *("Agriculture", "Architecture_and_Engineering", "Computer_Science", "Electronics"),
        *("Energy_and_Power", "Materials", "Mechanical_Engineering"),
    ),
}
DOMAIN_OF: Final = {subject: domain for domain, subjects in DOMAINS.items() for subject in subjects}
_ID: Final = re.compile(r"(validation|dev|test)_(.+)_\d+")
_MARKER: Final = re.compile(r"<image (\d{1,3})>", re.ASCII)


def score(sample: Sample, prediction: Prediction, evidence: Evidence | None = None) -> Sequence[Score]:
    """Return one Score a protocol; where the official parser would guess: 0, unparsed, read nothing.

    The guess depends on all answers before it: `settle` draws it.
    """
    target: Mapping[str, Json] = sample.target
    text = prediction.text or ""
    reads = read_open(text, target["answer"]) if target["open"] else read_choice(text, target)
    if evidence is not None:
        letter = matched(MMMU, sample, prediction, evidence)
        value = None if letter is None else float(letter in _expected(target))
        reads["vlmevalkit-judge"] = (letter, value, letter in (None, "Z"))
    details = {"position": target["position"], "letters": target["letters"], "answer": target["answer"]}
    return scores_of(sample, prediction, reads, details)


def estimates(scores: Sequence[Score]) -> Mapping[str, Estimate]:
    """Return `accuracy` in percent for each protocol, by subject and `domain_<name>` too.

    Official and lmms-eval guess at random: `fallbacks` counts the guesses and
    `accuracy_no_fallback` takes them for wrong; lmms-eval's have no seed, so that it has no more.
    """
    found: dict[str, Estimate] = {}
    for protocol, mine in by_protocol(scores, PROTOCOLS).items():
        settled = settle(mine) if protocol == "official" else mine
        subjects = {each.tags["subject"] for each in mine if each.tags.get("subject") in DOMAIN_OF}
        absent = [name for name in DOMAIN_OF if name not in subjects] if subjects else []
        absent = absent if len(absent) < 4 else [f"{len(absent)} of {len(DOMAIN_OF)} subjects"]
        if protocol in ("official", "lmms-eval"):
            guesses = [each for each in mine if _guessed(each)]
            found[f"{protocol}/accuracy_no_fallback"] = stats.lacking(percent(mine), absent)
            found[f"{protocol}/fallbacks"] = replace(plain(len(guesses), len(mine)), absent=stats.lost(mine))
        if protocol == "lmms-eval":
            continue
        found[f"{protocol}/accuracy"] = stats.lacking(percent(settled), absent)
        lost = sum(stats.lost(mine).values())
        for name, part in grouped(settled, lambda each: each.tags.get("subject", "")).items():
            found[f"{protocol}/{name}"] = stats.lacking(percent(part), _drawn_anew(part, lost))
        for name, part in grouped(settled, lambda each: each.tags.get("domain", "")).items():
            others = [each for each in DOMAINS[name] if each not in subjects]
            found[f"{protocol}/domain_{slug(name)}"] = stats.lacking(percent(part), [*others, *_drawn_anew(part, lost)])
    return found


def _drawn_anew(scores: Sequence[Score], lost: int) -> list[str]:
    """Return what marks a group with guesses where rows elsewhere lack: the one stream would have drawn others."""
    guessed = any(each.reason.startswith(GUESSED) for each in scores)
    return [f"the guesses of {lost} others"] if lost and guessed else []


def settle(scores: Sequence[Score]) -> list[Score]:
    """Return the scores with the official guesses drawn, in the order of the rows, from one stream."""
    stream = random.Random(SEED)
    settled = list(scores)
    guesses = [at for at, each in enumerate(scores) if each.protocol == "official" and _guessed(each)]
    for at in sorted(guesses, key=lambda at: scores[at].details["position"]):
        details = scores[at].details
        letter = stream.choice(details["letters"])
        right = letter in details["answer"] if isinstance(details["answer"], list) else letter == details["answer"]
        settled[at] = replace(scores[at], value=float(right), reason=GUESSED + letter)
    return settled


def read_choice(text: str, target: Mapping[str, Json]) -> dict[str, Read]:
    """Return what each protocol reads in an answer to a question with options."""
    options: Mapping[str, str] = target["options"]
    gold = target["answer"]
    if not options:  # a letter alone was kept: main_eval_only.py compares it as it is
        return {"official": (text, float(text == gold), False)}
    shown = {letter: text for letter, text in options.items() if text}  # an empty cell is no option in a table
    letters = {
        "official": option_official(text, target["letters"], options),
        "fixed": letter_fixed(text, options),
        "vlmevalkit-2024": LETTER["vlmevalkit-2024"](text, shown),
        "vlmevalkit-2026": LETTER["vlmevalkit-2026"](text, shown),
        "lmms-eval": option_lmms(text, target["letters"], options),
    }
    golds = gold if isinstance(gold, list) else [gold]
    return {name: (letter, float(letter in golds), letter in (None, "Z")) for name, letter in letters.items()}


def read_open(text: str, gold: str | list[str]) -> dict[str, Read]:
    """Return what each protocol reads in an open answer.

    VLMEvalKit asks afterwards whether option A, the gold answer, or B, "Other Answers", was meant
    (multiple_choice.py, MMMU_preproc); a gold answer that is a capital letter keeps it as its own.
    """
    values = open_values(text)
    shown = [str(each) if isinstance(each, float) and abs(each) in _NO_JSON else each for each in values]
    shown = [str(each) if each != each else each for each in shown]
    options = _offered(gold)
    expected = _expected({"open": True, "answer": gold})
    official: Read = (shown, float(open_correct(values, gold)), values == [""])
    reads: dict[str, Read] = {"official": official, "fixed": official}
    for protocol in ("vlmevalkit-2024", "vlmevalkit-2026"):
        letter = LETTER[protocol](text, options)
        reads[protocol] = (letter, float(letter in expected), letter in (None, "Z"))
    first = str(values[0]) if values else ""
    as_text = gold if isinstance(gold, str) else str(gold)
    reads["lmms-eval"] = (first, float(open_correct_lmms(values, as_text)), not first)
    return reads


def _offered(gold: str | list[str]) -> dict[str, str]:
    return {"A": str(gold), "B": "Other Answers"}


def _expected(target: Mapping[str, Json]) -> list[str]:
    """Return the letters that VLMEvalKit takes for right."""
    gold = target["answer"]
    if target["open"] and gold not in tuple(string.ascii_uppercase):
        return ["A"]
    return gold if isinstance(gold, list) else [gold]


_NO_JSON: Final = (float("inf"),)


def _guessed(score: Score) -> bool:
    return score.unparsed and score.value is not None and score.answer is None


def _is_dev(row: Row) -> bool:
    names = (row.fields.get(name) for name in ("id", "question_id", "index"))
    return row.fields.get("split") == "dev" or any(str(each).startswith("dev_") for each in names)


def submission(samples: Sequence[Sample], answers: Sequence[str]) -> bytes:
    """Return the file that MMMU's EvalAI page takes: {id: a letter, or an open answer as it was given}.

    Letters are those of the official parser, its guesses included, drawn in the order of the rows as it draws them
    (main_parse_and_eval.py, and utils/eval_utils.py for what the page does with open answers).
    """
    stream = random.Random(SEED)
    read: dict[str, str] = {}
    for each, said in sorted(zip(samples, answers, strict=True), key=lambda pair: pair[0].target["position"]):
        letters = each.target["letters"]
        letter = said if each.target["open"] else option_official(said, letters, each.target["options"])
        read[each.id] = stream.choice(letters) if letter is None else letter
    return json.dumps(read, indent=4, ensure_ascii=False).encode("utf-8", "backslashreplace")


def _prompt(row: Row, preset: str) -> str:
    question, options = row.text("question"), _options(row)
    if preset == "janus-pr541":
        return prompt_of(preset, question, options, row.words("hint"))
    short = "Answer the question using a single word or phrase."
    if preset == "lmms-eval":
        lines = "\n".join(f"{letter}. {text}" for letter, text in options.items())
        return f"{question}\n{lines}\n\n{LETTER_LINE}" if options else f"{question}\n\n{short}"
    # configs/llava1.5.yaml folds its empty lines: one newline each is what the script sends.
    lines = "".join(f"({letter}) {text}\n" for letter, text in options.items())
    return f"{question}\n{lines}\n{LETTER_LINE}" if options else f"{question}\n{short}"


def _options(row: Row) -> dict[str, str]:
    return {} if _is_open(row) else options_of(row) or {}


def _is_open(row: Row) -> bool:
    kind = row.words("question_type", "kind")
    if kind is None:
        return not options_of(row)
    if kind not in ("multiple-choice", "open", "short-answer"):
        raise row.wrong("question_type", kind, "multiple-choice, open or short-answer")
    return kind != "multiple-choice"


def _answer(row: Row, *, is_open: bool, options: Mapping[str, str], hint: str) -> str | list[str]:
    value = row.need("answer", "gold", hint=hint)
    if is_open:
        if isinstance(value, str) and value.startswith("[") and value.endswith("]"):
            try:
                return listed(value)
            except ValueError:
                return value
        golds = value if isinstance(value, list) else [value]
        if not golds or not all(map(scalar, golds)):
            raise row.wrong("answer", value, "a text or a list of texts")
        return [str(each) for each in value] if isinstance(value, list) else str(value)
    golds = value if isinstance(value, list) else [value]
    known = options or string.ascii_uppercase
    if not golds or not all(isinstance(each, str) and len(each) == 1 and each in known for each in golds):
        raise row.wrong("answer", value, f"one of the options {', '.join(options)}")
    return value


def _sample(row: Row, asked: Asked) -> Sample:
    is_open, options = _is_open(row), _options(row)
    if not is_open and not options and "ground_truth" not in row.fields:
        row.need("options", "index2ans", "A", hint=asked.hint)
    answer = None if asked.unanswered else _answer(row, is_open=is_open, options=options, hint=asked.hint)
    match = _ID.fullmatch(row_id(row))
    subject = match[2] if match else row.label("category") or ""
    tags = {"subject": subject, "domain": DOMAIN_OF.get(subject, "")}
    return Sample(
        id=row_id(row),
        prompt=asked.text(lambda: _prompt(row, asked.preset)),
        images=_pictures(row, asked),
        target={
            "open": is_open,
            "options": options,
            "letters": _letters(row, options),
            "answer": answer,
            "position": asked.place,
            "question": row.words("question") or "",
            **({"offered": _offered(answer)} if is_open and answer is not None else {}),
        },
        tags={name: value for name, value in tags.items() if value},
    )


def _letters(row: Row, options: Mapping[str, str]) -> list[str]:
    """Return the letters from which the official parser guesses, in its order."""
    letters = row.find("all_choices")
    if letters is None or not options:
        return list(options)
    found = list(lettered(row, "all_choices", letters).values())
    if sorted(found) != sorted(options):
        raise row.wrong("all_choices", letters, f"a list of the options {', '.join(options)}")
    return found


def _pictures(row: Row, asked: Asked) -> tuple[Picture, ...]:
    """Return the pictures that a preset shows: all, the first, or those that the text mentions.

    A question that mentions none may have none.
    """
    if not asked.preset:
        return ()
    shown = set(map(int, _MARKER.findall(row.text("question") + "\n".join(_options(row).values()))))
    if asked.preset == "lmms-eval" and "image_1" in row.fields:
        return asked.pictures(row, [f"image_{number}" for number in sorted(shown)])
    found = asked.pictures(row, optional=not shown)
    return found[:1] if asked.preset == "official" else found


def _in_order(answers: Answers) -> Answers:
    """Return the answers with the place of each row, from which guesses are drawn: the data set's, else the file's."""
    if answers.known is not None:
        return answers
    placed = [replace(each, target={**each.target, "position": at}) for at, each in enumerate(answers.samples)]
    return replace(answers, samples=placed)


def _told(answers: Answers, scored: Scored) -> Scored:
    """Return the result; it says so where guesses were drawn in the order of the file's rows, or where these are of
    another split than validation."""
    if answers.known is not None:
        return scored
    splits = Counter(match[1] for each in answers.samples if (match := _ID.fullmatch(each.id)))
    if splits.keys() - {"validation"}:
        told = " and ".join(f"{count:,} of {split}" for split, count in sorted(splits.items()))
        before = f"{scored.extra['holds']}; " if "holds" in scored.extra else ""
        scored = replace(scored, extra={**scored.extra, "holds": f"{before}{told}, where mmmu is the validation split"})
    guesses = scored.metrics.get("official/fallbacks")
    if guesses is None or not guesses.value:
        return scored
    order = "guesses were drawn in the order of the file's rows; with --data PATH in that of the data set"
    return replace(scored, extra={**scored.extra, "order": order})


Mmmu = TableSuite(
    name="mmmu",
    sizes=(900,),
    about="""MMMU validation (900 questions: 847 with options, 53 open). Preset `janus-pr541` shows all pictures first,
    `official` the first alone, `lmms-eval` those that the text mentions. `judge` names a language model that finds
    the option which an answer means where VLMEvalKit's matcher of 2024 reads none: protocol `vlmevalkit-judge`.""",
    source=Source(
        "mmmu",
        hub="mmmu",
        tsv="mmmu-tsv",
        files=("MMMU_DEV_VAL.tsv", "*/validation-*.parquet", "validation-*.parquet"),
    ),
    headline="official/accuracy",
    presets=("janus-pr541", "official", "lmms-eval"),
    worlds=("toy",),
    rows=lambda rows, asked: [row for row in rows if not _is_dev(row)],
    sample=_sample,
    score=score,
    estimates=estimates,
    golds=("answer", "gold"),
    submission=submission,
    judge="mmmu",
    rescored=matched_rescore(_in_order, settle, _told),
)
