"""Memory foreseen: what is free where a model runs, and whether its weights fit, before anything is loaded."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path

from .errors import EnvironmentProblem
from .plugins import Eyes, Model
from .types import Json

_SLOW = "2 to 6 times as long as float32: this CPU has no instructions for bfloat16"
_NARROW = {"float32": "bfloat16", "float64": "float32"}


def need(model: Model) -> str:
    """Return what a model's weights need against what is free, in words; "" where it does not say. Loads nothing."""
    taken = model.weights_bytes()
    if not taken:
        return ""
    device, dtype = (str(model.card.get(key, "")) for key in ("device", "dtype"))
    room, where = free(device)
    told = f"{taken / 1e9:,.1f} GB for the weights in {dtype}, {room / 1e9:,.1f} GB free ({where})"
    slow = f" ({_SLOW})" if device == "cpu" and not computes_bfloat16() else ""
    if dtype == "bfloat16":
        return told + slow
    narrow = _NARROW.get(dtype)
    if taken <= room or narrow is None:
        return told
    return f"{told}; --dtype {narrow}: {taken / 2e9:,.1f} GB{slow if narrow == 'bfloat16' else ''}"


def computes_bfloat16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Return whether this CPU has instructions for bfloat16; true where the system does not say."""
    try:
        found = re.search(r"^(?:flags|Features)\s*:(.*)", cpuinfo.read_text(errors="replace"), re.MULTILINE)
    except OSError:
        return True
    return found is None or not {"avx512_bf16", "amx_bf16", "bf16"}.isdisjoint(found[1].split())


def check(model: Model, name: str) -> None:
    """Raise EnvironmentProblem where the weights alone do not fit: now, not after minutes of loading."""
    taken = model.weights_bytes()
    if taken and taken > free(str(model.card.get("device", "")))[0]:
        raise EnvironmentProblem(f"{name} needs {need(model)}: end other programs, or run it on a larger machine")


def beside(model: Model, eyes: Eyes, card: Mapping[str, Json]) -> tuple[bool, str]:
    """Return whether an observer may work while the model does, in one process; how memory is split, or why not.

    `card` is the model's. Loads nothing.
    """
    if not eyes.beside:
        return False, "no: the scorer does not say that it may work beside a model"
    if "device" not in card:
        return True, "yes: the model computes nothing here"
    if eyes.independent:
        return True, "yes: the scorer asks elsewhere"
    own, its = model.weights_bytes(), eyes.weights_bytes()
    room, where = free(str(card["device"]))
    shares = {"for the model's weights": own, "for the scorer's": its, "for their batches": max(0, room - own - its)}
    told = ", ".join(f"{size / 1e9:,.1f} GB {what}" for what, size in shares.items())
    told += f", of {room / 1e9:,.1f} GB free ({where})"
    if own + its > room:
        return False, f"no: {told}"
    if card["device"] == "cpu":
        return False, "no: on a CPU both want the same cores; --overlap has them work at once all the same"
    return True, f"yes: {told}"


def device_of(asked: str) -> str:
    """Return the device that a scorer's network runs on, as torch names it: `auto` is a GPU where torch has one."""
    if asked != "auto":
        return asked
    import torch

    return "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"


def on_disk(*places: Path | None) -> int:
    """Return the bytes of weight files: each a file, a folder with some, or None for what is not here."""
    files = (each for place in places if place for each in ([place] if place.is_file() else place.rglob("*")))
    return sum(each.stat().st_size for each in files if each.suffix in (".safetensors", ".pth", ".pt", ".bin"))


def free(device: str) -> tuple[int, str]:
    """Return the free bytes of the place where a model runs, and what bounds them."""
    torch = sys.modules.get("torch")
    if device.startswith("cuda") and torch is not None and torch.cuda.is_available():
        room, _ = torch.cuda.mem_get_info(device)
        return room + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device), "on the GPU"
    found = [(_host(), "of the machine")]
    group = _group(Path("/sys/fs/cgroup"), Path("/proc/self/cgroup"))
    return min(found if group is None else [*found, (group, "within the cgroup's limit")])


def _host() -> int:
    """Return what the system can give without swapping; 4 GB where it does not say."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return int(dict(line.split(":", 1) for line in lines)["MemAvailable"].split()[0]) << 10
    except (OSError, ValueError, KeyError, IndexError):
        return 4 << 30


def _group(root: Path, membership: Path) -> int | None:
    """Return what is left below the tightest limit of the control groups that hold this process; None without any."""
    try:
        lines = [line.split(":", 2) for line in membership.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError):
        return None
    left: list[int] = []
    for number, names, path in (line for line in lines if len(line) == 3):
        if number != "0" and "memory" not in names.split(","):
            continue
        top, files = (root, _V2) if number == "0" else (root / "memory", _V1)
        folder = top / path.lstrip("/")
        # Inside a container the path is the host's and not there: the container's own group is the top.
        for place in (folder, *folder.parents):
            room = _left(place, *files)
            left += [] if room is None else [room]
            if place == top:
                break
    return min(left, default=None)


_V2 = ("memory.max", "memory.current", "inactive_file")
_V1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")


def _left(folder: Path, limit: str, used: str, cache: str) -> int | None:
    """Return a group's limit less what it holds; files that were read count as free, as the kernel drops them."""
    try:
        most, now = (int((folder / name).read_text(encoding="ascii")) for name in (limit, used))
        stat = dict(line.split() for line in (folder / "memory.stat").read_text(encoding="ascii").splitlines())
    except (OSError, ValueError):  # no such group, or its limit is "max"
        return None
    return max(0, most - now + int(stat.get(cache, 0))) if most < 1 << 60 else None
