"""A run's samples as the browser takes them: a short row for the list, and all that is known for the sample's page."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ...evals.errors import UsageError
from ...evals.packs import picture
from ...evals.stored import Stored, read_lines
from ...evals.types import Json, Picture, Sample, Score
from ..standing import protocol
from . import questions, runs
from .pictures import Wanted
from .questions import Asked
from .runs import Run

Key = tuple[str, int]
"""(sample id, index): one output."""
CHUNK = 200
"""Samples whose details lie in one file."""
_SHORT = 160
_BOXES = 80


@dataclass(frozen=True, slots=True)
class Samples:
    """A run's list (`rows`), its `details` in chunks, the pictures that they name, and what could not be read."""

    protocols: tuple[str, ...]
    tags: tuple[str, ...]
    rows: list[list[Json]]
    details: list[dict[str, Json]]
    pictures: list[Wanted]
    said: list[str]


def samples(run: Run) -> Samples:
    """Return all outputs of a run in the order of their ids. What is damaged or gone is said, never refused."""
    asked = questions.asked(run)
    said = [asked.lacking] if asked.lacking else []
    try:
        scores = runs.scores(run)
    except UsageError as error:
        scores, said = [], [*said, str(error)]
    stored = Stored(run.folder)
    lines = {(row["sample_id"], row["index"]): row for row in stored.prediction_lines().values()}
    said += stored.damage[:20]
    seen = {(row["sample_id"], row["index"]): row for row in read_lines(run.folder, "evidence")}
    seconds = _seconds(run.folder)
    verdicts: dict[Key, list[Score]] = {}
    for each in scores:
        verdicts.setdefault((each.sample_id, each.index), []).append(each)
    first = protocol(run.record.headline)  # a list without a chosen protocol goes by the headline's
    protocols = tuple(sorted({each.protocol: None for each in scores}, key=first.__ne__))
    tags = tuple(dict.fromkeys(str(name) for each in scores for name in each.tags))
    found = Samples(protocols, tags, [], [], [], said)
    for number, key in enumerate(sorted({*lines, *verdicts}, key=lambda each: (natural(each[0]), each))):
        if number % CHUNK == 0:
            found.details.append({})
        row, line = verdicts.get(key, []), lines.get(key)
        detail = _detail(run, key, asked, line, seen.get(key), row, found.pictures)
        if key in seconds:
            detail["seconds"] = seconds[key]
        found.details[-1][f"{key[0]}/{key[1]}"] = detail
        found.rows.append(_row(key, protocols, tags, row, detail))
    return found


def natural(name: str) -> tuple[str | tuple[int, str], ...]:
    """Return what sorts names as people count: 2 before 10. Texts and digits alternate, so that like meets like."""
    parts = re.split(r"([0-9]+)", name)
    return tuple((len(each.lstrip("0")), each.lstrip("0")) if place % 2 else each for place, each in enumerate(parts))


def _row(key: Key, protocols: tuple[str, ...], tags: tuple[str, ...], scores: list[Score], detail: Json) -> list[Json]:
    """Return [id, index, question, output, tags, values, readings, picture]: one line of the list."""
    by_protocol = {each.protocol: each for each in scores}
    held = scores[0].tags if scores else {}
    chosen = [by_protocol.get(each) for each in protocols]
    return [
        key[0],
        key[1],
        _cut(str(detail.get("prompt", ""))),
        _cut(str(detail.get("text", ""))),
        [str(held.get(name, "")) for name in tags],
        [None if each is None else each.value for each in chosen],
        [None if each is None else _cut(_said(each)) for each in chosen],
        detail.get("image", (detail.get("inputs") or [""])[0]),
    ]


def _said(score: Score) -> str:
    answer = score.answer if isinstance(score.answer, str) else ""
    return score.reason or answer


def _cut(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _SHORT else text[:_SHORT] + "…"


def _detail(
    run: Run,
    key: Key,
    asked: Asked,
    line: Mapping[str, Json] | None,
    seen: Mapping[str, Json] | None,
    scores: list[Score],
    pictures: list[Wanted],
) -> dict[str, Json]:
    sample = asked.samples.get(key[0])
    found: dict[str, Json] = {} if sample is None else questions.question(sample)
    inputs = [_input(each, pictures) for each in sample.images] if sample is not None else []
    if inputs:
        found["inputs"] = inputs
    if line is None:
        found["missing"] = "no output, or one that is damaged"
    elif line.get("image") is not None:
        found["image"] = line["sha256"]
        found["file"] = line["image"]
        pictures.append(Wanted(line["sha256"], partial(picture, run.folder, line)))
    for name in ("text", "finish", "likelihoods", "refused"):
        if line is not None and line.get(name):
            found[name] = line[name]
    found["scores"] = [
        {name: getattr(each, name) for name in ("protocol", "value", "answer", "reason", "unparsed", "details")}
        for each in scores
    ]
    if "clauses" in found:
        found["clauses"] = questions.judged(sample, scores)
    if seen is not None:
        found |= _seen(run, sample, scores, seen)
    return found


def _input(picture: Picture, pictures: list[Wanted]) -> str:
    name = f"{picture.source}\0{picture.name}"
    pictures.append(Wanted(name, _careful(picture)))
    return name


def _careful(picture: Picture) -> Callable[[], bytes]:
    def read() -> bytes:
        try:
            return picture.read()
        except (KeyError, TypeError, IndexError, AttributeError) as error:
            raise OSError(f"{picture.name} cannot be read: {error}") from error

    return read


def _seen(run: Run, sample: Sample | None, scores: list[Score], seen: Mapping[str, Json]) -> dict[str, Json]:
    """Return what an observer saw: boxes, a tree of questions, a judge's transcript; other evidence as it is."""
    data = seen.get("data")
    found: dict[str, Json] = {"error": str(seen["error"])} if seen.get("error") else {}
    if not isinstance(data, Mapping):
        return found if data is None else found | {"evidence": data}
    if isinstance(data.get("boxes"), Mapping):
        return found | {"seen": _boxes(run, sample, scores, data)}
    if isinstance(data.get("answers"), Mapping):
        return found | {"tree": questions.tree(sample, data["answers"])}
    if isinstance(data.get("runs"), list):
        return found | {"judge": str(data.get("judge") or ""), "transcript": data["runs"]}
    return found | {"evidence": dict(data)}


def _boxes(run: Run, sample: Sample | None, scores: list[Score], data: Mapping[str, Json]) -> Json:
    """Return {size, threshold, boxes: [class, x1, y1, x2, y2, score, colour, mask], left_out}, best first."""
    card = run.record.spec.benchmark_card
    counting = any(each.tags.get("task") == "counting" for each in scores)
    asked = questions.classes(sample)
    boxes: list[list[Json]] = []
    for name, rows in data["boxes"].items():
        if (asked and name not in asked) or not isinstance(rows, list):
            continue
        colours, masks = (_of(data, part, name) for part in ("colors", "masks"))
        for place, box in enumerate(rows):
            if isinstance(box, list) and len(box) == 5 and all(type(each) in (int, float) for each in box):
                colour = colours[place] if place < len(colours) and isinstance(colours[place], str) else ""
                boxes.append([name, *box, colour, _mask(masks[place]) if place < len(masks) else None])
    boxes.sort(key=lambda box: -box[5])
    size = data.get("size")
    plain = isinstance(size, list) and len(size) == 2 and all(type(each) in (int, float) for each in size)
    return {
        "size": size if plain else None,
        "threshold": card.get("counting_threshold" if counting else "threshold", 0),
        "boxes": boxes[:_BOXES],
        "left_out": max(0, len(boxes) - _BOXES),
        "classes": asked or list(dict.fromkeys(each[0] for each in boxes)),
    }


def _of(data: Mapping[str, Json], part: str, name: str) -> list[Json]:
    held = data.get(part)
    rows = held.get(name) if isinstance(held, Mapping) else None
    return rows if isinstance(rows, list) else []


def _mask(mask: Json) -> Json:
    """Return a mask as COCO writes it, {size, counts}, where it is one."""
    if not isinstance(mask, Mapping) or not isinstance(mask.get("counts"), str):
        return None
    return {"size": mask.get("size"), "counts": mask["counts"]}


def _seconds(folder: Path) -> dict[Key, float]:
    path = folder / "latency.jsonl"
    found: dict[Key, float] = {}
    if path.is_file():
        with path.open("rb") as file:
            for line in file:
                try:
                    row = json.loads(line)
                    found[(row["sample_id"], row["index"])] = float(row["seconds"])
                except (ValueError, KeyError, TypeError):  # cut by a kill: the next lines are whole
                    continue
    return found
