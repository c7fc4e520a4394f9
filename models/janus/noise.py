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


def noise_for(seeds: Sequence[int], codes: int, device: torch.device) -> Noise:
    """Return the noise of pictures with these seeds, made where it costs least."""
    return PictureNoise(seeds, codes, device)


def exponentials(numbers: Tensor) -> Tensor:
    """Return Exp(1) values of uniform whole numbers 0 <= n < 2**32 held as float32; in place."""
    return numbers.add_(0.5).mul_(-(2.0**-32)).log1p_().neg_()
