"""Tables as text for the terminal: laid out for its width, ranks bold and underlined, or marked without colours."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from .fit import GAP, INDENT, Block, fold, lay_out, pad
from .plain import name
from .table import Cell, Head, Row, Table

_MARKS = {"best": "*", "second": "+"}
_CODES = {"best": "1", "second": "4"}
_WIDEST_NOTE = 1 << 20


def text(tables: Sequence[Table], *, color: bool = False, width: int | None = None) -> str:
    """Return aligned text of at most `width` columns; without one no line is broken and each row is one line.

    With `color` the best is bold and the second underlined, else they are marked * and +.
    """
    return "\n\n".join("\n".join(_lines(_marked(table, color=color), Style(color), width)) for table in tables)


@dataclass(frozen=True, slots=True)
class Style:
    """Whether our own colour codes may stand in a line."""

    color: bool

    def put(self, line: str, code: str) -> str:
        """Return a line in bold (1), dim (2) or underlined (4); blanks around it are not underlined."""
        if not self.color or not line.strip():
            return line
        bare = line.strip(" ")
        before, _, after = line.partition(bare)
        return f"{before}\x1b[{code}m{bare}\x1b[0m{after}"


def _marked(table: Table, *, color: bool) -> Table:
    """Return the table with the names and, without colours, the ranks marked; a column of ranks stays in line."""
    ranked = {i for _, row in table.rows() for i, cell in enumerate(row.cells) if cell.rank and not color}

    def marked(row: Row) -> Row:
        cells = (Cell(name(row, row.cells[0]), row.cells[0].value, row.cells[0].rank), *row.cells[1:])
        shown = (
            Cell(cell.text + _MARKS.get(cell.rank, _STAY), cell.value, cell.rank) if i in ranked else cell
            for i, cell in enumerate(cells)
        )
        return Row(tuple(shown), row.kind)

    return table.with_rows(marked)


_STAY = "\N{NO-BREAK SPACE}"
"""Stands where others of the column have a mark."""


def _lines(table: Table, style: Style, width: int | None) -> Iterator[str]:
    layout, asides = lay_out(table, width), {}
    if not layout.whole:
        table, asides = with_letters(table)
        layout = lay_out(table, width)
    for number, block in enumerate(layout.blocks):
        if number:
            yield ""
        title = table.title + (f" ({number + 1} of {len(layout.blocks)})" if len(layout.blocks) > 1 else "")
        yield from (style.put(each, "1") for each in fold(title, width or _WIDEST_NOTE))
        yield from _block(table, block, style, width)
    ranks = any(cell.rank for _, row in table.rows() for cell in row.cells)
    notes = ["* best, + second in its group"] if ranks and not style.color else []
    notes += [f"nothing in {_and(layout.empty)}"] if layout.empty else []
    notes += [f"no room for {_and(layout.dropped)}: a wider terminal or -f csv shows them"] if layout.dropped else []
    notes += [f"{letter} {said}" for said, letter in asides.items()]
    for note in (*notes, *_short(table)):
        first, *more = fold(note, (width or _WIDEST_NOTE) - 2 * len(INDENT))
        yield INDENT + first
        yield from (2 * INDENT + each for each in more)


def with_letters(table: Table) -> tuple[Table, dict[str, str]]:
    """Return the table with a letter for what stands in brackets behind its numbers, and the letter of each such."""
    letters: dict[str, str] = {}

    def lettered(row: Row) -> Row:
        return replace(row, cells=tuple(map(letter, row.cells, table.heads)))

    def letter(cell: Cell, head: Head) -> Cell:
        found = _ASIDE.search(cell.text) if head.number else None
        if found is None:
            return cell
        said = found[0].strip()
        if said not in letters and len(letters) == len(_LETTERS):
            return cell
        mark = letters.get(said) or letters.setdefault(said, _LETTERS[len(letters)])
        return replace(cell, text=cell.text[: found.start()] + mark + cell.text[found.end() :])

    return table.with_rows(lettered), letters


_ASIDE = re.compile(r"( \([^()]*\))+(?=[*+\N{NO-BREAK SPACE}]?$)")
_LETTERS = "ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖʳˢᵗᵘᵛʷˣʸᶻ"


def _and(names: Sequence[str]) -> str:
    return ", ".join(names[:-1]) + (" and " if len(names) > 1 else "") + names[-1]


def _short(table: Table) -> Iterator[str]:
    """Yield the notes, signatures by their ends; those that are nothing else are one line."""
    alone = [note for note in table.notes if note in table.signatures]
    for note in table.notes:
        if note in alone:
            continue
        for each in table.signatures:
            note = note.replace(each, short(each))
        yield note
    if alone:
        yield "Signatures by their ends: janus-eval show RUN tells the whole one."


def short(signature: str) -> str:
    """Return a signature's two names and its end: what tells it from others."""
    suite, _, rest = signature.partition("|")
    return f"{suite}|{rest.partition('|')[0]}|...|{signature.rpartition('|')[2]}"


def _block(table: Table, block: Block, style: Style, width: int | None) -> Iterator[str]:
    heads = [fold(table.heads[i].text, size) for i, size in zip(block.columns, block.sizes, strict=True)]
    deep = max(map(len, heads))
    yield from _beside(table, block, [[""] * (deep - len(each)) + each for each in heads], [""] * len(heads), style)
    yield (" " * GAP).join("-" * size for size in block.sizes)
    for group in table.groups:
        if group.name:
            heading = group.name if style.color else f"-- {group.name}"
            yield from (style.put(each, "2") for each in fold(heading, width or _WIDEST_NOTE, INDENT))
        for row in group.rows:
            cells = [row.cells[i] for i in block.columns]
            folded = [
                fold(cell.text, size, "" if i else INDENT)
                for i, cell, size in zip(block.columns, cells, block.sizes, strict=True)
            ]
            yield from _beside(table, block, folded, [_CODES.get(cell.rank, "") for cell in cells], style)


def _beside(
    table: Table, block: Block, folded: Sequence[Sequence[str]], codes: Sequence[str], style: Style
) -> Iterator[str]:
    """Yield the lines of cells that stand beside each other."""
    for number in range(max(map(len, folded))):
        parts: list[str] = []
        for i, size, lines, code in zip(block.columns, block.sizes, folded, codes, strict=True):
            line = pad(lines[number] if number < len(lines) else "", size, right=table.heads[i].number)
            parts.append(style.put(line, code) if code else line)
        yield (" " * GAP).join(parts).replace(_STAY, " ").rstrip()


def some(names: Sequence[str], most: int) -> str:
    """Return names in words, those beyond `most` counted."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
