"""Judging answers made elsewhere: what a judge said is kept in a file beside them and replayed."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from ...evals import screen
from ...evals.errors import EnvironmentProblem
from ...evals.files import seal, unseal
from ...evals.types import UNNAMED, Evidence, Json, Prediction, Sample, Scored
from ..reading.elsewhere import answer_of
from ..reading.rows import Row
from .judge import Judge, served_as

T = TypeVar("T")


def judged(function: Callable[..., T]) -> Callable[..., T]:
    """Give a function that takes `**options` the options of a judge, so that they become flags of the command."""
    own = [each for each in inspect.signature(function, eval_str=True).parameters.values() if each.name != "options"]
    flags = [
        each.replace(kind=each.KEYWORD_ONLY)
        for each in inspect.signature(Judge, eval_str=True).parameters.values()
        if each.name.startswith("judge")
    ]
    function.__signature__ = inspect.Signature([*own, *flags])  # pyright: ignore[reportFunctionMemberAccess] -- inspect reads it
    return function


def ask(
    task: str,
    samples: Sequence[Sample],
    rows: Sequence[Row],
    options: Mapping[str, Any],
    *,
    memory: Path,
    strip: bool = False,
) -> list[Evidence]:
    """Return the evidence of each row's answer, asking the judge only for what it has not judged yet.

    With `strip` it judges the answer without its reasoning, and nothing where no answer is left.

    The replies lie in `<memory>.judge.jsonl`, one sealed line an answer, written as they come. A line is
    used again for the same question, answer and judge; one with an error, or that was changed, is asked again,
    and so is one whose value is not what its replies say. Of several lines of one answer the
    first stands; all that is said.
    """
    answers = [answer_of(each, row, strip=strip) for each, row in zip(samples, rows, strict=True)]
    pairs = list(zip(samples, answers, strict=True))
    judge = Judge(task, **options)
    card = json.dumps(judge.card, sort_keys=True)
    file = memory.with_name(memory.name + ".judge.jsonl")
    keys = [_key(card, *pair) for pair in pairs]
    kept = _standing(file, dict(zip(keys, pairs, strict=True)), judge)
    found = {
        key: Evidence(pair[0].id, data=kept[key], served=served_as(kept[key]))
        for key, pair in zip(keys, pairs, strict=True)
        if key in kept
    }
    found |= {key: Evidence(pair[0].id) for key, pair in zip(keys, pairs, strict=True) if pair[1].text is None}
    todo = [(key, pair) for key, pair in zip(keys, pairs, strict=True) if key not in found]
    for start in range(0, len(todo), judge.batch_size):
        batch = todo[start : start + judge.batch_size]
        made = judge.observe([pair for _, pair in batch])
        found |= {key: each for (key, _), each in zip(batch, made, strict=True)}
        _append(file, [(key, each) for (key, _), each in zip(batch, made, strict=True) if each.error is None])
    return [found[key] for key in keys]


def judged_by(scored: Scored, evidence: Sequence[Evidence]) -> Scored:
    """Return what was scored with the judges that replied, and how often: a request that failed is of no judge."""
    judges = Counter(each.served for each in evidence if each.served)
    told = {"judged_by": dict(judges.most_common())} if {*judges} - {UNNAMED} else {}
    return replace(scored, extra={**scored.extra, **told})


def _key(card: str, sample: Sample, prediction: Prediction) -> str:
    row = [card, sample.id, sample.target, prediction.text]
    return hashlib.sha256(json.dumps(row, sort_keys=True).encode()).hexdigest()


def _standing(file: Path, pairs: Mapping[str, tuple[Sample, Prediction]], judge: Judge) -> dict[str, Json]:
    """Return what was kept of these answers and is what the judge makes of its replies; say what is not."""
    found: dict[str, Json] = {}
    doubted: list[str] = []
    second: list[str] = []
    for row in _read(file):
        key, data = row["key"], row.get("data")
        if key not in pairs:
            continue
        sample, prediction = pairs[key]
        if why := judge.doubt(sample, prediction, data):
            doubted.append(f"{sample.id}: {why}")
        elif key not in found:
            found[key] = data
        elif _values(found[key]) != _values(data):
            second.append(sample.id)
    if doubted:
        screen.warn(f"{file}: {len(doubted)} kept judgements are not what the judge said ({doubted[0]}): asked again")
    if second:
        screen.warn(f"{file}: {len(second)} answers have a second judgement ({second[0]} ...): the first ones stand")
    return found


def _values(data: Json) -> list[Json]:
    return [run["value"] for run in data["runs"]]


def _read(file: Path) -> Iterator[dict[str, Json]]:
    """Yield the whole lines of what was kept; one that is half-written or changed since is said, and asked again."""
    damaged = 0
    if file.is_file():
        with file.open("rb") as lines:
            for row in map(unseal, filter(bytes.strip, lines)):
                if row is not None and isinstance(row.get("key"), str):
                    yield row
                else:
                    damaged += 1
    if damaged:
        screen.warn(f"{file}: {damaged} lines are half-written, or were changed since: asked again")


def _append(file: Path, made: Sequence[tuple[str, Evidence]]) -> None:
    try:
        with file.open("a+b") as out:
            if out.tell() > 0:
                out.seek(-1, 2)
                if out.read(1) != b"\n":
                    out.write(b"\n")
            for key, each in made:
                out.write((seal({"key": key, "id": each.sample_id, "data": each.data}) + "\n").encode())
    except OSError as error:
        raise EnvironmentProblem(f"cannot write the judge's replies to {file}: {error.strerror}") from error
