"""A small detector with random weights, made from a fixed formula: the canary's."""

from __future__ import annotations

import math
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from .architecture import Architecture, plan
from .checkpoint import Checkpoint
from .pixels import Settings

if TYPE_CHECKING:
    from torch import Tensor

SMALL = Architecture(
    patch=4,
    embed_dim=16,
    depths=(1, 1, 2, 1),
    heads=(1, 2, 4, 8),
    window=7,
    mlp_ratio=2.0,
    width=32,
    mask_width=32,
    encoder_layers=1,
    encoder_ffn=64,
    attention_heads=4,
    decoder_layers=2,
    decoder_ffn=64,
    queries=8,
    classes=80,
)
SMALL_SETTINGS = Settings(scale=(160, 128), max_per_image=20)


def checkpoint(size: Architecture = SMALL, seed: int = 0, confidence: float = 4.0) -> Checkpoint:
    """Return random tensors for a network of this size under mmdet 3.x names.

    Every tensor comes from its own name and the seed, so that the order does not matter. Widths keep
    the signal's size through the layers; `confidence` scales the class logits, so that some boxes
    rise above the floor.
    """
    tensors = {name: _random(name, step.shape, seed) for name, step in plan(size).items()}
    tensors["panoptic_head.cls_embed.weight"] *= confidence
    return Checkpoint(Path("small"), tensors, None)


def _random(name: str, shape: tuple[int, ...], seed: int) -> Tensor:
    import numpy as np
    import torch

    # RandomState, not default_rng: its stream is frozen for good, and the canary's numbers hang on it.
    state = np.random.RandomState(zlib.crc32(f"{seed}/{name}".encode()))
    values = state.standard_normal(shape)
    if len(shape) == 1:
        values = 1 + 0.1 * values if name.endswith("weight") else 0.05 * values
    else:
        values *= _scale(name, shape)
    return torch.from_numpy(values.astype(np.float32))


def _scale(name: str, shape: tuple[int, ...]) -> float:
    """Return the spread of a matrix: unit gain, but queries that differ and branches that do not drown them."""
    if name.startswith("panoptic_head.query_"):
        return 2.0
    if "level_e" in name:
        return 0.5
    gain = math.prod(shape[1:]) ** -0.5
    calm = ("transformer_decoder" in name and ("out_proj" in name or "ffn.layers.1" in name)) or "offsets" in name
    return 0.5 * gain if calm else gain


def write_detector(folder: Path, seed: int = 0) -> None:
    """Fill an empty folder with the small detector, converted as a downloaded checkpoint would be."""
    from .convert import converted, write

    size, which, tensors = converted(checkpoint(seed=seed))
    write(folder, size, tensors, SMALL_SETTINGS, {"file": "made by the package", "naming": which})
