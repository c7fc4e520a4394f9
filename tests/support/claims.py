"""Which test holds which claim, and how often: read from the marks; run as a script it writes tests/README.md."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parents[1]
README = TESTS / "README.md"
LONG = 200
"""Tries of a claim in the long form, where its mark names no other number."""
BEGIN, END = "<!-- claims -->", "<!-- end of claims -->"

CLAIMS: Mapping[str, str] = {
    "R1": "`kill -9` at any instant: little is made again, the same bytes come out",
    "R2": "other batches, workers or order: the same bytes",
    "R3": "at any instant only whole files and drafts; the next start removes these",
    "R4": "a full disk is exit code 6 and loses nothing; a run that cannot fit is refused",
    "R5": "damage anywhere is named, and costs only what was damaged",
    "R6": "of two processes one works, the other exits 4; a dead one's lock is taken over",
    "R7": "a picture that is none never scores",
    "R8": "a sample that raises is recorded, never dropped, and withholds the headline",
    "R9": "a judge or endpoint that fails moves no score",
    "R10": "memory that is full at random batches changes nothing",
    "R11": "a signal ends a run within 5 s with a summary; a second one at once",
    "R12": "every knob is in the signature; equal signatures are equal runs",
    "R13": "what differs in one field shares no key",
    "R14": "scorers give the references' verdicts",
    "R15": "the check before scoring catches planted faults",
    "R16": "offline no connection is tried; the first missing file is named before anything heavy is imported",
    "R17": "no secret stands in anything that is written",
    "R18": "exit codes are an interface; help imports nothing heavy",
    "R19": "runs of earlier formats open, report, compare and resume",
    "R20": "the order of samples, lines and shards moves nothing",
}


def pytest_collection_finish(session: Any) -> None:
    """Print each marked test with its claim and tries: this module is a plugin of the collection below."""
    for item in session.items:
        for mark in item.iter_markers("claim"):
            name = f"{item.path.relative_to(TESTS).as_posix()}::{item.originalname}"
            told = {"cases": 1, "tries": None, "long": LONG, **mark.kwargs}
            print("CLAIM", json.dumps([mark.args[0], name, told["cases"], told["tries"], told["long"]]))


def held() -> dict[str, dict[str, str]]:
    """Return, for each claim, its tests with how often they try it: in CI, and in brackets in the long form."""
    files = [path for path in sorted(TESTS.rglob("test_*.py")) if "mark.claim(" in path.read_text(encoding="utf-8")]
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--collect-only",
        "-qq",
        "-p",
        "support.claims",
        "-p",
        "no:cacheprovider",
    ]
    done = subprocess.run(
        [*command, *map(str, files)],
        capture_output=True,
        text=True,
        check=False,
        cwd=TESTS.parent,
        env={**os.environ, "PYTHONPATH": str(TESTS)},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line.removeprefix("CLAIM ") for line in done.stdout.splitlines() if line.startswith("CLAIM ")]
    found: dict[str, dict[str, str]] = {}
    for row, items in Counter(rows).items():
        claim, name, inside, tries, most = json.loads(row)
        cases = items * inside
        times = f"{cases}" if tries is None else f"{cases * tries} ({cases * min(LONG, most)})"
        found.setdefault(claim, {})[name] = times
    return found


def table(found: Mapping[str, Mapping[str, str]]) -> str:
    """Return the table of claims in markdown."""
    lines = ["| claim | held by: tries in CI (in the long form) |", "|---|---|"]
    for claim, text in CLAIMS.items():
        tests = [f"{name.replace('::test_', ': ')} {times}" for name, times in sorted(found.get(claim, {}).items())]
        lines.append(f"| **{claim}** {text} | {'<br>'.join(tests)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    before, rest = README.read_text(encoding="utf-8").split(BEGIN)
    README.write_text(f"{before}{BEGIN}\n{table(held())}\n{END}{rest.split(END)[1]}", encoding="utf-8")
