"""MMVP's tables: the official Questions.csv in our columns, which rows are a pair, lmms-eval's samples."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from ...evals.types import Sample
from ..reading.cells import whole
from ..reading.importers import Taken, with_columns
from ..reading.rows import Row

_OPTION: Final = re.compile(r"\([a-z]\)\s*([^(]+?)(?=\s*\([a-z]\)|$)", re.IGNORECASE)


def paired(rows: Sequence[Row], asked: bool) -> Sequence[Row]:
    """Return the rows in our columns, each with its pair: two that follow each other, counted from 0 or from 1."""
    del asked
    mine = [_ours(row) for row in rows]
    numbers = [whole(next((row.fields[name] for name in ("id", "index") if name in row.fields), None)) for row in mine]
    first = 0 if 0 in numbers else 1
    return [
        row if number is None else with_columns(row, pair=str((number - first) // 2))
        for row, number in zip(mine, numbers, strict=True)
    ]


def _ours(row: Row) -> Row:
    """Return a row of the official Questions.csv, whose pictures are called by its numbers, in our columns."""
    if "Index" not in row.fields:
        return row
    fields, number = row.fields, row.fields["Index"]
    options = dict(zip("AB", _OPTION.findall(str(fields.get("Options"))), strict=False))
    answer = str(fields.get("Correct Answer")).strip().strip("()").upper()
    name = None if "image" in fields else f"{number}.jpg"
    return with_columns(row, id=number, question=fields.get("Question"), answer=answer, image_path=name, **options)


def by_place(rows: Sequence[Row], known: Sequence[Sample], gold: Taken) -> Sequence[Row]:
    """Return lmms-eval's samples, which tell the place of a question and not its number, with its number."""
    del gold
    places = [None if "Index" in row.fields else whole(row.fields.get("doc_id")) for row in rows]
    return [
        with_columns(row, id=known[at].id if 0 <= at < len(known) else f"place {at}") if at is not None else row
        for row, at in zip(rows, places, strict=True)
    ]
