"""A kept judgement read again: whether its task, asked the same, makes the same verdict of the same replies."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from ...evals import reasoning
from ...evals.types import CUT, Evidence, Json, Prediction, Sample
from .task import Ask, Cut, JudgeTask, Verdict, runs_of


def prompt_digest(ask: Ask) -> str:
    """Return the SHA-256 that a call keeps of its prompt."""
    return hashlib.sha256(ask.prompt.encode("utf-8", "surrogatepass")).hexdigest()


def terms_of(ask: Ask, temperature: float | None, max_tokens: int | None) -> tuple[float | None, int | None]:
    """Return the temperature and the limit of tokens of a request: the task's, or what stands in their place."""
    first = ask.temperature == 0.0 and temperature is not None
    return temperature if first else ask.temperature, ask.max_tokens if max_tokens is None else max_tokens


def step_of(
    task: JudgeTask, sample: Sample, prediction: Prediction, calls: Sequence[Mapping[str, Json]]
) -> Ask | Verdict:
    """Return a task's next step behind some calls, of whose replies it reads what follows a judge's own reasoning.

    What stands between <think> and </think> is no verdict; of a reply that ends within it nothing is read.
    """
    return task.step(sample, prediction, [_said(each) for each in calls])


def _said(call: Mapping[str, Json]) -> str:
    text = reasoning.answer_after(call["reply"]) or ""
    return Cut(text) if call.get("finish") == CUT else text


def doubt(
    task: JudgeTask,
    sample: Sample,
    prediction: Prediction,
    run: Json,
    terms: tuple[float | None, int | None] | None = None,
) -> str:
    """Return why a kept run is not the judgement of this answer, "" where it is.

    Its prompts must be those that the task asks, and its value what the task reads in the replies; with `terms`, the
    temperature and limit that stand in place of the task's, its calls must have been made under these.
    """
    calls: Any = run.get("calls") if isinstance(run, dict) else None
    if not isinstance(calls, list) or not all(isinstance(each, dict) for each in calls):
        return "it is no judgement"
    if run.get("value") is None and str(run.get("reason", "")).startswith("invalid image"):
        return ""
    read: list[Mapping[str, Json]] = []
    for call in calls:
        step = step_of(task, sample, prediction, read)
        if isinstance(step, Verdict):
            return "it has more replies than were asked for"
        why = _other(step, call, terms)
        if why:
            return why
        read.append(call)
    step = step_of(task, sample, prediction, read)
    if isinstance(step, Ask):
        return "it ends before a verdict"
    told: Json = run.get("value")
    same = type(told) is type(step.value) and told == step.value
    return "" if same else f"its value is {told!r:.40}, and its reply says {step.value!r:.40}"


def _other(ask: Ask, call: Mapping[str, Json], terms: tuple[float | None, int | None] | None) -> str:
    if not isinstance(call.get("reply"), str):
        return "it has no reply"
    if call.get("prompt_sha256") != prompt_digest(ask):
        return "it was asked something else (prompt_sha256)"
    if terms is not None and (call.get("temperature"), call.get("max_tokens")) != terms_of(ask, *terms):
        return "it was asked under another temperature or limit of tokens"
    return ""


def believed(
    task: JudgeTask, sample: Sample, prediction: Prediction, evidence: Evidence | None, *values: type
) -> Sequence[Mapping[str, Json]]:
    """Return a judge's judgements of an answer, as `runs_of`; one that its own replies do not say has no value, and
    the reason for that. Grades of a table, which no judge of ours gave, are taken as they are."""
    runs = runs_of(evidence, *values)
    data: Json = None if evidence is None else evidence.data
    if not isinstance(data, dict) or data.get("judge") is None:
        return runs
    doubts = [doubt(task, sample, prediction, each) for each in runs]
    return [
        {**each, "value": None, "reason": f"no judgement of this answer: {why}"} if why else each
        for each, why in zip(runs, doubts, strict=True)
    ]


def first_doubt(
    task: JudgeTask, sample: Sample, prediction: Prediction, data: Json, terms: tuple[float | None, int | None] | None
) -> str:
    """Return why a judge's evidence is not that of this answer, "" where it is; `doubt` looks at each run."""
    if not isinstance(data, dict) or not isinstance(data.get("runs"), list):
        return "it is no judgement"
    if data.get("task") != task.name:
        return f"it is of the task {data.get('task')!r:.40}"
    runs: Sequence[Json] = data["runs"]
    return next((why for why in (doubt(task, sample, prediction, each, terms) for each in runs) if why), "")
