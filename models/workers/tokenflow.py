"""TokenFlow-XL, driven in its own environment: the authors' code draws (t2i) and answers (i2t), never both at once.

Runs in the worker's interpreter, beside ByteVisionLab/TokenFlow at 9812da0, not in the harness. What differs from the
authors' scripts: a generator a picture instead of one a batch, so that a picture does not depend on its neighbours'
seeds; the teachers' networks, which their code downloads to overwrite them, are built from their sizes; weights
files are read as tensors alone; prompts are the suite's.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import hashlib
import importlib
import io
import sys
from pathlib import Path
from typing import Any, Generator, Iterator, Sequence  # noqa: UP035 -- the oldest Python that a worker may have

NEGATIVE = (
    "lowres, bad anatomy, bad hands, text, error, missing fingers, extra digit, fewer digits, cropped, worst quality, "
    "low quality, normal quality, jpeg artifacts, signature, watermark, username, blurry."
)
"""The unconditional half's words: t2i/llava_t2i/eval/run_llava_samples.py."""
LOOPS = {1: ([600], [0.6]), 2: ([1200, 1], [0.8, 0]), 3: ([1200, 100, 1], [0.8, 0.8, 0])}
"""Top-k and top-p of each pass over a scale: `multi_step_infer_strategy` of that script."""
WORDS = 128
"""Tokens of a prompt; a longer one is cut."""
REPOSITORIES = {
    "drawing": "ByteFlow-AI/TokenFlow-t2i",
    "answering": "ByteFlow-AI/Tokenflow-llava-qwen2.5-14B-finetuning",
}
FILES = {"drawing": "tokenflow_clipb_32k_enhanced.pt", "answering": "tokenflow_siglip_32k.pt"}
TOKENIZERS = "ByteFlow-AI/TokenFlow"


class TokenFlow:
    """Both halves; each is loaded when it is asked for, in place of the other."""

    kinds = ("image", "text")
    image_size = 256

    def __init__(self, places: dict[str, str], device: str, dtype: str, knobs: dict[str, Any]) -> None:
        self.places, self.knobs = places, knobs
        self.device, self.dtype = device, dtype
        self.batch_size = knobs["batch"]
        self.offline = knobs["offline"]
        self.card = {
            **{half: self._named(half) for half in REPOSITORIES},
            "guidance": knobs["guidance"],
            "loops": knobs["loops"],
            "max_new_tokens": knobs["max_new_tokens"],
            "decoding": "greedy",
            "size": 256,
            "noise": "torch-generator-a-picture",
            "device": device.partition(":")[0],
            "dtype": dtype,
        }
        self._half: Any = None
        self._name = ""

    def predict(self, jobs: Sequence[Any]) -> Iterator[Any]:
        """Give one output a job, in order: a PIL picture, or an answer with how it ended."""
        left = list(jobs)
        while left:
            name = "drawing" if left[0].kind == "image" else "answering"
            many = self.batch_size if name == "drawing" else 1
            group = left[:many]
            if any(job.kind != left[0].kind for job in group):
                group = left[:1]
            yield from self._loaded(name)(group)
            left = left[len(group) :]

    def _loaded(self, name: str) -> Any:
        """Return a half, with the other one gone."""
        if name != self._name:
            import torch

            self._half = None
            gc.collect()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            folder, tokenizer = self._places(name)
            made = _Drawing if name == "drawing" else _Answering
            self._half, self._name = made(folder, tokenizer, self.device, self._type(name), self.knobs), name
        return self._half

    def _type(self, name: str) -> Any:
        """Return torch's type: on a GPU that of the authors' scripts where none is asked for."""
        import torch

        if self.dtype != "auto":
            return getattr(torch, self.dtype)
        if not self.device.startswith("cuda"):
            return torch.float32
        return torch.bfloat16 if name == "drawing" else torch.float16

    def _places(self, name: str) -> tuple[str, str]:
        """Return a half's folder and its picture tokenizer's file, from the hub where none is given."""
        from huggingface_hub import hf_hub_download, snapshot_download

        folder, file = self.places.get(name), self.places.get(f"{name}_tokenizer")
        if not folder:
            folder = snapshot_download(REPOSITORIES[name], local_files_only=self.offline)
        if not file:
            file = hf_hub_download(TOKENIZERS, FILES[name], local_files_only=self.offline)
        return folder, file

    def _named(self, name: str) -> str:
        """Return what names a half's weights: repository, or folder and file with a digest of what lies there."""
        folder, file = self.places.get(name), self.places.get(f"{name}_tokenizer")
        told = _digest(Path(folder)) if folder else f"{REPOSITORIES[name]}@main"
        return f"{told}, {_digest(Path(file)) if file else FILES[name]}"


def _digest(path: Path) -> str:
    """Return a name with 12 hex digits over names and sizes of files, and the content of those below a megabyte."""
    seen = hashlib.sha256()
    for each in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if each.is_file():
            size = each.stat().st_size
            seen.update(f"{each.name} {size}\n".encode() + (each.read_bytes() if size < 1 << 20 else b""))
    return f"{path.name}#{seen.hexdigest()[:12]}"


class _Drawing:
    """The 7B drawing half: t2i."""

    def __init__(self, folder: str, tokenizer: str, device: str, dtype: Any, knobs: dict[str, Any]) -> None:
        import torch
        import transformers
        from llava_t2i.model import LlavaLlamaForCausalLM
        from llava_t2i.model.language_model import llava_llama

        self.device, self.knobs = torch.device(device), knobs
        with _without_teachers("tokenizer.clip.clip"):
            model = LlavaLlamaForCausalLM.from_pretrained(
                folder, attn_implementation="eager", mm_vision_tower=tokenizer, torch_dtype=dtype
            )
        model = model.eval().to(dtype).to(self.device)
        model.get_vision_tower().to(device=self.device, dtype=dtype)
        model.config.mm_vision_vq_type = str(model.config.mm_vision_vq_type)
        model.config.use_cache = False
        self.words = transformers.AutoTokenizer.from_pretrained(
            folder, model_max_length=model.config.tokenizer_model_max_length, padding_side="right", use_fast=False
        )
        model.reinit_image_token_start_end(self.words)
        self.model = model
        self.generators: list[Any] = []
        self._sample = llava_llama.sample_with_top_k_top_p_
        llava_llama.sample_with_top_k_top_p_ = self._sample_rows

    def __call__(self, jobs: Sequence[Any]) -> Iterator[Any]:
        import torch
        from llava_t2i.dataset.process import crop_and_encode_text_and_img
        from PIL import Image

        top_k, top_p = LOOPS[self.knobs["loops"]]
        texts = [job.prompt for job in jobs] + [NEGATIVE] * len(jobs)
        codes = [crop_and_encode_text_and_img(self.words, text, None, WORDS)[0].to(self.device) for text in texts]
        self.generators = [torch.Generator(self.device).manual_seed(job.seed) for job in jobs]
        with torch.inference_mode(), torch.device(self.device):
            made = self.model.autoregressive_infer_cfg(
                B=len(jobs), prefix_text_codes=codes, cfg=self.knobs["guidance"], topk_list=top_k, topp_list=top_p
            )
        for each in made:
            yield Image.fromarray(each.numpy())

    def _sample_rows(self, logits: Any, **more: Any) -> Any:
        """Draw each row by its own generator, with the authors' own rule."""
        import torch

        rows = zip(logits, self.generators)  # noqa: B905 -- Python 3.8
        return torch.cat([self._sample(row[None], **{**more, "rng": rng}) for row, rng in rows])


class _Answering:
    """The 14B answering half: i2t, one question at a time, greedily."""

    def __init__(self, folder: str, tokenizer: str, device: str, dtype: Any, knobs: dict[str, Any]) -> None:
        import torch
        import transformers

        _talks()
        from llava.constants import DEFAULT_IM_END_TOKEN, DEFAULT_IM_START_TOKEN, DEFAULT_IMAGE_PATCH_TOKEN
        from llava.model.language_model.llava_qwen import LlavaQwenForCausalLM

        self.device, self.knobs = torch.device(device), knobs
        with _without_teachers("tokenflow.tokenizer.vq_model"):
            model = LlavaQwenForCausalLM.from_pretrained(folder, mm_vision_tower=tokenizer, torch_dtype=dtype)
        self.words = transformers.AutoTokenizer.from_pretrained(folder)
        if getattr(model.config, "mm_use_im_patch_token", True):
            self.words.add_tokens([DEFAULT_IMAGE_PATCH_TOKEN], special_tokens=True)
        if getattr(model.config, "mm_use_im_start_end", False):
            self.words.add_tokens([DEFAULT_IM_START_TOKEN, DEFAULT_IM_END_TOKEN], special_tokens=True)
        model.resize_token_embeddings(len(self.words))  # as load_pretrained_model of i2t/llava/model/builder.py
        self.model, self.dtype = model.eval().to(self.device), dtype

    def __call__(self, jobs: Sequence[Any]) -> Iterator[Any]:
        for job in jobs:
            yield self._answer(job)

    def _answer(self, job: Any) -> dict[str, str]:
        import torch
        from llava.constants import DEFAULT_IMAGE_TOKEN, IMAGE_TOKEN_INDEX
        from llava.conversation import conv_templates
        from llava.mm_utils import tokenizer_image_token
        from PIL import Image

        pictures = [Image.open(io.BytesIO(each)).convert("RGB") for each in job.pictures]
        talk = conv_templates["qwen_2_5"].copy()
        if job.system:
            talk.system = f"<|im_start|>system\n{job.system}"
        marks = " ".join([DEFAULT_IMAGE_TOKEN] * len(pictures))
        talk.append_message(talk.roles[0], f"{marks}\n{job.prompt}" if pictures else job.prompt)
        talk.append_message(talk.roles[1], None)
        ids = tokenizer_image_token(talk.get_prompt(), self.words, IMAGE_TOKEN_INDEX, return_tensors="pt")
        ids = ids[None].to(self.device)
        with torch.inference_mode():
            made = self.model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                images=self._pixels(pictures),
                image_sizes=[each.size for each in pictures] or None,
                do_sample=False,
                temperature=None,
                top_p=None,
                top_k=None,
                num_beams=1,
                max_new_tokens=self.knobs["max_new_tokens"],
                pad_token_id=self.words.pad_token_id,
                use_cache=True,
            )[0].tolist()
        ends = self.model.generation_config.eos_token_id
        ended = bool({*made} & {*(ends if isinstance(ends, list) else [ends])})
        text = self.words.decode(made, skip_special_tokens=True).strip()
        return {"text": text, "finish": "stop" if ended else "length"}

    def _pixels(self, pictures: Sequence[Any]) -> Any:
        """Return what the network sees: squares of 384, padded first where the checkpoint says so."""
        import torch
        from llava.mm_utils import process_images

        if not pictures:
            return None
        reader = self.model.get_vision_tower().image_processor
        if getattr(self.model.config, "image_aspect_ratio", None) == "pad":
            found = process_images(pictures, reader, self.model.config)
        else:  # the authors' process_images would call the reader, which cannot be called
            found = torch.stack([reader.preprocess(each, return_tensors="pt")["pixel_values"][0] for each in pictures])
        return found.to(self.device, self.dtype)


def _talks() -> None:
    """Import the conversations without Llama 3's tokenizer, which is fetched there for a template not used here."""
    words: Any = importlib.import_module("transformers").AutoTokenizer

    def missing(name: str) -> None:
        raise OSError(name)

    whole = vars(words)["from_pretrained"]
    words.from_pretrained = staticmethod(missing)
    try:
        importlib.import_module("llava.conversation")
    finally:
        words.from_pretrained = whole


@contextlib.contextmanager
def _without_teachers(module: str) -> Generator[None, None, None]:
    """Build CLIP ViT-B/16 and SigLIP-so400m from their sizes: the checkpoint's tensors fill them a moment later.

    Weights files are read by torch's weights_only reader meanwhile.
    """
    torch: Any = importlib.import_module("torch")
    siglip: Any = importlib.import_module("transformers.models.siglip.modeling_siglip")
    network = siglip.SiglipVisionModel

    def teacher(cls: Any, name: str) -> Any:
        return cls(siglip.SiglipVisionConfig(**SO400M))

    load = torch.load
    torch.load = functools.partial(load, weights_only=True)
    network.from_pretrained = classmethod(teacher)
    found: Any = importlib.import_module(module)
    clip: Any = getattr(found, "clip", found)
    parts: Any = importlib.import_module(f"{clip.__package__}.model")

    def sized(name: str, download_root: str = "") -> Any:
        return parts.VisionTransformer(**VIT_B_16)

    clip.load_clip_vision = sized
    try:
        yield
    finally:
        torch.load = load
        del network.from_pretrained  # its parent's again


VIT_B_16 = {"input_resolution": 224, "patch_size": 16, "width": 768, "layers": 12, "heads": 12, "output_dim": 512}
SO400M = {
    "hidden_size": 1152,
    "intermediate_size": 4304,
    "num_hidden_layers": 27,
    "num_attention_heads": 16,
    "image_size": 384,
    "patch_size": 14,
}


def model(
    source: str,
    drawing: str = "",
    drawing_tokenizer: str = "",
    answering: str = "",
    answering_tokenizer: str = "",
    guidance: float = 7.5,
    loops: int = 1,
    max_new_tokens: int = 512,
    batch: int = 4,
    device: str = "auto",
    dtype: str = "auto",
    offline: bool = False,
) -> TokenFlow:
    """Return the model; `source` is the repository. Nothing is loaded before it is asked for something."""
    sys.path[:0] = [f"{source}/t2i", f"{source}/i2t", source, f"{source}/tokenflow"]
    if device == "auto":
        import torch

        device = "cuda" if torch.cuda.is_available() else "cpu"
    places = {
        "drawing": drawing,
        "drawing_tokenizer": drawing_tokenizer,
        "answering": answering,
        "answering_tokenizer": answering_tokenizer,
    }
    knobs = {
        "guidance": guidance,
        "loops": loops,
        "max_new_tokens": max_new_tokens,
        "batch": batch,
        "offline": offline,
    }
    return TokenFlow({key: value for key, value in places.items() if value}, device, dtype, knobs)
