"""Predictions files made by a test, and what scoring them says."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from janus_eval.evals.errors import UsageError
from janus_eval.evals.types import Scored


def write(path: Path, *rows: dict[str, Any]) -> Path:
    """Write rows as JSON lines and return the path."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def write_tsv(path: Path, *rows: dict[str, Any]) -> Path:
    """Write rows as pandas would write TSV and return the path."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter="\t")
        writer.writeheader()
        writer.writerows(rows)
    return path


def value(scored: Scored, key: str) -> float | None:
    return scored.metrics[key].value


def part(scored: Scored, key: str) -> float | None:
    """Return a number that is over a part of what its name says; under its own name it is withheld."""
    assert scored.metrics[key].value is None and scored.metrics[key].absent
    return scored.metrics[f"{key} (part)"].value


def lines(scored: Scored) -> list[dict[str, Any]]:
    return [dict(row) for row in scored.rows]


def on_the_hub(path: Path, rows: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", path.parents[1] / "cache")
    path.parent.mkdir(parents=True, exist_ok=True)
    table = datasets.Dataset.from_list(rows)
    for name in table.column_names:
        if name.startswith("image") and name != "imageId":
            table = table.cast_column(name, datasets.Image())
    table.to_parquet(str(path))


def picture(name: str) -> dict[str, Any]:
    return {"bytes": name.encode(), "path": name}


def told(work: Callable[[], Scored]) -> str:
    """Return what is said of rows that cannot be judged: the refusal of their file, or, where most rows are whole,
    the reasons why those have no verdict."""
    try:
        return "; ".join(work().extra.get("odd_rows", []))
    except UsageError as error:
        return str(error)
