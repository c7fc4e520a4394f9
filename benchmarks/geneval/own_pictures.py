"""Self-consistency: a model answers GenEval's questions about its own pictures, held against the detector's verdict."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Final

from ...evals import stats
from ...evals.errors import UsageError
from ...evals.files import RECORDS
from ...evals.stats import Estimate
from ...evals.types import Evidence, Json, Kind, Metric, Picture, Prediction, Sample, Score
from ..reading.answers import yes_no_vlmevalkit_2026
from ..reading.choices import SHORT_LINE
from ..reading.rows import Row
from ..reading.scores import grouped, plain
from ..reading.suite import own_name
from ..reading.tables import read_rows
from . import evidence as stored
from . import metadata, prompts, suite

PROTOCOL: Final = "self"
_NUMBERS: Final = {2: "two", 3: "three", 4: "four"}
_FORM: Final = "\n{}" + SHORT_LINE


class SelfConsistency:
    """Asks a model about pictures that it drew for GenEval (--data RUN, a GenEval run's folder, or an official
    results.jsonl): a yes/no question for each clause of a prompt. A picture is right in the model's own eyes where it
    says yes to all. Metrics hold that against the detector's verdict: `agreement` and Cohen's `kappa`, `yes` and
    `detector` (the shares that either calls right), `yes_if_right`, `yes_if_wrong`, and each task's agreement.
    """

    kind: Kind = "text"
    outputs = 1
    observer = None
    headline = f"{PROTOCOL}/kappa"
    title = "Self-consistency"
    decimals = 2
    inert = ("data",)

    def __init__(self, *, name: str = "", data: str = "") -> None:
        self.name = own_name("self_consistency", name)
        self._data = data

    @property
    def card(self) -> Mapping[str, Json]:
        pictures = {each.target["picture"] for each in self._samples}
        return {"questions": len(self._samples), "pictures": len(pictures)}

    def samples(self) -> Sequence[Sample]:
        """Return a sample a question; `target` holds its picture's name and the detector's verdict."""
        return self._samples

    @cached_property
    def _samples(self) -> tuple[Sample, ...]:
        if not self._data:
            raise UsageError(
                "self_consistency asks about pictures that were drawn before: give a finished GenEval run's folder, or "
                "an official results.jsonl, with --data"
            )
        path = Path(self._data).expanduser()
        path = path / "results.jsonl" if path.is_dir() else path
        if not path.is_file():
            raise UsageError(f"{path}: no such file; a finished GenEval run has it")
        if any((path.parent / name).is_file() for name in (*RECORDS, "spec.json")):
            stored.must_lie_as_made(path.parent, suite.load("official", prompts.OFFICIAL_SEED, prompts.OFFICIAL_SIZE))
        return tuple(sample for row in read_rows(path) for sample in _asked(row))

    def score(self, sample: Sample, prediction: Prediction, evidence: Evidence | None) -> Sequence[Score]:
        """Return what the model says to the question: 1 for yes, 0 for no, no verdict for neither."""
        del evidence
        said = yes_no_vlmevalkit_2026(prediction.text or "")
        value = {"Yes": 1.0, "No": 0.0}.get(said)
        return [
            Score(
                sample.id,
                prediction.index,
                PROTOCOL,
                value,
                answer=said,
                reason="" if value is not None else "no answer: neither yes nor no",
                unparsed=value is None,
                tags=sample.tags,
                cluster=sample.cluster,
                details={"correct": sample.target["correct"]},
            )
        ]

    def aggregate(self, scores: Sequence[Score]) -> Mapping[str, Metric]:
        return stats.metrics(self.estimates(scores))

    def estimates(self, scores: Sequence[Score]) -> Mapping[str, Estimate]:
        """Return what the metrics are made of, over pictures; one of whose questions lacks an answer is left out."""
        pictures = grouped(scores, lambda each: each.tags["picture"])
        whole = [each for each in pictures.values() if all(one.value is not None for one in each)]
        # (the model's own verdict, the detector's, what the pictures share, the task)
        rows = [
            (float(all(one.value for one in each)), float(each[0].details["correct"]), stats.cluster(each[0]), each[0])
            for each in whole
        ]
        lost = stats.lost(scores)

        def mean(values: Sequence[tuple[float, str]]) -> Estimate:
            return replace(stats.mean([v for v, _ in values], [c for _, c in values]), absent=lost)

        found = {f"{PROTOCOL}/kappa": replace(plain(_kappa([(a, b) for a, b, *_ in rows]), len(rows)), absent=lost)}
        found[f"{PROTOCOL}/agreement"] = mean([(float(a == b), c) for a, b, c, _ in rows])
        found[f"{PROTOCOL}/yes"] = mean([(a, c) for a, _, c, _ in rows])
        found[f"{PROTOCOL}/detector"] = mean([(b, c) for _, b, c, _ in rows])
        for name, verdict in (("yes_if_right", 1.0), ("yes_if_wrong", 0.0)):
            found[f"{PROTOCOL}/{name}"] = mean([(a, c) for a, b, c, _ in rows if b == verdict])
        for task in dict.fromkeys(each.tags["task"] for each in scores):
            part = [(float(a == b), c) for a, b, c, one in rows if one.tags["task"] == task]
            found[f"{PROTOCOL}/agreement/{task}"] = mean(part)
        return found


def _kappa(pairs: Sequence[tuple[float, float]]) -> float | None:
    """Return Cohen's kappa of two verdicts; None where chance alone would agree always."""
    if not pairs:
        return None
    n = len(pairs)
    equal = sum(a == b for a, b in pairs) / n
    mine, yours = sum(a for a, _ in pairs) / n, sum(b for _, b in pairs) / n
    chance = mine * yours + (1 - mine) * (1 - yours)
    return (equal - chance) / (1 - chance) if chance < 1 else None


def _asked(row: Row) -> list[Sample]:
    """Return the questions about a row's picture."""
    name, correct, asked = row.text("filename"), row.need("correct"), row.need("metadata")
    if not isinstance(correct, bool):
        raise row.wrong("correct", correct, "true or false")
    try:
        wanted = metadata.read(json.loads(asked) if isinstance(asked, str) else asked)
    except (ValueError, UsageError) as error:
        raise UsageError(f"{row.where}: metadata: {error}") from error
    picture = Picture.file(row.file.parent / name)
    return [
        Sample(
            f"{name}#{number}",
            _FORM.format(question),
            (picture,),
            target={"picture": name, "correct": correct},
            tags={"task": wanted.tag, "picture": name},
            cluster=wanted.prompt,
        )
        for number, question in enumerate(questions(wanted))
    ]


def questions(wanted: metadata.Metadata) -> list[str]:
    """Return a yes/no question for each clause that a picture must show, and one for each relation."""
    found: list[str] = []
    for clause in wanted.include:
        thing = f"{clause.color} {clause.label}" if clause.color else clause.label
        if clause.count == 1:
            found.append(f"Is there {'an' if thing[0] in 'aeiou' else 'a'} {thing} in the image?")
        else:
            plural = thing + ("es" if thing.endswith("s") else "s")
            found.append(f"Are there {_NUMBERS.get(clause.count, clause.count)} {plural} in the image?")
        if clause.position is not None:
            relation, target = clause.position
            found.append(f"Is the {clause.label} {relation} the {wanted.include[target].label}?")
    return found
