"""The nouns: what a benchmark asks, what a model gives, what a scorer saw, what it counts for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

if TYPE_CHECKING:
    from PIL.Image import Image

Kind = Literal["image", "text", "likelihood"]
Json = Any
"""A value that json.dumps takes; `Any` because that is where JSON comes in."""


@dataclass(frozen=True, slots=True)
class Picture:
    """An encoded input picture (PNG, JPEG, ...), read only when it is asked for."""

    name: str
    read: Callable[[], bytes] = field(repr=False, compare=False)

    @classmethod
    def file(cls, path: Path) -> Picture:
        return cls(path.name, path.read_bytes)


@dataclass(frozen=True, slots=True)
class Sample:
    """One question or one text-to-image prompt.

    `prompt` is the whole user text in the chosen preset, without chat template and without image
    placeholders. `images` are its input pictures in order; they stand directly before `prompt`,
    which therefore begins with a newline where the preset wants one. `system` is the preset's
    system prompt. `options` are the continuations whose
    likelihoods a benchmark may ask for. `target` is the benchmark's own affair. Tables break
    down by `tags`. `cluster` names what samples share (a prompt, an image).
    """

    id: str
    prompt: str
    images: tuple[Picture, ...] = ()
    system: str = ""
    target: Json = None
    tags: Mapping[str, str] = field(default_factory=dict[str, str])
    options: tuple[str, ...] = ()
    cluster: str = ""


@dataclass(frozen=True, slots=True)
class Job:
    """What an adapter is asked for: one output of one kind for one sample.

    `index` counts the outputs of one sample (GenEval draws four), `seed` (0 <= seed < 2**63) is
    made from run seed, sample id and index, so that an output depends on nothing else.
    """

    sample: Sample
    kind: Kind
    index: int
    seed: int


def job_seed(run_seed: int, sample_id: str, index: int) -> int:
    """Return the seed of one output: the first 63 bits of SHA-256 over the three, NUL between."""
    digest = hashlib.sha256(f"{run_seed}\0{sample_id}\0{index}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


Output: TypeAlias = "str | tuple[float, ...] | Image | Path | Callable[[], Image]"
"""What an adapter returns for a job: a text; a log-likelihood for each option; a picture; a
finished image file (its bytes are kept); or a picture still under way, fetched on a writer thread."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """A model's output at rest. `image` is an absolute path of a picture file."""

    sample_id: str
    index: int = 0
    kind: Kind = "text"
    text: str | None = None
    image: Path | None = None
    likelihoods: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """What an observer saw in one prediction: JSON. `error` is set where it could not look."""

    sample_id: str
    index: int = 0
    data: Json = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Score:
    """The verdict on one prediction under one protocol.

    `value` None means no verdict: it is counted and shown, never a silent zero. `answer` is what
    the protocol read out of the output; `unparsed` says that it could not read one and fell back
    on its own rule. `details` is what `aggregate` needs beyond the value.
    """

    sample_id: str
    index: int
    protocol: str
    value: float | None
    answer: Json = None
    reason: str = ""
    unparsed: bool = False
    tags: Mapping[str, str] = field(default_factory=dict[str, str])
    cluster: str = ""
    details: Json = None


@dataclass(frozen=True, slots=True)
class Metric:
    """A number in the unit in which papers print it; `value` None where it is withheld."""

    value: float | None
    n: int
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class RunSpec:
    """All that can move a score. Equal specs give equal records."""

    model: str
    benchmark: str
    seed: int
    limit: str | None
    model_card: Mapping[str, Json]
    benchmark_card: Mapping[str, Json]
    observer_card: Mapping[str, Json]
    version: str

    def to_json(self) -> dict[str, Json]:
        return {
            "model": self.model,
            "benchmark": self.benchmark,
            "seed": self.seed,
            "limit": self.limit,
            "model_card": dict(self.model_card),
            "benchmark_card": dict(self.benchmark_card),
            "observer_card": dict(self.observer_card),
            "version": self.version,
        }

    @classmethod
    def from_json(cls, row: Mapping[str, Json]) -> RunSpec:
        return cls(
            model=row["model"],
            benchmark=row["benchmark"],
            seed=row["seed"],
            limit=row["limit"],
            model_card=row["model_card"],
            benchmark_card=row["benchmark_card"],
            observer_card=row["observer_card"],
            version=row["version"],
        )

    @property
    def digest(self) -> str:
        """Return the first 12 hex digits of the SHA-256 over the spec's canonical JSON.

        The harness's version is left out: an update resumes what an older one began, because
        plugins put versions of their own into their cards.
        """
        asked = {key: value for key, value in self.to_json().items() if key != "version"}
        text = json.dumps(asked, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def signature(self) -> str:
        """Return the one line to print beside a number: every knob, then the digest."""
        cards = (("m", self.model_card), ("b", self.benchmark_card), ("o", self.observer_card))
        knobs = [f"{prefix}.{key}:{card[key]}" for prefix, card in cards for key in sorted(card)]
        head = [f"{self.benchmark}|{self.model}", f"seed:{self.seed}", f"limit:{self.limit or 'all'}"]
        return "|".join([*head, *knobs, f"janus-eval:{self.version}", f"#{self.digest}"])


@dataclass(frozen=True, slots=True)
class RunRecord:
    """All that a table needs of one run.

    `counts` has at least expected, predicted, scored, unparsed, unscored, invalid_images, errors.
    `complete` is False where a sample is missing; `headline` names the metric a table shows first.
    """

    spec: RunSpec
    headline: str
    metrics: Mapping[str, Metric]
    counts: Mapping[str, int]
    complete: bool
    missing: tuple[str, ...] = ()
    environment: Mapping[str, Json] = field(default_factory=dict[str, Json])


@dataclass(frozen=True, slots=True)
class Scored:
    """What scoring outputs made elsewhere gives: `janus-eval score` prints it.

    `rows` are the lines of `--out`; `extra` joins the object of `--json` (DPG's per-item scores).
    """

    bench: str
    n: int
    metrics: Mapping[str, Metric]
    unparsed: int = 0
    unscored: int = 0
    rows: Iterable[Mapping[str, Json]] = ()
    extra: Mapping[str, Json] = field(default_factory=dict[str, Json])


class ModelAdapter(Protocol):
    """A model under test. Cheap to build; weights load at the first `predict`.

    `card` holds every knob that moves its outputs, JSON, resolved (recipe, template, dtype,
    weights fingerprint): it enters the signature. `predict` returns one output for each job, in
    order; raises OutOfMemory where the batch does not fit.
    An adapter may also have `batch_size(jobs) -> int`, the largest batch that it expects to fit,
    `world: str`, the data world that it was made for (`toy`), and `independent: bool`: no output
    depends on its batch, so that a resumed run asks for what is missing alone.
    """

    @property
    def kinds(self) -> frozenset[Kind]: ...
    @property
    def card(self) -> Mapping[str, Json]: ...
    def predict(self, jobs: Sequence[Job]) -> Sequence[Output]: ...


class Observer(Protocol):
    """A scorer's eyes: a detector, a VQA model, a judge. `card` and `independent` as an adapter's.

    Optional: `batch_size: int`; `needs() -> Sequence[str]`, the assets (`janus-eval data fetch NAME`)
    that it lacks on this machine: they are fetched before the model starts.
    Returns one Evidence for each pair, in order; the pairs are one batch of the runner's.
    """

    @property
    def card(self) -> Mapping[str, Json]: ...
    def observe(self, pairs: Sequence[tuple[Sample, Prediction]]) -> Sequence[Evidence]: ...


class Benchmark(Protocol):
    """A suite: its samples and its rules.

    `kind` is what it asks of a model, `outputs` how many a sample, `observer` the registered name
    of the observer that it needs (None: none), `headline` the metric that a table shows.
    `score` and `aggregate` are pure. `aggregate` receives a Score for every expected output,
    those without a verdict included.

    Optional, looked up by name: `extra_kinds: frozenset[Kind]` (asked for where the adapter has
    them), `image_path(position, sample, index) -> str` (where a picture lies under images/),
    `export(folder, samples, predictions, evidence, scores)` (further files in the official
    layout), `estimates(scores) -> Mapping[str, stats.Estimate]` (what `aggregate` makes its metrics
    of; pure, and asked of a benchmark built with its default options: with it two runs are
    compared sample by sample), `rescore(**options) -> Scored` (outputs made elsewhere; its keyword parameters are
    the flags of `janus-eval score`).
    """

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> Kind: ...
    @property
    def outputs(self) -> int: ...
    @property
    def observer(self) -> str | None: ...
    @property
    def headline(self) -> str: ...
    @property
    def card(self) -> Mapping[str, Json]: ...
    def samples(self) -> Sequence[Sample]: ...
    def score(self, sample: Sample, prediction: Prediction, evidence: Evidence | None) -> Sequence[Score]: ...
    def aggregate(self, scores: Sequence[Score]) -> Mapping[str, Metric]: ...
