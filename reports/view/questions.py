"""What a run was asked: its suite's samples, made again from the run's options where their data still lie here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ...evals.remade import suite_of, taken
from ...evals.types import Json, Sample, Score
from .runs import Run

GOLD = ("answer", "answers", "label", "gold", "expected")
"""What the suites call the right answer in a sample's target."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A run's samples by id; `lacking` says in a line why there are none."""

    samples: Mapping[str, Sample] = field(default_factory=dict[str, Sample])
    lacking: str = ""


def asked(run: Run) -> Asked:
    """Return what a run was asked. It fetches nothing, and a site never fails because data are gone."""
    name = run.record.spec.benchmark
    try:
        suite = suite_of(run.folder, name=name)
        return Asked({each.id: each for each in taken(suite, run.record.spec.limit)})
    except Exception as error:  # a plugin's own too: whatever it is, the rest of the site stands
        return Asked(lacking=f"the samples of {name} cannot be made again here: {error}")


def question(sample: Sample) -> dict[str, Json]:
    """Return what is shown of a question: its text, system prompt, options, gold, and what was to be drawn."""
    target = sample.target if isinstance(sample.target, Mapping) else {}
    shown: dict[str, Json] = {"prompt": sample.prompt.strip(), "system": sample.system}
    options = target.get("options")
    if isinstance(options, Mapping):
        shown["options"] = [[str(key), str(value)] for key, value in options.items()]
    elif isinstance(options, list | tuple):
        shown["options"] = [[chr(65 + place), str(value)] for place, value in enumerate(options)]
    elif sample.options:
        shown["options"] = [[str(place + 1), value] for place, value in enumerate(sample.options)]
    gold = next((target[each] for each in GOLD if each in target), None)
    gold = sample.target if gold is None and isinstance(sample.target, str | int | float) else gold
    if gold is not None:
        shown["gold"] = ", ".join(map(str, _listed(gold)))
    clauses = [(each, how) for how in ("include", "exclude") for each in target.get(how) or ()]
    if clauses:
        shown["clauses"] = [_clause(each, how) for each, how in clauses]
    return {key: value for key, value in shown.items() if value not in ("", [], None)}


def _listed(value: Json) -> list[Json]:
    """Return the parts of a value that holds several, else the value alone."""
    return [*value] if isinstance(value, list | tuple | set | frozenset) else [value]


def _clause(clause: Json, how: str) -> str:
    """Return one GenEval clause in words."""
    if not isinstance(clause, Mapping):
        return str(clause)
    said = [str(clause.get("count", "")), str(clause.get("color", "")), str(clause.get("class", ""))]
    text = " ".join(each for each in said if each)
    place = _listed(clause.get("position"))
    text += f", {place[0]} clause {place[1] + 1}" if len(place) == 2 and type(place[1]) is int else ""
    return text if how == "include" else f"fewer than {text}"


def judged(sample: Sample | None, scores: Sequence[Score]) -> list[Json]:
    """Return [words, why it fails] for each GenEval clause: "" where it holds, None where there is no verdict."""
    target = sample.target if sample is not None and isinstance(sample.target, Mapping) else {}
    verdict = next((each for each in scores if each.value is not None), None)
    reasons = verdict.reason.splitlines() if verdict is not None else []
    found: list[Json] = []
    for how in ("include", "exclude"):
        for clause in target.get(how) or ():
            held = clause if isinstance(clause, Mapping) else {}
            name, colour = str(held.get("class", "")), str(held.get("color", ""))
            heads = (f"expected {name}>=", f"expected {colour} {name}>=", f"no target for {name} ", f"expected {name} ")
            heads = heads if how == "include" else (f"expected {name}<",)
            why = next((each for each in reasons if each.startswith(heads)), "")
            found.append([_clause(clause, how), None if verdict is None else why])
    return found


def classes(sample: Sample | None) -> list[str]:
    """Return the object classes that a drawing prompt names, in order."""
    target = sample.target if sample is not None and isinstance(sample.target, Mapping) else {}
    clauses = [*(target.get("include") or ()), *(target.get("exclude") or ())]
    return list(dict.fromkeys(str(each["class"]) for each in clauses if isinstance(each, Mapping) and "class" in each))


def tree(sample: Sample | None, answers: Mapping[str, Json]) -> list[dict[str, Json]]:
    """Return DPG-Bench's questions with their answers; `zeroed` where one was "yes" and an ancestor's was not.

    Without the sample the ids and the answers are all that is known.
    """
    rows = sample.target if sample is not None and isinstance(sample.target, list) else []
    known = [each for each in rows if isinstance(each, Mapping) and "id" in each and "question" in each]
    if not known:
        return [{"id": key, "question": "", "answer": str(value), "parents": []} for key, value in answers.items()]
    table = {str(each["id"]): each for each in known}
    parents = {
        key: [str(one) for one in _listed(each.get("parents")) if one not in (None, 0, "0")]
        for key, each in table.items()
    }
    alive: set[str] = set()
    while grown := {key for key in {*table} - alive if answers.get(key) == "yes" and alive.issuperset(parents[key])}:
        alive |= grown  # what is in a circle, or below one that is not there, never grows

    return [
        {
            "id": key,
            "question": str(each["question"]),
            "category": str(each.get("category") or ""),
            "parents": parents[key],
            "answer": str(answers.get(key, "")),
            "zeroed": answers.get(key) == "yes" and key not in alive,
        }
        for key, each in table.items()
    ]
