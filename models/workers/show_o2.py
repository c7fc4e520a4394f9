"""Show-o2, driven in its own environment: the authors' network draws by flow matching and answers token by token.

Runs in the worker's interpreter, beside showlab/Show-o at 45a5a2d (its folder show-o2), not in the harness. What
differs from the authors' scripts: each picture's noise has a generator of its own; every tensor comes from the
checkpoint, strictly, and SigLIP, which their code downloads to overwrite it, is made from its sizes; files are read as
tensors alone; no safety checker.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib
import io
import sys
from pathlib import Path
from typing import Any, Generator, Iterator, Sequence  # noqa: UP035 -- the oldest Python that a worker may have

REPOSITORIES = {"1.5b": "showlab/show-o2-1.5B", "7b": "showlab/show-o2-7B"}
LANGUAGES = {"1.5b": "Qwen/Qwen2.5-1.5B-Instruct", "7b": "Qwen/Qwen2.5-7B-Instruct"}
VAE = ("Wan-AI/Wan2.1-T2V-14B", "Wan2.1_VAE.pth")
STRIDE = 8
"""Pixels a latent."""
WORDS = 1024 - 729 - 1 - 4
"""Tokens of a prompt, a longer one is cut: `max_seq_length` of the 432 px configurations less the picture's."""
SYSTEM = "You are a helpful assistant."
"""inference_mmu.py."""


class ShowO2:
    """Both halves of one network, loaded at the first job."""

    kinds = ("image", "text")

    def __init__(self, places: dict[str, str], device: str, dtype: str, knobs: dict[str, Any]) -> None:
        self.places, self.knobs, self.device, self.dtype = places, knobs, device, dtype
        self.batch_size, self.image_size = knobs["batch"], 432
        self.card = {
            **{name: self._named(name) for name in ("checkpoint", "vae", "language")},
            **{name: knobs[name] for name in ("guidance", "steps", "max_new_tokens")},
            "decoding": "top-k 1",
            "posterior": "sample",
            "noise": "torch-generator-a-picture",
            "device": device.partition(":")[0],
            "dtype": dtype,
        }
        self._loaded: Any = None

    def predict(self, jobs: Sequence[Any]) -> Iterator[Any]:
        """Give one output a job, in order: a PIL picture, or an answer with how it ended."""
        if self._loaded is None:
            self._loaded = _Loaded(self._places(), self.device, self.dtype, self.knobs)
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

    def _places(self) -> dict[str, str]:
        """Return the folder of the network, the VAE's file and the language model's folder, from the hub else."""
        from huggingface_hub import hf_hub_download, snapshot_download

        found, offline, variant = dict(self.places), self.knobs["offline"], self.knobs["variant"]
        if "checkpoint" not in found:
            found["checkpoint"] = snapshot_download(REPOSITORIES[variant], local_files_only=offline)
        if "vae" not in found:
            found["vae"] = hf_hub_download(*VAE, local_files_only=offline)
        if "language" not in found:
            found["language"] = snapshot_download(
                LANGUAGES[variant], allow_patterns=["*.json", "*.txt"], local_files_only=offline
            )
        return found

    def _named(self, name: str) -> str:
        """Return what names a part: the hub's, or the given one with a digest of what lies there."""
        given, variant = self.places.get(name), self.knobs["variant"]
        hub = {"checkpoint": REPOSITORIES[variant], "vae": "/".join(VAE), "language": LANGUAGES[variant]}
        return _digest(Path(given)) if given else f"{hub[name]}@main"


def _digest(path: Path) -> str:
    """Return a name with 12 hex digits over names and sizes of files, and the content of those below a megabyte."""
    seen = hashlib.sha256()
    for each in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if each.is_file():
            size = each.stat().st_size
            seen.update(f"{each.name} {size}\n".encode() + (each.read_bytes() if size < 1 << 20 else b""))
    return f"{path.name}#{seen.hexdigest()[:12]}"


class _Loaded:
    """The network with its weights, the VAE and the tokenizer."""

    def __init__(self, places: dict[str, str], device: str, dtype: str, knobs: dict[str, Any]) -> None:
        torch: Any = importlib.import_module("torch")
        misc: Any = importlib.import_module("models.misc")
        self.device, self.knobs = torch.device(device), knobs
        auto = torch.bfloat16 if self.device.type == "cuda" else torch.float32
        self.dtype = auto if dtype == "auto" else getattr(torch, dtype)
        self.words, self.ids = misc.get_text_tokenizer(
            places["language"], add_showo_tokens=True, return_showo_token_ids=True, llm_name="qwen2_5"
        )
        with _weights_only():
            vae: Any = importlib.import_module("models.wan21_vae")
            self.vae = vae.WanVAE(vae_pth=places["vae"], dtype=self.dtype, device=self.device)
            self.model = network(places, len(self.words)).to(self.device, self.dtype).eval()
        config = self.model.config
        self.rows, self.columns = config.image_latent_height, config.image_latent_width
        self.tokens = self.rows * self.columns + 1  # one for the time

    def draw(self, jobs: Sequence[Any]) -> Iterator[Any]:
        """Draw as inference_t2i.py does."""
        torch: Any = importlib.import_module("torch")
        misc: Any = importlib.import_module("models.misc")
        attention: Any = importlib.import_module("models.omni_attention")
        from PIL import Image

        ids, guidance = self.ids, self.knobs["guidance"]
        marks = [ids[name] for name in ("bos_id", "eos_id", "boi_id", "eoi_id")]
        given = misc.prepare_gen_input(
            *([job.prompt for job in jobs], self.words, self.tokens, *marks),
            *(self.words.pad_token_id, ids["img_pad_id"], WORDS, self.device),
        )
        texts, places = torch.cat(given[:2]), torch.cat(given[2:])
        patch = self.model.config.patch_size
        shape = (1, self.model.config.image_latent_dim, self.rows * patch, self.columns * patch)
        noise = [torch.randn(shape, generator=torch.Generator().manual_seed(job.seed)) for job in jobs]
        z = torch.cat(noise).to(torch.bfloat16).to(self.device)  # as in the script, whatever the weights' type
        if guidance > 0:
            z = torch.cat([z, z])
        else:
            texts, places = given[0], given[2]
        whole = WORDS + self.tokens + 4
        mask = attention.omni_attn_mask_naive(texts.size(0), whole, places, self.device).to(self.dtype)
        with torch.no_grad():
            made = self._sampler()(
                z,
                self.model.t2i_generate,
                text_tokens=texts,
                attention_mask=mask,
                modality_positions=places,
                output_hidden_states=True,
                max_seq_len=whole,
                guidance_scale=guidance,
            )[-1][: len(jobs)]
            pixels = self.vae.batch_decode(made.unsqueeze(2)).squeeze(2)
        pixels = torch.clamp((pixels + 1.0) / 2.0, min=0.0, max=1.0).to(torch.float32) * 255.0
        for each in pixels.permute(0, 2, 3, 1).cpu().numpy().astype("uint8"):
            yield Image.fromarray(each)

    def _sampler(self) -> Any:
        """Return the authors' sampler with the values of configs/showo2_*_432x432.yaml."""
        transport: Any = importlib.import_module("transport")
        made = transport.create_transport(
            path_type="Linear", prediction="velocity", snr_type="lognorm", do_shift=True, seq_len=self.tokens
        )
        return transport.Sampler(made).sample_ode(
            sampling_method="euler",
            num_steps=self.knobs["steps"],
            atol=1e-6,
            rtol=1e-3,
            reverse=False,
            time_shifting_factor=3.0,
        )

    def answer(self, job: Any) -> dict[str, str]:
        """Answer as inference_mmu.py does; a picture stands between its marks before the question."""
        torch: Any = importlib.import_module("torch")
        attention: Any = importlib.import_module("models.omni_attention")
        model, ids = self.model, self.ids
        torch.manual_seed(job.seed)  # a picture's encoding is a sample
        system = job.system or SYSTEM
        head = [ids["bos_id"], *self._ids(f"system\n{system}<|im_end|>"), *self._ids("\n<|im_start|>user\n")]
        tail = [*self._ids(job.prompt), *self._ids("\n<|im_start|>assistant\n")]
        with torch.no_grad():
            time = model.time_embed(torch.Tensor([[1.0]]).to(self.device), self.dtype)
            if hasattr(model, "time_embed_proj"):
                time = model.time_embed_proj(time)
            parts, places = [self._words(head)], []
            for picture in job.pictures:
                parts += [self._words([ids["boi_id"]]), time, self._seen(picture), self._words([ids["eoi_id"]])]
                # as in the script: from behind the time to the end mark
                places.append([sum(each.shape[1] for each in parts[:-2]), self.tokens])
            x = torch.cat([*parts, self._words(tail)], dim=1).to(self.dtype)
            where = torch.tensor(places or [[0, 0]])[None].to(self.device)
            mask = attention.omni_attn_mask_naive(1, x.size(1), where, self.device, inverted=True).to(self.dtype)
            end = self.words.eos_token_id
            made = model.mmu_generate(
                input_embeds=x,
                attention_mask=mask,
                top_k=1,
                max_new_tokens=self.knobs["max_new_tokens"],
                eos_token=end,
            )
        said = [int(each) for each in made]
        text = self.words.decode(said, skip_special_tokens=True)
        return {"text": text, "finish": "stop" if end in said else "length"}

    def _ids(self, text: str) -> list[int]:
        return self.words(text, add_special_tokens=False)["input_ids"]

    def _words(self, ids: list[int]) -> Any:
        torch: Any = importlib.import_module("torch")
        return self.model.showo.model.embed_tokens(torch.tensor([ids], device=self.device))

    def _seen(self, file: bytes) -> Any:
        """Return a picture's embeddings by both paths: its middle, resized, through the VAE."""
        torch: Any = importlib.import_module("torch")
        read: Any = importlib.import_module("datasets.utils")
        from PIL import Image

        model, side = self.model, self.rows * self.model.config.patch_size * STRIDE
        pixels = read.image_transform(Image.open(io.BytesIO(file)).convert("RGB"), resolution=side).to(self.device)
        latents = self.vae.sample(pixels[None].unsqueeze(2)).squeeze(2).to(self.dtype)
        seen = model.image_embedder_und(latents) + model.position_embedding(model.image_position_ids)
        seen = model.und_trans(seen)["last_hidden_state"]
        return model.fusion_proj(torch.cat([seen, model.image_embedder_gen(latents)], dim=-1))


# -- weights ------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _weights_only() -> Generator[None, None, None]:
    """Let torch read tensors alone, whoever asks."""
    torch: Any = importlib.import_module("torch")
    load = torch.load
    torch.load = functools.partial(load, weights_only=True)
    try:
        yield
    finally:
        torch.load = load


def network(places: dict[str, str], vocabulary: int) -> Any:
    """Return the authors' network with every weight from the folder's .bin files.

    Raises ValueError for a tensor that is missing, unknown or repeated.
    """
    import json

    siglip: Any = importlib.import_module("models.modeling_siglip")
    whole: Any = importlib.import_module("models.modeling_showo2_qwen2_5")
    folder = Path(places["checkpoint"])
    settings = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    settings = {name: each for name, each in settings.items() if not name.startswith("_")}
    weights = tensors(folder)

    def sized(_: Any, name: str) -> Any:
        config = siglip.SiglipConfig(text_config={"num_hidden_layers": 1}, vision_config=tower(weights))
        return siglip.SiglipModel(config)

    own = vars(siglip.SiglipModel).get("from_pretrained")
    siglip.SiglipModel.from_pretrained = classmethod(sized)
    try:
        given = {"llm_model_path": places["language"], "load_from_showo": True, "llm_vocab_size": vocabulary}
        model = whole.Showo2Qwen2_5(**{**settings, **given})
    finally:
        if own is None:
            del siglip.SiglipModel.from_pretrained  # its parent's again
        else:
            siglip.SiglipModel.from_pretrained = own
    missing, unknown = model.load_state_dict(weights, strict=False)
    tied = {"showo.lm_head.weight"} if model.showo.config.tie_word_embeddings else set()
    wrong = [*(name for name in missing if name not in tied), *unknown]
    if wrong:
        raise ValueError(f"{folder}: {len(wrong)} tensors are missing or unknown, the first is {wrong[0]!r}")
    return model


def tensors(folder: Path) -> dict[str, Any]:
    """Return what a folder's .bin files hold. Raises ValueError for a tensor that comes twice."""
    torch: Any = importlib.import_module("torch")
    found: dict[str, Any] = {}
    for file in sorted(folder.glob("*.bin")):
        for name, each in torch.load(file, map_location="cpu", weights_only=True, mmap=True).items():
            if name in found:
                raise ValueError(f"{file}: tensor {name!r} comes twice")
            found[name] = each
    return found


def tower(weights: dict[str, Any]) -> dict[str, Any]:
    """Return the sizes of SigLIP's vision tower by its tensors; it has one layer more, which their code takes off."""
    try:
        places, width = weights["position_embedding.weight"].shape
        inner = weights["und_trans.layers.0.mlp.fc1.weight"].shape[0]
    except KeyError as error:
        raise ValueError(f"the checkpoint has no {error.args[0]}: it is none of Show-o2") from error
    layers = {name.split(".")[2] for name in weights if name.startswith("und_trans.layers.")}
    return {
        "hidden_size": width,
        "intermediate_size": inner,
        "num_hidden_layers": len(layers) + 1,
        "num_attention_heads": 16,
        "image_size": round(places**0.5) * 14,
        "patch_size": 14,
    }


def model(
    source: str,
    variant: str = "1.5b",
    checkpoint: str = "",
    vae: str = "",
    language: str = "",
    guidance: float = 7.5,
    steps: int = 50,
    max_new_tokens: int = 300,
    batch: int = 4,
    device: str = "auto",
    dtype: str = "auto",
    offline: bool = False,
) -> ShowO2:
    """Return the model; `source` is the repository. Nothing is loaded before it is asked for something."""
    sys.path.insert(0, f"{source}/show-o2")
    if device == "auto":
        import torch

        device = "cuda" if torch.cuda.is_available() else "cpu"
    places = {"checkpoint": checkpoint, "vae": vae, "language": language}
    knobs = {
        "variant": variant,
        "guidance": guidance,
        "steps": steps,
        "max_new_tokens": max_new_tokens,
        "batch": batch,
        "offline": offline,
    }
    return ShowO2({name: each for name, each in places.items() if each}, device, dtype, knobs)
