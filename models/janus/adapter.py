"""Janus as a model under test: its registered names, its options, and jobs turned into outputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ...evals.assets.fetch import hub_folder
from ...evals.errors import JanusEvalError, OutOfMemory, UsageError
from ...evals.memory import free
from ...evals.types import CUT, Answer, Job, Json, Kind, Output
from ..device import Dtype, at_least, bytes_of, memory, needed, place
from .checkpoint import Checkpoint
from .pixels import PixelRule, read_rule
from .prompts import OFFICIAL_SYSTEM, PLAIN_ROLES, PRO_ROLES, DrawPrompt, ImagePosition, Tokens, Turn
from .prompts import draw_prompt as make_draw_prompt
from .prompts import read_prompt as make_read_prompt

if TYPE_CHECKING:
    from .network import Network
    from .pictures import Studio
    from .reading import Kept, Question

Recipe = Literal["paper-like"]

_RECIPES: Mapping[str, tuple[float, float]] = {"paper-like": (5.0, 1.0)}
"""Guidance and temperature; the softmax is always whole (no top-k). The paper names no recipe: this is
the official demo's (`generation_inference.py`, deepseek-ai/Janus 1daa72f)."""

_CPU_BATCH = 32
"""Where a CPU's gain from batching ends (docs/janus.md)."""
_SHARE = 0.8
"""The share of free memory that a batch may plan with; the rest is the allocator's."""


@dataclass(frozen=True, slots=True)
class Knobs:
    """Every option that moves an output, resolved, beside the weights."""

    recipe: str
    guidance: float
    temperature: float
    max_new_tokens: int
    turn: Turn
    system_prompt: str | None
    device: str
    dtype: Dtype


@dataclass(frozen=True)
class _Loaded:
    network: Network
    tokens: Tokens
    rule: PixelRule
    studio: Studio
    kept: Kept

    def forget(self) -> None:
        """Give back what is kept of the pictures that were asked about last."""
        self.kept.drop()
        self.studio.forget()


class Janus:
    """A Janus model over a checkpoint folder; see `Family.__call__` for the options."""

    kinds: frozenset[Kind] = frozenset(("image", "text", "likelihood"))
    shares_pictures = True
    inert = (
        *("path", "revision", "weights", "recipe", "guidance", "temperature", "max_new_tokens", "roles"),
        *("system_prompt", "image_position", "batch_size", "device", "dtype"),
    )

    def __init__(
        self,
        folder: Callable[[], Path],
        source: str,
        knobs: Knobs,
        *,
        batch: int | None = None,
        world: str = "official",
        image_size: int = 384,
    ) -> None:
        self._folder, self._source, self._knobs, self._batch = folder, source, knobs, batch
        self.world = world
        self.image_size = image_size

    @cached_property
    def checkpoint(self) -> Checkpoint:
        """Return the model folder, fetched first where it is not on this machine."""
        return Checkpoint(self._folder())

    @cached_property
    def card(self) -> Mapping[str, Json]:
        """Return every knob that moves an output. Fetches the folder, loads no weights."""
        needed()
        knobs, checkpoint = self._knobs, self.checkpoint  # a missing folder is told before torch is imported
        device, dtype = place(knobs.device, knobs.dtype)
        return {
            "weights": f"{self._source}#{checkpoint.fingerprint}",
            "format": "original" if checkpoint.original else "native",
            "recipe": knobs.recipe,
            "guidance": knobs.guidance,
            "temperature": knobs.temperature,
            "top_k": "all",
            "sampling": "float32",
            "noise": "philox4x64-v1",
            "max_new_tokens": knobs.max_new_tokens,
            "roles": ",".join(knobs.turn.roles),
            "system_prompt": "preset" if knobs.system_prompt is None else knobs.system_prompt,
            "image_position": knobs.turn.image_position,
            "device": device.type,
            "dtype": str(dtype).removeprefix("torch."),
        } | ({} if self.world == "official" else {"world": self.world})

    def weights_bytes(self) -> int:
        """Return what the checkpoint's tensors take in the run's type."""
        if "_loaded" in vars(self):
            return 0
        _, dtype = place(self._knobs.device, self._knobs.dtype)
        return bytes_of(self.checkpoint.shards, dtype)

    def batch_size(self, jobs: Sequence[Job]) -> int:
        """Return how many such jobs fit: free memory over what the longest of them takes."""
        if self._batch is not None:
            return self._batch
        loaded = self._loaded
        need = max((self._bytes(loaded, job) for job in jobs), default=1)
        room, _ = free(str(loaded.network.device))
        fits = int(room * _SHARE) // need - 1  # one for the prefix that is kept
        if loaded.network.device.type == "cpu":
            fits = min(fits, _CPU_BATCH)
        return max(1, fits)

    def predict(self, jobs: Sequence[Job]) -> Sequence[Output]:
        """Return one output for each job, in order; a picture is a call that waits for its decoding.

        Raises OutOfMemory where the batch does not fit and JanusEvalError, before anything runs,
        for a prompt that the context does not hold.
        """
        loaded = self._loaded
        kinds: tuple[tuple[Kind, Callable[[_Loaded, Sequence[Job]], Sequence[Output]]], ...] = (
            ("image", self._draw),
            ("text", self._answer),
            ("likelihood", self._weigh),
        )
        outputs: dict[int, Output] = {}
        if any(job.kind == "image" for job in jobs):
            loaded.forget()
        try:
            with memory(loaded.network.device, f"a batch of {len(jobs)}"):
                for kind, work in kinds:
                    places = [place for place, job in enumerate(jobs) if job.kind == kind]
                    if places:
                        outputs.update(zip(places, work(loaded, [jobs[place] for place in places]), strict=True))
        except OutOfMemory:
            loaded.forget()  # the halves have its room
            raise
        return [outputs[place] for place in range(len(jobs))]

    @cached_property
    def _loaded(self) -> _Loaded:
        import torch

        from .network import Network
        from .pictures import Studio
        from .reading import Kept

        device, dtype = place(self._knobs.device, self._knobs.dtype)
        if device.type == "cuda" and dtype == torch.float32:
            # float32 means float32: TF32 rounds products to ten bits, and convolutions use it by default.
            torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
        folder = self.checkpoint.folder
        tokens = Tokens(folder)
        with memory(device, "the weights"):
            network = Network(self.checkpoint.network(tokens.image, device=device, dtype=dtype))
        if max(tokens.highest, tokens.image) >= network.vocabulary:
            raise UsageError(
                f"{folder}: the tokenizer has ids past the model's {network.vocabulary}; the files do not belong"
            )
        return _Loaded(network, tokens, read_rule(folder, network.image_size), Studio(network), Kept())

    def _draw(self, loaded: _Loaded, jobs: Sequence[Job]) -> Sequence[Output]:
        from .engine import Sampler, draw
        from .noise import noise_for

        network, knobs = loaded.network, self._knobs
        steps = network.grid**2
        prompts = [self._draw_prompt(loaded, job, steps) for job in jobs]
        noise = noise_for([job.seed for job in jobs], network.codes, network.device)
        sampler = Sampler(knobs.guidance, knobs.temperature, noise)
        codes = draw(network, prompts, sampler, guided=knobs.guidance != 1, steps=steps)
        return loaded.studio.pictures(codes)

    def _answer(self, loaded: _Loaded, jobs: Sequence[Job]) -> Sequence[Output]:
        from .engine import answer, room_for

        network, tokens, limit = loaded.network, loaded.tokens, self._knobs.max_new_tokens
        questions = self._questions(loaded, jobs)
        said = answer(network, questions, image=tokens.image, eos=tokens.eos, limit=limit, kept=loaded.kept)
        cut = [len(ids) == room_for(network, each, limit) for ids, each in zip(said, questions, strict=True)]
        return [Answer(tokens.text(ids), CUT if full else "stop") for ids, full in zip(said, cut, strict=True)]

    def _weigh(self, loaded: _Loaded, jobs: Sequence[Job]) -> Sequence[Output]:
        from .engine import weigh

        for job in jobs:
            if not all(text.strip() for text in job.sample.options):
                raise UsageError(f"sample {job.sample.id!r}: an option is empty, it has no likelihood")
        options = [[_continuation(loaded.tokens, text) for text in job.sample.options] for job in jobs]
        questions = self._questions(loaded, jobs)
        return weigh(loaded.network, questions, options, image=loaded.tokens.image, kept=loaded.kept)

    def _draw_prompt(self, loaded: _Loaded, job: Job, steps: int) -> DrawPrompt:
        prompt = make_draw_prompt(loaded.tokens, self._knobs.turn, job.sample.prompt)
        self._must_fit(loaded, job, len(prompt.conditional), steps - 1)
        return prompt

    def _read_ids(self, loaded: _Loaded, job: Job) -> tuple[int, ...]:
        system = job.sample.system if self._knobs.system_prompt is None else self._knobs.system_prompt
        return make_read_prompt(
            loaded.tokens,
            self._knobs.turn,
            job.sample.prompt,
            images=len(job.sample.images),
            image_tokens=loaded.network.image_tokens,
            system=system,
        )

    def _questions(self, loaded: _Loaded, jobs: Sequence[Job]) -> list[Question]:
        from .reading import Question

        ids = [self._read_ids(loaded, job) for job in jobs]
        for job, each in zip(jobs, ids, strict=True):
            self._must_fit(loaded, job, len(each), 1)
        seen = loaded.studio.see([job.sample.images for job in jobs], loaded.rule)
        return [Question(each, pictures, subject) for each, (pictures, subject) in zip(ids, seen, strict=True)]

    def _must_fit(self, loaded: _Loaded, job: Job, length: int, more: int) -> None:
        context = loaded.network.context
        if length + more > context:
            raise JanusEvalError(
                f"sample {job.sample.id!r}: its prompt has {length} tokens, with {more} to come; the model's context "
                f"holds {context}: shorten the prompt or use fewer pictures"
            )

    def _bytes(self, loaded: _Loaded, job: Job) -> int:
        """Return what one job takes at its peak: its cache, and its rows' logits and activations."""
        network = loaded.network
        if job.kind == "image":
            length = len(make_draw_prompt(loaded.tokens, self._knobs.turn, job.sample.prompt).conditional)
            rows = 1 if self._knobs.guidance == 1 else 2
            return rows * (network.row_bytes(length, length + network.grid**2) + 16 * network.codes)
        length = len(self._read_ids(loaded, job))
        if job.kind == "text":
            end = min(length + self._knobs.max_new_tokens, network.context)
            return network.row_bytes(length, end) + 8 * network.vocabulary
        widths = [len(_continuation(loaded.tokens, text)) for text in job.sample.options]
        copies = sum(network.row_bytes(width, length + width) + 8 * network.vocabulary * width for width in widths)
        return network.row_bytes(length, length) + 8 * network.vocabulary + copies


@dataclass(frozen=True)
class Family:
    """A registered Janus: where its weights are, and the role strings it was trained with."""

    repository: str
    roles: tuple[str, str]

    def __call__(
        self,
        *,
        path: Path | None = None,
        revision: str | None = None,
        recipe: Recipe = "paper-like",
        guidance: float | None = None,
        temperature: float | None = None,
        max_new_tokens: int = 512,
        roles: str | None = None,
        system_prompt: str | None = None,
        image_position: ImagePosition = "before",
        batch_size: int | None = None,
        device: str = "auto",
        dtype: Dtype = "auto",
        offline: bool = False,
    ) -> Janus:
        """Return the adapter.

        `path`: a model folder, of the native or the original format; without it the repository is
        fetched at `revision`. `guidance` and `temperature` stand before the recipe's. `roles`:
        `User,Assistant` or the like. `system_prompt` stands before the benchmark's; `official` is the
        official processor's default. `image_position`: pictures `before` the text or `after` it.
        `dtype` auto: bfloat16 on a GPU, else float32.
        """
        chosen = knobs(
            recipe=recipe,
            guidance=guidance,
            temperature=temperature,
            max_new_tokens=max_new_tokens,
            turn=Turn(read_roles(roles) if roles else self.roles, image_position),
            system_prompt=OFFICIAL_SYSTEM if system_prompt == "official" else system_prompt,
            device=device,
            dtype=dtype,
        )
        at_least(1, batch_size=batch_size)
        if path is not None:
            folder = path
            return Janus(lambda: folder, folder.name, chosen, batch=batch_size)
        source = f"{self.repository}@{revision or 'main'}"
        return Janus(
            lambda: hub_folder(self.repository, revision=revision, offline=offline), source, chosen, batch=batch_size
        )


janus_1_3b = Family("deepseek-ai/Janus-1.3B", PLAIN_ROLES)
"""Janus 1.3B, understanding and drawing, fetched from deepseek-ai/Janus-1.3B or from `path`."""
pro_1b = Family("deepseek-ai/Janus-Pro-1B", PRO_ROLES)
"""Janus-Pro 1B, understanding and drawing, fetched from deepseek-ai/Janus-Pro-1B or from `path`."""
pro_7b = Family("deepseek-ai/Janus-Pro-7B", PRO_ROLES)
"""Janus-Pro 7B, understanding and drawing, fetched from deepseek-ai/Janus-Pro-7B or from `path`."""


def knobs(
    *,
    recipe: str,
    guidance: float | None,
    temperature: float | None,
    max_new_tokens: int,
    turn: Turn,
    system_prompt: str | None,
    device: str,
    dtype: Dtype,
    defaults: tuple[float, float] | None = None,
) -> Knobs:
    """Resolve and check the options. Raises UsageError for a value out of range."""
    own_guidance, own_temperature = defaults or _RECIPES[recipe]
    resolved = Knobs(
        recipe=recipe,
        guidance=own_guidance if guidance is None else guidance,
        temperature=own_temperature if temperature is None else temperature,
        max_new_tokens=max_new_tokens,
        turn=turn,
        system_prompt=system_prompt,
        device=device,
        dtype=dtype,
    )
    for name, value in (("guidance", resolved.guidance), ("temperature", resolved.temperature)):
        if not 0 <= value < float("inf"):
            raise UsageError(f"{name}={value}: expected a finite number from 0 up")
    at_least(1, max_new_tokens=max_new_tokens)
    return resolved


def read_roles(text: str) -> tuple[str, str]:
    """Read `USER,ASSISTANT`. Raises UsageError for anything but two non-empty names."""
    names = [name.strip() for name in text.split(",")]
    if len(names) != 2 or not all(names):
        raise UsageError(
            f"roles={text!r}: expected two names, such as {','.join(PLAIN_ROLES)} or {','.join(PRO_ROLES)}"
        )
    return names[0], names[1]


def _continuation(tokens: Tokens, text: str) -> list[int]:
    """Return an option's ids as the model would go on after `Assistant:`, a space between."""
    return tokens.ids([text if text[:1].isspace() else f" {text}"])
