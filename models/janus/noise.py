"""The noise of a picture: one stream of uniform words from its seed, the same on every device.

Drawing one of V codes is an exponential race: with independent e_v ~ Exp(1) the code
argmax(logit_v / temperature - log e_v) has the softmax's distribution; torch.multinomial runs the
same race. The words are Philox4x64-10 (Salmon et al., SC 2011) as numpy's bit generator gives them,
keyed by the picture's seed: numpy guarantees that stream for ever, and it depends neither on torch's
build nor on the batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class Noise(Protocol):
    """Where the race gets its exponentials: step -> (B, V) float32 on the network's device."""

    def __call__(self, step: int) -> Tensor: ...


class PictureNoise:
    """The default noise: B pictures by their seeds (0 <= seed < 2**63), V codes.

    Step t of a picture uses words t * W to (t + 1) * W of its stream, W = ceil(V / 2); a word gives
    two codes, low half first. An exponential is -log1p(-(n + 1/2) / 2**32) of a 32-bit number n,
    which is fine-grained where it is small, and small ones win.
    """

    def __init__(self, seeds: Sequence[int], codes: int, device: torch.device) -> None:
        self._streams = [np.random.Philox(key=seed) for seed in seeds]
        self._codes, self._device = codes, device
        self._step = 0

    def __call__(self, step: int) -> Tensor:
        """Return the exponentials of `step`; steps are asked for in order, from 0."""
        if step != self._step:
            raise ValueError(f"noise of step {step} was asked for, the stream stands at {self._step}")
        self._step += 1
        words = (self._codes + 1) // 2
        drawn = np.empty((len(self._streams), words), dtype="<u8")
        for row, stream in zip(drawn, self._streams, strict=True):
            row[:] = stream.random_raw(words)
        # Unsigned to float32 keeps small numbers exact: that is where the race is decided.
        numbers = torch.from_numpy(drawn.view("<u4")[:, : self._codes].astype(np.float32))
        return exponentials(numbers).to(self._device)


class DeviceNoise:
    """The same noise made on the device, some steps at a time: no step waits for the host."""

    def __init__(self, seeds: Sequence[int], codes: int, device: torch.device) -> None:
        self._seeds = torch.tensor(seeds, dtype=torch.int64, device=device)
        self._codes, self._words = codes, (codes + 1) // 2
        self._span = max(1, _ELEMENTS // max(1, len(seeds) * self._words))
        self._first = 0
        self._block = torch.empty((len(seeds), 0, codes), device=device)

    def __call__(self, step: int) -> Tensor:
        """Return the exponentials of `step`."""
        if not self._first <= step < self._first + self._block.shape[1]:
            self._first, words = step, philox_words(self._seeds, step * self._words, self._span * self._words)
            halves = torch.stack((words & _LOW, (words >> 32) & _LOW), dim=-1).float()
            rows = halves.view(len(self._seeds), self._span, -1)[..., : self._codes]
            self._block = exponentials(rows)
        return self._block[:, step - self._first].clone()


def philox_words(seeds: Tensor, first: int, count: int) -> Tensor:
    """Return words first .. first + count of numpy's Philox(key=seed) streams: (B, count) int64 bits.

    Philox4x64-10: a block of four words is a function of its number (from 1) and the key.
    """
    skip = first % 4
    blocks = torch.arange(first // 4 + 1, (first + count + 3) // 4 + 1, device=seeds.device)
    x0 = blocks.expand(len(seeds), -1)
    x1 = x2 = x3 = torch.zeros_like(x0)
    key0, key1 = seeds[:, None], 0
    for _ in range(10):
        high0, low0 = _multiplied(0xD2E7470EE14C6C93, x0)
        high1, low1 = _multiplied(0xCA5A826395121157, x2)
        x0, x1, x2, x3 = high1 ^ x1 ^ key0, low1, high0 ^ x3 ^ _signed(key1), low0
        key0 = key0 + _signed(0x9E3779B97F4A7C15)
        key1 = (key1 + 0xBB67AE8584CAA73B) % 2**64
    return torch.stack((x0, x1, x2, x3), dim=-1).flatten(1)[:, skip : skip + count]


def _multiplied(factor: int, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the high and low 64 bits of an unsigned product, held as int64."""
    high, low = factor >> 32, factor & _LOW
    x_high, x_low = (x >> 32) & _LOW, x & _LOW
    carry = high * x_low + ((low * x_low >> 32) & _LOW)
    second = low * x_high + (carry & _LOW)
    return high * x_high + ((carry >> 32) & _LOW) + ((second >> 32) & _LOW), x * _signed(factor)


def _signed(number: int) -> int:
    """Return a 64-bit pattern as the int64 that holds it."""
    return number - 2**64 if number >= 2**63 else number


_LOW = 0xFFFFFFFF
_ELEMENTS = 8 << 20
"""Words that a device makes at a time: 64 MiB of them."""


def noise_for(seeds: Sequence[int], codes: int, device: torch.device) -> Noise:
    """Return the noise of pictures with these seeds, made where it costs least."""
    return (PictureNoise if device.type == "cpu" else DeviceNoise)(seeds, codes, device)


def exponentials(numbers: Tensor) -> Tensor:
    """Return Exp(1) values of uniform whole numbers 0 <= n < 2**32 held as float32; in place."""
    return numbers.add_(0.5).mul_(-(2.0**-32)).log1p_().neg_()


def normals(seed: int, count: int) -> NDArray[np.float32]:
    """Return `count` values of N(0, 1) from a picture's stream (0 <= seed < 2**63), by Box and Muller.

    A word gives two: its low half is the radius, its high half the angle. Made in float64 and cut to float32, so
    that a mathematical library's last bit does not show.
    """
    words = np.random.Philox(key=seed).random_raw((count + 1) // 2).astype("<u8")
    low, high = ((half.astype(np.float64) + 0.5) / 2**32 for half in words.view("<u4").reshape(-1, 2).T)
    radius, angle = np.sqrt(-2 * np.log(low)), 2 * np.pi * high
    pairs = np.stack((radius * np.cos(angle), radius * np.sin(angle)), axis=1)
    return pairs.reshape(-1)[:count].astype(np.float32)
