"""What a GenEval prompt asks: the official metadata object, checked field by field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...evals.errors import UsageError
from .prompts import RELATIONS


@dataclass(frozen=True, slots=True)
class Clause:
    """At least `count` objects of a class; `position` is (relation, number of the target clause)."""

    label: str
    count: int
    color: str | None = None
    position: tuple[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Metadata:
    """What a prompt asks: all of `include`, none of `exclude`."""

    tag: str
    prompt: str
    include: tuple[Clause, ...]
    exclude: tuple[Clause, ...] = ()


def read(row: Any) -> Metadata:
    """Return a metadata object of the official format. Raises UsageError naming the field that is wrong."""
    _require(isinstance(row, dict), "metadata", "an object", row)
    include = _clauses(row, "include")
    for number, clause in enumerate(include):
        if clause.position is not None and not -number <= clause.position[1] < number:
            raise UsageError(
                f"include[{number}].position: target {clause.position[1]} is no earlier clause of this prompt"
            )
    exclude = _clauses(row, "exclude") if "exclude" in row else ()
    for number, clause in enumerate(exclude):
        _require(clause.count > 0, f"exclude[{number}].count", "a whole number from 1", clause.count)
    return Metadata(_field(row, "tag", str, "a task"), _field(row, "prompt", str, "a text"), include, exclude)


def _clauses(row: Mapping[str, Any], name: str) -> tuple[Clause, ...]:
    clauses = _field(row, name, list, "a list of clauses (empty where there is none)")
    return tuple(_clause(each, f"{name}[{number}]") for number, each in enumerate(clauses))


def _clause(row: Any, where: str) -> Clause:
    _require(isinstance(row, dict), where, "an object", row)
    label = _field(row, "class", str, "a class name", where)
    count = _field(row, "count", int, "a whole number", where)
    _require(count >= 0, f"{where}.count", "0 or more", count)
    color = _field(row, "color", str, "a colour", where) if "color" in row else None
    position = None
    if "position" in row:
        pair = _field(row, "position", list, "[relation, clause number]", where)
        whole = len(pair) == 2 and pair[0] in RELATIONS and type(pair[1]) is int
        _require(whole, f"{where}.position", f"[one of {', '.join(RELATIONS)}; a clause number]", pair)
        position = (str(pair[0]), int(pair[1]))
    return Clause(label, count, color, position)


def _field(row: Mapping[str, Any], name: str, kind: type, expected: str, where: str = "") -> Any:
    path = f"{where}.{name}" if where else name
    if name not in row:
        raise UsageError(f"{path} is missing: expected {expected}")
    value = row[name]
    _require(isinstance(value, kind) and not isinstance(value, bool), path, expected, value)
    return value


def _require(holds: bool, path: str, expected: str, found: Any) -> None:
    if not holds:
        text = repr(found)
        raise UsageError(f"{path}: expected {expected}, found {text if len(text) < 60 else text[:57] + '...'}")
