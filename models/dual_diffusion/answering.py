"""An answer by masked diffusion: all of its words are masked at first, and uncovered over a number of steps.

Restated after Li et al. (arXiv 2501.00289) and Sahoo et al. (MDLM, arXiv 2406.07524); the constants are those of
`ConditionalMaskedDiffusionSampler` (zijieli-Jlee/Dual-Diffusion bbf06bf, sd3_modules/dual_diff_pipeline.py).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Words = Callable[[Tensor, Tensor], Tensor]
"""rows (N,) of a batch, their ids (N, T) -> float32 logits (N, T, vocabulary)."""
Race = Callable[[int], Tensor]
"""step -> Exp(1) values (B, T, vocabulary): who is first by chance over value is drawn."""

END = 1e-5
"""The time at which uncovering ends; it begins at 1."""
NEVER = -1e6
"""Added to the mask's logit: the network's words are never masks."""


@torch.inference_mode()
def uncover(words: Words, ids: Tensor, mask: int, *, steps: int, race: Race) -> Tensor:
    """Return ids (B, T) with every `mask` in them replaced; what is no mask stays.

    At a time t each masked place stays masked with chance s / t (s the next time), else it takes a word by the
    network's distribution. The network is asked again only for rows that changed, as its answer is a function of the
    row; what is masked after the last step takes the likeliest word.
    """
    times = torch.linspace(1, END, steps + 1, device=ids.device)
    share = (1 - END) / steps
    stale = torch.ones(len(ids), dtype=torch.bool, device=ids.device)
    logs: Tensor | None = None
    for step in range(steps):
        hidden = ids == mask
        if not bool(hidden.any()):
            return ids
        logs = _renewed(logs, words, ids, mask, stale & hidden.any(dim=1))
        left = times[step] - share
        chances = logs.exp() * (times[step] - left)
        chances[:, :, mask] = left
        drawn = torch.where(hidden, (chances / race(step)).argmax(dim=-1), ids)
        stale, ids = (drawn != ids).any(dim=1), drawn
    hidden = ids == mask
    if not bool(hidden.any()):
        return ids
    logs = _renewed(logs, words, ids, mask, stale & hidden.any(dim=1))
    return torch.where(hidden, logs.argmax(dim=-1), ids)


def _renewed(logs: Tensor | None, words: Words, ids: Tensor, mask: int, stale: Tensor) -> Tensor:
    """Return the logarithms of all rows' chances (B, T, vocabulary), computed anew for those that are stale."""
    rows = stale.nonzero().squeeze(1)
    if logs is not None and not len(rows):
        return logs
    logits = words(rows, ids[rows])
    logits[:, :, mask] += NEVER
    fresh = logits - logits.logsumexp(dim=-1, keepdim=True)
    if logs is None:
        logs = fresh.new_zeros(len(ids), *fresh.shape[1:])
    logs[rows] = fresh
    return logs
