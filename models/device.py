"""Where a model's weights go, what its memory holds, and how a checkpoint's faults are told."""

from __future__ import annotations

import gc
import importlib.util
import json
import math
import pickle  # its error alone is used: torch's weights_only reader raises it
import sys
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from ..evals.errors import EnvironmentProblem, JanusEvalError, OutOfMemory, UsageError
from .packages import lacking, problem

if TYPE_CHECKING:
    import torch

Dtype = Literal["auto", "float32", "bfloat16", "float16"]


def needed(*packages: str) -> None:
    """Raise ModuleNotFoundError where torch or one of `packages` is not installed; to import one takes seconds."""
    for name in ("torch", *packages):
        if importlib.util.find_spec(name) is None:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def place(device: str, dtype: Dtype) -> tuple[torch.device, torch.dtype]:
    """Return torch's device and type; `auto` is the first GPU in bfloat16, else the CPU in float32.

    Raises UsageError for a device that torch does not know or does not see.
    """
    import torch

    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        found = torch.device(device)
    except RuntimeError as error:
        raise UsageError(f"device={device!r} is none that torch knows: use auto, cpu, cuda or cuda:N") from error
    if found.type == "cuda" and (found.index or 0) >= torch.cuda.device_count():
        raise UsageError(f"device={device!r}: torch sees {torch.cuda.device_count()} CUDA devices; use cpu or auto")
    if dtype == "auto":
        dtype = "bfloat16" if found.type == "cuda" else "float32"
    return found, getattr(torch, dtype)


def exact(device: str, dtype: Dtype) -> tuple[torch.device, torch.dtype]:
    """Return device and type as `place` does; float32 means float32 from here on.

    TF32 rounds products to ten bits, and a GPU's convolutions use it by default.
    """
    import torch

    found, kind = place(device, dtype)
    if found.type == "cuda" and kind == torch.float32:
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    return found, kind


def of_type(dtype: torch.dtype, apart: Mapping[str, torch.dtype] = MappingProxyType({})) -> dict[str, Any]:
    """Return the type as diffusers' `from_pretrained` is told it: renamed within the range of supported versions.

    `apart` names components with a type of their own.
    """
    from diffusers.utils import deprecation_utils

    name = "dtype" if hasattr(deprecation_utils, "_resolve_dtype") else "torch_dtype"
    return {name: {**apart, "default": dtype} if apart else dtype}


def bytes_of(files: Iterable[Path], dtype: torch.dtype) -> int:
    """Return what weight files take once they are loaded in a type; a file that does not tell its shapes, its size."""
    return sum(_elements(path) * dtype.itemsize or path.stat().st_size for path in files)


def _elements(path: Path) -> int:
    """Return how many numbers a safetensors file holds, by its header; 0 of any other file."""
    if path.suffix != ".safetensors":
        return 0
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            table = json.loads(file.read(min(length, path.stat().st_size)))
        return sum(math.prod(each["shape"]) for name, each in table.items() if name != "__metadata__")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return 0  # damaged: the loader says so


@contextmanager
def memory(device: torch.device, what: str) -> Generator[None]:
    """Turn torch's out-of-memory errors into the core's, with the cache given back."""
    import torch

    try:
        yield
    except RuntimeError as error:
        told = str(error)
        if not isinstance(error, torch.cuda.OutOfMemoryError) and "can't allocate memory" not in told:
            raise
        error.__traceback__ = None  # its frames hold the batch's tensors
        problem = OutOfMemory(f"{device} does not hold {what}: {told.strip().splitlines()[0]}")
    else:
        return
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
    raise problem


_FAULTS = (OSError, ValueError, KeyError, TypeError, AttributeError, NameError, RuntimeError)
"""What libraries raise for a folder that is not as it should be."""


@contextmanager
def loading(name: str, folder: Path) -> Generator[None]:
    """Tell in one line what a library found wrong in a model folder, and quiet its own bars and hints."""
    from safetensors import SafetensorError

    try:
        with _quiet("transformers"), _quiet("diffusers"):
            yield
    except JanusEvalError:
        raise
    except ImportError as error:
        raise problem(name, error) from error
    except pickle.UnpicklingError as error:
        raise EnvironmentProblem(
            f"{name}: a weights file in {folder} is pickled and holds more than tensors, or is damaged; "
            "it is not opened: take safetensors"
        ) from error
    except (*_FAULTS, SafetensorError) as error:
        told = " ".join(str(error).split())[:300]
        if "torchvision" in told and (line := lacking(["torchvision"])):
            raise EnvironmentProblem(f"{name}: {line}") from error
        if "trust_remote_code" in told:
            raise UsageError(f"{name} needs code from its repository, which is never run here") from error
        raise EnvironmentProblem(
            f"{name}: the model folder {folder} cannot be loaded ({type(error).__name__}: {told}): fetch it again"
        ) from error


@contextmanager
def _quiet(library: str) -> Generator[None]:
    """Keep a library's progress bars and hints off the terminal; its errors still show."""
    module = sys.modules.get(library)
    if module is None:
        yield
        return
    log = module.utils.logging
    level, bars = log.get_verbosity(), log.is_progress_bar_enabled()
    log.set_verbosity_error()
    log.disable_progress_bar()
    try:
        yield
    finally:
        log.set_verbosity(level)
        if bars:
            log.enable_progress_bar()


def at_least(least: int, **counts: int | None) -> None:
    """Raise UsageError where a count that was given is below `least`."""
    for name, value in counts.items():
        if value is not None and value < least:
            raise UsageError(f"{name}={value}: expected a whole number from {least} up")
