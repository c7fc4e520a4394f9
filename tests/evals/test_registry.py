"""Plugins by name, from real installed entry points in a folder of our own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from janus_eval.evals import registry
from janus_eval.evals.errors import EnvironmentProblem, UsageError


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Install a distribution of our own on sys.path: what a third party's wheel would leave there."""
    site = tmp_path / "site"
    info = site / "demo_plugin-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: demo-plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[janus_eval.models]\ndemo_model = demo_plugin:DemoModel\nfolder = demo_plugin:Folder\n"
        "needs-more = demo_plugin:NeedsMore\n[janus_eval.aliases]\ndm = demo_model\n"
    )
    (site / "demo_plugin.py").write_text(
        "from __future__ import annotations\nfrom pathlib import Path\nfrom typing import Literal\n"
        "class DemoModel:\n"
        "    def __init__(self, *, times: int = 1, loud: bool = False, ratio: float | None = None,\n"
        "                 mode: Literal['a', 'b'] = 'a', size: int | str = 'auto'):\n"
        "        self.options = (times, loud, ratio, mode, size)\n"
        "class Folder:\n    def __init__(self, path: Path):\n        self.path = path\n"
        "class NeedsMore:\n    def __init__(self):\n        import a_package_nobody_has\n"
    )
    monkeypatch.syspath_prepend(str(site))
    registry.forget()
    yield site
    registry.forget()


def test_listing_imports_no_plugin(plugin: Path) -> None:
    assert "demo_model" in registry.names("models")
    assert "demo_plugin" not in sys.modules


@pytest.mark.parametrize("name", ["demo_model", "demo-model", "DEMO-MODEL", "dm"])
def test_hyphen_underscore_case_and_alias_name_the_same_plugin(plugin: Path, name: str) -> None:
    assert registry.resolve("models", name) == "demo_model"


def test_an_unknown_name_brings_the_nearest(plugin: Path) -> None:
    with pytest.raises(UsageError, match=r"no 'demo-modle'; did you mean 'demo_model'\?"):
        registry.resolve("models", "demo-modle")


def test_text_options_are_read_as_annotated(plugin: Path) -> None:
    made = registry.create("models", "demo-model", times="3", loud="yes", ratio="0.5", mode="b", size="7")
    assert made.options == (3, True, 0.5, "b", 7)
    assert registry.create("models", "demo-model", ratio="none", size="auto").options == (1, False, None, "a", "auto")


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"tims": "3"}, "did you mean 'times'"),
        ({"times": "three"}, "whole number"),
        ({"loud": "perhaps"}, "true or false"),
        ({"mode": "c"}, "one of a, b"),
    ],
)
def test_a_wrong_option_is_one_clear_error(plugin: Path, option: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        registry.create("models", "demo-model", **option)


def test_what_follows_the_colon_is_the_first_option(plugin: Path) -> None:
    assert registry.create("models", "folder:/some/Where_else").path == Path("/some/Where_else")
    with pytest.raises(UsageError, match="needs the option 'path'"):
        registry.create("models", "folder")


def test_a_missing_package_is_named_with_the_command_that_brings_it(plugin: Path) -> None:
    with pytest.raises(EnvironmentProblem, match="pip install a_package_nobody_has"):
        registry.create("models", "needs-more")


def test_two_claimants_are_both_named(plugin: Path) -> None:
    info = plugin / "rival-2.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: rival\nVersion: 2.0\n")
    (info / "entry_points.txt").write_text("[janus_eval.models]\ndemo_model = rival:Model\n")
    registry.forget()
    with pytest.raises(UsageError, match=r"two packages claim 'demo_model'.*(demo-plugin|rival).*(demo-plugin|rival)"):
        registry.names("models")


@pytest.mark.parametrize(
    "arguments", [["--help"], ["list"], ["run", "--help"], ["run", "-m", "nobody", "-b", "nothing"], ["lst"]]
)
@pytest.mark.claim("R18")
def test_quick_commands_import_no_heavy_package(arguments: list[str]) -> None:
    code = (
        "import sys\nfrom janus_eval.evals.commands.cli import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit:\n    pass\n"
        "heavy = {'torch', 'transformers', 'numpy', 'pandas', 'rich', 'PIL', 'datasets', 'diffusers', 'openai'}\n"
        "heavy |= {'ssl', 'http.client', 'multiprocessing', 'asyncio', 'yaml', 'sqlite3', 'ray', 'submitit'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code, *arguments], check=True, capture_output=True)


def test_a_package_that_is_here_but_lacks_a_part_is_not_to_be_installed_again() -> None:
    error = ModuleNotFoundError("No module named 'json.nothere'", name="json.nothere")
    assert str(registry.missing_package(error, "mine")) == (
        "mine needs another json than the installed one (No module named 'json.nothere'): "
        "update or mend the package json"
    )
