"""What a third party's wheel leaves on sys.path: a distribution with entry points and one module."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from janus_eval.evals import registry


def install(folder: Path, name: str, code: str, **groups: dict[str, str]) -> Path:
    """Write a distribution `name` with the module `<name>_plugin` and return its folder.

    `groups` maps a group of entry points (models, benchmarks, ...) to {registered name: object of the module}.
    """
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = [
        f"[janus_eval.{group}]\n" + "".join(f"{key} = {name}_plugin:{value}\n" for key, value in points.items())
        for group, points in groups.items()
    ]
    (info / "entry_points.txt").write_text("".join(lines))
    (folder / f"{name}_plugin.py").write_text(code)
    return folder


def visible(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process see what was installed in a folder, and nothing that another test installed under its name."""
    monkeypatch.syspath_prepend(str(folder))
    for module in folder.glob("*_plugin.py"):
        sys.modules.pop(module.stem, None)
    registry.forget()
