"""The declared packages are the folders, and what is installed is the tree."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
NOT_SHIPPED = {"tests", "perf", "docs", "train", "examples", "build", "dist"}


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


def sources() -> list[Path]:
    """Return every Python file of the project."""
    apart = {".venv", ".tox", ".git", "build", "runs"}
    return [path for path in ROOT.rglob("*.py") if not apart & set(path.relative_to(ROOT).parts)]


def test_no_file_is_over_400_lines_and_no_function_over_60() -> None:
    long: list[str] = []
    for path in sources():
        text = path.read_text(encoding="utf-8")
        if text.count("\n") > 400:
            long.append(f"{path.relative_to(ROOT)}: {text.count(chr(10))} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > 60:
                    long.append(f"{path.relative_to(ROOT)} {node.name}: {lines} lines")
    assert long == []


def test_no_scripts_import_each_other_in_a_circle() -> None:
    # import-linter holds this for the package; train/ and perf/ are scripts that import each other by name.
    for folder in ("train", "perf"):
        names = {path.stem: path for path in (ROOT / folder).glob("*.py")}
        imports = {name: imported(path) & names.keys() for name, path in names.items()}
        while leaves := [name for name, each in imports.items() if not each]:
            imports = {name: each - {*leaves} for name, each in imports.items() if name not in leaves}
        assert imports == {}


def imported(path: Path) -> set[str]:
    """Return the names of the modules that a script imports, in functions too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {each.name for each in node.names}
        if isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def test_nothing_below_the_commands_knows_argparse() -> None:
    apart = {"commands", "tests", "perf", "train", "docs", "examples"}
    knows = [
        path.relative_to(ROOT)
        for path in sources()
        if not apart & set(path.relative_to(ROOT).parts)
        if "argparse" in imported(path) and "__main__" not in path.read_text(encoding="utf-8")
    ]
    assert knows == []


def test_the_runner_asks_for_no_member_by_string() -> None:
    for name in ("runner", "batches", "plan", "evaluation", "reuse", "flow", "store", "stored"):
        text = (ROOT / "evals" / f"{name}.py").read_text(encoding="utf-8")
        asked = re.findall(r"(?:getattr|hasattr)\((?!self, each\.name|score, each\.name|output, \"save\"|ctypes)", text)
        assert asked == [], name
