"""What machine and packages a run used; recorded beside the scores, never part of them."""

from __future__ import annotations

import datetime
import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version

from .types import Json

PACKAGES = (
    "janus-eval",
    "torch",
    "transformers",
    "tokenizers",
    "diffusers",
    "open-clip-torch",
    "opencv-python-headless",
    "pycocotools",
    "numpy",
    "pillow",
    "datasets",
)


def harness_version() -> str:
    """Return the version of the installed harness."""
    return installed("janus-eval") or "unknown"


def installed(package: str) -> str | None:
    """Return the version of an installed package, importing nothing."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def environment() -> dict[str, Json]:
    """Return python, platform, package versions, and the devices where torch is loaded already."""
    machine: dict[str, Json] = {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "packages": {name: found for name in PACKAGES if (found := installed(name))},
        "time": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
    }
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        machine["cuda"] = torch.version.cuda
        machine["gpus"] = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return machine
