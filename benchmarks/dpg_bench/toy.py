"""A tiny untrained mPLUG for the toy world: the whole path of the real one in milliseconds."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import TYPE_CHECKING

from .tokens import SPECIAL, Tokens

if TYPE_CHECKING:
    from .mplug import MPlug, Sizes

_FILLER = 99


def toy_tokens() -> Tokens:
    """Return a tokenizer over yes, no, letters and the example's words; 101 and 102 are [CLS] and [SEP]."""
    text = Path(__file__).with_name("example.csv").read_text(encoding="utf-8").lower()
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    words = ["[PAD]", *(f"[unused{n}]" for n in range(_FILLER)), "[UNK]", "[CLS]", "[SEP]", "[MASK]", "yes", "no"]
    words += [*letters, *(f"##{each}" for each in letters), *"?.,;:'!-"]
    words += sorted(set(re.findall(r"[a-z]{2,}", text)) - set(words))
    assert words.index("[CLS]") == 101
    assert set(SPECIAL) <= set(words)
    return Tokens(words)


def toy_sizes(words: int) -> Sizes:
    from .mplug import Sizes

    return Sizes(
        image_size=56,
        patch=14,
        vision_width=64,
        vision_layers=2,
        width=32,
        heads=2,
        inner=64,
        words=words,
        positions=32,
        kinds=2,
        eps=1e-12,
        text_layers=1,
        fusion_list=4,
        fusion_layers=3,
        decoder_layers=1,
        stride=2,
        memory_width=32,
        min_length=1,
        max_length=10,
        beams=5,
    )


def fill(network: MPlug, seed: int = 0) -> None:
    """Give a network random weights of its own seed: linear 1/sqrt(fan in), embeddings 1, norms 1 and 0."""
    import torch

    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, each in network.named_parameters():
            if each.dim() == 1:
                each.fill_(1.0 if re.search(r"(LayerNorm|ln_\w+|layer_norm)\.weight$", name) else 0.0)
                continue
            scale = 1.0 if "embedding" in name else 1 / math.sqrt(each[0].numel())
            each.copy_(torch.randn(each.shape, generator=random) * scale)
        head = network.text_decoder.get_submodule("cls.predictions")
        words = network.text_decoder.get_parameter("bert.embeddings.word_embeddings.weight")
        head.get_parameter("decoder.weight").copy_(words)


def toy_network() -> tuple[MPlug, Tokens]:
    """Return the network, which says yes or no and then stops, and its tokenizer."""
    import torch

    from .mplug import MPlug

    tokens = toy_tokens()
    network = MPlug(toy_sizes(len(tokens.words)))
    fill(network)
    bias = network.text_decoder.get_parameter("cls.predictions.decoder.bias")
    with torch.no_grad():
        network.text_decoder.get_parameter("cls.predictions.decoder.weight").mul_(0.3)
        for word in ("yes", "no"):
            bias[tokens.words.index(word)] = 14.2 if word == "yes" else 12.0
        bias[tokens.end] = 22.0
        network.text_decoder.get_parameter("cls.predictions.bias").copy_(bias)
    return network.eval().requires_grad_(False), tokens
