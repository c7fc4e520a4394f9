"""The real command as a process in a world of squares, with the faults that a test plants in it."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from support.site import install

# What a shell starts in the background would ignore SIGINT.
_CODE = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
_CODE += "import support.faults\nfrom janus_eval.evals.commands.cli import entry\nentry()"
APART = ("environment.json", "asked.json", ".lock", "ledger")
"""What may differ between equal runs: times and the machine, the words of the request (its devices), who holds the
lock; and what tests write there."""


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class World:
    """Squares, their painter and the eye that sees them, installed below a folder."""

    site: Path

    @classmethod
    def made(cls, folder: Path) -> World:
        names = {"models": {"painter": "Painter"}, "benchmarks": {"squares": "Squares"}}
        code = "from support.squares import Eye, Painter, Squares\n"
        return cls(install(folder, "squares", code, **names, observers={"squares-eye": "Eye"}))

    @property
    def paths(self) -> str:
        """The PYTHONPATH in which the squares are found."""
        return os.pathsep.join([str(self.site), str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])

    def line(self, *arguments: str) -> str:
        """Return the line of a shell that runs `janus-eval` with these arguments."""
        return shlex.join(["env", f"PYTHONPATH={self.paths}", sys.executable, "-c", _CODE, *arguments])

    def start(self, *arguments: str, **environment: str | Path) -> subprocess.Popen[str]:
        """Start `janus-eval` with these arguments; `environment` is for `support.faults` and `support.squares`."""
        given = {name.upper(): str(value) for name, value in environment.items()}
        return subprocess.Popen(
            [sys.executable, "-c", _CODE, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": self.paths, **given},
        )

    def call(self, *arguments: str, **environment: str | Path) -> Done:
        """Run `janus-eval` to its end."""
        return ended(self.start(*arguments, **environment))

    def run(self, output: Path, *more: str, **environment: str | Path) -> Done:
        """Run the squares to their end, or to that of the process."""
        return ended(self.begin(output, *more, **environment))

    def begin(self, output: Path, *more: str, **environment: str | Path) -> subprocess.Popen[str]:
        """Start a run of the squares; what is asked for is written to `output`'s ledger."""
        output.mkdir(exist_ok=True)
        environment = {"squares_ledger": output / "ledger", **environment}
        return self.start("run", "-m", "painter", "-b", "squares", "-o", str(output), *more, **environment)


def ended(process: subprocess.Popen[str], seconds: float = 60) -> Done:
    """Return how a process ended, within a minute or so many seconds."""
    out, err = process.communicate(timeout=seconds)
    return Done(process.returncode, out, err)


def folder_of(output: Path) -> Path:
    """Return the one run's folder below an output folder."""
    (found,) = [path for path in output.iterdir() if path.is_dir()]
    return found


def results(output: Path) -> dict[str, str]:
    """Return the digest of each file below a folder that equal runs have equal."""
    files = sorted(path for path in output.rglob("*") if path.is_file() and path.name not in APART)
    return {str(path.relative_to(output)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def comparable(run: Path) -> dict[str, object]:
    """Return what a run's folder holds: lines without their order, nothing of batch sizes and devices."""
    apart = ("plan.json", "asked.json", "0.jsonl")
    lines = {name: {*(run / name / "0.jsonl").read_bytes().splitlines()} for name in ("predictions", "evidence")}
    return lines | {name: each for name, each in results(run).items() if not name.endswith(apart)}


def ledger(output: Path, what: str) -> list[str]:
    """Return the squares that were painted, or seen, in order; with them their seeds."""
    path = output / "ledger"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [line.partition(" ")[2] for line in lines if line.startswith(what)]


def headline(output: Path) -> float | None:
    """Return the headline number of a finished run."""
    record = json.loads((folder_of(output) / "record.json").read_bytes())
    return record["metrics"][record["headline"]]["value"]
