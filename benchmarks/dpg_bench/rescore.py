"""Scoring what others made: stored answers, or folders of pictures; and the summary of a suite."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ...evals import stats
from ...evals.errors import EnvironmentProblem, InvalidImage, UsageError
from ...evals.types import Json, Score, Scored
from . import rule, scoring
from .answers import StoredAnswers, read_answers
from .official import read_detail
from .pictures import Source, read_folder
from .questions import Item, problems

if TYPE_CHECKING:
    from PIL.Image import Image


class Scorer(Protocol):
    """A VQA model as `folder` needs it."""

    @property
    def scorer(self) -> str: ...
    @property
    def batch_size(self) -> int: ...
    def ask(
        self, pictures: Sequence[Image], questions: Sequence[Sequence[str]]
    ) -> Sequence[Sequence[tuple[str, bool]]]:
        """Return for each picture and each of its questions the answer and whether the question was cut."""
        ...


def stored(items: Sequence[Item], answers: StoredAnswers, pictures: int) -> Scored:
    """Score stored answers; every item should have as many pictures as the file has of that with the most.

    Where those are not the `pictures` of the suite, `holds` says so.
    """
    return _held(_scored(items, answers, {}, {}, "absent", whole=True), answers, pictures)


def detail(items: Sequence[Item], file: Path, pictures: int) -> Scored:
    """Score the answers in the official script's detail file, bug for bug and fixed; `pictures` as in `stored`."""
    found = read_detail(file, items)
    scored = _scored(items, found.answers, found.missing, {}, "absent", whole=True)
    return _held(scored, found.answers, pictures, found.odd)


def _held(found: Scored, answers: StoredAnswers, pictures: int, odd: Sequence[str] = ()) -> Scored:
    """Say of a file whether it holds another number of pictures than the suite's, and which lines are odd."""
    most = max(map(len, answers.by_item.values()), default=0)
    told: dict[str, Json] = {"odd_rows": list(odd)} if odd else {}
    if most != pictures:
        told["holds"] = f"{most} pictures an item, where {pictures} are asked for"
    return replace(found, extra={**told, **found.extra})


def folder(
    items: Sequence[Item],
    images: Path,
    resolution: int | None,
    pic_num: int | None,
    observer: Scorer,
    keep: Path | None,
    pattern: str | None = None,
) -> Scored:
    """Ask the VQA model about a folder's pictures and score the answers.

    `keep` is a file of answers: what it holds is not asked again, what is new is appended to it.
    """
    found = read_folder(images, {each.id: each.prompt for each in items}, resolution, pic_num, pattern)
    answers = read_answers(keep) if keep is not None and keep.exists() else StoredAnswers(scorer=observer.scorer)
    if answers.scorer != observer.scorer:
        raise UsageError(f"{keep} holds answers of {answers.scorer}, not of {observer.scorer}: give another file")
    missing: dict[str, str] = dict(found.broken)
    amiss: dict[str, list[str]] = {}
    if found.ignored:
        amiss["ignored_file"] = found.ignored
    if found.broken:
        amiss["broken_picture"] = [f"{item}: {why}" for item, why in sorted(found.broken.items())]
    todo: list[tuple[Item, int, Source]] = []
    for item in items:
        sources = found.sources.get(item.id, {})
        if sources and len(sources) < found.pictures:
            missing[item.id] = f"{len(sources)} of {found.pictures} pictures"
            amiss.setdefault("missing_picture", []).append(f"{item.id}: {missing[item.id]}")
        have = answers.by_item.get(item.id, {})
        wanted = {each.id for each in item.questions if each.text.strip()}
        todo += [
            (item, number, sources[number]) for number in sorted(sources) if not wanted <= set(have.get(number, {}))
        ]
    for start in range(0, len(todo), observer.batch_size):
        _ask(todo[start : start + observer.batch_size], observer, answers, missing, amiss, keep)
    return _scored(items, answers, missing, amiss, "missing")


def _ask(
    batch: Sequence[tuple[Item, int, Source]],
    observer: Scorer,
    answers: StoredAnswers,
    missing: dict[str, str],
    amiss: dict[str, list[str]],
    keep: Path | None,
) -> None:
    """Ask about one batch of pictures and store the answers before the next one."""
    readable: list[tuple[Item, int]] = []
    pictures: list[Image] = []
    for item, number, source in batch:
        try:
            pictures.append(source.read())
        except InvalidImage as error:
            missing[item.id] = str(error)
            amiss.setdefault("broken_picture", []).append(f"{item.id}: {error}")
            continue
        readable.append((item, number))
    asked = [{each.id: each.text for each in item.questions if each.text.strip()} for item, _ in readable]
    lines: list[str] = []
    replies = observer.ask(pictures, [list(each.values()) for each in asked]) if pictures else []
    for (item, number), questions, said in zip(readable, asked, replies, strict=True):
        fresh = answers.by_item.setdefault(item.id, {}).setdefault(number, {})
        answers.cut[item.id, number] = sum(cut for _, cut in said)
        for proposition, (answer, cut) in zip(questions, said, strict=True):
            if proposition in fresh:
                continue
            fresh[proposition] = answer
            row = {"item_id": item.id, "image": number, "proposition_id": proposition, "answer": answer}
            row |= {"cut": True} if cut else {}
            row |= {} if observer.scorer == scoring.MPLUG else {"scorer": observer.scorer}
            lines.append(json.dumps(row, ensure_ascii=False) + "\n")
    if keep is not None:
        try:
            with keep.open("a", encoding="utf-8") as file:
                file.writelines(lines)
        except OSError as error:
            raise EnvironmentProblem(f"cannot write {keep}: {error.strerror}") from error


def _scored(
    items: Sequence[Item],
    answers: StoredAnswers,
    missing: Mapping[str, str],
    amiss: Mapping[str, list[str]],
    lacking: str,
    *,
    whole: bool = False,
) -> Scored:
    """Score all items; those that should have had (more) pictures go into `extra` under the name `lacking`.

    Where the file claims to be `whole`, an item with fewer pictures than another makes the numbers parts.
    """
    scores: list[Score] = []
    names: list[str | int] = []
    absent: set[str] = set()
    most = max(map(len, answers.by_item.values()), default=1)
    for item in items:
        have = answers.pictures(item.id)
        if not have and item.id not in missing:
            absent.add(item.id)
        for index, (name, given) in enumerate(have):
            cut = answers.cut.get((item.id, name), 0)
            scores += scoring.score_picture(item.id, item.questions, index, given, answers.scorer, cut)
            names += [name, name]
        if whole and item.id not in missing and rule.official_questions(item.questions):
            gaps = range(len(have), most)
            scores += [Score(item.id, index, "", None, reason=stats.NO_ROW, cluster=item.id) for index in gaps]
            names += map(str, gaps)
        if item.id in missing:
            scores += scoring.unscored(item.id, len(have), f"failed item: {missing[item.id]}", answers.scorer)
            names += [str(len(have))] * 2
    known = {each.id for each in items}
    notes = dict(amiss)
    unknown = [each for each in answers.by_item if each not in known]
    if unknown:
        notes["unknown_item"] = unknown
    strange = {each.id: set[int]().union(*answers.by_item.get(each.id, {}).values()) for each in items}
    strange = {each.id: sorted(strange[each.id] - {q.id for q in each.questions}) for each in items}
    if any(strange.values()):
        notes["unknown_question"] = [f"{item}: {each}" for item, ids in strange.items() for each in ids]
    if absent:
        notes["item_without_picture"] = [each.id for each in items if each.id in absent]
    if answers.repeated:
        notes["repeated_answer"] = [f"{answers.repeated} rows say again what an earlier row says"]
    pictures = {(each.sample_id, each.index) for each in scores}
    judged = {(each.sample_id, each.index) for each in scores if each.value is not None}
    return Scored(
        bench="dpg_bench",
        n=len({each.sample_id for each in scores}),
        metrics=scoring.metrics(scores),
        unparsed=sum(each.details["other"] for each in scores if each.details and each.protocol.startswith("fixed")),
        unscored=len(pictures - judged),
        rows=_rows(scores, names),
        extra={lacking: [each.id for each in items if each.id in missing or each.id in absent]}
        | summary(items, scores, notes),
    )


def _rows(scores: Sequence[Score], names: Sequence[str | int]) -> Iterable[Mapping[str, Json]]:
    for each, name in zip(scores, names, strict=True):
        yield {
            "item_id": each.sample_id,
            "image": name,
            "protocol": each.protocol,
            "score": each.value,
            "reason": each.reason,
            **({} if each.details is None else each.details),
        }


def summary(items: Sequence[Item], scores: Sequence[Score], amiss: Mapping[str, list[str]]) -> dict[str, Json]:
    """Return what the metrics leave out: per-item scores, failed items and everything amiss, named.

    `items` and `failed_items` are the official protocol's; `fixed_items` and `unscored_items` those
    of the other one.
    """
    notes = {kind: list(lines) for kind, lines in amiss.items()}
    for item in items:
        for kind, lines in problems(item).items():
            notes.setdefault(kind, []).extend(lines)
    reasons: dict[str, dict[str, str]] = {"official": {}, "fixed": {}}
    for each in scores:
        if each.value is None and each.reason != stats.NO_ROW:
            for protocol in ("official", "fixed"):
                if each.protocol.startswith(protocol) or not each.protocol:
                    reasons[protocol].setdefault(each.sample_id, each.reason)
    found: dict[str, Json] = {}
    for protocol, key, failed in (("official", "items", "failed_items"), ("fixed", "fixed_items", "unscored_items")):
        names = sorted({each.protocol for each in scores if each.protocol.startswith(protocol)})
        values = scoring.item_scores(scores, names[0]) if names else {}
        found[key] = {item: {"image_scores": each, "score": rule.item_mean(each)} for item, each in values.items()}
        found[failed] = sorted({each.sample_id for each in scores if each.reason != stats.NO_ROW} - set(values))
    found["failed_reasons"] = reasons["official"]
    found["unscored_reasons"] = reasons["fixed"]
    found["problem_counts"] = {kind: len(lines) for kind, lines in sorted(notes.items())}
    found["problems"] = dict(sorted(notes.items()))
    return found
