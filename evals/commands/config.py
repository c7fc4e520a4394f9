"""`janus-eval run -C run.yaml`: a file's keys stand in for flags; flags that are given win."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import UsageError, hint
from .flags import key_values

_LARGEST = 1 << 20
"""Bytes of a file of settings."""
SHORT = {"-m": "--model", "-b": "--bench", "-a": "--model-args", "-l": "--limit", "-o": "--output", "-n": "--dry-run"}
_OPTIONS = ("--model-args", "--bench-args", "--gen-args")
_SWITCHES = ("--offline", "--json", "--dry-run", "--allow-unscored")
"""Flags without a value and without a `--no-` of their own."""


def merged(arguments: Sequence[str]) -> tuple[list[str], Path | None, list[str]]:
    """Return a `run` command line with the settings of its -C file before its flags, that file, and its keys.

    Raises UsageError for a file that is none of settings.
    """
    given = list(arguments)
    path = _taken(given)
    if path is None:
        return given, None, []
    settings = read(path)
    flags = list(_flags(given))
    found: list[str] = []
    for key, value in settings.items():
        found += _as_flags(str(path), key, value, flags)
    return [given[0], *found, *given[1:]], path, list(settings)


def check(path: Path, keys: Iterable[str], known: Sequence[str]) -> None:
    """Raise UsageError for a key that is none of the known flags."""
    names = [each.removeprefix("--") for each in known]
    for key in keys:
        if (word := key.replace("_", "-")) not in names:
            raise UsageError(f"{path}: unknown key {key!r}{hint(word, names)}")


def _taken(arguments: list[str]) -> Path | None:
    """Return the file that -C names, taking it off the command line."""
    found: list[str] = []
    at = 1
    while at < len(arguments) and arguments[at] != "--":
        flag, equals, value = arguments[at].partition("=")
        if flag in ("-C", "--config"):
            found.append(value if equals else arguments[at + 1] if at + 1 < len(arguments) else "")
            del arguments[at : at + (1 if equals else 2)]
        else:
            at += 1
    if len(found) > 1:
        raise UsageError("-C/--config: given twice")
    if found and not found[0].strip():
        raise UsageError("-C/--config: names no file")
    return Path(found[0]) if found else None


def read(path: Path) -> dict[str, Any]:
    """Return the settings of a YAML or JSON file. Raises UsageError for anything but keys and plain values."""
    import yaml

    if not path.is_file():
        raise UsageError(f"{path}: no such file of settings")
    try:
        data = path.read_bytes()
        if len(data) > _LARGEST:
            raise UsageError(f"{path}: {len(data):,} bytes are no settings")
        text = data.decode("utf-8-sig")
        _once(path, yaml.compose(text, yaml.SafeLoader))
        found: Any = yaml.safe_load(text)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, ValueError, RecursionError, TypeError, AttributeError) as error:
        raise UsageError(f"{path} is no plain YAML: {error}") from error
    if not isinstance(found, dict) or not all(isinstance(key, str) for key in found):
        raise UsageError(f"{path}: expected keys with values, as `model: NAME`")
    return found


def _once(path: Path, node: Any) -> None:
    """Raise UsageError where a key stands twice: the last would win in silence."""
    pairs: Any = getattr(node, "value", None)
    keys = [str(key.value).replace("_", "-") for key, _ in pairs] if node is not None and node.id == "mapping" else []
    twice = next((key for key in keys if keys.count(key) > 1), None)
    if twice is not None:
        raise UsageError(f"{path}: the key {twice!r} is given twice")


def _flags(arguments: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield each flag that is given, by its long name, with the value that stands at it or behind it."""
    for at, each in enumerate(arguments):
        behind = arguments[at + 1] if at + 1 < len(arguments) else ""
        if each.startswith("--"):
            flag, equals, value = each.partition("=")
            yield flag, value if equals else behind
        elif each[:2] in SHORT:
            yield SHORT[each[:2]], each[2:].removeprefix("=") or behind


def _as_flags(where: str, key: str, value: Any, given: Sequence[tuple[str, str]]) -> list[str]:
    """Return a setting as flags; none where the command line has that flag, or that option of a flag."""
    flag = "--" + key.replace("_", "-")
    if isinstance(value, Mapping):
        if flag not in _OPTIONS:
            raise UsageError(f"{where}: {key} takes one value, no keys")
        mine = key_values([text for name, text in given if name == flag and "=" in text], flag)
        options = {str(name).replace("-", "_"): each for name, each in value.items()}
        return [f"{flag}={name}={_text(where, name, each)}" for name, each in options.items() if name not in mine]
    if any(name in (flag, f"--no-{flag[2:]}") for name, _ in given) or value is None:
        return []
    if isinstance(value, list):
        texts = [_text(where, key, each) for each in value]
        return [f"{flag}={','.join(texts)}"] if flag == "--ids" else [f"{flag}={each}" for each in texts]
    if isinstance(value, bool):
        return ([] if flag in _SWITCHES else [f"--no-{flag[2:]}"]) if not value else [flag]
    return [f"{flag}={_text(where, key, value)}"]


def _text(where: str, key: str, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "none"
    if isinstance(value, Mapping | list | set | tuple | bytes):
        raise UsageError(f"{where}: {key} takes one plain value")
    return str(value)
