"""Scoring answers made elsewhere: rows of a file, each with its sample, judged without the model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol

from ...evals import reasoning, stats
from ...evals.errors import UsageError
from ...evals.types import Evidence, Json, Metric, Prediction, Sample, Score, Scored
from .cells import plain, shown
from .rows import Row
from .scores import GUESSED

RESPONSE = ("response", "prediction", "text")
"""The columns that may hold a model's answer, best first."""


class Rules(Protocol):
    """The pure half of a suite."""

    @property
    def name(self) -> str: ...
    @property
    def headline(self) -> str: ...
    @property
    def reasoning(self) -> str: ...
    def score(self, sample: Sample, prediction: Prediction, evidence: Evidence | None) -> Sequence[Score]: ...
    def aggregate(self, scores: Sequence[Score]) -> Mapping[str, Metric]: ...


def unique(samples: Sequence[Sample], rows: Sequence[Row], *, most: int = 1) -> None:
    """Raise UsageError where more than `most` rows have one key."""
    seen: dict[str, int] = {}
    for sample, row in zip(samples, rows, strict=True):
        seen[sample.id] = seen.get(sample.id, 0) + 1
        if seen[sample.id] > most:
            raise UsageError(f"{row.where}: duplicate key {shown(sample.id)}: every row needs its own")


def response_of(row: Row) -> str:
    """Return a row's answer, an empty one included."""
    return row.text(*RESPONSE)


def given(predictions: Path | None) -> Path:
    """Return the file of predictions; raise UsageError where none was given."""
    if predictions is None:
        raise UsageError("no file of predictions: janus-eval score --bench NAME FILE")
    return predictions


def hint_for(file: Path) -> str:
    """Return what to do about a predictions file that lacks the suite's own columns."""
    return f"add it to {file.name}, or give the suite's data with --data PATH"


def elsewhere(
    rules: Rules,
    rows: Sequence[Row],
    samples: Sequence[Sample],
    *,
    data: Sequence[Sample] | None = None,
    absent: Sequence[Sample] = (),
    gaps: Sequence[Sample] = (),
    duplicates: int = 1,
    settle: Callable[[Sequence[Score]], Sequence[Score]] = lambda scores: scores,
    text_of: Callable[[Row], str] | None = None,
    evidence: Sequence[Evidence] | None = None,
    graded: bool = False,
    extra: Mapping[str, Json] | None = None,
) -> Scored:
    """Score answers made elsewhere: one row, its sample and perhaps its evidence at a time.

    With `data` the samples without a row have no verdict (`stats.over`) and are named in `extra["missing"]`, as
    are those known to be `absent` without it; `gaps` stand for rows of the suite whose names nobody knows.
    `settle` may change what the lines say is correct (MMMU's draws); `graded` has them say the
    grade. Raises UsageError where more
    than `duplicates` rows have one id.
    """
    unique(samples, rows, most=duplicates)
    missing = _without_row(samples, data) if data is not None else list(absent)
    strip, text_of = rules.reasoning == "strip", text_of or response_of
    answers = [answer_of(each, row, text_of, strip=strip) for each, row in zip(samples, rows, strict=True)]
    scores, owner = _judged(rules, samples, answers, evidence)
    names = [_name(row, sample) for row, sample in zip(rows, samples, strict=True)]
    lines = _lines(names, settle(scores), owner, graded=graded)
    nothing = [no_verdict(each, stats.NO_ROW) for each in (*missing, *gaps)]
    held = reasoning.counted(answers, strip=strip)
    metrics = dict(rules.aggregate([*scores, *nothing]))
    unscored = {(owner[number], each.protocol) for number, each in enumerate(scores) if each.value is None}
    return Scored(
        bench=rules.name,
        n=len(rows) + len(missing),
        metrics=metrics,
        unparsed=_unparsed(scores),
        unscored=len({number for number, _ in unscored}) + len(missing),
        rows=lines,
        extra={
            "unparsed_by_protocol": _unparsed_by_protocol(scores),
            "missing": [each.id for each in missing],
            **({"reasoning": dict(held)} if held else {}),
            **(extra or {}),
        },
    )


def _judged(
    rules: Rules, samples: Sequence[Sample], answers: Sequence[Prediction], evidence: Sequence[Evidence] | None
) -> tuple[list[Score], list[int]]:
    """Return the scores of all answers, and for each of them the number of its answer."""
    scores: list[Score] = []
    owner: list[int] = []
    for number, (sample, answer) in enumerate(zip(samples, answers, strict=True)):
        if answer.text is None:
            made: Sequence[Score] = [no_verdict(sample, reasoning.NO_ANSWER)]
        else:
            made = rules.score(sample, answer, evidence[number] if evidence else None)
        scores += made
        owner += [number] * len(made)
    return scores, owner


def answer_of(
    sample: Sample, row: Row, text_of: Callable[[Row], str] = response_of, *, strip: bool = False
) -> Prediction:
    """Return a row's answer, without its reasoning where that is stripped; its text is None where there is none."""
    return reasoning.read(Prediction(sample.id, text=text_of(row)), strip=strip)


def no_verdict(sample: Sample, reason: str) -> Score:
    """Return the score of an answer that no protocol can judge."""
    return Score(sample.id, 0, "", None, reason=reason, tags=sample.tags, cluster=sample.cluster)


def placed(
    rows: Sequence[Row],
    key_of: Callable[[Row], str],
    data: Mapping[str, Sequence[Sample]],
    meant: Callable[[Row, Sequence[Sample]], Sequence[Sample]],
) -> list[Sample]:
    """Return the data set's sample of each row; `data` holds them by key.

    Of several with one key `meant` returns those that a row can mean; never does the order of the rows decide.
    Raises UsageError for a key that the data set does not have, and where a row does not say which it means.
    """
    found: dict[int, Sample] = {}
    unsaid: dict[str, list[int]] = {}
    for at, row in enumerate(rows):
        key = key_of(row)
        same = data.get(key)
        if not same:
            count = sum(map(len, data.values()))
            raise UsageError(f"{row.where}: id {shown(key)} is not in the data set ({count} samples)")
        fits = same if len(same) == 1 else meant(row, same)
        if not fits:
            raise UsageError(f"{row.where}: the data set asks another question under {shown(key)}")
        if len(fits) == 1:
            found[at] = fits[0]
        else:
            unsaid.setdefault(key, []).append(at)
    for key, places in unsaid.items():
        taken = {found[at].id for at in found}
        left = [each for each in data[key] if each.id not in taken]
        one_answer = len(left) == len(places) and len({response_of(rows[at]) for at in places}) == 1
        alike = len(left) >= len(places) and all(_like(each) == _like(left[0]) for each in left)
        if not (one_answer or alike):  # else it does not matter which answer is whose
            raise UsageError(
                f"{rows[places[0]].where}: {shown(key)} stands {len(data[key])} times in the data set, and the row "
                "does not say which it answers: add the column 'question'"
            )
        found |= dict(zip(places, left, strict=False))
    return [found[at] for at in range(len(rows))]


def _like(sample: Sample) -> tuple[Json, ...]:
    return sample.target, sample.tags, sample.cluster


_SUFFIXES: Final = (
    "Answer the question using a single word or phrase.",
    "Answer with the option's letter from the given choices directly.",
    "Please answer yes or no.",
)


def bare(question: str) -> str:
    """Return a question without the prompt that tools write after it, its blanks as single spaces."""
    text = " ".join(question.replace("<image>", " ").split())
    while (end := next((each for each in _SUFFIXES if text.endswith(each)), None)) is not None:
        text = text.removesuffix(end).rstrip()
    return text


def asked_by(row: Row, same: Sequence[Sample], question_of: Callable[[Sample], str | None]) -> list[Sample] | None:
    """Return those of some samples whose question a row repeats, also at the beginning of a whole prompt.

    None where the row, or none of them, has a question.
    """
    said = row.words("question", "prompt")
    known = [(bare(question_of(each) or ""), each) for each in same]
    if said is None or not any(question for question, _ in known):
        return None
    text = bare(said)
    equal = [each for question, each in known if question == text]
    return equal or [each for question, each in known if question and text.startswith(question)]


def _without_row(samples: Sequence[Sample], data: Sequence[Sample]) -> list[Sample]:
    left = Counter(each.id for each in samples)
    missing: list[Sample] = []
    for sample in data:
        left[sample.id] -= 1
        if left[sample.id] < 0:
            missing.append(sample)
    return missing


def _name(row: Row, sample: Sample) -> dict[str, Json]:
    """Return how a line of --out names its row: the row's own id, as it was written, and category."""
    own, category = row.find("id", "question_id", "index", "questionId"), row.find("category")
    return {"id": own if plain(own) else sample.id, **({"category": category} if plain(category) else {})}


def _lines(
    names: Sequence[Mapping[str, Json]], scores: Sequence[Score], owner: Sequence[int], *, graded: bool
) -> list[dict[str, Json]]:
    """Return the lines of --out: what each protocol read in a row, and whether that is correct."""
    lines: list[dict[str, Json]] = [{**name, "read": {}, "correct": {}} for name in names]
    for number, each in zip(owner, scores, strict=True):
        if not each.protocol:
            lines[number]["reason"] = each.reason
            continue
        lines[number]["read"][each.protocol] = each.answer
        # A grade is a number; everything else is right or wrong.
        verdict = each.value if graded or each.value is None else bool(each.value)
        lines[number]["correct"][each.protocol] = verdict
        if each.reason.startswith(GUESSED):
            lines[number].setdefault("guessed", {})[each.protocol] = each.reason.removeprefix(GUESSED)
    return lines


def _unparsed(scores: Sequence[Score]) -> int:
    """Return how many answers the headline's protocol, the first, could not read."""
    return next(iter(_unparsed_by_protocol(scores).values()), 0)


def _unparsed_by_protocol(scores: Sequence[Score]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for each in filter(lambda each: each.protocol, scores):
        counts[each.protocol] = counts.get(each.protocol, 0) + each.unparsed
    return counts
