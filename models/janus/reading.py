"""Questions read into a cache: a picture's prefix once for all its questions, the last one kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import torch
from torch import Tensor

from .network import PORTION, Cache, Language, whole


@dataclass(frozen=True)
class Question:
    """A prompt to read: its ids, and its pictures' embeddings (N, image_tokens, hidden) in order.

    `subject` names the pictures: questions of one subject share their prefix. An empty one shares nothing.
    """

    ids: tuple[int, ...]
    pictures: Tensor | None = None
    subject: bytes = b""


Prefix = tuple[bytes, tuple[int, ...]]
"""What tells one prefix from others: the pictures' digest and the ids."""


class Kept:
    """The prefix of the last question of a batch, one row of a cache: the next batch may go on with its picture."""

    def __init__(self) -> None:
        self.prefix: Prefix | None = None
        self.cache: Cache | None = None

    def drop(self) -> None:
        """Give the memory back."""
        self.prefix = self.cache = None

    def keep(self, prefix: Prefix, row: Cache) -> None:
        """Copy a row's prefix."""
        if prefix != self.prefix:
            self.drop()
            self.prefix, self.cache = prefix, Cache(row.store[..., : len(prefix[1]), :].clone())


def read(
    network: Language, questions: Sequence[Question], cache: Cache, *, image: int, kept: Kept | None = None
) -> tuple[Tensor, Tensor]:
    """Run questions into a cache: each one's normed hidden state at its last id, and which question a row holds.

    A prefix is run once for its rows, or taken from `kept`; the rest of each prompt goes on behind it, in the
    portions in which the whole prompt would be run, so that a CPU's sums are the same.
    """
    prefixes = [_prefix(each, image) for each in questions]
    rows = _arranged(prefixes, kept.prefix if kept else None)
    hidden: list[Tensor] = []
    for start, block in groupby(range(len(rows)), lambda row: len(prefixes[rows[row]][1])):
        places = [*block]
        mine = cache.part(places[0], places[-1] + 1)
        asked = [questions[rows[row]] for row in places]
        if start:
            _share(network, asked, [prefixes[rows[row]] for row in places], mine, image, kept)
        rests = [_embedded(network, each, image, start, len(each.ids)) for each in asked]
        hidden.append(fill(network, rests, mine, start))
    last = prefixes[-1]
    if kept and last[1]:
        place = next(row for row, question in enumerate(rows) if prefixes[question] == last)
        kept.keep(last, cache.part(place, place + 1))
    return torch.cat(hidden), torch.tensor(rows, device=network.device)


def fill(network: Language, rows: Sequence[Tensor], cache: Cache, start: int = 0) -> Tensor:
    """Run prompts, each (n, hidden), on from position `start`: the normed hidden state of each last one.

    Rows are filled up on the right. What is computed there is never looked at: the next tokens
    overwrite it before anybody may.
    """
    lengths = torch.tensor([len(row) for row in rows], device=network.device)
    width = whole(max(len(row) for row in rows), PORTION)
    x = torch.zeros((len(rows), width, rows[0].shape[-1]), dtype=network.dtype, device=network.device)
    for target, row in zip(x, rows, strict=True):
        target[: len(row)] = row
    hidden = network.begin(x, cache, start)
    return network.normed(hidden[torch.arange(len(rows), device=network.device), lengths - 1])


def ids_of(network: Language, ids: Sequence[int]) -> Tensor:
    """Return ids on the network's device."""
    return torch.tensor(ids, dtype=torch.int64, device=network.device)


def _prefix(question: Question, image: int) -> Prefix:
    """Return the whole portions up to the end of a question's last picture; at least one id stays behind them."""
    if not question.subject or image not in question.ids:
        return (b"", ())
    end = len(question.ids) - question.ids[::-1].index(image)
    whole_portions = min(end, len(question.ids) - 1) // PORTION * PORTION
    return (question.subject, question.ids[:whole_portions])


def _arranged(prefixes: Sequence[Prefix], kept: Prefix | None) -> list[int]:
    """Return the order of rows: by where they go on; of these the first with each prefix, the kept one's before."""
    first = {prefix: place for place, prefix in reversed([*enumerate(prefixes)])}

    def rank(place: int) -> tuple[int, int, int]:
        prefix = prefixes[place]
        return len(prefix[1]), 2 if first[prefix] != place else prefix != kept, place

    return sorted(range(len(prefixes)), key=rank)


def _share(
    network: Language,
    questions: Sequence[Question],
    prefixes: Sequence[Prefix],
    cache: Cache,
    image: int,
    kept: Kept | None,
) -> None:
    """Fill the prefixes of rows that all go on at one place: run once, then copied to those that share it."""
    row_of = {prefix: row for row, prefix in enumerate(dict.fromkeys(prefixes))}  # the first rows, in this order
    start, count, known = len(prefixes[0][1]), len(row_of), 0
    if kept and kept.cache and prefixes[0] == kept.prefix:
        cache.part(0, 1).spread(kept.cache, ids_of(network, [0]), start)
        known = 1
    if known < count:
        begun = [_embedded(network, each, image, 0, start) for each in questions[known:count]]
        fill(network, begun, cache.part(known, count))
    if count < len(prefixes):
        owners = ids_of(network, [row_of[prefix] for prefix in prefixes[count:]])
        cache.part(count, len(prefixes)).spread(cache, owners, start)


def _embedded(network: Language, question: Question, image: int, start: int, end: int) -> Tensor:
    """Return the embeddings of a question's places from `start` to before `end`."""
    ids = ids_of(network, question.ids[start:end])
    x = network.embed(ids)
    if question.pictures is not None:
        before, here = question.ids[:start].count(image), ids == image
        every = question.pictures.flatten(0, 1)
        x[here] = every[before : before + int(here.sum())].to(x.dtype)
    return x
