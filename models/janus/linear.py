"""Linear layers joined and laid out for speed: one product where several read the same input.

On a CPU in float32 the weights go to oneDNN's own blocked layout where torch offers it: measured
1.4 to 3.5 times the default product at 8 to 64 rows on an AMD EPYC, and each row's result does not
depend on how many rows there are (docs/janus.md).
"""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Callable, Sequence
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...evals.memory import computes_bfloat16

Linear = Callable[[Tensor], Tensor]

_ROWS = 64
"""The number of rows that oneDNN is told to lay the weights out for; any number may be asked."""


def joined(layers: Sequence[nn.Linear], *, pack: bool) -> Linear:
    """Return one function for layers that read the same input: their outputs side by side.

    The layers give up their weights: afterwards they hold views of the joined one, or, where it was
    packed, nothing.
    """
    weight = layers[0].weight.data if len(layers) == 1 else torch.cat([layer.weight.data for layer in layers])
    biases: list[Tensor] = [layer.bias.data for layer in layers if getattr(layer, "bias", None) is not None]
    bias = torch.cat(biases) if biases else None
    if pack and can_pack(weight):
        packed = torch.ops.mkldnn._reorder_linear_weight(weight, _ROWS)
        for layer in layers:
            layer.weight = nn.Parameter(weight.new_empty(0), requires_grad=False)
        return _Packed(packed, bias)
    start = 0
    for layer in layers:
        rows = layer.weight.shape[0]
        layer.weight.data = weight[start : start + rows]
        start += rows
    return _Plain(weight, bias)


def give_back() -> None:
    """Return freed memory to the system; glibc keeps it in pieces, which would count as half a model more."""
    with contextlib.suppress(AttributeError, OSError):  # another C library has no such call
        ctypes.CDLL(None).malloc_trim(0)


def can_pack(weight: Tensor) -> bool:
    """Return whether this build of torch has the blocked layout for this weight, and agrees with itself.

    The operators are those that torch.compile emits; they are not public, so they are tried.
    """
    if weight.device.type != "cpu" or not torch.backends.mkldnn.is_available():
        return False
    if weight.dtype == torch.bfloat16:
        return computes_bfloat16() and _tried(weight.dtype)
    return weight.dtype == torch.float32 and _tried(weight.dtype)


@cache
def _tried(dtype: torch.dtype) -> bool:
    x, weight = torch.arange(12.0, dtype=dtype).view(3, 4), torch.arange(20.0, dtype=dtype).view(5, 4)
    try:
        packed = torch.ops.mkldnn._reorder_linear_weight(weight, _ROWS)
        found = _Packed(packed, torch.ones(5, dtype=dtype))(x)
    except (AttributeError, RuntimeError, TypeError):
        return False
    return bool(torch.allclose(found, F.linear(x, weight, torch.ones(5, dtype=dtype))))


class _Plain:
    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self._weight, self._bias = weight, bias

    def __call__(self, x: Tensor) -> Tensor:
        return F.linear(x, self._weight, self._bias)


class _Packed:
    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self._weight, self._bias = weight, bias

    def __call__(self, x: Tensor) -> Tensor:
        flat = x.reshape(-1, x.shape[-1])
        found = torch.ops.mkldnn._linear_pointwise(flat, self._weight, self._bias, "none", [], "")
        return found.view(*x.shape[:-1], found.shape[-1])
