"""What `doctor` sees of the machine: Python, cores, memory, GPUs, disks, and, where it is asked for, an endpoint.

Nothing heavy is imported: a GPU is asked about by its driver's own tool, torch by the files that it lies in.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from .. import memory
from ..environment import installed

Finding = tuple[str, str, str, str]
"""What, state, detail, and what mends it."""
_ASKED = ("name", "memory.free", "memory.total", "driver_version")
_MOST = 1 << 20
"""Bytes of an endpoint's list of models."""


def examine(cache: Path) -> Iterator[Finding]:
    """Yield what there is: Python, processor, GPUs and what torch makes of them, disks."""
    yield "python", "ok", sys.version.split()[0], ""
    room, where = memory.free("cpu")
    yield "processor", "ok", f"{os.cpu_count()} cores, {room / 1e9:.1f} GB of memory free ({where})", ""
    cards = list(_cards())
    if not cards:
        yield "GPU", "ok", "none that nvidia-smi knows: large models are slow", ""
    for number, (name, free, total, driver) in enumerate(cards):
        yield f"GPU {number}", "ok", f"{name}, {free} of {total} free, driver {driver}", ""
    yield from _torch(bool(cards))
    yield from _places(cache)


def _cards() -> Iterator[tuple[str, str, str, str]]:
    """Yield each GPU's name, free and whole memory and driver, as the driver's own tool tells them."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return
    asked = [tool, f"--query-gpu={','.join(_ASKED)}", "--format=csv,noheader,nounits"]
    try:
        told = subprocess.run(asked, capture_output=True, text=True, errors="replace", timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return
    for line in told.splitlines():
        cells = [each.strip() for each in line.split(",")]
        if len(cells) == len(_ASKED):
            name, free, total, driver = cells
            yield name, _gigabytes(free), _gigabytes(total), driver


def _gigabytes(mebibytes: str) -> str:
    """Return nvidia-smi's MiB in GB; what is no number (`[N/A]`) as it is."""
    return f"{int(mebibytes) * 1.048576 / 1000:.1f} GB" if mebibytes.isdecimal() else mebibytes


def _torch(card: bool) -> Iterator[Finding]:
    """Yield what torch is built for, and with which cuDNN; only where a GPU makes that matter."""
    version = installed("torch")
    if version is None or not card:
        return
    cuda = _built_for()
    if cuda is None:
        mend = "pip install --force-reinstall torch (without the CPU index)"
        yield "torch", "warning", f"{version} is built for the CPU: it will not use the GPU", mend
        return
    found = ((name, installed(name)) for name in ("nvidia-cudnn-cu13", "nvidia-cudnn-cu12", "nvidia-cudnn-cu11"))
    cudnn = next((f"cuDNN {number} ({name})" for name, number in found if number), "cuDNN not told by a package")
    yield "torch", "ok", f"{version}, CUDA {cuda}, {cudnn}", ""


def _built_for() -> str | None:
    """Return the CUDA version that torch is built for, as its own file says; None for the CPU's, or another maker's."""
    spec = importlib.util.find_spec("torch")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        try:
            told = (Path(folder) / "version.py").read_text(encoding="utf-8")
        except OSError:
            continue
        found = re.search(r"""^cuda\b[^=\n]*=\s*["']([^"']+)["']""", told, re.MULTILINE)
        return found[1] if found else None
    return None


def _places(cache: Path) -> Iterator[Finding]:
    for what, path in (("output folder", Path.cwd()), ("cache", cache)):
        place = path
        while not place.exists():
            place = place.parent
        if not place.is_dir() or not os.access(place, os.W_OK):
            yield what, "warning", f"{path} is not writable", "choose another: -o, JANUS_EVAL_CACHE"
        else:
            yield what, "ok", f"{path}: {shutil.disk_usage(place).free / 1e9:.0f} GB free", ""


def ask(url: str) -> Finding:
    """Return whether an OpenAI-compatible endpoint answers, how quickly, and which models it serves.

    Raises UsageError for an address that cannot be meant. The key, where one is set, is sent and never shown.
    """
    from ..endpoint.address import Address
    from ..endpoint.transport import TransportError, Wire

    address = Address.parse(url)
    key = os.environ.get("OPENAI_API_KEY", "").strip()
    headers = {"User-Agent": "janus-eval", **({"Authorization": f"Bearer {key}"} if key else {})}
    began = time.monotonic()
    try:
        reply = Wire(address).get("/models", headers, seconds=20, most=_MOST)
    except TransportError as error:
        return address.shown, "warning", f"does not answer: {error}", "start the server, or mend the address"
    seconds = f"in {time.monotonic() - began:.2f} s"
    if reply.status in (401, 403):
        told = "it refuses the key" if key else "it wants a key"
        return address.shown, "warning", f"answers {seconds}, but {told} ({reply.status})", "set OPENAI_API_KEY"
    if reply.status != 200:
        return address.shown, "warning", f"answers {seconds} with status {reply.status} at /models", ""
    served = _served(reply.body)
    return address.shown, "ok", f"answers {seconds}: {served}", ""


def _served(body: bytes) -> str:
    try:
        names = [str(each["id"]) for each in json.loads(body)["data"]]
    except (ValueError, KeyError, TypeError, RecursionError):
        return "its list of models cannot be read"
    shown = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
    return f"serves {shown}" if names else "serves no model"
