"""The parts of a D-DiT pipeline folder, loaded strictly: network, T5, autoencoder, schedule, tokenizer.

Weights are read by diffusers and transformers from safetensors, else through torch's weights_only reader; a folder's
own code is never run, whatever class its model_index.json names.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...evals.errors import EnvironmentProblem, UsageError
from ..device import loading, memory, of_type
from ..janus.weights import read_table
from .texts import Texts

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from .network import DualTransformer

NAME = "d-dit"
CLASS = "DualDiffSD3Pipeline"
_WEIGHTS = ("transformer", "text_encoder", "vae")


@dataclass(frozen=True)
class Parts:
    """What draws and answers, on its device."""

    network: DualTransformer
    vae: Any
    encoder: Any
    scheduler: Any
    texts: Texts
    device: torch.device
    dtype: torch.dtype

    @property
    def scale(self) -> int:
        """Return how many pixels wide a latent is."""
        return 2 ** (len(self.vae.config.block_out_channels) - 1)

    @property
    def vocabulary(self) -> int:
        return self.network.vocabulary

    def embedded(self, ids: Tensor) -> Tensor:
        """Return T5's embeddings (B, T, width) of ids (B, T); it attends to padding too, as it was trained."""
        return self.encoder(ids)[0].to(self.dtype)


def checked(folder: Path) -> Path:
    """Return the folder. Raises UsageError where it is no D-DiT pipeline, EnvironmentProblem where it is damaged."""
    path = folder / "model_index.json"
    if not path.is_file():
        raise UsageError(f"{NAME}: no pipeline at {folder}: give path=FOLDER with model_index.json")
    found = read_table(path).get("_class_name")
    if found != CLASS:
        raise UsageError(f"{path} describes a {found!r:.80}; this adapter takes a {CLASS}")
    return folder


def weight_files(folder: Path) -> list[Path]:
    """Return the files whose tensors are loaded, as far as they lie there."""
    found: list[Path] = []
    for part in _WEIGHTS:
        safe = sorted((folder / part).glob("*.safetensors"))
        found += safe or sorted((folder / part).glob("*.bin"))
    return found


def load(folder: Path, device: torch.device, dtype: torch.dtype, mask_embedding: Path | None) -> Parts:
    """Return the parts on `device` as `dtype`, T5's mask taken from the file `mask_embedding` where one is given.

    Raises EnvironmentProblem, in one line, where a part is missing, damaged, lacks a tensor, holds one too many or one
    of another shape, or does not fit the others.
    """
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
    from diffusers.schedulers.scheduling_flow_match_euler_discrete import FlowMatchEulerDiscreteScheduler
    from transformers import T5EncoderModel

    from .network import DualTransformer

    texts = Texts(folder / "tokenizer")
    told: dict[str, Any] = {"local_files_only": True, "output_loading_info": True}
    with loading(NAME, folder):
        scheduler: Any = FlowMatchEulerDiscreteScheduler.from_pretrained(folder / "scheduler", local_files_only=True)
        network, vae, encoder = (
            _whole(folder / name, kind.from_pretrained(folder / name, **typed, **told))
            for name, kind, typed in (
                ("transformer", DualTransformer, of_type(dtype)),
                ("vae", AutoencoderKL, of_type(dtype)),
                ("text_encoder", T5EncoderModel, {"dtype": dtype}),
            )
        )
        if mask_embedding is not None:
            _put_mask(encoder.get_input_embeddings().weight[texts.mask], mask_embedding)
    _must_fit(folder, network, vae, encoder, scheduler, texts)
    with memory(device, "the weights"):
        for each in (network, vae, encoder):
            each.eval().requires_grad_(False).to(device)
    return Parts(network, vae, encoder, scheduler, texts, device, dtype)


def _whole(folder: Path, found: Any) -> Any:
    """Return a loaded model of which nothing is missing and nothing is left over; the libraries only warn."""
    model, report = found
    for told, key in (("lacks", "missing_keys"), ("has too many by", "unexpected_keys")):
        names = sorted(report[key])
        if names:
            raise EnvironmentProblem(
                f"{NAME}: {folder} {told} {len(names)} tensors, {names[0]!r:.80} among them: fetch it again"
            )
    return model


def _must_fit(folder: Path, network: Any, vae: Any, encoder: Any, scheduler: Any, texts: Texts) -> None:
    """Raise EnvironmentProblem where parts are of different models."""
    own = network.config
    last = max(texts.mask, texts.end, texts.pad)
    faults = {
        f"the network takes texts of width {own.joint_attention_dim}, T5 gives {encoder.config.d_model}": (
            own.joint_attention_dim != encoder.config.d_model
        ),
        f"the network draws {network.channels} channels from {own.in_channels}, the autoencoder has "
        f"{vae.config.latent_channels}": not own.in_channels == network.channels == vae.config.latent_channels,
        "the autoencoder has no shift_factor": vae.config.shift_factor is None,
        f"the network says {own.vocab_size} words, T5 reads {encoder.config.vocab_size}, its control tokens "
        f"are up to {last}": not last < own.vocab_size <= encoder.config.vocab_size,
        "its schedule shifts with the picture's size": bool(scheduler.config.get("use_dynamic_shifting")),
    }
    for told, wrong in faults.items():
        if wrong:
            raise EnvironmentProblem(f"{NAME}: {folder}: {told}: the parts are not D-DiT's")


def _put_mask(row: Tensor, path: Path) -> None:
    """Overwrite T5's embedding of the mask by the one of a file; raise UsageError where it is that already."""
    import torch

    found = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(found, torch.Tensor) or found.numel() != row.numel():
        raise EnvironmentProblem(f"{NAME}: {path} holds no embedding of {row.numel()} numbers")
    given = found.flatten().to(row.dtype)
    if torch.equal(given, row):
        raise UsageError(f"{NAME}: T5 has the mask of {path.name} already: leave mask_embedding out")
    with torch.no_grad():
        row.copy_(given)
