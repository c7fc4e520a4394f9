"""A picture by flow matching: noise follows the network's velocity to latents, which are decoded one by one.

The order of calls is that of `text_to_image_sampling_loop` (zijieli-Jlee/Dual-Diffusion bbf06bf,
sd3_modules/dual_diff_pipeline.py): equal noise gives equal latents.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from PIL.Image import Image
from torch import Tensor

from .looking import drawn
from .parts import Parts

TOKENS = 256
"""Tokens of a prompt, padding included; what is longer is cut, as the authors' pipeline does."""


class Prompts:
    """Embeddings of prompts, each encoded once: kept are those of the last batch."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._known: dict[str, Tensor] = {}

    def __call__(self, prompts: Sequence[str]) -> Tensor:
        """Return the embeddings (B, 256, width of T5) of prompts."""
        lacking = [each for each in dict.fromkeys(prompts) if each not in self._known]
        fresh: dict[str, Tensor] = {}
        if lacking:
            ids = [self._parts.texts.drawn(each, TOKENS) for each in lacking]
            rows = self._parts.embedded(torch.tensor(ids, device=self._parts.device))
            fresh = dict(zip(lacking, rows, strict=True))
        self._known = {each: fresh[each] if each in fresh else self._known[each] for each in prompts}
        return torch.stack([self._known[each] for each in prompts])


@torch.inference_mode()
def draw(parts: Parts, texts: Tensor, seeds: Sequence[int], *, size: int, steps: int, guidance: float) -> list[Image]:
    """Return a picture for each seed.

    `texts` (B, T, width) are the embeddings of B prompts; where `guidance` is above 1, those of what they are
    guided away from come first: (2 B, T, width). Noise comes from a CPU generator for each picture.
    """
    from diffusers.utils.torch_utils import randn_tensor

    guided = guidance > 1
    side = size // parts.scale
    generators = [torch.Generator("cpu").manual_seed(seed) for seed in seeds]
    shape = (len(seeds), parts.network.channels, side, side)
    latents = randn_tensor(shape, generator=generators, device=parts.device, dtype=parts.dtype)
    parts.scheduler.set_timesteps(steps, device=parts.device)
    for time in parts.scheduler.timesteps:
        rows = torch.cat([latents] * 2) if guided else latents
        flow = parts.network.velocity(rows, time.expand(len(rows)), texts)
        if guided:
            away, towards = flow.chunk(2)
            flow = away + guidance * (towards - away)
        latents = parts.scheduler.step(flow, time, latents, return_dict=False)[0]
    latents = latents / parts.vae.config.scaling_factor + parts.vae.config.shift_factor
    return [drawn(parts.vae.decode(each[None], return_dict=False)[0][0]) for each in latents]
