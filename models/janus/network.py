"""One forward of Janus over a cache that is allocated once: transformers' modules, our own walk.

transformers supplies the modules (weights, norms, projections); attention, positions, masks and the
cache are walked here, because its cache classes and mask rules change from version to version and
its growing cache copies itself at every step.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .linear import Linear, give_back, joined

if TYPE_CHECKING:
    from transformers import JanusForConditionalGeneration


_STRIDE = 16
"""Columns are attended in whole multiples of this, so that a sum over them runs in the same lanes of a
vector unit however long the neighbours are: on a CPU in float32 that makes rows bitwise independent."""


PORTION = 32
"""Prompts are run in whole multiples of this many positions, the queries that a CPU takes at a time."""


def whole(length: int, stride: int = _STRIDE) -> int:
    """Return the least multiple of `stride` that holds `length`."""
    return -(-length // stride) * stride


class Cache:
    """Keys and values of all layers for `rows` sequences of at most `length` positions.

    Position p of a row lies in column p: rows begin together and end where they end.
    """

    def __init__(self, store: Tensor) -> None:
        self.store = store
        self.rows, self.length = store.shape[2], store.shape[4]

    @classmethod
    def empty(cls, network: Language, rows: int, length: int) -> Cache:
        """Return a cache of nought, a whole number of portions long."""
        shape = (network.layers, 2, rows, network.kv_heads, whole(length, PORTION), network.head_dim)
        # Zeros, because a column that nobody looks at still meets a weight of nought in a product.
        return cls(torch.zeros(shape, dtype=network.dtype, device=network.device))

    def part(self, first: int, last: int) -> Cache:
        """Return the rows from `first` to before `last`, as a view."""
        return Cache(self.store[:, :, first:last])

    def spread(self, source: Cache, rows: Tensor, length: int) -> None:
        """Copy the first `length` positions of `source` to this cache, row i from `rows[i]`."""
        for mine, theirs in zip(self.store, source.store, strict=True):
            mine[:, :, :, :length] = theirs[:, :, :, :length].index_select(1, rows)


@dataclass(frozen=True)
class _Layer:
    """A decoder layer, its products joined: query, key and value; gate and up."""

    norm: Any
    qkv: Linear
    out: Linear
    scale: float
    second_norm: Any
    gate_up: Linear
    down: Linear
    activation: Any


class Language(ABC):
    """A loaded model's language half, beside its eyes and its picture decoder. Holds no state of a batch.

    `core` has `language_model` (a Llama of transformers), `head` is its language head. With `pack` (the
    default) the model gives its language weights away where that is faster, and cannot be called itself any more.
    """

    image_tokens: int
    """Places that a picture takes in a prompt."""
    image_size: int
    """Pixels that the vision tower takes, on a side."""

    def __init__(self, core: Any, head: Any, *, pack: bool = True) -> None:
        self._core, self._words = core, head
        self._llama: Any = core.language_model
        config: Any = self._llama.config
        self.heads: int = config.num_attention_heads
        self.kv_heads: int = config.num_key_value_heads
        self.head_dim: int = getattr(config, "head_dim", None) or config.hidden_size // self.heads
        self._widths = [heads * self.head_dim for heads in (self.heads, self.kv_heads, self.kv_heads)]
        self.layers: int = config.num_hidden_layers
        self.context: int = config.max_position_embeddings
        self.vocabulary: int = config.vocab_size
        weight = self._llama.embed_tokens.weight
        self.device: torch.device = weight.device
        self.dtype: torch.dtype = weight.dtype
        self._pack = pack
        self._rope = _Rope(self._llama.rotary_emb, weight)
        if self.device.type != "cpu":  # before the free memory is looked at
            _ = self._layers, self._word_head

    # What a run never uses is never laid out: drawing needs no word head, answering no picture head.

    @cached_property
    def _layers(self) -> list[_Layer]:
        return [self._joined(layer) for layer in self._llama.layers]

    @cached_property
    def _word_head(self) -> Linear:
        return joined([self._words], pack=self._pack)

    @abstractmethod
    def see(self, pixels: Tensor) -> Tensor:
        """Return picture embeddings: pixels (N, 3, S, S) -> (N, image_tokens, hidden)."""

    @abstractmethod
    def decode(self, drawn: Tensor) -> Tensor:
        """Return pixels of whole pictures: what was drawn (B, ...) -> (B, 3, H, W), about -1 to 1."""

    def row_bytes(self, prompt: int, end: int) -> int:
        """Return what one row takes, in bytes: a cache of `end` positions, activations of `prompt` ones."""
        config: Any = self._llama.config
        cache = 2 * self.layers * self.kv_heads * self.head_dim * end
        widest = 6 * config.hidden_size + 3 * config.intermediate_size
        return self.dtype.itemsize * (cache + widest * prompt)

    def embed(self, ids: Tensor) -> Tensor:
        """Return text embeddings: ids (..., T) -> (..., T, hidden)."""
        return self._llama.embed_tokens(ids)

    def word_logits(self, hidden: Tensor) -> Tensor:
        """Return the language head's logits: (..., hidden) -> (..., vocabulary)."""
        return self._word_head(hidden)

    def begin(self, x: Tensor, cache: Cache, start: int = 0) -> Tensor:
        """Run prompts from position `start` on, causally: x (R, T, hidden), `start` and T multiples of PORTION.

        What stands before `start` is in the cache. Returns hidden states (R, T, hidden), not yet normed.
        """
        end = start + x.shape[1]

        def attend(q: Tensor, k: Tensor, v: Tensor, keys: Tensor, values: Tensor, scale: float) -> Tensor:
            keys[:, :, start:end], values[:, :, start:end] = k, v
            return _attend_causally(q, keys[:, :, :end], values[:, :, :end], scale)

        return self._run(x, torch.arange(start, end, device=x.device), cache, attend)

    def go_on(self, x: Tensor, positions: Tensor, cache: Cache, visible: Tensor) -> Tensor:
        """Run T more positions of each row: x (R, T, hidden), positions (R, T).

        `visible` (R, 1, T, C) is true where a query may look at a column, C a multiple of 16. Returns
        hidden states (R, T, hidden), not yet normed.
        """
        rows = torch.arange(len(x), device=x.device)[:, None]
        columns = visible.shape[-1]

        def attend(q: Tensor, k: Tensor, v: Tensor, keys: Tensor, values: Tensor, scale: float) -> Tensor:
            keys[rows, :, positions], values[rows, :, positions] = k.transpose(1, 2), v.transpose(1, 2)
            return _attend(q, keys[:, :, :columns], values[:, :, :columns], visible, scale)

        return self._run(x, positions, cache, attend)

    def _run(self, x: Tensor, positions: Tensor, cache: Cache, attend: Callable[..., Tensor]) -> Tensor:
        self._rope.reach(cache.length)
        cos, sin = self._rope.at(positions)
        for layer, (keys, values) in zip(self._layers, cache.store[:, :, : len(x)], strict=True):
            parts = layer.qkv(layer.norm(x)).split(self._widths, dim=-1)
            q, k, v = (part.unflatten(-1, (-1, self.head_dim)).transpose(1, 2) for part in parts)
            seen = attend(_turned(q, cos, sin), _turned(k, cos, sin), v, keys, values, layer.scale)
            x = x + layer.out(seen.transpose(1, 2).flatten(2))
            gate, up = layer.gate_up(layer.second_norm(x)).chunk(2, dim=-1)
            x = x + layer.down(layer.activation(gate) * up)
        return x

    def normed(self, x: Tensor) -> Tensor:
        """Return what the heads take: hidden states after the last norm."""
        return self._llama.norm(x)

    def _joined(self, layer: Any) -> _Layer:
        pack = self._pack
        attention, mlp = layer.self_attn, layer.mlp
        joint = _Layer(
            norm=layer.input_layernorm,
            qkv=joined([attention.q_proj, attention.k_proj, attention.v_proj], pack=pack),
            out=joined([attention.o_proj], pack=pack),
            scale=attention.scaling,
            second_norm=layer.post_attention_layernorm,
            gate_up=joined([mlp.gate_proj, mlp.up_proj], pack=pack),
            down=joined([mlp.down_proj], pack=pack),
            activation=mlp.act_fn,
        )
        if pack and self.device.type == "cpu":
            give_back()
        return joint


class Network(Language):
    """The loaded Janus as the functions that drawing and reading need."""

    def __init__(self, model: JanusForConditionalGeneration, *, pack: bool = True) -> None:
        self.model = model
        core: Any = model.model
        super().__init__(core, model.lm_head, pack=pack)
        self.image_tokens: int = core.vision_model.config.num_image_tokens
        self.image_size: int = core.vision_model.config.image_size
        self.grid: int = core.vqmodel.config.num_patches
        self.codes: int = core.vqmodel.config.num_embeddings
        if self.device.type != "cpu":
            _ = self._aligner, self._head

    @cached_property
    def _aligner(self) -> tuple[Linear, Any, list[Linear]]:
        aligner = self._core.generation_aligner
        rest = [joined([layer], pack=self._pack) for layer in aligner.hidden_layers]
        return joined([aligner.fc1], pack=self._pack), aligner.activation_fn, rest

    @cached_property
    def _head(self) -> tuple[Linear, Any, Linear]:
        head = self._core.generation_head
        vision = joined([head.vision_head], pack=self._pack)
        return joined([head.proj_out], pack=self._pack), head.activation_fn, vision

    def embed_codes(self, codes: Tensor) -> Tensor:
        """Return the embeddings of drawn codes: (B,) -> (B, hidden)."""
        first, activation, rest = self._aligner
        x = first(self._core.generation_embeddings(codes))
        for layer in rest:
            x = layer(activation(x))
        return x

    def see(self, pixels: Tensor) -> Tensor:
        """Return picture embeddings: pixels (N, 3, S, S) -> (N, image_tokens, hidden)."""
        features = self._core.vision_model(pixels.to(self.device, self.dtype)).last_hidden_state
        return self._core.aligner(features)

    def code_logits(self, hidden: Tensor) -> Tensor:
        """Return the drawing head's logits: (R, hidden) -> (R, codes)."""
        first, activation, second = self._head
        return second(activation(first(hidden)))

    def decode(self, drawn: Tensor) -> Tensor:
        """Return pixels of whole pictures: codes (B, grid * grid) -> (B, 3, H, W), about -1 to 1."""
        return self._core.vqmodel.decode(drawn)


class _Rope:
    """Rotary positions, tabled: transformers' own module is asked once for each position."""

    def __init__(self, module: Any, like: Tensor) -> None:
        self._module, self._like = module, like
        self._cos = self._sin = like.new_empty((0, 0))

    def at(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Return cos and sin for positions (R, T) or (T,): (R, 1, T, head_dim) or (1, T, head_dim) each."""
        return self._cos[positions].unsqueeze(-3), self._sin[positions].unsqueeze(-3)

    def reach(self, length: int) -> None:
        if self._cos.shape[0] < length:
            every = torch.arange(length, device=self._like.device)[None]
            cos, sin = self._module(self._like[:1], every)
            self._cos, self._sin = cos[0], sin[0]


def _turned(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate heads (R, H, T, d) to their positions, halves paired as in Llama's released weights."""
    half = x.shape[-1] // 2
    return x * cos + torch.cat((-x[..., half:], x[..., :half]), dim=-1) * sin


def _attend(q: Tensor, k: Tensor, v: Tensor, visible: Tensor, scale: float) -> Tensor:
    """Return attention of q (R, H, T, d) over k, v (R, G, L, d), H a multiple of G: (R, H, T, d)."""
    rows, heads, length, width = q.shape
    shared = heads // k.shape[1]
    if shared > 1 and length > 1:
        k, v = (each.repeat_interleave(shared, dim=1) for each in (k, v))
    elif shared > 1:
        # One query: the heads that share keys become queries of one head, and nothing is copied.
        q = q.view(rows, -1, shared, width)
    seen = F.scaled_dot_product_attention(q, k, v, attn_mask=visible, scale=scale)
    return seen.view(rows, heads, length, width) if seen.shape[1] != heads else seen


def _attend_causally(q: Tensor, k: Tensor, v: Tensor, scale: float) -> Tensor:
    """Return attention of the last T of L positions over themselves and what is before them: (R, H, T, d).

    On a CPU each portion of queries sees columns up to its own end only: less work, and its sums depend
    neither on how long the neighbours are nor on where a run was taken up.
    """
    length, start = k.shape[2], k.shape[2] - q.shape[2]
    places = torch.arange(length, device=q.device)
    if q.device.type != "cpu":
        shared = q.shape[1] // k.shape[1]
        if shared > 1:
            k, v = (each.repeat_interleave(shared, dim=1) for each in (k, v))
        if not start:
            return F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=scale)
        return F.scaled_dot_product_attention(q, k, v, attn_mask=places <= places[start:, None], scale=scale)
    parts: list[Tensor] = []
    for first in range(start, length, PORTION):
        end = first + PORTION
        visible = places[:end] <= places[first:end, None]
        mine = q[:, :, first - start : end - start]
        parts.append(_attend(mine, k[:, :, :end], v[:, :, :end], visible[None, None], scale))
    return torch.cat(parts, dim=2)
