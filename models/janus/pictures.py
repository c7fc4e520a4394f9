"""Pictures beside the loop: what was drawn decoded on the caller's threads, questions' pictures encoded once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ...evals.errors import JanusEvalError
from ...evals.pictures import open_picture
from ..device import memory
from .network import Language
from .pixels import PixelRule, pixel_values, to_bytes

if TYPE_CHECKING:
    from ...evals.types import Picture


class Studio:
    """The encoder and decoder of pictures of one network.

    Decoding takes fixed portions, so that a picture's bytes do not depend on its neighbours: one
    picture at a time in float32, eight in the narrow types, which promise no such thing.
    """

    def __init__(self, network: Language) -> None:
        self._network = network
        self._portion = 1 if network.dtype == torch.float32 else 8
        # One portion at a time: the network computes with all cores already.
        self._turn = Lock()
        self._last: dict[bytes, Tensor] = {}

    def pictures(self, drawn: Tensor) -> list[Callable[[], Image.Image]]:
        """Return a call for each row of what was drawn, codes or latents (B, ...), that gives its RGB picture.

        The first call of a portion decodes it, on the thread that asks: the runner asks on threads of
        its own while the next batch is drawn. Raises JanusEvalError where the network gave no finite
        pixels, OutOfMemory where the device does not hold one picture.
        """
        done: torch.cuda.Event | None = None
        if drawn.is_cuda:
            done = torch.cuda.Event()
            done.record()
        size = self._portion
        portions = [_Portion(self, drawn[first : first + size], done) for first in range(0, len(drawn), size)]
        return [partial(portions[row // size].picture, row % size) for row in range(len(drawn))]

    def see(self, pictures: Sequence[Sequence[Picture]], rule: PixelRule) -> list[tuple[Tensor | None, bytes]]:
        """Return each question's picture embeddings (N, image_tokens, hidden) and their digest; None, b"" without any.

        Equal pictures are encoded once, and those of the last question are kept for the next call. Raises
        InvalidImage for one that cannot be decoded.
        """
        values: dict[bytes, Tensor] = {}
        rows: list[list[bytes]] = []
        for row in pictures:
            mine: list[bytes] = []
            for picture in row:
                data = picture.read()
                key = hashlib.sha256(data).digest()
                if key not in values and key not in self._last:
                    values[key] = torch.from_numpy(pixel_values(open_picture(data, picture.name), rule))
                mine.append(key)
            rows.append(mine)
        seen = self._last | dict(zip(values, self._encode([*values.values()]), strict=True))
        self._last = {key: seen[key].clone() for key in rows[-1]} if rows else {}
        return [(torch.stack([seen[key] for key in mine]) if mine else None, b"".join(mine)) for mine in rows]

    def forget(self) -> None:
        """Give back the embeddings that are kept."""
        self._last = {}

    @torch.inference_mode()
    def _encode(self, values: Sequence[Tensor]) -> list[Tensor]:
        parts = [values[first : first + _EYES] for first in range(0, len(values), _EYES)]
        return [each for part in parts for each in self._network.see(torch.stack(list(part)))]

    @torch.inference_mode()
    def decode(self, drawn: Tensor, done: torch.cuda.Event | None) -> list[Image.Image]:
        """Return the pictures of a portion; `done` tells when it is drawn."""
        with self._turn, memory(drawn.device, "one picture's decoding"):
            if done is None:
                return self._cut(drawn)
            stream = torch.cuda.Stream(drawn.device)
            with torch.cuda.stream(stream):
                stream.wait_event(done)
                try:
                    return self._cut(drawn)
                except torch.cuda.OutOfMemoryError:
                    torch.cuda.empty_cache()
                    return [picture for row in drawn for picture in self._cut(row[None])]

    def _cut(self, drawn: Tensor) -> list[Image.Image]:
        pixels = self._network.decode(drawn)
        if not bool(torch.isfinite(pixels).all()):
            raise JanusEvalError("the decoder gave pixels that are no numbers: the weights or the dtype are at fault")
        return [Image.fromarray(np.asarray(levels)) for levels in to_bytes(pixels).cpu().numpy()]


_EYES = 16
"""Pictures that pass the vision tower together."""


class _Portion:
    """Pictures that are decoded together, once, when the first of them is asked for."""

    def __init__(self, studio: Studio, drawn: Tensor, done: torch.cuda.Event | None) -> None:
        self._studio, self._drawn, self._done = studio, drawn, done
        self._made: list[Image.Image] | None = None
        self._lock = Lock()

    def picture(self, row: int) -> Image.Image:
        with self._lock:
            if self._made is None:
                self._made = self._studio.decode(self._drawn, self._done)
        return self._made[row]
