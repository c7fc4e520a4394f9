"""JanusFlow's network and its drawing: a velocity for every picture of a batch, and Euler's steps along it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from transformers import LlamaModel
from transformers.models.janus.modeling_janus import JanusVisionModel
from transformers.models.llama.modeling_llama import LlamaRMSNorm

from ...evals.errors import JanusEvalError
from ..janus.engine import prefill
from ..janus.network import Cache, Language, whole
from .uvit import Decoder, Encoder

if TYPE_CHECKING:
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
    from transformers import JanusVisionConfig, LlamaConfig


class Flow(nn.Module):
    """The modules of a checkpoint under its names; language model and vision tower under those of transformers."""

    def __init__(
        self,
        language: LlamaConfig,
        vision: JanusVisionConfig,
        encoder: Mapping[str, Any],
        decoder: Mapping[str, Any],
    ) -> None:
        super().__init__()
        hidden, core = language.hidden_size, nn.Module()
        core.language_model, core.vision_model = LlamaModel(language), JanusVisionModel(vision)
        self.model = core
        self.lm_head = nn.Linear(hidden, language.vocab_size, bias=False)
        self.vision_und_enc_aligner = nn.Linear(vision.hidden_size, hidden)
        self.beg_of_und_embed = nn.Parameter(torch.zeros(1, hidden))
        self.vision_gen_enc_model = Encoder(**encoder)
        self.vision_gen_dec_model = Decoder(**decoder)
        into, out = self.vision_gen_enc_model.in_conv.out_channels, self.vision_gen_dec_model.input_norm.weight.numel()
        self.vision_gen_enc_aligner = nn.Linear(into, hidden)
        self.vision_gen_dec_aligner_norm = LlamaRMSNorm(hidden, eps=language.rms_norm_eps)
        self.vision_gen_dec_aligner = nn.Linear(hidden, out)


class FlowNetwork(Language):
    """The loaded JanusFlow and its VAE as the functions that drawing and reading need."""

    def __init__(self, model: Flow, vae: AutoencoderKL, *, pack: bool = True) -> None:
        self.model = model
        self._vae: Any = vae
        told: Any = vae.config
        self._scaling: float = told.scaling_factor
        super().__init__(model.model, model.lm_head, pack=pack)
        vision: Any = self._core.vision_model.config
        self.image_tokens: int = vision.num_image_tokens + 1  # the embedding that begins a picture, then the picture
        self.image_size: int = vision.image_size
        first = model.vision_gen_enc_model.in_conv
        side = self.image_size >> (len(told.block_out_channels) - 1)
        self.latents = (first.in_channels, side, side)
        """The shape of a picture's latents."""
        reach = side + 2 * int(first.padding[0]) - first.kernel_size[0]
        self.grid: int = reach // first.stride[0] + 1
        # One picture at a time where bits are to hold: a convolution's sums depend on how many there are.
        self._portion = 1 if self.dtype == torch.float32 else 8

    def see(self, pixels: Tensor) -> Tensor:
        features = self._core.vision_model(pixels.to(self.device, self.dtype)).last_hidden_state
        begin = self.model.beg_of_und_embed.expand(len(pixels), 1, -1)
        return torch.cat((begin, self.model.vision_und_enc_aligner(features)), dim=1)

    def decode(self, drawn: Tensor) -> Tensor:
        latents = drawn.to(self._vae.dtype) / self._scaling
        return self._vae.decode(latents).sample

    def encode(self, latents: Tensor, time: float) -> tuple[Tensor, Tensor, Tensor]:
        """Return what latents (B, C, S, S) at a time of 0 to 1000 are to the language model.

        Their places (B, grid * grid, hidden), the time's (B, hidden), and the maps that `velocity` takes beside.
        """
        parts: list[tuple[Tensor, ...]] = []
        for some in latents.to(self.dtype).split(self._portion):
            maps, embedded = self.model.vision_gen_enc_model(some, some.new_full((len(some),), time, dtype=torch.float))
            parts.append((self.model.vision_gen_enc_aligner(maps.flatten(2).transpose(1, 2)), embedded, maps))
        places, embedded, maps = (torch.cat(each) for each in zip(*parts, strict=True))
        return places, embedded, maps

    def velocity(self, hidden: Tensor, maps: Tensor, time: Tensor) -> Tensor:
        """Return velocities (B, C, S, S) from normed hidden states (B, grid * grid, hidden)."""
        model, parts = self.model, []
        for some, beside, when in zip(*(each.split(self._portion) for each in (hidden, maps, time)), strict=True):
            x = model.vision_gen_dec_aligner(model.vision_gen_dec_aligner_norm(some))
            x = x.reshape(len(x), self.grid, self.grid, -1).permute(0, 3, 1, 2)
            parts.append(model.vision_gen_dec_model(x, beside, when))
        return torch.cat(parts)


Watch = Callable[[int, Tensor, "Tensor | None"], None]
"""(step, conditional velocities (B, C, S, S), unconditional ones or None)."""


@torch.inference_mode()
def draw(
    network: FlowNetwork,
    prompts: Sequence[tuple[int, ...]],
    latents: Tensor,
    *,
    guidance: float,
    steps: int,
    watch: Watch | None = None,
) -> Tensor:
    """Carry noise (B, C, S, S) to the latents of a picture for each prompt; float32, on the network's device.

    Port of the README's loop (deepseek-ai/Janus 1daa72f, MIT). A prompt stands before the time and the picture's
    places, all attended causally; `steps` steps of Euler from time 0, each along guidance * conditional -
    (guidance - 1) * unconditional. The unconditional row sees its begin token alone, its positions are those of its
    prompt. Prompts are run once, as no later place moves them. Raises JanusEvalError for latents that are not finite.
    """
    count, guided = len(prompts), guidance != 1
    if not count:
        return latents
    rows = [*prompts, *[prompt[:1] for prompt in prompts if guided]]
    run = 1 + network.grid**2
    longest = max(len(row) for row in rows)
    starts = torch.tensor([len(prompt) for prompt in prompts], device=network.device).repeat(len(rows) // count)
    known = torch.tensor([len(row) for row in rows], device=network.device)
    cache = Cache.empty(network, len(rows), longest + run)
    prefill(network, rows, cache)
    positions = starts[:, None] + torch.arange(run, device=network.device)
    columns = torch.arange(whole(longest + run), device=network.device)
    seen = (columns < known[:, None]) | (columns >= starts[:, None])
    visible = ((columns <= positions[..., None]) & seen[:, None])[:, None]
    latents = latents.to(network.device, torch.float32)
    for step in range(steps):
        places, time, maps = network.encode(latents, step / steps * 1000.0)
        x = torch.cat((time[:, None], places), dim=1)
        twice = [torch.cat((each, each)) if guided else each for each in (x, maps, time)]
        hidden = network.normed(network.go_on(twice[0], positions, cache, visible)[:, 1:])
        found = network.velocity(hidden, twice[1], twice[2]).float()
        conditional, unconditional = found[:count], found[count:] if guided else None
        if watch:
            watch(step, conditional, unconditional)
        if unconditional is not None:
            conditional = guidance * conditional - (guidance - 1.0) * unconditional
        latents = latents + conditional * (1.0 / steps)
    if not bool(torch.isfinite(latents).all()):
        raise JanusEvalError("the network's latents are not finite: the weights or the dtype are at fault")
    return latents
