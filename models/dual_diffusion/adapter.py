"""D-DiT as a model under test: its options, and jobs turned into pictures and answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ...evals.assets import fetch as data
from ...evals.errors import EnvironmentProblem, JanusEvalError, UsageError
from ...evals.pictures import open_picture
from ...evals.types import Job, Json, Kind, Output
from ..device import Dtype, at_least, bytes_of, memory, place
from ..encoded import fits
from .looking import shown
from .parts import NAME, checked, load, weight_files
from .texts import QUESTION, Asked, Protocol, TooLong

if TYPE_CHECKING:
    from torch import Tensor

    from .drawing import Prompts
    from .parts import Parts

_MOST = 8
"""Jobs at once where nobody says how many."""
_REPOSITORIES = {"sft": "JleeOfficial/dual_diff_sd3_512_sft", "base": "JleeOfficial/dual_diff_sd3_512_base"}
_STEPS: Mapping[Protocol, int] = {"script": 32, "pipeline": 64}
"""The defaults of scripts/sample_sd3_vqav2_single_gpu.py and of `image_to_text_sampling_loop`."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """How pictures are drawn."""

    steps: int
    guidance: float
    size: int
    negative_prompt: str


@dataclass(frozen=True, slots=True)
class Answering:
    """How questions are answered."""

    protocol: Protocol
    steps: int
    length: int
    posterior: Literal["sample", "mean"]
    system_prompt: str | None
    mask_embedding: Path | None


@dataclass(frozen=True)
class _Loaded:
    parts: Parts
    prompts: Prompts


class OnePicture(JanusEvalError):
    """A question with no picture, or with several."""

    lasting = True


class DualDiffusion:
    """A D-DiT over a pipeline folder; see `d_dit` for the options.

    Each output has its own noise from its job's seed, so that it depends neither on its neighbours nor on the device.
    In float32 a batch gives what single jobs give up to rounding; in narrower types the batch size may move an output.
    """

    kinds: frozenset[Kind] = frozenset(("image", "text"))
    inert = (
        *("path", "revision", "checkpoint", "steps", "guidance", "size", "negative_prompt", "protocol"),
        *("answer_steps", "length", "posterior", "system_prompt", "mask_embedding", "batch_size", "device", "dtype"),
    )

    def __init__(
        self,
        folder: Callable[[], Path],
        source: str,
        drawing: Drawing,
        answering: Answering,
        *,
        batch: int | None,
        device: str,
        dtype: Dtype,
        assets: Sequence[str] = (),
    ) -> None:
        self._folder, self._source, self._drawing, self._answering = folder, source, drawing, answering
        self._batch, self._device, self._assets = batch, device, assets
        self._dtype: Dtype = dtype
        self.image_size = drawing.size

    def assets(self) -> Sequence[str]:
        """Return the repository, unless a folder was given."""
        return self._assets

    @cached_property
    def folder(self) -> Path:
        """Return the pipeline's folder, fetched first where it is not on this machine."""
        return checked(self._folder())

    @cached_property
    def card(self) -> Mapping[str, Json]:
        """Return every knob that moves an output. Fetches the folder, loads no weights."""
        folder = self.folder  # first: where it is missing, the answer needs no torch
        device, dtype = place(self._device, self._dtype)
        drawing, answering = self._drawing, self._answering
        system = answering.system_prompt
        return {
            "weights": f"{self._source}#{data.fingerprint(folder)}",
            "steps": drawing.steps,
            "guidance": drawing.guidance,
            "size": drawing.size,
            "negative_prompt": drawing.negative_prompt,
            "protocol": answering.protocol,
            "answer_steps": answering.steps,
            "length": answering.length,
            "posterior": answering.posterior,
            "question": QUESTION,
            "system_prompt": "preset" if system is None else system,
            "mask_embedding": "checkpoint" if answering.mask_embedding is None else _digest(answering.mask_embedding),
            "noise": "torch-cpu-generator, philox4x64-v1",
            "device": device.type,
            "dtype": str(dtype).removeprefix("torch."),
        }

    def weights_bytes(self) -> int:
        """Return what the folder's tensors take in the run's type."""
        if "_loaded" in vars(self):
            return 0
        _, dtype = place(self._device, self._dtype)
        return bytes_of(weight_files(self.folder), dtype)

    def batch_size(self, jobs: Sequence[Job]) -> int:
        """Return what was asked for, else what fits beside the weights: at most 8."""
        if self._batch is not None:
            return self._batch
        return fits(self._loaded.parts.device, self._drawing.size, _MOST)

    def predict(self, jobs: Sequence[Job]) -> Sequence[Output]:
        """Return one output for each job, in order.

        Raises OutOfMemory where the batch does not fit, and JanusEvalError, before anything runs, for a question
        without exactly one picture or without room for an answer.
        """
        loaded = self._loaded
        outputs: dict[int, Output] = {}
        with memory(loaded.parts.device, f"a batch of {len(jobs)}"):
            for kind, work in (("image", self._draw), ("text", self._answer)):
                places = [at for at, job in enumerate(jobs) if job.kind == kind]
                if places:
                    outputs.update(zip(places, work(loaded, [jobs[at] for at in places]), strict=True))
        return [outputs[at] for at in range(len(jobs))]

    @cached_property
    def _loaded(self) -> _Loaded:
        device, dtype = place(self._device, self._dtype)
        parts = load(self.folder, device, dtype, self._answering.mask_embedding)
        from .drawing import Prompts  # behind `load`, which tells in one line where diffusers is not installed

        step = parts.scale * parts.network.patch
        most = step * parts.network.most
        if self._drawing.size % step or self._drawing.size > most:
            raise UsageError(f"size={self._drawing.size}: this model has multiples of {step} up to {most}")
        return _Loaded(parts, Prompts(parts))

    def _draw(self, loaded: _Loaded, jobs: Sequence[Job]) -> Sequence[Output]:
        import torch

        from .drawing import draw

        asked = self._drawing
        texts = [job.sample.prompt for job in jobs]
        with torch.inference_mode():
            rows = loaded.prompts([asked.negative_prompt] * (len(jobs) if asked.guidance > 1 else 0) + texts)
        return draw(
            loaded.parts,
            rows,
            [job.seed for job in jobs],
            size=asked.size,
            steps=asked.steps,
            guidance=asked.guidance,
        )

    def _answer(self, loaded: _Loaded, jobs: Sequence[Job]) -> Sequence[Output]:
        import torch

        from ..janus.noise import noise_for
        from .answering import uncover

        parts, length = loaded.parts, self._answering.length
        asked = [self._asked(parts, job) for job in jobs]
        latents = self._seen(parts, jobs)
        noise = noise_for([job.seed for job in jobs], length * parts.vocabulary, parts.device)
        ids = [[*each.ids, *[parts.texts.mask] * (length - len(each.ids))] for each in asked]
        filled = uncover(
            lambda rows, ids: parts.network.logits(latents[rows], parts.embedded(ids)),
            torch.tensor(ids, device=parts.device),
            parts.texts.mask,
            steps=self._answering.steps,
            race=lambda step: noise(step).view(len(jobs), length, parts.vocabulary),
        )
        return [parts.texts.answer(each, row) for each, row in zip(asked, filled.tolist(), strict=True)]

    def _asked(self, parts: Parts, job: Job) -> Asked:
        sample, how = job.sample, self._answering
        if len(sample.images) != 1:
            raise OnePicture(f"sample {sample.id!r}: D-DiT looks at one picture, it has {len(sample.images)}")
        system = sample.system if how.system_prompt is None else how.system_prompt
        try:
            return parts.texts.asked(f"{system} {sample.prompt}", how.protocol, how.length)
        except TooLong as error:
            raise TooLong(f"sample {sample.id!r}: {error}") from error

    def _seen(self, parts: Parts, jobs: Sequence[Job]) -> Tensor:
        """Return what the network sees (B, channels, H, W) of each question's picture."""
        import torch

        opened = [open_picture(job.sample.images[0].read(), job.sample.images[0].name) for job in jobs]
        pixels = [torch.from_numpy(shown(each, self._drawing.size))[None] for each in opened]
        rows: list[Tensor] = []
        with torch.inference_mode():
            for job, each in zip(jobs, pixels, strict=True):  # one by one: encoding takes more than the network
                found = parts.vae.encode(each.to(parts.device, parts.dtype)).latent_dist
                generator = torch.Generator("cpu").manual_seed(job.seed)
                rows.append(found.mode() if self._answering.posterior == "mean" else found.sample(generator))
        return (torch.cat(rows) - parts.vae.config.shift_factor) * parts.vae.config.scaling_factor


def d_dit(
    *,
    checkpoint: Literal["sft", "base"] = "sft",
    path: Path | None = None,
    revision: str | None = None,
    steps: int = 28,
    guidance: float = 7.0,
    size: int = 512,
    negative_prompt: str = "",
    protocol: Protocol = "script",
    answer_steps: int | None = None,
    length: int = 128,
    posterior: Literal["sample", "mean"] = "sample",
    system_prompt: str | None = None,
    mask_embedding: Path | None = None,
    batch_size: int | None = None,
    device: str = "auto",
    dtype: Dtype = "auto",
    offline: bool = False,
) -> DualDiffusion:
    """Return D-DiT (dual diffusion over Stable Diffusion 3), which draws 512 px and answers.

    `path`: a local pipeline folder; without it the repository of the `checkpoint` (sft draws and answers, base draws
    and captions) is fetched at `revision`. `steps`, `guidance`, `negative_prompt`: of drawing. `size`: what is drawn
    and what is seen, in pixels. `protocol`: `script` drops the end token between question and answer, as the authors'
    evaluation does, with 32 `answer_steps`; `pipeline` keeps it, as their pipeline does, with 64. `length`: tokens of
    question and answer together. `posterior`: whether a picture that is seen is a sample of its encoding, or its mean.
    `mask_embedding`: a file with T5's aligned embedding of the mask. `system_prompt` stands before the benchmark's,
    both before the question. `dtype` auto: bfloat16 on a GPU, else float32.
    """
    at_least(1, steps=steps, size=size, answer_steps=answer_steps, batch_size=batch_size)
    at_least(2, length=length)
    if not 0 <= guidance < float("inf"):
        raise UsageError(f"guidance={guidance}: expected a finite number from 0 up")
    drawing = Drawing(steps, guidance, size, negative_prompt)
    answering = Answering(
        protocol,
        _STEPS[protocol] if answer_steps is None else answer_steps,
        length,
        posterior,
        system_prompt,
        mask_embedding,
    )
    repository = _REPOSITORIES[checkpoint]
    source = f"{repository}@{revision or 'main'}" if path is None else path.name

    def folder() -> Path:
        return path or data.hub_folder(repository, revision=revision, offline=offline)

    assets = () if path else (data.called(repository, revision),)
    return DualDiffusion(
        folder, source, drawing, answering, batch=batch_size, device=device, dtype=dtype, assets=assets
    )


def _digest(path: Path) -> str:
    """Return a file's name and the begin of its digest. Raises EnvironmentProblem where it is not there."""
    if not path.is_file():
        raise EnvironmentProblem(f"mask_embedding={path}: no such file: janus-eval data fetch {NAME}-mask")
    return f"{path.name}#{data.digests([path], 'sha256')[0]['sha256'][:16]}"
