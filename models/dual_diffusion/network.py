"""D-DiT's transformer: the blocks of Stable Diffusion 3, one head that draws and one that fills in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.attention import JointTransformerBlock
from diffusers.models.embeddings import PatchEmbed, TimestepEmbedding, Timesteps
from diffusers.models.modeling_utils import ModelMixin
from diffusers.models.normalization import AdaLayerNormContinuous
from torch import Tensor, nn

_TIME = 256
"""Sines and cosines that tell the time."""
_NULL = 8
"""Places of the picture that stands for none; training alone uses them."""


class DualTransformer(ModelMixin, ConfigMixin):
    """The network of `SD3JointModelFlexible`, with its names of parameters and its config.json.

    Source: Li et al., arXiv 2501.00289; zijieli-Jlee/Dual-Diffusion bbf06bf, sd3_modules/sd3_model.py. It differs from
    Stable Diffusion 3's in four things: the last block keeps the words' half, no pooled text enters the time, the words
    have a head over the tokenizer's vocabulary, and there is a learnt picture for "none".
    """

    @register_to_config  # pyright: ignore[reportUntypedFunctionDecorator] - diffusers does not annotate it
    def __init__(
        self,
        *,
        vocab_size: int,
        sample_size: int = 128,
        patch_size: int = 2,
        in_channels: int = 16,
        num_layers: int = 18,
        attention_head_dim: int = 64,
        num_attention_heads: int = 18,
        joint_attention_dim: int = 4096,
        caption_projection_dim: int = 1152,
        pooled_projection_dim: int = 2048,
        out_channels: int | None = 16,
        pos_embed_max_size: int = 96,
        dual_attention_layers: Sequence[int] = (),
        qk_norm: str | None = None,
    ) -> None:
        super().__init__()
        del pooled_projection_dim  # of the text that does not enter
        width = num_attention_heads * attention_head_dim
        if width != caption_projection_dim or dual_attention_layers or qk_norm:
            raise ValueError("D-DiT has one width, no dual attention and no qk_norm: the folder is another's")
        self.patch, self.channels = patch_size, out_channels or in_channels
        self.vocabulary, self.most = vocab_size, pos_embed_max_size
        self.pos_embed = PatchEmbed(
            height=sample_size,
            width=sample_size,
            patch_size=patch_size,
            in_channels=in_channels,
            embed_dim=width,
            pos_embed_max_size=pos_embed_max_size,
        )
        self.time_text_embed = _Time(width)
        self.context_embedder = nn.Linear(joint_attention_dim, width)
        self.transformer_blocks = nn.ModuleList(
            JointTransformerBlock(width, num_attention_heads, attention_head_dim) for _ in range(num_layers)
        )
        self.image_norm_out = AdaLayerNormContinuous(width, width, elementwise_affine=False, eps=1e-6)
        self.image_proj_out = nn.Linear(width, patch_size**2 * self.channels)
        self.text_norm_out = nn.LayerNorm(width, elementwise_affine=False, eps=1e-6)
        self.text_proj_out = nn.Linear(width, vocab_size)
        self.null_image_embd = nn.Parameter(torch.zeros(1, _NULL, width))

    def velocity(self, latents: Tensor, time: Tensor, text: Tensor) -> Tensor:
        """Return where latents (B, channels, H, W) flow to at `time` (B,), 1000 to 0, under texts (B, T, width)."""
        batch, _, height, width = latents.shape
        rows, columns = height // self.patch, width // self.patch
        _, picture, moment = self._streams(latents, time, text)
        patches = self.image_proj_out(self.image_norm_out(picture, moment))
        patches = patches.view(batch, rows, columns, self.patch, self.patch, self.channels)
        return patches.permute(0, 5, 1, 3, 2, 4).reshape(batch, self.channels, height, width)

    def logits(self, latents: Tensor, text: Tensor) -> Tensor:
        """Return float32 logits (B, T, vocabulary) of the words at each place, beside a whole picture's latents."""
        words, _, _ = self._streams(latents, torch.zeros(len(latents), device=latents.device), text)
        return self.text_proj_out(self.text_norm_out(words)).float()

    def _streams(self, latents: Tensor, time: Tensor, text: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        picture: Tensor = self.pos_embed(latents)
        moment: Tensor = self.time_text_embed(time, latents.dtype)
        words: Tensor = self.context_embedder(text)
        for block in self.transformer_blocks:
            words, picture = block(hidden_states=picture, encoder_hidden_states=words, temb=moment)
        return words, picture, moment


class _Time(nn.Module):
    """A moment as a vector; nothing of the text enters it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.time_proj = Timesteps(num_channels=_TIME, flip_sin_to_cos=True, downscale_freq_shift=0)
        self.timestep_embedder = TimestepEmbedding(in_channels=_TIME, time_embed_dim=width)

    def forward(self, time: Tensor, dtype: torch.dtype) -> Any:
        return self.timestep_embedder(self.time_proj(time).to(dtype))
