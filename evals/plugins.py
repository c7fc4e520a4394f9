"""What a plugin is: the members that a model, a suite and an observer must have, and those that they may have.

The `...Members` classes are the one place where optional members are declared, each with its default
and what it is for; `janus-eval validate NAME` lists them. Nobody inherits to take part: `members.py`
checks a plugin when it is made, and gives the harness a view of it in which every member is there.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Protocol

from .errors import UsageError
from .types import Evidence, Job, Json, Kind, Metric, Output, Prediction, Sample, Score, Scored

if TYPE_CHECKING:
    from PIL.Image import Image

    from .stats import Estimate

# -- models -------------------------------------------------------------------------------------------


class ModelAdapter(Protocol):
    """A model under test. Cheap to build; weights load at the first `predict`."""

    @property
    def kinds(self) -> Collection[Kind]:
        """What it can give: image, edit, text, likelihood."""
        ...

    @property
    def card(self) -> Mapping[str, Json]:
        """Every knob that moves its outputs, JSON, resolved (recipe, template, dtype, weights fingerprint)."""
        ...

    def predict(self, jobs: Sequence[Job]) -> Sequence[Output]:
        """Return one output for each job, in order; raise OutOfMemory where the batch does not fit."""
        ...


class ModelMembers(Protocol):
    """What a model adapter may have besides."""

    name: Annotated[str, "what an adapter made in Python is called; a registered one has its registered name"] = ""
    world: Annotated[str, "the data world that it was made for (toy)"] = "official"
    independent: Annotated[bool, "no output depends on its batch: a resumed run asks for the missing alone"] = False
    shares_pictures: Annotated[bool, "what it reads of a picture serves all questions about it: they go together"] = (
        False
    )
    inert: Annotated[
        Collection[str],
        "options of its factory that need no place in a run's key: they move nothing (device), or "
        "its card tells what they come to",
    ] = ()
    image_size: Annotated[int, "how wide it draws, in pixels: what a plan says of disk space rests on it"] = 384
    environment: Annotated[
        Mapping[str, Json], "what a record tells of the machine that it ran on, where that is not this process"
    ] = MappingProxyType({})

    def batch_size(self, jobs: Sequence[Job]) -> int:
        """Return the largest batch of these jobs that it expects to fit."""
        del jobs
        return 16

    def ahead(self, jobs: Sequence[Job]) -> None:
        """Begin to read the jobs of the next batch, in a thread, while it is asked for the one before; outputs are the
        same without."""

    def weights_bytes(self) -> int:
        """Return about how many bytes its weights will take where it runs, without loading them; 0 where they are
        loaded, or where it does not say."""
        return 0

    def needs(self) -> Sequence[str]:
        """Return the assets (janus-eval data fetch NAME) that it lacks on this machine."""
        return ()

    def assets(self) -> Sequence[str]:
        """Return what it reads of the catalogue and the hub, here or not, as `janus-eval data fetch` names it."""
        return ()

    def lacks(self) -> Sequence[str]:
        """Return in words what it lacks besides packages and assets (a key); nobody is asked."""
        return ()

    def cost(self, pictures: int) -> str:
        """Return in words what so many pictures of it cost, "" for nothing. Raises UsageError where they may not."""
        del pictures
        return ""

    def begin(self, folder: Path) -> str:
        """Take a run's folder, before it is asked for anything there: what it pays for is kept in it as it comes.
        Return what is to be said of what was found there, "" for nothing."""
        del folder
        return ""

    def spent(self) -> Mapping[str, Json]:
        """Return what the run in that folder has cost so far, for its environment.json; {} for nothing."""
        return {}

    def close(self) -> None:
        """Give back memory, processes, connections; called once, after its last suite."""


class Model(ModelMembers, ModelAdapter, Protocol):
    """A model adapter with every member."""


# -- observers ----------------------------------------------------------------------------------------


class Observer(Protocol):
    """A scorer's eyes: a detector, a VQA model, a judge."""

    @property
    def card(self) -> Mapping[str, Json]:
        """Every knob that moves its evidence, JSON, resolved."""
        ...

    def observe(self, pairs: Sequence[tuple[Sample, Prediction]]) -> Sequence[Evidence]:
        """Return one Evidence for each pair, in order; the pairs are one batch of the runner's."""
        ...


class ObserverMembers(Protocol):
    """What an observer may have besides."""

    batch_size: Annotated[int, "how many outputs it is shown together"] = 8
    independent: Annotated[bool, "no evidence depends on its batch: a resumed run asks for the missing alone"] = False
    inert: Annotated[
        Collection[str],
        "options of its factory that need no place in a run's key: they move nothing (device), or "
        "its card tells what they come to",
    ] = ()

    beside: Annotated[
        bool, "in one process it may work in a thread while the model works: they share no object and no global state"
    ] = False

    def weights_bytes(self) -> int:
        """Return about how many bytes its weights will take where it runs, without loading them; 0 where they are
        loaded, or where it does not say."""
        return 0

    def needs(self) -> Sequence[str]:
        """Return the assets (janus-eval data fetch NAME) that it lacks: they are fetched before the model starts."""
        return ()

    def assets(self) -> Sequence[str]:
        """Return what it reads of the catalogue and the hub, here or not, as `janus-eval data fetch` names it."""
        return ()

    def lacks(self) -> Sequence[str]:
        """Return in words what it lacks besides packages and assets (a key); nobody is asked."""
        return ()

    def doubt(self, sample: Sample, prediction: Prediction, data: Json) -> str:
        """Return why stored evidence is not what it would see in this output, as far as the evidence itself tells (a
        judge's grade that its reply does not say); "" where nothing speaks against it."""
        return ""

    def close(self) -> None:
        """Give back memory and connections; called once, after its last suite."""


class Eyes(ObserverMembers, Observer, Protocol):
    """An observer with every member."""


# -- suites -------------------------------------------------------------------------------------------


class Benchmark(Protocol):
    """A suite: its samples and its rules. `score` and `aggregate` are pure."""

    @property
    def name(self) -> str:
        """Its registered name."""
        ...

    @property
    def kind(self) -> Kind:
        """What it asks of a model."""
        ...

    @property
    def outputs(self) -> int:
        """How many outputs a sample."""
        ...

    @property
    def observer(self) -> str | Observer | None:
        """The observer that it needs: a registered name, or one that is made already; None for none."""
        ...

    @property
    def headline(self) -> str:
        """The metric that a table shows."""
        ...

    @property
    def card(self) -> Mapping[str, Json]:
        """Every knob that moves its scores, JSON, resolved, and what names its data."""
        ...

    def samples(self) -> Sequence[Sample]:
        """Return its samples; ids are unique."""
        ...

    def score(self, sample: Sample, prediction: Prediction, evidence: Evidence | None, /) -> Sequence[Score]:
        """Return one Score for each protocol that judges this output."""
        ...

    def aggregate(self, scores: Sequence[Score]) -> Mapping[str, Metric]:
        """Return the metrics of a Score for every expected output, those without a verdict included."""
        ...


class BenchmarkMembers(Protocol):
    """What a suite may have besides. `worlds`, `optional_observers`, `data_from_images`, `title` and `decimals` are
    read from the factory itself (a class attribute, no property), before a suite is made."""

    worlds: Annotated[Collection[str], "embedded data worlds (toy) that have data for it"] = ()
    optional_observers: Annotated[Collection[str], "observers that it can do without, for their flags"] = ()
    data_from_images: Annotated[bool, "a folder of pictures to score brings its prompts along"] = False
    extra_kinds: Annotated[Collection[Kind], "what it asks for besides, where the model can give it"] = ()
    scoring: Annotated[
        Collection[str],
        "keys of its card (options of its factory) that move scores alone: another value re-scores what is stored",
    ] = ()
    inert: Annotated[
        Collection[str],
        "options of its factory that need no place in a run's key: they move nothing, or its card "
        "tells what they come to",
    ] = ()
    names_its_samples: Annotated[
        bool,
        "its card tells all of its samples apart by a digest of their source, so that the harness adds none "
        "(`samples`: over prompts, targets, tags, options and the bytes of pictures)",
    ] = False
    reasoning: Annotated[
        str,
        "strip: answers are observed and scored without what a thinking model writes before them; its card tells it",
    ] = "keep"
    title: Annotated[str, "the heading of its column in a report; its name where there is none"] = ""
    decimals: Annotated[
        int | None,
        "how many decimals a report prints of its headline number; by default 1, of a share from 0 to 1 four",
    ] = None

    def assets(self) -> Sequence[str]:
        """Return what it reads of the catalogue and the hub, here or not, as `janus-eval data fetch` names it."""
        return ()

    def image_path(self, position: int, sample: Sample, index: int) -> str:
        """Return where a picture lies under images/, as the official scripts look for it."""
        return f"{position:05d}-{re.sub(r'[^A-Za-z0-9._-]+', '_', sample.id)[:80]}/{index}.png"

    def export(
        self,
        folder: Path,
        samples: Sequence[Sample],
        predictions: Sequence[Prediction],
        evidence: Sequence[Evidence],
        scores: Sequence[Score],
    ) -> None:
        """Write further files of the official layout into a run's folder."""

    def estimates(self, scores: Sequence[Score]) -> Mapping[str, Estimate] | None:
        """Return what `aggregate` makes its metrics of, so that two runs are compared sample by sample. Pure, and
        asked of a suite with its default options."""
        del scores
        return None

    def rescore(self, **options: Any) -> Scored:
        """Score outputs made elsewhere; its keyword parameters are the flags of `janus-eval score`."""
        raise UsageError("this suite scores no outputs made elsewhere")

    def submission(self, samples: Sequence[Sample], answers: Sequence[str]) -> bytes:
        """Return a file of the samples' answers as its own evaluation server takes it, for `janus-eval export`."""
        raise UsageError("this suite has no server to hand answers in to")

    def draw(self, sample: Sample, prediction: Prediction, evidence: Evidence | None, score: Score) -> Image:
        """Return a picture with what was seen on it, for `janus-eval show --draw`."""
        raise UsageError("this suite has no pictures to draw on")

    def sheet(self, cards: Sequence[Image]) -> Image:
        """Return what `draw` gave as one contact sheet."""
        raise UsageError("this suite has no pictures to draw on")

    def data_export(self, *, seed: int = 0, size: int = 0) -> bytes:
        """Return a generated suite's file, for `janus-eval data export`."""
        raise UsageError("this suite is not generated: there is nothing to export")


class Suite(BenchmarkMembers, Benchmark, Protocol):
    """A suite with every member."""
