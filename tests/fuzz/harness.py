"""One hostile case: a command is run in this process and watched; what it must never do is a finding."""

from __future__ import annotations

import io
import json
import re
import resource
import shutil
import signal
import sys
import time
import traceback
import unicodedata
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from janus_eval.evals import screen
from janus_eval.evals.commands.cli import main
from janus_eval.evals.errors import JanusEvalError

MOST_SECONDS = 20.0
"""Of one case: they all take well under a second where nothing hangs."""
MOST_BYTES = 1 << 30
"""What one case may add to the process's memory."""
CODES = frozenset((0, 2, 3, 4, 5, 6))
_UNSAFE = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp", "Co", "Cn"))
_COMMAND = re.compile(r"^\s*::|##\[|##vso\[")
_BUG = re.compile(r"\b(TypeError|KeyError|AttributeError|IndexError|RecursionError|UnboundLocalError|AssertionError)\b")


class Hang(BaseException):
    """A case took too long."""


@dataclass(frozen=True)
class Finding:
    """What went wrong; two of the same `kind` have one cause."""

    kind: str
    told: str


@contextmanager
def limited() -> Iterator[None]:
    """Raise Hang in a case that takes too long, MemoryError in one that takes too much."""

    def late(*_: object) -> None:
        raise Hang

    before = signal.signal(signal.SIGALRM, late)
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    status = Path("/proc/self/status")
    if status.is_file():
        found = re.search(r"VmData:\s+(\d+) kB", status.read_text())
        assert found is not None
        resource.setrlimit(resource.RLIMIT_DATA, (int(found[1]) * 1024 + MOST_BYTES, hard))
    signal.setitimer(signal.ITIMER_REAL, MOST_SECONDS, 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def command(arguments: Sequence[str]) -> list[Finding]:
    """Run `janus-eval` with these arguments and return what is wrong with how it ended."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="\n") for _ in range(2))
    kept = sys.stdout, sys.stderr, signal.getsignal(signal.SIGTERM)
    sys.stdout, sys.stderr = out, err
    code: int | None = None
    failed: BaseException | None = None
    began = time.monotonic()
    try:
        with limited(), warnings.catch_warnings():
            warnings.simplefilter("always")
            code = main(list(arguments))
    except (Exception, Hang, SystemExit) as error:
        failed = error
    finally:
        sys.stdout, sys.stderr = kept[:2]
        signal.signal(signal.SIGTERM, kept[2])
    texts = []
    for stream in (out, err):
        stream.flush()
        texts.append(stream.detach().getvalue().decode("utf-8", "surrogateescape"))
    if failed is not None:
        return [_raised(failed)]
    if time.monotonic() - began > MOST_SECONDS:
        return [Finding("hang", f"{MOST_SECONDS:.0f} s")]
    return list(_printed(code, *texts, form=_form(arguments)))


def reader(work: Callable[[], object]) -> list[Finding]:
    """Call a reader and return what is wrong with how it ended."""
    try:
        with limited(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            work()
    except JanusEvalError as error:
        return list(_line(screen.line(" ".join(str(error).split()))))
    except (Exception, Hang, SystemExit) as error:
        return [_raised(error)]
    return []


def _form(arguments: Sequence[str]) -> str:
    named = [after for flag, after in pairwise(arguments) if flag == "-f"]
    return named[0] if named else "json" if "--json" in arguments else "text"


def _raised(error: BaseException) -> Finding:
    frames = traceback.extract_tb(error.__traceback__)
    ours = next((f for f in reversed(frames) if "fuzz" not in f.filename and "site-packages" not in f.filename), None)
    place = f"{Path(ours.filename).name}:{ours.lineno} {ours.name}" if ours else "?"
    told = "".join(traceback.format_exception(type(error), error, error.__traceback__, limit=-12))
    return Finding(f"{type(error).__name__} at {place}", told[-3000:])


def _printed(code: int | None, out: str, err: str, *, form: str) -> Iterator[Finding]:
    if code not in CODES and not (code == 1 and "janus-eval: error: " in err):
        yield Finding(f"exit code {code}", err[-500:])
    if "Traceback" in out + err:
        last = next((line for line in reversed(err.splitlines()) if not line.startswith("janus-eval:")), "?")
        yield Finding(f"traceback {re.sub('[0-9]+', 'N', last[:60])}", err[-3000:])
    if code not in (0, 3, 5) and not re.search(r"^janus-eval: error: \S", err, re.MULTILINE):
        yield Finding(f"no error told under code {code}", (out + err)[-500:])
    if err.count("janus-eval: error: ") > 3:
        yield Finding("many errors", err[-500:])
    for line in err.split("\n"):
        yield from _line(line)
    for line in out.split("\n"):
        yield from _line(line, most=1 << 22)
    if form == "json" and code in (0, 3, 5) and out:
        try:
            json.loads(out, parse_constant=_refused)
        except ValueError as error:
            yield Finding("no JSON", f"{error}: {out[:300]}")


def _refused(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")


def _line(line: str, most: int = 6000) -> Iterator[Finding]:
    if bad := next((c for c in line if unicodedata.category(c) in _UNSAFE), None):
        yield Finding(f"raw {bad!r} printed", line[:300])
    if _COMMAND.search(line):
        yield Finding("a command to CI printed", line[:300])
    if len(line) > most:
        yield Finding("a line without end", f"{len(line)} characters: {line[:300]}")


def errors_of(folder: Path) -> Iterator[Finding]:
    """Yield the bugs that a run recorded as failures of samples."""
    for path in folder.glob("**/errors.jsonl"):
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            if found := _BUG.search(line):
                yield Finding(f"{found[0]} recorded as a sample's", line[:500])


def clear(folder: Path) -> None:
    """Empty a folder, links and pipes in it too."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
