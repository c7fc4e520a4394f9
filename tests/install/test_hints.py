"""A hint is true for how the package was installed: from a clone, a wheel, a git address or an index."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

import pytest
from janus_eval.evals import extras

ROOT = Path(__file__).parents[2]
_PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check")
_ALONE = ("--no-deps", "--no-build-isolation", "--ignore-installed", "--no-index")


def call(*line: str, within: Path | None = None) -> str:
    done = subprocess.run(line, capture_output=True, text=True, check=False, cwd=within)
    assert done.returncode == 0, f"{shlex.join(line)}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what is installed from, as a git repository of one commit; a blank in its path."""
    folder = tmp_path_factory.mktemp("a clone") / "janus-eval"
    apart = shutil.ignore_patterns(".*", "tests", "build", "dist", "runs", "*.egg-info", "__pycache__", "docs")
    shutil.copytree(ROOT, folder, ignore=apart)
    call("git", "init", "-q", within=folder)
    call("git", "add", ".", within=folder)
    who = ("-c", "user.name=a", "-c", "user.email=a@localhost", "-c", "commit.gpgsign=false")
    call("git", *who, "commit", "-q", "-m", "one", within=folder)
    return folder


def installed(place: Path, *what: str) -> tuple[str, str]:
    """Install into a prefix of its own with the real pip and return the hint for `geneval` and that to renew it."""
    call(*_PIP, "install", "-q", *_ALONE, "--prefix", str(place), *what)
    shown = sysconfig.get_path("purelib", vars={"base": str(place), "platbase": str(place)})
    finders = f"import sys, site; site.addsitedir({shown!r}); sys.path.insert(0, {shown!r})\n"
    code = "from janus_eval.evals.extras import pip_line as p; print(p('geneval')); print(p('geneval', upgrade=True))"
    line = (sys.executable, "-s", "-S", "-c", finders + code)  # -S: not what the tests themselves run in
    first, renewed = call(*line, within=place).splitlines()
    return first, renewed


def holds(hint: str, within: Path) -> None:
    """Let the real pip carry a hint out, all but its last step: it must find this package and know the extra."""
    command, verb, *rest = shlex.split(hint)
    assert (command, verb) == ("pip", "install")
    told = call(*_PIP, "install", "--dry-run", *_ALONE, *rest, within=within)
    assert "Would install janus-eval-" in told and "does not provide the extra" not in told, told


def test_of_a_clone_it_names_the_clone(clone: Path, tmp_path: Path) -> None:
    hint, renewed = installed(tmp_path, str(clone))
    assert hint == f'pip install "{clone}[geneval]"' and renewed == f'pip install -U "{clone}[geneval]"'
    holds(hint, tmp_path)


def test_of_an_editable_clone_it_stays_editable(clone: Path, tmp_path: Path) -> None:
    hint, _ = installed(tmp_path, "-e", str(clone))
    assert hint == f'pip install -e "{clone}[geneval]"'
    holds(hint, tmp_path)


def test_of_a_git_address_it_names_the_commit(clone: Path, tmp_path: Path) -> None:
    commit = call("git", "rev-parse", "HEAD", within=clone).strip()
    hint, _ = installed(tmp_path, f"git+{clone.as_uri()}")
    assert hint == f'pip install "git+{clone.as_uri()}@{commit}#egg=janus-eval[geneval]"'
    holds(hint, tmp_path)


def test_of_a_wheel_it_names_the_wheel_and_of_one_that_is_gone_its_packages(clone: Path, tmp_path: Path) -> None:
    call(*_PIP, "wheel", "-q", *_ALONE[:2], "-w", str(tmp_path / "dist"), str(clone))
    (wheel,) = (tmp_path / "dist").iterdir()
    hint, _ = installed(tmp_path / "prefix", str(wheel))
    assert hint == f'pip install "{wheel}[geneval]"'
    holds(hint, tmp_path)
    wheel.rename(wheel.with_suffix(".gone"))
    (info,) = (tmp_path / "prefix").glob("lib/*/site-packages/*.dist-info")
    shown = call(
        sys.executable,
        "-c",
        f"import sys; sys.path.insert(0, {str(info.parent)!r})\n"
        "from janus_eval.evals.extras import pip_line as p; print(p('clip'))",
        within=tmp_path,
    )
    words = shlex.split(shown)
    assert words[:2] == ["pip", "install"] and {"torchvision", "scipy>=1.10", "torch>=2.4"} <= {*words}


@pytest.mark.parametrize(
    ("origin", "hint"),
    [
        (None, 'pip install "janus-eval[hf]"'),
        ("{", 'pip install "janus-eval[hf]"'),
        (
            {"url": "https://example.org/j.whl", "archive_info": {}},
            'pip install "janus-eval[hf] @ https://example.org/j.whl"',
        ),
        (
            {"url": "https://example.org/j.git", "vcs_info": {"vcs": "git", "requested_revision": "v1"}},
            'pip install "janus-eval[hf] @ git+https://example.org/j.git@v1"',
        ),
        (
            {"url": "https://example.org/$(x).whl", "archive_info": {}},
            "pip install 'janus-eval[hf] @ https://example.org/$(x).whl'",
        ),
    ],
)
def test_what_the_metadata_tells_is_what_is_said(
    origin: object, hint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tmp_path / "janus_eval-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: janus-eval\nVersion: 1.0\n")
    if origin is not None:
        (info / "direct_url.json").write_text(origin if isinstance(origin, str) else json.dumps(origin))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(extras, "_HERE", tmp_path)  # as in site-packages: beside no pyproject.toml
    assert extras.pip_line("hf") == hint


def test_an_extra_is_its_requirements_and_those_of_the_extras_in_it() -> None:
    found = extras.requirements("clip")
    assert {"open-clip-torch<4,>=3", "torchvision", "torch>=2.4"} <= {*found}
    assert len(found) == len({*found}) and not [each for each in found if "janus-eval" in each]
    assert extras.requirements("nothing") == []


def test_no_message_names_an_extra_by_itself() -> None:
    """`pip_line` alone makes these lines: a text that writes one out would be wrong of a clone."""
    folders: Sequence[str] = ("evals", "models", "benchmarks", "reports", "integrations")
    wrong = [
        f"{path.relative_to(ROOT)}:{number}"
        for folder in folders
        for path in (ROOT / folder).rglob("*.py")
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if "pip install" in line and "janus-eval[" in line
    ]
    assert wrong == []
