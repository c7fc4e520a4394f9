"""Tables as markdown, as CSV and as JSON."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Sequence

from .table import Cell, Row, Table

MEASURED = "\N{BLACK RIGHT-POINTING SMALL TRIANGLE} "
"""Stands before a measured row's name wherever looks alone cannot set it apart."""


def name(row: Row, cell: Cell) -> str:
    """Return the text of a row's first cell, marked where the row was measured."""
    return MEASURED + cell.text if row.kind == "measured" else cell.text


def _lines(table: Table, show: Callable[[Cell], str], heading: Callable[[str], str]) -> list[list[str]]:
    lines: list[list[str]] = []
    for group in table.groups:
        if group.name:
            lines.append([heading(group.name), *[""] * (len(table.heads) - 1)])
        for row in group.rows:
            first = Cell(name(row, row.cells[0]), row.cells[0].value, row.cells[0].rank)
            lines.append([show(each) for each in (first, *row.cells[1:])])
    return lines


# -- markdown -----------------------------------------------------------------------------------------


def escape_markdown(text: str) -> str:
    """Return `text` so that GitHub's markdown shows it as it is, within a table cell or a note."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = re.sub(r"([\\`*\[\]|~$!])", r"\\\1", text)
    text = re.sub(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", r"\\_", text)  # inside a word it is plain already
    text = re.sub(r"(?i)\b(https?|ftp|mailto)(:)|\b(www)(\.)", lambda m: f"{m[1] or m[3]}<!-- -->{m[2] or m[4]}", text)
    return re.sub(r"@(?=[A-Za-z0-9])", "@<!-- -->", text)  # no notification, no link made by the reader's site


def markdown(tables: Sequence[Table]) -> str:
    """Return GitHub-flavoured markdown: best bold, second underlined."""
    from tabulate import tabulate

    def show(cell: Cell) -> str:
        escaped = escape_markdown(cell.text)
        return {"best": f"**{escaped}**", "second": f"<u>{escaped}</u>"}.get(cell.rank, escaped)

    blocks: list[str] = []
    for table in tables:
        lines = _lines(table, show, lambda text: f"*{escape_markdown(text)}*")
        grid = tabulate(
            lines,
            headers=[escape_markdown(head.text) for head in table.heads],
            tablefmt="pipe",
            disable_numparse=True,
            colalign=_sides(table) if lines else None,
        )
        notes = "\n".join(f"- {escape_markdown(note)}" for note in table.notes)
        blocks.append("\n\n".join(each for each in (f"### {escape_markdown(table.title)}", grid, notes) if each))
    return "\n\n".join(blocks)


def _sides(table: Table) -> list[str]:
    return ["right" if head.number else "left" for head in table.heads]


# -- for programs -------------------------------------------------------------------------------------


def comma_separated(tables: Sequence[Table]) -> str:
    """Return CSV, one block a table with an empty line between; columns `table` and `group` come first.

    A text that a spreadsheet would run as a formula gets an apostrophe in front, as spreadsheets
    themselves do; numbers stay numbers.
    """
    blocks: list[str] = []
    for table in tables:
        frame = table.frame()
        frame.insert(0, "table", table.key, allow_duplicates=True)
        frame.insert(2, "kind", [row.kind for _, row in table.rows()], allow_duplicates=True)
        frame.columns = [_no_formula(str(each)) for each in frame.columns]
        buffer = io.StringIO()
        frame.map(_no_formula).to_csv(buffer, index=False, lineterminator="\n")
        blocks.append(buffer.getvalue())
    return "\n".join(blocks).rstrip("\n")


def _no_formula(text: str) -> str:
    if text[:1] in "=+-@" and text and not re.fullmatch(r"[+-]?[0-9.]+( .*)?|-", text):
        return "'" + text
    return text


def as_json(tables: Sequence[Table]) -> str:
    """Return one JSON object: {"tables": [{key, title, columns, groups: [{name, rows}], notes}]}."""
    found = [
        {
            "key": table.key,
            "title": table.title,
            "columns": [{"key": head.key, "title": head.text} for head in table.heads],
            "groups": [
                {
                    "name": group.name,
                    "rows": [{"kind": row.kind, "cells": [_cell(each) for each in row.cells]} for row in group.rows],
                }
                for group in table.groups
            ],
            "notes": list(table.notes),
        }
        for table in tables
    ]
    return json.dumps({"tables": found}, indent=1, ensure_ascii=False)


def _cell(cell: Cell) -> dict[str, object]:
    found: dict[str, object] = {"text": cell.text}
    if cell.value is not None:
        found["value"] = cell.value
    if cell.rank:
        found["rank"] = cell.rank
    return found
