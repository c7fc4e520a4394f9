"""The container recipes, read as their builders read them: pinned, complete, and with commands that exist.

No daemon is at hand here: nothing is built, but what they copy is installed.
"""

from __future__ import annotations

import contextlib
import fnmatch
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from janus_eval.evals.commands import cli
from support.pages import arguments

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
DOCKER = (ROOT / "containers" / "Dockerfile").read_text(encoding="utf-8")
APPTAINER = (ROOT / "containers" / "janus-eval.def").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PINNED = re.compile(r"[\w./-]+(@sha256:[0-9a-f]{64}|:\d+\.\d+\.\d+-[\w-]+)")


def instructions() -> list[tuple[str, str]]:
    """Return the Dockerfile's instructions with what follows them, continued lines joined."""
    lines = [line for line in DOCKER.splitlines() if not line.lstrip().startswith("#")]
    text = "\n".join(lines).replace("\\\n", " ")
    found = [line.split(maxsplit=1) for line in text.splitlines() if line.strip()]
    return [(name, " ".join(rest.split())) for name, rest in found]


def docker(name: str) -> list[str]:
    return [rest for each, rest in instructions() if each == name]


def section(name: str) -> list[str]:
    """Return the lines of a section of the Apptainer recipe."""
    parts = re.split(r"^%(\w+)$", APPTAINER, flags=re.MULTILINE)
    return [
        line.strip() for line in dict(zip(parts[1::2], parts[2::2], strict=True))[name].splitlines() if line.strip()
    ]


def copied() -> list[str]:
    """Return what the Dockerfile copies out of the clone."""
    found: list[str] = []
    for each in docker("COPY"):
        *sources, _ = each.split()
        found += sources
    return found


def test_both_begin_with_one_pinned_image() -> None:
    (image,) = docker("FROM")
    header = dict(line.split(": ") for line in APPTAINER.splitlines() if re.match(r"(Bootstrap|From): ", line))
    assert PINNED.fullmatch(image) and header == {"Bootstrap": "docker", "From": image}
    low, high = (f"3.{n}" for n in (10, 13))
    assert low <= image.partition(":")[2][:4] <= high


def test_the_dockerfile_has_no_instruction_that_docker_does_not_know() -> None:
    known = {"FROM", "RUN", "WORKDIR", "COPY", "ARG", "ENV", "VOLUME", "USER", "ENTRYPOINT", "CMD"}
    assert {name for name, _ in instructions()} <= known
    for name in ("ENTRYPOINT", "CMD"):
        (each,) = docker(name)
        assert all(isinstance(word, str) for word in json.loads(each))
    assert docker("USER") == ["evaluator"]


def test_what_is_copied_is_there_and_not_ignored() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    assert ignored[0] == "*"
    for source in copied():
        assert (ROOT / source).exists(), source
        assert any(fnmatch.fnmatch(source, each[1:]) for each in ignored if each.startswith("!")), source
    pairs = [line.split() for line in section("files")]
    assert [Path(target) for _, target in pairs] == [Path("/src") / source for source, _ in pairs]
    assert {source for source, _ in pairs} == {each for each in copied() if each != "constraints.txt"}


def test_what_is_copied_is_all_that_an_installation_needs(tmp_path: Path) -> None:
    for source in copied():
        path = ROOT / source
        if path.is_dir():
            shutil.copytree(path, tmp_path / "src" / source, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            (tmp_path / "src").mkdir(exist_ok=True)
            shutil.copy(path, tmp_path / "src" / source)
    pip = (sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "--no-index")
    done = subprocess.run(
        [*pip, "-w", str(tmp_path / "dist"), str(tmp_path / "src")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (wheel,) = (tmp_path / "dist").iterdir()
    listing = subprocess.run(
        [sys.executable, "-m", "zipfile", "-l", str(wheel)], capture_output=True, text=True, check=True
    ).stdout
    for package in PROJECT["tool"]["setuptools"]["packages"]:
        assert f"{package.replace('.', '/')}/__init__.py" in listing, package
    assert "janus_eval/models/toy/janus/model.safetensors" in listing


def test_the_extras_that_they_install_exist() -> None:
    extras = {*PROJECT["project"]["optional-dependencies"]}
    assert dict(each.split("=") for each in docker("ARG"))["EXTRAS"] in extras
    named = re.findall(r"\.\[([\w,]+)\]", APPTAINER)
    assert named and {extra for each in named for extra in each.split(",")} <= extras


def test_weights_lie_in_the_volume() -> None:
    (volume,) = docker("VOLUME")
    settings = dict(each.split("=") for each in shlex.split(docker("ENV")[0]))
    exported = dict(line.removeprefix("export ").split("=") for line in section("environment"))
    for name in ("JANUS_EVAL_CACHE", "HF_HOME"):
        assert settings[name] == exported[name] and settings[name].startswith(volume + "/")


@pytest.mark.parametrize("where", ["docker", "post", "test", "help"])
def test_their_commands_are_those_of_the_real_parser(where: str) -> None:
    if where == "docker":
        (entry,), (command,) = docker("ENTRYPOINT"), docker("CMD")
        lines = [shlex.join([*json.loads(entry), *json.loads(command)])]
        lines += [shlex.join(json.loads(each)) for each in docker("RUN") if each.startswith("[")]
    else:
        image = re.compile(r"apptainer run .*?\.sif ")
        lines = [image.sub("janus-eval ", line) for line in section(where)]
    asked = [each for line in lines for each in arguments(line + "\n")]
    assert asked
    for each in asked:
        with contextlib.suppress(cli._Helped):
            cli._parse(each)


def test_the_run_script_hands_all_arguments_on() -> None:
    assert section("runscript") == ['exec janus-eval "$@"']
