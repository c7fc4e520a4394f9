"""The nouns: what a benchmark asks, what a model gives, what a scorer saw, what it counts for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from PIL.Image import Image

Kind = Literal["image", "edit", "text", "likelihood"]
"""What is asked of a model: a picture of a prompt, a sample's picture changed as its prompt says, an answer, or how
likely each option is."""
PICTURES: Collection[Kind] = ("image", "edit")
"""The kinds whose output is a picture."""
Stage = Literal["predict", "observe", "score"]
Json = Any
"""A value that json.dumps takes; `Any` because that is where JSON comes in."""


@dataclass(frozen=True, slots=True)
class Picture:
    """An encoded input picture (PNG, JPEG, ...), read only when it is asked for.

    `source` is the file in which its bytes lie: the picture itself, or a table that holds it. While the
    source stays as it was, a run needs no look at the bytes to know that the picture does; one without a
    source is read at each start.
    """

    name: str
    read: Callable[[], bytes] = field(repr=False, compare=False)
    source: Path | None = field(default=None, repr=False, compare=False)

    @classmethod
    def file(cls, path: Path) -> Picture:
        return cls(path.name, path.read_bytes, path)


@dataclass(frozen=True, slots=True)
class Sample:
    """One question, one text-to-image prompt, or one instruction to edit `images`.

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


CUT = "length"
"""`Answer.finish` where a limit of tokens ended it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A text with how it came about: what an adapter that knows returns in place of a str.

    `finish` is "stop" where the model ended it, "length" where a limit cut it, else the service's own
    word. `usage` counts tokens. `served` is the model that the service says answered. `seconds`, which
    differ between equal runs, are kept apart.
    """

    text: str
    finish: str = ""
    usage: Mapping[str, int] = field(default_factory=dict[str, int])
    seconds: float | None = None
    served: str = ""


UNNAMED = "unnamed"
"""What a model is called whose service does not say which it is."""
REWRITTEN = "rewritten"
RESIZED = "resized"


@dataclass(frozen=True, slots=True)
class Drawn:
    """A finished picture file, or its bytes, with how a service made it: what an adapter that knows returns.

    `served` is the model that the service says drew it; `notes` hold REWRITTEN where it drew another prompt than
    it was given, RESIZED where the picture has another size than was asked for.
    """

    file: Path | bytes
    served: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Refusal:
    """A service's own no to one job, with its code and its words: no verdict, and not asked again unasked."""

    code: str
    message: str = ""

    def __str__(self) -> str:
        return f"{self.code}: {self.message}" if self.message else self.code


Output: TypeAlias = "str | Answer | tuple[float, ...] | Image | Path | Drawn | Callable[[], Image] | Refusal"
"""What an adapter returns for a job: a text, alone or with how it came about; a log-likelihood for each
option; a picture; a finished image file (its bytes are kept), alone or with how it came about; a picture still
under way, fetched on a writer thread; or a refusal in place of any of them."""


@dataclass(frozen=True, slots=True)
class Packed:
    """Where a picture lies in a pack: `size` bytes from `at` on of the file `pack`, which have this SHA-256."""

    pack: Path
    at: int
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Prediction:
    """A model's output at rest. `image` is an absolute path of a picture file; `finish` as in `Answer`, `notes` as in
    `Drawn`, `served` as in both.

    Of a picture in a pack (`packed`), `image` is where its file would lie. Observers, `draw`, `export` and the `score`
    of a suite without an observer are given files.

    `reasoning` is "closed" or "unclosed" for a text that holds what a thinking model writes before its answer.
    `refused` is a service's own no, in words: there is no output then.
    """

    sample_id: str
    index: int = 0
    kind: Kind = "text"
    text: str | None = None
    image: Path | None = None
    likelihoods: tuple[float, ...] | None = None
    finish: str = ""
    served: str = ""
    notes: tuple[str, ...] = ()
    reasoning: str = ""
    refused: str = ""
    packed: Packed | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """What an observer saw in one prediction: JSON. `error` is set where it could not look.

    `lasting` says of an error that the same command meets it again: asking again cannot help. `served` is the
    model that a service says looked at it.
    """

    sample_id: str
    index: int = 0
    data: Json = None
    error: str | None = None
    lasting: bool = False
    served: str = ""


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


PART = " (part)"
"""The end of a metric's name that is over a part of what its name says."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A number in the unit in which papers print it; `value` None where it is withheld.

    `absent` names what it should be over and is not ("20 failed", "popular"). Such a number is withheld
    under its own name, and stands under its name and PART over what is there. `left_out` names what its
    protocol leaves out by definition (DPG-Bench's official script drops failed items): the number stands.
    """

    value: float | None
    n: int
    low: float | None = None
    high: float | None = None
    absent: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Json]:
        """Return what files hold of it; `absent` and `left_out` only where something is."""
        row: dict[str, Json] = {"value": self.value, "n": self.n, "low": self.low, "high": self.high}
        return row | {name: list(told) for name, told in (("absent", self.absent), ("left_out", self.left_out)) if told}


@dataclass(frozen=True, slots=True)
class RunSpec:
    """All that can move a score. Equal specs give equal records.

    The cards are what the plugins say of themselves; the options are what their factories were given
    beyond that, `tag` and `step` what the caller says of a model that changes. `scoring` names the
    knobs of the benchmark that move neither a prediction nor evidence; it moves nothing itself.
    """

    model: str
    benchmark: str
    seed: int
    limit: str | None
    model_card: Mapping[str, Json]
    benchmark_card: Mapping[str, Json]
    observer_card: Mapping[str, Json]
    version: str
    model_options: Mapping[str, Json] = field(default_factory=dict[str, Json])
    benchmark_options: Mapping[str, Json] = field(default_factory=dict[str, Json])
    observer_options: Mapping[str, Json] = field(default_factory=dict[str, Json])
    tag: str = ""
    step: int | None = None
    scoring: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Json]:
        """Return what spec.json holds; of the fields that have a default, those that differ from it."""
        row = {each.name: getattr(self, each.name) for each in fields(self)}
        row = {name: dict(value) if isinstance(value, Mapping) else value for name, value in row.items()}
        always = ("model", "benchmark", "seed", "limit", "model_card", "benchmark_card", "observer_card", "version")
        found = {name: value for name, value in row.items() if name in always or value not in ({}, "", None, ())}
        return found | ({"scoring": list(self.scoring)} if self.scoring else {})

    @classmethod
    def from_json(cls, row: Mapping[str, Json]) -> RunSpec:
        """Return the spec of a spec.json. Raises KeyError, TypeError or AttributeError for one that is none."""
        known = {each.name for each in fields(cls)}
        spec = cls(**{name: value for name, value in row.items() if name in known})
        texts: tuple[Json, ...] = (spec.model, spec.benchmark, spec.version, spec.tag, spec.limit or "")
        if not all(isinstance(each, str) for each in texts):
            raise TypeError("a name, a version, a tag or a limit is no text")
        objects = [getattr(spec, each.name) for each in fields(cls) if each.name.endswith(("_card", "_options"))]
        if not all(isinstance(each, dict) for each in objects):
            raise TypeError("a card or options are no object")
        if type(spec.seed) is not int or not (spec.step is None or type(spec.step) is int):
            raise TypeError("a seed or a step is no whole number")
        return replace(spec, scoring=tuple(spec.scoring))

    @property
    def digest(self) -> str:
        """Return the first 12 hex digits of the SHA-256 over the spec's canonical JSON.

        The harness's version is left out: an update resumes what an older one began, because
        plugins put versions of their own into their cards.
        """
        return _sha12({key: value for key, value in self.to_json().items() if key not in ("version", "scoring")})

    @property
    def predictions_key(self) -> str:
        """Return 12 hex digits over what moves a prediction: runs of one key make equal ones."""
        asked = self.to_json()
        kept = ("model", "benchmark", "seed", "limit", "model_card", "model_options", "tag", "step")
        suite = {
            name: {key: value for key, value in asked.get(name, {}).items() if key not in self.scoring}
            for name in ("benchmark_card", "benchmark_options")
        }
        return _sha12({key: asked.get(key) for key in kept} | suite)

    @property
    def evidence_key(self) -> str:
        """Return 12 hex digits over what moves evidence: predictions and the observer."""
        return _sha12([self.predictions_key, dict(self.observer_card), dict(self.observer_options)])

    @property
    def signature(self) -> str:
        """Return the one line to print beside a number: every knob, then the digest."""
        cards = (
            *(("m", self.model_card), ("m.option", self.model_options)),
            *(("b", self.benchmark_card), ("b.option", self.benchmark_options)),
            *(("o", self.observer_card), ("o.option", self.observer_options)),
        )
        knobs = [f"{prefix}.{key}:{card[key]}" for prefix, card in cards for key in sorted(card)]
        head = [f"{self.benchmark}|{self.model}", f"seed:{self.seed}", f"limit:{self.limit or 'all'}"]
        head += [f"tag:{self.tag}"] if self.tag else []
        head += [f"step:{self.step}"] if self.step is not None else []
        return "|".join([*head, *knobs, f"janus-eval:{self.version}", f"#{self.digest}"])


def _sha12(value: Json) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    # A file's name that is no UTF-8 comes as lone surrogates.
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class RunRecord:
    """All that a table needs of one run.

    `counts` has at least expected, predicted, scored, unparsed, unscored, invalid_images, errors; `cut` are
    the answers that a limit of tokens cut, `lasting` those of the errors that the same command meets again,
    `refused` the outputs that a service refused to give: they are among the predicted, and no errors. Where there
    are any: `blank` are answers without a word, scored as they are; `other_model` the outputs and `other_judge` the
    judgements of another model than most are of, as the service says; `rewritten` and `resized` the pictures with
    these notes.
    `complete` is False where a sample is missing; `headline` names the metric a table shows first.
    `state` is "finished", "interrupted" for what a run left that was stopped before its end, "predicted" or
    "observed" for one that was to stop there: it has no metrics yet. `sealed` is False
    for a record of format 1, which had no checksum: nothing says whether it was changed. `name` is what the user
    calls the run in tables. `served` are the models that a service says it asked, as "model" and as "judge", the
    commonest first. `versions` are those of the harness, other than the spec's, that made outputs of it.
    """

    spec: RunSpec
    headline: str
    metrics: Mapping[str, Metric]
    counts: Mapping[str, int]
    complete: bool
    missing: tuple[str, ...] = ()
    environment: Mapping[str, Json] = field(default_factory=dict[str, Json])
    state: str = "finished"
    sealed: bool = True
    name: str = ""
    served: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    versions: tuple[str, ...] = ()


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
