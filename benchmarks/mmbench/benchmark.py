"""MMBench dev-en: every question asked with its options rolled; right only where every roll is (circular).

Port of VLMEvalKit's evaluation (open-compass/VLMEvalKit f4646f72 and e8e78f05,
vlmeval/dataset/utils/multiple_choice.py) without and with a judge.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final
from zlib import crc32

from ...evals import stats
from ...evals.stats import Estimate
from ...evals.types import Evidence, Json, Prediction, Sample, Score
from ..judging.matched import matched_rescore
from ..judging.matcher import MMBENCH, matched
from ..reading.answers import LETTER
from ..reading.cells import whole
from ..reading.choices import LETTER_LINE, prompt_of
from ..reading.elsewhere import Answers
from ..reading.options import options_of
from ..reading.rows import Row
from ..reading.scores import Read, by_protocol, grouped, percent, scores_of, slug
from ..reading.sources import Source
from ..reading.suite import PRESETS, Asked, TableSuite
from ..reading.workbook import workbook

PROTOCOLS: Final = ("official", "official-judge", "vlmevalkit-2024", "vlmevalkit-2026", "lmms-eval")
ROLL: Final = 1_000_000
"""Roll k of question i has the index i + k * ROLL."""


def score(sample: Sample, prediction: Prediction, evidence: Evidence | None = None) -> Sequence[Score]:
    """Return one Score a protocol for one roll: 1 where the letter read is the gold one."""
    reads = read(prediction.text or "", sample.target)
    if evidence is not None:
        letter = matched(MMBENCH, sample, prediction, evidence)
        value = None if letter is None else float(letter == sample.target["answer"])
        reads["official-judge"] = (letter, value, letter in (None, "Z"))
    return scores_of(sample, prediction, reads, {"order": [crc32(each.encode()) for each in _texts(sample)]})


def read(text: str, target: Mapping[str, Json]) -> dict[str, Read]:
    """Return what each protocol reads in an answer to one roll; None and `Z` (a refusal) are wrong."""
    options: Mapping[str, str] = target["options"]
    # lmms-eval knows A to D alone and takes the text "nan" of an absent option for an option.
    theirs = {letter: options.get(letter, "nan") for letter in "ABCD" if letter in options or letter in target["nan"]}
    letters = {protocol: reader(text, theirs if protocol == "lmms-eval" else options) for protocol, reader in _READERS}
    gold: str = target["answer"]
    return {name: (letter, float(letter == gold), letter in (None, "Z")) for name, letter in letters.items()}


_READERS: Final = (("official", LETTER["vlmevalkit-2024"]), *LETTER.items())


def _circular(unrolled: Sequence[Score], rolls: Mapping[str, Sequence[Score]]) -> Estimate:
    """Return the share of questions that are right in every roll.

    A question with a roll that has no verdict counts where another roll is wrong already. Rolls of which
    the table has no row are absent (`_rolls`).
    """
    values: dict[str, float] = {}
    absent: list[Score] = []
    fewer = 0
    for name in map(_question, unrolled):
        mine = rolls[name]
        unknown = [each for each in mine if each.value is None]
        absent += unknown
        last = max(int(each.sample_id) // ROLL for each in mine)
        fewer += max(last + 1, _rolls([_order(each.details) for each in mine if each.details])) - len(mine)
        if not unknown or any(each.value == 0 for each in mine):
            values[name] = float(all(each.value == 1 for each in mine))
    lost = {**stats.lost(absent), **({"rolls without a row": fewer} if fewer else {})}
    return replace(stats.mean(list(values.values()), list(values)).times(100), absent=lost)


def _texts(sample: Sample) -> Sequence[str]:
    options: Mapping[str, str] = sample.target["options"]
    return tuple(options.values())


def _order(details: Mapping[str, Json]) -> Sequence[Json]:
    """Return what tells the order of a roll's options; scores of before 2026-11-28 tell no more than how many."""
    return details["order"] if "order" in details else range(details["rolls"])


def _rolls(orders: Sequence[Sequence[Json]]) -> int:
    """Return in how many rolls a question must have been asked, of the orders of its options that were.

    As many as options, without those at the end that stay where they are ("all above are not right"). In the
    official data of July 2023 that holds for each of the 1176 questions, of which 53 have four options and three
    rolls. Of a question with one roll it is known that a second is lost, where there are options to roll.
    """
    if len(orders) < 2:
        return min(2, max(map(len, orders), default=1))
    return max((at for at, texts in enumerate(zip(*orders, strict=False), 1) if len({*texts}) > 1), default=1)


def _question(score: Score) -> str:
    return str(int(score.sample_id) % ROLL)


def estimates(scores: Sequence[Score]) -> Mapping[str, Estimate]:
    """Return in percent, for each protocol, `circular` over questions and, for VLMEvalKit's,
    `vanilla_all` over all rows and `vanilla_unrolled` over roll 0; circular by category too.
    """
    found: dict[str, Estimate] = {}
    for protocol, mine in by_protocol(scores, PROTOCOLS).items():
        unrolled = [each for each in mine if int(each.sample_id) < ROLL]
        rolls = grouped(mine, _question)
        found[f"{protocol}/circular"] = _circular(unrolled, rolls)
        if protocol.startswith("vlmevalkit"):
            found[f"{protocol}/vanilla_all"] = percent(mine)
            found[f"{protocol}/vanilla_unrolled"] = percent(unrolled)
        for tag in ("l2-category", "category"):
            for name, part in grouped(unrolled, lambda each, tag=tag: each.tags.get(tag, "")).items():
                found[f"{protocol}/circular_{slug(name)}"] = _circular(part, rolls)
    return found


def lost_rolls(answers: Answers) -> list[Sample]:
    """Return what stands for the last rolls of questions that rolled further: their options tell."""
    found: dict[str, list[Sample]] = {}
    for each in (*answers.samples, *(odd.sample for odd in answers.odd if odd.sample is not None)):
        found.setdefault(each.cluster, []).append(each)
    lost: list[Sample] = []
    for name, rolls in found.items():
        last = max(int(each.id) // ROLL for each in rolls)
        rolled = _rolls([_texts(each) for each in rolls]) if len(rolls) > 1 else 0  # one roll: nothing is known
        ids = (str(int(name) + number * ROLL) for number in range(last + 1, rolled))
        lost += [replace(rolls[0], id=each) for each in ids]
    return lost


def submission(samples: Sequence[Sample], answers: Sequence[str]) -> bytes:
    """Return the workbook that MMBench's server takes: a row a roll, with the answer as it was given.

    The columns are those of LLaVA c121f043 scripts/convert_mmbench_for_submission.py.
    """
    rows: list[list[str | int]] = [["index", "question", *"ABCD", "prediction"]]
    for each, said in zip(samples, answers, strict=True):
        options: Mapping[str, str] = each.target["options"]
        shown = [options.get(letter, "") for letter in "ABCD"]
        rows.append([int(each.id), each.target["question"] or "", *shown, said])
    return workbook(rows)


def prompt(row: Row, preset: str, line: str = LETTER_LINE) -> str:
    """Return the text of a row in a preset; lmms-eval's ends with a `line` of its language."""
    question, options, hint = row.text("question"), options_of(row) or {}, row.words("hint")
    if preset == "lmms-eval":
        # mmbench/en_utils.py: hint, question and heading on one line, an empty line before the instruction.
        lines = "\n".join(f"{letter}. {text}" for letter, text in options.items())
        start = f"{hint} {question}" if hint is not None else question
        return f"{start} There are several options:\n{lines}\n\n{line}"
    return prompt_of(preset, question, options, hint)


def _key(row: Row) -> str:
    index = row.need("index", "id", "question_id")
    number = whole(index)
    if number is None or number < 0:
        raise row.wrong("index", index, "a whole number")
    return str(number)


def sample(row: Row, asked: Asked, text: Callable[[Row, str], str] = prompt) -> Sample:
    """Return a roll's sample; `text` makes its prompt in a preset."""
    options = options_of(row)
    if not options:
        row.need("A", hint=asked.hint)
        options = {}
    answer = asked.gold(row, "answer")
    if not asked.unanswered and (not isinstance(answer, str) or answer not in options):
        raise row.wrong("answer", answer, f"one of the options {', '.join(options)}")
    key = _key(row)
    columns = {"category": ("category",), "l2-category": ("l2-category", "L2-category")}
    labels = {name: row.label(*found) for name, found in columns.items()}
    return Sample(
        id=key,
        prompt=asked.text(lambda: text(row, asked.preset)),
        images=asked.pictures(row),
        target={
            "answer": answer,
            "options": options,
            "nan": [letter for letter in "ABCD" if row.fields.get(letter) == "nan"],
            "question": row.words("question"),
        },
        tags={name: label for name, label in labels.items() if label is not None},
        cluster=str(int(key) % ROLL),
    )


MmBench = TableSuite(
    name="mmbench",
    sizes=(4329, 4377, 1164, 1176),
    about="""MMBench dev-en (1164 questions in 4329 rows, or 1176 in 4377). `judge` names a language model that
    finds the option which an unreadable answer means: protocol `official-judge`.""",
    source=Source(
        "mmbench",
        hub="mmbench",
        tsv="mmbench-tsv",
        files=("MMBench_DEV_EN.tsv", "mmbench_dev_20230712.tsv", "en/dev-*.parquet"),
    ),
    headline="official/circular",
    presets=PRESETS,
    worlds=("toy",),
    key=_key,
    sample=sample,
    score=score,
    estimates=estimates,
    submission=submission,
    judge="mmbench",
    rescored=matched_rescore(gaps=lost_rolls),
)
