"""mPLUG the reference's way, one question at a time and nothing kept: what the fast way is held against.

The picture is encoded anew for every question, its features are repeated for all five beams, and
every step of the search runs the whole prefix through the decoder again. Written from the
parameter names alone (modelscope 1.15.0, models/multi_modal/mplug), sharing no code with the package.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from janus_eval.benchmarks.dpg_bench.vqa.sizes import Sizes
from torch import Tensor
from torch.nn import functional as F

State = Mapping[str, Tensor]
Hypotheses = list[tuple[float, list[int]]]


def linear(state: State, name: str, x: Tensor) -> Tensor:
    return F.linear(x, state[name + ".weight"], state[name + ".bias"])


def norm(state: State, name: str, x: Tensor, eps: float) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], state[name + ".weight"], state[name + ".bias"], eps)


def picture_tokens(state: State, sizes: Sizes, pixels: Tensor) -> Tensor:
    v = "visual_encoder.visual."
    patches = F.conv2d(pixels, state[v + "conv1.weight"], stride=sizes.patch).flatten(2).transpose(1, 2)
    first = state[v + "class_embedding"].expand(len(pixels), 1, -1)
    x = norm(state, v + "ln_pre", torch.cat([first, patches], 1) + state[v + "positional_embedding"], 1e-5)
    for number in range(sizes.vision_layers):
        b = f"{v}transformer.resblocks.{number}."
        y = norm(state, b + "ln_1", x, 1e-5).transpose(0, 1)
        y, _ = F.multi_head_attention_forward(
            y,
            y,
            y,
            sizes.vision_width,
            sizes.vision_width // 64,
            state[b + "attn.in_proj_weight"],
            state[b + "attn.in_proj_bias"],
            None,
            None,
            False,
            0.0,
            state[b + "attn.out_proj.weight"],
            state[b + "attn.out_proj.bias"],
            training=False,
            need_weights=False,
        )
        x = x + y.transpose(0, 1)
        y = linear(state, b + "mlp.c_fc", norm(state, b + "ln_2", x, 1e-5))
        x = x + linear(state, b + "mlp.c_proj", y * torch.sigmoid(1.702 * y))
    x = norm(state, v + "ln_post", x, 1e-5)
    if "visn_fc.weight" in state:
        x = norm(state, "visn_layer_norm", linear(state, "visn_fc", x), 1e-12)
    return x


def attention(state: State, sizes: Sizes, name: str, x: Tensor, other: Tensor, bias: Tensor) -> Tensor:
    def heads(kind: str, of: Tensor) -> Tensor:
        return linear(state, f"{name}.self.{kind}", of).unflatten(-1, (sizes.heads, -1)).transpose(1, 2)

    q, k, v = heads("query", x), heads("key", other), heads("value", other)
    scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1]) + bias
    out = (scores.softmax(-1) @ v).transpose(1, 2).flatten(2)
    return norm(state, f"{name}.output.LayerNorm", linear(state, f"{name}.output.dense", out) + x, sizes.eps)


def feed(state: State, sizes: Sizes, name: str, x: Tensor) -> Tensor:
    inner = F.gelu(linear(state, f"{name}.intermediate.dense", x))
    return norm(state, f"{name}.output.LayerNorm", linear(state, f"{name}.output.dense", inner) + x, sizes.eps)


def embed(state: State, sizes: Sizes, name: str, ids: Tensor) -> Tensor:
    x = state[name + ".word_embeddings.weight"][ids] + state[name + ".token_type_embeddings.weight"][0]
    return norm(state, name + ".LayerNorm", x + state[name + ".position_embeddings.weight"][: ids.shape[1]], sizes.eps)


def masked(mask: Tensor, like: Tensor) -> Tensor:
    return (1 - mask.to(like.dtype))[:, None, None] * -10000.0


def remember(state: State, sizes: Sizes, pixels: Tensor, ids: Tensor) -> tuple[Tensor, Tensor]:
    """Return the decoder's memory (1, N + T, D) and its bias for one picture and one question (1, T)."""
    image = picture_tokens(state, sizes, pixels)
    text = embed(state, sizes, "text_encoder.embeddings", ids)
    text_bias = masked(torch.ones_like(ids), text)
    image_bias = masked(torch.ones(image.shape[:2], dtype=torch.long), image)
    both_bias = torch.cat([image_bias, text_bias], -1)
    for number in range(sizes.text_layers):
        name = f"text_encoder.encoder.layer.{number}"
        text = feed(state, sizes, name, attention(state, sizes, name + ".attention", text, text, text_bias))
    for step in range(sizes.fusion_layers):
        name = f"fusion_encoder.encoder.layer.{sizes.fusion_list - sizes.fusion_layers + step}"
        if step == 0 or step % sizes.stride != 0:
            text = attention(state, sizes, name + ".attention", text, text, text_bias)
            text = attention(state, sizes, name + ".crossattention", text, image, image_bias)
            text = feed(state, sizes, name, text)
        else:
            both = torch.cat([image, text], 1)
            both = feed(state, sizes, name, attention(state, sizes, name + ".attention", both, both, both_bias))
            image, text = image + both[:, : image.shape[1]], both[:, image.shape[1] :]
    return torch.cat([image, text], 1), both_bias


def last_logits(state: State, sizes: Sizes, ids: Tensor, memory: Tensor, bias: Tensor) -> Tensor:
    """Return the logits after the prefixes (B, L), the whole of which is run."""
    x = embed(state, sizes, "text_decoder.bert.embeddings", ids)
    causal = torch.triu(torch.ones(ids.shape[1], ids.shape[1], dtype=x.dtype), 1) * -10000.0
    for number in range(sizes.decoder_layers):
        name = f"text_decoder.bert.encoder.layer.{number}"
        x = attention(state, sizes, name + ".attention", x, x, causal)
        x = attention(state, sizes, name + ".crossattention", x, memory, bias)
        x = feed(state, sizes, name, x)
    head = "text_decoder.cls.predictions"
    x = norm(state, head + ".transform.LayerNorm", F.gelu(linear(state, head + ".transform.dense", x)), sizes.eps)
    return linear(state, head + ".decoder", x)[:, -1]


def answer(state: State, sizes: Sizes, pixels: Tensor, ids: list[int]) -> Hypotheses:
    """Return the best hypotheses (score, ids) for one picture (3, size, size) and one question's tokens."""
    memory, bias = remember(state, sizes, pixels[None], torch.tensor([ids]))
    count = sizes.beams
    memory, bias = memory.repeat(count, 1, 1), bias.repeat(count, 1, 1, 1)
    beams = torch.full((count, 1), 101)
    summed = torch.tensor([0.0] + [-math.inf] * (count - 1), dtype=memory.dtype)
    stored: Hypotheses = []
    for number in range(sizes.max_length):
        chances = torch.log(torch.softmax(last_logits(state, sizes, beams, memory, bias), -1))
        if number < sizes.min_length:
            chances[:, 102] = -1e20
        penalty = ((5 + number + 1) / 6) ** 0.6
        scores, places = ((chances + summed[:, None]) / penalty).flatten().topk(count)
        summed = scores * penalty
        rows, ids_next = places // chances.shape[1], places % chances.shape[1]
        beams = torch.cat([beams[rows], ids_next[:, None]], 1)
        stops = bool(ids_next[0] == 102) or number + 1 == sizes.max_length
        for beam in range(count):
            if stops or ids_next[beam] == 102:
                stored.append((float(scores[beam]), beams[beam].tolist()))
        if stops:
            break
    return sorted(stored, key=lambda each: each[0], reverse=True)[:count]
