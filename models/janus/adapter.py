"""Janus as a model under test: its registered names, its options, and jobs turned into outputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ...evals.assets.fetch import called, hub_folder
from ...evals.errors import UsageError
from ...evals.types import Job, Json, Kind, Output
from ..device import Dtype, at_least, bytes_of, exact, memory, needed, place
from .checkpoint import Checkpoint
from .pixels import read_rule
from .prompts import OFFICIAL_SYSTEM, PLAIN_ROLES, PRO_ROLES, ImagePosition, Tokens, Turn, draw_prompt

if TYPE_CHECKING:
    from .asking import Loaded
    from .network import Network

Recipe = Literal["paper-like"]

_RECIPES: Mapping[str, tuple[float, float]] = {"paper-like": (5.0, 1.0)}
"""Guidance and temperature; the softmax is always whole (no top-k). The paper names no recipe: this is
the official demo's (`generation_inference.py`, deepseek-ai/Janus 1daa72f)."""


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
        asset: str = "",
    ) -> None:
        self._folder, self._source, self._knobs, self._batch, self._asset = folder, source, knobs, batch, asset
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

    def assets(self) -> Sequence[str]:
        """Return the repository, unless a folder was given."""
        return (self._asset,) if self._asset else ()

    def weights_bytes(self) -> int:
        """Return what the checkpoint's tensors take in the run's type."""
        if "_loaded" in vars(self):
            return 0
        _, dtype = place(self._knobs.device, self._knobs.dtype)
        return bytes_of(self.checkpoint.shards, dtype)

    def batch_size(self, jobs: Sequence[Job]) -> int:
        """Return how many such jobs fit: free memory over what the longest of them takes."""
        return self._batch if self._batch is not None else self._loaded.fits(jobs, self._bytes)

    def predict(self, jobs: Sequence[Job]) -> Sequence[Output]:
        """Return one output for each job, in order; a picture is a call that waits for its decoding.

        Raises OutOfMemory where the batch does not fit and JanusEvalError, before anything runs,
        for a prompt that the context does not hold.
        """
        return self._loaded.predict(jobs, self._draw)

    @cached_property
    def _loaded(self) -> Loaded[Network]:
        from .asking import Loaded
        from .network import Network
        from .pictures import Studio
        from .reading import Kept

        device, dtype = exact(self._knobs.device, self._knobs.dtype)
        folder, knobs = self.checkpoint.folder, self._knobs
        tokens = Tokens(folder)
        with memory(device, "the weights"):
            network = Network(self.checkpoint.network(tokens.image, device=device, dtype=dtype))
        tokens.must_belong(network.vocabulary)
        rule = read_rule(folder, network.image_size)
        return Loaded(
            *(network, tokens, rule, Studio(network), Kept()), knobs.turn, knobs.system_prompt, knobs.max_new_tokens
        )

    def _draw(self, jobs: Sequence[Job]) -> Sequence[Output]:
        from .engine import Sampler, draw
        from .noise import noise_for

        network, knobs = self._loaded.network, self._knobs
        steps = network.grid**2
        prompts = [draw_prompt(self._loaded.tokens, knobs.turn, job.sample.prompt) for job in jobs]
        for job, prompt in zip(jobs, prompts, strict=True):
            self._loaded.must_fit(job, len(prompt.conditional), steps - 1)
        noise = noise_for([job.seed for job in jobs], network.codes, network.device)
        sampler = Sampler(knobs.guidance, knobs.temperature, noise)
        codes = draw(network, prompts, sampler, guided=knobs.guidance != 1, steps=steps)
        return self._loaded.studio.pictures(codes)

    def _bytes(self, job: Job) -> int:
        """Return what one drawing takes at its peak: its cache, and its rows' logits and activations."""
        network = self._loaded.network
        length = len(draw_prompt(self._loaded.tokens, self._knobs.turn, job.sample.prompt).conditional)
        rows = 1 if self._knobs.guidance == 1 else 2
        return rows * (network.row_bytes(length, length + network.grid**2) + 16 * network.codes)


@dataclass(frozen=True)
class Family:
    """A registered Janus: where its weights are, and the role strings it was trained with."""

    repository: str
    roles: tuple[str, str]
    defaults: tuple[float, float] | None = None
    """Guidance and temperature of its own authors, in the recipe's place."""

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
            defaults=self.defaults,
        )
        at_least(1, batch_size=batch_size)
        if path is not None:
            folder = path
            return Janus(lambda: folder, folder.name, chosen, batch=batch_size)
        source = f"{self.repository}@{revision or 'main'}"
        asset = called(self.repository, revision)
        fetched = lambda: hub_folder(self.repository, revision=revision, offline=offline)  # noqa: E731
        return Janus(fetched, source, chosen, batch=batch_size, asset=asset)


janus_1_3b = Family("deepseek-ai/Janus-1.3B", PLAIN_ROLES)
"""Janus 1.3B, understanding and drawing, fetched from deepseek-ai/Janus-1.3B or from `path`."""
pro_1b = Family("deepseek-ai/Janus-Pro-1B", PRO_ROLES)
"""Janus-Pro 1B, understanding and drawing, fetched from deepseek-ai/Janus-Pro-1B or from `path`."""
pro_7b = Family("deepseek-ai/Janus-Pro-7B", PRO_ROLES)
"""Janus-Pro 7B, understanding and drawing, fetched from deepseek-ai/Janus-Pro-7B or from `path`."""
janus_4o_7b = Family("FreedomIntelligence/Janus-4o-7B", PRO_ROLES, defaults=(5.0, 1.0))
"""Janus-4o 7B, a fine-tuned Janus-Pro, fetched from FreedomIntelligence/Janus-4o-7B or from `path`.

Guidance 5, temperature 1 and the whole softmax are those of its README's `text_to_image_generate`
(FreedomIntelligence/ShareGPT-4o-Image 19ac7d7). Its drawing from a picture and a text is not here.
"""


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
