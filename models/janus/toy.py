"""The embedded Janus: a small network of fixed sizes, its own tokenizer, packaged or random weights.

The builder writes a model folder in transformers' native format, which is then loaded as any other,
so that the toy takes the same path as the real models.
"""

from __future__ import annotations

import json
import math
import shutil
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal

from ...evals.assets.digests import check
from ...evals.errors import EnvironmentProblem
from ..device import Dtype, at_least
from .adapter import Janus, knobs
from .prompts import PRO_ROLES, ImagePosition, Turn

Weights = Literal["packaged", "random"]

PACKAGED = Path(__file__).parent.parent / "toy" / "janus"
"""Where the trained weights lie, in the native format."""
DIGEST = "3deb219856fe48ceaac2513a6159c47e954069b7e5c615e48fb07b9194fe03f9"
"""SHA-256 of its SHA256SUMS, as train/export.py printed it."""

_DEFAULTS = (5.0, 1.0)
_SPECIALS = ("<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜▁pad▁｜>")
_MORE_SPECIALS = ("<image_placeholder>", "<begin_of_image>", "<end_of_image>", "<|User|>", "<|Assistant|>")
_WORDS = (
    " a photo of an the two three four and red orange yellow green blue purple pink brown black white left right above "
    "below is there in image yes no Yes No how many what color what colour object person car dog cat bird book bench "
    "apple clock chair table cup bottle phone bus train boat tree ball User Assistant Answer question using single "
    "word or phrase Please answer"
)
_SIZES: Mapping[str, Any] = {
    "text": {"hidden_size": 96, "intermediate_size": 256, "num_hidden_layers": 3, "num_attention_heads": 3},
    "vision": {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "image_size": 64, "patch_size": 8},
    "vq": {"embed_dim": 8, "num_embeddings": 512, "latent_channels": 32, "base_channels": 32, "num_res_blocks": 1},
}


def toy(
    *,
    path: Path | None = None,
    weights: Weights = "packaged",
    guidance: float | None = None,
    temperature: float | None = None,
    max_new_tokens: int = 16,
    system_prompt: str | None = None,
    image_position: ImagePosition = "before",
    batch_size: int | None = None,
    device: str = "auto",
    dtype: Dtype = "auto",
) -> Janus:
    """Return the embedded Janus.

    `path`: another folder of its kind. `weights`: `packaged` (trained, docs/toy.md) or `random`
    (fixed seed). Guidance and temperature default to what the folder's `recipe.json` names, else to
    the paper-like recipe. Raises EnvironmentProblem where the packaged weights are missing or damaged.
    """
    ready = path or (packaged() if weights == "packaged" else None)
    chosen = knobs(
        recipe="toy",
        guidance=guidance,
        temperature=temperature,
        max_new_tokens=max_new_tokens,
        turn=Turn(PRO_ROLES, image_position),
        system_prompt=system_prompt,
        device=device,
        dtype=dtype,
        defaults=_recipe(ready) if ready else _DEFAULTS,
    )
    at_least(1, batch_size=batch_size)
    name = "random" if ready is None else "packaged" if path is None else ready.name
    return Janus(lambda: ready or random_folder(), name, chosen, batch=batch_size, world="toy", image_size=64)


def packaged() -> Path:
    """Return the folder of the trained weights. Raises EnvironmentProblem unless they are those that were trained."""
    return check(PACKAGED, DIGEST, "install janus-eval again, or use weights=random")


@cache
def random_folder() -> Path:
    """Return a folder with the toy's random weights, built once a process and removed at its end."""
    import atexit

    folder = Path(tempfile.mkdtemp(prefix="janus-toy-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    build(folder)
    return folder


def build(folder: Path, *, seed: int = 0) -> None:
    """Write the toy in the native format: tokenizer, configuration, weights of `seed`. Same bytes every time."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    table = tokenizer_table()
    config = network_config(table)
    texts = {
        "tokenizer.json": table,
        "config.json": config,
        "special_tokens_map.json": dict(zip(("bos_token", "eos_token", "pad_token"), _SPECIALS, strict=True)),
        "preprocessor_config.json": {
            "image_processor_type": "JanusImageProcessor",
            "size": {"height": config["vision_config"]["image_size"], "width": config["vision_config"]["image_size"]},
            "min_size": 14,
            "do_normalize": True,
            "image_mean": [0.5, 0.5, 0.5],
            "image_std": [0.5, 0.5, 0.5],
            "rescale_factor": 1 / 255,
        },
    }
    for name, value in texts.items():
        (folder / name).write_text(json.dumps(value, ensure_ascii=False, indent=1), encoding="utf-8")
    save_file(random_weights(config, seed), folder / "model.safetensors", metadata={"format": "pt"})


def tokenizer_table() -> dict[str, Any]:
    """Return a tokenizer.json: byte-level BPE over a fixed word list, control tokens named as DeepSeek's."""
    letters = _byte_letters()
    vocabulary = {token: number for number, token in enumerate((*_SPECIALS, *letters.values()))}
    merges: list[tuple[str, str]] = []
    for word in _WORDS.split():
        for text in (f" {word}", word):
            whole = ""
            for letter in (letters[byte] for byte in text.encode()):
                if whole and whole + letter not in vocabulary:
                    vocabulary[whole + letter] = len(vocabulary)
                    merges.append((whole, letter))
                whole += letter
    added = [*_SPECIALS, *_MORE_SPECIALS]
    places = {**vocabulary, **{name: len(vocabulary) + row for row, name in enumerate(_MORE_SPECIALS)}}
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    splits = [
        {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
        for pattern in (r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+")
    ]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": places[name], "content": name, **flags} for name in added],
        "normalizer": None,
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [*splits, {"type": "Digits", "individual_digits": True}, byte_level],
        },
        "post_processor": None,
        "decoder": byte_level,
        "model": {"type": "BPE", "vocab": vocabulary, "merges": [list(pair) for pair in merges]},
    }


def network_config(tokenizer: Mapping[str, Any]) -> dict[str, Any]:
    """Return the config.json of the toy for a tokenizer of `tokenizer_table`'s kind."""
    added = {each["content"]: each["id"] for each in tokenizer["added_tokens"]}
    size = max([*added.values(), *tokenizer["model"]["vocab"].values()]) + 1
    text, vision = _SIZES["text"], _SIZES["vision"]
    width = text["hidden_size"]
    bos, eos, pad = (added[name] for name in _SPECIALS)
    return {
        "model_type": "janus",
        "architectures": ["JanusForConditionalGeneration"],
        "image_token_id": added["<image_placeholder>"],
        "tie_word_embeddings": False,
        "text_config": {
            **text,
            "model_type": "llama",
            "num_key_value_heads": text["num_attention_heads"],
            "vocab_size": -(-size // 64) * 64,
            "max_position_embeddings": 1024,
            "bos_token_id": bos,
            "eos_token_id": eos,
            "pad_token_id": pad,
            "tie_word_embeddings": False,
        },
        "vision_config": {
            **vision,
            "model_type": "janus_vision_model",
            "projection_dim": width,
            "num_image_tokens": (vision["image_size"] // vision["patch_size"]) ** 2,
        },
        "vq_config": {
            **_SIZES["vq"],
            "model_type": "janus_vqgan",
            "channel_multiplier": [1, 1, 2, 2],
            "projection_dim": width,
            "image_token_embed_dim": width,
        },
    }


def random_weights(config: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Return weights of every tensor by name, each from its own seed, so that none moves another."""
    import torch
    from transformers import JanusConfig, JanusForConditionalGeneration

    with torch.device("meta"):
        network = JanusForConditionalGeneration(JanusConfig.from_dict(dict(config)))
    weights: dict[str, Any] = {}
    for name, place in network.named_parameters(remove_duplicate=False):
        generator = torch.Generator().manual_seed(seed * 2**32 + zlib.crc32(name.encode()))
        value = torch.randn(place.shape, generator=generator)
        if place.ndim == 1:
            # Norm weights near one, biases near nought.
            value = value * 0.02 + (1.0 if name.endswith("weight") else 0.0)
        elif "embed" not in name:
            value = value / place[0].numel() ** 0.5
        weights[name] = value
    return weights


def _recipe(folder: Path) -> tuple[float, float]:
    path = folder / "recipe.json"
    if not path.is_file():
        return _DEFAULTS
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        found = float(table.get("guidance", _DEFAULTS[0])), float(table.get("temperature", _DEFAULTS[1]))
        if not all(map(math.isfinite, found)):
            raise ValueError(f"{found} is not finite")
        return found
    except (ValueError, TypeError, AttributeError) as error:
        raise EnvironmentProblem(f"{path} names no guidance and temperature ({error}): mend or remove it") from error


def _byte_letters() -> dict[int, str]:
    """Return the printable letter of each byte in byte-level BPE (GPT-2's table), bytes in order."""
    spare: Iterator[int] = iter(range(256, 512))
    printable = {*range(33, 127), *range(161, 173), *range(174, 256)}
    return {byte: chr(byte if byte in printable else next(spare)) for byte in range(256)}
