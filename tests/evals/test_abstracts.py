"""The line about a plugin is the first sentence of its own docstring, however its module is written."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from janus_eval.evals.abstracts import abstract

MODULE = '''"""The module's own line. No plugin's."""

made: int = 3


class Told(dict[str, str]):
    """Draws squares.

    And more.
    """

    def draw(self) -> None:
        """Draw one."""


class Untold:
    def draw(self) -> None:
        """Draw one. Not the class's line."""


def function(
    size: int = 8,
) -> Told:
    """Return the painter of small squares. The others are elsewhere."""
    return Told()


def silent() -> str:
    return """no docstring. Only a text."""


class Open:
    """Never closed

named = make(about="Paints by number. Slowly.")
'''


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("Told", "Draws squares"),
        ("Untold", ""),
        ("function", "The painter of small squares"),
        ("silent", ""),
        ("draw", ""),
        ("absent", ""),
        ("Tol", ""),
    ],
)
def test_the_line_is_the_plugins_own(name: str, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "painters.py").write_text(MODULE.partition("class Open")[0])
    monkeypatch.syspath_prepend(str(tmp_path))
    assert abstract(EntryPoint(name, f"painters:{name}", "janus_eval.models")) == line


def test_a_module_that_cannot_be_parsed_has_no_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "painters.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert abstract(EntryPoint("x", "painters:Open", "janus_eval.models")) == ""
    assert abstract(EntryPoint("x", "painters:Told", "janus_eval.models")) == "Draws squares"
