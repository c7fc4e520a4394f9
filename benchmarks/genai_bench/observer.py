"""The observer `vqascore`: how likely a VQA model says "Yes" when it is asked whether a picture shows its prompt.

Port of linzhiqiu/t2v_metrics 6ecb74f (Apache-2.0), t2v_metrics/models/vqascore_models/qwen3vl_model.py: its question,
and the probability of "Yes" as the first token. CLIP-FlanT5, by which the papers' numbers were made, is not in that
version.
"""

from __future__ import annotations

import re
from typing import Final

from ...evals.endpoint.replies import Reply
from ...evals.types import Picture, Prediction, Sample
from ..geneval2.observer import SoftTifa, ToySpeaker
from ..judging.speakers import Speaker
from ..judging.task import Ask

QUESTION: Final = 'Does this figure show "{}"? Please answer Yes or No.'
WORDS: Final = ("Yes",)
_SHOWN: Final = re.compile(r'"an? (\S+) (.+)"')


class VqaScore(SoftTifa):
    """The VQA model of GenAI-Bench; options and `Evidence.data` are those of `soft-tifa`, with one question a picture.

    "official" is Qwen3-VL-8B-Instruct: a choice of this package, named in the protocol.
    """

    def asks(self, sample: Sample, prediction: Prediction) -> list[Ask]:
        """Return what is asked about a picture, the picture first; nothing where there is none."""
        if prediction.image is None:
            return []
        asked = QUESTION.replace("{}", sample.prompt)
        return [Ask(asked, pictures=(Picture.file(prediction.image),), first=True, words=WORDS)]

    def toy(self) -> Speaker:
        """Return who answers in the embedded world."""
        return _Toy()


class _Toy(ToySpeaker):
    """The embedded world's VQA model, asked in the words that it knows: "a red cat" is "Is the cat red?"."""

    def ask(self, ask: Ask, temperature: float | None, max_tokens: int | None) -> Reply:
        found = _SHOWN.search(ask.prompt)
        asked = f"Is the {found[2]} {found[1]}?" if found else ask.prompt
        return super().ask(Ask(asked, pictures=ask.pictures, words=ask.words), temperature, max_tokens)
