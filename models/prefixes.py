"""What stands before the questions about one picture, run once for all: for vision-language models of transformers."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

FAMILIES = frozenset(
    (
        "idefics3",
        "internvl",
        "llava",
        "llava_onevision",
        "qwen2_5_vl",
        "qwen2_vl",
        "qwen3_vl",
        "smolvlm",
    )
)
"""Each family's `model_type`: decoders that read from left to right, so that nothing before a question depends on it.
Each was held against whole questions (tests/models/test_hf.py, tests/vision/families.py)."""


def shares(model: Any) -> bool:
    """Return whether a model may go on behind a kept prefix: its family, in a transformers that counts by the mask."""
    return model.config.model_type in FAMILIES and hasattr(model, "_prepare_position_ids_for_generation")


def image_token(model: Any) -> int:
    """Return the id that stands in a prompt for what a picture becomes."""
    config = model.config
    return int(getattr(config, "image_token_id", None) or config.image_token_index)


def rests(row: Sequence[int], asked: Sequence[Sequence[int]], image: int) -> list[list[int]]:
    """Return what follows the last picture in each question; [] where they do not all begin alike.

    `row` is the first question as the network takes it, its pictures' places widened; `asked` is each question's ids
    with one place a picture.
    """
    ends = [len(ids) - [*ids][::-1].index(image) if image in ids else 0 for ids in asked]
    heads = {tuple(ids[:end]) for ids, end in zip(asked, ends, strict=True)}
    tails = [[*ids[end:]] for ids, end in zip(asked, ends, strict=True)]
    first = tails[0]
    if len(heads) > 1 or not all(ends) or not all(tails) or [*row[-len(first) :]] != first:
        return []
    return tails


def behind(model: Any, first: Mapping[str, Any], tails: Sequence[Sequence[int]], pad: int) -> dict[str, Any]:
    """Return what `generate` takes, the prefix run once: ids and mask (n, prefix + longest rest), and the cache.

    `first` is the first question as the network takes it, tensors of one row on its device. What fills up shorter rests
    stands between prefix and rest, masked.
    """
    import torch

    ids = first["input_ids"]
    length = ids.shape[1] - len(tails[0])
    head = {key: each[:, :length] if each.shape == ids.shape else each for key, each in first.items()}
    taken = inspect.signature(model.forward).parameters
    name = "cache" if "cache" in taken else "past_key_values"
    one = {"logits_to_keep": 1} if "logits_to_keep" in taken else {}
    cache = getattr(model(**head, use_cache=True, **one), name)
    cache.batch_repeat_interleave(len(tails))
    width = max(map(len, tails))
    rest = torch.tensor([[pad] * (width - len(tail)) + [*tail] for tail in tails], device=ids.device)
    seen = torch.tensor([[0] * (width - len(tail)) + [1] * len(tail) for tail in tails], device=ids.device)
    return {
        "input_ids": torch.cat([ids[:, :length].expand(len(tails), -1), rest], 1),
        "attention_mask": torch.cat([torch.ones_like(rest[:, :1]).expand(-1, length), seen], 1),
        name: cache,
    }
