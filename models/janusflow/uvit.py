"""The shallow U-ViT around JanusFlow's language model: latents to places of a prompt, and back to a velocity.

Port of `janus/janusflow/models/uvit.py` (deepseek-ai/Janus 1daa72f, MIT), the parts in use; modules bear the names of
the public checkpoint.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from diffusers.models.embeddings import TimestepEmbedding, Timesteps
from torch import Tensor, nn
from transformers.models.llama.modeling_llama import LlamaRMSNorm


class ResponseNorm(nn.Module):
    """Global response normalisation (ConvNeXt V2) of maps (B, H, W, C)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1, 1, 1, channels))
        self.bias = nn.Parameter(torch.zeros(1, 1, 1, channels))

    def forward(self, x: Tensor) -> Tensor:
        size = torch.norm(x, p=2, dim=(1, 2), keepdim=True)
        relative = size / (size.mean(dim=-1, keepdim=True) + 1e-6)
        return torch.addcmul(self.bias, self.weight * relative + 1, x)


class Block(nn.Module):
    """A ConvNeXt block that the time scales and shifts: maps (B, C, H, W), time (B, hidden)."""

    def __init__(self, channels: int, hidden: int, *, eps: float, bias: bool) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 7, padding=3, groups=channels, bias=bias)
        self.norm = LlamaRMSNorm(channels, eps)
        self.channelwise_linear_1 = nn.Linear(channels, 4 * channels, bias=bias)
        self.channelwise_norm = ResponseNorm(4 * channels)
        self.channelwise_linear_2 = nn.Linear(4 * channels, channels, bias=bias)
        self.cond_embeds_mapper = nn.Linear(hidden, 2 * channels, bias=bias)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        inner = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        inner = self.channelwise_norm(F.gelu(self.channelwise_linear_1(inner)))
        x = self.channelwise_linear_2(inner).permute(0, 3, 1, 2) + x
        scale, shift = self.cond_embeds_mapper(F.silu(time)).chunk(2, dim=1)
        return torch.addcmul(shift[:, :, None, None], x, (1 + scale)[:, :, None, None])


class Blocks(nn.Module):
    """Blocks one after another."""

    def __init__(self, count: int, channels: int, hidden: int, *, eps: float, bias: bool) -> None:
        super().__init__()
        self.res_blocks = nn.ModuleList(Block(channels, hidden, eps=eps, bias=bias) for _ in range(count))

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        for block in self.res_blocks:
            x = block(x, time)
        return x


class Encoder(nn.Module):
    """Latents (B, input_channels, S, S) at times (B,) of 0 to 1000: maps (B, C, G, G) and the time's (B, hidden).

    Parameters are those of a config.json with the official defaults; `block_out_channels` has one entry.
    """

    def __init__(
        self,
        *,
        input_channels: int = 3,
        stride: int = 4,
        kernel_size: int = 7,
        padding: int | None = None,
        block_out_channels: tuple[int, ...] = (768,),
        layers_in_middle: int = 2,
        hidden_size: int = 2048,
        use_bias: bool = True,
        norm_eps: float = 1e-6,
        use_mid_block: bool = True,
    ) -> None:
        super().__init__()
        (channels,) = block_out_channels
        padding = kernel_size - stride if padding is None else padding
        self.time_proj = Timesteps(channels, flip_sin_to_cos=True, downscale_freq_shift=0)
        self.time_embed = TimestepEmbedding(channels, hidden_size, sample_proj_bias=use_bias)
        self.in_conv = nn.Conv2d(input_channels, channels, kernel_size, stride=stride, padding=padding)
        count = layers_in_middle if use_mid_block else 0
        self.mid_block = Blocks(count, channels, hidden_size, eps=norm_eps, bias=use_bias)

    def forward(self, latents: Tensor, times: Tensor) -> tuple[Tensor, Tensor]:
        time = self.time_embed(self.time_proj(times).to(latents.dtype))
        return self.mid_block(self.in_conv(latents), time), time


class Widen(nn.Module):
    """Maps twice as wide: (B, C, G, G) to (B, out, 2 G, 2 G)."""

    def __init__(self, channels: int, out: int, *, eps: float, bias: bool) -> None:
        super().__init__()
        self.norm = LlamaRMSNorm(channels, eps)
        self.unpatch_conv = nn.Conv2d(channels, 4 * out, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        return F.pixel_shuffle(self.unpatch_conv(self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)), 2)


class Decoder(nn.Module):
    """Maps of the language model (B, in_channels, G, G) beside the encoder's to a velocity (B, out_channels, S, S)."""

    def __init__(
        self,
        *,
        in_channels: int = 768,
        out_channels: int = 3,
        block_out_channels: tuple[int, ...] = (768,),
        upsamples: int = 2,
        layers_in_middle: int = 2,
        hidden_size: int = 2048,
        norm_eps: float = 1e-6,
        use_bias: bool = True,
        use_mid_block: bool = True,
    ) -> None:
        super().__init__()
        (channels,) = block_out_channels
        self.input_norm = LlamaRMSNorm(in_channels, norm_eps)
        count = layers_in_middle if use_mid_block else 0
        self.mid_block = Blocks(count, in_channels + channels, hidden_size, eps=norm_eps, bias=use_bias)
        widths = [in_channels + channels, *[channels] * (upsamples - 1)]
        outs = [*[channels] * (upsamples - 1), out_channels]
        self.out_convs = nn.ModuleList(
            Widen(width, out, eps=norm_eps, bias=use_bias) for width, out in zip(widths, outs, strict=True)
        )

    def forward(self, x: Tensor, beside: Tensor, time: Tensor) -> Tensor:
        x = self.input_norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        x = self.mid_block(torch.cat([x, beside], dim=1), time)
        for widen in self.out_convs:
            x = widen(x)
        return x
