"""What `janus-eval --help` says: the commands by what they are for, a line each."""

from __future__ import annotations

from collections.abc import Mapping

GROUPS: Mapping[str, tuple[str, ...]] = {
    "run and score": ("run", "finish", "score", "convert"),
    "look and compare": (
        "list",
        "show",
        "view",
        "report",
        "compare",
        "explain",
        "repeats",
        "power",
        "verify",
        "claims",
        "gate",
    ),
    "keep house": ("command", "export", "rm", "gc"),
    "this machine": ("doctor", "check", "data", "bundle", "env", "validate", "completion"),
}
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


def text(told: Mapping[str, str], epilog: str) -> str:
    """Return the help: `told` has a line about each command."""
    wide = max(map(len, told))
    lines = [_START]
    for title, names in GROUPS.items():
        lines += [f"{title}:", *(f"  {name:<{wide}}  {told[name]}" for name in names), ""]
    return "\n".join([*lines, _OPTIONS, f"{epilog}\n"])
