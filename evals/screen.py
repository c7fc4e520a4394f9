"""What reaches the terminal and CI's log: every line goes through here, so that no text of others acts there.

Models' answers, file names, names of models and categories, error texts of servers and lock files are
others' texts. A line of ours never holds a control code, a line break, a change of reading direction or a
command to a CI runner (`::error::`, `##[...]`, `##vso[...]`) that came with such a text: they are spelled out.
"""

from __future__ import annotations

import json
import re
import sys
import unicodedata
from collections.abc import Iterable

from .errors import JanusEvalError, shortened, without_secrets
from .types import Json

_UNSAFE = ("Cc", "Cf", "Cs", "Zl", "Zp", "Co", "Cn")
_COMMAND = re.compile(r"^(\s*):(?=:)|#(?=#\[|#vso\[)")


def clean(text: str) -> str:
    """Return `text` on one line, with what could move a cursor or turn the reading direction spelled out.

    Escape codes, line breaks and bidirectional controls become visible \\uXXXX; other text is kept as it is.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_spelled(c) if unicodedata.category(c) in _UNSAFE else c for c in text)


def _spelled(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def line(text: str) -> str:
    """Return one line that is safe to print: cleaned, without secrets, and no command to a CI runner."""
    return _COMMAND.sub(_spelled_command, clean(without_secrets(text)))


def _spelled_command(found: re.Match[str]) -> str:
    return f"{found[1] or ''}\\u00{ord(found[0][-1]):02x}"


def out(lines: Iterable[str]) -> None:
    """Print lines on stdout; a line break within one is spelled out."""
    for each in lines:
        print(line(each))


def rendered(text: str) -> None:
    """Print a table that a writer has made of clean cells, our own colours in it; no line is a command to CI."""
    for each in text.split("\n"):
        print(_COMMAND.sub(_spelled_command, each))


def err(lines: Iterable[str]) -> None:
    """Print lines on stderr; nothing where it is closed or takes nothing."""
    if sys.stderr is None or sys.stderr.closed:
        return
    try:
        for each in lines:
            print(line(each), file=sys.stderr, flush=True)
    except (OSError, ValueError):  # nobody listens any more, or the disk is full: that is no reason to fail
        sys.stderr = None


def fail(told: Exception | str, title: str = "") -> None:
    """Print an error as one line on stderr: ours as it is, another with its type; `title` says of what."""
    words = str(told) if isinstance(told, JanusEvalError | str) else f"{type(told).__name__}: {told}"
    words = " ".join(f"{title}: {words}".split() if title else words.split())
    err([f"janus-eval: error: {shortened(words)}"])


def warn(told: str) -> None:
    """Print a warning as one line on stderr."""
    err([f"janus-eval: warning: {told}"])


def say(told: str) -> None:
    """Print what the user should know as one line on stderr."""
    err([f"janus-eval: {told}"])


def as_json(value: Json, *, indent: int | None = None) -> str:
    """Return JSON in which others' control codes and commands to CI are escaped, as JSON allows."""
    text = _COMMAND.sub(_spelled_command, json.dumps(value, indent=indent, ensure_ascii=False))
    if text.isascii():
        return text
    return "".join(json.dumps(c)[1:-1] if unicodedata.category(c) in _UNSAFE and c != "\n" else c for c in text)


def binary(data: bytes) -> None:
    """Write bytes that a program reads to stdout; nothing where it is closed."""
    if sys.stdout is not None:
        sys.stdout.flush()
        sys.stdout.buffer.write(data)


def machine(text: str) -> None:
    """Print text that a program reads (JSON, CSV, LaTeX, a completion script): its writer made it safe."""
    print(text)
