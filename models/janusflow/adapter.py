"""JanusFlow as a model under test: its registered name, its options, and jobs turned into outputs."""

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
from ..janus.adapter import read_roles
from ..janus.pixels import read_rule
from ..janus.prompts import OFFICIAL_SYSTEM, PLAIN_ROLES, ImagePosition, Tokens, Turn, draw_prompt
from .checkpoint import Checkpoint, Vae

if TYPE_CHECKING:
    from ..janus.asking import Loaded
    from .network import FlowNetwork

_REPOSITORY = "deepseek-ai/JanusFlow-1.3B"
_VAE = "stabilityai/sdxl-vae"
_VAE_FILES = ("config.json", "diffusion_pytorch_model.safetensors")


@dataclass(frozen=True, slots=True)
class Knobs:
    """Every option that moves an output, resolved, beside the weights."""

    guidance: float
    steps: int
    max_new_tokens: int
    turn: Turn
    system_prompt: str | None
    device: str
    dtype: Dtype


@dataclass(frozen=True, slots=True)
class Source:
    """Where a folder comes from, its name in the card, and what `data fetch` calls it (none for one that was given)."""

    name: str
    folder: Callable[[], Path]
    asset: str = ""


class JanusFlow:
    """A JanusFlow over a checkpoint folder and a VAE's; see `janusflow` for the options."""

    kinds: frozenset[Kind] = frozenset(("image", "text", "likelihood"))
    shares_pictures = True
    image_size = 384
    inert = (
        *("path", "vae", "revision", "recipe", "guidance", "steps", "max_new_tokens", "roles", "system_prompt"),
        *("image_position", "batch_size", "device", "dtype"),
    )

    def __init__(self, model: Source, vae: Source, knobs: Knobs, *, batch: int | None) -> None:
        self._model, self._decoder, self._knobs, self._batch = model, vae, knobs, batch

    def assets(self) -> Sequence[str]:
        """Return the repositories of the model and its decoder, unless folders were given."""
        return [each.asset for each in (self._model, self._decoder) if each.asset]

    @cached_property
    def checkpoint(self) -> Checkpoint:
        """Return the model folder, fetched first where it is not on this machine."""
        return Checkpoint(self._model.folder())

    @cached_property
    def vae(self) -> Vae:
        """Return the VAE's folder, fetched first where it is not on this machine."""
        return Vae(self._decoder.folder())

    @cached_property
    def card(self) -> Mapping[str, Json]:
        """Return every knob that moves an output. Fetches the folders, loads no weights."""
        needed("diffusers")
        knobs, checkpoint, vae = self._knobs, self.checkpoint, self.vae  # a missing folder is told before torch comes
        device, dtype = place(knobs.device, knobs.dtype)
        return {
            "weights": f"{self._model.name}#{checkpoint.fingerprint}",
            "vae": f"{self._decoder.name}#{vae.fingerprint}",
            "vae_scaling": vae.scaling,
            "recipe": "readme",
            "guidance": knobs.guidance,
            "steps": knobs.steps,
            "solver": "euler, float32",
            "noise": "philox4x64-normal-v1",
            "max_new_tokens": knobs.max_new_tokens,
            "roles": ",".join(knobs.turn.roles),
            "system_prompt": "preset" if knobs.system_prompt is None else knobs.system_prompt,
            "image_position": knobs.turn.image_position,
            "device": device.type,
            "dtype": str(dtype).removeprefix("torch."),
        }

    def weights_bytes(self) -> int:
        """Return what the tensors of both folders take in the run's type; the VAE's unused half counts too."""
        if "_loaded" in vars(self):
            return 0
        _, dtype = place(self._knobs.device, self._knobs.dtype)
        return bytes_of([*self.checkpoint.shards, self.vae.file], dtype)

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
    def _loaded(self) -> Loaded[FlowNetwork]:
        import torch

        from ..janus.asking import Loaded
        from ..janus.pictures import Studio
        from ..janus.reading import Kept
        from .network import FlowNetwork

        knobs, folder = self._knobs, self.checkpoint.folder
        device, dtype = exact(knobs.device, knobs.dtype)
        tokens = Tokens(folder)
        with memory(device, "the weights"):
            # In float16 the VAE overflows: the README's own warning.
            vae = self.vae.network(device=device, dtype=torch.float32 if dtype == torch.float16 else dtype)
            network = FlowNetwork(self.checkpoint.network(device=device, dtype=dtype), vae)
        tokens.must_belong(network.vocabulary)
        rule = read_rule(folder, network.image_size)
        return Loaded(
            *(network, tokens, rule, Studio(network), Kept(), knobs.turn, knobs.system_prompt, knobs.max_new_tokens),
            begun=False,
        )

    def _prompt(self, job: Job) -> tuple[int, ...]:
        """Return what stands before the time: the drawing prompt, whose last token the time replaces."""
        return draw_prompt(self._loaded.tokens, self._knobs.turn, job.sample.prompt).conditional[:-1]

    def _draw(self, jobs: Sequence[Job]) -> Sequence[Output]:
        import numpy as np
        import torch

        from ..janus.noise import normals
        from .network import draw

        network, knobs = self._loaded.network, self._knobs
        prompts = [self._prompt(job) for job in jobs]
        for job, prompt in zip(jobs, prompts, strict=True):
            self._loaded.must_fit(job, len(prompt), 1 + network.grid**2)
        size = int(np.prod(network.latents))
        noise = np.stack([normals(job.seed, size).reshape(network.latents) for job in jobs])
        drawn = draw(network, prompts, torch.from_numpy(noise), guidance=knobs.guidance, steps=knobs.steps)
        return self._loaded.studio.pictures(drawn)

    def _bytes(self, job: Job) -> int:
        """Return what one drawing takes at its peak: its cache, and its rows' activations and masks."""
        network = self._loaded.network
        run, end = 1 + network.grid**2, len(self._prompt(job)) + 1 + network.grid**2
        rows = 1 if self._knobs.guidance == 1 else 2
        return rows * (network.row_bytes(run, end) + 5 * run * end)


def janusflow(
    *,
    path: Path | None = None,
    vae: Path | None = None,
    revision: str | None = None,
    recipe: Literal["readme"] = "readme",
    guidance: float = 2.0,
    steps: int = 30,
    max_new_tokens: int = 512,
    roles: str | None = None,
    system_prompt: str | None = None,
    image_position: ImagePosition = "before",
    batch_size: int | None = None,
    device: str = "auto",
    dtype: Dtype = "auto",
    offline: bool = False,
) -> JanusFlow:
    """Return JanusFlow 1.3B under its README's recipe: guidance 2, 30 steps, 384 px, the VAE of SDXL.

    `path` and `vae`: local folders; without them deepseek-ai/JanusFlow-1.3B is fetched at `revision`, and
    stabilityai/sdxl-vae. Guidance 1 skips the unconditional half. `roles`: `User,Assistant` or the like.
    `system_prompt` stands before the benchmark's; `official` is the official processor's default.
    `image_position`: pictures `before` the text or `after` it. `dtype` auto: bfloat16 on a GPU, else float32; in
    float16 the VAE stays in float32.
    """
    at_least(1, steps=steps, max_new_tokens=max_new_tokens, batch_size=batch_size)
    if not 0 <= guidance < float("inf"):
        raise UsageError(f"guidance={guidance}: expected a finite number from 0 up")
    knobs = Knobs(
        guidance=guidance,
        steps=steps,
        max_new_tokens=max_new_tokens,
        turn=Turn(read_roles(roles) if roles else PLAIN_ROLES, image_position),
        system_prompt=OFFICIAL_SYSTEM if system_prompt == "official" else system_prompt,
        device=device,
        dtype=dtype,
    )
    return JanusFlow(
        _source(_REPOSITORY, path, revision=revision, offline=offline),
        _source(_VAE, vae, offline=offline, files=_VAE_FILES),
        knobs,
        batch=batch_size,
    )


def _source(
    repository: str, path: Path | None, *, revision: str | None = None, offline: bool, files: Sequence[str] = ()
) -> Source:
    if path is not None:
        return Source(path.name, lambda: path)
    named = f"{repository}@{revision or 'main'}"
    asset = called(repository, revision)
    return Source(named, lambda: hub_folder(repository, revision=revision, offline=offline, patterns=files), asset)
