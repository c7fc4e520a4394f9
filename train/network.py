"""The toy Janus: the real transformers class at toy size, its initialisation, and its factored picture head."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from codes import codes
from machine import placed
from torch import Tensor, nn
from transformers import JanusConfig, JanusForConditionalGeneration, JanusVisionConfig, JanusVQVAEConfig, LlamaConfig

WIDTH = 192
CODE_WIDTH = 32
ALIKE = 0.7
"""How much of a word its kind is, beside what is its own."""


def build(vocab: int, ids: dict[str, int]) -> JanusForConditionalGeneration:
    """Return the network with scaled initial weights; `ids` holds bos, eos, pad and image."""
    text = LlamaConfig(
        vocab_size=vocab,
        hidden_size=WIDTH,
        intermediate_size=512,
        num_hidden_layers=4,
        num_attention_heads=6,
        num_key_value_heads=6,
        max_position_embeddings=512,
        rms_norm_eps=1e-6,
        bos_token_id=ids["bos"],
        eos_token_id=ids["eos"],
        pad_token_id=ids["pad"],
        tie_word_embeddings=False,
    )
    vision = JanusVisionConfig(
        hidden_size=128,
        num_hidden_layers=3,
        num_attention_heads=4,
        image_size=64,
        patch_size=8,
        num_image_tokens=64,
        projection_dim=WIDTH,
        mlp_ratio=3.0,
    )
    vq = JanusVQVAEConfig(
        embed_dim=CODE_WIDTH,
        num_embeddings=len(codes()),
        latent_channels=CODE_WIDTH,
        base_channels=32,
        channel_multiplier=[1, 1, 2, 4],
        num_res_blocks=1,
        num_patches=8,
        projection_dim=WIDTH,
        image_token_embed_dim=WIDTH,
    )
    config = JanusConfig(
        text_config=text, vision_config=vision, vq_config=vq, image_token_id=ids["image"], tie_word_embeddings=False
    )
    model = JanusForConditionalGeneration(config)
    scale(model)
    match(model)
    return model


def turned(words: Tensor) -> Tensor:
    """Return vectors (n, width) turned by half their width.

    A patch is drawn to a word's turned vector, so that a word that looks for it does not find itself.
    """
    return torch.roll(words, words.shape[1] // 2, dims=1)


def matching(head_dim: int, heads: Sequence[int]) -> list[int]:
    """Return the heads' rows that turn slowly: the fast half of a head depends on the distance of two tokens."""
    half = head_dim // 2
    return [head * head_dim + row for head in heads for row in range(head_dim) if row % half >= half // 2]


@torch.no_grad()
def match(model: JanusForConditionalGeneration) -> None:
    """Begin two heads of the first two layers as matching: a word finds the patches that show it.

    After Trockman and Kolter, Mimetic Initialization of Self-Attention Layers (ICML 2023,
    arXiv 2305.09828).
    """
    for layer in list(model.model.language_model.layers)[:2]:
        attention = layer.self_attn
        query, key, size = attention.q_proj.weight, attention.k_proj.weight, attention.head_dim
        rows = matching(size, (0, 1))
        rest = [row for row in range(2 * size) if row not in set(rows)]
        query[rows] *= 1.8
        key[rows] = turned(query[rows])
        query[rest] *= 0.3


@torch.no_grad()
def sort_words(
    model: JanusForConditionalGeneration, kinds: Sequence[Sequence[int]], ask: int, share: float = 0.7
) -> None:
    """Begin words of a kind alike in part, and let the token `ask`, before the answer, look for the first kind.

    `kinds` are ids of nouns and of colours. What a noun has found in the picture is so within one
    step of where it is needed.
    """
    words = model.model.language_model.embed_tokens.weight
    shared = torch.randn(len(kinds), words.shape[1])
    for ids, part in zip(kinds, shared, strict=True):
        words[ids] = (words[ids] + ALIKE * part) / (1 + ALIKE * ALIKE) ** 0.5
    for layer in list(model.model.language_model.layers)[1:3]:
        attention = layer.self_attn
        rows = matching(attention.head_dim, (3, 4))
        sought = attention.k_proj.weight[rows] @ shared[0]
        attention.q_proj.weight[rows] += 2.0 * torch.outer(sought, words[ask]) / words[ask].square().sum()


@torch.no_grad()
def scale(model: nn.Module) -> None:
    """Initialise by fan-in: transformers' 0.02 is too small at these widths to learn from a prompt in minutes."""
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear):
            std = 1 / math.sqrt(module.in_features)
            if name.endswith(("o_proj", "down_proj", "projection_layer", "fc2")):
                std *= 0.35
            nn.init.normal_(module.weight, std=std)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=1.0)


class Factored(nn.Module):
    """The picture head's and the picture embeddings' weights as sums: one part a shape, one part a colour.

    Trained in place of `generation_head.vision_head` and `generation_embeddings`, and written into
    them at the end: the logit of a code is its shape's logit plus its colour's, so a pair that was
    never met is drawn as well as any other.
    """

    def __init__(self) -> None:
        super().__init__()
        table = codes()
        self.register_buffer("shape", placed(table.shape), persistent=False)
        self.register_buffer("color", placed(table.color), persistent=False)
        self.head_shape = nn.Linear(WIDTH, table.shapes)
        self.head_color = nn.Linear(WIDTH, 11)
        self.embed_shape = nn.Embedding(table.shapes, CODE_WIDTH)
        self.embed_color = nn.Embedding(11, CODE_WIDTH)
        scale(self)

    def logits(self, hidden: Tensor) -> Tensor:
        return nn.functional.linear(hidden, *self._head())

    def _head(self) -> tuple[Tensor, Tensor]:
        weight = self.head_shape.weight[self.shape] + self.head_color.weight[self.color]
        return weight, self.head_shape.bias[self.shape] + self.head_color.bias[self.color]

    def embed(self, cells: Tensor) -> Tensor:
        return self.embed_shape(self.shape[cells]) + self.embed_color(self.color[cells])

    @torch.no_grad()
    def write(self, model: JanusForConditionalGeneration) -> None:
        head = model.model.generation_head.vision_head
        weight, bias = self._head()
        head.weight.copy_(weight)
        head.bias.copy_(bias)
        model.model.generation_embeddings.weight.copy_(
            self.embed_shape.weight[self.shape] + self.embed_color.weight[self.color]
        )
