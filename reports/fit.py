"""A table laid out for so many columns of a terminal: cells fold between words, less weighty columns are left out,
else the table is cut into blocks; what is left out is said."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len, get_character_cell_size

from .table import Row, Table

GAP = 2
"""Blanks between two columns."""
_EASY = 20
"""Columns that a text wants before others are left out for it: narrower, it becomes a tower of words."""
_LEAST = 8
"""Columns that a word has before it is broken."""
_EMPTY = ("", "-")
_PIECE = re.compile(r"(?:[^ /]*/|[^ /]+|)")
"""What is never broken: a word, and of a metric's key what ends in a slash."""


@dataclass(frozen=True, slots=True)
class Block:
    """Columns of a table that stand beside each other, each with its width."""

    columns: tuple[int, ...]
    sizes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """How a table is shown: its blocks, and the headings of the columns that are not; `whole` as wide as it is."""

    blocks: tuple[Block, ...]
    whole: bool
    empty: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()


def lay_out(table: Table, width: int | None) -> Layout:
    """Return the layout that fits `width`; without one every column that holds something stands as wide as it is."""
    rows = [row for _, row in table.rows()]
    held = [i for i in range(len(table.heads)) if i == 0 or not rows or not _is_empty(rows, i)]
    empty = tuple(table.heads[i].text for i in range(len(table.heads)) if i not in held)
    texts = {i: [table.heads[i].text, *(row.cells[i].text for row in rows)] for i in held}
    natural = {i: max(map(cell_len, each)) for i, each in texts.items()}
    if width is None or _total([natural[i] for i in held]) <= width:
        return Layout((Block(tuple(held), tuple(natural[i] for i in held)),), True, empty)
    least = {i: max(cell_len(piece) for text in each for piece in _PIECE.findall(text)) for i, each in texts.items()}
    least[0] = min(natural[0], least[0] + len(INDENT))
    easy = {i: least[i] if table.heads[i].number else max(least[i], min(natural[i], _EASY)) for i in held}
    kept = _without_light(table, held, easy, width)
    for floors in (easy, least):
        if _total([floors[i] for i in kept]) <= width:
            dropped = tuple(table.heads[i].text for i in held if i not in kept)
            return Layout((_block(kept, natural, floors, width),), False, empty, dropped)
    return Layout(tuple(_blocks(table, held, natural, least, width)), False, empty)


def _is_empty(rows: Sequence[Row], column: int) -> bool:
    return all(row.cells[column].text in _EMPTY for row in rows)


def _total(sizes: Sequence[int]) -> int:
    return sum(sizes) + GAP * (len(sizes) - 1)


def _without_light(table: Table, held: Sequence[int], floors: dict[int, int], width: int) -> list[int]:
    """Return the columns without the lightest, as few of them as make room."""
    kept = list(held)
    for i in sorted(held, key=lambda i: -table.heads[i].light):
        if table.heads[i].light == 0 or _total([floors[j] for j in kept]) <= width:
            break
        kept.remove(i)
    return kept


def _blocks(
    table: Table, held: Sequence[int], natural: dict[int, int], least: dict[int, int], width: int
) -> list[Block]:
    """Return blocks that each begin with the columns that name the row, as even in width as can be."""
    stub = [i for i in held if i < table.stub]
    rest = [i for i in held if i >= table.stub]
    floors = least
    room = width - _total([floors[i] for i in stub]) - GAP
    if rest and room < max(floors[i] for i in rest):  # words must break
        share = max(_LEAST, width // (len(stub) + 1) - GAP)
        floors = {i: min(least[i], share) for i in held}
        room = width - _total([floors[i] for i in stub]) - GAP
    for limit in range(max(1, max((floors[i] for i in rest), default=1)), max(1, room) + 1):
        cut = _cut(rest, floors, limit)
        if limit >= room or len(cut) == len(_cut(rest, floors, max(1, room))):
            return [_block([*stub, *each], natural, floors, width) for each in cut or [[]]]
    return [_block([*stub, i], natural, floors, width) for i in rest] or [_block(stub, natural, floors, width)]


def _cut(columns: Sequence[int], floors: dict[int, int], room: int) -> list[list[int]]:
    """Return the columns in runs that fit `room` each."""
    found: list[list[int]] = []
    for i in columns:
        if found and _total([floors[j] for j in (*found[-1], i)]) <= room:
            found[-1].append(i)
        else:
            found.append([i])
    return found


def _block(columns: Sequence[int], natural: dict[int, int], floors: dict[int, int], width: int) -> Block:
    """Return a block whose widest columns are narrowed, not below their floors, until it fits."""
    sizes = {i: natural[i] for i in columns}
    while _total(list(sizes.values())) > width:
        wide = [i for i in columns if sizes[i] > floors[i]]
        if not wide:
            break
        sizes[max(wide, key=lambda i: sizes[i])] -= 1
    sizes = {i: _needed(natural[i], size) for i, size in sizes.items()}
    return Block(tuple(columns), tuple(sizes[i] for i in columns))


def _needed(natural: int, size: int) -> int:
    return min(natural, max(1, size))


# -- folding ------------------------------------------------------------------------------------------

INDENT = "  "
"""Stands before the further lines of a row's name, so that they are no rows."""


def fold(text: str, size: int, indent: str = "") -> list[str]:
    """Return `text` in lines of at most `size` columns, broken between words; a longer word after `/`, `_` or `-`."""
    lines: list[str] = []
    line = ""
    for word in text.split(" "):
        room = size - (len(indent) if lines else 0)
        if line and cell_len(line) + 1 + cell_len(word) <= room:
            line += " " + word
            continue
        if line:
            lines.append((indent if lines else "") + line)
        room = size - (len(indent) if lines else 0)
        *full, line = _pieces(word, max(1, room), max(1, size - len(indent)))
        for each in full:
            lines.append((indent if lines else "") + each)
    return [*lines, (indent if lines else "") + line]


def _pieces(word: str, first: int, others: int) -> list[str]:
    """Return a word in pieces that fit: whole where it does, else cut after `/`, `_` or `-`, else anywhere."""
    found: list[str] = []
    room = first
    while cell_len(word) > room:
        reached = _reach(word, room)
        slash, joint = word.rfind("/", 0, reached) + 1, max(word.rfind(each, 0, reached) for each in "_-") + 1
        at = slash or (joint if joint * 3 >= reached else reached)
        found.append(word[:at])
        word, room = word[at:], others
    return [*found, word]


def _reach(word: str, room: int) -> int:
    """Return how many characters of `word` fill at most `room` columns; one at least."""
    columns = 0
    for at, character in enumerate(word):
        columns += get_character_cell_size(character)
        if columns > room and at:
            return at
    return len(word)


def pad(text: str, size: int, *, right: bool) -> str:
    """Return `text` filled with blanks to `size` columns."""
    blanks = " " * max(0, size - cell_len(text))
    return blanks + text if right else text + blanks
