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
from .reading.answers import PROTOCOLS, YES_NO_VLMEVALKIT, yes_no_mme, yes_no_mme_lmms
from .reading.choices import SHORT_LINE
from .reading.elsewhere import elsewhere, given, hint_for, placed
from .reading.rows import Row, read_rows
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
    rows = _official_folder(file) if file.is_dir() else read_rows(file)
    if data:
        known = suite.load(str(data), asked=False)
        make = _maker({(each.cluster, each.target): each.id for each in known})
        samples = placed(rows, lambda row: make(row, Asked(), gold=False).id, known, lambda row: make(row, Asked()))
        return elsewhere(suite, rows, samples, data=known)
    make, asked = _maker(), Asked(hint=hint_for(file))
    samples = [make(row, asked) for row in rows]
    lonely = _check_pairs(samples, rows, whole=False)
    counts = Counter(each.tags["category"] for each in (*samples, *lonely))
    absent = [name for name in SUBTASKS if name not in counts]
    fewer = {name: SIZES[name] - counts[name] for name in SUBTASKS if name in counts and counts[name] < SIZES[name]}
    gaps = [_gap(name, at) for name, count in fewer.items() for at in range(count)]
    extra: dict[str, Json] = {"absent_subtasks": absent} if absent else {}
    extra |= {"rows_absent": {name: f"{counts[name]} of {SIZES[name]}" for name in fewer}} if fewer else {}
    return elsewhere(suite, rows, samples, absent=lonely, gaps=gaps, extra=extra)


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


def _maker(named: Mapping[tuple[str, Json], str] | None = None) -> Callable[..., Sample]:
    """Return what makes samples of rows: the two questions of a picture are numbered 0 and 1 in order.

    `named` gives the id of a (picture, question) of the data set: rows may then come in any order.
    """
    seen: dict[str, int] = {}
    known = named or {}

    def make(row: Row, asked: Asked, *, gold: bool = True) -> Sample:
        hint = asked.hint
        category = str(row.need("category", hint=hint))
        if category not in SUBTASKS:
            near = nearest(category, SUBTASKS)
            raise row.wrong("category", category, f"one of {', '.join(SUBTASKS)}" + (f" ({near}?)" if near else ""))
        image = row.name("image_path", "image", "question_id") or str(row.need("image", "question_id", hint=hint))
        picture = f"{category}/{image.removeprefix(category + '/')}"
        number = seen.get(picture, 0)
        seen[picture] = number + 1
        question = row.find("question")
        tags = {"category": category}
        if gold:
            tags["answer"] = str(row.need("answer", hint=hint)).strip().lower()
            if tags["answer"] not in ("yes", "no"):
                raise row.wrong("answer", row.find("answer"), "Yes or No")
        prompt = asked.text(lambda: prompt_of(row.text("question"), asked.preset))
        name = known.get((picture, question), f"{picture}/{number}")
        return Sample(name, prompt, images=asked.pictures(row), target=question, tags=tags, cluster=picture)

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
                f"{row.where}: column 'image': {picture} has {len(found)} questions, MME has two a picture"
            )
        if len(found) == 2 and questions[0] is not None and questions[0] == questions[1]:
            raise UsageError(f"{row.where}: duplicate key: {picture} has the question {questions[0]!r} twice")
        if len(found) == 1:
            lonely.append(replace(last, id=f"{picture}/1"))
    return lonely


def _official_folder(folder: Path) -> list[Row]:
    """Return the rows of the official tool's files: image, question, gold, response between tabs."""
    paths = sorted(folder.glob("*.txt"))
    if not paths:
        raise UsageError(f"{folder}: no .txt files here (MME's tool reads one a subtask: {SUBTASKS[0]}.txt, ...)")
    names = ("image", "question", "answer", "response")
    rows: list[Row] = []
    for path in paths:
        for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
            if not line:
                continue
            cells = line.removesuffix("\r").split("\t")
            if len(cells) != len(names):
                raise UsageError(f"{path} line {number}: {len(cells)} cells between tabs, expected {', '.join(names)}")
            rows.append(Row({"category": path.stem, **dict(zip(names, cells, strict=True))}, path, number))
    return rows


Mme = TableSuite(
    name="mme",
    about="""MME's perception (10 subtasks, at most 2000 points) and cognition (4, at most 800). Presets `official` and
    `vlmevalkit` ask the question as it is, `llava` and `lmms-eval` replace "Please answer yes or no." by the
    short-answer line, `janus-pr541` keeps it and adds the line.""",
    source=Source("mme", hub="mme", tsv="mme-tsv", files=("MME.tsv", "data/test-*.parquet")),
    headline="official/perception",
    presets=PRESETS,
    worlds=("toy",),
    sample=lambda row, asked: _maker()(row, asked),
    samples=_samples,
    score=judged(read, lambda sample: sample.tags["answer"]),
    estimates=estimates,
    rescored=_rescored,
)
