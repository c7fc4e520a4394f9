"""Rows in JSON: one object a line, a list of objects, objects by id, a table by columns, SEED-Bench's own file."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from ...evals.errors import UsageError
from ...evals.types import Json
from .cells import kind, listed, shown
from .rows import HEAVY, Deferred, Row, is_picture_column

_IDS: Final = frozenset(("id", "question_id", "questionId", "index"))
_COLUMNS: Final = _IDS | frozenset(
    (
        *("response", "prediction", "text", "question", "prompt", "answer", "gt_answer", "gold", "label"),
        *("category", "image", "image_path", "type", "question_type", "options", "capability", "grades", "score"),
        *("A", "B"),
    )
)
"""Names by which a table is known to lie by columns: no suite has questions of these ids."""


def json_rows(path: Path) -> Iterator[Row]:
    """Yield the rows of a file of JSON or JSON lines; raise UsageError naming the line that is none."""
    piped = None if path.is_file() else path.read_bytes()
    if piped or (piped is None and _is_one_value(path)):
        content = _whole(path, (piped or path.read_bytes()).decode("utf-8-sig"))
        if content is not None:
            yield from _from_json(path, content)
            return
    yield from _json_lines(path, piped)


def _is_one_value(path: Path) -> bool:
    """Return whether a file may hold one JSON value over several lines: by its name, or by how it begins."""
    if path.suffix.lower() == ".json":
        return True
    with path.open("rb") as file:
        first, second = (file.readline(1 << 10).removeprefix(b"\xef\xbb\xbf").strip() for _ in range(2))
    return first.startswith(b"[{") or (first in (b"[", b"{") and second != b"")


def _whole(path: Path, text: str) -> Json:
    """Return the text as one JSON value, None where it is JSON lines."""
    try:
        return _loads(text)
    except json.JSONDecodeError as error:
        if error.msg == "Extra data":
            return None
        raise UsageError(f"{path} line {error.lineno}: not JSON ({error.msg}): half-written?") from error
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, a list in a list in a list ...
        raise UsageError(f"{path}: not JSON that can be read ({error})") from error


def _loads(text: str | bytes) -> Json:
    """Return what JSON says; raise ValueError where an object says two things of one name: which holds?"""
    return json.loads(text, object_pairs_hook=_once)


def _once(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in found if names.count(name) > 1)
        raise ValueError(f"the name {shown(twice)} stands twice in one object: which is meant?")
    return found


def _from_json(path: Path, content: Json) -> Iterator[Row]:
    for number, each in enumerate(_listed(path, content), 1):
        yield Row(each, path, number) if isinstance(each, dict) else _no_row(path, number, each)


def _listed(path: Path, content: Json) -> Sequence[Json]:
    """Return the rows of a whole file of JSON."""
    if isinstance(content, list):
        return content
    if not isinstance(content, dict):
        raise UsageError(f"{path}: holds {kind(content)}, expected rows")
    found = _of_seed(path, content) or _within(content) or by_columns(path, content)
    one = bool(content) and (_IDS & set(content) or set(content) <= _COLUMNS)
    alone = [content] if one else [_by_id(key, value) for key, value in content.items()]
    return alone if found is None else found


def _no_row(path: Path, number: int, value: Json) -> Row:
    return Row({}, path, number, {"": f"holds {kind(value)}, expected an object of columns"})


def _by_id(key: str, value: Json) -> dict[str, Json]:
    return {"id": key, **(value if isinstance(value, dict) else {"response": value})}


def _within(content: Mapping[str, Json]) -> list[Json] | None:
    """Return the rows of a document that holds more than rows: a log's samples (inspect, lmms-eval of 2024), and
    pandas' orients `table` and `split`."""
    data, columns = content.get("data"), content.get("columns")
    if isinstance(columns, list) and isinstance(data, list) and all(isinstance(each, list) for each in data):
        return [dict(zip(map(str, columns), each, strict=False)) for each in data]
    known = (("samples", "eval"), ("logs", "args"), ("data", "schema"))
    found = (content.get(rows) for rows, beside in known if beside in content)
    return next((each for each in found if isinstance(each, list) and each), None)


def _of_seed(path: Path, content: Mapping[str, Json]) -> list[dict[str, Json]] | None:
    """Return the rows of SEED-Bench's own file, which names its question types apart."""
    questions, types = content.get("questions"), content.get("question_type") or {}
    if not isinstance(questions, list):
        return None
    if not isinstance(types, dict) or not all(isinstance(each, int | str) for each in types.values()):
        raise UsageError(f"{path}: question_type is {kind(types)}, expected an object with a number for each name")
    names = {number: name for name, number in types.items()}
    rows: list[dict[str, Json]] = []
    for number, each in enumerate(questions, 1):
        code = _object(path, number, each).get("question_type_id")
        rows.append({**each, "type": names.get(code, code) if isinstance(code, int | str) else code})
    return rows


def by_columns(path: Path, content: Mapping[str, Json]) -> list[dict[str, Json]] | None:
    """Return the rows of a table that lies by columns, as pandas' to_json and to_dict write it; None where it is none.

    Each column is an object whose keys are the rows' names, or a list. Rows come in the order of the file.
    """
    columns = list(content.values())
    if not _COLUMNS & set(content) or not columns:
        return None
    if all(isinstance(each, list) for each in columns) and len(columns) > 1:
        same = len({len(each) for each in columns}) == 1
        keys: Sequence[Json] = range(len(columns[0]))
    elif all(isinstance(each, dict) for each in columns) and not any(_COLUMNS & set(each) for each in columns):
        same = all(each.keys() == columns[0].keys() for each in columns)
        keys = list(columns[0])
    else:
        return None
    if not same:
        raise UsageError(f"{path}: a table by columns whose columns have not the same rows")
    return [{name: column[key] for name, column in content.items()} for key in keys]


def _json_lines(path: Path, piped: bytes | None) -> Iterator[Row]:
    size = path.stat().st_size if piped is None else len(piped)
    with path.open("rb") if piped is None else io.BytesIO(piped) as file:
        start = 0
        for number, line in enumerate(file, 1):
            end = start + len(line)
            if line.strip():
                read = _line(line, last=end == size, first=start == 0)
                if isinstance(read, str):
                    yield Row({}, path, number, {"": read})
                    start = end
                    continue
                if not isinstance(read[0], dict):
                    yield _no_row(path, number, read[0])
                    start = end
                    continue
                fields = read[0]
                rows = by_columns(path, fields) if end == size and start == 0 else None
                if rows is not None:  # the only line is a whole table
                    yield from (Row(each, path, at) for at, each in enumerate(rows, 1))
                    return
                if piped is None:  # a pipe cannot be read again: its pictures stay in memory
                    for name in [name for name in fields if is_picture_column(name) and _long(fields[name])]:
                        fields[name] = _defer(path, (start, end), name, fields[name])
                yield Row(fields, path, number)
            start = end


def _line(line: bytes, *, last: bool, first: bool) -> tuple[Json] | str:
    """Return the value of a line, or why it has none. Rows cut out of a list keep its commas, and perhaps a bracket."""
    text = line.removeprefix(b"\xef\xbb\xbf") if first else line
    try:
        return (_loads(text.strip().removesuffix(b",")),)
    except (ValueError, RecursionError) as error:
        why = "half-written last line; remove or complete it" if last and not line.endswith(b"\n") else str(error)
        return f"not JSON ({why})"


def _object(path: Path, number: int, value: Json) -> dict[str, Json]:
    if not isinstance(value, dict):
        raise UsageError(f"{path} line {number}: holds {kind(value)}, expected an object of columns")
    return value


def _long(value: Json) -> bool:
    return len(value) > HEAVY if isinstance(value, str) else isinstance(value, list) and any(map(_long, value))


def _defer(path: Path, span: tuple[int, int], column: str, value: Json) -> Deferred:
    def read() -> Json:
        with path.open("rb") as file:
            file.seek(span[0])
            return json.loads(file.read(span[1] - span[0]))[column]

    return Deferred(read, pictures_in(value))


def pictures_in(value: Json) -> int:
    """Return how many pictures lie in a cell; a list that is none counts as one, and says so when it is read."""
    if isinstance(value, str) and value.startswith("["):
        try:
            value = listed(value)
        except ValueError:
            return 1
    return len(value) if isinstance(value, list) else 1
