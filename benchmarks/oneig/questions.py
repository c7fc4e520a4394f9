"""OneIG-Bench's data: prompts, each with its questions and what they depend on, or with the text that is asked for."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from ...evals.errors import UsageError
from ...evals.types import Sample
from ..reading.prompts import object_of
from ..reading.tables import read_rows
from . import lettering, rules

CATEGORIES: Final[Mapping[str, str]] = {
    "anime": "Anime_Stylization",
    "human": "Portrait",
    "object": "General_Object",
    "multilingualism": "Multilingualism",
}
"""The makers' folders of pictures that are asked about, and what their table calls them."""
_OTHERS: Final = ("Text_Rendering", "Knowledge_Reasoning", "Multilingualism")
"""The categories of their table that other scores are made of."""
_CALLED: Final = {**{title: name for name, title in CATEGORIES.items()}, **{name: name for name in CATEGORIES}}


def asked(files: Sequence[Path], prompt: str, categories: Sequence[str]) -> Iterator[Sample]:
    """Yield the prompts of one table that holds all, or of the makers' table and a file of questions for each category.

    `prompt` is the column. Raises UsageError naming file and line for what has not the makers' form.
    """
    told = {name: object_of(path) for name, path in zip(categories, files[1:], strict=True)} if len(files) > 1 else None
    for row in read_rows(files[0]):
        category = _CALLED.get(row.text("category"), "")
        if category not in categories:
            if told is None or row.fields["category"] not in _OTHERS:
                raise row.wrong("category", row.fields["category"], f"one of {', '.join(categories)}")
            continue
        number = row.identity("id")
        cells: Mapping[str, Any] = row.fields if told is None else told[category].pop(number, {})
        where = row.where if told is None else f"{files[1 + list(categories).index(category)]}, {number}"
        questions, parents = _questions(cells, where)
        tags = {"category": category}
        kind, length = row.words("type"), row.words("prompt_length")
        if kind is not None:
            if kind not in rules.KINDS:
                raise row.wrong("type", kind, "NP or T, P")
            tags["type"] = rules.KINDS[kind]
        if length is not None:
            if length not in rules.LENGTHS:
                raise row.wrong("prompt_length", length, ", ".join(rules.LENGTHS))
            tags["length"] = length
        name = f"{category}_{number}"
        target = {"questions": questions, "parents": parents}
        yield Sample(name, row.text(prompt), target=target, tags=tags, cluster=name)
    for path, left in zip(files[1:], (told or {}).values(), strict=True):
        if left:
            raise UsageError(f"{path}: {next(iter(left))} has questions and no prompt in {files[0].name}")


def written(path: Path, prompt: str) -> Iterator[Sample]:
    """Yield the prompts of the makers' table of texts; raises as `asked`."""
    for row in read_rows(path):
        text = row.text("text_content")
        if not lettering.compared(text):
            raise row.wrong("text_content", text, "a text with letters or digits in it")
        name = f"text_{row.identity('id')}"
        yield Sample(name, row.text(prompt), target={"text": text}, cluster=name)


def once(path: Path, samples: Iterable[Sample]) -> tuple[Sample, ...]:
    """Return the samples; raise UsageError where one of them stands twice, or there is none."""
    found: dict[str, Sample] = {}
    for each in samples:
        if found.setdefault(each.id, each) is not each:
            raise UsageError(f"{path}: {each.id} stands twice; give each prompt once")
    if not found:
        raise UsageError(f"{path} holds no prompt of this suite")
    return tuple(found.values())


def _questions(cells: Mapping[str, Any], where: str) -> tuple[list[str], list[list[int]]]:
    """Return questions in order, and of each the places of its parents, from 1 (0 is none)."""
    found = {name: _numbered(cells, name, where) for name in ("question", "dependency")}
    asked, above = found["question"], found["dependency"]
    places = range(1, len(asked) + 1)
    if sorted(asked) != [*places] or sorted(above) != [*places]:
        raise UsageError(f"{where}: questions and dependencies are to be numbered alike, from 1 without a gap")
    if not all(isinstance(each, str) and each.strip() for each in asked.values()):
        raise UsageError(f"{where}: a question is no text")
    for number, parents in above.items():
        right = isinstance(parents, list) and all(type(each) is int and 0 <= each <= len(asked) for each in parents)
        if not right:
            raise UsageError(f"{where}: question {number} depends on {parents!r:.40}, expected numbers of questions")
    return [asked[each] for each in places], [above[each] for each in places]


def _numbered(cells: Mapping[str, Any], name: str, where: str) -> dict[int, Any]:
    """Return an object of numbers, which the makers write as a text of JSON."""
    cell = cells.get(name) if isinstance(cells, dict) else None
    try:
        found = json.loads(cell) if isinstance(cell, str) else cell
        if isinstance(found, dict) and found:
            return {int(str(key)): value for key, value in found.items()}
    except (ValueError, RecursionError):
        pass
    raise UsageError(f'{where}: {name} holds {cell!r:.40}, expected {{"1": ..., "2": ...}}')
