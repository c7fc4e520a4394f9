"""Small scorer networks with random weights, made from a fixed formula: the toy's and the canary's."""

from __future__ import annotations

import json
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


def write_clip(folder: Path, seed: int = 0) -> None:
    """Fill an empty folder with a small CLIP and a tokenizer that spells byte by byte, as transformers writes them."""
    import torch
    from transformers import CLIPConfig, CLIPModel

    side = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    ends = {"bos_token_id": 512, "eos_token_id": 513, "pad_token_id": 513}
    config = CLIPConfig(
        text_config={**side, **ends, "vocab_size": 514, "projection_dim": 16, "max_position_embeddings": 77},
        vision_config={**side, "image_size": 32, "patch_size": 8, "projection_dim": 16},
        projection_dim=16,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = CLIPModel(config)
    model.save_pretrained(folder)
    letters = _byte_letters()
    vocabulary = {token: index for index, token in enumerate([*letters, *(f"{each}</w>" for each in letters)])}
    vocabulary |= {"<|startoftext|>": 512, "<|endoftext|>": 513}
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")
    settings = {"tokenizer_class": "CLIPTokenizer", "model_max_length": 77}
    settings |= {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>"}
    settings |= {"unk_token": "<|endoftext|>", "pad_token": "<|endoftext|>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")


def _byte_letters() -> list[str]:
    """Return the 256 letters that stand for bytes in a byte-level vocabulary (GPT-2's table)."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [each for each in range(256) if each not in shown]
    return [chr(each) for each in shown] + [chr(256 + index) for index in range(len(hidden))]
