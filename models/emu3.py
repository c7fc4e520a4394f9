"""Emu3-Gen: pictures by next-token prediction, through transformers' own class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..evals.assets import fetch as data
from ..evals.errors import EnvironmentProblem, JanusEvalError, UsageError
from ..evals.types import Job, Json, Kind, Output
from .device import Dtype, at_least, bytes_of, loading, memory, needed, place

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

REPOSITORY = "BAAI/Emu3-Gen-hf"
POSITIVE = " masterpiece, film grained, best quality."
NEGATIVE = (
    "lowres, bad anatomy, bad hands, text, error, missing fingers, extra digit, fewer digits, cropped, worst quality, "
    "low quality, normal quality, jpeg artifacts, signature, watermark, username, blurry."
)
"""Both are the authors' (baaivision/Emu3, image_generation.py), as are guidance 3, top-k 2,048 and 720 px."""


@dataclass(frozen=True, slots=True)
class _Knobs:
    guidance: float
    top_k: int
    size: int
    suffix: str
    negative_prompt: str


@dataclass(frozen=True, slots=True)
class _Source:
    path: Path | None
    revision: str | None
    offline: bool


@dataclass(frozen=True, slots=True)
class _Loaded:
    model: Any
    processor: Any
    device: torch.device


class Emu3Drawing:
    """Emu3-Gen as the model under test; see `emu3_gen` for the options.

    A picture is rows of visual tokens, each sampled among the top ones of the guided probabilities by its job's own
    generator on the CPU; the ends of rows are set. The conditional and the unconditional half go through the network
    as one batch. In float32 a batch gives what single pictures give but where rounding tips a sample.
    """

    kinds: frozenset[Kind] = frozenset(("image",))
    inert = (
        "path",
        "revision",
        "guidance",
        "top_k",
        "size",
        "suffix",
        "negative_prompt",
        "batch_size",
        "device",
        "dtype",
    )

    def __init__(self, source: _Source, knobs: _Knobs, *, device: str, dtype: Dtype, batch: int) -> None:
        self._path, self._revision, self._offline = source.path, source.revision, source.offline
        self._knobs, self._device, self._batch = knobs, device, batch
        self._dtype: Dtype = dtype
        self.image_size = knobs.size

    @cached_property
    def folder(self) -> Path:
        """Return the model's folder, fetched first where it is not on this machine."""
        if self._path is None:
            return data.hub_folder(REPOSITORY, revision=self._revision, offline=self._offline)
        if not (self._path / "config.json").is_file():
            raise UsageError(f"emu3-gen: no model at {self._path}: give path=FOLDER with config.json")
        return self._path

    def assets(self) -> Sequence[str]:
        """Return the repository, unless a folder was given."""
        return () if self._path is not None else (data.called(REPOSITORY, self._revision),)

    @cached_property
    def card(self) -> Mapping[str, Json]:
        """Return every knob that moves a picture. Fetches the folder, loads no weights."""
        folder = self.folder
        needed("transformers")
        device, dtype = place(self._device, self._dtype)
        where = self._path.name if self._path is not None else f"{REPOSITORY}@{self._revision or 'main'}"
        knobs = self._knobs
        return {
            "weights": f"{where}#{data.fingerprint(folder)}",
            "guidance": knobs.guidance,
            "top_k": knobs.top_k,
            "size": knobs.size,
            "suffix": knobs.suffix,
            "negative_prompt": knobs.negative_prompt,
            "noise": "torch-cpu-generator",
            "device": device.type,
            "dtype": str(dtype).removeprefix("torch."),
        }

    def weights_bytes(self) -> int:
        """Return what the folder's tensors take in the run's type."""
        if "_loaded" in vars(self):
            return 0
        return bytes_of(sorted(self.folder.glob("*.safetensors")), place(self._device, self._dtype)[1])

    def batch_size(self, jobs: Sequence[Job]) -> int:
        return self._batch

    def predict(self, jobs: Sequence[Job]) -> Sequence[Output]:
        """Return one picture for each job, in order. Raises OutOfMemory where the batch does not fit."""
        import torch
        from transformers import LogitsProcessorList

        loaded = self._loaded
        with memory(loaded.device, f"a batch of {len(jobs)}"), torch.inference_mode():
            inputs, height, width = self._inputs(loaded.processor, [job.sample.prompt for job in jobs])
            rule = _Rows([job.seed for job in jobs], loaded, self._knobs, width, inputs["input_ids"].shape[1])
            ids = loaded.model.generate(
                **{name: each.to(loaded.device) for name, each in inputs.items()},
                max_new_tokens=height * (width + 1),
                min_new_tokens=height * (width + 1),
                do_sample=False,
                num_beams=1,
                logits_processor=LogitsProcessorList([rule]),
            )
            new = ids[: len(jobs), inputs["input_ids"].shape[1] :]
            return [_picture(loaded, row, height, width) for row in new]

    def _inputs(self, processor: Any, prompts: Sequence[str]) -> tuple[dict[str, Any], int, int]:
        """Return ids and mask of the prompts and, below them, of the negative one; rows and tokens of a row."""
        knobs = self._knobs
        texts = [prompt + knobs.suffix for prompt in prompts] + [knobs.negative_prompt] * len(prompts)
        found = processor(
            text=texts,
            padding=True,
            return_tensors="pt",
            return_for_image_generation=True,
            ratio="1:1",
            image_area=knobs.size**2,
        )
        height, width = (int(each) for each in found["image_sizes"][0])
        return {name: found[name] for name in ("input_ids", "attention_mask")}, height, width

    @cached_property
    def _loaded(self) -> _Loaded:
        from transformers import AutoProcessor, Emu3ForConditionalGeneration

        device, dtype = place(self._device, self._dtype)
        with loading("emu3-gen", self.folder):
            processor = AutoProcessor.from_pretrained(self.folder, local_files_only=True, trust_remote_code=False)
            found: Any = Emu3ForConditionalGeneration.from_pretrained(
                self.folder, dtype=dtype, local_files_only=True, output_loading_info=True
            )
            model, report = found
        missing = sorted(report["missing_keys"])
        if missing:
            raise EnvironmentProblem(
                f"emu3-gen: {self.folder} lacks {len(missing)} tensors, {missing[0]} among them: fetch it again"
            )
        processor.tokenizer.padding_side = "left"
        settings = model.generation_config
        settings.temperature = settings.top_p = settings.top_k = settings.guidance_scale = None
        settings.pad_token_id = processor.tokenizer.pad_token_id
        with memory(device, "the weights"):
            return _Loaded(model.eval().to(device), processor, device)


class _Rows:
    """A logits processor that leaves each row one token: a sampled visual one, or the end of a row of the picture.

    The first half of the rows are the pictures', the second their unconditional ones, which get the same token.
    """

    def __init__(self, seeds: Sequence[int], loaded: _Loaded, knobs: _Knobs, width: int, prefix: int) -> None:
        import torch

        self._generators = [torch.Generator("cpu").manual_seed(seed) for seed in seeds]
        self._knobs, self._width, self._prefix = knobs, width, prefix
        words = loaded.model.vocabulary_mapping
        self._visual = torch.tensor(words.image_tokens, device=loaded.device)
        self._end = int(words.eol_token_id)

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        import torch

        if (input_ids.shape[1] - self._prefix) % (self._width + 1) == self._width:
            chosen = torch.full((len(scores),), self._end, device=scores.device)
        else:
            chosen = self._sampled(scores).repeat(2)
        return torch.full_like(scores, -torch.inf).scatter(1, chosen[:, None], 0.0)

    def _sampled(self, scores: torch.Tensor) -> torch.Tensor:
        import torch

        asked, free = scores.float().log_softmax(-1).chunk(2)
        guided = (free + self._knobs.guidance * (asked - free))[:, self._visual]
        if not bool(guided.isfinite().all()):
            raise JanusEvalError("emu3-gen: the network's logits are not finite: the weights or the dtype are at fault")
        best = guided.topk(min(self._knobs.top_k, guided.shape[1]))
        odds = best.values.softmax(-1).cpu()
        drawn = [torch.multinomial(row, 1, generator=each) for row, each in zip(odds, self._generators, strict=True)]
        places = torch.cat(drawn).to(scores.device)
        return self._visual[best.indices.gather(1, places[:, None])[:, 0]]


def _picture(loaded: _Loaded, row: torch.Tensor, height: int, width: int) -> Image:
    """Return the picture of rows of tokens; the three that end a picture, which the decoder cuts off, stand for any."""
    import torch

    whole = torch.cat([row, row[:3]])[None]
    pixels = loaded.model.decode_image_tokens(image_tokens=whole, height=height, width=width)
    made = loaded.processor.postprocess(list(pixels.float()), return_tensors="PIL.Image.Image")
    return made["pixel_values"][0]


def emu3_gen(
    *,
    path: Path | None = None,
    revision: str | None = None,
    guidance: float = 3.0,
    top_k: int = 2048,
    size: int = 720,
    suffix: str = POSITIVE,
    negative_prompt: str = NEGATIVE,
    batch_size: int = 4,
    device: str = "auto",
    dtype: Dtype = "auto",
    offline: bool = False,
) -> Emu3Drawing:
    """Return Emu3-Gen, drawing by its authors' script: guidance 3, top-k 2,048, 720 px, their phrase behind a prompt.

    Its answering half is another checkpoint: hf:BAAI/Emu3-Chat-hf. A picture of 720 px is 8,190 tokens: slow. `suffix`
    stands behind each prompt (empty: the suite's own words), `negative_prompt` is the unconditional half's.
    """
    at_least(1, top_k=top_k, batch_size=batch_size)
    at_least(8, size=size)
    if not 0 <= guidance < float("inf"):
        raise UsageError(f"guidance={guidance}: expected a finite number from 0 up")
    knobs = _Knobs(guidance, top_k, size, suffix, negative_prompt)
    return Emu3Drawing(_Source(path, revision, offline), knobs, device=device, dtype=dtype, batch=batch_size)
