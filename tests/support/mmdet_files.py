"""Small scorer files of the real formats, made for these tests."""

from __future__ import annotations

import re
from pathlib import Path

import torch
from janus_eval.benchmarks.geneval.detector import small
from janus_eval.benchmarks.geneval.prompts import CLASSES

_TO_2X = (
    (r"(pixel_decoder\.encoder\.layers\.\d+)\.self_attn\.", r"\1.attentions.0."),
    (r"(transformer_decoder\.layers\.\d+)\.cross_attn\.attn\.", r"\1.attentions.0.attn."),
    (r"(transformer_decoder\.layers\.\d+)\.self_attn\.attn\.", r"\1.attentions.1.attn."),
    (r"((?:encoder|transformer_decoder)\.layers\.\d+)\.ffn\.", r"\1.ffns.0."),
)


def state_dict(naming: str = "2.x", seed: int = 0) -> dict[str, torch.Tensor]:
    """Return a small random network as mmdet names it, index buffers included."""
    tensors = dict(small.checkpoint(seed=seed).tensors)
    for key in [key for key in tensors if key.endswith("relative_position_bias_table")]:
        tensors[key.replace("bias_table", "index")] = _index(small.SMALL.window)
    if naming == "3.x":
        return tensors
    renamed = {}
    for key, value in tensors.items():
        for pattern, new in _TO_2X:
            key = re.sub(pattern, new, key)
        renamed[key] = value
    return renamed


def _index(window: int) -> torch.Tensor:
    """Return mmdet's buffer: for each pair of pixels of a window the row of its bias table."""
    steps = (torch.arange(window)[:, None] * (2 * window - 1) + torch.arange(window)).reshape(1, -1)
    return (steps + steps.T).flip(1).contiguous()


def coco_names() -> tuple[str, ...]:
    """Return the class list as mmdet stores it: COCO's own spelling."""
    back = {"computer mouse": "mouse", "tv remote": "remote", "computer keyboard": "keyboard"}
    return tuple(back.get(name, name) for name in CLASSES)


def write_pth(path: Path, naming: str = "2.x", *, seed: int = 0, zipped: bool = False, meta: object = None) -> Path:
    """Write {meta, state_dict} as mmdet publishes it: the old torch format unless `zipped`."""
    listed = {"CLASSES": coco_names()} if naming == "2.x" else {"dataset_meta": {"classes": coco_names()}}
    content = {"meta": listed if meta is None else meta, "state_dict": state_dict(naming, seed)}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    return path
