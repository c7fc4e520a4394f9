"""What a plugin is in one line: the first sentence of its docstring, read from its source; nothing is imported."""

from __future__ import annotations

import ast
import re
import sys
from contextlib import suppress
from importlib.metadata import EntryPoint
from importlib.util import find_spec
from pathlib import Path

_LONGEST = 1 << 20
"""Bytes of a source file that is read."""
_DEFINED = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
_NAMED = re.compile(r"^(?:(?:class|def|async def)\s+(\w+)|(\w+)[^=\n]*=)", re.MULTILINE)
"""Where a name of a module begins."""


def abstract(point: EntryPoint) -> str:
    """Return the first sentence of the docstring of what an entry point names; "" where none is found."""
    try:
        source = _source(point.module)
        return "" if source is None else _sentence(_docstring(source, point.attr))
    except (OSError, ValueError, SyntaxError, ImportError, RecursionError, MemoryError):
        return ""


def _source(module: str) -> str | None:
    """Return the text of a module's file. Of packages only the outermost is looked up, and not imported."""
    top, *rest = module.split(".")
    loaded = sys.modules.get(top)
    found = loaded.__spec__ if loaded is not None else find_spec(top)
    if found is None:
        return None
    if not rest:
        places = [Path(found.origin)] if found.origin else []
    else:
        inner = [Path(each).joinpath(*rest) for each in found.submodule_search_locations or ()]
        places = [place for each in inner for place in (each.with_name(each.name + ".py"), each / "__init__.py")]
    for each in places:
        if each.is_file() and each.stat().st_size <= _LONGEST:
            return each.read_text(encoding="utf-8")
    return None


def _docstring(source: str, name: str) -> str:
    """Return the docstring of a class or function, or the text that an assignment calls `about`, or has below it."""
    start = next((each for each in _NAMED.finditer(source) if name in each.groups()), None)
    if start is None:
        return ""
    rest = source[start.start() :]
    with suppress(SyntaxError, ValueError):  # most have a docstring: what is behind it need not be parsed
        head = ast.parse(rest[: rest.index('"""', rest.index('"""') + 3) + 3]).body
        if len(head) == 1 and isinstance(head[0], _DEFINED) and (told := ast.get_docstring(head[0])):
            return told
    nodes: list[ast.stmt] = []
    for end in (*(each.start() for each in re.finditer(r"^(?=[^\s)\]}#])", rest, re.MULTILINE)), len(rest)):
        try:
            nodes = ast.parse(rest[:end]).body if end else []
        except SyntaxError:  # in the midst of a statement
            continue
        if len(nodes) > 1 or (nodes and isinstance(nodes[0], _DEFINED)):
            break
    if not nodes:
        return ""
    first, *more = nodes
    if isinstance(first, _DEFINED):
        return ast.get_docstring(first) or ""
    made = first.value if isinstance(first, ast.Assign | ast.AnnAssign) else None
    for each in made.keywords if isinstance(made, ast.Call) else ():
        if each.arg == "about" and isinstance(each.value, ast.Constant) and isinstance(each.value.value, str):
            return each.value.value
    below = more[0].value if more and isinstance(more[0], ast.Expr) else None
    return below.value if isinstance(below, ast.Constant) and isinstance(below.value, str) else ""


_LONG = 110
"""Characters of a sentence; of a longer one, what stands before its colon is enough."""


def _sentence(text: str) -> str:
    """Return the first sentence without its full stop, a function's "Return the ..." as "The ..."."""
    flat = " ".join(text.strip().split("\n\n", 1)[0].split())
    first = re.split(r"(?<![.])[.](?=\s+[A-Z`]|$)", flat, maxsplit=1)[0].removeprefix("Return ")
    first = first.partition(": ")[0] if len(first) > _LONG else first
    return first[:1].upper() + first[1:] if flat.startswith("Return ") else first
