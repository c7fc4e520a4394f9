"""`janus-eval list runs`, `rm` and `gc`: the stored runs with their state, size and age, and taking some away."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import socket
import stat
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from .. import screen
from ..errors import EnvironmentProblem, JanusEvalError, Locked, UsageError, hint
from ..files import RECORDS, check_inside, dead_drafts, disk, lock, remove
from . import flags
from .overview import Add

STATES = ("finished", "incomplete", "predicted", "observed", "interrupted", "unfinished", "running", "damaged")
"""Whole; without all verdicts; stopped behind a stage; stopped by a signal; without any record; held by a process;
with a record or a spec that cannot be read."""


@dataclass(frozen=True, slots=True)
class Shelved:
    """A stored run: what it is of, and what there is of it."""

    folder: Path
    title: str
    name: str
    state: str
    size: int
    changed: float


def add(command: Add) -> None:
    """Add the commands and their flags."""
    take = command("rm", rm)
    take.add_argument("runs", nargs="+", type=flags.path, metavar="RUN", help="run folders")
    prune = command("gc", gc)
    prune.add_argument("folder", nargs="?", type=flags.path, default=Path("runs"), help="default: runs")
    prune.add_argument("--state", metavar="A,B", help=f"runs in these states: {', '.join(STATES)}")
    prune.add_argument("--older", metavar="AGE", help="runs not changed for so long: 30d, 12h, 90m")
    for each in (take, prune):
        each.add_argument("-n", "--dry-run", action="store_true", help="only say what would go")
        each.add_argument("-y", "--yes", action="store_true", help="do not ask")


def listing(folder: Path, *, as_json: bool) -> int:
    """Print the runs of a folder, the last changed first."""
    found = shelved(folder)
    if as_json:
        rows = [
            {"run": str(r.folder), "title": r.title, "name": r.name, "state": r.state, "bytes": r.size}
            | {"seconds_ago": round(time.time() - r.changed)}
            for r in found
        ]
        screen.machine(screen.as_json(rows, indent=2))
    else:
        screen.out(_table(found) if found else [f"no run in {folder}"])
    return 0


def rm(args: argparse.Namespace) -> int:
    """Remove the named runs."""
    return _remove([_own(each) for each in dict.fromkeys(args.runs)], args)


def gc(args: argparse.Namespace) -> int:
    """Remove the runs of a folder that are of the given states and age."""
    if args.state is None and args.older is None:
        raise UsageError("gc: say which runs may go: --state STATE, --older AGE, or both")
    states = STATES if args.state is None else [each.strip() for each in args.state.split(",") if each.strip()]
    for each in states:
        if each not in STATES:
            raise UsageError(f"--state {each!r}: expected {', '.join(STATES)}{hint(each, STATES)}")
    before = time.time() - (0 if args.older is None else _seconds(args.older))
    found = [
        each
        for each in shelved(args.folder)
        if each.state in states and each.changed <= before and each.state != "running"
    ]
    drafts = dead_drafts(args.folder)
    if not found and not drafts:
        screen.out([f"nothing to remove in {args.folder}"])
        return 0
    return _remove(found, args, drafts)


def _seconds(text: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhdw])", text.strip())
    if found is None:
        raise UsageError(f"--older {text!r}: expected a number with s, m, h, d or w: 30d, 12h")
    return float(found[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}[found[2]]


# -- what there is ------------------------------------------------------------------------------------


def shelved(folder: Path) -> list[Shelved]:
    """Return the runs in a folder, or the one that it is, the last changed first; links are passed over.

    Raises UsageError where there is no such folder.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder")
    with disk(folder):
        inside = [folder] if is_run(folder) else sorted(each for each in folder.iterdir() if is_run(each))
        return sorted(map(_look, inside), key=lambda each: (-each.changed, str(each.folder)))


def is_run(folder: Path) -> bool:
    """Say whether a folder, which is no link, holds a spec of ours that is none either."""
    try:
        inner = (folder / "spec.json").lstat().st_mode
        return stat.S_ISDIR(folder.lstat().st_mode) and stat.S_ISREG(inner)
    except OSError:
        return False


def _look(folder: Path) -> Shelved:
    from ..records import name_of
    from ..stored import read_spec  # here, so that the help need not load what reads runs

    try:
        spec = read_spec(folder)
        title, name, state = f"{spec.model} on {spec.benchmark}", name_of(folder), _state(folder)
    except JanusEvalError:
        title, name, state = "?", "", "damaged"
    sizes, times = [0], [folder.lstat().st_mtime]
    for entry in _entries(folder):
        sizes.append(entry.st_size if stat.S_ISREG(entry.st_mode) else 0)
        times.append(entry.st_mtime)
    return Shelved(folder, title, name, state, sum(sizes), max(times))


def _state(folder: Path) -> str:
    from ..records import read_record

    if _held(folder):
        return "running"
    if not any((folder / name).is_file() for name in RECORDS):
        return "unfinished"
    record = read_record(folder)
    return record.state if record.state != "finished" else "finished" if record.complete else "incomplete"


def _held(folder: Path) -> bool:
    """Say whether a process holds a run, without standing in the way of one that is about to."""
    import fcntl

    try:
        handle = os.open(folder / ".lock", os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode) or _is_gone(os.read(handle, 200)):
            return False
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # a file system without locks: the removal itself will tell
        return False
    else:
        return False
    finally:
        os.close(handle)


def _is_gone(holder: bytes) -> bool:
    """Say whether the process that a lock names was one of this machine and has ended."""
    found = re.match(rb"pid (\d+) on (\S+) since", holder)
    if found is None or found[2].decode(errors="replace") != socket.gethostname():
        return not holder
    try:
        os.kill(int(found[1]), 0)
    except (ProcessLookupError, OverflowError):
        return True
    except PermissionError:
        pass
    return False


def _entries(folder: Path) -> Iterator[os.stat_result]:
    """Yield what lstat says of everything below a folder; links are not followed."""
    with os.scandir(folder) as found:
        for each in found:
            try:
                yield each.stat(follow_symlinks=False)
                if each.is_dir(follow_symlinks=False):
                    yield from _entries(Path(each.path))
            except FileNotFoundError:  # a run that is under way
                continue


def _table(runs: Sequence[Shelved]) -> list[str]:
    rows = [("RUN", "STATE", "SIZE", "AGE", "")]
    rows += [(str(r.folder), r.state, size(r.size), age(time.time() - r.changed), r.name) for r in runs]
    wide = [max(len(screen.clean(row[i])) for row in rows) for i in range(4)]
    return [
        f"{screen.clean(run):<{wide[0]}}  {state:<{wide[1]}}  {big:>{wide[2]}}  {old:>{wide[3]}}  {name}".rstrip()
        for run, state, big, old, name in rows
    ]


def size(count: int) -> str:
    """Return bytes in words: 1.2 GB."""
    for unit, each in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= each:
            return f"{count / each:,.1f}".removesuffix(".0") + f" {unit}"
    return f"{count} B"


def age(seconds: float) -> str:
    """Return an age in words: 3 days."""
    for unit, each in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= each:
            count = int(seconds // each)
            return f"{count} {unit}{'s' if count > 1 else ''}"
    return "just now"


# -- taking away --------------------------------------------------------------------------------------


def _own(folder: Path) -> Shelved:
    """Return a run that may be removed. Raises UsageError for anything else."""
    if folder.is_symlink():
        raise UsageError(f"{folder} is a link: name the run itself")
    if not is_run(folder):
        raise UsageError(f"{folder} is no run: it has no spec.json; nothing is removed")
    return _look(folder)


def _remove(found: Sequence[Shelved], args: argparse.Namespace, drafts: Sequence[Path] = ()) -> int:
    """Remove runs, and what killed processes left of what they were writing."""
    for each in found:
        _check(each)
    parts = [f"{_many(len(found), 'run')}, {size(sum(each.size for each in found))}"] if found or not drafts else []
    parts += [f"{_many(len(drafts), 'draft')} of killed processes"] if drafts else []
    what = ", and ".join(parts)
    if args.dry_run or not args.yes:
        screen.out([*(_table(found) if found else ()), *map(str, drafts)])
    if args.dry_run:
        screen.out([f"would remove {what}"])
        return 0
    if not args.yes and not _agreed(f"remove {what}? [y/N] "):
        screen.out(["nothing removed"])
        return 0
    for each in found:
        _take_away(each.folder)
    for each in drafts:
        remove(each)
    screen.out([f"removed {what}"])
    return 0


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _check(run: Shelved) -> None:
    """Raise where a run must stay: a process holds it, others lie in it, or it is not as runs are."""
    if run.state == "running":
        raise Locked(f"{run.folder} is held by a process: nothing is removed")
    check_inside(run.folder, "predictions", "evidence", "packs")
    inner = next((each.parent for each in run.folder.glob("*/spec.json")), None)
    if inner is not None:
        raise UsageError(f"{run.folder} holds another run, {inner.name}: nothing is removed")
    if run.state == "damaged":
        raw = (run.folder / "spec.json").read_bytes()[: 1 << 20]
        if b'"benchmark_card"' not in raw or b'"model_card"' not in raw:
            raise UsageError(f"{run.folder}: its spec.json is none of ours; nothing is removed")


def _agreed(question: str) -> bool:
    if not sys.stdin.isatty():
        raise UsageError("nobody can be asked here: give --yes")
    sys.stdout.write(question)
    sys.stdout.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _take_away(folder: Path) -> None:
    """Remove a run: what calls it whole first, what calls it a run last: a kill leaves an unfinished one."""
    try:
        with lock(folder / ".lock"):
            for name in RECORDS:
                (folder / name).unlink(missing_ok=True)
            for each in sorted(folder.iterdir()):
                if each.name in ("spec.json", ".lock"):
                    continue
                if each.is_dir() and not each.is_symlink():
                    shutil.rmtree(each)
                else:
                    each.unlink()
            for name in (".lock", "spec.json"):
                (folder / name).unlink(missing_ok=True)
            folder.rmdir()
    except OSError as error:
        raise EnvironmentProblem(f"{folder} cannot be removed: {error.strerror}: {error.filename}") from error
