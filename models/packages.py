"""Packages that processors and pipelines ask for beside torch: which are missing, and the command that brings them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..evals.environment import installed
from ..evals.errors import EnvironmentProblem

VISION = ("torchvision", "num2words")
"""What the extra `vision` brings: most vision-language processors ask for the first, SmolVLM's for the second."""
_APART = 15
"""torch 2.N and torchvision 0.(N + 15) belong together, up to torch 2.13."""
_FREE = 29
"""From 0.29 on a torchvision goes with any torch from 2.14 on (0.29.2: `Requires-Dist: torch>=2.14.0`)."""


def lacking(wanted: Sequence[str] = VISION) -> str:
    """Return in one line what of `wanted` is missing, or does not fit the installed torch, with the command that mends
    it; "" where all is well. Looks at versions and imports nothing.
    """
    missing = [name for name in wanted if installed(name) is None]
    if missing:
        return f"no {', '.join(missing)}: {command(missing)}"
    torch, pictures = installed("torch") or "", installed("torchvision") or ""
    if "torchvision" in wanted and torch and not _fit(torch, pictures):
        return f"torchvision {pictures} is not built for torch {torch}: {command(['torchvision'], again=True)}"
    return ""


def command(names: Sequence[str], *, again: bool = False) -> str:
    """Return the command that installs packages, torchvision as it fits the installed torch.

    A torch with a label (2.13.0+cpu) is from PyTorch's own index, which uv knows by that label; pip would put another
    build of torchvision beside it, which does not load.
    """
    torch = installed("torch") or ""
    label = torch.partition("+")[2]
    words = [f'"torchvision{_partner(torch)}"' if each == "torchvision" and torch else each for each in names]
    pip = f"uv pip install --torch-backend={label}" if label and "torchvision" in names else "pip install"
    more = [("--reinstall-package torchvision" if pip[0] == "u" else "--force-reinstall --no-deps")] if again else []
    return " ".join([pip, *more, *words])


def _partner(torch: str) -> str:
    """Return the torchvision versions that belong to a torch, as pip reads them."""
    minor = int(torch.split(".")[1]) + _APART
    return f"==0.{minor}.*" if minor < _FREE else f">=0.{_FREE}"


def _fit(torch: str, pictures: str) -> bool:
    same_build = torch.partition("+")[2] == pictures.partition("+")[2]
    wanted, found = (int(version.split(".")[1]) for version in (torch, pictures))
    together = found == wanted + _APART if wanted + _APART < _FREE else found >= _FREE
    return same_build and together


def problem(who: str, error: ImportError) -> EnvironmentProblem:
    """Return the error of a library that misses a package, in one line: what is missing and how it is brought."""
    told = " ".join(str(error).split())
    named = [name for name in VISION if name in told.lower()]
    found = re.search(r"pip install ([\w.-]+)|[Nn]o module named '([\w.-]+)'", told)
    if named and (line := lacking(named)):
        return EnvironmentProblem(f"{who} needs packages that are not here: {line}")
    if found is not None:
        name = (found[1] or found[2]).strip("`.").partition(".")[0]
        return EnvironmentProblem(f"{who} needs the package {name}: pip install {name}")
    return EnvironmentProblem(f"{who} needs a package that is not installed: {told}")
