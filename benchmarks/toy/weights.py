"""The toy world's trained scorers, shipped with the package: found, and checked against their digests."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from ...evals.errors import EnvironmentProblem

ROOT = Path(__file__).parent / "weights"
DIGESTS: Mapping[str, str] = {
    "clip": "cec2c7df8c44e9e203b9696a16df3af66b40d71c05e55a78c729e70b063ab283",
    "vqa": "e7ab35653916bc00c84a7516d77df26406f23f4d2bdaa70b9bf8289e42b3bd85",
    "detector": "8bc88c5c7fd999fe08c5f27333ff8082cf0f17d4a1bbc0d517496670f8b362c0",
}
"""SHA-256 of each folder's model.safetensors, as train/export.py printed it."""


def packaged(name: str, root: Path = ROOT) -> Path:
    """Return the folder of a packaged network: detector, clip or vqa.

    Raises EnvironmentProblem where its weights are missing or are not those that were trained.
    """
    path = root / name / "model.safetensors"
    expected = DIGESTS[name]
    found = _digest(path) if path.is_file() else "no such file"
    if found != expected:
        raise EnvironmentProblem(
            f"the packaged toy weights {path} are damaged or missing: expected SHA-256 {expected}, found {found}; "
            "install janus-eval again"
        )
    return path.parent


@cache
def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
