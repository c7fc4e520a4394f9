"""Harmon, driven in its own environment: the authors' two networks (MAR and Qwen2.5) draw and answer.

Runs in the worker's interpreter, beside wusize/Harmon at 4eb6087, not in the harness. What differs from the authors'
scripts: each picture has a generator of its own for its order and its noise, so that it does not depend on its
neighbours; sizes are read off the checkpoint instead of a configuration file; the language model is filled by the
checkpoint alone, strictly, and not first by Qwen's own weights; files are read as tensors alone; attention is torch's.
"""

from __future__ import annotations

import hashlib
import importlib
import io
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Callable, Iterator, Sequence  # noqa: UP035 -- the oldest Python that a worker may have

TEMPLATE = "Generate an image: {}."
"""What is drawn is asked for so: scripts/batch_text2image.py; text2image.py has no full stop."""
NOTHING = "Generate an image."
"""The unconditional half's words: both scripts."""
TURN = "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
SYSTEM = "<|im_start|>system\n{}<|im_end|>\n"
"""`prompt_template` of configs/models."""
SCALE = 0.2325
"""`vae_scale` of configs/models."""
STRIDE = 16
FILES = {"0.5b": "harmon_0.5b.pth", "1.5b": "harmon_1.5b.pth", "1.5b-o": "harmon_1.5b-o.pth"}
LANGUAGES = {"0.5b": "Qwen/Qwen2.5-0.5B-Instruct", "1.5b": "Qwen/Qwen2.5-1.5B-Instruct"}
REPOSITORY, VAE = "wusize/harmon", "kl16.ckpt"


class Harmon:
    """Both halves of one network, loaded at the first job."""

    kinds = ("image", "text")

    def __init__(self, places: dict[str, str], device: str, dtype: str, knobs: dict[str, Any]) -> None:
        self.places, self.knobs, self.device, self.dtype = places, knobs, device, dtype
        self.batch_size, self.image_size = knobs["batch"], knobs["size"]
        self.card = {
            **{name: self._named(name) for name in ("checkpoint", "vae", "language")},
            **{name: knobs[name] for name in ("guidance", "steps", "temperature", "size", "template")},
            "max_new_tokens": knobs["max_new_tokens"],
            "decoding": "greedy",
            "noise": "torch-generator-a-picture",
            "device": device.partition(":")[0],
            "dtype": dtype,
        }
        self._loaded: Any = None

    def predict(self, jobs: Sequence[Any]) -> Iterator[Any]:
        """Give one output a job, in order: a PIL picture, or an answer with how it ended."""
        if self._loaded is None:
            self._loaded = _Loaded(self._places(), self.device, self._type(), self.knobs)
        left = list(jobs)
        while left:
            drawn = [job for job in left[: self.batch_size] if job.kind == "image"]
            if left[0].kind != "image":
                yield self._loaded.answer(left.pop(0))
            elif drawn == left[: len(drawn)]:
                left = left[len(drawn) :]
                yield from self._loaded.draw(drawn)
            else:
                yield from self._loaded.draw([left.pop(0)])

    def _type(self) -> Any:
        """Return torch's type: on a GPU that of the authors' configurations where none is asked for."""
        import torch

        if self.dtype != "auto":
            return getattr(torch, self.dtype)
        return torch.bfloat16 if self.device.startswith("cuda") else torch.float32

    def _places(self) -> dict[str, str]:
        """Return checkpoint, picture tokenizer and the folder of the language model's settings, from the hub else."""
        from huggingface_hub import hf_hub_download, snapshot_download

        found, offline, variant = dict(self.places), self.knobs["offline"], self.knobs["variant"]
        for name, file in (("checkpoint", FILES[variant]), ("vae", VAE)):
            if name not in found:
                found[name] = hf_hub_download(REPOSITORY, file, local_files_only=offline)
        if "language" not in found:
            found["language"] = snapshot_download(
                LANGUAGES[variant[:4]], allow_patterns=["*.json", "*.txt"], local_files_only=offline
            )
        return found

    def _named(self, name: str) -> str:
        """Return what names a part: the hub's file, or the given one with a digest of what lies there."""
        given, variant = self.places.get(name), self.knobs["variant"]
        hub = {"checkpoint": f"{REPOSITORY}/{FILES[variant]}", "vae": f"{REPOSITORY}/{VAE}"}
        return _digest(Path(given)) if given else hub.get(name, LANGUAGES[variant[:4]]) + "@main"


def _digest(path: Path) -> str:
    """Return a name with 12 hex digits over names and sizes of files, and the content of those below a megabyte."""
    seen = hashlib.sha256()
    for each in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if each.is_file():
            size = each.stat().st_size
            seen.update(f"{each.name} {size}\n".encode() + (each.read_bytes() if size < 1 << 20 else b""))
    return f"{path.name}#{seen.hexdigest()[:12]}"


class _Loaded:
    """The network with its weights."""

    def __init__(self, places: dict[str, str], device: str, dtype: Any, knobs: dict[str, Any]) -> None:
        from transformers import AutoTokenizer

        torch: Any = importlib.import_module("torch")
        self.device, self.knobs = torch.device(device), knobs
        if self.device.type != "cuda":
            torch.Tensor.cuda = _stays  # diffloss.py and gaussian_diffusion.py say .cuda()
        self.words = AutoTokenizer.from_pretrained(places["language"], padding_side="right")
        self.model = network(places, self.words).to(self.device, dtype).eval()
        self.dtype = dtype
        self.noise = _Noise(self.model.mar, self.model.token_embed_dim)

    def draw(self, jobs: Sequence[Any]) -> Iterator[Any]:
        import torch
        from PIL import Image

        knobs = self.knobs
        side, guided = knobs["size"] // STRIDE, knobs["guidance"] != 1
        asked = [TURN.format(knobs["template"].replace("{}", job.prompt.strip())) for job in jobs]
        asked += [TURN.format(NOTHING)] * (len(jobs) if guided else 0)
        given = self.words(asked, add_special_tokens=True, return_tensors="pt", padding=True).to(self.device)
        self.noise.begin([job.seed for job in jobs], halves=2 if guided else 1)
        with torch.no_grad():
            made = self.model.sample(
                input_ids=given["input_ids"],
                attention_mask=given["attention_mask"],
                num_iter=knobs["steps"],
                cfg=knobs["guidance"],
                cfg_schedule="constant",
                temperature=knobs["temperature"],
                image_shape=(side, side),
            )
        pixels = torch.clamp(127.5 * made + 128.0, 0, 255).to("cpu", dtype=torch.uint8)
        for each in pixels.permute(0, 2, 3, 1).numpy():
            yield Image.fromarray(each)

    def answer(self, job: Any) -> dict[str, str]:
        """Answer greedily, as scripts/image2text.py does; each picture stands before a line break."""
        import torch

        model = self.model
        head, _, tail = TURN.partition("{}")
        if job.system:
            head = SYSTEM.format(job.system) + head
        seen = [self._seen(each) for each in job.pictures]
        texts = [head, *["\n"] * (len(seen) - 1), f"\n{job.prompt}{tail}"] if seen else [f"{head}{job.prompt}{tail}"]
        rows = [self.words.encode(text, add_special_tokens=True, return_tensors="pt")[0] for text in texts]
        parts: list[Any] = []
        for row, picture in zip(rows, [None, *seen]):  # noqa: B905 -- Python 3.8
            parts += [] if picture is None else [picture]
            parts.append(model.llm.get_input_embeddings()(row.to(self.device)))
        x = torch.cat(parts)[None]
        end = self.words.eos_token_id
        pad = self.words.pad_token_id if self.words.pad_token_id is not None else end
        with torch.no_grad():
            made = model.llm.generate(
                inputs_embeds=x,
                attention_mask=torch.ones(x.shape[:2], dtype=torch.long, device=self.device),
                use_cache=True,
                do_sample=False,
                temperature=None,
                top_p=None,
                top_k=None,
                max_new_tokens=self.knobs["max_new_tokens"],
                eos_token_id=end,
                pad_token_id=pad,
            )[0].tolist()
        text = self.words.decode(made, skip_special_tokens=True).strip()
        return {"text": text, "finish": "stop" if end in made else "length"}

    def _seen(self, file: bytes) -> Any:
        """Return a picture's embeddings: padded to a square by grey, resized, through the shared encoder."""
        import numpy as np
        import torch
        from PIL import Image

        picture = Image.open(io.BytesIO(file)).convert("RGB")
        width, height = picture.size
        side = max(width, height)
        square = Image.new("RGB", (side, side), (127, 127, 127))
        square.paste(picture, ((side - width) // 2, (side - height) // 2))
        pixels = torch.from_numpy(np.array(square.resize((self.knobs["size"],) * 2))).to(self.device, self.dtype)
        with torch.no_grad():
            x = 2 * (pixels.permute(2, 0, 1)[None] / 255) - 1
            return self.model.extract_visual_feature(self.model.encode(x))[1][0]


def _stays(tensor: Any) -> Any:
    return tensor


class _Noise:
    """Every random number of a drawing, from one generator a picture, in the order in which the authors' code asks.

    A picture alone sees what their code sees after `torch.manual_seed` and `numpy.random.seed` with its seed.
    """

    def __init__(self, mar: Any, channels: int) -> None:
        import torch

        self.channels, self.device = channels, mar.device
        self.seeds: list[int] = []
        self.halves = 2
        self.generators: list[Any] = []
        mar.sample_orders = self.orders
        parts = [importlib.import_module("src.models.mar.diffloss")]
        parts.append(importlib.import_module("src.models.mar.diffusion.gaussian_diffusion"))
        for module, name in zip(parts, ("torch", "th")):  # noqa: B905 -- Python 3.8
            setattr(module, name, _Instead(torch, {"randn": self.randn, "randn_like": self.randn_like}))

    def begin(self, seeds: list[int], *, halves: int) -> None:
        """Begin a batch of pictures; `halves` is 2 where an unconditional half is drawn beside it."""
        import torch

        self.seeds, self.halves = seeds, halves
        self.generators = [torch.Generator(self.device).manual_seed(seed) for seed in seeds]

    def orders(self, rows: int, seq_len: int) -> Any:
        """Return the order in which each picture's places are filled, the same for both halves."""
        import numpy as np
        import torch

        found = []
        for seed in self.seeds:
            order = np.arange(seq_len)
            np.random.RandomState(seed % (1 << 32)).shuffle(order)
            found.append(order)
        return torch.from_numpy(np.array(found * self.halves)).to(self.device)

    def randn(self, rows: int, channels: int) -> Any:
        """Return the first noise of the conditional half's places; pictures come one after the other."""
        import torch

        each = rows // len(self.seeds)
        made = [torch.randn(each, channels, generator=rng, device=self.device) for rng in self.generators]
        return torch.cat(made)

    def randn_like(self, x: Any) -> Any:
        """Return a step's noise of both halves."""
        import torch

        many, each = len(self.seeds), x.shape[0] // self.halves // len(self.seeds)
        made = [
            torch.randn(self.halves, each, x.shape[1], generator=rng, device=self.device, dtype=x.dtype)
            for rng in self.generators
        ]
        return torch.stack(made, 1).reshape(self.halves * many * each, x.shape[1])


class _Instead:
    """A module with some of its names replaced."""

    def __init__(self, module: Any, names: dict[str, Any]) -> None:
        self._module, self._names = module, names

    def __getattr__(self, name: str) -> Any:
        return self._names[name] if name in self._names else getattr(self._module, name)


# -- weights ------------------------------------------------------------------------------------------


def network(places: dict[str, str], words: Any) -> Any:
    """Return the authors' network with every weight from its files. Raises ValueError for what is not theirs."""
    import torch
    from src.models.harmon import Harmon as Whole
    from src.models.mar.mar import MAR
    from src.models.mar.vae import AutoencoderKL
    from transformers import AutoConfig, AutoModelForCausalLM

    weights = torch.load(places["checkpoint"], map_location="cpu", weights_only=True, mmap=True)
    config = AutoConfig.from_pretrained(places["language"])

    def language() -> Any:
        return AutoModelForCausalLM.from_config(config, attn_implementation="sdpa")

    model = Whole(
        vae={"type": _built(AutoencoderKL), "embed_dim": 16, "ch_mult": (1, 1, 2, 2, 4)},
        vae_scale=SCALE,
        llm={"type": language},
        mar={"type": _built(MAR), **sizes(weights)},
        tokenizer={"type": lambda: words},
        prompt_template={"INSTRUCTION": TURN.replace("{}", "{input}")},
    )
    pictures = torch.load(places["vae"], map_location="cpu", weights_only=True)
    model.vae.load_state_dict(pictures["model"])
    own = {name: each for name, each in weights.items() if not name.startswith("vae.")}
    missing, unknown = model.load_state_dict(own, strict=False)
    tied = {"llm.lm_head.weight"} if config.tie_word_embeddings else set()
    missing = [name for name in missing if not name.startswith("vae.") and name not in tied]
    if missing or unknown:
        raise ValueError(f"{places['checkpoint']}: {len(missing)} tensors are missing and {len(unknown)} unknown, "
                         f"the first is {(missing + unknown)[0]!r}")  # fmt: skip
    return model


def _built(make: Callable[..., Any]) -> Callable[..., Any]:
    """Return a class as a function, which their registry calls as it is."""

    def made(**given: Any) -> Any:
        return make(**given)

    return made


def sizes(weights: dict[str, Any]) -> dict[str, Any]:
    """Return the sizes of MAR by a checkpoint's tensors; the heads are those of mar_base, mar_large and mar_huge."""
    from functools import partial

    import torch

    own = {name[len("mar.") :]: each for name, each in weights.items() if name.startswith("mar.")}

    def many(prefix: str) -> int:
        found = [int(name[len(prefix) :].partition(".")[0]) for name in own if name.startswith(prefix)]
        return max(found, default=-1) + 1

    try:
        wide, deep = (own[f"{half}.weight"].shape[0] for half in ("z_proj", "decoder_embed"))
        places = own["diffusion_pos_embed_learned"].shape[1]
        flow = own["diffloss.net.input_proj.weight"].shape
        buffer = own["encoder_pos_embed_learned"].shape[1] - places
    except KeyError as error:
        raise ValueError(f"the checkpoint has no mar.{error.args[0]}: it is none of Harmon") from error
    classes = own["class_emb.weight"].shape[0]
    return {
        "img_size": round(places**0.5) * STRIDE,
        "vae_stride": STRIDE,
        "vae_embed_dim": flow[1],
        "encoder_embed_dim": wide,
        "encoder_depth": many("encoder_blocks."),
        "encoder_num_heads": 12 if wide == 768 else 16,
        "decoder_embed_dim": deep,
        "decoder_depth": many("decoder_blocks."),
        "decoder_num_heads": 12 if deep == 768 else 16,
        "norm_layer": partial(torch.nn.LayerNorm, eps=1e-6),
        "class_num": classes,
        "buffer_size": buffer,
        "diffloss_d": many("diffloss.net.res_blocks."),
        "diffloss_w": flow[0],
        "num_sampling_steps": "100",
    }


def model(
    source: str,
    variant: str = "1.5b",
    checkpoint: str = "",
    vae: str = "",
    language: str = "",
    guidance: float = 3.0,
    steps: int = 64,
    temperature: float = 1.0,
    size: int = 512,
    template: str = TEMPLATE,
    max_new_tokens: int = 1024,
    batch: int = 4,
    device: str = "auto",
    dtype: str = "auto",
    offline: bool = False,
) -> Harmon:
    """Return the model; `source` is the repository. Nothing is loaded before it is asked for something."""
    sys.path.insert(0, source)
    if device == "auto":
        import torch

        device = "cuda" if torch.cuda.is_available() else "cpu"
    given = SimpleNamespace(**locals())
    places = {name: getattr(given, name) for name in ("checkpoint", "vae", "language") if getattr(given, name)}
    names = ("variant", "guidance", "steps", "temperature", "size", "template", "max_new_tokens", "batch", "offline")
    return Harmon(places, device, dtype, {name: getattr(given, name) for name in names})
