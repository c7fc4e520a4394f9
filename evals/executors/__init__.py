"""Who computes the batches of a run, and where: the nouns that travel, and what an executor must do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, Protocol, TypeAlias, TypeVar

from ..batches import Failed
from ..pictures import Made
from ..plugins import Eyes, Model
from ..stored import Key
from ..types import Evidence, Job, Json, Prediction, Sample

Making = Literal["predict", "observe"]
"""The stages that executors carry out; scoring is pure and stays at home."""
Pair: TypeAlias = "tuple[Sample, Prediction]"


P = TypeVar("P", bound="Model | Eyes", covariant=True)


@dataclass(frozen=True, slots=True)
class Plugin(Generic[P]):
    """A model or an observer: the object that lives in this process, and what makes an equal one elsewhere.

    `name` is "" for an object of the caller's: it lives in this process alone.
    """

    here: P
    name: str = ""
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Batch:
    """What is computed together. `number` is its place in the run's cut: it names it for ever.

    `patience` counts the failures after which the rest of it need not be tried: the run stops anyhow. `then` are the
    jobs that are asked next in the same process, for a model that reads ahead.
    """

    stage: Making
    number: int
    items: Sequence[Job] | Sequence[Pair]
    patience: int = 0
    then: Sequence[Job] = ()


@dataclass(frozen=True, slots=True)
class Done:
    """A batch and what came of each item; None for one that was not tried any more. `where` tells who made it, and
    the seconds and the bytes of a GPU that it took."""

    batch: Batch
    outputs: Sequence[Made | Evidence | Failed | None]
    where: Mapping[str, Json]


class Executor(Protocol):
    """Computes batches, each at least once; the runner stores each once. It never touches the store.

    Made by `registry.create("executors", NAME, **options)`; cheap to make, nothing starts before it is asked.
    """

    elsewhere: bool
    """Whether the work is done in other processes."""
    pipelined: bool
    """Whether observers work while the model does."""

    def card(self, plugin: Plugin[Model]) -> Mapping[str, Json]:
        """Return a model's card where it will work: device and type are chosen there."""
        ...

    def take(self, stage: Making, plugin: Plugin[Any] | None, card: Mapping[str, Json] | None = None) -> None:
        """Work for this model or observer from now on, where it has that card; what is under way is dropped."""
        ...

    def batch_size(self, jobs: Sequence[Job]) -> int:
        """Return the largest batch of these jobs that the model expects to fit where it works."""
        ...

    def wants(self, stage: Making) -> bool:
        """Return whether another batch of this stage would be begun soon."""
        ...

    def submit(self, batch: Batch) -> None:
        """Take a batch."""
        ...

    def next(self) -> Done:
        """Wait for the next batch that is done, in any order. Raises EnvironmentProblem where nobody can do any."""
        ...

    def close(self) -> None:
        """Let go of everything that it started."""
        ...


def item_key(item: Job | Pair) -> Key:
    """Return the key of what a batch holds."""
    return (item.kind, item.sample.id, item.index) if isinstance(item, Job) else pair_key(item)


def pair_key(pair: Pair) -> Key:
    """Return the key of the output of a pair."""
    return (pair[1].kind, pair[1].sample_id, pair[1].index)
