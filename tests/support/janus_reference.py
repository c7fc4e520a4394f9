"""Janus as its description says, slowly: float64, one prompt at a time, no cache, no padding, no batch.

The language model is transformers' own forward, not this package's walk over it.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from janus_eval.models.janus.network import Network
from janus_eval.models.janus.noise import Noise
from torch import Tensor


class Reference:
    """The same weights in float64."""

    def __init__(self, network: Network) -> None:
        self.model = copy.deepcopy(network.model).double()

    @torch.no_grad()
    def draw(
        self,
        ids: Sequence[int],
        pad: int,
        *,
        steps: int,
        guidance: float,
        temperature: float,
        noise: Noise,
    ) -> list[int]:
        """Draw one picture's codes: `noise(step)` gives one row of exponentials."""
        table = self.model.model
        conditional = torch.tensor(ids)
        unconditional = conditional.clone()
        unconditional[1:-1] = pad
        x = table.language_model.embed_tokens(torch.stack((conditional, unconditional)))
        codes: list[int] = []
        for step in range(steps):
            hidden = table.language_model(inputs_embeds=x, use_cache=False).last_hidden_state[:, -1]
            cond, uncond = table.generation_head(hidden)
            logits = uncond + guidance * (cond - uncond)
            if temperature == 0:
                code = int(logits.argmax())
            else:
                code = int((torch.softmax(logits / temperature, -1) / noise(step).double()).argmax())
            codes.append(code)
            new = table.generation_aligner(table.generation_embeddings(torch.tensor([[code], [code]])))
            x = torch.cat((x, new), 1)
        return codes

    @torch.no_grad()
    def logits(self, ids: Sequence[int], image: int, pixels: Tensor | None = None) -> Tensor:
        """Return the language head's logits of every position: (T, vocabulary)."""
        table = self.model.model
        row = torch.tensor(ids)
        x = table.language_model.embed_tokens(row)
        if pixels is not None:
            features = table.vision_model(pixels.double()).last_hidden_state
            x[row == image] = table.aligner(features).flatten(0, 1)
        return self.model.lm_head(table.language_model(inputs_embeds=x[None], use_cache=False).last_hidden_state[0])

    def answer(self, ids: Sequence[int], image: int, eos: int, limit: int, pixels: Tensor | None = None) -> list[int]:
        """Answer greedily, without the end token."""
        said: list[int] = []
        for _ in range(limit):
            word = int(self.logits([*ids, *said], image, pixels)[-1].argmax())
            if word == eos:
                break
            said.append(word)
        return said
