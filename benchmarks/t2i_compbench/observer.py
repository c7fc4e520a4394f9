"""The observer `blip-vqa`: how likely BLIP says yes to each noun phrase of a prompt."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ...evals.assets import fetch as data
from ...evals.errors import InvalidImage, UsageError
from ...evals.memory import device_of
from ...evals.pictures import open_picture
from ...evals.types import Evidence, Json, Picture, Prediction, Sample
from ..dpg_bench.vqa.observer import out_of_memory
from ..geneval2.observer import ToySpeaker
from ..judging.task import Ask
from ..toy.weights import identity
from . import phrases as found

if TYPE_CHECKING:
    from .blip import Blip

ASSET: Final = "blip-vqa"


class BlipVqa:
    """BLIP-VQA; `vqa` says whose weights, `phrases` whose noun phrases.

    `vqa` is "official" (model_base_vqa_capfilt_large, fetched on first use), a folder with its two files, or "toy", the
    embedded world's small VQA model, which is what "official" means in the world "toy". `phrases` is "kept" (those of
    the makers' prompts, as en_core_web_sm 3.8.0 finds them) or "spacy" (what the installed en_core_web_sm finds);
    phrases of a table of one's own go before either.

    Evidence.data is {"chances": [probability of a yes, a phrase], "phrases": [all of the prompt's], "by": [whose]}.
    """

    inert = ("vqa", "phrases", "world", "device", "offline")

    def __init__(
        self,
        vqa: str = "official",
        *,
        phrases: str = "kept",
        world: str = "official",
        device: str = "auto",
        offline: bool = False,
    ) -> None:
        if vqa.partition(":")[0] in ("hf", "openai"):
            raise UsageError(f"blip-vqa: vqa {vqa!r}; expected official, toy or a folder with BLIP's checkpoint")
        self.vqa = "toy" if vqa == "official" and world == "toy" else vqa
        self.phrases = phrases
        self.device = device
        self.offline = offline

    @cached_property
    def card(self) -> Mapping[str, Json]:
        if self.vqa == "toy":
            return {"vqa": identity("vqa"), "phrases": self.phrases}
        name = "blip-vqa" if self.vqa == "official" else f"blip-vqa:{data.fingerprint(Path(self.vqa))}"
        return {"vqa": name, "phrases": self.phrases if self.phrases == "spacy" else found.KEPT}

    @property
    def batch_size(self) -> int:
        """Pictures looked at between two writes."""
        return 8

    def assets(self) -> Sequence[str]:
        """Return BLIP's weights, unless a folder was given."""
        return (ASSET,) if self.vqa == "official" else ()

    def needs(self) -> Sequence[str]:
        """Return the names of what is not here yet, as `data.fetch` takes them."""
        return [each for each in self.assets() if data.locate(each) is None]

    def observe(self, pairs: Sequence[tuple[Sample, Prediction]]) -> Sequence[Evidence]:
        """Ask about each picture the first eight phrases of its prompt, a question mark behind each."""
        return [self._evidence(*pair) for pair in pairs]

    def _evidence(self, sample: Sample, prediction: Prediction) -> Evidence:
        if prediction.image is None:
            return Evidence(sample.id, prediction.index, error="invalid image: there is none")
        phrases, by = self._phrases(sample)
        questions = [f"{each}?" for each in phrases[: found.MOST]]
        picture = Picture.file(prediction.image)
        try:
            chances = self._toy(picture, questions) if self.vqa == "toy" else self._seen(picture, questions)
        except InvalidImage as error:
            return Evidence(sample.id, prediction.index, error=f"invalid image: {error}")
        return Evidence(sample.id, prediction.index, {"chances": chances, "phrases": phrases, "by": by})

    def _phrases(self, sample: Sample) -> tuple[list[str], str]:
        given = sample.target.get("phrases")
        if given is not None:
            return list(given), "given"
        if self.phrases == "kept":
            return found.kept(sample.prompt), found.KEPT
        ask, by = self._spacy
        return ask(sample.prompt), by

    def _seen(self, picture: Picture, questions: Sequence[str]) -> list[float]:
        image = open_picture(picture.read(), picture.name)
        with out_of_memory():
            return self._blip.chances(image, questions)

    def _toy(self, picture: Picture, questions: Sequence[str]) -> list[float]:
        """Ask the embedded world's model in the words that it knows: "a red cat?" is "Is the cat red?"."""
        chances: list[float] = []
        for each in questions:
            *_, color, thing = each.removesuffix("?").split(" ")
            ask = Ask(f"Is the {thing} {color}?", pictures=(picture,), words=("yes", "no"))
            first = self._speaker.ask(ask, None, None).first or {}
            yes, no = first.get("yes", 0.0), first.get("no", 0.0)
            chances.append(yes / (yes + no) if yes + no else 0.0)
        return chances

    @cached_property
    def _spacy(self) -> tuple[Callable[[str], list[str]], str]:
        return found.by_spacy()

    @cached_property
    def _speaker(self) -> ToySpeaker:
        return ToySpeaker()

    @cached_property
    def _blip(self) -> Blip:
        from .blip import Blip

        folder = data.fetch(ASSET, offline=self.offline) if self.vqa == "official" else Path(self.vqa)
        return Blip(folder, device_of(self.device))
