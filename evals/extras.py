"""The line that brings an extra to this very installation, be it a clone, a wheel, a git address or from an index."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

NAME = "janus-eval"
_HERE = Path(__file__).parents[1]
_PLAIN = re.compile(r"[\w@%+=:,./~# \[\]<>!-]+")


def pip_line(extra: str, *, upgrade: bool = False) -> str:
    """Return the pip command that installs an extra beside what runs here; `upgrade` renews what it brings.

    Where this was installed from stands in its metadata (direct_url.json, PEP 610); without it an index is asked. A
    folder or wheel that is gone cannot be installed again: then the extra's own requirements are named.
    """
    command = "pip install -U" if upgrade else "pip install"
    origin = _origin()
    url = str(origin.get("url", "")).replace(" ", "%20")  # as pip writes a folder's, and does not read it
    if not url:  # from an index, or run where it lies
        return f"{command} -e {_quoted(f'{_HERE}[{extra}]')}" if _is_clone(_HERE) else _of_index(command, extra)
    if isinstance(told := origin.get("vcs_info"), dict):
        revision = told.get("commit_id") or told.get("requested_revision") or ""
        place = f"{told.get('vcs', 'git')}+{url}" + (f"@{revision}" if revision else "")
        if url.startswith("file:"):  # `NAME @ git+file:///...` is no requirement for many a pip
            return f"{command} {_quoted(f'{place}#egg={NAME}[{extra}]')}"
        return f"{command} {_quoted(f'{NAME}[{extra}] @ {place}')}"
    if not url.startswith("file:"):
        return f"{command} {_quoted(f'{NAME}[{extra}] @ {url}')}"
    path = Path(unquote(urlsplit(url).path))
    if not (path.is_file() or _is_clone(path)):
        return " ".join([command, *(_quoted(each) for each in requirements(extra))])
    told = origin.get("dir_info")
    editable = "-e " if isinstance(told, dict) and told.get("editable") else ""
    shown = "." if path == Path.cwd() else str(path)
    return f"{command} {editable}{_quoted(f'{shown}[{extra}]')}"


def requirements(extra: str) -> list[str]:
    """Return what an extra asks for, extras within it resolved, as the installed metadata tells it."""
    found = next(iter(distributions(name=NAME)), None)
    return list(dict.fromkeys(_requirements(found, extra))) if found is not None else []


def _requirements(found: Distribution, extra: str) -> Iterator[str]:
    for line in found.requires or ():
        wanted, _, marker = line.partition(";")
        if extra not in re.findall(r"""extra\s*==\s*["']([^"']+)["']""", marker):
            continue
        inner = re.fullmatch(rf"{NAME}\[(.+)\]", wanted.strip())
        if inner is None:
            yield wanted.strip()
            continue
        for each in inner[1].split(","):
            yield from _requirements(found, each.strip())


def _origin() -> dict[str, Any]:
    """Return the installation's direct_url.json, {} where there is none; a clone's own egg-info has none."""
    for found in distributions(name=NAME):
        with suppress(ValueError):
            told: Any = json.loads(found.read_text("direct_url.json") or "{}")
            if told and isinstance(told, dict):
                return told
        if not _is_clone(Path(str(found.locate_file("")))):
            return {}
    return {}


def _is_clone(folder: Path) -> bool:
    return (folder / "pyproject.toml").is_file()


def _of_index(command: str, extra: str) -> str:
    return f"{command} {_quoted(f'{NAME}[{extra}]')}"


def _quoted(text: str) -> str:
    """Return a word for a shell, in the double quotes of the pages where these are enough."""
    return f'"{text}"' if _PLAIN.fullmatch(text) and "!" not in text.replace("!=", "") else shlex.quote(text)
