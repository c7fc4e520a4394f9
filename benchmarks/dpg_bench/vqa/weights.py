"""mPLUG's model folder: config.yaml, config_bert.json, vocab.txt and the weights, loaded strictly."""

from __future__ import annotations

import json
import re
import shutil
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from ....evals.errors import EnvironmentProblem, UsageError
from .sizes import Sizes
from .tokens import Tokens

if TYPE_CHECKING:
    import torch

    from .mplug import MPlug

CONFIGS = ("config.yaml", "config_bert.json", "vocab.txt")
WEIGHTS = ("model.safetensors", "pytorch_model.bin")

_UNUSED = re.compile(
    r"(visual_encoder|visn_fc|visn_layer_norm|text_encoder|fusion_encoder|text_decoder)_m\."
    r"|visual_encoder\.(visual\.proj|positional_embedding|text_projection|logit_scale)$"
    r"|visual_encoder\.(transformer|token_embedding|ln_final)\."
    r"|.*\.position_ids$"
)
"""What the published file holds for training only: momentum copies, CLIP's text tower, constant buffers."""


def load(folder: Path, device: str | torch.device = "cpu", dtype: torch.dtype | None = None) -> tuple[MPlug, Tokens]:
    """Return the network in evaluation mode and its tokenizer.

    Only the tensors in use are read into memory. Raises UsageError for a folder that is none and
    EnvironmentProblem for a missing file or setting, a missing, unknown or misshapen tensor, and a
    file that holds more than tensors.
    """
    import torch

    from .mplug import MPlug

    state = read_state(folder)
    sizes = read_sizes(folder, state)
    with torch.device("meta"):
        network = MPlug(sizes)
    used = select(state, network.state_dict(), sizes, folder)
    del state
    moved = {name: each.to(device=device, dtype=dtype or torch.float32) for name, each in used.items()}
    network.load_state_dict(moved, assign=True)
    tokens = Tokens.read(folder / "vocab.txt")
    if len(tokens.words) > sizes.words:
        raise EnvironmentProblem(f"{folder}: vocab.txt has {len(tokens.words)} words, the network {sizes.words}")
    return network.eval().requires_grad_(False), tokens


def read_state(folder: Path) -> dict[str, torch.Tensor]:
    """Return all tensors of a model folder under their bare names, mapped from disk, not yet read."""
    if not folder.is_dir():
        raise UsageError(
            f"--vqa {folder}: no such folder; expected an mPLUG model folder, official, hf:ID or openai:ID"
        )
    missing = [each for each in CONFIGS if not (folder / each).is_file()]
    path = next((folder / each for each in WEIGHTS if (folder / each).is_file()), None)
    if missing or path is None:
        raise EnvironmentProblem(
            f"{folder} has no {missing[0] if missing else ' or '.join(WEIGHTS)}; "
            f"an mPLUG model folder holds {', '.join(CONFIGS)} and {' or '.join(WEIGHTS)}"
        )
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    state: Any = read_pickle(path)
    for key in ("model", "module"):
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
    found = {str(name).replace("model.", ""): each for name, each in dict(state).items()}
    return {name: each for name, each in found.items() if hasattr(each, "dtype")}


def _read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise EnvironmentProblem(f"{path} cannot be read: {error}") from error


def read_pickle(path: Path) -> Any:
    """Return what a checkpoint of plain tensors holds, mapped from disk. Raises EnvironmentProblem for another file."""
    import torch

    try:
        try:
            return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        except RuntimeError as error:
            if "mmap can only be used" not in str(error):
                raise
            with warnings.catch_warnings():
                # A damaged or foreign pickle makes torch wonder about its protocol before it refuses it.
                warnings.simplefilter("ignore", UserWarning)
                return torch.load(path, map_location="cpu", weights_only=True)  # torch's format before 1.6
    except Exception as error:  # torch raises a dozen types for a damaged file
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise EnvironmentProblem(f"{path} cannot be read as plain tensors: {first}; fetch it again") from error


def read_sizes(folder: Path, state: Mapping[str, torch.Tensor]) -> Sizes:
    """Return the network's sizes: the vision tower's from its tensors, all others from the two config files."""
    outer, bert = _read_yaml(folder / "config.yaml"), _read_json(folder / "config_bert.json")
    kernel = state.get("visual_encoder.visual.conv1.weight")
    if kernel is None or kernel.dim() != 4:
        raise EnvironmentProblem(f"{folder}: the weights have no visual_encoder.visual.conv1.weight: not mPLUG's")
    block = re.compile(r"visual_encoder\.visual\.transformer\.resblocks\.(\d+)\.ln_1\.weight")
    blocks = [int(match[1]) for match in map(block.fullmatch, state) if match]

    def number(table: Mapping[str, Any], key: str, default: float | None = None) -> Any:
        value, parts = table.get(key, default), isinstance(default, float)
        if type(value) not in (int, float) or not (0 < value < 1 if parts else type(value) is int and 0 < value < 1e6):
            name = "config.yaml" if table is outer else "config_bert.json"
            wanted = "a number between 0 and 1" if parts else "a whole number from 1 to 999,999"
            raise EnvironmentProblem(f"{folder / name}: {key} is {value!r:.80}, expected {wanted}")
        return value

    sizes = Sizes(
        image_size=number(outer, "image_res"),
        patch=kernel.shape[-1],
        vision_width=kernel.shape[0],
        vision_layers=max(blocks, default=-1) + 1,
        width=number(bert, "hidden_size"),
        heads=number(bert, "num_attention_heads"),
        inner=number(bert, "intermediate_size"),
        words=number(bert, "vocab_size"),
        positions=number(bert, "max_position_embeddings"),
        kinds=number(bert, "type_vocab_size"),
        eps=number(bert, "layer_norm_eps", 1e-12),
        text_layers=number(bert, "text_encoder_layers"),
        fusion_list=number(bert, "num_hidden_layers"),
        fusion_layers=number(bert, "fusion_layers"),
        decoder_layers=number(bert, "text_decode_layers"),
        stride=number(bert, "stride_layer"),
        memory_width=number(bert, "encoder_width", number(bert, "hidden_size")),
        # What config.yaml leaves out is MPlugConfig's default in modelscope 1.15.0.
        min_length=number(outer, "min_length", 1),
        max_length=number(outer, "max_length", 10),
        beams=number(outer, "beam_size", 5),
    )
    if sizes.fusion_layers > sizes.fusion_list or sizes.width % sizes.heads:
        raise EnvironmentProblem(f"{folder / 'config_bert.json'}: stride_layer, fusion_layers or heads cannot be meant")
    if bert.get("hidden_act", "gelu") != "gelu":
        raise EnvironmentProblem(f"{folder / 'config_bert.json'}: hidden_act {bert['hidden_act']!r}, expected 'gelu'")
    return sizes


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, ValueError, RecursionError, OSError) as error:
        raise EnvironmentProblem(f"{path} cannot be read: {' '.join(str(error).split())}") from error
    if not isinstance(found, dict):
        raise EnvironmentProblem(f"{path} holds no settings")
    return found


def _read_json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError, OSError) as error:
        raise EnvironmentProblem(f"{path} cannot be read: {error}") from error
    if not isinstance(found, dict):
        raise EnvironmentProblem(f"{path} holds no settings")
    return found


def select(
    state: Mapping[str, torch.Tensor], wanted: Mapping[str, torch.Tensor], sizes: Sizes, folder: Path
) -> dict[str, torch.Tensor]:
    """Return the tensors that the network takes; what it does not know must be known to be unused."""
    head = "text_decoder.cls.predictions"
    tied = {
        f"{head}.decoder.weight": "text_decoder.bert.embeddings.word_embeddings.weight",
        f"{head}.decoder.bias": f"{head}.bias",
    }
    whole = dict(state)
    for name, other in tied.items():  # some versions of transformers do not store the second name
        if name not in whole and other in whole:
            whole[name] = whole[other]
    missing = [name for name in wanted if name not in whole]
    unknown = [name for name in whole if name not in wanted and not _is_unused(name, sizes)]
    misshapen = [name for name in wanted if name in whole and whole[name].shape != wanted[name].shape]
    for what, names in (("lacks", missing), ("has unknown", unknown)):
        if names:
            some = ", ".join(sorted(names)[:3])
            raise EnvironmentProblem(f"{folder}: the weights {what} {len(names)} tensors: {some}{_more(names)}")
    if misshapen:
        name = misshapen[0]
        raise EnvironmentProblem(
            f"{folder}: {name} has shape {list(whole[name].shape)} where the config files ask for "
            f"{list(wanted[name].shape)} ({len(misshapen)} such tensors)"
        )
    return {name: whole[name] for name in wanted}


def _more(names: list[str]) -> str:
    return ", ..." if len(names) > 3 else ""


def _is_unused(name: str, sizes: Sizes) -> bool:
    if _UNUSED.match(name):
        return True
    layer = re.match(r"fusion_encoder\.encoder\.layer\.(\d+)\.(crossattention\.)?", name)
    if layer is None or int(layer[1]) >= sizes.fusion_list:
        return False
    step = int(layer[1]) - sizes.first_fusion
    return step < 0 or (sizes.joint(step) and layer[2] is not None)


def convert(folder: Path, target: Path) -> None:
    """Write a model folder whose weights are safetensors and hold only what is used (2.6 GB instead of 6)."""
    from safetensors.torch import save_file

    network, _ = load(folder)
    target.mkdir(parents=True, exist_ok=True)
    for name in CONFIGS:
        shutil.copyfile(folder / name, target / name)
    draft = target / (WEIGHTS[0] + ".part")
    save_file({name: each.clone().contiguous() for name, each in network.state_dict().items()}, draft)
    draft.replace(target / WEIGHTS[0])
