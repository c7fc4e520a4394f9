"""The sources of reported numbers as a .bib file, and the key under which a paper cites each."""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

from ..evals.screen import clean
from .latex import escape

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_URL = re.compile(r"https?://[A-Za-z0-9._~:/?=&+@-]+")
"""What \\url{} prints as it is in the argument of another command: no %, #, brace or backslash."""


@cache
def _entries() -> tuple[Mapping[str, object], ...]:
    text = Path(__file__).with_name("bibliography.toml").read_text(encoding="utf-8")
    return tuple(tomllib.loads(text)["entry"])


@cache
def _keys() -> Mapping[str, str]:
    return {source: str(each["key"]) for each in _entries() for source in each["sources"]}  # pyright: ignore[reportGeneralTypeIssues] -- a TOML list


def key(source: str) -> str:
    """Return the key that \\cite takes for a source; one of the user's own gets a key made of its words."""
    return _keys().get(source) or _own_key(source)


def _own_key(source: str) -> str:
    words = "-".join(re.findall(r"[a-z0-9]+", source.lower()))[:40].strip("-")
    return f"{words or 'source'}-{hashlib.sha256(source.encode('utf-8', 'replace')).hexdigest()[:6]}"


def bibliography(sources: Iterable[str] = ()) -> str:
    """Return a .bib file: an entry for each published source, and for each of `sources` that is the user's own."""
    own = [each for each in dict.fromkeys(sources) if each not in _keys()]
    head = "% Made by janus-eval report --bib; \\url needs \\usepackage{url} or hyperref."
    return "\n\n".join([head, *map(_entry, _entries()), *map(_own, own)])


def _entry(entry: Mapping[str, object]) -> str:
    cell = {name: str(value) for name, value in entry.items() if name != "sources"}
    fields = {"author": cell.get("author", ""), "title": _braced(cell["title"])}
    fields["key"] = "" if "author" in cell else cell["key"]  # by what styles sort and label one without author
    fields["year"] = cell.get("year", "")
    if "arxiv" in cell:
        fields["journal"] = f"arXiv preprint arXiv:{cell['arxiv']}"
        fields |= {"eprint": cell["arxiv"], "archiveprefix": "arXiv"}
    if "url" in cell:
        fields["howpublished"] = rf"\url{{{cell['url']}}}"
    fields["note"] = f"Read {cell['read']}" if "read" in cell else ""
    return _written(cell.get("type", "misc"), cell["key"], fields)


def _own(source: str) -> str:
    if _URL.fullmatch(source):
        return _written("misc", key(source), {"key": key(source), "howpublished": rf"\url{{{source}}}"})
    return _written("misc", key(source), {"key": key(source), "title": _braced(source)})


def _written(kind: str, name: str, fields: Mapping[str, str]) -> str:
    lines = [f"  {field} = {{{value}}}," for field, value in fields.items() if value]
    return "\n".join([f"@{kind}{{{name},", *lines, "}"])


def _braced(text: str) -> str:
    """Return a title that keeps its capitals; BibTeX counts braces, escaped ones too, so they are spelled."""
    named = {r"\{": r"\textbraceleft{}", r"\}": r"\textbraceright{}"}
    return "{" + re.sub(r"\\[{}]", lambda found: named[found[0]], escape(clean(text))) + "}"
