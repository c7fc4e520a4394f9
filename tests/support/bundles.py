"""Bundles for tests: a machine with caches of its own, what lies in them, and bundles that say what they like."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants
from janus_eval.evals.assets import bundle, fetch

COMMIT = "0123456789abcdef0123456789abcdef01234567"
VQA = ("configuration.json", "config.yaml", "config_bert.json", "vocab.txt", "pytorch_model.bin")


def machine(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Be on a machine whose caches lie below a folder."""
    monkeypatch.setenv("JANUS_EVAL_CACHE", str(folder / "cache"))
    monkeypatch.setenv("LMUData", str(folder / "LMUData"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder / "hub"))


def snapshot(repo: str, files: dict[str, bytes], kind: str = "models") -> Path:
    """Lay a repository into the hub's cache as the hub's package does: blobs, links to them, a reference."""
    folder = Path(constants.HF_HUB_CACHE) / f"{kind}--{repo.replace('/', '--')}"
    place = folder / "snapshots" / COMMIT
    for number, (name, content) in enumerate(files.items()):
        blob = folder / "blobs" / f"b{number}"
        blob.parent.mkdir(parents=True, exist_ok=True)
        blob.write_bytes(content)
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).symlink_to(blob)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(COMMIT)
    return place


def vqa() -> None:
    """Put the files of the VQA model, of which no digest is published, into the cache."""
    for number, name in enumerate(VQA):
        path = fetch.cache_root() / "mplug" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(700 * number + 1))


def made(path: Path) -> bundle.Manifest:
    """Write a bundle of the VQA model and of a repository."""
    vqa()
    snapshot("org/name", {"config.json": b"{}", "deep/model.safetensors": os.urandom(3000), "empty": b""})
    manifest = bundle.gather(["mplug", "hub:org/name"], None, command="janus-eval run", version="1")
    bundle.write(path, manifest)
    return manifest


def forged(path: Path, *names: str, size: Any = 4, body: bytes | None = None, **more: Any) -> Path:
    """Write a bundle whose manifest says what it likes."""
    files = [{"name": name, "size": size, "sha256": "0" * 64} for name in names]
    row = {"format": 1, "janus-eval": "1", "command": "", "assets": {}, "files": files} | more
    text = json.dumps(row).encode() if body is None else body
    data = bundle.first(len(text)) + text + b"\0" * bundle.padding(len(text))
    for name in names:
        data += bundle.Member(name, 4, "").header + b"data" + b"\0" * 508
    path.write_bytes(data + bundle.END)
    return path
