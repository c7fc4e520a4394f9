"""What a judge can be asked to do: tasks, their requests and their verdicts, registered by benchmark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Protocol

from ...evals.errors import UsageError
from ...evals.types import Evidence, Json, Picture, Prediction, Sample

TASKS = "janus_eval.judge_tasks"
"""The group of entry points that name JudgeTasks; a task has the name of its benchmark."""


@dataclass(frozen=True, slots=True)
class Ask:
    """The next request of a judgement.

    `pictures` stand behind the text, or before it where they come `first`. With `words` no text is wanted, but how
    likely the reply begins with each of them: then one token is asked for. A reply that is a `text` and no grade may
    be cut by the limit of tokens: what is left of it counts.
    """

    prompt: str
    temperature: float = 0.0
    max_tokens: int | None = None
    system: str = ""
    pictures: tuple[Picture, ...] = ()
    first: bool = False
    words: tuple[str, ...] = ()
    text: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """The end of a judgement; `value` None where no reply could be read: unscored, never 0."""

    value: Json
    reason: str = ""

    def __post_init__(self) -> None:
        if isinstance(self.value, str):  # a text is what remains of a reply, also of one that was Cut
            object.__setattr__(self, "value", str(self.value))


class Cut(str):
    """A reply that a limit of tokens ended: what stands behind it, a grade perhaps, is not known."""

    __slots__ = ()


class JudgeTask(Protocol):
    """What is asked of a judge and how its replies are read: pure, no network.

    `step` receives the raw replies so far, `Cut` where a limit ended one, and returns the next request or the
    verdict. `digest` names the bytes of the prompts: it enters the signature.
    """

    @property
    def name(self) -> str: ...
    @property
    def digest(self) -> str: ...
    def step(self, sample: Sample, prediction: Prediction, replies: Sequence[str]) -> Ask | Verdict: ...
    def stand_in(self) -> str:
        """Return the base URL of a local server that stands in for a judge; UsageError where there is none."""
        ...


def load_task(name: str) -> JudgeTask:
    """Return a registered task by its name. Raises UsageError for an unknown one."""
    wanted = name.replace("-", "_")
    points = {point.name.replace("-", "_"): point for point in entry_points(group=TASKS)}
    if wanted not in points:
        raise UsageError(f"judge has no task {name!r}; known: {', '.join(sorted(points)) or 'none'}")
    return points[wanted].load()


def runs_of(evidence: Evidence | None, *values: type) -> Sequence[Mapping[str, Json]]:
    """Return a judge's judgements of one answer, none where there is no evidence; each value is null or of `values`.

    Raises UsageError for what no judge wrote: evidence lies in files.
    """
    data: Json = {} if evidence is None or evidence.data is None else evidence.data
    runs: Json = data.get("runs", []) if isinstance(data, dict) else None
    whole = isinstance(runs, list) and all(
        isinstance(each, dict) and type(each.get("value")) in (*values, type(None)) for each in runs
    )
    if not whole:
        name = "" if evidence is None else evidence.sample_id
        raise UsageError(f"the judgement of {name} holds {data!r:.60}: no judge wrote that; remove it to judge again")
    return runs
