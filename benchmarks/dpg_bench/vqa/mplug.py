"""The network mPLUG-large VQA in plain PyTorch, under the parameter names of its published weights.

Source: modelscope 1.15.0, models/multi_modal/mplug (Apache-2.0). Shapes: P pictures, Q questions a
picture, T question tokens, N picture tokens, D width, B beams. Pictures stand beside their
questions in a (P, Q) grid, so that whatever depends on the picture alone is computed once for it:
G is 1 while the picture's tokens are the same for all of its questions, else Q.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .sizes import Sizes
from .vision import VisionTower, attend, split

MASKED = -10000.0
"""What a masked position adds to its attention score (the reference's value; exp of it is 0)."""

SHARED = 4
"""Up to so many questions a set of picture tokens, the decoder's keys and values cost more than they save."""


# -- BERT's parts -------------------------------------------------------------------------------------


def attend_without_keys(cross: Attention, x: Tensor, source: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return cross-attention of few x (rows, L, D) over many source tokens (rows, N, S), before its output layer.

    Neither keys nor values of the source are made: (q W) . s = q . (W s), so that the query goes
    into the source's space and the mean over the source comes back through the value's weights.
    With L * heads < S this is the smaller work. The key's bias adds the same to every score of a
    query and falls out of the softmax; the weights sum to 1, so that the value's bias is added once.
    """
    q = split(cross.self.query(x), cross.heads)
    rows, heads, length, size = q.shape
    key = cross.self.key.weight.unflatten(0, (heads, size))
    value = cross.self.value.weight.unflatten(0, (heads, size))
    moved = torch.einsum("rhld,hds->rhls", q, key).flatten(1, 2)
    scores = ((moved @ source.transpose(1, 2)) / math.sqrt(size)).view(rows, heads, length, -1)
    weights = (scores if bias is None else scores + bias).softmax(dim=-1)
    mean = (weights.flatten(1, 2) @ source).view(rows, heads, length, -1)
    out = torch.einsum("rhls,hds->rlhd", mean, value).flatten(2)
    return out + cross.self.value.bias


class Projections(nn.Module):
    def __init__(self, sizes: Sizes, source: int) -> None:
        super().__init__()
        self.query = nn.Linear(sizes.width, sizes.width)
        self.key = nn.Linear(source, sizes.width)
        self.value = nn.Linear(source, sizes.width)


class AddNorm(nn.Module):
    def __init__(self, source: int, sizes: Sizes) -> None:
        super().__init__()
        self.dense = nn.Linear(source, sizes.width)
        self.LayerNorm = nn.LayerNorm(sizes.width, eps=sizes.eps)

    def forward(self, x: Tensor, residual: Tensor) -> Tensor:
        return self.LayerNorm(self.dense(x) + residual)


class Attention(nn.Module):
    def __init__(self, sizes: Sizes, source: int | None = None) -> None:
        super().__init__()
        self.heads = sizes.heads
        self.self = Projections(sizes, source or sizes.width)
        self.output = AddNorm(sizes.width, sizes)

    def forward(self, x: Tensor, bias: Tensor | None) -> Tensor:
        """Attend over x itself: (rows, L, D)."""
        out = attend(self.self.query(x), self.self.key(x), self.self.value(x), self.heads, bias)
        return self.output(out, x)


class Layer(nn.Module):
    """One BERT layer; `memory` is the width of what its cross-attention looks at, None without one."""

    def __init__(self, sizes: Sizes, memory: int | None = None) -> None:
        super().__init__()
        self.attention = Attention(sizes)
        if memory is not None:
            self.crossattention = Attention(sizes, memory)
        self.intermediate = nn.Module()
        self.intermediate.dense = nn.Linear(sizes.width, sizes.inner)
        self.output = AddNorm(sizes.inner, sizes)

    def feed(self, x: Tensor) -> Tensor:
        return self.output(F.gelu(self.intermediate.get_submodule("dense")(x)), x)

    def forward(self, x: Tensor, bias: Tensor | None) -> Tensor:
        return self.feed(self.attention(x, bias))


class Embeddings(nn.Module):
    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(sizes.words, sizes.width)
        self.position_embeddings = nn.Embedding(sizes.positions, sizes.width)
        self.token_type_embeddings = nn.Embedding(sizes.kinds, sizes.width)
        self.LayerNorm = nn.LayerNorm(sizes.width, eps=sizes.eps)

    def forward(self, ids: Tensor, first: int = 0) -> Tensor:
        """Return (..., L, D) from ids (..., L) that stand at positions first, first + 1, ..."""
        places = self.position_embeddings.weight[first : first + ids.shape[-1]]
        return self.LayerNorm(self.word_embeddings(ids) + self.token_type_embeddings.weight[0] + places)


class Stack(nn.Module):
    """Layers under the name `encoder.layer.N`, some of which are absent because they never run."""

    def __init__(self, layers: dict[int, Layer], embeddings: Embeddings | None = None) -> None:
        super().__init__()
        if embeddings is not None:
            self.embeddings = embeddings
        self.encoder = nn.Module()
        self.encoder.layer = nn.ModuleDict({str(number): each for number, each in layers.items()})

    def layers(self) -> list[Layer]:
        return list(self.encoder.get_submodule("layer").children())  # pyright: ignore[reportReturnType] -- built so


class Head(nn.Module):
    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.empty(sizes.words))
        self.transform = nn.Module()
        self.transform.dense = nn.Linear(sizes.width, sizes.width)
        self.transform.LayerNorm = nn.LayerNorm(sizes.width, eps=sizes.eps)
        self.decoder = nn.Linear(sizes.width, sizes.words)

    def forward(self, x: Tensor) -> Tensor:
        x = F.gelu(self.transform.get_submodule("dense")(x))
        return self.decoder(self.transform.get_submodule("LayerNorm")(x))


# -- the whole ----------------------------------------------------------------------------------------


@dataclass(slots=True)
class Memory:
    """What the decoder looks at, in one of two forms.

    Where many questions share a picture's tokens: a layer's keys and values of pictures
    (P*G, heads, N, d) and of questions (P*Q, heads, T, d), and the questions' bias (P*Q, 1, 1, T).
    Else `tokens` (P*Q, N + T, D), their bias (P*Q, 1, 1, N + T), and no keys at all.
    """

    pictures: list[tuple[Tensor, Tensor]]
    questions: list[tuple[Tensor, Tensor]]
    bias: Tensor
    tokens: Tensor | None = None


@dataclass(slots=True)
class Cache:
    """The decoder's own keys and values so far, a layer: (P*Q, B, heads, length, d)."""

    keys: list[Tensor]
    values: list[Tensor]
    length: int = 0


class MPlug(nn.Module):
    """mPLUG for visual question answering, without the parts that only training uses."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.visual_encoder = nn.Module()
        self.visual_encoder.visual = VisionTower(sizes)
        if sizes.vision_width != sizes.width:
            self.visn_fc = nn.Linear(sizes.vision_width, sizes.width)
            self.visn_layer_norm = nn.LayerNorm(sizes.width, eps=1e-12)
        self.text_encoder = Stack({n: Layer(sizes) for n in range(sizes.text_layers)}, Embeddings(sizes))
        first = sizes.first_fusion
        self.fusion_encoder = Stack(
            {first + n: Layer(sizes, None if sizes.joint(n) else sizes.width) for n in range(sizes.fusion_layers)}
        )
        self.text_decoder = nn.Module()
        self.text_decoder.bert = Stack(
            {n: Layer(sizes, sizes.memory_width) for n in range(sizes.decoder_layers)}, Embeddings(sizes)
        )
        self.text_decoder.cls = nn.Module()
        self.text_decoder.cls.predictions = Head(sizes)

    def encode_pictures(self, pixels: Tensor) -> Tensor:
        """Return (P, N, D) from normalised pixels (P, 3, size, size)."""
        x = self.visual_encoder.get_submodule("visual")(pixels)
        return self.visn_layer_norm(self.visn_fc(x)) if hasattr(self, "visn_fc") else x

    def encode_questions(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Return (rows, T, D) from ids and mask (rows, T)."""
        x = self.text_encoder.embeddings(ids)
        bias = self._bias(mask, x)
        for layer in self.text_encoder.layers():
            x = layer(x, bias)
        return x

    def fuse(self, pictures: Tensor, questions: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return pictures (P, G, N, D) and questions (P, Q, T, D) after the fusion encoder.

        Takes pictures (P, N, D), questions (P, Q, T, D) and their mask (P, Q, T); changes none of them.
        """
        count, asked = questions.shape[:2]
        image = pictures[:, None]
        text = questions.flatten(0, 1)
        bias = self._bias(mask.flatten(0, 1), text)
        for step, layer in enumerate(self.fusion_encoder.layers()):
            if self.sizes.joint(step):
                both = self._join(layer, image, text, bias)
                tokens = image.shape[2]
                # One more residual on top of the layer's own: so does the reference, in place.
                image = image + both[:, :tokens].unflatten(0, (count, asked))
                text = both[:, tokens:]
            else:
                text = layer.attention(text, bias)
                text = layer.feed(self._look(layer.crossattention, text, image))
        return image, text.unflatten(0, (count, asked))

    @staticmethod
    def _look(cross: Attention, text: Tensor, image: Tensor) -> Tensor:
        """Attend from questions (P*Q, T, D) to pictures (P, G, N, D), a picture's questions as one row."""
        flat = image.flatten(0, 1)
        together = text.reshape(len(flat), -1, text.shape[-1])
        if together.shape[1] * cross.heads < flat.shape[-1]:
            out = attend_without_keys(cross, together, flat)
        else:
            out = attend(cross.self.query(together), cross.self.key(flat), cross.self.value(flat), cross.heads)
        return cross.output(out.reshape(text.shape), text)

    @staticmethod
    def _join(layer: Layer, image: Tensor, text: Tensor, bias: Tensor) -> Tensor:
        """Return (P*Q, N + T, D): a layer over each question with its picture (P, G, N, D), projected once for all."""
        own, count, tokens = layer.attention.self, len(image), image.shape[2]
        asked = len(text) // count

        def both(of_image: Tensor, of_text: Tensor) -> Tensor:
            wide = of_image.expand(-1, asked, -1, -1).reshape(count * asked, tokens, -1)
            return torch.cat([wide, of_text], dim=1)

        q, k, v = (both(each(image), each(text)) for each in (own.query, own.key, own.value))
        out = attend(q, k, v, layer.attention.heads, F.pad(bias, (tokens, 0)))
        return layer.feed(layer.attention.output(out, both(image, text)))

    def remember(self, pictures: Tensor, questions: Tensor, mask: Tensor) -> Memory:
        """Return the decoder's keys and values from what `fuse` gave and the mask (P, Q, T)."""
        image, text = pictures.flatten(0, 1), questions.flatten(0, 1)
        bias = self._bias(mask.flatten(0, 1), text)
        share = len(text) // len(image)
        if share <= SHARED:
            wide = image.repeat_interleave(share, dim=0)
            return Memory([], [], F.pad(bias, (wide.shape[1], 0)), torch.cat([wide, text], dim=1))
        memory = Memory([], [], bias)
        for layer in self._decoder().layers():
            cross = layer.crossattention
            for store, source in ((memory.pictures, image), (memory.questions, text)):
                store.append((split(cross.self.key(source), cross.heads), split(cross.self.value(source), cross.heads)))
        return memory

    def begin(self, rows: int) -> Cache:
        """Return an empty cache for `rows` questions."""
        reference = self._decoder().embeddings.word_embeddings.weight
        empty = reference.new_empty(rows, 1, self.sizes.heads, 0, self.sizes.width // self.sizes.heads)
        return Cache([empty] * self.sizes.decoder_layers, [empty] * self.sizes.decoder_layers)

    def step(self, ids: Tensor, memory: Memory, cache: Cache, parents: Tensor | None = None) -> Tensor:
        """Return logits (P*Q, B, words) after one more token `ids` (P*Q, B) for each beam.

        `parents` (P*Q, B) says which of the former beams each one continues. The cache grows.
        """
        decoder = self._decoder()
        if parents is not None:
            rows = torch.arange(len(parents), device=parents.device)[:, None]
            cache.keys = [each[rows, parents] for each in cache.keys]
            cache.values = [each[rows, parents] for each in cache.values]
        x = decoder.embeddings(ids[..., None], cache.length).squeeze(-2)
        for number, layer in enumerate(decoder.layers()):
            x = self._self_attend(layer.attention, x, cache, number)
            x = self._recall(layer.crossattention, x, memory, number)
            x = layer.feed(x)
        cache.length += 1
        return self.text_decoder.get_submodule("cls.predictions")(x)

    @staticmethod
    def _self_attend(attention: Attention, x: Tensor, cache: Cache, number: int) -> Tensor:
        q, k, v = (
            each(x).unflatten(-1, (attention.heads, -1))[:, :, :, None]
            for each in (attention.self.query, attention.self.key, attention.self.value)
        )
        cache.keys[number] = torch.cat([cache.keys[number], k], dim=3)
        cache.values[number] = torch.cat([cache.values[number], v], dim=3)
        keys, values = cache.keys[number].flatten(0, 1), cache.values[number].flatten(0, 1)
        out = F.scaled_dot_product_attention(q.flatten(0, 1), keys, values)
        return attention.output(out.reshape(x.shape), x)

    @staticmethod
    def _recall(cross: Attention, x: Tensor, memory: Memory, number: int) -> Tensor:
        """Attend from the beams (P*Q, B, D) to picture and question under one softmax."""
        if memory.tokens is not None:
            return cross.output(attend_without_keys(cross, x, memory.tokens, memory.bias), x)
        rows, beams, width = x.shape
        keys, values = memory.pictures[number]
        text_keys, text_values = memory.questions[number]
        share = rows // len(keys)  # questions that look at the same tokens of a picture
        q = split(cross.self.query(x) / math.sqrt(width // cross.heads), cross.heads)
        folded = q.unflatten(0, (-1, share)).transpose(1, 2).flatten(2, 3)
        seen = folded @ keys.transpose(-1, -2)
        seen = seen.unflatten(2, (share, beams)).transpose(1, 2).flatten(0, 1)
        scores = torch.cat([seen, q @ text_keys.transpose(-1, -2) + memory.bias], dim=-1)
        weights = scores.softmax(dim=-1)
        image_weights, text_weights = weights.split([keys.shape[-2], text_keys.shape[-2]], dim=-1)
        folded = image_weights.unflatten(0, (-1, share)).transpose(1, 2).flatten(2, 3)
        out = (folded @ values).unflatten(2, (share, beams)).transpose(1, 2).flatten(0, 1)
        out = (out + text_weights @ text_values).transpose(1, 2).reshape(rows, beams, width)
        return cross.output(out, x)

    def _decoder(self) -> Stack:
        return self.text_decoder.get_submodule("bert")  # pyright: ignore[reportReturnType] -- built so

    @staticmethod
    def _bias(mask: Tensor, like: Tensor) -> Tensor:
        """Return (rows, 1, 1, T) to add to attention scores from a mask (rows, T) of ones and zeros."""
        return ((1 - mask.to(like.dtype)) * MASKED)[:, None, None]
