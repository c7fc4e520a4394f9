"""What a measured row is called: the name it was given, else model, last part of its path, tag and step; rows of
one name are told apart by the knob in which they differ, else by the end of their signature."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import combinations

from ..evals.errors import UsageError, hint
from ..evals.types import RunRecord, RunSpec
from .compare import knobs

_LONGEST = 24
"""Characters of a setting that may stand in a name."""


def label(record: RunRecord) -> str:
    """Return a run's name: the one it was given, else model, path's last part, tag and step."""
    spec = record.spec
    said = [f"tag {spec.tag}"] if spec.tag else []
    said += [f"step {spec.step}"] if spec.step is not None else []
    return record.name or ", ".join([readable(spec), *said])


def readable(spec: RunSpec) -> str:
    """Return a model's name with a path's last part only, and that of the weights where they lie in a folder."""
    kind, colon, rest = spec.model.partition(":")
    local = rest.startswith(("/", ".", "~")) or rest.count("/") > 1
    last = rest.rstrip("/").rpartition("/")[2]
    name = f"{kind}{colon}{last}" if local and last else spec.model
    source, mark, _ = str(spec.model_card.get("weights", "")).partition("#")
    folder = mark and source and not set("@/ ") & set(source) and source not in ("packaged", last)
    return f"{name} ({source})" if folder else name


def renamed(records: Iterable[RunRecord], pairs: Sequence[str]) -> list[RunRecord]:
    """Return the records with the names that `old=new` gives them; `old` is a row's name, a model or `#` and a
    signature's end. Raises UsageError for one that none has."""
    found = list(records)
    for each in pairs:
        old, equals, new = each.partition("=")
        if not equals or not old.strip() or not new.strip():
            raise UsageError(f"--rename {each!r}: expected OLD=NEW")
        mine = [_is(record, old.strip()) for record in found]
        if not any(mine):
            known = dict.fromkeys(label(record) for record in found)
            told = f"; there are {', '.join(known) or 'none'}"
            raise UsageError(f"--rename: no measured row {old.strip()!r}{hint(old.strip(), known, told)}")
        found = [replace(r, name=new.strip()) if its else r for r, its in zip(found, mine, strict=True)]
    return found


def _is(record: RunRecord, old: str) -> bool:
    end = old.removeprefix("#")
    by_end = old.startswith("#") and len(end) >= 6 and record.spec.digest.startswith(end)
    return by_end or old in (label(record), record.spec.model)


def apart(rows: Sequence[Sequence[RunSpec]]) -> list[str]:
    """Return what tells rows of one name apart, each the specs of its runs: one or two settings, else an end."""
    held = [{(s.benchmark, key): value for s in specs for key, value in knobs(s).items()} for specs in rows]
    every = dict.fromkeys(key for each in held for key in each)
    moving = [key for key in every if len({each.get(key) for each in held}) > 1 and _is_short(held, key)]
    for count in (1, 2):
        for keys in combinations(moving[:_TRIED], count):
            names = [", ".join(f"{key.rpartition('.')[2]} {each[_, key]}" for _, key in keys) for each in held]
            if len(set(names)) == len(names):
                return names
    return ["#" + "+".join(dict.fromkeys(spec.digest[:6] for spec in specs)) for specs in rows]


_TRIED = 12


def _is_short(held: Sequence[dict[tuple[str, str], str]], key: tuple[str, str]) -> bool:
    return key[1] not in ("model", "benchmark", "m.weights") and all(
        key in each and 0 < len(each[key]) <= _LONGEST for each in held
    )
