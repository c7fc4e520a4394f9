"""The official results.jsonl read as it lies, whoever wrote it: a verdict a picture, with the boxes that counted."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...evals.errors import UsageError
from ...evals.types import Json
from ..reading.cells import kind, missing, shown
from ..reading.rows import Row
from ..reading.tables import read_rows
from . import metadata, prompts
from .metadata import Metadata

_SNIFFED = 1 << 20


@dataclass(frozen=True, slots=True)
class Judged:
    """One row: what was asked, the stored verdict (None, and `why`, where there is none), and the boxes that counted.

    `asked` is empty of clauses, and `boxes` None, where the row does not hold them.
    """

    id: Any
    asked: Metadata
    correct: bool | None
    reason: str
    boxes: Mapping[str, Sequence[Sequence[float]]] | None
    why: str = ""


def is_results(path: Path) -> bool:
    """Return whether a file's first row has a verdict and no evidence. Raises UsageError for a pickle."""
    try:
        with path.open("rb") as file:
            start = file.read(_SNIFFED)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    if start[:1] == b"\x80" or path.suffix.lower() in (".pkl", ".pickle"):
        raise UsageError(
            f"{path}: a pickle (ULMEvalKit's?), which is never loaded: it could run any program; where it was made, "
            "pandas.read_pickle(FILE).drop(columns='prediction').to_json('results.jsonl', orient='records', lines=True)"
        )
    if path.suffix.lower() in (".csv", ".tsv"):
        return b"correct" in start.split(b"\n", 1)[0]
    first = start.lstrip(b"\xef\xbb\xbf \t\r\n")
    if first[:1] == b"[":
        return b'"correct"' in first and b'"boxes"' not in first.split(b"}", 1)[0]
    try:
        row = json.loads(first.split(b"\n", 1)[0])
    except (ValueError, RecursionError):
        return False
    return isinstance(row, dict) and "correct" in row and "boxes" not in row


def read(path: Path) -> list[Judged]:
    """Return the rows of a results.jsonl, in the forms in which it is met.

    The official script (djghosh13/geneval af4902f, evaluate_images.py) writes filename, tag, prompt, correct,
    reason, and metadata and details as JSON inside a text; they may be objects too. ULMEvalKit's rows have
    index, tag, question, correct, reason, details and no metadata: the official suite has it, by the prompt.
    Raises UsageError naming the row that is of neither kind, says of a picture what an earlier row says, or has no
    filename where another of its prompt has one.
    """
    by_prompt = {row["prompt"]: metadata.read(row) for row in prompts.suite()}
    found: list[Judged] = []
    seen: set[tuple[str, Metadata]] = set()
    named: dict[Metadata, bool] = {}
    for row in read_rows(path):
        each = _judged(row, by_prompt)
        file = row.name("filename")
        place = _place(file)
        if file and (place, each.asked) in seen:
            raise UsageError(f"{row.where}: {shown(file)} stands above already: each picture counts once")
        if named.setdefault(each.asked, bool(file)) != bool(file):
            raise UsageError(f"{row.where}: of the rows of one prompt some have a filename and some have none")
        seen.add((place, each.asked))
        found.append(each)
    return found


def _place(file: str) -> str:
    """Return one spelling of a path, however many slashes and dots it was written with."""
    return posixpath.normpath("/" + file.replace("\\", "/").strip().lstrip("/"))


def _judged(row: Row, by_prompt: Mapping[str, Metadata]) -> Judged:
    name = next((row.fields[each] for each in ("filename", "index", "id") if not missing(row.fields.get(each))), None)
    try:
        asked = _asked(row, by_prompt)
    except UsageError as error:
        raise UsageError(f"{row.where}: {error}") from error
    correct = _truth(row.fields.get("correct"))
    reason = row.fields.get("reason")
    told = row.where if name is None else name
    why = f"correct holds {shown(row.fields.get('correct'))}, expected true or false" if correct is None else ""
    if why := why or _other(row, asked):
        return Judged(told, asked, None, "", None, why)
    return Judged(told, asked, correct, reason if isinstance(reason, str) else "", _boxes(row))


def _asked(row: Row, by_prompt: Mapping[str, Metadata]) -> Metadata:
    given = row.fields.get("metadata")
    if not missing(given):
        try:
            return metadata.read(_inner(given))
        except UsageError as error:
            raise UsageError(f"metadata: {error}") from error
    prompt, tag = row.words("prompt", "question"), row.words("tag")
    known = by_prompt.get(prompt or "")
    if known is not None and tag in (None, known.tag):
        return known
    if prompt is None or tag is None:
        raise UsageError("neither metadata nor tag and prompt: no row of GenEval's results.jsonl")
    return Metadata(tag, prompt, ())


def _other(row: Row, asked: Metadata) -> str:
    """Return how a row's own columns say that it asks something else than its metadata; "" where they do not."""
    for name, meant in (("tag", asked.tag), ("prompt", asked.prompt)):
        told = row.words(name)
        if told is not None and told.strip() != meant.strip():
            return f"{name} holds {shown(told)}, and its metadata {shown(meant)}"
    return ""


def _boxes(row: Row) -> Mapping[str, Sequence[Sequence[float]]] | None:
    """Return the boxes in `details`, None where it holds none that can be read: only a new judgement needs them."""
    with suppress(UsageError):
        found = _inner(row.fields.get("details"))
        if isinstance(found, dict) and all(isinstance(each, list) for each in found.values()):
            return found
    return None


def _inner(value: Json) -> Any:
    """Return JSON that stands as a text in JSON."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"holds no JSON: {error}") from error


def _truth(value: Json) -> bool | None:
    if isinstance(value, str):
        return {"true": True, "1": True, "false": False, "0": False}.get(value.strip().lower())
    return bool(value) if kind(value) in ("a truth value", "a number") and value in (0, 1) else None
