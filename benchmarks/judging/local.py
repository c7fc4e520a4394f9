"""A vision-language model of transformers on this machine as one that replies: `hf:ORG/NAME` or `hf:FOLDER`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ...evals.assets import fetch as data
from ...evals.endpoint.replies import Reply
from ...evals.errors import EnvironmentProblem, OutOfMemory, UsageError
from ...evals.extras import pip_line
from ...evals.memory import device_of
from ...evals.pictures import open_picture
from ...evals.types import CUT, Json
from .task import Ask

if TYPE_CHECKING:
    import torch

T = TypeVar("T")
R = TypeVar("R")

DTYPES = ("auto", "float32", "float16", "bfloat16")
LONGEST = 512
"""New tokens where a task names no limit."""


def hub_place(name: str, *, offline: bool = False) -> Path:
    """Return the folder of a model of the hub (ORG/NAME, ORG/NAME@REVISION), fetched first, or a local one."""
    repo, _, revision = name.partition("@")
    return Path(repo) if Path(repo).is_dir() else data.hub_folder(repo, revision=revision or None, offline=offline)


def shown_name(name: str) -> str:
    """Return a model's name as it may be recorded: of a folder its last part."""
    return Path(name).name if Path(name).is_dir() else name


def load_chat(folder: Path, name: str, device: str, dtype: torch.dtype | str) -> tuple[Any, Any]:
    """Return processor and network of an image-text model that can be asked, padded on the left.

    Remote code is never run. Raises UsageError for a model that cannot be asked, EnvironmentProblem where
    transformers or a tensor is missing.
    """
    try:
        from transformers import AutoModelForImageTextToText, AutoProcessor
    except ImportError as error:
        raise EnvironmentProblem(f"hf:{name} needs the package transformers: {pip_line('hf')}") from error
    try:
        processor: Any = AutoProcessor.from_pretrained(folder, trust_remote_code=False)
        found: Any = AutoModelForImageTextToText.from_pretrained(
            folder, trust_remote_code=False, dtype=dtype, output_loading_info=True
        )
    except (ValueError, OSError) as error:
        raise UsageError(f"hf:{name} is no image-text model: {' '.join(str(error).split())[:200]}") from error
    model, report = found
    if report["missing_keys"]:
        first = min(report["missing_keys"])
        raise EnvironmentProblem(f"hf:{name}: its folder lacks tensors, {first} among them: fetch it again")
    if getattr(processor, "chat_template", None) is None:
        raise UsageError(f"hf:{name} has no chat template: it cannot be asked")
    processor.tokenizer.padding_side = "left"  # a batch goes on writing at its right end
    if processor.tokenizer.pad_token is None:
        processor.tokenizer.pad_token = processor.tokenizer.eos_token
    return processor, model.to(device).eval()


class LocalSpeaker:
    """An image-text model, asked one by one through its chat template, greedily whatever the temperature.

    `dtype` auto: the checkpoint's own on a GPU, float32 on a CPU. The probability of a word is that of the first token
    of its encoding, as facebookresearch/GenEval2 a6e82d2 (evaluation.py) takes it.
    """

    def __init__(self, name: str, *, device: str = "auto", dtype: str = "auto", offline: bool = False) -> None:
        if dtype not in DTYPES:
            raise UsageError(f"hf:{name}: dtype {dtype!r}; expected {', '.join(DTYPES)}")
        self.name, self._offline = name, offline
        self._device, self._dtype = device, dtype

    @cached_property
    def folder(self) -> Path:
        return hub_place(self.name, offline=self._offline)

    def assets(self) -> Sequence[str]:
        """Return the repository, unless it is a folder."""
        repo, _, revision = self.name.partition("@")
        return () if Path(repo).is_dir() else (data.called(repo, revision or None),)

    @property
    def card(self) -> Mapping[str, Json]:
        """Return what moves its replies; fetches the folder, loads no weights."""
        weights = data.fingerprint(self.folder)
        return {"weights": weights, "dtype": self._type, "decoding": "greedy"}

    def ask(self, ask: Ask, temperature: float | None, max_tokens: int | None) -> Reply:
        """Return the reply. Raises InvalidImage for a picture that is none, OutOfMemory where it does not fit."""
        import torch

        processor, model = self._loaded
        inputs = self._inputs(ask).to(model.device, model.dtype)
        limit = 1 if ask.words else max_tokens or LONGEST
        try:
            with torch.inference_mode():
                out = model.generate(
                    **inputs, max_new_tokens=limit, do_sample=False, output_scores=True, return_dict_in_generate=True
                )
        except RuntimeError as error:
            if type(error).__name__ != "OutOfMemoryError" and "out of memory" not in str(error).lower():
                raise
            raise OutOfMemory(f"hf:{self.name}: {str(error).splitlines()[0]}") from error
        new = out.sequences[0, inputs["input_ids"].shape[1] :].tolist()
        if ask.words:
            return Reply(processor.decode([new[0]]), self._model_id, first=self._chances(out.scores[0][0], ask.words))
        ends = model.generation_config.eos_token_id
        ended = bool({*new} & {*(ends if isinstance(ends, list) else [ends])})
        text = processor.decode(new, skip_special_tokens=True)
        return Reply(text, self._model_id, finish="stop" if ended else CUT)

    def gather(self, function: Callable[[T], R], items: Sequence[T]) -> list[R]:
        return [function(each) for each in items]

    def _chances(self, scores: torch.Tensor, words: Sequence[str]) -> dict[str, float]:
        chances = scores.float().softmax(dim=-1)
        encode = self._loaded[0].tokenizer.encode
        return {each: chances[encode(each, add_special_tokens=False)[0]].item() for each in words}

    def _inputs(self, ask: Ask) -> Any:
        processor = self._loaded[0]
        pictures = [open_picture(each.read(), each.name) for each in ask.pictures]
        said, shown = [{"type": "text", "text": ask.prompt}], [{"type": "image"} for _ in pictures]
        messages = [{"role": "user", "content": [*shown, *said] if ask.first else [*said, *shown]}]
        if ask.system:
            messages.insert(0, {"role": "system", "content": [{"type": "text", "text": ask.system}]})
        text = processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        begin = processor.tokenizer.bos_token
        written = begin is not None and text.startswith(begin)
        # A template that writes the first token must not get it twice.
        return processor(
            text=[text], images=[pictures] if pictures else None, return_tensors="pt", add_special_tokens=not written
        )

    @cached_property
    def _loaded(self) -> tuple[Any, Any]:
        import torch

        kind: Any = self._type if self._type == "auto" else getattr(torch, self._type)
        return load_chat(self.folder, shown_name(self.name), self._place, kind)

    @cached_property
    def _model_id(self) -> str:
        return f"hf:{shown_name(self.name)}#{data.fingerprint(self.folder)}"

    @cached_property
    def _place(self) -> str:
        return device_of(self._device)

    @property
    def _type(self) -> str:
        return "float32" if self._dtype == "auto" and self._place == "cpu" else self._dtype
