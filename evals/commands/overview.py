"""The commands by what they are for, a line about each, and the module that adds it: what `janus-eval --help` says."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping

Call = Callable[[argparse.Namespace], int]
Add = Callable[[str, Call], argparse.ArgumentParser]
"""Says what carries a command out, and returns its parser: what a module's `add` is given."""

GROUPS: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "run and score": {
        "run": ("run", "run models on benchmarks; the same command again resumes"),
        "finish": ("run", "take the shards of a run together and score it"),
        "score": ("score", "score outputs made elsewhere, without the model"),
        "convert": ("convert", "turn what another harness left into rows that score reads"),
    },
    "look and compare": {
        "list": ("plugins", "list models, benchmarks, observers, recipes or stored runs"),
        "show": ("show", "show a run: its numbers, its knobs, or one sample"),
        "view": ("view", "look at runs in a browser: a site, written or served"),
        "report": ("reports", "tables of measured runs beside the published numbers"),
        "compare": ("reports", "two runs sample by sample: differences, flips, knobs"),
        "explain": ("reports", "each knob in which two runs differ"),
        "repeats": ("reports", "runs that differ in their seed: means, standard errors, pass@k"),
        "power": ("reports", "what a suite can show, before it is run"),
        "verify": ("verify", "make the numbers of runs again from their outputs"),
        "claims": ("reports", "check published claims over published numbers or runs"),
        "gate": ("reports", "judge runs against a baseline, for CI (exit code 3: worse)"),
    },
    "keep house": {
        "command": ("history", "print the command that made a run"),
        "export": ("export", "write a run's answers as the suite's own server takes them"),
        "rm": ("shelf", "remove stored runs, after asking"),
        "gc": ("shelf", "remove stored runs by state or age, and drafts of the killed"),
    },
    "this machine": {
        "doctor": ("doctor", "say what is missing on this machine, by what one wants to run"),
        "check": ("check", "try a model in under a minute: an answer, a picture, batches"),
        "data": ("data", "list, fetch, verify, locate or export data and weights"),
        "bundle": ("bundle", "carry weights and data to a machine without a network"),
        "env": ("env", "build, list, check or remove environments of models"),
        "validate": ("plugins", "check a plugin: its members, required and optional"),
        "completion": ("completion", "print a shell completion script"),
    },
}
"""Each command: the module that adds it, and what it does."""

COMMANDS: Mapping[str, tuple[str, str]] = {name: row for rows in GROUPS.values() for name, row in rows.items()}

_START = """\
usage: janus-eval COMMAND ...

Evaluate models that understand and draw pictures; print tables beside the
published numbers.
"""
_OPTIONS = """\
options:
  -h, --help  show this, or behind a command what it takes
  --version   print the version
"""


def text(epilog: str) -> str:
    """Return the help."""
    wide = max(map(len, COMMANDS))
    lines = [_START]
    for title, rows in GROUPS.items():
        lines += [f"{title}:", *(f"  {name:<{wide}}  {told}" for name, (_, told) in rows.items()), ""]
    return "\n".join([*lines, _OPTIONS, f"{epilog}\n"])
