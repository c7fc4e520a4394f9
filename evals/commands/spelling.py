"""How names and flags may be spelled: groups and globs of names, underscores, and what other harnesses call a flag."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from .. import registry
from ..errors import UsageError, hint

GROUPS = {
    "@gen": "every suite of drawings",
    "@edit": "every suite of edited pictures",
    "@und": "every suite of questions",
    "@all": "all of these",
    "@2026": "what papers on unified models print in 2026",
}
"""Groups of benchmarks; the shapes for suites of one's own, which want a table, are in none."""
_GROUP_OF = {"image": "@gen", "edit": "@edit"}
_2026 = (
    *("geneval", "geneval_long", "geneval2", "dpg_bench", "wise", "wise_verified"),
    *("mme", "mmbench", "mmmu", "mm_vet", "mathvista", "mmstar", "ai2d", "ocrbench"),
)
"""The suites of BAGEL's, Ovis-U1's and TorchUMM's tables (reports/reported.csv), and GenEval 2."""

_ALIASES: dict[str, Sequence[str]] = {
    # EleutherAI/lm-evaluation-harness 0.4.13, lm_eval/_cli/run.py
    "--tasks": ("--bench",),
    "--gen-kwargs": ("--gen-args",),
    "--output-path": ("--output",),
    "--predict-only": ("--until", "predict"),
    # UKGovernmentBEIS/inspect_ai 0.3.285, inspect_ai/_cli/eval.py
    "-M": ("--model-args",),
    "-T": ("--bench-args",),
    "--log-dir": ("--output",),
    "--model-base-url": ("--base-url",),
    "--no-score": ("--until", "predict"),
    "--sample-id": ("--ids",),
}
"""What other harnesses call a flag of `run`."""


def flags(arguments: Sequence[str]) -> list[str]:
    """Return a command line with our own spelling of its flags; values are left as they are."""
    found: list[str] = []
    rest = list(arguments)
    run = rest[:1] == ["run"]
    while rest:
        each = rest.pop(0)
        if each == "--":
            return [*found, each, *rest]
        flag, equals, value = each.partition("=")
        flag = flag.replace("_", "-") if flag.startswith("--") else flag
        ours = _ALIASES.get(flag) if run else None
        if ours is None and run and each[:2] in ("-M", "-T") and len(each) > 2 and each[2] != "-":
            flag, value, ours = each[:2], each[2:], _ALIASES[each[:2]]  # -Mkey=value
            equals = "="
        if ours is None:
            found.append(flag + equals + value)
        else:
            found += [*ours[:-1], ours[-1] + equals + value]
    return found


def names(group: registry.Group, given: Iterable[str]) -> list[str]:
    """Return names with groups (@gen) and globs (janus-*) spelled out. Raises UsageError where one holds nothing."""
    found: list[str] = []
    for each in given:
        if each.startswith("@"):
            found += _group(group, each)
        elif ":" not in each and set("*?[") & set(each):
            known = registry.names(group)
            wanted = each.replace("_", "-").lower()
            held = [name for name in known if fnmatchcase(name.replace("_", "-").lower(), wanted)]
            if not held:
                raise UsageError(f"no {group.removesuffix('s')} fits {each!r}; known: {', '.join(known)}")
            found += held
        else:
            found.append(each)
    return list(dict.fromkeys(found))


def _group(group: registry.Group, name: str) -> list[str]:
    if group != "benchmarks":
        raise UsageError(f"{name!r}: groups are of benchmarks; several models are a glob, as 'janus-pro-*'")
    if name not in GROUPS:
        known = f"; there are {', '.join(GROUPS)}"
        raise UsageError(f"no group {name!r}{hint(name, GROUPS, known)}")
    if name == "@2026":
        return [each for each in _2026 if each in registry.names("benchmarks")]
    found: list[str] = []
    for each in registry.names("benchmarks"):
        kind: str = getattr(registry.load("benchmarks", each), "kind", "text")
        shape = "name" in registry.parameters("benchmarks", each)
        if not shape and name in ("@all", _GROUP_OF.get(kind, "@und")):
            found.append(each)
    return found
