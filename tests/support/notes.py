"""The cache's notes about files, as a test reads and forges them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path


def notes(root: Path) -> list[Path]:
    return sorted((root / "digests" / "files").glob("*.json")) if root.exists() else []


def sealed(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest().encode() + b"\n" + body


def rewrite(root: Path, change: Callable[[list], object]) -> None:
    """Change what the notes say of each file, with a checksum that fits."""
    for file in notes(root):
        table = json.loads(file.read_bytes().partition(b"\n")[2])
        table["files"] = {name: change(row) for name, row in table["files"].items()}
        file.write_bytes(sealed(json.dumps(table).encode()))
