"""Pictures beside the loop: codes decoded while the next batch is drawn, questions' pictures encoded once."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ...evals.errors import JanusEvalError
from .network import Network
from .pixels import PixelRule, open_picture, pixel_values, to_bytes

if TYPE_CHECKING:
    from ...evals.types import Picture

_AHEAD = 2
"""How many batches may wait for their decoding before drawing waits for them."""


class Studio:
    """The encoder and decoder of pictures of one network.

    Decoding takes fixed portions, so that a picture's bytes do not depend on its neighbours: one
    picture at a time in float32, eight in the narrow types, which promise no such thing.
    """

    def __init__(self, network: Network) -> None:
        self._network = network
        self._portion = 1 if network.dtype == torch.float32 else 8
        self._pool: ThreadPoolExecutor | None = None
        self._owner = -1
        self._waiting: list[list[Future[list[Image.Image]]]] = []

    def pictures(self, codes: Tensor) -> list[Callable[[], Image.Image]]:
        """Return a call for each row of codes (B, grid * grid) that waits for its RGB picture.

        The call raises JanusEvalError where the network gave no finite pixels.
        """
        pool = self._workers()
        ready: torch.cuda.Event | None = None
        if codes.is_cuda:
            ready = torch.cuda.Event()
            ready.record()
        portions = [
            pool.submit(self._decode, codes[first : first + self._portion], ready)
            for first in range(0, len(codes), self._portion)
        ]
        self._waiting.append(portions)
        while len(self._waiting) > _AHEAD:
            for portion in self._waiting.pop(0):
                portion.exception()
        return [_Pending(portions[row // self._portion], row % self._portion) for row in range(len(codes))]

    def see(self, pictures: Sequence[Sequence[Picture]], rule: PixelRule) -> list[Tensor | None]:
        """Return each question's picture embeddings (N, image_tokens, hidden), None where it has none.

        Equal pictures are encoded once. Raises InvalidImage for one that cannot be decoded.
        """
        known: dict[bytes, int] = {}
        values: list[Tensor] = []
        places: list[list[int]] = []
        for row in pictures:
            mine: list[int] = []
            for picture in row:
                data = picture.read()
                key = hashlib.sha256(data).digest()
                if key not in known:
                    known[key] = len(values)
                    values.append(torch.from_numpy(pixel_values(open_picture(data, picture.name), rule)))
                mine.append(known[key])
            places.append(mine)
        if not values:
            return [None for _ in pictures]
        seen = self._encode(values)
        return [seen[mine] if mine else None for mine in places]

    @torch.inference_mode()
    def _encode(self, values: Sequence[Tensor]) -> Tensor:
        parts = [values[first : first + _EYES] for first in range(0, len(values), _EYES)]
        return torch.cat([self._network.see(torch.stack(list(part))) for part in parts])

    @torch.inference_mode()
    def _decode(self, codes: Tensor, ready: torch.cuda.Event | None) -> list[Image.Image]:
        if ready is not None:
            stream = torch.cuda.Stream(codes.device)
            with torch.cuda.stream(stream):
                stream.wait_event(ready)
                return self._cut(codes)
        return self._cut(codes)

    def _cut(self, codes: Tensor) -> list[Image.Image]:
        pixels = self._network.decode(codes)
        if not bool(torch.isfinite(pixels).all()):
            raise JanusEvalError("the decoder gave pixels that are no numbers: the weights or the dtype are at fault")
        return [Image.fromarray(np.asarray(levels)) for levels in to_bytes(pixels).cpu().numpy()]

    def _workers(self) -> ThreadPoolExecutor:
        # A forked worker inherits the object but not its threads.
        if self._pool is None or self._owner != os.getpid():
            self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="janus-decode")
            self._owner = os.getpid()
        return self._pool


_EYES = 16
"""Pictures that pass the vision tower together."""


class _Pending:
    def __init__(self, portion: Future[list[Image.Image]], row: int) -> None:
        self._portion, self._row = portion, row

    def __call__(self) -> Image.Image:
        return self._portion.result()[self._row]
