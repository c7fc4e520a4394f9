"""Scoring answers made elsewhere: rows of a file, each with its sample, judged without the model."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Final, Protocol, TypeVar

from ...evals import reasoning, stats
from ...evals.errors import UsageError
from ...evals.stats import Estimate
from ...evals.types import Evidence, Json, Prediction, Sample, Score, Scored
from .cells import plain, shown, whole
from .failures import blank, cut, models, text_that_came, tokens
from .importers import Taken
from .rows import Row
from .scores import GUESSED

RESPONSE = ("response", "prediction", "text")
"""The columns that may hold a model's answer, best first."""


T = TypeVar("T")


class Rules(Protocol):
    """The pure half of a suite."""

    @property
    def name(self) -> str: ...
    @property
    def headline(self) -> str: ...
    @property
    def reasoning(self) -> str: ...
    @property
    def sizes(self) -> Sequence[int]: ...
    def score(self, sample: Sample, prediction: Prediction, evidence: Evidence | None) -> Sequence[Score]: ...
    def estimates(self, scores: Sequence[Score]) -> Mapping[str, Estimate]: ...


@dataclass(frozen=True, slots=True)
class Odd:
    """A row that cannot be judged, why, and its sample where that much could be read. It has no verdict."""

    row: Row
    why: str
    sample: Sample | None = None


@dataclass(frozen=True, slots=True)
class Answers:
    """Answers made elsewhere: the file, what it was taken for, its rows, the sample of each, those that are odd, and
    the whole data set where it was given, with what that was taken for; `told` is said beside the numbers."""

    file: Path
    taken: Taken
    rows: Sequence[Row]
    samples: Sequence[Sample]
    odd: Sequence[Odd] = ()
    known: Sequence[Sample] | None = None
    data: Taken | None = None
    told: Mapping[str, Json] = field(default_factory=dict[str, Json])

    @property
    def hint(self) -> str:
        """What to do about a file that lacks the suite's own columns."""
        return hint_for(self.file)

    def but(self, odd: Sequence[Odd]) -> Answers:
        """Return the answers without some rows more that turned out odd. Raises UsageError where few are left."""
        places = {id(each.row) for each in odd}
        left = [(row, sample) for row, sample in zip(self.rows, self.samples, strict=True) if id(row) not in places]
        every = [*self.odd, *odd]
        must_be_few(every, len(self.rows) + len(self.odd), self.taken)
        return replace(self, rows=[row for row, _ in left], samples=[sample for _, sample in left], odd=every)


def must_be_few(odd: Sequence[Odd], count: int, taken: Taken) -> None:
    """Raise UsageError where half of `count` rows or more are odd: then it is the file that is, not a row."""
    if odd and 2 * len(odd) >= count:
        asked = f" (and so for {len(odd) - 1} more)" if len(odd) > 1 else ""
        lacks = f": {taken.lacks}" if taken.lacks else ""
        raise UsageError(f"{odd[0].why}{asked}; read as {taken.told}{lacks}")


def readable(rows: Sequence[Row], make: Callable[[Row], T]) -> tuple[list[tuple[Row, T]], list[Odd]]:
    """Return what `make` makes of each row, and the rows of which it makes nothing."""
    made: list[tuple[Row, T]] = []
    odd: list[Odd] = []
    for row in rows:
        try:
            made.append((row, make(row)))
        except UsageError as error:
            odd.append(Odd(row, str(error)))
    return made, odd


def unique(samples: Sequence[Sample], rows: Sequence[Row], *, most: int = 1) -> None:
    """Raise UsageError where more than `most` rows have one key."""
    for odd in repeated(samples, rows, most):
        raise UsageError(odd.why)


def repeated(samples: Sequence[Sample], rows: Sequence[Row], most: int) -> list[Odd]:
    """Return the rows of those keys that more than `most` rows have: which of them counts nobody knows."""
    count = Counter(each.id for each in samples)
    seen: set[str] = set()
    first, again = list[Odd](), list[Odd]()
    for sample, row in zip(samples, rows, strict=True):
        if count[sample.id] > most:
            why = f"{row.where}: duplicate key {shown(sample.id)}: every row needs its own"
            (again if sample.id in seen else first).append(Odd(row, why, sample))
            seen.add(sample.id)
    return [*again, *first]


def response_of(row: Row) -> str:
    """Return a row's answer, an empty one included; a number is its text, 3.0 that of 3, for tables make floats of
    whole numbers. Raises UsageError where it has two."""
    both = row.find("response"), row.find("prediction")
    if None not in both and str(both[0]) != str(both[1]):
        raise UsageError(f"{row.where}: response and prediction differ: which is the answer? Leave one out")
    value = row.find(*RESPONSE)
    if isinstance(value, float) and (number := whole(value)) is not None:
        return str(number)
    if isinstance(value, float) and not math.isfinite(value):
        raise UsageError(f"{row.where}: its answer is {value}: what a program writes where there was none")
    return str(value) if plain(value) else row.text(*RESPONSE)


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
    answers: Answers,
    *,
    absent: Sequence[Sample] = (),
    gaps: Sequence[Sample] = (),
    duplicates: int = 1,
    settle: Callable[[Sequence[Score]], Sequence[Score]] = lambda scores: scores,
    text_of: Callable[[Row], str] = response_of,
    evidence: Sequence[Evidence] | None = None,
    graded: bool = False,
    extra: Mapping[str, Json] | None = None,
) -> Scored:
    """Score answers made elsewhere: one row, its sample and perhaps its evidence at a time.

    The samples of a data set without a row have no verdict (`stats.over`) and are named in `extra["missing"]`, as
    are those known to be `absent` without it; `gaps` stand for rows of the suite whose names nobody knows. Odd rows
    have none either: where nobody knows what they are about, every number lacks them. `settle` may change what the
    lines say is correct (MMMU's draws); `graded` has them say the grade. Rows of which more than `duplicates` have
    one id are odd. Raises UsageError where most rows are.
    """
    strip = rules.reasoning == "strip"
    seen = {id(row): each for row, each in zip(answers.rows, evidence or [None] * len(answers.rows), strict=True)}
    answers, texts = judgeable(answers, text_of, duplicates)
    missing = list(absent) if answers.known is None else _without_row(answers.samples, answers.known)
    said = [
        reasoning.read(Prediction(each.id, text=text), strip=strip)
        for each, text in zip(answers.samples, texts, strict=True)
    ]
    scores, owner = _judged(rules, answers.samples, said, [seen[id(row)] for row in answers.rows])
    names = [_name(row, sample) for row, sample in zip(answers.rows, answers.samples, strict=True)]
    odd = answers.odd if answers.known is None else []  # of a data set's samples those without a row are missing
    nothing = [no_verdict(each, stats.NO_ROW) for each in (*missing, *gaps)]
    nothing += [no_verdict(each.sample, f"missing: {each.why}") for each in odd if each.sample is not None]
    estimates = _short_of([each for each in odd if each.sample is None], rules.estimates([*scores, *nothing]))
    unscored = {owner[number] for number, each in enumerate(scores) if each.value is None}
    held = reasoning.counted(said, strip=strip)
    told: dict[str, Json] = {"read_as": answers.taken.told, **answers.told}
    told |= _measured(rules, answers) if answers.known is None else {}
    told |= {**blank(texts), **tokens(texts), **cut(answers.rows), **models(answers.rows)}
    told |= {"data_read_as": answers.data.told} if answers.data else {}
    told |= {"odd_rows": [each.why for each in answers.odd]} if answers.odd else {}
    return Scored(
        bench=rules.name,
        n=len(answers.rows) + len(missing) + len(odd),
        metrics=stats.metrics(estimates),
        unparsed=_unparsed(scores),
        unscored=len(unscored) + len(missing) + len(odd),
        rows=_lines(names, settle(scores), owner, graded=graded) + [_odd_line(each) for each in answers.odd],
        extra={
            **told,
            "unparsed_by_protocol": _unparsed_by_protocol(scores),
            "missing": [each.id for each in missing],
            **({"reasoning": dict(held)} if held else {}),
            **(extra or {}),
        },
    )


def _measured(rules: Rules, answers: Answers) -> dict[str, Json]:
    """Return what is said of a file that came without its data set: that it is no whole suite, or asks things twice."""
    told: dict[str, Json] = {}
    count = len(answers.rows) + len(answers.odd)
    if rules.sizes and count not in rules.sizes:
        sizes = " or ".join(f"{each:,}" for each in rules.sizes)
        more = "; --data PATH names those that lack" if count < min(rules.sizes) else ""
        told["holds"] = f"{count:,} rows, where {rules.name} has {sizes}{more}"
    asked = Counter(filter(None, map(_what, answers.rows)))
    again = sum(asked.values()) - len(asked)
    return told | ({"asked_twice": f"{again:,} rows repeat another one's question and picture"} if again else {})


def _what(row: Row) -> tuple[str, ...] | None:
    """Return what a row asks about which picture and in which category, None where it does not name the picture."""
    picture = row.name("image", "image_path", "imageId", "image_id", "imagename", "image_source", "data_id")
    question = next((row.fields[each] for each in ("question", "prompt") if plain(row.fields.get(each))), None)
    category = row.fields.get("category")
    options = tuple(str(row.fields.get(each)) for each in ("A", "B", "C", "D", "options", "choices"))
    return (str(category), picture, bare(str(question)), *options) if picture and question is not None else None


def judgeable(
    answers: Answers, text_of: Callable[[Row], str] = response_of, most: int = 1
) -> tuple[Answers, list[str]]:
    """Return the answers without those that repeat an id, hold no text or say that none came, and their texts."""
    answers = answers.but(repeated(answers.samples, answers.rows, most))
    read, unread = readable(answers.rows, partial(text_that_came, text_of=text_of))
    samples = {id(row): sample for row, sample in zip(answers.rows, answers.samples, strict=True)}
    answers = answers.but([replace(each, sample=samples[id(each.row)]) for each in unread])
    return answers, [text for _, text in read]


def _short_of(odd: Sequence[Odd], estimates: Mapping[str, Estimate]) -> Mapping[str, Estimate]:
    """Return the estimates, each short of rows of which nobody knows what they are about."""
    names = [f"{len(odd)} row{'s' if len(odd) > 1 else ''} that failed"] if odd else []
    return {key: stats.lacking(each, names) for key, each in estimates.items()}


def _odd_line(odd: Odd) -> dict[str, Json]:
    own = next((odd.row.fields[name] for name in ("id", "question_id", "index") if name in odd.row.fields), None)
    named = own if plain(own) else f"line {odd.row.line}"
    return {"id": named, "read": {}, "correct": {}, "odd": odd.why}


def _judged(
    rules: Rules, samples: Sequence[Sample], answers: Sequence[Prediction], evidence: Sequence[Evidence | None]
) -> tuple[list[Score], list[int]]:
    """Return the scores of all answers, and for each of them the number of its answer."""
    scores: list[Score] = []
    owner: list[int] = []
    for number, (sample, answer) in enumerate(zip(samples, answers, strict=True)):
        if answer.text is None:
            made: Sequence[Score] = [no_verdict(sample, reasoning.NO_ANSWER)]
        else:
            made = rules.score(sample, answer, evidence[number])
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
) -> tuple[list[tuple[Row, Sample]], list[Odd]]:
    """Return the rows with the data set's sample of each, and the odd ones; `data` holds the samples by key.

    Of several with one key `meant` returns those that a row can mean; never does the order of the rows decide.
    A row is odd whose key the data set does not have, or that does not say which of two samples it means.
    """

    def sought(row: Row) -> tuple[str, Sequence[Sample], Sequence[Sample]]:
        key = key_of(row)
        same = data.get(key)
        if not same:
            count = sum(map(len, data.values()))
            raise UsageError(f"{row.where}: id {shown(key)} is not in the data set ({count} samples)")
        fits = same if len(same) == 1 else meant(row, same)
        if not fits:
            raise UsageError(f"{row.where}: the data set asks another question under {shown(key)}")
        return key, same, fits

    read, odd = readable(rows, sought)
    rows = [row for row, _ in read]
    found: dict[int, Sample] = {}
    unsaid: dict[str, list[int]] = {}
    for at, (_, (key, _, fits)) in enumerate(read):
        if len(fits) == 1:
            found[at] = fits[0]
        else:
            unsaid.setdefault(key, []).append(at)
    for key, places in unsaid.items():
        taken = {found[at].id for at in found}
        left = [each for each in data[key] if each.id not in taken]
        one_answer = len(left) == len(places) and len({rows[at].find(*RESPONSE) for at in places}) == 1
        alike = len(left) >= len(places) and all(_like(each) == _like(left[0]) for each in left)
        if one_answer or alike:  # then it does not matter which answer is whose
            found |= dict(zip(places, left, strict=False))
            continue
        why = f"{shown(key)} stands {len(data[key])} times in the data set, and the row does not say which it answers"
        odd += [Odd(rows[at], f"{rows[at].where}: {why}: add the column 'question'") for at in places]
    return [(rows[at], found[at]) for at in range(len(rows)) if at in found], odd


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
