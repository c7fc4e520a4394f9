"""Small valid files made hostile: bytes, texts, tables and JSON, from a seed."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import math
import random
import zlib
from collections.abc import Callable
from typing import Any

from janus_eval.evals.files import seal, seal_of

TEXTS = (
    *("", " ", "nan", "None", "null", "0", "-1", "1e999", "1" * 5000, "241.5", "\u00b2", "true", "[", "[[[", "{", "()"),
    *(
        "\0",
        "a\0b",
        "\x1b[2J\x1b]0;x\x07",
        "\u202eevil\u202c",
        "\u2028",
        "a\u2029b",
        "\x85",
        "\x0b",
        "\ufeff",
        "\ud800",
    ),
    *("\n::error::pwned", "::error file=x::pwned", "##[error]x", "##vso[task.complete]", "a\r\nb", "\r", "\t", "a\tb"),
    *("../../../etc/passwd", "/etc/passwd", "/dev/zero", "~root/x", "%s%n", "{0.__class__}", "=1+1", "x" * 70_000),
    *("'", '"', "''", "['a', 'b']", "[1, [2]]", "{'a': 1}", "\\", "\\u0000", "<b>&amp;", "$(id)", "\U0001f600" * 9),
)
NUMBERS = (0, 1, -1, 2, 3, 0.5, 241.5, 10**30, 10**400, 2**63, -(2**63), 1e308, -1e308, 1e-320, math.nan, math.inf)
ODD: tuple[Any, ...] = (None, True, False, [], {}, [None], [[]], {"": None}, {"a": {"b": []}}, ["x"] * 40)


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def anything(chance: random.Random) -> Any:
    """Return a JSON value that nobody asked for."""
    kind = chance.randrange(10)
    if kind < 4:
        return chance.choice(TEXTS)
    if kind < 6:
        return chance.choice(NUMBERS)
    if kind == 6:
        return deep(chance.choice((3, 60, 400)))
    return chance.choice(ODD)


def spoiled(value: Any, chance: random.Random) -> Any:
    """Return a JSON value with one part replaced, removed, doubled or renamed."""
    if isinstance(value, dict) and value and chance.random() < 0.85:
        key = chance.choice(list(value))
        act = chance.randrange(8)
        if act == 0:
            return {name: each for name, each in value.items() if name != key}
        if act == 1:
            return {(chance.choice(TEXTS) if name == key else name): each for name, each in value.items()}
        return {**value, key: spoiled(value[key], chance)}
    if isinstance(value, list) and value and chance.random() < 0.85:
        at = chance.randrange(len(value))
        act = chance.randrange(8)
        if act == 0:
            return value[:at] + value[at + 1 :]
        if act == 1:
            return value[: at + 1] + value[at:]
        return [*value[:at], spoiled(value[at], chance), *value[at + 1 :]]
    return anything(chance)


def of_bytes(data: bytes, chance: random.Random) -> bytes:
    """Return bytes flipped, cut, doubled, or with something foreign put in."""
    found = bytearray(data)
    act = chance.randrange(6)
    if act == 0 or not found:
        return bytes(found[: chance.randrange(len(found) + 1)])
    at = chance.randrange(len(found))
    if act == 1:
        return bytes(found[:at] + chance.choice(TEXTS).encode("utf-8", "surrogatepass") + found[at:])
    if act == 2:
        return bytes(found[:at] + found[at + chance.randrange(1, 9) :])
    if act == 3:
        end = min(len(found), at + chance.randrange(1, 200))
        return bytes(found[:end] + found[at:end] * chance.choice((1, 2, 50)) + found[end:])
    if act == 4:
        whole = (
            b"",
            b"\xff\xfe" + data[:999],
            b"\xef\xbb\xbf" + data,
            b"[" * 100_000,
            b"\0" * 4096,
            b"PK\x03\x04" + data,
        )
        return chance.choice(whole)
    for _ in range(chance.randint(1, 8)):
        near = min(len(found), 512) if chance.random() < 0.5 else len(found)
        found[chance.randrange(near)] = chance.choice((0, 10, 34, 92, 127, 128, 255, chance.randrange(256)))
    return bytes(found)


def encoded(value: Any, chance: random.Random) -> str:
    return json.dumps(value, ensure_ascii=chance.random() < 0.5)


def of_json(data: bytes, chance: random.Random) -> bytes:
    value = spoiled(json.loads(data), chance)
    if isinstance(value, dict) and "sum" in value and chance.random() < 0.8:  # a record under a right checksum
        rest = {key: each for key, each in value.items() if key != "sum"}
        value = {**rest, "sum": seal_of(rest)}
    return encoded(value, chance).encode("utf-8", "surrogatepass")


def of_lines(data: bytes, chance: random.Random) -> bytes:
    """Return JSON lines with one spoiled, lost, doubled or out of place; sealed ones are sealed again."""
    lines = data.splitlines(keepends=True)
    if not lines:
        return of_bytes(data, chance)
    at, act = chance.randrange(len(lines)), chance.randrange(10)
    if act < 3:
        other = chance.choice(lines)
        return b"".join((*lines[:at], *((), (other,), (lines[at], other))[act], *lines[at + 1 :]))
    row = json.loads(lines[at])
    is_sealed = isinstance(row, dict) and len(row) > 1 and next(iter(row)) == "sum"
    new = spoiled(row, chance)
    if is_sealed and isinstance(new, dict):
        line = seal({key: each for key, each in new.items() if key != "sum"})
    else:
        line = encoded(new, chance)
    lines[at] = line.encode("utf-8", "surrogatepass") + b"\n"
    return b"".join(lines)


def of_table(delimiter: str) -> Callable[[bytes, random.Random], bytes]:
    def work(data: bytes, chance: random.Random) -> bytes:
        rows = list(csv.reader(io.StringIO(data.decode(), newline=""), delimiter=delimiter))
        row = chance.choice(rows)
        if row:
            row[chance.randrange(len(row))] = chance.choice(TEXTS)
        buffer = io.StringIO(newline="")
        csv.writer(buffer, delimiter=delimiter, lineterminator=chance.choice(("\n", "\r\n"))).writerows(rows)
        text = buffer.getvalue()
        if chance.random() < 0.2:  # raw, within the text: quotes and line ends act
            at = chance.randrange(len(text))
            text = text[:at] + chance.choice(TEXTS) + text[at:]
        return text.encode("utf-8", "surrogatepass")

    return work


def of_text(data: bytes, chance: random.Random) -> bytes:
    text = data.decode()
    at = chance.randrange(len(text) + 1)
    new = text[:at] + chance.choice(TEXTS) + text[at + chance.choice((0, 0, 1, 5, 20)) :]
    return new.encode("utf-8", "surrogatepass")


def of_baseline(data: bytes, chance: random.Random) -> bytes:
    """Return a zipped baseline with a line spoiled, mostly under a right checksum, or the archive itself damaged."""
    if chance.random() < 0.2:
        return of_bytes(data, chance)
    text = of_lines(gzip.decompress(data), chance)
    if chance.random() < 0.8:
        lines = [line for line in text.splitlines(keepends=True) if not line.startswith(b'{"sum": ')]
        body = b"".join(lines)
        text = body + json.dumps({"sum": hashlib.sha256(body).hexdigest()}).encode() + b"\n"
    return gzip.compress(text, 1)


def of_safetensors(data: bytes, chance: random.Random) -> bytes:
    """Return a safetensors file whose header names other types, shapes and places."""
    size = int.from_bytes(data[:8], "little")
    head = encoded(spoiled(json.loads(data[8 : 8 + size]), chance), chance).encode("utf-8", "surrogatepass")
    length = len(head) if chance.random() < 0.9 else chance.choice((0, 1, size, 2**40, 2**64 - 1))
    return length.to_bytes(8, "little") + head + data[8 + size :]


BY_SUFFIX: dict[str, Callable[[bytes, random.Random], bytes]] = {
    ".json": of_json,
    ".jsonl": of_lines,
    ".tsv": of_table("\t"),
    ".csv": of_table(","),
    ".gz": of_baseline,
    ".safetensors": of_safetensors,
    ".toml": of_text,
    ".yaml": of_text,
    ".txt": of_text,
}


def mutated(name: str, data: bytes, chance: random.Random) -> bytes:
    """Return a file's bytes made hostile: by its form where it has one that is known, else as bytes."""
    work = BY_SUFFIX.get("." + name.rpartition(".")[2])
    if work is None or chance.random() < 0.25:
        return of_bytes(data, chance)
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        try:
            data = work(data, chance)
        except (ValueError, RecursionError, EOFError, OSError, csv.Error, zlib.error):  # no longer of its form
            return of_bytes(data, chance)
    return data
