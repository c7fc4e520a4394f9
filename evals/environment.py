"""What machine and packages a run used; recorded beside the scores, never part of them."""

from __future__ import annotations

import datetime
import os
import platform
import re
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

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
    """Return the version of the harness; in a git checkout with its commit, and whether its code was changed since."""
    released, root = installed("janus-eval") or "unknown", Path(__file__).parents[1]
    commit = _commit(root / ".git")
    return f"{released}+g{commit[:10]}{'.changed' if _is_changed(root) else ''}" if commit else released


@cache
def _is_changed(root: Path) -> bool:
    """Return whether git says that the code of a checkout is not that of its commit; False where there is no git."""
    line = ["git", "--no-optional-locks", "status", "--porcelain", "--untracked-files=no", "--", *_CODE]
    try:
        done = subprocess.run(line, cwd=root, stdin=subprocess.DEVNULL, capture_output=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0 and bool(done.stdout.strip())


_CODE = ("evals", "models", "benchmarks", "reports", "integrations", "pyproject.toml")


def _commit(git: Path) -> str:
    """Return the commit of a checkout, read from its files. "" where there is none."""
    try:
        if git.is_file():  # a worktree
            git = git.parent / git.read_text(encoding="utf-8").removeprefix("gitdir:").strip()
        head = (git / "HEAD").read_text(encoding="utf-8").strip()
        if not head.startswith("ref: "):
            return head if _HEX.fullmatch(head) else ""
        name = head.removeprefix("ref: ")
        common = git / "commondir"
        root = git / common.read_text(encoding="utf-8").strip() if common.is_file() else git
        loose = root / name
        if loose.is_file():
            found = loose.read_text(encoding="utf-8").strip()
        else:
            packed = (root / "packed-refs").read_text(encoding="utf-8").splitlines()
            found = next((line.split(" ")[0] for line in packed if line.endswith(f" {name}")), "")
        return found if _HEX.fullmatch(found) else ""
    except (OSError, UnicodeDecodeError):
        return ""


_HEX = re.compile(r"[0-9a-f]{40,64}")


def installed(package: str) -> str | None:
    """Return the version of an installed package, importing nothing and reading no more than it takes."""
    try:
        found = distribution(package)
    except PackageNotFoundError:
        return None
    head = (found.read_text("METADATA") or "").partition("\n\n")[0]  # a parser of mail reads the whole description
    told = re.search(r"^Version:[ \t]*(\S+)", head, re.MULTILINE)
    return told[1] if told else found.version


def seconds(environment: Mapping[str, Json]) -> float | None:
    """Return how long the stages of a run took together; None where its environment does not say."""
    found = _stages(environment)
    return sum(found.values()) if found else None


def _stages(environment: Mapping[str, Json]) -> dict[str, float]:
    """Return the stages' seconds that an environment tells; what is no number is left out."""
    told = environment.get("stages")
    rows: Mapping[str, Json] = told if isinstance(told, dict) else {}
    return {key: float(each) for key, each in rows.items() if type(each) in (int, float) and 0 <= each < 1e12}


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
