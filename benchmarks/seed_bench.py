"""SEED-Bench, picture part: four options, scored by the exact letter or by the options' likelihoods."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from ..evals import stats
from ..evals.stats import Estimate
from ..evals.types import Evidence, Json, Prediction, Sample, Score, Scored
from .reading.answers import LETTER, letter_exact, letter_first
from .reading.cells import whole
from .reading.choices import prompt_of
from .reading.elsewhere import asked_by, elsewhere
from .reading.options import options_of
from .reading.rows import Row
from .reading.scores import Read, by_protocol, grouped, percent, scores_of, slug
from .reading.sources import Source
from .reading.suite import PRESETS, Asked, TableBenchmark, TableSuite, row_number

PROTOCOLS: Final = ("official", "likelihood", "vlmevalkit-2024", "vlmevalkit-2026", "lmms-eval")
TYPES: Final = (
    *("Scene Understanding", "Instance Identity", "Instance Attributes", "Instance Location", "Instances Counting"),
    *("Spatial Relation", "Instance Interaction", "Visual Reasoning", "Text Understanding"),
    *("Action Recognition", "Action Prediction", "Procedure Understanding"),
)
"""Question types 1 to 12; from 10 on they are about videos."""
_VIDEO_ID: Final = re.compile(r"v\d+")


def score(sample: Sample, prediction: Prediction, evidence: Evidence | None = None) -> Sequence[Score]:
    """Return one Score a protocol: 1 where the letter read is the gold one."""
    gold: str = sample.target["answer"]
    if prediction.likelihoods is not None:
        best = "ABCD"[max(range(len(prediction.likelihoods)), key=prediction.likelihoods.__getitem__)]
        return scores_of(sample, prediction, {"likelihood": (best, float(best == gold), False)})
    return scores_of(sample, prediction, read(prediction.text or "", gold, sample.target["options"]))


def read(text: str, gold: str, options: Mapping[str, str] | None) -> dict[str, Read]:
    """Return what each protocol reads in an answer; VLMEvalKit's matchers need the options."""
    exact, first = letter_exact(text), letter_first(text)
    reads: dict[str, Read] = {"official": (exact, float(exact == gold), exact is None)}
    if options:
        for protocol in ("vlmevalkit-2024", "vlmevalkit-2026"):
            letter = LETTER[protocol](text, options)
            reads[protocol] = (letter, float(letter == gold), letter is None)
    # Lowered for the comparison alone (lmms-eval seedbench/utils.py).
    reads["lmms-eval"] = (first, float(first.lower().strip() == gold.lower()), first.upper() not in tuple("ABCD"))
    return reads


def estimates(scores: Sequence[Score]) -> Mapping[str, Estimate]:
    """Return `image_accuracy` in percent for each protocol, and the accuracy of each question type.

    Video rows of a predictions file give `video_accuracy` and `accuracy` (all rows) beside it.
    """
    found: dict[str, Estimate] = {}
    for protocol, mine in by_protocol(scores, PROTOCOLS).items():
        media = grouped(mine, lambda each: each.tags["media"])
        for name, part in media.items():
            seen = {each.tags["type"] for each in part if "type" in each.tags}
            absent = [each for each in (TYPES[:9] if name == "image" else TYPES[9:]) if each not in seen]
            found[f"{protocol}/{name}_accuracy"] = stats.lacking(percent(part), absent if seen & {*TYPES} else ())
        if len(media) > 1:
            found[f"{protocol}/accuracy"] = percent(mine)
        for name, part in grouped(mine, lambda each: each.tags.get("type", "")).items():
            found[f"{protocol}/{slug(name)}"] = percent(part)
    return found


def _rescored(suite: TableBenchmark, *, predictions: Path | None = None, data: str | Path | None = None) -> Scored:
    """Score answers made elsewhere: rows of `id, answer, response`, with `type` and options A to D
    where they are known, or `id, response` with the data set."""
    found = suite.answers(predictions, data)
    samples, known = found.samples, found.known
    counts = Counter(row_number(row) for row in found.rows)
    twice = sorted(name for name, count in counts.items() if count > 1)
    extra: dict[str, Json] = {"duplicate_ids": twice} if twice else {}
    if known and not any(each.tags["media"] == "video" for each in samples):
        known = [each for each in known if each.tags["media"] == "image"]
    if not all(each.target["options"] for each in samples):
        extra["absent"] = dict.fromkeys(("vlmevalkit-2024", "vlmevalkit-2026"), "needs the columns A to D")
        samples = [replace(each, target={**each.target, "options": None}) for each in samples]
    most = suite.suite.rows_of_an_id if known is None else 1
    return elsewhere(suite, replace(found, samples=samples, known=known), duplicates=most, extra=extra)


def _meant(row: Row, same: Sequence[Sample]) -> Sequence[Sample]:
    """Return which of two questions of one id a row answers: by question, right answer, options or picture."""
    fits = asked_by(row, same, lambda each: each.prompt)
    if fits is not None:
        return fits
    answer, options = row.find("answer", "gt_answer", "gold"), options_of(row)
    picture = row.name("data_id", "image_path")
    tests: tuple[tuple[Json, Callable[[Sample], Json]], ...] = (
        (answer, lambda each: each.target["answer"]),
        (options, lambda each: each.target["options"]),
        (picture, lambda each: each.cluster),
    )
    for said, known in tests:
        alike = [each for each in same if known(each) == said]
        if len(alike) == 1:
            return alike
    return same


def _named(samples: Sequence[Sample]) -> list[Sample]:
    """Return the samples with a name each, as a run needs: the second row of a repeated id gets a number."""
    seen: Counter[str] = Counter()
    named: list[Sample] = []
    for each in samples:
        seen[each.id] += 1
        named.append(each if seen[each.id] == 1 else replace(each, id=f"{each.id}#{seen[each.id]}"))
    return named


def _prompt(row: Row, preset: str) -> str:
    question, options = row.text("question"), options_of(row) or {}
    return question if preset == "official" else prompt_of(preset, question, options, row.words("hint"))


def _is_video(row: Row) -> bool:
    """Return whether a row is about a video: by `data_type`, else by its id, v1, v2, ..."""
    medium = row.words("data_type")
    return medium == "video" if medium is not None else _VIDEO_ID.fullmatch(row_number(row)) is not None


def _type(row: Row) -> str:
    kind = row.label("type", "question_type_id", "category") or ""
    number = whole(kind) or 0
    return TYPES[number - 1] if 1 <= number <= len(TYPES) else kind


def _sample(row: Row, asked: Asked) -> Sample:
    answer = asked.gold(row, "answer", "gt_answer", "gold")
    if answer not in ("A", "B", "C", "D") and not asked.unanswered:
        raise row.wrong("answer", answer, "one of A, B, C, D")
    options = options_of(row)
    kind = _type(row)
    return Sample(
        id=row_number(row),
        # The bare question of a row that is not asked tells it from another of its id.
        prompt=asked.text(lambda: _prompt(row, asked.preset)) or row.words("question") or "",
        images=asked.pictures(row),
        target={"answer": answer, "options": options},
        tags={"media": "video" if _is_video(row) else "image", **({"type": kind} if kind else {})},
        options=tuple((options or {}).values()),
        cluster=row.name("data_id", "image_path"),
    )


SeedBench = TableSuite(
    name="seed_bench",
    sizes=(14232, 14233, 17990, 19242),
    about="""SEED-Bench's 14233 picture questions. Preset `official` asks the bare question, and then, where the model
    gives them, takes the likelihoods of the four option texts: protocol `likelihood`. One question id, 49914,
    occurs twice in the data: both rows count.""",
    source=Source(
        "seed_bench",
        hub="seed-bench",
        tsv="seed-bench-tsv",
        files=("SEEDBench_IMG.tsv", "SEED-Bench.json", "data/test-*.parquet"),
    ),
    headline="official/image_accuracy",
    presets=PRESETS,
    worlds=("toy",),
    rows=lambda rows, asked: [row for row in rows if not (asked and _is_video(row))],
    folders=("SEED-Bench-image",),
    rows_of_an_id=2,
    named=_named,
    meant=_meant,
    key=row_number,
    golds=("answer", "gt_answer", "gold"),
    likelihoods=("official",),
    sample=_sample,
    score=score,
    estimates=estimates,
    rescored=_rescored,
)
