"""Any OpenAI-compatible endpoint as the model under test: answers about pictures, drawings and edits."""

from __future__ import annotations

import json
import shutil
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeAlias

from ..evals.endpoint.chat import Chat, Terms
from ..evals.endpoint.images import Images, Wish, canary_of, halting
from ..evals.endpoint.keys import no_key, read_key
from ..evals.endpoint.pace import Pace
from ..evals.endpoint.parts import picture_part, sent
from ..evals.endpoint.purse import Ledger, Price, Purse
from ..evals.endpoint.replies import AnswerFrom, Declined, RequestFailed, answer_of, clean
from ..evals.errors import EnvironmentProblem, Incomplete, InvalidImage, JanusEvalError, UsageError
from ..evals.files import SERVICE
from ..evals.types import PICTURES, Answer, Job, Json, Kind, Output, Refusal
from .services import check_alive, end_of, official, price_of

_REMEDIES = {
    "max_tokens": "-a token_field=max_completion_tokens",
    "max_completion_tokens": "-a token_field=max_tokens",
    "temperature": "-a temperature=none",
    "seed": "-a seed=no",
    "size": "-a size=none (of edits: -a edit_size=none)",
    "quality": "-a quality=none",
    "num_inference_steps": "-a steps=none",
    "guidance_scale": "-a guidance=none",
    "negative_prompt": "-a negative_prompt=none",
}
"""What to type where a service does not take a parameter."""
_OURS = ("model", "prompt", "n", "seed", "size", "quality", "num_inference_steps", "guidance_scale", "negative_prompt")
_CANARY = 4
"""Pictures that the canary draws at most."""

_Result: TypeAlias = "Output | JanusEvalError"


class OpenAIModel:
    """Any OpenAI-compatible endpoint, for answers, drawings and edits: `openai:NAME`.

    The key comes from the environment variable `key_env` or the file `key_file`. Questions go to
    /chat/completions: the pictures first, then the question without its leading newline, at
    `temperature` (`none` leaves it out), with at most `max_new_tokens` new tokens, which is called
    `token_field` in the request. `system_prompt` stands before the benchmark's.

    Drawings come from /images/generations at `size` and `quality`, with `steps`, `guidance`, `negative_prompt` and
    the fields of the JSON object `extra` where they are given. `seed` sends the job's (`auto`: but to OpenAI, which
    takes none). A picture is on disk when it comes; what the service said of it stands in its PNG text. `price` is
    US$ a picture, or for a million tokens (text in, pictures in, pictures out), in place of the table's; no drawing
    is asked for that could pass `max_cost`. `canary` draws four pictures first and looks whether prompt and seed moved
    them.

    Edits come from /images/edits, a form with the sample's pictures and the same fields, but the size: `edit_size`, or
    the service's own, which follows the source at OpenAI.

    An empty answer is a failure of its sample; `answer_from=reasoning` takes the text that a reasoning
    model's server put beside it (`reasoning_content`) where the answer is empty. `timeout` seconds are for
    a whole reply (120, a drawing 600), `concurrency` requests run at once, `per_minute` are begun in a minute. A
    picture that cannot be decoded is never sent.
    """

    kinds: frozenset[Kind] = frozenset(("text", "image", "edit"))
    independent = True
    inert = (
        *("name", "base_url", "max_new_tokens", "temperature", "system_prompt", "size", "quality", "steps", "guidance"),
        "edit_size",
        *("negative_prompt", "extra", "seed", "key_env", "key_file", "token_field", "answer_from", "concurrency"),
        *("per_minute", "timeout", "retries", "price", "max_cost", "canary"),
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
        size: str | None = "1024x1024",
        edit_size: str | None = None,
        quality: str | None = None,
        steps: int | None = None,
        guidance: float | None = None,
        negative_prompt: str | None = None,
        extra: str | None = None,
        seed: Literal["auto", "send", "no"] = "auto",
        price: str | None = None,
        max_cost: str | None = "",
        canary: bool = True,
        concurrency: int = 8,
        per_minute: float | None = None,
        timeout: float | None = None,
        retries: int = 6,
    ) -> None:
        if not name:
            raise UsageError("openai needs a model's name: openai:NAME")
        seconds = 120.0 if timeout is None else timeout
        if min(max_new_tokens, concurrency) < 1 or retries < 0 or not seconds > 0:
            raise UsageError("openai: max_new_tokens, concurrency and timeout are at least 1, retries 0")
        if per_minute is not None and not 0 < per_minute < float("inf"):
            raise UsageError(f"openai: per_minute {per_minute}: expected a number above 0")
        if temperature is not None and not 0 <= temperature < float("inf"):
            raise UsageError(f"openai: temperature {temperature}: expected a finite number from 0 up, or none")
        self._name = name
        self._terms = Terms(base_url, timeout=seconds, max_retries=retries, token_field=token_field)
        check_alive(name, self._terms.endpoint)
        self._key = (key_env, key_file)
        self._max_new_tokens, self._temperature, self._system_prompt = max_new_tokens, temperature, system_prompt
        self._answer_from: AnswerFrom = answer_from
        fields = {"size": size, "quality": quality, "num_inference_steps": steps, "guidance_scale": guidance}
        fields["negative_prompt"] = negative_prompt
        self._fields = {key: value for key, value in fields.items() if value is not None} | _extra(extra)
        self._edit_size, self._seed = edit_size, seed
        self._seeded = seed == "send" or (seed == "auto" and not official(self._terms.endpoint))
        self._size, self._drawing_seconds, self._canary = size or "", 600.0 if timeout is None else timeout, canary
        self._price = price_of(name, self._size, quality, self._terms.endpoint, price)
        self._max_cost = max_cost
        self._purse = Purse(self._price or Price(origin="unknown"), _ceiling(max_cost))
        width = self._size.partition("x")[0]
        self.image_size = int(width) if width.isascii() and width.isdecimal() else 1024
        self._concurrency, self._pace = concurrency, Pace(concurrency, per_minute)
        self._chat: Chat | None = None
        self._painters: dict[Kind, Images] = {}
        self._ledger: Ledger | None = None
        self._kept: dict[tuple[str, Kind, int, int], _Result] = {}

    @property
    def card(self) -> Mapping[str, Json]:
        edits = {} if self._edit_size is None else {"edits": f"size={self._edit_size}"}
        return {
            "weights": f"{self._name} at {self._terms.address}",
            "max_new_tokens": self._max_new_tokens,
            "temperature": "service" if self._temperature is None else self._temperature,
            "answer_from": self._answer_from,
            "system_prompt": "preset" if self._system_prompt is None else self._system_prompt,
            "images": ",".join(f"{key}={_plain(value)}" for key, value in sorted(self._fields.items())),
            **edits,
            "seed": "service" if self._seed == "no" else "sent" if self._seeded else "sent; drawings: service",
        }

    def lacks(self) -> Sequence[str]:
        """Return that there is no key, where the address wants one."""
        return no_key(*self._key, self._terms.base_url)

    # -- what it costs ----------------------------------------------------------------------------

    def cost(self, pictures: int) -> str:
        """Return what so many pictures cost, the canary's with them. Raises UsageError where that may not be."""
        if not pictures:
            return ""
        ceiling = self._purse.ceiling
        if self._price is None:
            if self._max_cost is None:
                return "unknown: no price is known, and no ceiling wanted"
            raise UsageError(
                f"openai:{self._name}: what a picture costs is not known: give -a price=US$ (a picture, or text in,"
                "pictures in,pictures out for a million tokens), or --max-cost none"
            )
        told = f"prices {self._price.origin}"
        each, count = self._price.picture, pictures + (_CANARY if self._canary else 0)
        if each == 0:
            return ""
        if each is None:
            return f"known after the first pictures: by tokens; {told}"
        if ceiling is not None and each * count > ceiling:
            raise UsageError(
                f"openai:{self._name}: {count:,} pictures cost about {each * count:.2f} US$, more than --max-cost "
                f"{ceiling:g}: allow more, or ask for fewer (-l N); {told}"
            )
        end = end_of(self._name, self._terms.endpoint)
        told += f"; the model ends on {end}" if end else ""
        return f"about {each * count:.2f} US$ for {count:,} pictures of {each:.4f}; {told}"

    def begin(self, folder: Path) -> str:
        """Take a run's folder: what is paid for is kept there. Return what an earlier try may have paid in vain."""
        self._ledger, self._painters = Ledger(folder / SERVICE, self._purse), {}
        self._purse.halt(None)
        count = self._ledger.adrift
        return f"warning: {count} requests of the last try have no end: they may have been paid" if count else ""

    def spent(self) -> Mapping[str, Json]:
        """Return what the run's drawings have cost."""
        found = dict(self._ledger.facts()) if self._ledger is not None else {}
        canary = dict(canary_of(self._ledger)) if self._ledger is not None and found else {}
        return found | ({"canary": canary} if canary else {})

    # -- what it gives ----------------------------------------------------------------------------

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
            for job in todo:
                if job.kind in PICTURES:
                    self._painter(chat, job.kind)
            results = chat.gather(partial(self._one, chat), todo, self._concurrency)
            if (stop := halting(results)) is not None:  # what came beside it lies on disk
                raise stop
            self._kept |= zip(map(_key, todo), results, strict=True)
        results = [self._kept[_key(job)] for job in jobs]
        failures = [result for result in results if isinstance(result, JanusEvalError)]
        if failures and len(jobs) > 1:
            raise failures[0]
        for job in jobs:
            self._kept.pop(_key(job), None)
        if failures:
            raise failures[0]
        return [result for result in results if not isinstance(result, JanusEvalError)]

    def _one(self, chat: Chat, job: Job) -> _Result:
        """Return an output, or what became of it; a question that stops everything stops the others under way too."""
        try:
            if job.kind in PICTURES:
                return self._painter(chat, job.kind).draw(_wish(job), job.sample.id, job.index)
            return self._answer(chat, job)
        except Declined as error:
            return Refusal(error.code, error.words)
        except (RequestFailed, InvalidImage) as error:
            return error
        except (EnvironmentProblem, Incomplete, UsageError) as error:
            if job.kind not in PICTURES:
                raise
            return error  # drawings under way are paid: they shall come

    def _answer(self, chat: Chat, job: Job) -> Answer:
        sample = job.sample
        text = sample.prompt.lstrip("\n")
        parts = [picture_part(picture.read(), picture.name) for picture in sample.images]
        content: Json = [*parts, {"type": "text", "text": text}] if parts else text
        system = sample.system if self._system_prompt is None else self._system_prompt
        messages: list[dict[str, Json]] = [{"role": "system", "content": system}] if system else []
        messages.append({"role": "user", "content": content})
        # Greedy decoding has no use for a seed, and some services refuse the parameter.
        seed = None if self._temperature == 0 or self._seed == "no" else job.seed % (1 << 31)
        reply = chat.ask(
            self._name, messages, temperature=self._temperature, max_tokens=self._max_new_tokens, seed=seed
        )
        remedy = f"give the model more tokens (-a max_new_tokens={4 * self._max_new_tokens})"
        text = answer_of(reply, f"openai:{self._name}", remedy=remedy, answer_from=self._answer_from)
        return Answer(text, reply.finish, reply.usage, reply.seconds, clean(reply.model, (), 100))

    def _painter(self, chat: Chat, kind: Kind) -> Images:
        """Return the drawings or the edits of the run, once their canary has sung."""
        if kind not in self._painters:
            if self._ledger is None:  # nobody's run
                room = tempfile.mkdtemp(prefix="janus-eval-")
                weakref.finalize(self, shutil.rmtree, room, ignore_errors=True)
                self._ledger = Ledger(Path(room) / SERVICE, self._purse)
            edits, size, fields = kind == "edit", self._size, self._fields
            if edits:
                size = self._edit_size or ""
                fields = {key: each for key, each in fields.items() if key != "size"} | ({"size": size} if size else {})
            painter = Images(chat, self._name, fields, self._ledger, seconds=self._drawing_seconds, seeded=self._seeded)
            if self._canary:
                painter.look(size, self._concurrency, edits=edits)
            self._painters[kind] = painter
        return self._painters[kind]

    def _connected(self) -> Chat:
        if self._chat is None:
            key = read_key(*self._key, self._terms.base_url)
            self._chat = Chat(self._terms, key, f"openai:{self._name}", _REMEDIES, self._pace)
        return self._chat


def _key(job: Job) -> tuple[str, Kind, int, int]:
    return (job.sample.id, job.kind, job.index, job.seed)


def _wish(job: Job) -> Wish:
    """Return what a picture is asked for with. Raises InvalidImage for a source that is none, or an edit without."""
    sample = job.sample
    if job.kind != "edit":
        return Wish(sample.prompt, job.seed)
    if not sample.images:
        raise InvalidImage(f"sample {sample.id!r} has no picture to edit")
    return Wish(sample.prompt, job.seed, tuple(sent(each.read(), each.name, also=()) for each in sample.images))


def _extra(text: str | None) -> dict[str, Json]:
    """Return the fields of a JSON object. Raises UsageError for what is none, or names what has its own option."""
    if text is None:
        return {}
    try:
        found: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"extra={text!r:.100}: no JSON ({error})") from error
    if not isinstance(found, dict):
        raise UsageError(f'extra={text!r:.100}: expected a JSON object, such as {{"true_cfg_scale": 4}}')
    taken = [key for key in found if key in _OURS]
    if taken:
        raise UsageError(f"extra: {taken[0]!r} has an option of its own, or is the harness's")
    return found


def _plain(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def _ceiling(text: str | None) -> float | None:
    """Return US$; None for no ceiling. Raises UsageError for what is neither."""
    if text is None or text in ("", "none"):
        return None
    try:
        found = float(text)
    except ValueError:
        found = -1.0
    if not 0 < found < float("inf"):
        raise UsageError(f"--max-cost {text!r}: expected US$ above 0, or none")
    return found
