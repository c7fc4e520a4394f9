"""A converted detector's folder: its settings and its record, and the network in it, loaded strictly."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ....evals.assets.fetch import sha256
from ....evals.errors import EnvironmentProblem, UsageError
from ..prompts import CLASSES
from .attention import quicken
from .pixels import Settings

if TYPE_CHECKING:
    from torch import Tensor

SETTINGS_FILE = "detector.json"
RENAMED = {"mouse": "computer mouse", "remote": "tv remote", "keyboard": "computer keyboard"}
"""COCO's names of the three classes that GenEval calls otherwise."""
_ALIASES = {
    "motorbike": "motorcycle",
    "aeroplane": "airplane",
    "sofa": "couch",
    "pottedplant": "potted plant",
    "diningtable": "dining table",
    "tvmonitor": "tv",
}
"""Pascal VOC's spelling, which some label files of COCO models use."""
_UNUSED = re.compile(r"encoder\.(swin\.)?layernorm\.(weight|bias)$|^criterion\.empty_weight$|_position_index$")


def check_classes(names: Sequence[str], where: str) -> None:
    """Raise UsageError unless these are the 80 classes in order, under GenEval's or COCO's names."""
    found = [RENAMED.get(each, _ALIASES.get(each, each)) for each in names]
    if len(found) != len(CLASSES):
        raise UsageError(f"{where}: a list of {len(found)} classes; GenEval's detector has COCO's {len(CLASSES)}")
    for index, (have, want) in enumerate(zip(found, CLASSES, strict=True)):
        if have != want:
            raise UsageError(f"{where}: class {index} is {have!r}; GenEval's detector has {want!r} there: wrong list")


def _row(folder: Path) -> dict[str, Any] | None:
    path = folder / SETTINGS_FILE
    if not path.is_file():
        return None
    try:
        row = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}: {error}; convert the checkpoint again") from error
    if not isinstance(row, dict):
        raise UsageError(f"{path}: an object is expected; convert the checkpoint again")
    return row


def settings_of(folder: Path) -> Settings:
    """Return the test settings that lie in a folder (the official ones where none lie there)."""
    row = _row(folder) or {}
    names = {each.name for each in fields(Settings)}
    values: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in row.items() if key in names
    }
    found = Settings(**values)
    lengths = {"scale": 2, "mean": 3, "std": 3}
    for name, value in asdict(found).items():
        parts: tuple[Any, ...] = value if isinstance(value, tuple) else (value,)
        numbers = all(isinstance(each, int | float) and not isinstance(each, bool) for each in parts)
        if not numbers or len(parts) != lengths.get(name, 1) or (name not in ("mean", "pad_value") and min(parts) <= 0):
            raise UsageError(f"{folder / SETTINGS_FILE}: {name} is {value!r}; convert the checkpoint again")
    return found


def check_files(folder: Path) -> None:
    """Raise EnvironmentProblem where a converted folder's weights are not those that were written."""
    row = _row(folder)
    if row is None or "weights_sha256" not in row:
        return
    path = folder / "model.safetensors"
    if not path.is_file() or sha256(path) != row["weights_sha256"]:
        raise EnvironmentProblem(f"{path} is not the file that the conversion wrote: convert the checkpoint again")


def source_digest(folder: Path) -> str | None:
    """Return the SHA-256 of the checkpoint that a folder was converted from, where it can stand for the folder.

    It cannot where the conversion's settings are not the official ones, or config.json is not as it was
    written. Raises EnvironmentProblem as `check_files`.
    """
    row = _row(folder) or {}
    found = row.get("source", {}).get("sha256")
    if not found or "weights_sha256" not in row or settings_of(folder) != Settings():
        return None
    check_files(folder)
    written = row.get("config_sha256")  # None: a conversion of version 0.1.0
    return str(found) if written in (None, sha256(folder / "config.json")) else None


def recorded_response(folder: Path) -> list[float] | None:
    """Return what the network answered to the known input when it was converted."""
    return (_row(folder) or {}).get("response")


def response(model: Any) -> list[float]:
    """Return what a network answers to a known input: 81 numbers, each class's highest probability.

    The input is the same for every network: 128 x 160 pixels of smooth colour, fed without a resize.
    """
    import torch

    rows, columns = torch.meshgrid(torch.linspace(0, 1, 128), torch.linspace(0, 1, 160), indexing="ij")
    waves = [torch.sin(6.3 * (k * rows + (3 - k) * columns)) * (1.5 - 0.3 * k) for k in (1, 2, 3)]
    parameter = next(model.parameters())
    pixels = torch.stack(waves)[None].to(parameter.device, parameter.dtype)
    with torch.inference_mode():
        logits: Tensor = model(pixel_values=pixels).class_queries_logits
    return [round(value, 6) for value in logits[0].float().softmax(-1).amax(0).tolist()]


def load(folder: str) -> Any:
    """Return the transformers model of a folder, loaded strictly, in eval mode, float32, on the CPU.

    Raises UsageError that names a missing, unknown or misshapen tensor or a wrong class list, and
    EnvironmentProblem where the folder cannot be read.
    """
    from transformers import Mask2FormerForUniversalSegmentation

    model, found = quiet_load(Mask2FormerForUniversalSegmentation, folder, "detector")
    for what in ("missing", "unexpected", "mismatched"):
        keys = [str(each if isinstance(each, str) else each[0]) for each in found[f"{what}_keys"]]
        wrong = sorted(key for key in keys if not _UNUSED.search(key))
        if wrong:
            raise UsageError(f"detector {folder}: {what} tensors: {', '.join(wrong[:8])}; {len(wrong)} in all")
    labels = model.config.id2label
    check_classes([labels[index] for index in sorted(labels)], f"detector {folder} (id2label)")
    quicken(model)
    return model.eval().float()


def quiet_load(kind: Any, folder: str, what: str) -> tuple[Any, dict[str, Any]]:
    """Return a transformers model of a local safetensors folder and its loading report, printing nothing.

    Raises EnvironmentProblem where the folder cannot be read.
    """
    from transformers.utils import logging

    level, shown = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        # ignore_mismatched_sizes: so that a misshapen tensor comes back by its name.
        return kind.from_pretrained(
            folder, output_loading_info=True, local_files_only=True, use_safetensors=True, ignore_mismatched_sizes=True
        )
    except Exception as error:  # transformers, safetensors and json raise many types for a damaged folder
        text = " ".join(str(error).split())[:300]
        raise EnvironmentProblem(f"{what} {folder} cannot be loaded: {text}") from error
    finally:
        logging.set_verbosity(level)
        if shown:
            logging.enable_progress_bar()
