"""The runs of a site: finished ones, and those that are under way or were cut off, which have no record yet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...evals.errors import UsageError
from ...evals.files import RECORDS, read_json
from ...evals.records import iter_scores, read_record
from ...evals.stored import read_lines
from ...evals.types import RunRecord, RunSpec, Score

RUNNING = "under way"
"""The state of a run without a record: it is drawn or scored just now, or was killed."""


@dataclass(frozen=True, slots=True)
class Run:
    """A run of the site. `key` names it in addresses: hex digits, and a number where two runs have the same."""

    key: str
    folder: Path
    record: RunRecord

    @property
    def label(self) -> str:
        """The model as a reader tells it apart: its name, its tag, its step."""
        spec = self.record.spec
        parts = [spec.model, spec.tag, "" if spec.step is None else f"step {spec.step}"]
        return ", ".join(each for each in parts if each)


def read(paths: Iterable[Path]) -> tuple[list[Run], list[str]]:
    """Return the runs in `paths` (run folders or folders that hold many), and a line for each that is damaged.

    Raises UsageError where a path holds no run, or no run at all can be read.
    """
    found: list[Run] = []
    damaged: list[str] = []
    taken: dict[str, int] = {}
    for folder in dict.fromkeys(each for path in paths for each in _folders(path)):
        try:
            record = _record(folder)
        except UsageError as error:
            damaged.append(str(error))
            continue
        key = record.spec.digest
        taken[key] = taken.get(key, 0) + 1
        found.append(Run(key if taken[key] == 1 else f"{key}-{taken[key]}", folder, record))
    if not found:
        raise UsageError(damaged[0] if damaged else "no run was given; name run folders or an output folder")
    return found, damaged


def stamp(paths: Iterable[Path]) -> tuple[tuple[str, int, int], ...]:
    """Return names, sizes and times of what a site is made of: it differs where the site would."""
    found: list[tuple[str, int, int]] = []
    for path in paths:
        for pattern in ("*.json*", "*/*.json*", "*/*/*.jsonl"):
            for each in sorted(path.glob(pattern)):
                try:
                    status = each.stat()
                except OSError:  # replaced just now
                    continue
                found.append((str(each), status.st_size, status.st_mtime_ns))
    return tuple(found)


def scores(run: Run) -> Sequence[Score]:
    """Return the scores of a run; none where it has no record. Raises UsageError where they are damaged."""
    return list(iter_scores(run.folder)) if (run.folder / "scores.jsonl").is_file() else []


def _folders(path: Path) -> list[Path]:
    if any((path / name).is_file() for name in (*RECORDS, "spec.json")):
        return [path]
    inside = {each.parent for name in (*RECORDS, "spec.json") for each in path.glob(f"*/{name}")}
    if not inside:
        raise UsageError(f"{path}: no run here (no record.json or spec.json in it or one level below)")
    return sorted(inside)


def _record(folder: Path) -> RunRecord:
    if any((folder / name).is_file() for name in RECORDS):
        return read_record(folder)
    path = folder / "spec.json"
    try:
        spec = RunSpec.from_json(read_json(path))
        texts: list[object] = [spec.model, spec.benchmark, spec.version]
        if not all(isinstance(each, str) for each in texts) or not all(map(_is_card, _cards(spec))):
            raise TypeError("a name is no text, or a card is none")
        counts = {"predicted": sum(1 for _ in read_lines(folder, "predictions"))}
        return RunRecord(spec, "", {}, counts, complete=False, state=f"{RUNNING}, {counts['predicted']} made")
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UsageError(f"{path} is damaged: {error!r}; remove it to take up the run again") from error


def _cards(spec: RunSpec) -> Iterator[object]:
    yield from (spec.model_card, spec.benchmark_card, spec.observer_card)


def _is_card(card: object) -> bool:
    return isinstance(card, Mapping)
