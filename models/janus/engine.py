"""Drawing, answering and weighing options with Janus in batches whose members do not touch each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ...evals.errors import JanusEvalError
from .network import Cache, Language, Network, whole
from .noise import Noise
from .prompts import DrawPrompt
from .reading import Kept, Question, fill, ids_of, read

Choose = Callable[[int, Tensor, "Tensor | None"], Tensor]
"""(step, conditional logits (B, V), unconditional logits or None) -> codes (B,)."""


@dataclass(frozen=True)
class Sampler:
    """The official rule: logits = uncond + guidance * (cond - uncond), softmax at `temperature`, one draw.

    Temperature 0 takes the best code. All in float32, also where the network runs in bfloat16 (the
    official script draws in the network's dtype).
    """

    guidance: float
    temperature: float
    noise: Noise

    def __call__(self, step: int, conditional: Tensor, unconditional: Tensor | None) -> Tensor:
        logits = guided(conditional, unconditional, self.guidance)
        if self.temperature == 0:
            return logits.argmax(-1)
        return (logits / self.temperature - self.noise(step).log_()).argmax(-1)


def guided(conditional: Tensor, unconditional: Tensor | None, guidance: float) -> Tensor:
    """Return the guided logits as float32; without an unconditional half, the conditional ones."""
    conditional = conditional.float()
    if unconditional is None:
        return conditional
    unconditional = unconditional.float()
    return unconditional + guidance * (conditional - unconditional)


class _Finite:
    """Remembers whether logits were numbers, on their device: only `check` waits for it."""

    def __init__(self, network: Language) -> None:
        self._good = torch.ones((), dtype=torch.bool, device=network.device)

    def see(self, logits: Tensor, among: Tensor | None = None) -> None:
        """Look at logits (B, V), of the rows `among` where it is given."""
        good = torch.isfinite(logits).all(-1)
        self._good &= (good if among is None else good | ~among).all()

    def check(self) -> None:
        """Raise JanusEvalError where a logit was no number: what was chosen by it is no output."""
        if not bool(self._good):
            raise JanusEvalError("the network's logits are not finite: the weights or the dtype are at fault")


@torch.inference_mode()
def draw(network: Network, prompts: Sequence[DrawPrompt], choose: Choose, *, guided: bool, steps: int) -> Tensor:
    """Draw one picture's codes for each prompt: (B, steps) int64 on the network's device.

    `guided` runs the unconditional prompts beside the conditional ones. The pads *inside* an
    unconditional prompt are attended, as in the official code; what fills a row up to its neighbours'
    length is not. Equal prompts (the four pictures of one) are run once. Raises JanusEvalError for logits
    that are not finite.
    """
    count = len(prompts)
    if not count or not steps:
        return torch.empty((count, steps), dtype=torch.int64, device=network.device)
    rows = [prompt.conditional for prompt in prompts]
    if guided:
        rows += [prompt.unconditional for prompt in prompts]
    longest = max(len(row) for row in rows)
    cache = Cache.empty(network, len(rows), longest + steps - 1)
    hidden = prefill(network, rows, cache)
    lengths = torch.tensor([len(row) for row in rows], device=network.device)
    codes = torch.empty((count, steps), dtype=torch.int64, device=network.device)
    finite = _Finite(network)
    for step in range(steps):
        logits = network.code_logits(hidden)
        finite.see(logits)
        if step == 0:
            finite.check()
        codes[:, step] = choose(step, logits[:count], logits[count:] if guided else None)
        if step + 1 < steps:
            x = network.embed_codes(codes[:, step])
            hidden = _step(network, torch.cat((x, x)) if guided else x, lengths + step, cache, longest + step)
    finite.check()
    return codes


def _step(network: Language, x: Tensor, positions: Tensor, cache: Cache, last: int) -> Tensor:
    """Run one new position of each row, at most at column `last`: x (R, hidden) -> (R, hidden), normed."""
    columns = torch.arange(whole(last + 1), device=network.device)
    visible = (columns <= positions[:, None])[:, None, None]
    return network.normed(network.go_on(x[:, None], positions[:, None], cache, visible)[:, 0])


def prefill(network: Language, rows: Sequence[tuple[int, ...]], cache: Cache) -> Tensor:
    """Run each distinct row once and fill every row's cache from it."""
    distinct = list(dict.fromkeys(rows))
    place = {row: number for number, row in enumerate(distinct)}
    longest = max(len(row) for row in rows)
    own = cache if len(distinct) == len(rows) else Cache.empty(network, len(distinct), longest)
    hidden = fill(network, [network.embed(ids_of(network, row)) for row in distinct], own)
    if own is cache:
        return hidden
    index = torch.tensor([place[row] for row in rows], device=network.device)
    cache.spread(own, index, longest)
    return hidden[index]


@torch.inference_mode()
def answer(
    network: Language,
    questions: Sequence[Question],
    *,
    image: int,
    eos: int,
    limit: int,
    kept: Kept | None = None,
    watch: Callable[[Tensor], None] | None = None,
) -> list[list[int]]:
    """Answer greedily: the new ids of each question, at most `limit`, without the end token.

    An answer also ends where the context is full (`room_for`). `image` is the id of the picture places,
    `kept` what was kept of the batch before. `watch` is shown the logits (B, vocabulary) of every step.
    Raises JanusEvalError for logits that are not finite.
    """
    if not questions:
        return []
    longest = max(len(each.ids) for each in questions)
    room = torch.tensor([room_for(network, each, limit) for each in questions], device=network.device)
    steps = int(room.max())
    cache = Cache.empty(network, len(questions), longest + max(steps - 1, 0))
    hidden, rows = read(network, questions, cache, image=image, kept=kept)
    lengths = torch.tensor([len(each.ids) for each in questions], device=network.device)[rows]
    room = room[rows]
    said: list[Tensor] = []
    finite = _Finite(network)
    open_rows = room > 0
    for step in range(steps):
        logits = network.word_logits(hidden)
        if watch:
            watch(logits[rows.argsort()])
        finite.see(logits, open_rows)
        if step % _ASK == 0:
            finite.check()
        words = logits.argmax(-1).where(open_rows, eos)
        said.append(words)
        open_rows = open_rows & (words != eos) & (room > step + 1)
        if step + 1 == steps or (step % _ASK == 0 and not bool(open_rows.any())):
            break
        hidden = _step(network, network.embed(words), lengths + step, cache, longest + step)
    finite.check()
    columns = torch.stack(said, 1)[rows.argsort()].tolist() if said else [[] for _ in questions]
    return [row[: row.index(eos)] if eos in row else row for row in columns]


def room_for(network: Language, question: Question, limit: int) -> int:
    """Return how many ids an answer may have. One that has so many did not end by itself: it was cut."""
    return min(limit, network.context - len(question.ids))


_ASK = 4
"""After how many steps the loop waits for the device to learn whether every answer has ended."""


@torch.inference_mode()
def weigh(
    network: Language,
    questions: Sequence[Question],
    options: Sequence[Sequence[Sequence[int]]],
    *,
    image: int,
    kept: Kept | None = None,
) -> list[tuple[float, ...]]:
    """Return log p(option | question), in nats, summed over the option's ids, for each option.

    Each question is run once; its options run over copies of its cache. `image` and `kept` as in `answer`.
    Raises JanusEvalError for logits that are not finite.
    """
    if not questions:
        return []
    longest = max(len(each.ids) for each in questions)
    prefix = Cache.empty(network, len(questions), longest)
    hidden, rows = read(network, questions, prefix, image=image, kept=kept)
    row_of = {question: row for row, question in enumerate(rows.tolist())}
    lengths = torch.tensor([len(each.ids) for each in questions], device=network.device)[rows]
    finite = _Finite(network)
    logits = network.word_logits(hidden)
    finite.see(logits)
    first = logits.float().log_softmax(-1)
    flat = [(row_of[question], list(ids)) for question, each in enumerate(options) for ids in each]
    if not flat:
        return [() for _ in questions]
    owner = torch.tensor([row for row, _ in flat], device=network.device)
    width = max(len(ids) for _, ids in flat)
    table = torch.zeros((len(flat), width), dtype=torch.int64, device=network.device)
    real = torch.zeros((len(flat), width), dtype=torch.bool, device=network.device)
    for line, (_, ids) in enumerate(flat):
        table[line, : len(ids)] = ids_of(network, ids)
        real[line, : len(ids)] = True
    gains = [first[owner].gather(1, table[:, :1])]
    if width > 1:
        gains.append(_later_gains(network, prefix, lengths, owner, table, longest, finite))
    finite.check()
    totals = (torch.cat(gains, 1).double() * real).sum(1).tolist()
    ends = iter(totals)
    return [tuple(next(ends) for _ in each) for each in options]


def _later_gains(
    network: Language, prefix: Cache, lengths: Tensor, owner: Tensor, table: Tensor, longest: int, finite: _Finite
) -> Tensor:
    """Return the log-probabilities of the second and later ids of each option."""
    width = table.shape[1] - 1
    cache = Cache.empty(network, len(table), longest + width)
    cache.spread(prefix, owner, longest)
    columns = torch.arange(cache.length, device=network.device)
    positions = lengths[owner][:, None] + torch.arange(width, device=network.device)
    visible = (columns <= positions[..., None])[:, None]
    hidden = network.go_on(network.embed(table[:, :-1]), positions, cache, visible)
    logits = network.word_logits(network.normed(hidden))
    finite.see(logits.flatten(0, 1))
    chances = logits.float().log_softmax(-1)
    return chances.gather(2, table[:, 1:, None])[..., 0]
