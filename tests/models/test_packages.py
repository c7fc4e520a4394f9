"""What processors ask for beside torch: the missing package and the one command, whole."""

from __future__ import annotations

import pytest
from janus_eval.models import packages


@pytest.mark.parametrize(
    ("there", "told"),
    [
        ({"torch": "2.13.0"}, 'no torchvision, num2words: pip install "torchvision==0.28.*" num2words'),
        (
            {"torch": "2.13.0+cpu"},
            'no torchvision, num2words: uv pip install --torch-backend=cpu "torchvision==0.28.*" num2words',
        ),
        ({"torch": "2.9.1+cu126", "torchvision": "0.24.1+cu126"}, "no num2words: pip install num2words"),
        ({"torch": "2.9.1", "torchvision": "0.24.1", "num2words": "1"}, ""),
        ({"torch": "2.14.1+cpu", "torchvision": "0.29.1+cpu", "num2words": "1"}, ""),
        ({"torch": "2.15.0", "torchvision": "0.29.2", "num2words": "1"}, ""),
        ({"torch": "2.15.0", "num2words": "1"}, 'no torchvision: pip install "torchvision>=0.29"'),
        (
            {"torch": "2.15.0", "torchvision": "0.28.0", "num2words": "1"},
            "torchvision 0.28.0 is not built for torch 2.15.0: pip install --force-reinstall --no-deps "
            '"torchvision>=0.29"',
        ),
        (
            {"torch": "2.13.0", "torchvision": "0.29.2", "num2words": "1"},
            "torchvision 0.29.2 is not built for torch 2.13.0: pip install --force-reinstall --no-deps "
            '"torchvision==0.28.*"',
        ),
        (
            {"torch": "2.13.0+cpu", "torchvision": "0.28.0", "num2words": "1"},
            "torchvision 0.28.0 is not built for torch 2.13.0+cpu: uv pip install --torch-backend=cpu "
            '--reinstall-package torchvision "torchvision==0.28.*"',
        ),
        (
            {"torch": "2.13.0", "torchvision": "0.27.0", "num2words": "1"},
            "torchvision 0.27.0 is not built for torch 2.13.0: pip install --force-reinstall --no-deps "
            '"torchvision==0.28.*"',
        ),
    ],
)
def test_what_is_lacking_is_one_line_with_its_command(
    monkeypatch: pytest.MonkeyPatch, there: dict[str, str], told: str
) -> None:
    monkeypatch.setattr(packages, "installed", there.get)
    assert packages.lacking() == told


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            "\nQwen2VLVideoProcessor requires the Torchvision library but it was not found in your environment. "
            "Check out the instructions on the\ninstallation page: " + "x" * 400,
            'm needs packages that are not here: no torchvision: pip install "torchvision==0.28.*"',
        ),
        ("Package `num2words` is required. Install it with `pip install num2words`.", "no num2words: pip install"),
        ("No module named 'timm.layers'", "m needs the package timm: pip install timm"),
        ("X requires the Y library: `pip install pretty-midi`", "m needs the package pretty-midi: pip install"),
        ("cannot import name 'x' from 'y'", "m needs a package that is not installed: cannot import name 'x'"),
    ],
)
def test_a_library_s_long_words_become_the_command(monkeypatch: pytest.MonkeyPatch, said: str, told: str) -> None:
    monkeypatch.setattr(packages, "installed", {"torch": "2.13.0"}.get)
    line = str(packages.problem("m", ImportError(said)))
    assert told in line
    assert "\n" not in line
