"""A detector checkpoint on disk, read without running anything that is pickled in it."""

from __future__ import annotations

import pickle
import types
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ....evals.assets.fetch import sha256
from ....evals.errors import EnvironmentProblem, UsageError

if TYPE_CHECKING:
    from torch import Tensor

KNOWN_DIGESTS = {
    "743b7d99": "mmdet 2.x, the file that GenEval uses",
    "c9d0c4f2": "mmdet 3.x, the same weights under other names",
}
"""The published Swin-S checkpoints, by the first eight hex digits of their SHA-256."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The tensors of a checkpoint under their own names, and the class list that it carries, if any."""

    path: Path
    tensors: Mapping[str, Tensor]
    classes: tuple[str, ...] | None


def read(path: Path) -> Checkpoint:
    """Return the tensors of a .pth (zip or legacy format) or .safetensors file, on the CPU.

    A .pth is read with weights_only; where its meta block holds objects of other libraries, those
    become inert stand-ins and the rest is read. Raises EnvironmentProblem for an unreadable or
    truncated file, UsageError for a file that holds no tensors.
    """
    _check_name(path)
    try:
        content = _safetensors(path) if path.suffix == ".safetensors" else _pickled(path)
    except OSError as error:
        raise EnvironmentProblem(f"detector checkpoint {path}: {error.strerror or error}") from error
    except Exception as error:  # torch and safetensors raise a dozen types for a damaged file
        text = " ".join(str(error).split())[:200] or type(error).__name__
        raise EnvironmentProblem(
            f"detector checkpoint {path} cannot be read ({text}): truncated or not a checkpoint? Fetch it again"
        ) from error
    return _checkpoint(path, content)


def _check_name(path: Path) -> None:
    """Refuse a file whose name carries a known digest while its bytes have none of the known ones."""
    claimed = next((each for each in KNOWN_DIGESTS if each in path.name), None)
    if claimed is None or not path.is_file():
        return
    found = sha256(path)[:8]
    # Either known digest will do: until July 2024 GenEval's script stored the 3.x file under the 2.x name.
    if found not in KNOWN_DIGESTS:
        raise EnvironmentProblem(
            f"detector checkpoint {path}: its name says that its SHA-256 begins with {claimed}, it begins with "
            f"{found}: truncated or altered. Fetch it again, or rename it if it is meant to differ"
        )


def _checkpoint(path: Path, content: object) -> Checkpoint:
    import torch

    found = content
    if isinstance(found, Mapping) and isinstance(found.get("state_dict"), Mapping):
        found = found["state_dict"]
    items = dict(found) if isinstance(found, Mapping) else {}
    tensors = {
        str(key).removeprefix("module."): value.detach() for key, value in items.items() if torch.is_tensor(value)
    }
    if not tensors or len(tensors) < len(items):
        strange = next((str(key) for key, value in items.items() if not torch.is_tensor(value)), None)
        what = f"its entry {strange!r} is no tensor" if strange else "no tensors were found"
        raise UsageError(f"detector checkpoint {path}: {what}; a state dict, or {{meta, state_dict}}, is expected")
    return Checkpoint(path, tensors, _classes(content))


def _classes(content: object) -> tuple[str, ...] | None:
    """Return the class list of the meta block: meta.CLASSES (2.x) or meta.dataset_meta.classes (3.x)."""
    meta = content.get("meta") if isinstance(content, Mapping) else None
    if not isinstance(meta, Mapping):
        return None
    inner = meta.get("dataset_meta")
    found: object = meta.get("CLASSES")
    if found is None and isinstance(inner, Mapping):
        found = inner.get("classes", inner.get("CLASSES"))
    if isinstance(found, (tuple, list)) and all(isinstance(each, str) for each in found):
        return tuple(found)
    return None


def _safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    return load_file(path)


def _pickled(path: Path) -> object:
    import torch

    with path.open("rb") as file:
        start = file.read(4)
    if start != b"PK\x03\x04" and start[:1] != b"\x80":  # torch would go on to unpack a tar archive
        raise ValueError("neither a zip nor a pickle")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        return torch.load(path, map_location="cpu", weights_only=False, pickle_module=_inert_module())


class _StandIn:
    """What a pickled object of an unknown type becomes: it takes everything and does nothing."""

    def __new__(cls, *_args: Any, **_options: Any) -> _StandIn:
        return object.__new__(cls)

    def __init__(self, *_args: Any, **_options: Any) -> None: ...
    def __setstate__(self, _state: Any) -> None: ...
    def __setitem__(self, _key: Any, _value: Any) -> None: ...
    def append(self, _item: Any) -> None: ...
    def extend(self, _items: Any) -> None: ...
    def add(self, _item: Any) -> None: ...


class _InertUnpickler(pickle.Unpickler):
    """Builds tensors and plain containers; every other global is a stand-in, so that no pickled code runs."""

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        import collections
        import importlib

        if (module_name, global_name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if module_name == "torch._utils" and global_name in ("_rebuild_tensor_v2", "_rebuild_parameter"):
            return getattr(importlib.import_module("torch._utils"), global_name)
        return _StandIn


def _inert_load(file: Any, **options: Any) -> Any:
    return _InertUnpickler(file, **options).load()


def _inert_module() -> types.ModuleType:
    """Return what torch.load takes for the pickle module."""
    module = types.ModuleType("inert_pickle")
    module.__dict__.update(Unpickler=_InertUnpickler, load=_inert_load)
    return module
