"""`janus-eval claims`: published claims as data, each checked by a small predicate over a table of numbers."""

from __future__ import annotations

import difflib
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from ..evals.errors import UsageError
from ..evals.records import find_runs, read_record
from ..evals.screen import clean
from ..evals.types import RunRecord
from . import reported as published
from .fit import fold
from .render import render
from .reported import Reported
from .standing import marks
from .table import Cell, Format, Group, Head, Row, Table
from .text import some

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Verdict = Literal["holds", "does not hold", "not enough data"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)


@dataclass(frozen=True, slots=True)
class Entry:
    """One number of a board: the value that ranks, as printed, and where it is from."""

    value: float
    text: str
    source: str


Board = Mapping[str, Mapping[str, Entry]]
"""Numbers by column ("geneval.overall") and model."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim as the file says it; `settings` are its predicate's own entries."""

    id: str
    text: str
    source: str
    check: str
    model: str
    columns: tuple[str, ...]
    settings: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Finding:
    """A claim's verdict and the numbers that it rests on."""

    claim: Claim
    verdict: Verdict
    numbers: tuple[str, ...]
    sources: tuple[str, ...]


# -- boards -------------------------------------------------------------------------------------------


_APART = ("Re-measured by others", "Later papers")


def reported_board(numbers: Iterable[Reported]) -> dict[str, dict[str, Entry]]:
    """Return the published numbers as a board, without what others measured again or published later: the claims are
    of their day."""
    board: dict[str, dict[str, Entry]] = {}
    rows = [each for each in numbers if each.value is not None and each.group not in _APART]
    sizes: dict[str, set[str]] = {}
    for each in rows:
        sizes.setdefault(each.model, set()).add(each.params)
    for each in rows:
        name = each.model if len(sizes[each.model] - {""}) < 2 else f"{each.model} {each.params}"
        if each.value is not None:
            entry = Entry(each.value, each.printed, each.citation)
            board.setdefault(f"{each.suite}.{each.column}", {})[name] = entry
    return board


def measured_board(records: Iterable[RunRecord]) -> tuple[dict[str, dict[str, Entry]], list[str]]:
    """Return the runs' numbers as a board, and the runs left out with the reason.

    Raises UsageError where two runs would stand in one place.
    """
    board: dict[str, dict[str, Entry]] = {}
    out: list[str] = []
    for record in records:
        name = published.published_name(record.spec.model)
        if flags := marks(record):
            out.append(f"{record.spec.model} on {record.spec.benchmark} ({', '.join(flags)})")
            continue
        for layout in published.layouts():
            for column in layout.columns:
                key = column.shown(record)
                value = None if key is None else record.metrics[key].value
                if value is None:
                    continue
                if key not in column.metrics:
                    out.append(f"{record.spec.model} on {record.spec.benchmark} (scored otherwise: {key})")
                    continue
                place = board.setdefault(f"{layout.key}.{column.key}", {})
                if name in place:
                    raise UsageError(f"two runs of {record.spec.model} on {record.spec.benchmark}: name one of them")
                text = f"{value:.{column.decimals}f}"
                place[name] = Entry(float(text), text, f"run #{record.spec.digest}")
    return board, out


# -- predicates ---------------------------------------------------------------------------------------
# Each takes a claim and a board that has every number it needs and returns (holds, numbers in words, one a line).


def _needs_one(claim: Claim, board: Board) -> list[str]:
    return [f"{claim.model} in {c}" for c in claim.columns if claim.model not in board.get(c, {})] + [
        f"a second model in {c}" for c in claim.columns if len(board.get(c, {})) < 2
    ]


def _needs_base(claim: Claim, board: Board) -> list[str]:
    wanted = (claim.model, claim.settings["base"])
    return [f"{model} in {c}" for c in claim.columns for model in wanted if model not in board.get(c, {})]


def _needs_others(claim: Claim, board: Board) -> list[str]:
    wanted = (claim.model, *claim.settings["others"])
    return [f"{model} in {c}" for c in claim.columns for model in wanted if model not in board.get(c, {})]


def rank(place: Mapping[str, Entry], model: str) -> tuple[int, list[str]]:
    """Return the model's rank, 1 for the highest, and those that share it."""
    mine = place[model].value
    above = sum(entry.value > mine for entry in place.values())
    return above + 1, [name for name, entry in place.items() if entry.value == mine and name != model]


def _ranked(claim: Claim, board: Board) -> tuple[list[int], list[str]]:
    ranks: list[int] = []
    said: list[str] = []
    for column in claim.columns:
        place = board[column]
        found, ties = rank(place, claim.model)
        ranks.append(found)
        text = f"{column} {place[claim.model].text}: {_ordinal(found)} of {len(place)}"
        if ties:
            text += f", tied with {', '.join(ties)}"
        if found > 1:
            best = max(place, key=lambda name: place[name].value)
            text += f", behind {best} {place[best].text}"
        said.append(text)
    return ranks, said


def _first(claim: Claim, board: Board) -> tuple[bool, list[str]]:
    ranks, said = _ranked(claim, board)
    return all(each == claim.settings.get("rank", 1) for each in ranks), said


def _ranks(claim: Claim, board: Board) -> tuple[bool, list[str]]:
    ranks, said = _ranked(claim, board)
    firsts, seconds = ranks.count(1), ranks.count(2)
    holds = firsts == claim.settings["first"] and seconds == len(ranks) - firsts
    return holds, [f"first in {firsts}, second in {seconds} of {len(ranks)}", *said]


def _beats(claim: Claim, board: Board) -> tuple[bool, list[str]]:
    spared: Sequence[str] = claim.settings.get("except", ())
    holds = True
    said: list[str] = []
    for column in claim.columns:
        mine = board[column][claim.model]
        for other in claim.settings["others"]:
            theirs = board[column][other]
            above = mine.value > theirs.value
            holds &= above != (column in spared)
            sign = ">" if above else "=" if mine.value == theirs.value else "<"
            said.append(f"{column} {mine.text} {sign} {theirs.text} ({other})")
    return holds, said


def _gains(claim: Claim, board: Board) -> dict[str, float]:
    base = claim.settings["base"]
    return {c: board[c][claim.model].value / board[c][base].value - 1 for c in claim.columns}


def _gain(claim: Claim, board: Board) -> tuple[bool, list[str]]:
    low, high, about = (float(claim.settings.get(key, 0.0)) for key in ("low", "high", "about"))
    gains = _gains(claim, board)
    within = [c for c, gain in gains.items() if low - about <= gain <= high + about]
    listed = [f"{c} {gain:+.1%}" for c, gain in gains.items()]
    if len(within) == len(gains):
        return True, listed
    return False, [f"only in {len(within)} of {len(gains)}: {', '.join(within) or 'none'}", *listed]


def _up_to(claim: Claim, board: Board) -> tuple[bool, list[str]]:
    gains = _gains(claim, board)
    top = max(gains, key=lambda column: gains[column])
    listed = [f"{c} {gain:+.1%}" for c, gain in gains.items()]
    holds = abs(gains[top] - claim.settings["high"]) <= claim.settings.get("about", 0.0)
    return holds, [f"largest in {top}, {gains[top]:+.1%}", *listed]


def _average(claim: Claim, board: Board) -> tuple[bool, list[str]]:
    divide: Mapping[str, float] = claim.settings.get("divide", {})
    whole = [name for name in board[claim.columns[0]] if all(name in board[c] for c in claim.columns)]
    means = {
        name: sum(board[c][name].value / divide.get(c, 1) for c in claim.columns) / len(claim.columns) for name in whole
    }
    order = sorted(means, key=lambda name: -means[name])
    listed = ", ".join(f"{name} {means[name]:.2f}" for name in order)
    mine = means.get(claim.model, 0.0)
    return all(mine >= each for each in means.values()), [
        f"of {len(whole)} models with all {len(claim.columns)}: {listed}"
    ]


Predicate = Callable[[Claim, Board], "tuple[bool, list[str]]"]
Needs = Callable[[Claim, Board], "list[str]"]
PREDICATES: Mapping[str, tuple[Predicate, Needs, frozenset[str], frozenset[str]]] = {
    "first": (_first, _needs_one, frozenset(), frozenset(("rank",))),
    "ranks": (_ranks, _needs_one, frozenset(("first",)), frozenset()),
    "beats": (_beats, _needs_others, frozenset(("others",)), frozenset(("except",))),
    "gain": (_gain, _needs_base, frozenset(("base", "low", "high")), frozenset(("about",))),
    "up_to": (_up_to, _needs_base, frozenset(("base", "high")), frozenset(("about",))),
    "average": (_average, _needs_one, frozenset(), frozenset(("divide",))),
}
"""Each predicate: the check, the numbers it lacks, the entries it needs, the entries it may have."""


def _ordinal(number: int) -> str:
    endings = {1: "st", 2: "nd", 3: "rd"}
    ending = "th" if number % 100 in (11, 12, 13) else endings.get(number % 10, "th")
    return f"{number}{ending}"


# -- claims -------------------------------------------------------------------------------------------


def read(path: Path) -> list[Claim]:
    """Return the claims of a file. Raises UsageError naming the claim and the entry that is wrong."""
    try:
        rows = tomllib.loads(path.read_text(encoding="utf-8")).get("claim", [])
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path} cannot be read as TOML: {error}") from error
    if not isinstance(rows, list):
        raise UsageError(f"{path}: claims are written [[claim]]")
    return [_claim(f"{path} claim {number}", row) for number, row in enumerate(rows, 1)]


def _claim(where: str, row: Any) -> Claim:
    common = {"id": str, "text": str, "source": str, "check": str, "model": str, "columns": list}
    for key, kind in common.items():
        if not isinstance(row.get(key), kind) or not row[key]:
            raise UsageError(f"{where}: {key} is missing or no {'list' if kind is list else 'text'}")
    if row["check"] not in PREDICATES:
        near = difflib.get_close_matches(row["check"], PREDICATES, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(PREDICATES)}"
        raise UsageError(f"{where}: no check {row['check']!r}; {hint}")
    _, _, needed, allowed = PREDICATES[row["check"]]
    settings = {key: value for key, value in row.items() if key not in common}
    for key in needed - set(settings):
        raise UsageError(f"{where}: the check {row['check']!r} needs {key!r}")
    for key in set(settings) - needed - allowed:
        raise UsageError(f"{where}: the check {row['check']!r} knows no {key!r}")
    known = {f"{layout.key}.{column.key}" for layout in published.layouts() for column in layout.columns}
    for column in (*row["columns"], *settings.get("except", ()), *settings.get("divide", ())):
        if column not in known:
            near = difflib.get_close_matches(str(column), known, n=1)
            raise UsageError(f"{where}: no column {column!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
    columns = tuple(row["columns"])
    return Claim(row["id"], row["text"], row["source"], row["check"], row["model"], columns, settings)


def check(claim: Claim, board: Board) -> Finding:
    """Return a claim's verdict over a board."""
    predicate, needs, _, _ = PREDICATES[claim.check]
    lacking = needs(claim, board)
    if lacking:
        return Finding(claim, "not enough data", (f"no number for {some(lacking, 3)}",), ())
    holds, numbers = predicate(claim, board)
    sources = dict.fromkeys(board[c][claim.model].source for c in claim.columns)
    return Finding(claim, "holds" if holds else "does not hold", tuple(numbers), tuple(sources))


def claims(
    runs: Sequence[Path] = (),
    *,
    own: Iterable[Path] = (),
    more: Iterable[Path] = (),
    form: Format = "text",
    width: int | None = None,
) -> tuple[str, list[Finding]]:
    """Return what `janus-eval claims` prints, and the findings.

    Over the published numbers (and the user's files `own`), or over measured runs where `runs`
    are given. `more` are files of further claims. Raises UsageError.
    """
    notes: list[str] = []
    if runs:
        board, out = measured_board(read_record(each) for each in find_runs(runs))
        title = "Claims, over measured runs"
        notes += [f"left out: {each}." for each in out]
    else:
        board = reported_board(published.load(own))
        title = "Claims, over the published numbers"
        notes += [n for layout in published.layouts() for n in layout.notes if not n.startswith("†")]
    wanted = [claim for path in (Path(__file__).parent / "claims.toml", *more) for claim in read(path)]
    findings = [check(claim, board) for claim in wanted]
    if form == "text":
        return _text(title, findings, notes, width or 114), findings
    return render([_table(title, findings, notes)], form), findings


def _text(title: str, findings: Sequence[Finding], notes: Sequence[str], width: int) -> str:
    """Return the findings one below the other: their numbers are too long for a column."""
    lines = [title]
    blank = " " * 16
    for each in findings:
        first, *more = fold(clean(each.claim.text), width - len(blank))
        lines += ["", f"{each.verdict:<16}{first}", *(blank + line for line in more)]
        for part in (*each.numbers, *(f"source: {source}" for source in _sources(each))):
            lines += [blank + line for line in fold(clean(part), width - len(blank), "  ")]
    counts = Counter(each.verdict for each in findings)
    lines += ["", ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS if counts[verdict])]
    return "\n".join([*lines, *(f"  {line}" for note in notes for line in fold(clean(note), width - 2, "  "))])


def _sources(finding: Finding) -> list[str]:
    return list(dict.fromkeys((finding.claim.source, *finding.sources)))


def _table(title: str, findings: Sequence[Finding], notes: Sequence[str]) -> Table:
    heads = (
        Head("claim", "Claim", number=False),
        Head("verdict", "Verdict", number=False),
        Head("numbers", "Numbers", number=False),
        Head("source", "Source", number=False),
    )
    rows = tuple(
        Row(
            (
                Cell(each.claim.text),
                Cell(each.verdict),
                Cell("; ".join(each.numbers)),
                Cell("; ".join(_sources(each))),
            )
        )
        for each in findings
    )
    return Table("claims", title, heads, (Group("", rows),), tuple(notes))
