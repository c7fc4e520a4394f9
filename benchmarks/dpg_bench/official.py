"""The files that the official compute_dpg_bench.py leaves: results.txt and results_detail.txt.

TencentQQGYLab/ELLA 3c228f1, dpg_bench/compute_dpg_bench.py. The detail file has a line for each answer,
"PATH, (x1, y1, x2, y2), QUESTION, ANSWER"; the results file one for each item, "PATH, SCORE, ..., MEAN", and then the
summary. Several processes append to both, so that items stand in any order and their lines may be mixed.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path, PureWindowsPath
from typing import Final

from ...evals import stats
from ...evals.errors import UsageError
from ...evals.types import Json, Scored
from ..reading.cells import shown
from . import rule
from .answers import StoredAnswers
from .questions import Item

_DETAIL: Final = re.compile(r"(.+?), \((\d+), (\d+), (\d+), (\d+)\), (.+)", re.ASCII)
_SCORES: Final = re.compile(r"(.+?)((?:, (?:0|1|0\.\d+|1\.0|[1-9](?:\.\d+)?e-(?:0[5-9]|[1-9]\d+))){2,5})", re.ASCII)
_TOTAL: Final = re.compile(r"DPG-Bench score: (\S+)")
_CATEGORY: Final = re.compile(r"\t(.+): (\S+)")
_PICTURE: Final = re.compile(r"\.(?:png|jpe?g|webp|bmp), ", re.IGNORECASE)
_SCORED_ITEMS: Final = 1064
"""Items that the script scores of its 1065: it skips a row on which the first one depends."""


def kind(path: Path) -> str:
    """Return "detail" or "results" for the official script's files, else "". Raises UsageError for a file unread."""
    if path.suffix.lower() not in ("", ".txt", ".log"):
        return ""
    for line in _lines(path)[:1000]:
        if _DETAIL.fullmatch(line):
            return "detail"
        if _SCORES.fullmatch(line):
            return "results"
    return ""


def _lines(path: Path) -> list[str]:
    try:
        if not path.is_file():
            raise UsageError(f"{path}: no such file")
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: no UTF-8 text ({error.reason})") from error
    if "\0" in text:
        line = text.partition("\0")[0].count("\n") + 1
        raise UsageError(f"{path} line {line}: a NUL byte: the file is damaged")
    return text.split("\n")


def _item(path: str) -> str:
    """Return the item that a picture's path names, as the script does; its machine may have had other slashes."""
    return PureWindowsPath(path).name.split(".")[0]


# -- the answers --------------------------------------------------------------------------------------


@dataclass(slots=True)
class Detail:
    """The answers of a detail file, and what of it could not be used: `odd` lines, items that lack pictures."""

    answers: StoredAnswers = field(default_factory=StoredAnswers)
    odd: list[str] = field(default_factory=list[str])
    missing: dict[str, str] = field(default_factory=dict[str, str])


def read_detail(path: Path, items: Sequence[Item]) -> Detail:
    """Return the answers of a detail file by item, picture and question.

    A line names its question by the text alone: of two questions of one text in an item, the first line is the
    first's. An item with fewer pictures than the others failed half-way, as in the script itself. Raises
    UsageError where a question is answered twice and differently (two runs in one file).
    """
    found = Detail()
    by_id = {item.id: item for item in items}
    said: dict[tuple[str, int, str], list[str]] = {}
    for number, line in enumerate(_lines(path), 1):
        match = _DETAIL.fullmatch(line)
        item = by_id.get(_item(match[1])) if match else None
        split = None if match is None or item is None else _split(match[6], item)
        if match is None or item is None or split is None:
            if line.strip():
                found.odd.append(f"{path.name} line {number}: {shown(line)}")
            continue
        picture = 2 * (int(match[3]) > 0) + (int(match[2]) > 0)
        said.setdefault((item.id, picture, split[0]), []).append(split[1])
    for (name, picture, text), given in said.items():
        ids = list(dict.fromkeys(each.id for each in by_id[name].questions if each.text == text))
        asked = [each for each in ids if _is_read(by_id[name], each)] or ids
        if len(given) > len(asked) and any(given[k] != given[k % len(asked)] for k in range(len(given))):
            raise UsageError(
                f"{path}: {shown(name)} picture {picture}: {shown(text)} is answered in several ways, "
                f"{', '.join(map(shown, dict.fromkeys(given)))}: two runs in one file"
            )
        found.answers.repeated += max(0, len(given) - len(asked))
        answers = found.answers.by_item.setdefault(name, {}).setdefault(picture, {})
        answers.update(zip(asked, given, strict=False))
    most = max(map(len, found.answers.by_item.values()), default=0)
    for name, pictures in found.answers.by_item.items():
        if len(pictures) < most:
            found.missing[name] = f"{len(pictures)} of {most} pictures"
    if not found.answers.by_item:
        raise UsageError(f"{path}: none of its lines is about an item of these questions; name theirs: --questions CSV")
    return found


def _is_read(item: Item, proposition: int) -> bool:
    return proposition in rule.official_questions(item.questions)


def _split(text: str, item: Item) -> tuple[str, str] | None:
    """Return question and answer of "QUESTION, ANSWER", both of which may hold commas."""
    texts = [each.text for each in item.questions if text.startswith(f"{each.text}, ")]
    best = max(texts, key=len, default=None)
    return None if best is None else (best, text[len(best) + 2 :])


# -- the scores ---------------------------------------------------------------------------------------


def read_results(path: Path) -> Scored:
    """Count a results file again: the overall score alone, because its categories are not told by item.

    It lacks items where fewer than 1064 are there, and those whose line is odd: damaged, or of another number of
    pictures. `printed` holds the summary as the file has it. Raises UsageError where half of the lines are odd.
    """
    scores: dict[str, list[float]] = {}
    printed: dict[str, Json] = {}
    odd: dict[str, str] = {}
    for number, line in enumerate(_lines(path), 1):
        match, total, category = _SCORES.fullmatch(line), _TOTAL.fullmatch(line), _CATEGORY.fullmatch(line)
        where = f"{path} line {number}"
        if match:
            item, values = _item(match[1]), [float(each) for each in match[2][2:].split(", ")]
            if item in scores and scores[item] != values[:-1]:
                raise UsageError(f"{where}: {shown(item)} stands above with other scores: two runs in one file")
            if not math.isclose(sum(values[:-1]) / len(values[:-1]), values[-1], abs_tol=1e-9):
                odd[item] = f"{where}: {shown(item)}: its mean is not that of its scores"
            scores[item] = values[:-1]
        elif total or category:
            printed |= {"overall": total[1]} if total else {category[1]: category[2]} if category else {}
        elif _PICTURE.search(line):
            odd[line] = f"{where}: {shown(line)}: no picture's scores"
    usual = Counter(map(len, scores.values())).most_common(1)[0][0]
    odd |= {
        item: f"{path}: {shown(item)}: {len(each)} scores, where the others have {usual}"
        for item, each in scores.items()
        if len(each) != usual
    }
    good = {item: each for item, each in scores.items() if item not in odd}
    if len(odd) >= len(good):
        more = f" (and so for {len(odd) - 1} more)" if len(odd) > 1 else ""
        raise UsageError(next(iter(odd.values())) + more)
    return _counted(good, list(odd.values()), printed, usual)


def _contradicted(printed: Mapping[str, Json], found: float | None) -> dict[str, Json]:
    """Return what is said of a file whose own summary is not what its lines give; {} where they agree or none is."""
    if "overall" not in printed or found is None:
        return {}
    with suppress(ValueError):
        if abs(float(str(printed["overall"])) - found) <= 1e-6:
            return {}
    return {"contradicted": [f"its summary says {printed['overall']}, its lines give {found:.4f}"]}


def _counted(
    scores: Mapping[str, Sequence[float]], odd: Sequence[str], printed: Mapping[str, Json], pictures: int
) -> Scored:
    """Return the overall score of the items; short of those that are `odd`, and of those that 1064 lack."""
    means = [rule.item_mean(each) for each in scores.values()]
    estimate = stats.mean(means, list(scores)).times(100)
    lacks = max(_SCORED_ITEMS - len(scores), len(odd))
    estimate = replace(estimate, value=rule.official_mean(means), absent={"items": lacks} if lacks else {})
    holds = [f"{len(scores):,} items, where the suite has {_SCORED_ITEMS:,}"] if len(scores) > _SCORED_ITEMS else []
    holds += [f"{pictures} pictures an item, where 4 are asked for"] if pictures != 4 else []
    return Scored(
        bench="dpg_bench",
        n=len(scores),
        metrics=stats.metrics({"official/overall": estimate}),
        rows=_rows(scores),
        extra={"read_as": "the official results.txt", "printed": dict(printed)}
        | ({"odd_rows": list(odd)} if odd else {})
        | ({} if odd else _contradicted(printed, estimate.value))
        | ({"holds": "; ".join(holds)} if holds else {}),
    )


def _rows(scores: Mapping[str, Sequence[float]]) -> list[Mapping[str, Json]]:
    return [
        {"item_id": item, "image": number, "protocol": "official", "score": value}
        for item, values in scores.items()
        for number, value in enumerate(values)
    ]
