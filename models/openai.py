"""Any OpenAI-compatible endpoint as the model under test: answers about pictures, and drawings."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

from PIL import Image, PngImagePlugin

from ..evals.endpoint.chat import Chat, Terms, read_key
from ..evals.endpoint.parts import picture_part
from ..evals.endpoint.replies import AnswerFrom, RequestFailed, answer_of
from ..evals.errors import InvalidImage, UsageError, why_undecodable
from ..evals.types import Answer, Job, Json, Kind, Output

_REMEDIES = {
    "max_tokens": "-a token_field=max_completion_tokens",
    "max_completion_tokens": "-a token_field=max_tokens",
    "temperature": "-a temperature=none",
    "response_format": "-a image_format=none",
}
"""What to type where a service does not take a parameter."""


class OpenAIModel:
    """Any OpenAI-compatible endpoint, for answers and drawings: `openai:NAME`.

    The key comes from the environment variable `key_env` or the file `key_file`. Questions go to
    /chat/completions: the pictures first, then the question without its leading newline, at
    `temperature` (`none` leaves it out), with at most `max_new_tokens` new tokens, which is called
    `token_field` in the request. `system_prompt` stands before the benchmark's. Drawings come from
    /images/generations at `size` and `quality`; a prompt that the service rewrote is kept in the
    picture's PNG text `revised_prompt`. `image_format` asks for the picture's bytes where a service
    would send an address (`auto`: all but gpt-image, which refuses the parameter).

    An empty answer is a failure of its sample; `answer_from=reasoning` takes the text that a reasoning
    model's server put beside it (`reasoning_content`) where the answer is empty. `timeout` seconds are for
    a whole reply. A picture that cannot be decoded is never sent.
    """

    kinds: frozenset[Kind] = frozenset(("text", "image"))
    independent = True
    inert = (
        *("name", "base_url", "max_new_tokens", "temperature", "system_prompt", "size", "quality", "image_format"),
        *("key_env", "key_file", "token_field", "answer_from", "concurrency", "timeout", "retries"),
    )

    def __init__(
        self,
        name: str,
        *,
        base_url: str | None = None,
        key_env: str = "OPENAI_API_KEY",
        key_file: Path | None = None,
        max_new_tokens: int = 512,
        temperature: float | None = 0.0,
        token_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens",
        answer_from: AnswerFrom = "content",
        system_prompt: str | None = None,
        size: str = "1024x1024",
        quality: str | None = None,
        image_format: Literal["auto", "b64_json", "none"] = "auto",
        concurrency: int = 8,
        timeout: float = 120.0,
        retries: int = 6,
    ) -> None:
        if not name:
            raise UsageError("openai needs a model's name: openai:NAME")
        if min(max_new_tokens, concurrency) < 1 or retries < 0 or not timeout > 0:
            raise UsageError("openai: max_new_tokens, concurrency and timeout are at least 1, retries 0")
        self._name = name
        self._terms = Terms(base_url, timeout=timeout, max_retries=retries, token_field=token_field)
        self._key = (key_env, key_file)
        self._max_new_tokens = max_new_tokens
        if temperature is not None and not 0 <= temperature < float("inf"):
            raise UsageError(f"openai: temperature {temperature}: expected a finite number from 0 up, or none")
        self._temperature = temperature
        self._answer_from: AnswerFrom = answer_from
        self._system_prompt = system_prompt
        asks_bytes = image_format == "b64_json" or (image_format == "auto" and not name.startswith("gpt-image"))
        drawing = {"size": size, "quality": quality, "response_format": "b64_json" if asks_bytes else None}
        self._drawing = {key: value for key, value in drawing.items() if value is not None}
        self._concurrency = concurrency
        self._chat: Chat | None = None
        self._kept: dict[tuple[str, Kind, int, int], Output | RequestFailed | InvalidImage] = {}

    @property
    def card(self) -> Mapping[str, Json]:
        return {
            "weights": f"{self._name} at {self._terms.address}",
            "max_new_tokens": self._max_new_tokens,
            "temperature": "service" if self._temperature is None else self._temperature,
            "answer_from": self._answer_from,
            "system_prompt": "preset" if self._system_prompt is None else self._system_prompt,
            "images": ",".join(f"{key}={value}" for key, value in sorted(self._drawing.items())),
        }

    def batch_size(self, jobs: Sequence[Job]) -> int:
        """Return how many jobs to ask for between two writes to disk."""
        return 4 * self._concurrency

    def predict(self, jobs: Sequence[Job]) -> Sequence[Output]:
        """Return one output for each job, several asked at once.

        Raises RequestFailed or InvalidImage where one failed; the others' outputs are kept and given without a new
        request when their jobs are asked for again one by one.
        """
        todo = [job for job in jobs if _key(job) not in self._kept]
        if todo:
            chat = self._connected()
            for job, result in zip(todo, chat.gather(partial(self._one, chat), todo, self._concurrency), strict=True):
                self._kept[_key(job)] = result
        results = [self._kept[_key(job)] for job in jobs]
        failures = [result for result in results if isinstance(result, RequestFailed | InvalidImage)]
        if failures and len(jobs) > 1:
            raise failures[0]
        for job in jobs:
            self._kept.pop(_key(job), None)
        if failures:
            raise failures[0]
        return [result for result in results if not isinstance(result, RequestFailed | InvalidImage)]

    def _one(self, chat: Chat, job: Job) -> Output | RequestFailed | InvalidImage:
        try:
            return self._draw(chat, job) if job.kind == "image" else self._answer(chat, job)
        except (RequestFailed, InvalidImage) as error:
            return error

    def _answer(self, chat: Chat, job: Job) -> Answer:
        sample = job.sample
        text = sample.prompt.lstrip("\n")
        parts = [picture_part(picture.read(), picture.name) for picture in sample.images]
        content: Json = [*parts, {"type": "text", "text": text}] if parts else text
        system = sample.system if self._system_prompt is None else self._system_prompt
        messages: list[dict[str, Json]] = [{"role": "system", "content": system}] if system else []
        messages.append({"role": "user", "content": content})
        # Greedy decoding has no use for a seed, and some services refuse the parameter.
        seed = None if self._temperature == 0 else job.seed % (1 << 31)
        reply = chat.ask(
            self._name, messages, temperature=self._temperature, max_tokens=self._max_new_tokens, seed=seed
        )
        remedy = f"give the model more tokens (-a max_new_tokens={4 * self._max_new_tokens})"
        text = answer_of(reply, f"openai:{self._name}", remedy=remedy, answer_from=self._answer_from)
        return Answer(text, reply.finish, reply.usage, reply.seconds)

    def _draw(self, chat: Chat, job: Job) -> Output:
        drawing = chat.draw(self._name, job.sample.prompt, self._drawing)
        try:
            picture = Image.open(io.BytesIO(drawing.image)).convert("RGB")
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise RequestFailed(
                f"openai:{self._name}: the picture cannot be decoded: {why_undecodable(error)}"
            ) from error
        if drawing.revised_prompt:
            # Whoever saves the picture as PNG saves the service's own prompt with it.
            notes = PngImagePlugin.PngInfo()
            notes.add_itxt("revised_prompt", drawing.revised_prompt)
            picture.save = partial(picture.save, pnginfo=notes)
        return picture

    def _connected(self) -> Chat:
        if self._chat is None:
            key = read_key(*self._key, self._terms.base_url)
            self._chat = Chat(self._terms, key, f"openai:{self._name}", _REMEDIES)
        return self._chat


def _key(job: Job) -> tuple[str, Kind, int, int]:
    return (job.sample.id, job.kind, job.index, job.seed)
