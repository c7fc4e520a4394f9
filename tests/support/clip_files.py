"""A small random CLIP as transformers stores it, with a tokenizer that spells byte by byte."""

from __future__ import annotations

import json
from pathlib import Path


def write_clip(folder: Path, seed: int = 0) -> None:
    """Fill an empty folder with a small CLIP and a tokenizer that spells byte by byte, as transformers writes them."""
    import torch
    from safetensors.torch import save_file
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
    save_file({key: value.contiguous() for key, value in model.state_dict().items()}, folder / "model.safetensors")
    config.to_json_file(folder / "config.json")
    letters = byte_letters()
    vocabulary = {token: index for index, token in enumerate([*letters, *(f"{each}</w>" for each in letters)])}
    vocabulary |= {"<|startoftext|>": 512, "<|endoftext|>": 513}
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")
    settings = {"tokenizer_class": "CLIPTokenizer", "model_max_length": 77}
    settings |= {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>"}
    settings |= {"unk_token": "<|endoftext|>", "pad_token": "<|endoftext|>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")


def byte_letters() -> list[str]:
    """Return the 256 letters that stand for bytes in a byte-level vocabulary (GPT-2's table)."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [each for each in range(256) if each not in shown]
    return [chr(each) for each in shown] + [chr(256 + index) for index in range(len(hidden))]
