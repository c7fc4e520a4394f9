"""A loaded model and what it is asked: jobs turned into prompts and batches, outputs in the order of jobs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from ...evals.errors import JanusEvalError, OutOfMemory, UsageError
from ...evals.memory import free
from ...evals.types import CUT, Answer, Job, Kind, Output
from ..device import memory
from .engine import answer, room_for, weigh
from .network import Language
from .prompts import Tokens, Turn, read_prompt
from .reading import Question

if TYPE_CHECKING:
    from .pictures import Studio
    from .pixels import PixelRule
    from .reading import Kept

N = TypeVar("N", bound=Language)
"""The network: each model draws with its own."""

_CPU_BATCH = 32
"""Where a CPU's gain from batching ends (docs/janus.md)."""
_SHARE = 0.8
"""The share of free memory that a batch may plan with; the rest is the allocator's."""


@dataclass(frozen=True)
class Loaded(Generic[N]):
    """A network with its tokenizer, its eyes, and what is kept of the pictures that were asked about last."""

    network: N
    tokens: Tokens
    rule: PixelRule
    studio: Studio
    kept: Kept
    turn: Turn
    system_prompt: str | None
    """Stands before the benchmark's own."""
    max_new_tokens: int
    begun: bool = True
    """Whether a begin-of-image token stands before a picture's places."""

    def forget(self) -> None:
        """Give back what is kept of the pictures that were asked about last."""
        self.kept.drop()
        self.studio.forget()

    def predict(self, jobs: Sequence[Job], draw: Callable[[Sequence[Job]], Sequence[Output]]) -> Sequence[Output]:
        """Return one output for each job, in order; those that ask for a picture go to `draw`.

        Raises OutOfMemory where the batch does not fit and JanusEvalError, before anything runs,
        for a prompt that the context does not hold.
        """
        kinds: tuple[tuple[Kind, Callable[[Sequence[Job]], Sequence[Output]]], ...] = (
            ("image", draw),
            ("text", self._answer),
            ("likelihood", self._weigh),
        )
        outputs: dict[int, Output] = {}
        if any(job.kind == "image" for job in jobs):
            self.forget()
        try:
            with memory(self.network.device, f"a batch of {len(jobs)}"):
                for kind, work in kinds:
                    places = [place for place, job in enumerate(jobs) if job.kind == kind]
                    if places:
                        outputs.update(zip(places, work([jobs[place] for place in places]), strict=True))
        except OutOfMemory:
            self.forget()  # the halves have its room
            raise
        return [outputs[place] for place in range(len(jobs))]

    def must_fit(self, job: Job, length: int, more: int) -> None:
        """Raise JanusEvalError where a prompt of `length` ids, with `more` to come, is longer than the context."""
        context = self.network.context
        if length + more > context:
            raise JanusEvalError(
                f"sample {job.sample.id!r}: its prompt has {length} tokens, with {more} to come; the model's context "
                f"holds {context}: shorten the prompt or use fewer pictures"
            )

    def fits(self, jobs: Sequence[Job], drawing: Callable[[Job], int]) -> int:
        """Return how many such jobs fit: free memory over what the longest of them takes.

        `drawing` tells the bytes of a job that asks for a picture.
        """
        sizes = (drawing(job) if job.kind == "image" else self._bytes(job) for job in jobs)
        room, _ = free(str(self.network.device))
        fitting = int(room * _SHARE) // max(sizes, default=1) - 1  # one for the prefix that is kept
        if self.network.device.type == "cpu":
            fitting = min(fitting, _CPU_BATCH)
        return max(1, fitting)

    def _answer(self, jobs: Sequence[Job]) -> Sequence[Output]:
        network, tokens, limit = self.network, self.tokens, self.max_new_tokens
        questions = self._questions(jobs)
        said = answer(network, questions, image=tokens.image, eos=tokens.eos, limit=limit, kept=self.kept)
        cut = [len(ids) == room_for(network, each, limit) for ids, each in zip(said, questions, strict=True)]
        return [Answer(tokens.text(ids), CUT if full else "stop") for ids, full in zip(said, cut, strict=True)]

    def _weigh(self, jobs: Sequence[Job]) -> Sequence[Output]:
        for job in jobs:
            if not all(text.strip() for text in job.sample.options):
                raise UsageError(f"sample {job.sample.id!r}: an option is empty, it has no likelihood")
        options = [[self._continuation(text) for text in job.sample.options] for job in jobs]
        return weigh(self.network, self._questions(jobs), options, image=self.tokens.image, kept=self.kept)

    def _read_ids(self, job: Job) -> tuple[int, ...]:
        system = job.sample.system if self.system_prompt is None else self.system_prompt
        return read_prompt(
            self.tokens,
            self.turn,
            job.sample.prompt,
            images=len(job.sample.images),
            image_tokens=self.network.image_tokens,
            system=system,
            begun=self.begun,
        )

    def _questions(self, jobs: Sequence[Job]) -> list[Question]:
        ids = [self._read_ids(job) for job in jobs]
        for job, each in zip(jobs, ids, strict=True):
            self.must_fit(job, len(each), 1)
        seen = self.studio.see([job.sample.images for job in jobs], self.rule)
        return [Question(each, pictures, subject) for each, (pictures, subject) in zip(ids, seen, strict=True)]

    def _bytes(self, job: Job) -> int:
        """Return what a question takes at its peak: its cache, and its rows' logits and activations."""
        network = self.network
        length = len(self._read_ids(job))
        if job.kind == "text":
            end = min(length + self.max_new_tokens, network.context)
            return network.row_bytes(length, end) + 8 * network.vocabulary
        widths = [len(self._continuation(text)) for text in job.sample.options]
        copies = sum(network.row_bytes(width, length + width) + 8 * network.vocabulary * width for width in widths)
        return network.row_bytes(length, length) + 8 * network.vocabulary + copies

    def _continuation(self, text: str) -> list[int]:
        """Return an option's ids as the model would go on after `Assistant:`, a space between."""
        return self.tokens.ids([text if text[:1].isspace() else f" {text}"])
