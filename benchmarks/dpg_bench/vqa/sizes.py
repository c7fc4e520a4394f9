"""The sizes and settings of an mPLUG folder, which its network and its vision tower both read."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sizes:
    """All sizes and settings of one model folder; nothing is assumed."""

    image_size: int
    patch: int
    vision_width: int
    vision_layers: int
    width: int
    heads: int
    inner: int
    words: int
    positions: int
    kinds: int
    eps: float
    text_layers: int
    fusion_list: int
    fusion_layers: int
    decoder_layers: int
    stride: int
    memory_width: int
    min_length: int
    max_length: int
    beams: int

    @property
    def picture_tokens(self) -> int:
        return (self.image_size // self.patch) ** 2 + 1

    @property
    def first_fusion(self) -> int:
        """The first layer of the fusion list that runs."""
        return self.fusion_list - self.fusion_layers

    def joint(self, step: int) -> bool:
        """Return whether the step-th fusion layer attends over picture and question together."""
        return step != 0 and step % self.stride == 0
