"""Beam search with mPLUG's stopping rule, many questions in one batch.

Source: modelscope 1.15.0, models/multi_modal/mplug/predictor.py (Apache-2.0). A beam that ends is
stored but goes on being extended; a question stops when its best beam ends, or at the last step,
and then all of its beams are stored too. The answer is the stored hypothesis with the highest
score: sum of log probabilities / ((5 + length) / 6) ** 0.6.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

START, END = 101, 102
ALPHA = 0.6


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """Token ids with the leading start token, and the penalised score."""

    ids: tuple[int, ...]
    score: float


def beam_search(
    step: Callable[[Tensor, Tensor | None], Tensor],
    rows: int,
    *,
    beams: int,
    min_length: int,
    max_length: int,
    device: torch.device,
) -> list[list[Hypothesis]]:
    """Return for each of `rows` questions its best hypotheses, at most `beams`, best first.

    `step(ids, parents)` takes the next token of each beam (rows, B) and the former beams that they
    continue, and returns logits (rows, B, words); B is 1 at the first call and `beams` afterwards.
    """
    found: list[list[Hypothesis]] = [[] for _ in range(rows)]
    open_rows = set(range(rows))
    ids = torch.full((rows, 1), START, device=device)
    sequences = ids[..., None]
    parents: Tensor | None = None
    total: Tensor | None = None
    for number in range(max_length):
        logits = step(ids, parents)
        # Log of the softmax, as in the reference; half precision would round it too coarsely.
        chances = torch.log(torch.softmax(logits if logits.dtype == torch.float64 else logits.float(), dim=-1))
        if number < min_length:
            chances[..., END] = -1e20
        penalty = ((5.0 + (number + 1)) / 6.0) ** ALPHA
        summed = chances if total is None else chances + total[..., None]
        scores, places = (summed / penalty).flatten(1).topk(beams, dim=-1)
        total = scores * penalty
        words = chances.shape[-1]
        origins: Tensor = places // words
        parents, ids = origins, places % words
        picked = sequences.gather(1, origins[..., None].expand(-1, -1, sequences.shape[-1]))
        sequences = torch.cat([picked, ids[..., None]], dim=-1)
        _store(found, open_rows, sequences, scores, ids, last=number + 1 == max_length)
        if not open_rows:
            break
    return [sorted(each, key=lambda one: one.score, reverse=True)[:beams] for each in found]


def _store(
    found: list[list[Hypothesis]], open_rows: set[int], sequences: Tensor, scores: Tensor, ids: Tensor, *, last: bool
) -> None:
    """Store what ended in this step and close the questions whose best beam did."""
    ended = (ids == END).tolist()
    touched = [row for row in sorted(open_rows) if last or any(ended[row])]
    if not touched:
        return
    texts, values = sequences.tolist(), scores.tolist()
    for row in touched:
        closes = last or ended[row][0]
        for beam, does_end in enumerate(ended[row]):
            if does_end or closes:
                found[row].append(Hypothesis(tuple(texts[row][beam]), values[row][beam]))
        if closes:
            open_rows.discard(row)
