"""Suites whose unreadable answers a judge may match with an option: MMBench and MMMU."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ...evals.types import Sample, Score, Scored
from ..reading.elsewhere import Answers, elsewhere, judgeable
from ..reading.suite import TableBenchmark
from .kept import ask, judged, judged_by


def matched_rescore(
    prepare: Callable[[Answers], Answers] = lambda answers: answers,
    settle: Callable[[Sequence[Score]], Sequence[Score]] = lambda scores: scores,
    told: Callable[[Answers, Scored], Scored] = lambda answers, scored: scored,
    gaps: Callable[[Answers], Sequence[Sample]] = lambda answers: (),
) -> Callable[..., Scored]:
    """Return the `rescored` of such a suite: `prepare` may complete the samples, `settle` what the lines say, `told`
    what is said of the whole; `gaps` are rows that the others show to be missing."""

    @judged
    def rescored(
        suite: TableBenchmark, *, predictions: Path | None = None, data: str | Path | None = None, **options: Any
    ) -> Scored:
        """Score answers made elsewhere; with `judge` the protocol that matches them too."""
        found = prepare(suite.answers(predictions, data))
        evidence = None
        lacking = gaps(found) if found.known is None else ()
        if options.get("judge") is not None:
            found, _ = judgeable(found)
            strip = suite.reasoning == "strip"
            evidence = ask(suite.suite.judge, found.samples, found.rows, options, memory=found.file, strip=strip)
        scored = elsewhere(suite, found, evidence=evidence, settle=settle, gaps=lacking)
        return told(found, judged_by(scored, evidence or ()))

    return rescored
