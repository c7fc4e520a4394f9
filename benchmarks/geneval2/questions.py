"""GenEval 2's data: prompts with their questions, right answers and skills, read from the makers' JSON lines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ...evals.errors import UsageError
from ..reading.cells import whole
from ..reading.rows import Row
from ..reading.tables import read_rows

SKILLS: Final = ("object", "attribute", "count", "position", "verb")
ATOMS: Final = tuple(range(3, 11))


@dataclass(frozen=True, slots=True)
class Item:
    """A prompt: how many atoms it counts for, and (question, right answer, skill) of each atom."""

    prompt: str
    atoms: int
    questions: tuple[tuple[str, str, str], ...]


def read_items(path: Path) -> tuple[Item, ...]:
    """Return the prompts of a file of GenEval 2's form. Raises UsageError naming file, line and field."""
    items = tuple(map(_item, read_rows(path)))
    if not items:
        raise UsageError(f"{path} holds no prompts: expected one JSON object a line")
    first: dict[str, int] = {}
    for number, each in enumerate(items, 1):
        if first.setdefault(each.prompt, number) != number:
            raise UsageError(f"{path}: prompts {first[each.prompt]} and {number} are equal; each may stand once")
    return items


def _item(row: Row) -> Item:
    atoms, asked, skills = whole(row.need("atom_count")), row.need("vqa_list"), row.need("skills")
    if atoms is None or atoms < 1:
        raise row.wrong("atom_count", row.fields["atom_count"], "a whole number from 1")
    if not _is_list(asked) or not all(_is_list(each) and len(each) == 2 and all(map(_is_text, each)) for each in asked):
        raise row.wrong("vqa_list", asked, "a list of [question, answer]")
    if not _is_list(skills) or len(skills) != len(asked) or not all(each in SKILLS for each in skills):
        raise row.wrong("skills", skills, f"one of {', '.join(SKILLS)} for each of {len(asked)} questions")
    pairs = zip(asked, skills, strict=True)
    return Item(row.text("prompt"), atoms, tuple((text, answer, skill) for (text, answer), skill in pairs))


def _is_list(value: Any) -> bool:
    return isinstance(value, list) and bool(value)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def to_json(item: Item) -> Mapping[str, Any]:
    """Return the object that a sample's target is: the file's own keys without the prompt."""
    return {
        "atom_count": item.atoms,
        "vqa_list": [[text, answer] for text, answer, _ in item.questions],
        "skills": [skill for *_, skill in item.questions],
    }
