"""MM-Vet: 218 open questions, graded 0 to 1 by a language model; scores by capability, mean and std over runs.

Port of the totals of yuweihao/MM-Vet acde843 mm-vet_evaluator.py; the grader is in grader.py.
"""

from __future__ import annotations

import json
import math
import statistics
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from ...evals import stats
from ...evals.errors import UsageError
from ...evals.stats import Estimate
from ...evals.types import Evidence, Json, Prediction, Sample, Score, Scored
from ..judging.kept import ask, judged, judged_by
from ..judging.replay import believed
from ..reading.cells import listed, shown
from ..reading.elsewhere import RESPONSE, elsewhere, judgeable
from ..reading.importers import Taken, with_columns
from ..reading.rows import Row
from ..reading.scores import percent, plain
from ..reading.sources import Source
from ..reading.suite import PRESETS, Asked, TableBenchmark, TableSuite, row_id
from ..reading.tables import read_rows
from .grader import GRADER
from .prompt import read_grade

CAPABILITIES: Final = ("rec", "ocr", "know", "gen", "spat", "math")
_GROUPS: Final = ("capability", "category")
STEP_BY_STEP: Final = (
    "You are a helpful assistant. Please answer truthfully and write out your thinking step by step"
    " to be sure you get the right answer."
)
"""The system prompt of VLMEvalKit f4646f72 vlm/janus.py for this suite."""
_REASON_FIRST: Final = (
    "First please perform reasoning, and think step by step to provide best answer to the following question: \n\n"
)


def score(sample: Sample, prediction: Prediction, evidence: Evidence | None = None) -> Sequence[Score]:
    """Return the mean grade over the runs; no verdict where a run has none."""
    runs = believed(GRADER, sample, prediction, evidence, int, float)
    grades = [run.get("value") for run in runs]
    known = [float(grade) for grade in grades if grade is not None and not math.isnan(grade)]
    whole = bool(known) and len(known) == len(grades)
    reasons = [str(run["reason"]) for run in runs if run.get("value") is None and run.get("reason")]
    reason = "" if whole else f"unscored: {reasons[0] if reasons else 'not graded'}"
    value = sum(known) / len(known) if whole else None
    return [
        Score(
            sample.id,
            prediction.index,
            "official",
            value,
            answer=grades or None,
            reason=reason,
            tags=sample.tags,
            details={"grades": known} if whole else None,
        )
    ]


def estimates(scores: Sequence[Score]) -> Mapping[str, Estimate]:
    """Return `total`, each capability and `set_<capabilities>` in percent, `std` over the runs' totals.

    An answer without a grade is in no mean: see `stats.over`.
    """
    counted = list(scores)
    absent = [name for name in CAPABILITIES if not any(name in _capabilities(each) for each in counted)]
    found = {"official/total": stats.lacking(percent(counted), absent)}
    for name in CAPABILITIES:
        part = [each for each in counted if name in _capabilities(each)]
        if part:
            found[f"official/{name}"] = percent(part)
    for names in sorted({"_".join(sorted(_capabilities(each))) for each in counted} - {""}):
        part = [each for each in counted if "_".join(sorted(_capabilities(each))) == names]
        found[f"official/set_{names}"] = percent(part)
    runs = _run_totals([each for each in counted if each.value is not None])
    spread = plain(statistics.pstdev(runs) if runs else None, len(runs))
    found["official/std"] = replace(spread, absent=found["official/total"].absent)
    return found


@judged
def _rescored(
    suite: TableBenchmark,
    *,
    predictions: Path | None = None,
    data: str | Path | None = None,
    grades: Path | None = None,
    allow_unscored: bool = False,
    **options: Any,
) -> Scored:
    """Score answers made elsewhere, graded already or by a judge.

    Rows of `id, capability, grades` (a list, one a run), or `id, capability, question, answer,
    response` with a judge; `data` brings what the rows lack. The official tool's files fit as
    well: a dictionary of answers as `predictions` and its file of grades as `grades`.
    """
    found = suite.answers(predictions, data)
    if options.get("judge") is not None:
        found, _ = judgeable(found)
        for sample, row in zip(found.samples, found.rows, strict=True):
            for column in ("question", "answer"):
                if not sample.target[column]:
                    row.need(column, hint=found.hint)
        strip = suite.reasoning == "strip"
        evidence = ask("mm_vet", found.samples, found.rows, options, memory=found.file, strip=strip)
        graders: Mapping[str, Json] = {}
    else:
        evidence, sources = _graded(found.samples, found.rows, grades)
        graders = _graders(sources)
    scored = elsewhere(
        suite,
        found,
        text_of=lambda row: row.words(*RESPONSE) or "",
        evidence=evidence,
        graded=True,
    )
    scored = judged_by(scored, evidence)
    scored = replace(scored, extra={**scored.extra, **graders})
    return replace(scored, metrics=stats.kept(scored.metrics)) if allow_unscored else scored


def _run_totals(scores: Sequence[Score]) -> list[float]:
    """Return each run's total in percent; none where answers have different numbers of runs."""
    grades = [each.details["grades"] for each in scores if each.details]
    if not grades or len({len(each) for each in grades}) > 1:
        return []
    return [100 * math.fsum(run) / len(scores) for run in zip(*grades, strict=True)]


def _capabilities(score: Score) -> list[str]:
    return score.tags["capability"].split(",")


def _graders(sources: Sequence[Row]) -> dict[str, Json]:
    """Return who gave a table's grades, where it says so, and how many are the official script's 0 for a reply that it
    could not read."""
    models: Counter[str] = Counter()
    unread = 0
    for row in sources:
        names, replies, grades = (row.fields.get(each) for each in ("model", "content", "score"))
        models.update(str(each) for each in (names if isinstance(names, list) else ()))
        if isinstance(replies, list) and isinstance(grades, list):
            unread += sum(isinstance(each, str) and read_grade(each) is None for each in replies)
    told: dict[str, Json] = {"judged_by": dict(models)} if models else {}
    return told | ({"grades_unread": f"{unread} grades are 0 because nobody could read the reply"} if unread else {})


def _graded(
    samples: Sequence[Sample], rows: Sequence[Row], grades: Path | None
) -> tuple[list[Evidence], Sequence[Row]]:
    """Return the grades of the rows, or of the file of grades, as a judge's evidence, and the rows that hold them."""
    apart: dict[str, Row] = {}
    for row in read_rows(grades) if grades else ():
        if apart.setdefault(row_id(row), row) is not row:
            raise UsageError(f"{row.where}: id {row_id(row)!r} has grades twice: every id needs one row")
    unknown = sorted(set(apart) - {each.id for each in samples})
    if unknown:
        raise UsageError(f"{apart[unknown[0]].where}: id {unknown[0]!r} has a grade but no answer")
    found: list[Evidence] = []
    sources: list[Row] = []
    length: int | None = None
    for sample, row in zip(samples, rows, strict=True):
        source = apart.get(sample.id) if grades else row
        values = source.find("grades", "score") if source else None
        if source is None or values is None:
            found.append(Evidence(sample.id, data={"runs": []}))
            continue
        runs = values if isinstance(values, list) else [_grade(values)]
        for value in runs:
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if value is not None and not (number and (0 <= value <= 1 or value != value)):
                raise source.wrong("grades", value, "a number from 0 to 1")
        length = len(runs) if length is None else length
        if len(runs) != length:
            raise source.wrong("grades", runs, f"{length} grades, as the rows before have")
        _must_be_said(source, runs)
        sources.append(source)
        found.append(Evidence(sample.id, data={"runs": [{"value": value} for value in runs]}))
    if all(not each.data["runs"] for each in found):
        raise UsageError(
            f"{rows[0].where}: no column 'grades': add it, or give --grades FILE, or have a judge grade: --judge MODEL"
        )
    return found, sources


def _must_be_said(row: Row, grades: Sequence[Json]) -> None:
    """Raise UsageError where a grade is not what the grader said, whose replies the official tool keeps as `content`.

    A reply that nobody can read has the grade 0 there.
    """
    said = row.fields.get("content")
    held: Sequence[Json] = said if isinstance(said, list) else [said]
    replies = [each for each in held if isinstance(each, str)]
    official = isinstance(said, list) and "score" in row.fields
    if not replies or not (official or read_grade(replies[0]) is not None):
        return  # of another table
    if len(replies) != len(grades):
        raise row.wrong("content", replies, f"{len(grades)} replies, one a grade")
    for reply, grade in zip(replies, grades, strict=True):
        read = read_grade(reply) or 0.0
        if grade is not None and grade != read and not (math.isnan(grade) and math.isnan(read)):
            raise row.wrong("score", grade, f"{read}, which its content says: {shown(reply)}")


def _grade(value: Json) -> Json:
    """Return a grade of a table of texts as the number that it is."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _named(row: Row, hint: str = "") -> str:
    """Return the capabilities of a row, sorted, joined by commas."""
    value = row.need(*_GROUPS, hint=hint)
    if isinstance(value, str):
        try:
            value = listed(value) if value.startswith("[") else value.split(",")
        except ValueError as error:
            raise row.wrong("capability", value, f"some of {', '.join(CAPABILITIES)}") from error
    names = [str(each).strip() for each in value] if isinstance(value, list) else []
    wrong = [name for name in names if name not in CAPABILITIES]
    if wrong or not names:
        raise row.wrong("capability", value, f"some of {', '.join(CAPABILITIES)}")
    return ",".join(sorted(set(names)))


def submission(samples: Sequence[Sample], answers: Sequence[str]) -> bytes:
    """Return the file that the official evaluator takes: {"v1_0": answer}."""
    rows = {each.id: said for each, said in zip(samples, answers, strict=True)}
    return json.dumps(rows, indent=4, ensure_ascii=False).encode("utf-8", "backslashreplace")


def _sample(row: Row, asked: Asked) -> Sample:
    question = row.text("question") if asked.preset else row.words("question") or ""
    answer = row.text("answer") if asked.preset and not asked.unanswered else row.words("answer") or ""
    before = {"janus-pr541": "\n", "lmms-eval": _REASON_FIRST}.get(asked.preset, "")
    return Sample(
        id=row_id(row),
        prompt=asked.text(lambda: before + question),
        images=asked.pictures(row),
        system=STEP_BY_STEP if asked.preset == "janus-pr541" else "",
        target={"question": question, "answer": answer},
        tags={"capability": "" if asked.unanswered and row.find(*_GROUPS) is None else _named(row, asked.hint)},
    )


def _joined(rows: Sequence[Row], known: Sequence[Sample], gold: Taken) -> Sequence[Row]:
    """Return rows of answers by the data set's ids: LLaVA writes N for v1_N."""
    del gold
    ids = {each.id for each in known}
    return [_renamed(row, ids) for row in rows]


def _renamed(row: Row, ids: Collection[str]) -> Row:
    try:
        name = row_id(row)
    except UsageError:
        return row  # what is wrong with it is said when it is placed
    return with_columns(row, id=f"v1_{name}") if name not in ids and f"v1_{name}" in ids else row


MmVet = TableSuite(
    name="mm_vet",
    sizes=(218,),
    about="""MM-Vet, graded by `--judge MODEL`; without a judge the answers stay ungraded. Every preset asks the bare
    question; `janus-pr541` adds VLMEvalKit's step-by-step system prompt and `lmms-eval` a request to reason first.""",
    source=Source("mm_vet", hub="mm-vet", tsv="mm-vet-tsv", files=("MMVet.tsv", "mm-vet.json", "data/test-*.parquet")),
    headline="official/total",
    presets=PRESETS,
    worlds=("toy",),
    joined=_joined,
    sample=_sample,
    score=score,
    estimates=estimates,
    observer="judge",
    submission=submission,
    rescored=_rescored,
)
