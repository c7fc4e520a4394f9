"""What a run is to the published numbers: what marks it, in which knobs it differs, what is said of the two."""

from __future__ import annotations

from collections.abc import Sequence

from ..evals import stats
from ..evals.types import PART, Metric, RunRecord
from .reported import Column, Reported, published_name
from .text import some


def is_toy(record: RunRecord) -> bool:
    """Say whether a run's model, data or scorer belong to the embedded toy world."""
    cards = (record.spec.model_card, record.spec.benchmark_card, record.spec.observer_card)
    texts = [value for card in cards for value in card.values() if isinstance(value, str)]
    return any(text == "toy" or text.startswith(("toy-", "toy:")) for text in texts)


def marks(record: RunRecord) -> list[str]:
    """Return what keeps a run from standing as a result: toy, of its own weights or data, limited, incomplete."""
    counts, spec = record.counts, record.spec
    found = ["toy"] if is_toy(record) else []
    found += ["own weights"] if not found and _own_weights(record) else []
    found += ["own data"] if spec.benchmark_card.get("origin") == "given" else []
    found += [record.state] if record.state != "finished" else []
    found += [] if record.sealed else ["unsealed"]
    if record.spec.limit:
        found.append(f"limit {record.spec.limit}")
    found += [f"{counts[key]} {said}" for key, said in _STRANGE.items() if counts.get(key)]
    lost = counts.get("expected", 0) - counts.get("predicted", 0)
    if lost > 0:
        found.append(f"{lost} of {counts['expected']} missing")
    unscored = counts.get("unscored", 0) - max(0, lost)
    refused = min(counts.get("refused", 0), max(0, unscored))  # records of before count errors there
    found += [f"{refused} refused"] if refused else []
    if unscored > refused:
        found.append(f"{unscored - refused} unscored")
    if not record.complete and not spec.limit and lost <= 0 and unscored <= 0 and record.state == "finished":
        found.append("incomplete")
    return found


_STRANGE = {"other_model": "made by another model", "other_judge": "judged by another model"}
_ASIDE = {
    "cut": "answers cut",
    "blank": "answers blank",
    "rewritten": "prompts rewritten",
    "resized": "of another size",
}


def asides(record: RunRecord) -> list[str]:
    """Return what is said beside the marks: outputs that are scored as they are, though not made as was asked."""
    counts = record.counts
    return [f"{counts[key]} of {counts.get('expected', 0)} {said}" for key, said in _ASIDE.items() if counts.get(key)]


def _own_weights(record: RunRecord) -> bool:
    """Say whether a run bears a published model's name and its weights are not a repository's (NAME@REVISION)."""
    spec = record.spec
    if published_name(spec.model) == spec.model:
        return False
    weights = spec.model_card.get("weights")
    fetched = isinstance(weights, str) and "@" in weights.partition("#")[0]
    return not fetched or bool(spec.tag) or spec.step is not None


def protocol(key: str) -> str:
    """Return the protocol in a metric's name."""
    return key.partition("/")[0]


def shown(record: RunRecord, key: str) -> tuple[Metric, str]:
    """Return the number to show for a metric and what marks it: a part, where nothing failed, bears its mark.

    What failed withholds the number: a table has no place to say how it would have come out.
    """
    metric = record.metrics[key]
    part = record.metrics.get(key + PART)
    if metric.value is not None or part is None or stats.failed(metric):
        return metric, ""
    return part, PART


def stranger(
    record: RunRecord, key: str, column: Column, numbers: Sequence[Reported], records: Sequence[RunRecord]
) -> str:
    """Return in what a number was made as none of those beside it ("" where it was as one): it does not rank.

    `numbers` are those it ranks among; one whose making is not stated is no measure. Where a column has none that
    is, a number must be of the same data and rules as all that were measured (`records`).
    """
    stated = [differing(record, key, each) for each in numbers if each.belongs(column.key) and each.knobs]
    if stated:
        nearest = min(stated, key=lambda knobs: (len(knobs), knobs[:1] and knobs[0].startswith("metric ")))
        return nearest[0].partition(", reported ")[0] if nearest else ""
    beside = [each.spec for each in records if each.spec.benchmark == record.spec.benchmark and not marks(each)]
    cards = [(dict(each.benchmark_card), dict(each.observer_card)) for each in beside]
    return "other data or rules" if any(each != cards[0] for each in cards) else ""


def verdict(record: RunRecord, key: str, number: Reported) -> str:
    """Return what a measured and a reported number are to each other, in words.

    Not comparable (toy, limited, incomplete) before protocol differs before inside noise before
    unexplained: a number made otherwise is not confirmed by chance agreement.
    """
    flags = marks(record)
    metric = record.metrics[key]
    flags += [f"without {some([*metric.absent], 9)}"] if metric.absent and not record.spec.limit else []
    if flags:
        return "not comparable: " + ", ".join(flags)
    if metric.value is None or number.value is None:
        return "not comparable: withheld"
    knobs = differing(record, key, number)
    if knobs:
        return "protocol differs: " + "; ".join(knobs)
    noise = stats.noise(metric)
    if noise is None:
        return "no interval"
    beyond = abs(metric.value - number.value) - number.slack
    return "inside noise" if beyond <= noise else f"unexplained: noise is {noise:.2g}"


def differing(record: RunRecord, key: str, number: Reported) -> list[str]:
    """Return each knob in which a run is known to differ from how a reported number was made."""
    spec = record.spec
    found: list[str] = []
    if number.metric and number.metric != key:
        found.append(f"metric {key}, reported {number.metric}")
    cards = (spec.benchmark_card, spec.observer_card, spec.model_card)
    for knob, wanted in number.knobs.items():
        have = next((card[knob] for card in cards if knob in card), None)
        if have is not None and str(have) not in wanted.split("|"):
            found.append(f"{knob} {have}, reported {wanted.replace('|', ' or ')}")
    for knob, have in spec.observer_card.items():
        if isinstance(have, str) and "approximation" in have:
            found.append(f"{knob} {have}")
    return found
