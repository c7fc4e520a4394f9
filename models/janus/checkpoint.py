"""A Janus model folder: which format it is, what it weighs, and its weights streamed into the network.

Two formats are read, told apart by config.json: transformers' native one and the original of
deepseek-ai, converted tensor by tensor. Nothing in a folder is ever executed (`weights.py`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...evals.assets import fetch as data
from ...evals.errors import EnvironmentProblem, UsageError
from . import weights
from .convert import is_original, native_config, native_tensors

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn
    from transformers import JanusConfig, JanusForConditionalGeneration


@dataclass(frozen=True)
class ModelFolder(ABC):
    """A local folder of a model of this family. Cheap to make: reads config.json and the list of weight files alone.

    Raises UsageError where the folder is none of a model, EnvironmentProblem where it is damaged.
    """

    folder: Path

    def __post_init__(self) -> None:
        if not self.folder.is_dir():
            raise UsageError(f"no model folder at {self.folder}: give path=FOLDER with config.json and weights")
        _ = self.shards, self.config

    @cached_property
    @abstractmethod
    def config(self) -> Mapping[str, Any]:
        """Return config.json. Raises UsageError where it describes another model."""

    @cached_property
    def shards(self) -> tuple[Path, ...]:
        """Return the weight files, all of which exist."""
        return weights.files(self.folder)

    @cached_property
    def fingerprint(self) -> str:
        """Return 16 hex digits that tell folders apart by content; what has not changed is read once."""
        return data.fingerprint(self.folder)


@dataclass(frozen=True)
class Checkpoint(ModelFolder):
    """A Janus or Janus-Pro, in the original format or in transformers'."""

    @cached_property
    def config(self) -> Mapping[str, Any]:
        table = weights.read_table(self.folder / "config.json")
        if not is_original(table) and table.get("model_type") != "janus":
            kind = table.get("model_type")
            raise UsageError(
                f"{self.folder / 'config.json'} describes a {kind!r} model; this adapter takes Janus models"
            )
        return table

    @property
    def original(self) -> bool:
        """Return whether the folder is in the original deepseek-ai format."""
        return is_original(self.config)

    def network_config(self, image_token: int) -> JanusConfig:
        """Return the configuration for transformers' classes; embeddings and head are never tied."""
        from transformers import JanusConfig

        where = str(self.folder / "config.json")
        table = dict(self.config)
        if self.original:
            table = native_config(table, image_token=image_token, where=where)
        table["tie_word_embeddings"] = False
        for part in ("vision_config", "text_config", "vq_config"):
            if not isinstance(table.get(part), dict):
                raise EnvironmentProblem(f"{where} has no {part}: fetch it again")
        try:
            return JanusConfig.from_dict(table)
        except Exception as error:  # the validation of transformers raises several kinds
            raise EnvironmentProblem(
                f"{where} is no configuration that transformers takes: {weights.line(error)}"
            ) from error

    def network(self, image_token: int, *, device: torch.device, dtype: torch.dtype) -> JanusForConditionalGeneration:
        """Return the network with its weights on `device` as `dtype`, filled one tensor at a time.

        Peak host memory stays near one copy of the weights. Raises EnvironmentProblem for a damaged
        or missing file, a missing, unknown or repeated tensor, or one of another shape.
        """
        import torch
        from transformers import JanusForConditionalGeneration

        config = self.network_config(image_token)
        try:
            with torch.device("meta"):
                network = JanusForConditionalGeneration(config)
        except Exception as error:  # sizes that no network has: torch and transformers raise a dozen types
            where = self.folder / "config.json"
            raise EnvironmentProblem(f"{where} describes no network that can be made: {weights.line(error)}") from error
        missing = fill(network, self._native_tensors(), self.folder, device=device, dtype=dtype)
        if "lm_head.weight" in missing and self.config.get("tie_word_embeddings"):
            put(network, "lm_head.weight", network.get_parameter("model.language_model.embed_tokens.weight").data)
            missing.remove("lm_head.weight")
        must_be_whole(network, missing, self.folder)
        fill_buffers(network, network.model.vision_model, network.model.language_model, device)
        return network.eval().requires_grad_(False)

    def _native_tensors(self) -> Iterator[tuple[str, Tensor]]:
        for shard in self.shards:
            for name, tensor in weights.tensors(shard):
                yield from native_tensors(name, tensor) if self.original else ((name, tensor),)


def fill(
    network: nn.Module, tensors: Iterable[tuple[str, Tensor]], folder: Path, *, device: torch.device, dtype: torch.dtype
) -> list[str]:
    """Put a folder's tensors in the places of their names, one at a time; return the places that stay empty.

    Raises EnvironmentProblem for a tensor that is unknown, repeated, no floating point, or of another shape.
    """
    wanted = dict(network.named_parameters(remove_duplicate=False))
    filled: set[str] = set()
    for name, tensor in tensors:
        home = wanted.get(name)
        if home is None:
            raise EnvironmentProblem(f"{folder}: unknown tensor {name!r}; the weights are of another model")
        if name in filled:
            raise EnvironmentProblem(f"{folder}: tensor {name!r} comes twice")
        if tensor.shape != home.shape or not tensor.is_floating_point():
            raise EnvironmentProblem(
                f"{folder}: tensor {name!r} is {tuple(tensor.shape)} {tensor.dtype}, "
                f"config.json asks for {tuple(home.shape)}"
            )
        put(network, name, tensor.to(device=device, dtype=dtype, copy=True))
        filled.add(name)
    return sorted(set(wanted) - filled)


def must_be_whole(network: nn.Module, missing: Sequence[str], folder: Path) -> None:
    """Raise EnvironmentProblem where places of a network stayed empty."""
    if missing:
        total = len(dict(network.named_parameters(remove_duplicate=False)))
        raise EnvironmentProblem(
            f"{folder}: {len(missing)} of {total} tensors are missing, the first is {missing[0]!r}; "
            "fetch the whole folder"
        )


def put(network: nn.Module, name: str, value: Tensor) -> None:
    """Make a tensor the parameter of that name."""
    import torch

    owner, _, last = name.rpartition(".")
    network.get_submodule(owner).register_parameter(last, torch.nn.Parameter(value, requires_grad=False))


def fill_buffers(network: nn.Module, vision: Any, language: Any, device: torch.device) -> None:
    """Fill the buffers that no checkpoint holds. Every version has these two, under these names."""
    import torch

    embeddings = vision.embeddings
    places = torch.arange(embeddings.num_positions, device=device).expand((1, -1))
    embeddings.register_buffer("position_ids", places, persistent=False)
    with torch.device("cpu"):
        rotary = type(language.rotary_emb)(config=language.config)
    language.rotary_emb = rotary.to(device)
    empty = [name for name, each in network.named_buffers() if each.is_meta]
    if empty:
        raise EnvironmentProblem(
            f"this version of transformers has a buffer {empty[0]!r} that this loader does not know"
        )
