"""The observer `dpg-vqa`: mPLUG-large, or another VQA model by name, answers each picture's questions."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from ....evals.assets import fetch as data
from ....evals.endpoint.chat import Terms
from ....evals.endpoint.keys import no_key
from ....evals.errors import InvalidImage, OutOfMemory, UsageError
from ....evals.memory import device_of, on_disk
from ....evals.types import Evidence, Json, Prediction, Sample
from ...judging.local import hub_place
from ...toy.weights import identity, packaged
from ..pictures import Source
from ..questions import Question
from ..scoring import MPLUG, scorer_label
from .answering import Said, VqaModel

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image
    from torch import Tensor

    from .beam import Hypothesis
    from .mplug import Cache, Memory, MPlug
    from .tokens import Tokens

OFFICIAL = "damo/mplug_visual-question-answering_coco_large_en"
DTYPES = ("float32", "float16", "bfloat16", "float64")


class DpgVqa:
    """The VQA model that answers DPG-Bench's questions; `vqa` says which.

    "official": mPLUG-large, fetched on first use. A path: an mPLUG model folder as ModelScope
    has it, or one converted to safetensors. "hf:ORG/NAME": a VQA or vision-language model of the
    hub. "openai:NAME": an endpoint at `vqa_base_url`. "toy": the embedded world's small trained mPLUG,
    which ships with the package and is also what "official" means in the world "toy".

    Evidence.data is {"answers": {proposition id: answer}, "scorer", "cut": [proposition ids]}.
    """

    beside = True
    inert = ("vqa", "world", "device", "dtype", "vqa_base_url")

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
        if dtype not in ("auto", *DTYPES):
            raise UsageError(f"dpg-vqa: dtype {dtype!r}; expected auto, {', '.join(DTYPES)}")
        self.vqa = "toy" if vqa == "official" and world == "toy" else vqa
        self.scorer = scorer_label(vqa)
        self.device = device
        self.dtype = "float32" if dtype == "auto" else dtype  # the official chain is float32 throughout
        self.offline = offline
        self.base_url = vqa_base_url

    @cached_property
    def card(self) -> Mapping[str, Json]:
        card: dict[str, Json] = {"vqa": self.vqa, "dtype": self.dtype}
        kind, _, rest = self.vqa.partition(":")
        if self.vqa == "official":
            card["vqa"] = OFFICIAL
        elif kind in ("hf", "openai") and rest:
            from . import other_scorers

            card |= {"vqa": self.scorer, "prompt": other_scorers.PROMPT_NAME}
            if kind == "openai":
                card["url"] = Terms(self.base_url).address
                del card["dtype"]
            else:
                card["weights"] = data.fingerprint(hub_place(rest, offline=self.offline))
        elif self.vqa == "toy":
            card["vqa"] = identity("vqa")
        else:
            card["vqa"] = f"{MPLUG}:{data.fingerprint(Path(self.vqa))}"
        return card

    @property
    def batch_size(self) -> int:
        """Pictures asked about at once: one prompt's four on a CPU, where more would gain nothing."""
        return 4 if self._device == "cpu" and not self.vqa.startswith("openai:") else 16

    def assets(self) -> Sequence[str]:
        """Return the VQA model, unless a folder was given."""
        kind, _, rest = self.vqa.partition(":")
        if self.vqa == "official":
            return ("mplug",)
        return (f"hub:{rest}",) if kind == "hf" and not Path(rest).is_dir() else ()

    def needs(self) -> Sequence[str]:
        """Return the names of what is not here yet, as `data.fetch` takes them."""
        return [each for each in self.assets() if data.locate(each) is None]

    def lacks(self) -> Sequence[str]:
        """Return that there is no key, where an endpoint answers that wants one."""
        return no_key("OPENAI_API_KEY", None, self.base_url) if self.vqa.startswith("openai:") else ()

    def weights_bytes(self) -> int:
        """Return what the files of the VQA model take, as they lie; 0 of one that is loaded, or an endpoint."""
        if "_model" in vars(self):
            return 0
        for name in self.assets():
            return on_disk(data.locate(name))
        return on_disk(packaged("vqa") if self.vqa == "toy" else Path(self.vqa.removeprefix("hf:").partition("@")[0]))

    def observe(self, pairs: Sequence[tuple[Sample, Prediction]]) -> Sequence[Evidence]:
        """Answer the questions in each sample's target about its picture."""
        found: list[Evidence | None] = [None] * len(pairs)
        pictures: list[Image] = []
        asked: list[list[Question]] = []
        places: list[int] = []
        for place, (sample, prediction) in enumerate(pairs):
            try:
                if prediction.image is None:
                    raise InvalidImage("invalid image: there is none")
                pictures.append(Source(prediction.image).read())
            except InvalidImage as error:
                found[place] = Evidence(sample.id, prediction.index, error=str(error))
                continue
            questions = {each["id"]: Question.from_json(each) for each in sample.target}
            asked.append([each for each in questions.values() if each.text.strip()])
            places.append(place)
        said = self.ask(pictures, [[each.text for each in one] for one in asked]) if pictures else []
        for place, questions, answers in zip(places, asked, said, strict=True):
            sample, prediction = pairs[place]
            row = {
                "answers": {str(each.id): answer for each, (answer, _) in zip(questions, answers, strict=True)},
                "scorer": self.scorer,
                "cut": [each.id for each, (_, cut) in zip(questions, answers, strict=True) if cut],
            }
            found[place] = Evidence(sample.id, prediction.index, row)
        return [each for each in found if each is not None]

    def ask(self, pictures: Sequence[Image], questions: Sequence[Sequence[str]]) -> Said:
        """Return the answers about RGB pictures. Raises OutOfMemory where the batch does not fit."""
        with out_of_memory():
            return self._model.ask(pictures, questions)

    @cached_property
    def _device(self) -> str:
        return self.device if self.vqa.startswith("openai:") else device_of(self.device)

    @cached_property
    def _model(self) -> VqaModel:
        kind, _, rest = self.vqa.partition(":")
        if kind == "openai" and rest:
            from .other_scorers import EndpointVqa

            return EndpointVqa(rest, self.base_url)
        import torch

        dtype: torch.dtype = getattr(torch, self.dtype)
        if kind == "hf" and rest:
            from .other_scorers import hub_vqa

            return hub_vqa(rest, self._device, dtype, offline=self.offline)
        from .weights import load

        if self.vqa == "toy":
            folder = packaged("vqa")
        else:
            folder = data.fetch("mplug", offline=self.offline) if self.vqa == "official" else Path(self.vqa)
        return MPlugVqa(*load(folder, self._device, dtype), self._device, dtype)


class MPlugVqa:
    """mPLUG's whole chain: pixels, tokens, network, beam search, text.

    A picture is encoded once for all of its questions; questions of all pictures run as one
    batch; on a CPU picture by picture, which needs less memory and is as fast.
    """

    def __init__(self, network: MPlug, tokens: Tokens, device: str, dtype: torch.dtype) -> None:
        self.network = network.to(device=device, dtype=dtype)
        self.tokens = tokens
        self.device = device
        self.dtype = dtype

    def ask(self, pictures: Sequence[Image], questions: Sequence[Sequence[str]]) -> Said:
        size = 1 if self.device == "cpu" else max(1, len(pictures))
        found: list[Sequence[tuple[str, bool]]] = []
        for start in range(0, len(pictures), size):
            part = questions[start : start + size]
            hypotheses, cuts = self.search(pictures[start : start + size], part)
            for best, cut in zip(hypotheses, cuts, strict=True):
                found.append([(self.tokens.decode(h[0].ids), c) for h, c in zip(best, cut, strict=True)])
        return found

    def search(
        self, pictures: Sequence[Image], questions: Sequence[Sequence[str]]
    ) -> tuple[list[list[list[Hypothesis]]], list[list[bool]]]:
        """Return each question's hypotheses, best first, and whether it was cut short."""
        import torch

        pixels = [to_pixels(each, self.network.sizes.image_size) for each in pictures]
        return self.search_pixels(torch.stack(pixels), questions)

    def search_pixels(
        self, pixels: Tensor, questions: Sequence[Sequence[str]]
    ) -> tuple[list[list[list[Hypothesis]]], list[list[bool]]]:
        """As `search`, from normalised pixels (P, 3, size, size)."""
        import torch

        from .beam import beam_search

        sizes = self.network.sizes
        most = max(map(len, questions), default=0)
        if most == 0:
            return [[] for _ in questions], [[] for _ in questions]
        encoded = [[self.tokens.encode(each) for each in one] for one in questions]
        with torch.inference_mode():
            memory, cache = self._memory(pixels, [[ids for ids, _ in one] for one in encoded], most)
            flat = beam_search(
                lambda ids, parents: self.network.step(ids, memory, cache, parents),
                len(pixels) * most,
                beams=sizes.beams,
                min_length=sizes.min_length,
                max_length=sizes.max_length,
                device=torch.device(self.device),
            )
        grid = [flat[row * most : row * most + len(one)] for row, one in enumerate(questions)]
        return grid, [[cut for _, cut in one] for one in encoded]

    def first_words(self, picture: Image, question: str) -> Tensor:
        """Return how likely each word of the vocabulary begins the answer: probabilities (words,)."""
        import torch

        pixels = to_pixels(picture, self.network.sizes.image_size)[None]
        with torch.inference_mode():
            memory, cache = self._memory(pixels, [[self.tokens.encode(question)[0]]], 1)
            logits = self.network.step(torch.tensor([[self.tokens.start]], device=self.device), memory, cache)[0, 0]
            logits[self.tokens.end] = -torch.inf  # an answer has at least one word
            return logits.float().softmax(dim=-1)

    def _memory(self, pixels: Tensor, ids: Sequence[Sequence[Sequence[int]]], most: int) -> tuple[Memory, Cache]:
        """Return what the decoder looks at and its empty cache, for the questions' ids (P, up to `most`)."""
        text, mask = self._texts(ids, most)
        images = self.network.encode_pictures(pixels.to(device=self.device, dtype=self.dtype))
        memory = self.network.remember(*self.network.fuse(images, text, mask), mask)
        return memory, self.network.begin(len(pixels) * most)

    def _texts(self, ids: Sequence[Sequence[Sequence[int]]], most: int) -> tuple[Tensor, Tensor]:
        """Return the encoded questions (P, Q, T, D) and their mask (P, Q, T); equal ones are encoded once.

        A picture with fewer questions than `most` has empty ones at its end.
        """
        import torch

        empty = (self.tokens.start, self.tokens.end)
        grid = [[*map(tuple, one), *[empty] * (most - len(one))] for one in ids]
        numbers = {each: n for n, each in enumerate(dict.fromkeys(each for one in grid for each in one))}
        length = max(map(len, numbers))
        rows = torch.tensor([[*each, *[self.tokens.pad] * (length - len(each))] for each in numbers])
        mask = torch.tensor([[1] * len(each) + [0] * (length - len(each)) for each in numbers]).to(self.device)
        places = torch.tensor([[numbers[each] for each in one] for one in grid]).to(self.device)
        return self.network.encode_questions(rows.to(self.device), mask)[places], mask[places]


def to_pixels(picture: Image, size: int) -> Tensor:
    """Return (3, size, size): resized without regard to aspect, bicubic, normalised with CLIP's constants."""
    import numpy as np
    import torch
    from PIL.Image import Resampling

    resized = picture.convert("RGB").resize((size, size), Resampling.BICUBIC)
    values = torch.from_numpy(np.array(resized)).permute(2, 0, 1).to(torch.float32).div(255)
    mean = torch.tensor([0.48145466, 0.4578275, 0.40821073])[:, None, None]
    deviation = torch.tensor([0.26862954, 0.26130258, 0.27577711])[:, None, None]
    return values.sub(mean).div(deviation)


@contextlib.contextmanager
def out_of_memory() -> Generator[None]:
    """Turn the device's own error into the core's, so that the runner halves the batch."""
    try:
        yield
    except RuntimeError as error:
        if type(error).__name__ != "OutOfMemoryError" and "out of memory" not in str(error).lower():
            raise
        import torch

        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        raise OutOfMemory(f"dpg-vqa: {str(error).splitlines()[0]}") from error
