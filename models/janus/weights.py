"""The weight files of a model folder, and their tensors one at a time, as downloads and trainings leave them.

Read are safetensors and torch's own files (`weights_only`: nothing is ever executed), whole or in shards, with an
index or without. What a wrapper of training set before each name is taken off, a table under `state_dict` or the
like is opened, and buffers that a network computes itself are left out. Nothing else is guessed: loading is strict.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...evals.errors import EnvironmentProblem
from ..adapters import CONFIG, MERGE, must_be_alone

if TYPE_CHECKING:
    from torch import Tensor

_STEMS = ("model.safetensors", "pytorch_model.bin")
_SHARD = re.compile(r"(model|pytorch_model)-(\d{5})-of-(\d{5})\.(safetensors|bin)", re.ASCII)
_WITHIN = re.compile(r"\b(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")
"""Of torch.compile, of FSDP and of its checkpointing: at any place in a name."""
_WRAPPERS = re.compile(r"^(?:module\.|base_model\.model\.|_forward_module\.)+")
"""Of DistributedDataParallel and DeepSpeed, of PEFT, and of Fabric."""
_COMPUTED = re.compile(r"\.embeddings\.position_ids$|\.rotary_emb\.inv_freq$")
"""Buffers that older transformers wrote beside the weights; the network makes them anew."""
_TABLES = ("state_dict", "model_state_dict", "model", "module")
"""Under which a training's own checkpoint holds the weights (Lightning, plain torch, DeepSpeed)."""
_ADAPTER = re.compile(r"\.(?:lora_[A-Z]|lora_embedding_[A-Z]|lora_magnitude_vector|modules_to_save|base_layer)\b")


def files(folder: Path) -> tuple[Path, ...]:
    """Return the weight files: those of an index, else a single file, else all numbered shards. All of them exist.

    Raises EnvironmentProblem that says what is lacking or what the folder is in place of a model's.
    """
    for single in _STEMS:
        index = folder / f"{single}.index.json"
        if index.is_file():
            table = read_table(index).get("weight_map")
            if not isinstance(table, dict) or not all(isinstance(name, str) for name in table.values()):
                raise EnvironmentProblem(f"{index} has no weight_map: fetch it again")
            must_be_alone(folder)
            return tuple(_inside(folder, name) for name in sorted(set(table.values())))
        if (folder / single).is_file():
            must_be_alone(folder)
            return (folder / single,)
    return _shards(folder)


def _shards(folder: Path) -> tuple[Path, ...]:
    """Return the shards of a folder without an index, in order; loading them is as strict as with one."""
    found = [(match, path) for path in sorted(folder.iterdir()) if (match := _SHARD.fullmatch(path.name))]
    kinds = {(match[1], match[3], match[4]) for match, _ in found}
    if not found:
        raise EnvironmentProblem(_nothing(folder))
    must_be_alone(folder)
    if len(kinds) > 1:
        raise EnvironmentProblem(f"{folder} holds shards of several models ({found[0][1].name}, {found[-1][1].name})")
    count = int(found[0][0][3])
    missing = sorted(set(range(1, count + 1)) - {int(match[2]) for match, _ in found})
    if missing or len(found) != count:
        stem, suffix = found[0][0][1], found[0][0][4]
        lacking = f"{stem}-{missing[0]:05d}-of-{count:05d}.{suffix} is missing" if missing else "there are too many"
        raise EnvironmentProblem(f"{folder} has {len(found)} of {count} shards: {lacking}; fetch the whole folder")
    return tuple(path for _, path in found)


def _nothing(folder: Path) -> str:
    """Return what is said of a folder without weights."""
    if (folder / CONFIG).is_file():
        base = read_table(folder / CONFIG).get("base_model_name_or_path")
        of = f" for {base}" if isinstance(base, str) and base else ""
        return f"{folder} is a LoRA adapter{of}, no whole model: {MERGE}"
    if any(folder.glob("*.distcp")) or any(folder.glob("pytorch_model_fsdp*")):
        return f"{folder} is a distributed checkpoint of FSDP: merge it first (accelerate merge-weights)"
    if any(folder.glob("global_step*")) or (folder / "zero_to_fp32.py").is_file():
        return f"{folder} is a checkpoint of DeepSpeed: make pytorch_model.bin of it first (its own zero_to_fp32.py)"
    return f"{folder} has neither model.safetensors nor pytorch_model.bin (nor their index): fetch the weights"


def tensors(path: Path) -> Iterator[tuple[str, Tensor]]:
    """Yield a weight file's tensors under the names that the model gives them.

    Raises EnvironmentProblem for a file that is damaged, holds more than plain tensors, or is an adapter's.
    """
    for name, tensor in _safetensors(path) if path.suffix == ".safetensors" else _torch(path):
        if _ADAPTER.search(name):
            raise EnvironmentProblem(f"{path} holds a LoRA adapter ({name!r}): {MERGE}")
        plain = _WRAPPERS.sub("", _WITHIN.sub("", name))
        if not _COMPUTED.search(plain):
            yield plain, tensor


def _safetensors(path: Path) -> Iterator[tuple[str, Tensor]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="pt") as shard:
            for name in shard.keys():  # noqa: SIM118 - safe_open is no mapping
                yield name, shard.get_tensor(name)
    except SafetensorError as error:
        raise _damaged(path, error) from error


def _torch(path: Path) -> Iterator[tuple[str, Tensor]]:
    import pickle

    import torch

    try:
        try:
            table = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        except RuntimeError as error:
            if "mmap" not in str(error):
                raise
            table = torch.load(path, map_location="cpu", weights_only=True)  # the format before torch 1.6
    except pickle.UnpicklingError as error:
        raise EnvironmentProblem(
            f"{path} holds more than plain tensors, or is damaged: {line(error)}; it was not executed"
        ) from error
    except Exception as error:  # torch raises a dozen types for a damaged file
        raise _damaged(path, error) from error
    weights = _weights(path, table)
    if weights is None:
        raise EnvironmentProblem(f"{path} is no table of tensors: fetch it again")
    for name in list(weights):
        yield name, weights.pop(name)


def _weights(path: Path, table: Any) -> dict[str, Tensor] | None:
    """Return the table of tensors, or the one that a training's checkpoint holds; None where there is none.

    Raises EnvironmentProblem where it holds a second set, such as their moving average.
    """
    import torch

    if not isinstance(table, dict):
        return None

    def holds(value: Any) -> bool:
        return bool(value) and all(
            isinstance(key, str) and isinstance(each, torch.Tensor) for key, each in value.items()
        )

    if holds(table):
        return dict(table)
    sets = {name: each for name, each in table.items() if isinstance(each, Mapping) and holds(each)}
    known = [name for name in _TABLES if name in sets]
    if not known:
        return None
    others = [name for name, each in sets.items() if name != known[0] and each.keys() == sets[known[0]].keys()]
    if others:
        both = f"{known[0]!r} and {others[0]!r}"
        raise EnvironmentProblem(f"{path} holds two sets of weights, {both}: which is meant? Save one of them alone")
    return dict(sets[known[0]])


def _inside(folder: Path, name: str) -> Path:
    path = folder / name
    if Path(name).name != name:
        raise EnvironmentProblem(f"{folder}: the index names {name!r}, which is no plain file name")
    if not path.is_file():
        raise EnvironmentProblem(f"{path} is missing: the index names it; fetch the whole folder")
    return path


def read_table(path: Path) -> dict[str, Any]:
    """Return the object that a file holds. Raises EnvironmentProblem where there is none."""
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise EnvironmentProblem(f"{path} is missing: fetch the whole model folder") from None
    except (ValueError, RecursionError) as error:
        raise EnvironmentProblem(f"{path} is no JSON ({line(error)}): fetch it again") from error
    if not isinstance(table, dict):
        raise EnvironmentProblem(f"{path} is no JSON object: fetch it again")
    return table


def _damaged(path: Path, error: Exception) -> EnvironmentProblem:
    size = path.stat().st_size
    return EnvironmentProblem(f"{path} is damaged or cut short ({size} bytes): {line(error)}; fetch it again")


def line(error: Exception) -> str:
    """Return the first line of what an error says."""
    return str(error).strip().partition("\n")[0]
