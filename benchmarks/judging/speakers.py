"""Who replies to what is asked about pictures: an OpenAI-compatible endpoint, or a model on this machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from ...evals.endpoint.chat import Chat
from ...evals.endpoint.parts import picture_part
from ...evals.endpoint.replies import Reply, RequestFailed
from .task import Ask

T = TypeVar("T")
R = TypeVar("R")

TOP = 20
"""How many of the likeliest first tokens an endpoint is asked for: the most that OpenAI's interface gives."""


class Speaker(Protocol):
    """Anything that replies. Weights are loaded, and a connection is made, by its first reply."""

    def ask(self, ask: Ask, temperature: float | None, max_tokens: int | None) -> Reply:
        """Return the reply; `first` holds what `ask.words` need. Raises RequestFailed and InvalidImage."""
        ...

    def gather(self, function: Callable[[T], R], items: Sequence[T]) -> list[R]:
        """Call `function`, which asks, on all items, as many at once as it bears."""
        ...


@dataclass(frozen=True)
class EndpointSpeaker:
    """A model behind an endpoint; `more` joins each request."""

    chat: Chat
    model: str
    concurrency: int = 8
    more: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def ask(self, ask: Ask, temperature: float | None, max_tokens: int | None) -> Reply:
        content: str | list[dict[str, Any]] = ask.prompt
        if ask.pictures:
            shown = [picture_part(each.read(), each.name) for each in ask.pictures]
            said = [{"type": "text", "text": ask.prompt}]
            content = [*shown, *said] if ask.first else [*said, *shown]
        messages: list[dict[str, Any]] = [{"role": "system", "content": ask.system}] if ask.system else []
        messages.append({"role": "user", "content": content})
        chances = {"logprobs": True, "top_logprobs": TOP} if ask.words else {}
        reply = self.chat.ask(
            self.model, messages, temperature=temperature, max_tokens=max_tokens, more={**self.more, **chances}
        )
        if ask.words and not reply.first:
            raise RequestFailed(f"{self.model}: the service gave no token probabilities (top_logprobs): take another")
        return reply

    def gather(self, function: Callable[[T], R], items: Sequence[T]) -> list[R]:
        return self.chat.gather(function, items, self.concurrency)


def probability(reply: Reply, words: Sequence[str]) -> float:
    """Return how likely a reply begins with any of the words: the sum over them, of one named twice twice."""
    return sum(reply.first.get(each, 0.0) for each in words)
