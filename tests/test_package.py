"""The declared packages are the folders, and what is installed is the tree."""

from __future__ import annotations

import re
import sys
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
NOT_SHIPPED = {"tests", "perf", "docs", "train", "build", "dist"}


def declared() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return set(project["tool"]["setuptools"]["packages"])


def test_declared_packages_are_the_folders_with_modules() -> None:
    folders = {path.parent.relative_to(ROOT) for path in ROOT.rglob("*.py")}
    shipped = {f for f in folders if not f.parts or (f.parts[0] not in NOT_SHIPPED and not f.parts[0].startswith("."))}
    assert declared() == {".".join(["janus_eval", *folder.parts]) for folder in shipped}


def test_the_root_holds_no_module_but_its_docstring() -> None:
    assert [path.name for path in ROOT.glob("*.py")] == ["__init__.py"]


def test_every_package_data_pattern_matches_a_file() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    for package, patterns in project["tool"]["setuptools"]["package-data"].items():
        folder = ROOT.joinpath(*package.split(".")[1:])
        for pattern in patterns:
            assert list(folder.glob(pattern)), f"{package}: {pattern} matches nothing"


def test_no_file_names_this_machine() -> None:
    # A path under a home folder of the author's machine helps nobody else.
    bad = re.compile(rb"(?<![\w.])/(?:root|home/[a-z]+)/")
    suffixes = {".py", ".md", ".toml", ".ini", ".json", ".txt", ".csv", ".yml"}
    named = [
        path.relative_to(ROOT)
        for path in ROOT.rglob("*")
        if path.suffix in suffixes and not {".venv", ".tox", ".git", "runs"} & set(path.relative_to(ROOT).parts)
        if path != Path(__file__) and bad.search(path.read_bytes())
    ]
    assert named == []
