"""What `janus-eval doctor` says: what this machine has, what is missing, and the command that mends it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from ..environment import installed
from ..types import Json

_NEEDS = (
    ("hf", "torch transformers tokenizers safetensors accelerate", "Janus, hf:NAME"),
    ("geneval", "opencv-python-headless pycocotools", "GenEval's detector"),
    ("diffusers", "diffusers", "SD3-Medium, JanusFlow, diffusers:NAME"),
    ("data", "datasets", "benchmarks from the hub"),
    ("clip", "open-clip-torch torchvision", "CLIP through open_clip (optional)"),
    ("mmdet", "mmdet", "the original detector (optional)"),
)


def examine() -> list[dict[str, Json]]:
    """Return one finding a row: what, state (ok, missing, optional, warning), detail, mend."""
    rows = [_row("python", "ok", sys.version.split()[0])]
    for extra, packages, use in _NEEDS:
        found = {name: installed(name) for name in packages.split()}
        absent = [name for name, version in found.items() if version is None]
        if absent:
            state = "optional" if "optional" in use else "missing"
            rows.append(_row(extra, state, f"{use}: no {', '.join(absent)}", f'pip install "janus-eval[{extra}]"'))
        else:
            rows.append(_row(extra, "ok", ", ".join(f"{name} {version}" for name, version in found.items())))
    return [*rows, _vision(), *_device(), *_places(), *_assets()]


def _vision() -> dict[str, Json]:
    """Return whether processors of vision-language models find what they ask for, and fitting the installed torch."""
    from ...models.packages import VISION, lacking

    use = "processors of most vision-language models"
    line = lacking()
    if not line:
        return _row("vision", "ok", ", ".join(f"{name} {installed(name)}" for name in VISION))
    there = all(installed(name) for name in VISION)
    return _row("vision", "warning" if there else "optional", f"{use}: {line}", line.partition(": ")[2])


def text(rows: list[dict[str, Json]]) -> str:
    """Return the findings as lines for a terminal."""
    marks = {"ok": "ok      ", "missing": "MISSING ", "optional": "optional", "warning": "WARNING "}
    width = max(len(row["what"]) for row in rows)
    lines = [f"{marks[row['state']]}  {row['what']:<{width}}  {row['detail']}" for row in rows]
    mends = [f"  {row['mend']}" for row in rows if row["mend"] and row["state"] in ("missing", "warning")]
    tail = ["", "to mend:", *mends] if mends else ["", "nothing is missing; `optional` things are fetched at first use"]
    return "\n".join([*lines, *tail])


def _row(what: str, state: str, detail: str, mend: str = "") -> dict[str, Json]:
    return {"what": what, "state": state, "detail": detail, "mend": mend}


def _device() -> list[dict[str, Json]]:
    if installed("torch") is None:
        return []
    cards = _cards()
    if not cards:
        return [_row("device", "ok", f"CPU only, {os.cpu_count()} cores: large models will be slow")]
    if "+cpu" in (installed("torch") or ""):
        told = f"{cards[0]}, but this torch is built for the CPU"
        return [_row("device", "warning", told, "pip install --force-reinstall torch (without the CPU index)")]
    return [_row("device", "ok", each) for each in cards]


def _cards() -> list[str]:
    """Return each GPU with its free memory, as the driver's own tool tells it: to import torch takes seconds."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    asked = [tool, "--query-gpu=name,memory.free", "--format=csv,noheader"]
    try:
        told = subprocess.run(asked, capture_output=True, text=True, errors="replace", timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    return [f"{' '.join(line.split())} free" for line in told.splitlines() if line.strip()]


def _places() -> list[dict[str, Json]]:
    rows: list[dict[str, Json]] = []
    for what, path in (("output folder", Path.cwd()), ("cache", _cache())):
        place = path
        while not place.exists():
            place = place.parent
        if not place.is_dir() or not os.access(place, os.W_OK):
            rows.append(_row(what, "warning", f"{path} is not writable", "choose another: -o, JANUS_EVAL_CACHE"))
        else:
            rows.append(_row(what, "ok", f"{path}: {shutil.disk_usage(place).free / 1e9:.0f} GB free"))
    return rows


def _cache() -> Path:
    from ..assets.fetch import cache_root

    return cache_root()


def _assets() -> list[dict[str, Json]]:
    from ..assets.fetch import list_assets, locate

    rows: list[dict[str, Json]] = []
    for asset in list_assets():
        path = locate(asset)
        if path is not None:
            rows.append(_row(asset.name, "ok", str(path)))
        else:
            rows.append(_row(asset.name, "optional", "not fetched yet", f"janus-eval data fetch {asset.name}"))
    return rows
