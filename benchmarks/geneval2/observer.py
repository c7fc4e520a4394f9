"""The observer `soft-tifa`: how likely a VQA model gives the right answer to each question about a picture."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from ...evals import reasoning
from ...evals.assets import fetch as data
from ...evals.endpoint.chat import Chat, Terms
from ...evals.endpoint.keys import read_key
from ...evals.endpoint.replies import Reply, RequestFailed
from ...evals.errors import InvalidImage, UsageError
from ...evals.pictures import open_picture
from ...evals.types import Evidence, Json, Picture, Prediction, Sample
from ..judging.local import LocalSpeaker, shown_name
from ..judging.speakers import EndpointSpeaker, Speaker, probability
from ..judging.task import Ask
from ..toy.weights import identity, packaged
from .soft_tifa import PROMPT, QWEN, words

if TYPE_CHECKING:
    from ..dpg_bench.vqa.observer import MPlugVqa

T = TypeVar("T")
R = TypeVar("R")

ASSET = "geneval2-vqa"


def scorer_label(vqa: str) -> str:
    """Return the name under which another scorer's numbers go, "" for the official one."""
    kind, _, rest = vqa.partition(":")
    if vqa in ("official", "toy") or vqa == f"hf:{QWEN}":
        return ""
    if kind not in ("hf", "openai") or not rest:
        raise UsageError(f"geneval2: vqa {vqa!r}; expected official, toy, hf:ORG/NAME, hf:FOLDER or openai:NAME")
    return f"{kind}:{shown_name(rest)}"


class SoftTifa:
    """The VQA model of GenEval 2; `vqa` says which.

    "official": Qwen3-VL-8B-Instruct, fetched on first use. "hf:ORG/NAME" or "hf:FOLDER": another image-text model of
    transformers. "openai:NAME": an endpoint at `vqa_base_url` that gives token probabilities, of which it tells the
    twenty likeliest: the others count as 0. "toy": the embedded world's small VQA model, which is what "official" means
    in the world "toy".

    Evidence.data is {"chances": [probability of a right answer, a question], "said": [the likeliest first token],
    "scorer", "models": [who answered]}.
    """

    inert = ("vqa", "world", "device", "dtype", "vqa_base_url", "offline")
    independent = True

    def __init__(
        self,
        vqa: str = "official",
        *,
        world: str = "official",
        device: str = "auto",
        dtype: str = "auto",
        offline: bool = False,
        vqa_base_url: str | None = None,
    ) -> None:
        self.scorer = scorer_label(vqa)
        self.vqa = "toy" if vqa == "official" and world == "toy" else vqa
        name = QWEN if self.vqa == "official" else self.vqa.removeprefix("hf:")
        local = self.vqa == "official" or self.vqa.startswith("hf:")
        self._local = LocalSpeaker(name, device=device, dtype=dtype, offline=offline) if local else None
        self._terms = Terms(vqa_base_url)
        self._url = vqa_base_url

    @cached_property
    def card(self) -> Mapping[str, Json]:
        if self.vqa == "toy":
            return {"vqa": identity("vqa")}
        if self._local is None:
            return {"vqa": self.vqa, "url": self._terms.address}
        return {"vqa": self.scorer or QWEN, **self._local.card}

    @property
    def batch_size(self) -> int:
        """Pictures asked about at once."""
        return 8

    def assets(self) -> Sequence[str]:
        """Return the VQA model, unless it is a folder, the embedded world's or an endpoint."""
        if self._local is None:
            return ()
        return (ASSET,) if self._local.name == QWEN else self._local.assets()

    def needs(self) -> Sequence[str]:
        """Return the names of what is not here yet, as `data.fetch` takes them."""
        return [each for each in self.assets() if data.locate(each) is None]

    def observe(self, pairs: Sequence[tuple[Sample, Prediction]]) -> Sequence[Evidence]:
        """Ask the questions in each sample's target about its picture."""
        asked = [(at, ask) for at, pair in enumerate(pairs) for ask in self.asks(*pair)]
        replies = self._speaker.gather(lambda one: self._reply(one[1]), asked)
        found: list[Evidence] = []
        for at, (sample, prediction) in enumerate(pairs):
            mine = [(ask, reply) for (place, ask), reply in zip(asked, replies, strict=True) if place == at]
            found.append(self._evidence(sample, prediction, mine))
        return found

    def asks(self, sample: Sample, prediction: Prediction) -> list[Ask]:
        """Return what is asked about a picture, the picture first; nothing where there is none."""
        if prediction.image is None:
            return []
        picture = (Picture.file(prediction.image),)
        return [
            Ask(PROMPT.format(question), pictures=picture, first=True, words=words(question, answer))
            for question, answer in sample.target["vqa_list"]
        ]

    def toy(self) -> Speaker:
        """Return who answers in the embedded world."""
        return ToySpeaker()

    def _reply(self, ask: Ask) -> Reply | RequestFailed | InvalidImage:
        try:
            reply = self._speaker.ask(ask, 0.0, 1)
        except (RequestFailed, InvalidImage) as error:
            return error
        begins = (reply.text, max(reply.first, key=reply.first.__getitem__, default=""))
        mark = next((each for each in begins if reasoning.begins(each)), None)
        if mark is None:
            return reply
        # no answer, and so no probability
        return RequestFailed(f"{self.vqa} reasons before it answers (its first token is {mark!r:.20}): ask another")

    def _evidence(
        self,
        sample: Sample,
        prediction: Prediction,
        mine: Sequence[tuple[Ask, Reply | RequestFailed | InvalidImage]],
    ) -> Evidence:
        if not mine:
            return Evidence(sample.id, prediction.index, error="invalid image: there is none")
        wrong = next((reply for _, reply in mine if isinstance(reply, Exception)), None)
        if wrong is not None:
            start = "invalid image: " if isinstance(wrong, InvalidImage) else ""
            return Evidence(sample.id, prediction.index, error=f"{start}{wrong}")
        known = [(ask, reply) for ask, reply in mine if isinstance(reply, Reply)]
        models = sorted({reply.model for _, reply in known})
        row = {
            "chances": [probability(reply, ask.words) for ask, reply in known],
            "said": [reply.text for _, reply in known],
            "scorer": self.scorer,
            "models": models,
        }
        return Evidence(sample.id, prediction.index, row, served=", ".join(models))

    @cached_property
    def _speaker(self) -> Speaker:
        if self._local is not None:
            return self._local
        if self.vqa == "toy":
            return self.toy()
        who = f"soft-tifa {self.vqa}"
        chat = Chat(self._terms, read_key("OPENAI_API_KEY", None, self._url), who, {"logprobs": "--vqa hf:ORG/NAME"})
        return EndpointSpeaker(chat, self.vqa.removeprefix("openai:"))


class ToySpeaker:
    """The embedded world's mPLUG, asked without the line that asks for one word: it knows only one-word answers."""

    def ask(self, ask: Ask, temperature: float | None, max_tokens: int | None) -> Reply:
        del temperature, max_tokens
        question = ask.prompt.removesuffix(PROMPT.format(""))
        chances = self._model.first_words(open_picture(ask.pictures[0].read(), ask.pictures[0].name), question)
        tokens = self._model.tokens
        ids = {each: tokens.encode(each)[0][1] for each in ask.words}
        # Its vocabulary has one token for all writings of a word, which counts once.
        once = {number: each for each, number in ids.items()}
        first = {each: chances[number].item() for number, each in once.items()}
        return Reply(tokens.words[int(chances.argmax())], identity("vqa"), first=first)

    def gather(self, function: Callable[[T], R], items: Sequence[T]) -> list[R]:
        return [function(each) for each in items]

    @cached_property
    def _model(self) -> MPlugVqa:
        import torch

        from ..dpg_bench.vqa.observer import MPlugVqa
        from ..dpg_bench.vqa.weights import load

        return MPlugVqa(*load(packaged("vqa"), "cpu", torch.float32), "cpu", torch.float32)
