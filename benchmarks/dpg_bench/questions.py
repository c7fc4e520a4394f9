"""DPG-Bench's questions: the official CSV becomes items with their questions, in the file's order."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...evals.errors import UsageError
from ...evals.types import Json
from ..reading.cells import shown, whole

COLUMNS = ("item_id", "text", "proposition_id", "dependency", "tuple", "question_natural_language")
"""The columns that are read; the official file has `keywords`, `category_broad` and `category_detailed` too."""


@dataclass(frozen=True, slots=True)
class Question:
    """One row of the CSV.

    `row` counts data rows from 0: the official script skips row 0. `category` is the text of the
    tuple before its bracket ("entity - whole"), None where the cell is empty. `words` are the
    parts of the dependency cell that are no whole numbers ("5, right" has one).
    """

    id: int
    parents: tuple[int, ...]
    category: str | None
    text: str
    row: int
    words: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Json]:
        row: dict[str, Json] = {
            "id": self.id,
            "parents": list(self.parents),
            "category": self.category,
            "question": self.text,
            "row": self.row,
        }
        return row | ({"words": list(self.words)} if self.words else {})

    @classmethod
    def from_json(cls, row: Mapping[str, Json]) -> Question:
        return cls(
            id=row["id"],
            parents=tuple(row["parents"]),
            category=row["category"],
            text=row["question"],
            row=row["row"],
            words=tuple(row.get("words", ())),
        )


@dataclass(frozen=True, slots=True)
class Item:
    """One prompt and its questions, in the file's order, duplicates included."""

    id: str
    prompt: str
    questions: tuple[Question, ...]


def read_questions(path: Path) -> tuple[Item, ...]:
    """Return the items of a CSV file in the official columns, in the order of their first rows.

    Raises UsageError for a file that cannot be read, a missing column, and a row without item id
    or with an unreadable proposition id (it could not be asked for by name).
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}); expected DPG-Bench's questions as CSV") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: is no UTF-8 text; expected DPG-Bench's questions as CSV") from error
    return parse_questions(text, str(path))


def parse_questions(text: str, name: str) -> tuple[Item, ...]:
    """Return the items in the CSV text; `name` is what errors call it."""
    reader = csv.DictReader(io.StringIO(text, newline=""))
    try:
        missing = [each for each in COLUMNS if each not in (reader.fieldnames or ())]
        if missing:
            found = ", ".join(map(shown, reader.fieldnames or ())) or "nothing"
            raise UsageError(f"{name}: no column {missing[0]!r}; found {found}")
        return _items(reader, name)
    except csv.Error as error:
        raise UsageError(f"{name}: line {reader.line_num} is no CSV ({error})") from error


def _items(rows: Iterable[Mapping[str, str | None]], name: str) -> tuple[Item, ...]:
    prompts: dict[str, str] = {}
    questions: dict[str, list[Question]] = {}
    for number, row in enumerate(rows):
        where = f"{name}: data row {number + 1}"
        cells = {key: row[key] for key in COLUMNS}
        if None in cells.values():
            raise UsageError(f"{where} is cut short: {sum(each is not None for each in row.values())} cells")
        item_id = (cells["item_id"] or "").strip()
        if not item_id:
            raise UsageError(f"{where} has no item_id")
        prompts.setdefault(item_id, cells["text"] or "")
        questions.setdefault(item_id, []).append(_question(cells, number, where))
    if not questions:
        raise UsageError(f"{name}: holds no questions")
    return tuple(Item(item_id, prompts[item_id], tuple(rows)) for item_id, rows in questions.items())


def _question(cells: Mapping[str, str | None], number: int, where: str) -> Question:
    proposition = whole(cells["proposition_id"])
    if proposition is None:
        raise UsageError(f"{where}: proposition_id {shown(cells['proposition_id'])} is no whole number")
    parents, words = dependencies(cells["dependency"] or "")
    statement = cells["tuple"] or ""
    return Question(
        id=proposition,
        parents=parents,
        category=statement.split("(")[0].strip() if statement else None,
        text=cells["question_natural_language"] or "",
        row=number,
        words=words,
    )


def dependencies(cell: str) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Return the parents in a dependency cell and its parts that are no whole numbers.

    Parent 0 stands for "no parent" and is kept: the rules pass over it.
    """
    parents: list[int] = []
    words: list[str] = []
    for part in cell.split(","):
        try:
            parents.append(int(part.strip()))
        except ValueError:
            words.append(part.strip())
    return tuple(parents), tuple(words)


def cycle(questions: Sequence[Question]) -> tuple[int, ...] | None:
    """Return the ids along a cycle of dependencies (first = last), or None. Walks without recursion."""
    parents = {each.id: [p for p in each.parents if p != 0] for each in questions}
    done: set[int] = set()
    for start in parents:
        path: dict[int, None] = {}  # a dict as an ordered set: chains may be long
        stack: list[tuple[int, int]] = [(start, 0)]
        while stack:
            node, step = stack.pop()
            if step == 0:
                if node in done:
                    continue
                path[node] = None
            rest = parents.get(node, [])
            if step < len(rest):
                stack.append((node, step + 1))
                following = rest[step]
                if following in path:
                    nodes = list(path)
                    return (*nodes[nodes.index(following) :], following)
                if following not in done:
                    stack.append((following, 0))
                continue
            done.add(path.popitem()[0])
    return None


def problems(item: Item) -> dict[str, list[str]]:
    """Return what is wrong with an item's questions, each under its kind, in words that name the item."""
    ids = {each.id for each in item.questions}
    found: dict[str, list[str]] = {}

    def note(kind: str, text: str) -> None:
        found.setdefault(kind, []).append(f"{item.id}: {text}")

    seen: set[int] = set()
    for each in item.questions:
        if each.words:
            note("malformed_dependency", f"question {each.id} depends on {', '.join(map(repr, each.words))}")
        if each.id in seen:
            note("duplicate_proposition", f"question {each.id} stands twice; the last row counts")
        seen.add(each.id)
        for parent in each.parents:
            if parent != 0 and parent not in ids:
                note("missing_parent", f"question {each.id} depends on {parent}, which is not there")
        if each.category is None:
            note("missing_tuple", f"question {each.id} has no tuple, hence no category")
        if not each.text.strip():
            note("missing_question", f"question {each.id} has no text")
    if any(b.row != a.row + 1 for a, b in zip(item.questions, item.questions[1:], strict=False)):
        note("scattered_rows", "its rows do not stand together; the official script keeps the last block")
    loop = cycle(item.questions)
    if loop:
        note("cycle", f"questions {' -> '.join(map(str, loop))} depend on each other")
    return found
