"""MME: two yes/no questions a picture in 14 subtasks; accuracy plus the share of pictures with both right.

Port of the official calculation.py (BradyFU/Awesome-Multimodal-Large-Language-Models, branch
Evaluation dd295090, tools/eval_tool.zip).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from ..evals import stats
from ..evals.errors import UsageError, nearest
from ..evals.stats import Estimate
from ..evals.types import Json, Sample, Score, Scored
from .reading.agreement import agreeing
from .reading.answers import PROTOCOLS, YES_NO_VLMEVALKIT, yes_no_mme, yes_no_mme_lmms
from .reading.cells import shown
from .reading.choices import SHORT_LINE
from .reading.elsewhere import Answers, asked_by, bare, elsewhere, given, hint_for, must_be_few, placed, readable
from .reading.importers import take
from .reading.importers.official import MME_FILES
from .reading.rows import Row
from .reading.scores import Read, by_protocol, grouped, judged, percent
from .reading.sources import Source
from .reading.suite import PRESETS, Asked, TableBenchmark, TableSuite

PLEASE: Final = "Please answer yes or no."
GROUPS: Final[Mapping[str, tuple[str, ...]]] = {
    "perception": (
        *("existence", "count", "position", "color", "posters"),
        *("celebrity", "scene", "landmark", "artwork", "OCR"),
    ),
    "cognition": ("commonsense_reasoning", "numerical_calculation", "text_translation", "code_reasoning"),
}
SIZES: Final[Mapping[str, int]] = {
    **dict.fromkeys(("existence", "count", "position", "color"), 60),
    **dict.fromkeys(("scene", "landmark", "artwork"), 400),
    **dict.fromkeys(("OCR", "numerical_calculation", "text_translation", "code_reasoning"), 40),
    "posters": 294,
    "celebrity": 340,
    "commonsense_reasoning": 140,
}
"""How many rows each subtask of the official data has."""
SUBTASKS: Final = tuple(name for names in GROUPS.values() for name in names)


def prompt_of(question: str, preset: str) -> str:
    """Return the user text of a question in a preset; some questions have two spaces before "Please"."""
    if preset == "janus-pr541":
        return "\n" + question + SHORT_LINE
    if preset == "llava":
        return question.replace(PLEASE, "").rstrip() + SHORT_LINE
    if preset == "lmms-eval":
        return question.strip().replace(" " + PLEASE, "") + SHORT_LINE
    return question


def read(text: str, gold: Json) -> dict[str, Read]:
    """Return what each protocol reads in an answer, whether it is right, whether it was unreadable."""
    official, lmms = yes_no_mme(text), yes_no_mme_lmms(text)
    reads: dict[str, Read] = {"official": (official, float(official == gold), official == "other")}
    for protocol, reader in YES_NO_VLMEVALKIT.items():
        word = reader(text)
        reads[protocol] = (word, float(word.lower() == gold), word == "Unknown")
    reads["lmms-eval"] = (lmms, float(lmms == gold), lmms == "other")
    return reads


def estimates(scores: Sequence[Score]) -> Mapping[str, Estimate]:
    """Return, for each protocol, `perception`, `cognition` and each subtask in points.

    `<subtask>_acc` and `<subtask>_acc_plus` are its two halves, at most 100 each.
    """
    found: dict[str, Estimate] = {}
    for protocol, mine in by_protocol(scores, PROTOCOLS).items():
        points: dict[str, Estimate] = {}
        halves: dict[str, Estimate] = {}
        for subtask, part in grouped(mine, lambda each: each.tags["category"]).items():
            accuracy, plus = percent(part), _both_right(part)
            points[subtask] = replace(stats.total([accuracy, plus]), n=accuracy.n, absent=accuracy.absent)
            halves |= {f"{protocol}/{subtask}_acc": accuracy, f"{protocol}/{subtask}_acc_plus": plus}
        for group, names in GROUPS.items():
            members = [points[name] for name in names if name in points]
            if members:
                absent = [name for name in names if name not in points]
                found[f"{protocol}/{group}"] = stats.lacking(stats.total(members), absent)
        found |= {f"{protocol}/{name}": points[name] for name in SUBTASKS if name in points}
        found |= halves
    return found


def _both_right(scores: Sequence[Score]) -> Estimate:
    """Return the share of pictures with both answers right, of those with two verdicts."""
    pictures = grouped((each for each in scores if each.value is not None), stats.cluster)
    pairs = {name: pair for name, pair in pictures.items() if len(pair) == 2}
    both = [float(all(each.value == 1 for each in pair)) for pair in pairs.values()]
    return replace(stats.mean(both, list(pairs)).times(100), absent=stats.lost(scores))


def _rescored(suite: TableBenchmark, *, predictions: Path | None = None, data: str | Path | None = None) -> Scored:
    """Score answers made elsewhere: the official tool's folder of .txt files, one a subtask, or rows of
    `category, image, question, answer, response`."""
    file = given(predictions)
    taken = take(file, suite.name)
    if data:
        taken = replace(taken, lacks="")  # the data set has what it lacks
        gold, _, known = suite.gold(str(data))
        pictures: dict[str, list[Sample]] = {}
        for each in known:
            pictures.setdefault(_stem(each.cluster), []).append(each)
        found, odd = placed(taken.rows, lambda row: _stem(_picture(row)), pictures, _meant)
        must_be_few(odd, len(taken.rows), taken)
        rows, samples = [row for row, _ in found], [sample for _, sample in found]
        make, mine = _maker(), Asked()
        found = Answers(file, taken, rows, samples, odd, known, gold)
        return elsewhere(suite, agreeing(found, suite.suite.golds, lambda row: make(row, mine), {}))
    make, asked = _maker(), Asked(hint=hint_for(file))
    made, odd = readable(taken.rows, lambda row: make(row, asked))
    must_be_few(odd, len(taken.rows), taken)
    rows, samples = [row for row, _ in made], [sample for _, sample in made]
    lonely = _check_pairs(samples, rows, whole=False)
    counts = Counter(each.tags["category"] for each in (*samples, *lonely))
    absent = [name for name in SUBTASKS if name not in counts]
    fewer = {name: SIZES[name] - counts[name] for name in SUBTASKS if name in counts and counts[name] < SIZES[name]}
    gaps = [_gap(name, at) for name, count in fewer.items() for at in range(count)]
    extra: dict[str, Json] = {"absent_subtasks": absent} if absent else {}
    answers = Counter((each.cluster, each.tags["answer"]) for each in samples)
    alike = [name for (name, _), count in answers.items() if count > 1]
    extra |= {"same_answers": alike} if alike else {}  # of a picture's two questions one is to be answered by yes
    extra |= _told_of(samples, counts)
    extra |= {"rows_absent": {name: f"{counts[name]} of {SIZES[name]}" for name in fewer}} if fewer else {}
    return elsewhere(suite, Answers(file, taken, rows, samples, odd), absent=lonely, gaps=gaps, extra=extra)


def _told_of(samples: Sequence[Sample], counts: Mapping[str, int]) -> dict[str, Json]:
    """Return what is said of subtasks that hold more rows than the official ones, and of those that ask the same
    questions about the same pictures: a file under another's name."""
    more = {name: f"{count} of {SIZES[name]}" for name, count in counts.items() if count > SIZES[name]}
    asked: dict[tuple[str, str], list[str]] = {}
    for each in samples:
        if isinstance(each.target, str):
            file = _stem(each.cluster.partition("/")[2])
            asked.setdefault((file, bare(each.target)), []).append(each.tags["category"])
    both = Counter(tuple(sorted({*names})) for names in asked.values())
    shared = {" and ".join(names): f"{count} questions" for names, count in both.items() if len(names) > 1}
    return {**({"rows_too_many": more} if more else {}), **({"in_two_subtasks": shared} if shared else {})}


def _stem(picture: str) -> str:
    """Return a picture's name without its suffix: MME's tool and LLaVA's conversion name the text beside it."""
    stem, dot, suffix = picture.rpartition(".")
    return stem if dot and suffix.lower() in ("txt", "png", "jpg", "jpeg") else picture


def _gap(subtask: str, number: int) -> Sample:
    """Return what stands for a row of the official data that nobody knows."""
    name = f"{subtask}/?{number // 2}"
    return Sample(f"{name}/{number % 2}", "", tags={"category": subtask}, cluster=name)


def _samples(suite: TableSuite, rows: Sequence[Row], asked: Asked) -> list[Sample]:
    """Return the samples of whole pairs of rows."""
    make = _maker()
    samples = [make(row, asked) for row in rows]
    _check_pairs(samples, rows)
    return samples


def _picture(row: Row, hint: str = "") -> str:
    """Return what names a row's picture: subtask and file. LLaVA's answers have both in `question_id`."""
    columns = ("image_path", "image", "question_id")
    image = row.name(*columns) or row.identity(*columns, hint=hint)
    category = row.label("category") or image.partition("/")[0]
    if category not in SUBTASKS:
        category = str(row.need("category", hint=hint))
        near = nearest(category, SUBTASKS)
        raise row.wrong("category", category, f"one of {', '.join(SUBTASKS)}" + (f" ({near}?)" if near else ""))
    return f"{category}/{image.removeprefix(category + '/')}"


def _meant(row: Row, same: Sequence[Sample]) -> Sequence[Sample]:
    """Return which of a picture's two questions a row answers: by its text, else by the right answer."""
    fits = asked_by(row, same, lambda each: each.target)
    if fits is not None:
        return fits
    gold = (row.words("answer") or "").strip().lower()
    alike = [each for each in same if each.tags["answer"] == gold]
    return alike if len(alike) == 1 else same


def _maker() -> Callable[..., Sample]:
    """Return what makes samples of rows: the two questions of a picture are numbered 0 and 1 in order."""
    seen: dict[str, int] = {}

    def make(row: Row, asked: Asked) -> Sample:
        picture = _picture(row, asked.hint)
        number = seen.get(picture, 0)
        seen[picture] = number + 1
        answer = str(row.need("answer", hint=asked.hint)).strip().lower()
        if answer not in ("yes", "no"):
            raise row.wrong("answer", row.find("answer"), "Yes or No")
        return Sample(
            f"{picture}/{number}",
            asked.text(lambda: prompt_of(row.text("question"), asked.preset)),
            images=asked.pictures(row),
            target=row.words("question"),
            tags={"category": picture.partition("/")[0], "answer": answer},
            cluster=picture,
        )

    return make


def _check_pairs(samples: Sequence[Sample], rows: Sequence[Row], *, whole: bool = True) -> list[Sample]:
    """Return the missing halves of pairs; raise UsageError where a picture has more than two
    questions, twice the same, or, where the rows are to be `whole`, only one."""
    places: dict[str, list[tuple[Row, Sample]]] = {}
    for sample, row in zip(samples, rows, strict=True):
        places.setdefault(sample.cluster, []).append((row, sample))
    lonely: list[Sample] = []
    for picture, found in places.items():
        (row, last), questions = found[-1], [sample.target for _, sample in found]
        if len(found) > 2 or (whole and len(found) < 2):
            raise UsageError(
                f"{row.where}: column 'image': {shown(picture)} has {len(found)} questions, MME has two a picture"
            )
        if len(found) == 2 and questions[0] is not None and questions[0] == questions[1]:
            raise UsageError(
                f"{row.where}: duplicate key: {shown(picture)} has the question {shown(questions[0])} twice"
            )
        if len(found) == 1:
            lonely.append(replace(last, id=f"{picture}/1"))
    return lonely


Mme = TableSuite(
    name="mme",
    about="""MME's perception (10 subtasks, at most 2000 points) and cognition (4, at most 800). Presets `official` and
    `vlmevalkit` ask the question as it is, `llava` and `lmms-eval` replace "Please answer yes or no." by the
    short-answer line, `janus-pr541` keeps it and adds the line.""",
    source=Source("mme", hub="mme", tsv="mme-tsv", files=("MME.tsv", "data/test-*.parquet", *MME_FILES)),
    headline="official/perception",
    presets=PRESETS,
    worlds=("toy",),
    sample=lambda row, asked: _maker()(row, asked),
    samples=_samples,
    score=judged(read, lambda sample: sample.tags["answer"]),
    estimates=estimates,
    rescored=_rescored,
)
