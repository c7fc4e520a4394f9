"""The samples of a run that were not fully right, by what was wrong with them: one line a sample."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path

from ..errors import JanusEvalError
from ..records import iter_scores
from ..remade import suite_of
from ..types import Json, Sample, Score
from .sample import gold


def lines(folder: Path, width: int) -> Iterator[str]:
    """Yield a line a reason, the most frequent first, and below it a line a sample: outputs, readings, question."""
    groups: dict[str, dict[str, list[Score]]] = {}
    failing = [each for each in iter_scores(folder) if _fails(each)]
    if not failing:
        yield "every sample was correct"
        return
    every = {each.protocol for each in iter_scores(folder) if each.protocol}
    for (sample, _), rows in groupby(failing, key=lambda each: (each.sample_id, each.index)):
        for why, mine in _by_reason(list(rows), every).items():
            groups.setdefault(why, {}).setdefault(sample, []).extend(mine)
    samples, doubt = _samples(folder)
    for why, found in sorted(groups.items(), key=lambda pair: -len(pair[1])):
        yield f"{why} ({len(found)} {'sample' if len(found) == 1 else 'samples'})"
        names = {sample: _name(sample, rows) for sample, rows in found.items()}
        widest = min(32, max(map(len, names.values())))
        for sample, rows in found.items():
            yield _cut(f"  {names[sample]:<{widest}}  {_told(rows, samples.get(sample))}".rstrip(), width)
    if doubt:
        yield f"questions are not shown: {doubt}"
    yield f"one of them: janus-eval show {folder} --id SAMPLE"


def _fails(score: Score) -> bool:
    return score.value is None or score.value < 1


def _by_reason(rows: Sequence[Score], every: Iterable[str]) -> dict[str, list[Score]]:
    """Return one output's failing scores by what is wrong; protocols that give no reason share one."""
    found: dict[str, list[Score]] = {}
    silent = [each for each in rows if not each.reason]
    for each in rows:
        if each.reason:
            found.setdefault(each.reason, []).append(each)
    if silent:
        names = {each.protocol for each in silent}
        word = "wrong" if all(each.value == 0 for each in silent) else "not fully right"
        which = "every protocol" if names == set(every) and len(names) > 1 else ", ".join(sorted(names))
        found[f"{word} under {which}"] = silent
    return found


def _name(sample: str, rows: Sequence[Score]) -> str:
    """Return a sample's id with the outputs that are meant, where there are several."""
    indices = sorted({each.index for each in rows})
    return sample if indices == [0] else f"{sample}/{','.join(map(str, indices))}"


def _told(rows: Sequence[Score], sample: Sample | None) -> str:
    """Return what was read, what is right, and the question's first line."""
    read = sorted({str(each.answer) for each in rows if isinstance(each.answer, str | int | float)})
    parts = [f"read {' or '.join(read)}"] if read else []
    if sample is None:
        return "".join(parts)
    right: Json = gold(sample)
    parts += [f"gold {right}"] if isinstance(right, str | int | float) and read else []
    question = next((each for each in sample.prompt.split("\n") if each.strip()), "")
    return "  ".join([", ".join(parts), question]) if parts else question


def _samples(folder: Path) -> tuple[Mapping[str, Sample], str]:
    try:
        return {each.id: each for each in suite_of(folder).samples()}, ""
    except JanusEvalError as error:
        return {}, str(error)


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "\N{HORIZONTAL ELLIPSIS}"
