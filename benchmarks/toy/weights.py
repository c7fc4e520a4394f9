"""The toy world's trained scorers, shipped with the package: found, and checked against their digests."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from ...evals.assets.digests import check

ROOT = Path(__file__).parent / "weights"
DIGESTS: Mapping[str, str] = {
    "clip": "3363143e0dec70bf229b8469345c9a1b29d4e83d22b316a3433843f5f359c1ad",
    "vqa": "ca2cd4c742babceaeb4bafc6e73e91b5101ece601f61fdcc42176e047a236c56",
    "detector": "e4766a2aa7de55765de41860b69ba7215dcd5bc5732a0414a074893d00438883",
}
"""SHA-256 of each folder's SHA256SUMS, as train/export.py printed it."""


def packaged(name: str) -> Path:
    """Return the folder of a packaged network: detector, clip or vqa.

    Raises EnvironmentProblem where a file of it is missing or not the one that was trained.
    """
    return _checked(ROOT / name, DIGESTS[name])


def identity(name: str) -> str:
    """Return what a signature says of a packaged network. Raises as `packaged`, and so before a run's first picture."""
    packaged(name)
    return f"toy-{DIGESTS[name][:12]}"


@cache
def _checked(folder: Path, expected: str) -> Path:
    return check(folder, expected, "install janus-eval again")
