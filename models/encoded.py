"""Prompts of Stable Diffusion 3 encoded once for all their pictures, the encoders off the card where it is small."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import Tensor

KIND = "StableDiffusion3Pipeline"
"""The one pipeline whose encoding is known here; any other encodes by itself."""
_TEXT = ("text_encoder", "tokenizer", "text_encoder_2", "tokenizer_2", "text_encoder_3", "tokenizer_3")
_DRAWING = ("transformer", "vae")
_ROOM = 3 << 30
"""What drawing one picture of 1024 pixels takes beside the weights, decoding included; bytes."""


class Encoded:
    """The two halves of a pipeline: `encode` gives the embeddings that `drawer` draws from.

    Where a card does not hold both halves and a picture, each is there only while it works. What was encoded
    for a batch is kept for the next one: a prompt's pictures may lie in both.
    """

    def __init__(self, pipeline: Any, device: torch.device) -> None:
        self._encoder, self._device = pipeline, device
        self.drawer: Any = type(pipeline)(**pipeline.components | dict.fromkeys(_TEXT))
        self._known: dict[str, tuple[Tensor, Tensor]] = {}
        self.turns = not _holds_all(pipeline, device)
        self.drawer.set_progress_bar_config(disable=True)
        self.drawer.vae.enable_slicing()  # pictures one by one: the decoder takes more than the network
        self._place(_DRAWING, device)
        if not self.turns:
            self._place(_TEXT, device)

    def encode(self, prompts: Sequence[str], negative: str | None) -> dict[str, Tensor]:
        """Return the pipeline's arguments for these prompts; without a `negative` there is no second half."""
        wanted = dict.fromkeys(prompts if negative is None else [negative, *prompts])
        lacking = [each for each in wanted if each not in self._known]
        fresh = self._encode(lacking) if lacking else {}
        self._known = {each: fresh.get(each) or self._known[each] for each in wanted}
        found = _rows([self._known[each] for each in prompts], "")
        return found if negative is None else found | _rows([self._known[negative]] * len(prompts), "negative_")

    def _encode(self, texts: list[str]) -> dict[str, tuple[Tensor, Tensor]]:
        if self.turns:
            self._place(_DRAWING, "cpu")
            self._place(_TEXT, self._device)
        try:
            whole, _, pooled, _ = self._encoder.encode_prompt(
                prompt=texts, prompt_2=None, prompt_3=None, device=self._device, do_classifier_free_guidance=False
            )
            return dict(zip(texts, zip(whole, pooled, strict=True), strict=True))
        finally:
            if self.turns:
                self._place(_TEXT, "cpu")
                self._place(_DRAWING, self._device)

    def _place(self, names: Sequence[str], device: torch.device | str) -> None:
        for name in names:
            part = getattr(self._encoder, name)
            if hasattr(part, "parameters"):  # neither a tokenizer nor one that was left out
                part.to(device)


def _rows(found: Sequence[tuple[Tensor, Tensor]], prefix: str) -> dict[str, Tensor]:
    import torch

    whole, pooled = (torch.stack(each) for each in zip(*found, strict=True))
    return {f"{prefix}prompt_embeds": whole, f"{prefix}pooled_prompt_embeds": pooled}


def _holds_all(pipeline: Any, device: torch.device) -> bool:
    """Return whether a device holds all weights and one picture's drawing. A CPU has only one place for them."""
    import torch

    if device.type != "cuda":
        return True
    modules = [each for each in pipeline.components.values() if isinstance(each, torch.nn.Module)]
    weights = sum(each.numel() * each.element_size() for module in modules for each in module.parameters())
    free, _ = torch.cuda.mem_get_info(device)
    return weights + _ROOM <= free


def fits(device: torch.device, size: int, most: int) -> int:
    """Return how many pictures of this size fit on a card beside the weights that are there, at most `most`."""
    import torch

    if device.type != "cuda":
        return most
    free, _ = torch.cuda.mem_get_info(device)
    each = (size / 1024) ** 2
    return int(max(1, min(most, (free - _ROOM * each) // (_PICTURE * each) + 1)))


_PICTURE = 1 << 29
"""What each further picture of 1024 pixels takes in a batch, both halves of guidance; bytes."""
