"""Any vision-language model of transformers, by hub id or folder, through its own chat template."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from ..evals.assets import fetch as data
from ..evals.errors import EnvironmentProblem, JanusEvalError, UsageError
from ..evals.pictures import open_picture
from ..evals.types import CUT, Answer, Job, Json, Kind, Output
from .adapters import must_be_alone
from .device import Dtype, at_least, bytes_of, loading, memory, place
from .prefixes import behind, image_token, rests, shares

if TYPE_CHECKING:
    import torch


_BY_SIZE = ("emu3",)
"""Families whose network sees what pads the smaller pictures of a batch: pictures of one size go together."""


@dataclass(frozen=True)
class _Read:
    """What goes through the network together: its places in the batch, and what the network takes, in main memory."""

    places: Sequence[int]
    inputs: Mapping[str, Any]
    rests: Sequence[Sequence[int]] = ()
    """Of questions about one picture what follows it; `inputs` is then the first question alone."""


@dataclass(frozen=True)
class _Loaded:
    model: Any
    processor: Any
    device: torch.device
    dtype: torch.dtype


class VisionLanguageModel:
    """Any vision-language model of transformers: `hf:ORG/NAME` or `hf:FOLDER`.

    Greedy decoding, at most `max_new_tokens` new tokens. Pictures come first, then the question
    without its leading newline; the checkpoint's chat template does the rest. `system_prompt` stands
    before the benchmark's. Batches are padded on the left, so that in float32 they give the answers
    that single samples give. Questions about one picture share what stands before them, where the family is known to
    allow it (models/prefixes.py). Weights are read from safetensors, else through torch's weights_only
    reader; code from a repository is never run.
    """

    kinds: frozenset[Kind] = frozenset(("text",))
    shares_pictures = True
    inert = ("name", "path", "revision", "max_new_tokens", "system_prompt", "batch_size", "device", "dtype")

    def __init__(
        self,
        name: str = "",
        *,
        path: Path | None = None,
        revision: str | None = None,
        max_new_tokens: int = 512,
        system_prompt: str | None = None,
        batch_size: int = 16,
        device: str = "auto",
        dtype: Dtype = "auto",
        offline: bool = False,
    ) -> None:
        at_least(1, max_new_tokens=max_new_tokens, batch_size=batch_size)
        if path is None and not name:
            raise UsageError("hf needs a model: hf:ORG/NAME, or -a path=FOLDER")
        if path is None and Path(name).is_dir():
            path = Path(name)
        name = name or str(path)
        self._name, self._path, self._revision, self._offline = name, path, revision, offline
        self._max_new_tokens, self._system_prompt, self._batch = max_new_tokens, system_prompt, batch_size
        self._device = device
        self._dtype: Dtype = dtype
        self._reader = ThreadPoolExecutor(1)
        self._begun: tuple[list[str], Future[list[_Read]]] | None = None
        self._tokenizing = Lock()  # a tokenizer that encodes in one thread must not decode in another

    @cached_property
    def folder(self) -> Path:
        """Return the model's folder, fetched first where it is not on this machine. Raises EnvironmentProblem where an
        adapter lies in it."""
        if self._path is None:
            return data.hub_folder(self._name, revision=self._revision, offline=self._offline)
        if not (self._path / "config.json").is_file():
            raise UsageError(f"hf:{self._name}: no model at {self._path}: give path=FOLDER with config.json")
        must_be_alone(self._path)
        return self._path

    def assets(self) -> Sequence[str]:
        """Return the repository, unless a folder was given."""
        return () if self._path is not None else (data.called(self._name, self._revision),)

    @cached_property
    def card(self) -> Mapping[str, Json]:
        """Return every knob that moves an answer. Fetches the folder, loads no weights."""
        folder = self.folder  # first: where it is missing, the answer needs no torch
        device, dtype = place(self._device, self._dtype)
        where = self._path.name if self._path is not None else f"{self._name}@{self._revision or 'main'}"
        return {
            "weights": f"{where}#{data.fingerprint(folder)}",
            "decoding": "greedy",
            "max_new_tokens": self._max_new_tokens,
            "template": "checkpoint",
            # transformers reads by torchvision where it is installed, else by PIL: their pixels differ
            "pictures": type(getattr(self._processor, "image_processor", None)).__name__,
            "system_prompt": "preset" if self._system_prompt is None else self._system_prompt,
            "device": device.type,
            "dtype": str(dtype).removeprefix("torch."),
        }

    def weights_bytes(self) -> int:
        """Return what the folder's tensors take in the run's type."""
        if "_loaded" in vars(self):
            return 0
        _, dtype = place(self._device, self._dtype)
        files = sorted(self.folder.glob("*.safetensors")) or sorted(self.folder.glob("pytorch_model*.bin"))
        return bytes_of(files, dtype)

    def batch_size(self, jobs: Sequence[Job]) -> int:
        return self._batch

    def predict(self, jobs: Sequence[Job]) -> Sequence[Output]:
        """Return one answer for each job, in order, cut where its end token is not among the new ones.

        Raises OutOfMemory where the batch does not fit, JanusEvalError for logits that are not finite.

        Questions with different numbers of pictures go through the network apart: not every
        processor takes them together.
        """
        loaded = self._loaded
        begun, self._begun = self._begun, None
        read = begun[1].result() if begun and begun[0] == _names(jobs) else self._read(jobs)
        answers: dict[int, Answer] = {}
        for part in read:
            with memory(loaded.device, f"a batch of {len(part.places)}"):
                answers.update(zip(part.places, self._answers(part), strict=True))
        return [answers[at] for at in range(len(jobs))]

    def ahead(self, jobs: Sequence[Job]) -> None:
        """Begin to read these jobs' pictures and questions, in a thread: they are asked next, in one batch.

        A model that is not loaded reads nothing: what it would lack is said where it is asked.
        """
        if "_loaded" in vars(self):
            self._begun = _names(jobs), self._reader.submit(self._read, jobs)

    def close(self) -> None:
        """Stop reading ahead."""
        self._begun = None
        self._reader.shutdown(wait=False, cancel_futures=True)

    def _read(self, jobs: Sequence[Job]) -> list[_Read]:
        """Return what the network takes, in main memory, for each part of a batch that goes through it together."""
        shared = [part for places in self._about_one(jobs) if (part := self._behind_one(jobs, places))]
        taken = {at for part in shared for at in part.places}
        alike = {at: self._alike(job) for at, job in enumerate(jobs) if at not in taken}
        parts = ([at for at, other in alike.items() if other == one] for one in sorted({*alike.values()}))
        return [*shared, *(_Read(places, self._inputs([jobs[at] for at in places])) for places in parts)]

    def _about_one(self, jobs: Sequence[Job]) -> list[list[int]]:
        """Return the places of questions about the same pictures, where the network may read those once."""
        if not shares(self._loaded.model):
            return []
        names = [job.sample.cluster or tuple(each.name for each in job.sample.images) for job in jobs]
        often = Counter(names)
        found: dict[tuple[str, tuple[bytes, ...]], list[int]] = {}
        for at, job in enumerate(jobs):
            if job.sample.images and often[names[at]] > 1:  # a name is no proof, but spares reading all others twice
                seen = tuple(sha256(each.read()).digest() for each in job.sample.images)
                found.setdefault((job.sample.system, seen), []).append(at)
        return [places for places in found.values() if len(places) > 1]

    def _behind_one(self, jobs: Sequence[Job], places: Sequence[int]) -> _Read | None:
        """Read questions about the same pictures: the first whole, of the others what follows the pictures.

        Returns None where that cannot be told apart.
        """
        loaded = self._loaded
        inputs = self._inputs([jobs[places[0]]])
        prompts = [self._prompt(jobs[at]) for at in places]
        with self._tokenizing:
            asked = loaded.processor.tokenizer(prompts, add_special_tokens=not self._written(prompts))["input_ids"]
        tails = rests(inputs["input_ids"][0].tolist(), asked, image_token(loaded.model))
        return _Read(places, inputs, tails) if tails else None

    def _alike(self, job: Job) -> tuple[int, ...]:
        """Return what questions of one batch have in common."""
        pictures = job.sample.images
        if self._loaded.model.config.model_type not in _BY_SIZE:
            return (len(pictures),)
        sizes = (open_picture(each.read(), each.name).size for each in pictures)
        return (len(pictures), *(edge for size in sizes for edge in size))

    def _answers(self, part: _Read) -> list[Answer]:
        import torch
        from transformers import LogitsProcessorList

        loaded = self._loaded
        inputs = {
            key: value.to(loaded.device, loaded.dtype) if value.is_floating_point() else value.to(loaded.device)
            for key, value in part.inputs.items()
        }
        finite = _Finite()
        with torch.inference_mode():
            if part.rests:
                inputs = behind(loaded.model, inputs, part.rests, loaded.processor.tokenizer.pad_token_id)
            ids = loaded.model.generate(
                **inputs, max_new_tokens=self._max_new_tokens, logits_processor=LogitsProcessorList([finite])
            )
        if not finite.good():
            raise JanusEvalError(
                f"hf:{self._name}: the network's logits are not finite: the weights or the dtype are at fault"
            )
        # A decoder of its own begins with one token that is not new, and may be the end token.
        new = ids[:, 1 if loaded.model.config.is_encoder_decoder else inputs["input_ids"].shape[1] :].tolist()
        with self._tokenizing:
            texts: list[str] = loaded.processor.batch_decode(new, skip_special_tokens=True)
        end = loaded.model.generation_config.eos_token_id
        ends = {*end} if isinstance(end, list) else {end}
        return [Answer(text, "stop" if ends & {*row} else CUT) for text, row in zip(texts, new, strict=True)]

    def _inputs(self, jobs: Sequence[Job]) -> dict[str, Any]:
        loaded = self._loaded
        prompts = [self._prompt(job) for job in jobs]
        pictures = [[open_picture(each.read(), each.name) for each in job.sample.images] for job in jobs]
        with self._tokenizing:
            inputs = loaded.processor(
                text=prompts,
                images=pictures if pictures[0] else None,
                padding=len(jobs) > 1,
                return_tensors="pt",
                add_special_tokens=not self._written(prompts),
            )
        mask = inputs.get("attention_mask")
        if len(jobs) > 1 and (mask is None or not bool(mask[:, -1].all())):
            raise UsageError(f"hf:{self._name}: its processor does not pad on the left: use batch_size=1")
        taken = inspect.signature(loaded.model.forward).parameters
        if "token_type_ids" not in taken:
            inputs.pop("token_type_ids", None)  # some tokenizers give them to models that have no use for them
        return {key: value for key, value in inputs.items() if hasattr(value, "is_floating_point")}

    def _written(self, prompts: Sequence[str]) -> bool:
        """Return whether the template writes the first token, which must then not come twice."""
        begin = self._loaded.processor.tokenizer.bos_token
        return begin is not None and all(prompt.startswith(begin) for prompt in prompts)

    def _prompt(self, job: Job) -> str:
        from jinja2 import TemplateError

        sample = job.sample
        system = sample.system if self._system_prompt is None else self._system_prompt
        parts: list[dict[str, str]] = [{"type": "image"} for _ in sample.images]
        parts.append({"type": "text", "text": sample.prompt.lstrip("\n")})
        messages: list[dict[str, Json]] = [{"role": "user", "content": parts}]
        if system:
            messages.insert(0, {"role": "system", "content": [{"type": "text", "text": system}]})
        try:
            text = self._loaded.processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        except TemplateError as error:
            raise UsageError(f"hf:{self._name}: its chat template refuses the question: {error}") from error
        if system and system not in text:
            raise UsageError(f"hf:{self._name}: its chat template drops the system prompt; give system_prompt=")
        return text

    @cached_property
    def _processor(self) -> Any:
        """Return what reads pictures and questions; what it lacks is told before any weights are loaded."""
        from transformers import AutoProcessor

        with loading(f"hf:{self._name}", self.folder):
            return AutoProcessor.from_pretrained(self.folder, local_files_only=True, trust_remote_code=False)

    @cached_property
    def _loaded(self) -> _Loaded:
        from transformers import AutoModelForImageTextToText

        device, dtype = place(self._device, self._dtype)
        processor = self._processor
        with loading(f"hf:{self._name}", self.folder):
            found: Any = AutoModelForImageTextToText.from_pretrained(
                self.folder, dtype=dtype, local_files_only=True, trust_remote_code=False, output_loading_info=True
            )
            model, report = found
        missing = sorted(report["missing_keys"])
        if missing:
            # transformers fills them with random numbers and only warns.
            raise EnvironmentProblem(
                f"hf:{self._name}: {self.folder} lacks {len(missing)} tensors, {missing[0]} among them: fetch it again"
            )
        if getattr(processor, "chat_template", None) is None:
            raise UsageError(f"hf:{self._name} has no chat template: it does not answer questions as it is")
        tokenizer = processor.tokenizer
        tokenizer.padding_side = "left"
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token
        settings = model.generation_config
        settings.do_sample, settings.num_beams, settings.pad_token_id = False, 1, tokenizer.pad_token_id
        settings.temperature = settings.top_p = settings.top_k = None
        with memory(device, "the weights"):
            model = model.eval().to(device)
        return _Loaded(model, processor, device, dtype)


def _names(jobs: Sequence[Job]) -> list[str]:
    return [f"{job.index}/{job.sample.id}" for job in jobs]


class _Finite:
    """A logits processor that changes nothing and remembers whether all were numbers, on their device.

    Other processors forbid a token by minus infinity: that alone is no fault.
    """

    def __init__(self) -> None:
        self._bad: torch.Tensor | None = None

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        bad = (scores.isnan() | scores.isposinf()).any()
        self._bad = bad if self._bad is None else self._bad | bad
        return scores

    def good(self) -> bool:
        return self._bad is None or not bool(self._bad)
