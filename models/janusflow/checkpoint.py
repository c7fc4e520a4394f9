"""A JanusFlow model folder and its VAE's: what they hold, and their weights streamed into the network.

Nothing in a folder is ever executed; loading is as strict as Janus's (`models/janus/checkpoint.py`).
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...evals.assets import fetch as data
from ...evals.errors import EnvironmentProblem, JanusEvalError, UsageError
from ..janus import weights
from ..janus.checkpoint import ModelFolder, fill, fill_buffers, must_be_whole
from ..janus.convert import native_tensors, params, tower_config

if TYPE_CHECKING:
    import torch
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
    from torch import Tensor

    from .network import Flow

_PARTS = ("vision_und_enc_config", "vision_gen_enc_config", "vision_gen_dec_config")
_VAE_FILE = "diffusion_pytorch_model.safetensors"
_VAE_UNUSED = ("encoder.", "quant_conv.")
"""The half that makes latents of pictures: drawing needs it not."""
_VAE_RENAMES = tuple(
    (re.compile(rf"(\.attentions\.\d+)\.{old}\."), rf"\1.{new}.")
    for old, new in (("query", "to_q"), ("key", "to_k"), ("value", "to_v"), ("proj_attn", "to_out.0"))
)
"""Attention's names before diffusers 0.18."""


@dataclass(frozen=True)
class Checkpoint(ModelFolder):
    """A JanusFlow in its original format."""

    @cached_property
    def config(self) -> Mapping[str, Any]:
        table = weights.read_table(self.folder / "config.json")
        if not all(isinstance(table.get(part), dict) for part in (*_PARTS, "language_config")):
            kind = table.get("model_type")
            raise UsageError(
                f"{self.folder / 'config.json'} describes a {kind!r} model without the parts of a JanusFlow; "
                "this adapter takes JanusFlow models"
            )
        return table

    def network(self, *, device: torch.device, dtype: torch.dtype) -> Flow:
        """Return the modules with their weights on `device` as `dtype`, filled one tensor at a time.

        Raises EnvironmentProblem for a damaged or missing file, a missing, unknown or repeated tensor, or one of
        another shape.
        """
        import torch

        with _one_line(self.folder / "config.json"), torch.device("meta"):
            network = self._empty()
        must_be_whole(network, fill(network, self._tensors(), self.folder, device=device, dtype=dtype), self.folder)
        core: Any = network.model
        fill_buffers(network, core.vision_model, core.language_model, device)
        return network.eval().requires_grad_(False)

    def _empty(self) -> Flow:
        from transformers import JanusVisionConfig, LlamaConfig

        from .network import Flow
        from .uvit import Decoder, Encoder

        where = str(self.folder / "config.json")
        seen, encoder, decoder = (params(self.config, part, where) for part in _PARTS)
        told = {key: value for key, value in self.config["language_config"].items() if key not in _NOT_OURS}
        language = LlamaConfig.from_dict(told | {"tie_word_embeddings": False})
        if seen.get("pixel_mean") is not None:
            raise EnvironmentProblem(f"{where}: the vision tower asks for pixel_mean, which JanusFlow never used")
        tower, select = tower_config(seen, where), int(seen.get("select_layer", -2))  # the official default
        layers = tower["num_hidden_layers"]
        tower["num_hidden_layers"] = min(layers, layers + select + 1 if select <= 0 else select)
        vision = JanusVisionConfig.from_dict(tower | {"projection_dim": language.hidden_size})
        for part, table in zip(_PARTS[1:], (encoder, decoder), strict=True):
            if table.get("hidden_size", 2048) != language.hidden_size:
                raise EnvironmentProblem(f"{where}: {part} has another hidden_size than the language model")
            if not all(0 <= table.get(key, 1) <= _MOST for key in ("layers_in_middle", "upsamples")):
                raise EnvironmentProblem(f"{where}: {part} has more layers than any JanusFlow")
        return Flow(language, vision, _known(Encoder, encoder), _known(Decoder, decoder))

    def _tensors(self) -> Iterator[tuple[str, Tensor]]:
        for shard in self.shards:
            for name, tensor in weights.tensors(shard):
                yield from native_tensors(name.replace("vision_und_enc_model.", "vision_model.", 1), tensor)


_NOT_OURS = ("torch_dtype", "dtype", "_attn_implementation", "_attn_implementation_internal")
_MOST = 64


def _known(module: type, table: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a module takes of a table; dropout and the like move nothing."""
    return {key: value for key, value in table.items() if key in inspect.signature(module).parameters}


@dataclass(frozen=True)
class Vae:
    """A local folder of SDXL's VAE in diffusers' format.

    Raises UsageError where there is none.
    """

    folder: Path

    def __post_init__(self) -> None:
        for name in ("config.json", _VAE_FILE):
            if not (self.folder / name).is_file():
                raise UsageError(f"no VAE at {self.folder}: give vae=FOLDER with config.json and {_VAE_FILE}")

    @property
    def file(self) -> Path:
        """Return the file of weights."""
        return self.folder / _VAE_FILE

    @cached_property
    def fingerprint(self) -> str:
        """Return 16 hex digits that tell the weights; other files beside them do not count."""
        return data.fingerprint(self.file)

    @cached_property
    def scaling(self) -> float:
        """Return what latents are divided by before they are decoded."""
        found = weights.read_table(self.folder / "config.json").get("scaling_factor", 0.18215)  # diffusers' default
        if type(found) not in (int, float) or not 0 < found < float("inf"):
            raise EnvironmentProblem(f"{self.folder / 'config.json'}: scaling_factor is {found!r:.80}: fetch it again")
        return float(found)

    def network(self, *, device: torch.device, dtype: torch.dtype) -> AutoencoderKL:
        """Return the decoding half on `device` as `dtype`, loaded as strictly as the model."""
        import torch
        from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

        with _one_line(self.folder / "config.json"), torch.device("meta"):
            table = weights.read_table(self.folder / "config.json")
            vae: Any = AutoencoderKL.from_config(table | {"scaling_factor": self.scaling})
            del vae.encoder
            if hasattr(vae, "quant_conv"):
                del vae.quant_conv
        must_be_whole(vae, fill(vae, self._tensors(), self.folder, device=device, dtype=dtype), self.folder)
        return vae.eval().requires_grad_(False)

    def _tensors(self) -> Iterator[tuple[str, Tensor]]:
        for name, tensor in weights.tensors(self.file):
            if not name.startswith(_VAE_UNUSED):
                for pattern, new in _VAE_RENAMES:
                    name = pattern.sub(new, name)
                yield name, tensor


@contextmanager
def _one_line(where: Path) -> Generator[None]:
    """Tell in one line why a configuration makes no network: torch and the libraries raise a dozen types."""
    try:
        yield
    except JanusEvalError:
        raise
    except Exception as error:
        raise EnvironmentProblem(f"{where} describes no network that can be made: {weights.line(error)}") from error
