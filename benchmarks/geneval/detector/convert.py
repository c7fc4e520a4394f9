"""mmdet's Mask2Former checkpoint to a safetensors folder that transformers loads, strictly.

python -m janus_eval.benchmarks.geneval.detector.convert CHECKPOINT FOLDER
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ....evals.assets.fetch import sha256
from ....evals.errors import EnvironmentProblem, JanusEvalError, UsageError
from ..prompts import CLASSES
from .architecture import Architecture, Naming, Operation, architecture, naming, plan, to_3x
from .checkpoint import Checkpoint, read
from .folder import SETTINGS_FILE, check_classes, load, response
from .pixels import Settings

if TYPE_CHECKING:
    from torch import Tensor

_UNUSED_SOURCES = re.compile(r"\.relative_position_index$|^panoptic_head\.loss_cls\.class_weight$")


def converted(checkpoint: Checkpoint) -> tuple[Architecture, Naming, dict[str, Tensor]]:
    """Return a checkpoint's network under transformers' names.

    Raises UsageError that names every missing or unknown tensor, and for another class list.
    """
    path = checkpoint.path
    which = naming(list(checkpoint.tensors), path)
    tensors = {to_3x(key): value for key, value in checkpoint.tensors.items() if not _UNUSED_SOURCES.search(key)}
    size = architecture(tensors, path)
    steps = plan(size)
    for what, names in (("missing", steps.keys() - tensors.keys()), ("unknown", tensors.keys() - steps.keys())):
        if names:
            listed = ", ".join(sorted(names)[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
            raise UsageError(f"{path} ({which}): {what} {'tensors' if len(names) > 1 else 'tensor'}: {listed}")
    if checkpoint.classes is not None:
        check_classes(checkpoint.classes, str(path))
    result: dict[str, Tensor] = {}
    for step in steps.values():
        tensor = tensors[step.source]
        if tuple(tensor.shape) != step.shape:
            raise UsageError(f"{path}: {step.source} has the shape {tuple(tensor.shape)}, expected {step.shape}")
        result.update(zip(step.targets, _apply(step.operation, tensor), strict=True))
    return size, which, result


def _apply(operation: Operation, tensor: Tensor) -> tuple[Tensor, ...]:
    if operation == "thirds":
        return tuple(part.contiguous() for part in tensor.chunk(3))
    if operation == "merge":
        return (_merged(tensor),)
    return (tensor.contiguous(),)


def _merged(tensor: Tensor) -> Tensor:
    """Return a patch-merging tensor with its last axis reordered from 4c+p (unfold) to block by block.

    mmdet numbers the four neighbours (row, column) as p = (0,0) (0,1) (1,0) (1,1); transformers
    concatenates the blocks (0,0) (1,0) (0,1) (1,1).
    """
    blocks = tensor.reshape(*tensor.shape[:-1], -1, 4)[..., [0, 2, 1, 3]]
    return blocks.transpose(-1, -2).reshape(tensor.shape).contiguous()


def convert(path: Path, folder: Path, settings: Settings | None = None) -> Naming:
    """Write a checkpoint as a folder (config.json, model.safetensors, detector.json); return its naming.

    The folder appears whole or not at all, loaded once, strictly, to record what its network answers
    to a known input. Raises UsageError and EnvironmentProblem as `converted` and `read` do.
    """
    size, which, tensors = converted(read(path))
    source = {"file": path.name, "sha256": sha256(path), "naming": which}
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        try:
            write(scratch, size, tensors, settings or Settings(), source)
            _publish(scratch, folder)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    except OSError as error:
        text = error.strerror or error
        raise EnvironmentProblem(f"cannot write the converted detector to {folder}: {text}") from error
    return which


def write(
    folder: Path, size: Architecture, tensors: Mapping[str, Tensor], settings: Settings, source: Mapping[str, Any]
) -> None:
    """Fill an empty folder with a converted network. Raises as `load` does."""
    from safetensors.torch import save_file

    weights = folder / "model.safetensors"
    save_file(dict(tensors), weights, metadata={"format": "pt"})
    _write(folder / "config.json", size.config(CLASSES))
    answered = response(load(str(folder)))
    digests = {"weights_sha256": sha256(weights), "config_sha256": sha256(folder / "config.json")}
    _write(folder / SETTINGS_FILE, {**asdict(settings), "source": dict(source), **digests, "response": answered})
    folder.chmod(0o755)


def _publish(scratch: Path, folder: Path) -> None:
    if folder.exists():
        if not (folder / SETTINGS_FILE).is_file() and any(folder.iterdir()):
            raise UsageError(f"{folder} exists and is no converted detector: name another folder")
        shutil.rmtree(folder)
    scratch.rename(folder)


def _write(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="convert", description=__doc__)
    parser.add_argument("checkpoint", type=Path, help="mmdet's .pth or .safetensors, 2.x or 3.x names")
    parser.add_argument("folder", type=Path, help="the folder to write")
    parser.add_argument("--scale", type=int, nargs=2, metavar=("LONG", "SHORT"), default=Settings.scale)
    parser.add_argument("--max-per-image", type=int, default=Settings.max_per_image)
    given = parser.parse_args(arguments)
    settings = Settings(scale=(given.scale[0], given.scale[1]), max_per_image=given.max_per_image)
    try:
        which = convert(given.checkpoint, given.folder, settings)
    except JanusEvalError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print(f"{given.checkpoint} ({which} names) -> {given.folder}: every tensor placed, none left over")
    return 0


if __name__ == "__main__":
    sys.exit(main())
