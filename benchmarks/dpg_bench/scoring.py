"""From answers to the harness's nouns: two Scores a picture, and the Metrics of a whole suite."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePath

from ...evals import stats
from ...evals.stats import Estimate
from ...evals.types import Json, Metric, Score
from . import rule
from .questions import Question

PROTOCOLS = ("official", "fixed")
MPLUG = "mplug"
"""The scorer whose numbers carry no suffix: mPLUG-large, DPG-Bench's own."""


def protocol_name(protocol: str, scorer: str) -> str:
    """Return the name under which a scorer's numbers go: "official", but "official@hf:ORG/NAME"."""
    return protocol if scorer == MPLUG else f"{protocol}@{scorer}"


def scorer_label(vqa: str) -> str:
    """Return the name of the scorer that the option `vqa` asks for: mPLUG's folders are all mPLUG.

    A hub model's local folder goes under its own name, without the path that leads to it.
    """
    kind, _, rest = vqa.partition(":")
    if kind == "hf" and rest:
        return vqa if rest.count("/") == 1 and not rest.startswith((".", "/")) else f"hf:{PurePath(rest).name}"
    return vqa if vqa == "toy" or (kind == "openai" and rest) else MPLUG


def score_picture(
    item_id: str, questions: Sequence[Question], index: int, answers: rule.Answers, scorer: str, cut: int = 0
) -> tuple[Score, Score]:
    """Return one picture's Scores under both rules; `cut` counts its questions that were cut short."""
    known = {each.id for each in questions}
    answers = {number: answer for number, answer in answers.items() if number in known}
    other = rule.neither(answers)
    common: dict[str, Json] = {"answers": len(answers), "other": len(other), "cut": cut}
    verdicts = (rule.official(item_id, questions, answers), rule.fixed(questions, answers))
    first, second = (
        Score(
            sample_id=item_id,
            index=index,
            protocol=protocol_name(protocol, scorer),
            value=verdict.value,
            answer={str(number): answers[number] for number in sorted(answers)} if protocol == "fixed" else None,
            reason=verdict.reason,
            unparsed=bool(other),
            cluster=item_id,
            details=verdict.details() | common,
        )
        for protocol, verdict in zip(PROTOCOLS, verdicts, strict=True)
    )
    return first, second


def unscored(item_id: str, index: int, reason: str, scorer: str) -> tuple[Score, Score]:
    """Return the Scores of a picture that nobody could look at."""
    first, second = (
        Score(item_id, index, protocol_name(protocol, scorer), None, reason=reason, cluster=item_id)
        for protocol in PROTOCOLS
    )
    return first, second


def by_item(scores: Iterable[Score]) -> dict[str, list[Score]]:
    """Group scores by item, sorted by id, each item's by picture."""
    groups: dict[str, list[Score]] = {}
    for each in scores:
        groups.setdefault(each.sample_id, []).append(each)
    return {item: sorted(groups[item], key=lambda each: each.index) for item in sorted(groups)}


def item_scores(scores: Iterable[Score], protocol: str) -> dict[str, list[float]]:
    """Return each item's picture scores under a protocol.

    Under `official` an item needs every picture, else it is left out; under `fixed` it is left out
    only where no picture has a verdict.
    """
    found: dict[str, list[float]] = {}
    for item, group in by_item(scores).items():
        mine = [each.value for each in group if each.protocol == protocol]
        values = [value for value in mine if value is not None]
        pictures = len({each.index for each in group})
        if values and (len(values) == pictures or not protocol.startswith("official")):
            found[item] = values
    return found


def estimates(scores: Sequence[Score]) -> dict[str, Estimate]:
    """Return the estimates of both protocols for every scorer that is seen, in percent, by item.

    A Score without protocol is a picture that is not there. The official script leaves out an item with such a
    picture, by definition; under `fixed` it is absent. Sources: `rule.official`, `rule.fixed`.
    """
    lacking = (stats.NOT_ASKED, stats.NO_ROW)
    unasked = [each for each in scores if each.reason.startswith(lacking)]
    asked = [each for each in scores if not each.reason.startswith(lacking)]
    names = {each.protocol for each in asked if each.protocol}
    found: dict[str, Estimate] = {}
    for name in sorted(names, key=lambda each: (not each.startswith("official"), each)):
        absent = stats.lost(unasked)
        mine = [each for each in asked if each.protocol in (name, "")]
        if not name.startswith("official"):
            absent |= stats.lost(mine)
        for key, each in _protocol(asked, name).items():
            found[key] = replace(each, absent=stats.lost(unasked) if key.endswith("/failed") else absent)
    detailed = [each for each in asked if each.protocol.startswith("fixed") and each.details]
    for key, field in (("answers/other", "other"), ("questions/cut", "cut")):
        found[key] = _share((each.sample_id, each.details[field], each.details["answers"]) for each in detailed)
    return found


def metrics(scores: Sequence[Score]) -> dict[str, Metric]:
    """Return the metrics of `estimates` with their intervals."""
    return stats.metrics(estimates(scores))


def _protocol(scores: Sequence[Score], name: str) -> dict[str, Estimate]:
    is_official = name.startswith("official")
    items = item_scores(scores, name)
    means = {item: rule.item_mean(values) for item, values in items.items()}
    overall = stats.mean(list(means.values()), list(means)).times(100)
    if means:
        mean = rule.official_mean if is_official else rule.fixed_mean
        overall = replace(overall, value=mean(list(means.values())))
    found = {f"{name}/overall": overall}

    groups = by_item(each for each in scores if each.protocol == name or not each.protocol)
    mine = {item: [each for each in groups[item] if each.value is not None] for item in items}
    for level, fold in (("l1", rule.broad), ("l2", rule.join)):
        rows: dict[str, list[tuple[str, int, int]]] = {}
        for item, group in mine.items():
            taken = group[-1:] if is_official else group
            for category, pair in fold(_categories(each) for each in taken).items():
                rows.setdefault(category, []).append((item, *pair))
        found |= {f"{name}/{level}/{category}": _share(rows[category]) for category in sorted(rows)}
    counted = [each for group in mine.values() for each in group]
    found[f"{name}/zeroed"] = _share((s.sample_id, s.details["zeroed"], s.details["asked"]) for s in counted)
    failed = len(groups) - len(items)
    if is_official and failed:
        found = {key: replace(each, left_out={"failed items": failed}) for key, each in found.items()}
    found[f"{name}/failed"] = _share((item, int(item not in items), 1) for item in groups)
    return found


def _categories(score: Score) -> Mapping[str, Sequence[int]]:
    return score.details["categories"]


def _share(rows: Iterable[tuple[str, int, int]]) -> Estimate:
    """Return part / whole in percent from rows of (item, part, whole); `n` is the whole."""
    items, parts, wholes = zip(*rows, strict=True) if (rows := list(rows)) else ((), (), ())
    part, whole = sum(parts), sum(wholes)
    estimate = replace(stats.ratio(parts, wholes, items).times(100), n=whole)
    # The order of operations is the official script's: mean first, then percent.
    return replace(estimate, value=part / whole * 100) if whole else estimate
