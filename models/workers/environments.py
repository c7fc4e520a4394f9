"""Environments of workers: built by uv from a lock that lies beside the adapter, whole or not there at all.

An adapter is `NAME.py`; beside it lie `NAME.lock` (requirements with hashes) and `NAME.toml`: the Python, and
the repository at its commit with the git trees of the folders that are taken from it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ...evals.assets.cache import cache_root, expanded
from ...evals.errors import EnvironmentProblem, Locked, UsageError
from ...evals.extras import pip_line
from ...evals.files import disk, lock, publish
from ...evals.screen import clean
from ...evals.types import Json
from . import source as sources

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,60}")
_WHOLE = "complete.json"
_REGISTERED = "janus_eval.evals.elsewhere"
_LISTED = "import importlib.metadata as m,json,platform;print(json.dumps([platform.python_version()," \
    "{str(d.metadata['Name']).lower():d.version for d in m.distributions()}]))"  # fmt: skip


def root() -> Path:
    """Return the folder of all environments: $JANUS_EVAL_ENVS, else beside what is fetched."""
    given = os.environ.get("JANUS_EVAL_ENVS")
    return expanded(given, "JANUS_EVAL_ENVS") if given else cache_root() / "envs"


@dataclass(frozen=True)
class Recipe:
    """What a worker runs: an adapter's file with what lies beside it, or a module of its environment."""

    name: str
    file: Path | None = None
    module: str = ""
    factory: str = "model"

    @classmethod
    def named(cls, text: str) -> Recipe:
        """Return the recipe of `FILE.py`, `FILE.py:FACTORY` or `MODULE:FACTORY`. Raises UsageError."""
        place, colon, factory = text.rpartition(":")
        if not colon or place == "":
            place, factory = text, "model"
        if not place.endswith(".py"):
            if not re.fullmatch(r"\w+(\.\w+)*", place) or not colon:
                raise UsageError(f"worker:{text}: expected worker:FILE.py, FILE.py:FACTORY or MODULE:FACTORY")
            return cls(place, module=place, factory=factory)
        path = expanded(place, "worker:")
        if not path.is_file():
            raise UsageError(f"worker:{text}: there is no file {path}")
        return cls(path.stem, path.absolute(), factory=factory)

    def code(self) -> bytes | None:
        """Return the adapter's file, None for a module."""
        if self.file is None:
            return None
        try:
            return self.file.read_bytes()
        except OSError as error:
            raise UsageError(f"{self.file} cannot be read: {error.strerror}") from error

    @property
    def is_registered(self) -> bool:
        """Whether it is a model of janus-eval's own registry: card and version say what it is, as they do anywhere."""
        return self.module == _REGISTERED

    def card(self) -> Mapping[str, Json]:
        """Return what names the code and the environment in a run's key."""
        code = self.code()
        what = f"{self.file.name}#{hashlib.sha256(code).hexdigest()[:12]}" if self.file and code else self.module
        return {"adapter": f"{what}:{self.factory}"} | ({"environment": f"#{self.digest}"} if self.lock else {})

    @cached_property
    def lock(self) -> Path | None:
        """Return the lock beside the adapter, None where it has none."""
        found = self.file.with_suffix(".lock") if self.file else None
        return found if found is not None and found.is_file() else None

    @cached_property
    def told(self) -> Mapping[str, Any]:
        """Return the NAME.toml beside the adapter. Raises UsageError where it is damaged."""
        path = self.file.with_suffix(".toml") if self.file else None
        if path is None or not path.is_file():
            return {}
        if sys.version_info >= (3, 11):
            import tomllib
        else:
            import tomli as tomllib
        try:
            return tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UsageError(f"{path} is damaged: {error}") from error

    @cached_property
    def repository(self) -> sources.Repository | None:
        """Return the repository that the adapter needs."""
        return sources.Repository.read(self.told["source"], f"{self.name}.toml") if "source" in self.told else None

    @cached_property
    def digest(self) -> str:
        """Return 12 hex digits over the lock and what stands beside it: another lock is another environment."""
        content = (self.lock.read_bytes() if self.lock else b"") + json.dumps(dict(self.told), sort_keys=True).encode()
        return hashlib.sha256(content).hexdigest()[:12]

    @property
    def folder(self) -> Path:
        """Return where its environment lies."""
        if not _NAME.fullmatch(self.name):
            raise UsageError(f"{self.name!r} is no name for an environment: letters, digits, dots and hyphens")
        return root() / f"{self.name}-{self.digest}"

    @property
    def asked(self) -> str:
        """Return the name by which a command asks for it."""
        return self.name if self.file is None or self.file.parent == Path(__file__).parent else f"worker:{self.file}"

    def python(self) -> Path:
        """Return the interpreter: of the environment, or this one where the adapter has no lock."""
        return Path(sys.executable) if self.lock is None else _python(self._whole())

    def source_folder(self, *, elsewhere: bool) -> str | None:
        """Return the repository's folder, None where there is none or the model runs `elsewhere`."""
        return None if elsewhere or self.repository is None else str(self._whole() / "source")

    def _whole(self) -> Path:
        if not (self.folder / _WHOLE).is_file() or not _python(self.folder).exists():
            raise EnvironmentProblem(
                f"{self.name} runs in an environment of its own, which is not on this machine: "
                f"janus-eval env create {self.asked}"
            )
        return self.folder


def _python(folder: Path) -> Path:
    return folder / "bin" / "python"


# -- building -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Means:
    """With what an environment is built: another Python, a folder of wheels, a copy of the repository."""

    python: str = ""
    wheels: Path | None = None
    source: Path | None = None
    offline: bool = False
    force: bool = False


def create(recipe: Recipe, means: Means) -> Path:
    """Return an environment's folder, built where it is not there; of several builders the others wait for one.

    Raises UsageError for a recipe without a lock and EnvironmentProblem that says what failed.
    """
    if recipe.lock is None:
        raise UsageError(f"{recipe.name} has no lock beside its adapter: it runs where python= or command= says")
    folder = recipe.folder
    with disk(root()):
        root().mkdir(parents=True, exist_ok=True)
    with _alone(folder):
        if (folder / _WHOLE).is_file() and not means.force:
            return folder
        with disk(folder):
            (folder / _WHOLE).unlink(missing_ok=True)
            shutil.rmtree(folder, ignore_errors=True)
        if recipe.repository is not None:
            sources.place(recipe.repository, folder / "source", means.source, offline=means.offline)
        _install(recipe, folder, means)
        python, packages = _listed(folder)
        row = {"name": recipe.name, "digest": recipe.digest, "python": python, "packages": packages}
        with disk(folder):
            publish(folder / _WHOLE, json.dumps(row, indent=2, sort_keys=True).encode())
    return folder


@contextlib.contextmanager
def _alone(folder: Path) -> Generator[None]:
    """Wait until no other process builds this environment."""
    path = folder.with_name(f".{folder.name}.lock")
    while True:
        try:
            held = lock(path)
        except Locked:
            time.sleep(0.2)
            continue
        break
    with held:
        yield


def _install(recipe: Recipe, folder: Path, means: Means) -> None:
    uv = _uv()
    wanted = means.python or str(recipe.told.get("python", ""))
    line = [uv, "venv", "--allow-existing", "--no-config", *(["--python", wanted] if wanted else []), str(folder)]
    _call([*line, *(["--offline", "--no-python-downloads"] if means.offline else [])], f"no Python {wanted or 'here'}")
    line = [uv, "pip", "sync", "--require-hashes", "--python", str(_python(folder)), str(recipe.lock)]
    if means.wheels is not None:
        line += ["--no-index", "--find-links", str(means.wheels)]
    _call([*line, *(["--offline"] if means.offline else [])], f"{recipe.name}'s lock cannot be installed")


def _uv() -> str:
    with contextlib.suppress(ImportError):
        import uv

        with contextlib.suppress(FileNotFoundError):
            return str(uv.find_uv_bin())
    found = shutil.which("uv")
    if found is None:
        raise EnvironmentProblem(f"environments are built by uv, which is not installed: {pip_line('env')}")
    return found


def _call(line: Sequence[str], problem: str) -> None:
    """Run a program whose words go to the terminal's stderr. Raises EnvironmentProblem with its last words."""
    done = subprocess.run(line, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        words = [each.strip(" ×╰─▶│├") for each in done.stdout.decode("utf-8", "replace").splitlines()]
        said = " / ".join(clean(each) for each in words if each and not each.startswith("Using "))
        raise EnvironmentProblem(f"{problem}: {said[-600:] or f'exit code {done.returncode}'}")


def _listed(folder: Path) -> tuple[str, dict[str, str]]:
    """Return the version of an environment's Python and those of its packages, as it says itself."""
    try:
        done = subprocess.run(
            [str(_python(folder)), "-I", "-c", _LISTED], stdin=subprocess.DEVNULL, capture_output=True, check=True
        )
        python, packages = json.loads(done.stdout)
    except (OSError, ValueError, TypeError, subprocess.CalledProcessError) as error:
        raise EnvironmentProblem(f"the interpreter of {folder} does not run: {clean(str(error))[:300]}") from error
    return python, packages


# -- those that are there -----------------------------------------------------------------------------


def check(recipe: Recipe) -> str:
    """Return what an environment holds; raise EnvironmentProblem where it is not as it was when it was built."""
    folder = recipe._whole()  # pyright: ignore[reportPrivateUsage] -- of this module
    try:
        row: Any = json.loads((folder / _WHOLE).read_bytes())
        python, packages = row["python"], row["packages"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _changed(recipe, f"{_WHOLE} is damaged") from error
    found = _listed(folder)
    if found[0] != python:
        raise _changed(recipe, f"its Python is {found[0]}, was {python}")
    for name in sorted({*packages, *found[1]}):
        if packages.get(name) != found[1].get(name):
            raise _changed(recipe, f"{name} is {found[1].get(name, 'missing')}, was {packages.get(name, 'missing')}")
    if recipe.repository is not None:
        wrong = sources.differing(recipe.repository, folder / "source")
        if wrong:
            raise _changed(recipe, f"its repository's {wrong} is not that of {recipe.repository.commit[:10]}")
    return f"{folder}: Python {python}, {len(packages)} packages" + (", repository whole" if recipe.repository else "")


def _changed(recipe: Recipe, why: str) -> EnvironmentProblem:
    return EnvironmentProblem(
        f"the environment of {recipe.name} is not as it was built: {why}: janus-eval env create {recipe.asked} --force"
    )


def built() -> list[Mapping[str, Json]]:
    """Return a row for each environment's folder: name, state, path."""
    rows: list[Mapping[str, Json]] = []
    for folder in sorted(each for each in root().glob("*-" + "[0-9a-f]" * 12) if each.is_dir()):
        whole = (folder / _WHOLE).is_file()
        rows.append({"name": folder.name[:-13], "state": "whole" if whole else "unfinished", "path": str(folder)})
    return rows


def remove(name: str) -> list[Path]:
    """Remove every environment of a name, none while it is built, and return their folders."""
    found = [Path(str(each["path"])) for each in built() if each["name"] == name]
    if not found:
        raise UsageError(f"no environment is called {name!r}: see janus-eval env list")
    for folder in found:
        with lock(folder.with_name(f".{folder.name}.lock")), disk(folder):
            (folder / _WHOLE).unlink(missing_ok=True)
            shutil.rmtree(folder)
    return found
