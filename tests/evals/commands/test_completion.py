"""A real bash asks the command what may follow."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ASK = """\
eval "$(janus-eval completion bash)"
COMP_LINE="$1" COMP_POINT=${#1} COMP_TYPE=9 COMP_WORDS=($1) COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
[[ "$1" == *" " ]] && COMP_WORDS+=("") && COMP_CWORD=$((COMP_CWORD + 1))
_python_argcomplete janus-eval "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""


def completed(line: str, folder: Path) -> list[str]:
    """Return what bash offers after a line."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    command = ["bash", "--norc", "-c", ASK, "bash", line]
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, "PATH": path}, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stderr == ""
    return [each.strip() for each in done.stdout.splitlines()]


@pytest.mark.parametrize(
    ("line", "holds", "lacks"),
    [
        ("janus-eval ", {"run", "report", "gate"}, {"pope"}),
        ("janus-eval run --max", {"--max-errors", "--max-cost"}, {"--model"}),
        ("janus-eval run -m janus-t", {"janus-toy"}, {"janus-pro-7b"}),
        ("janus-eval run -b @", {"gen", "und", "all"}, {"pope"}),  # bash breaks words at @
        ("janus-eval run -b pope,mm", {"pope,mme", "pope,mmbench"}, {"pope"}),
        ("janus-eval run -m janus-toy -a dev", {"device="}, {"dtype="}),
        ("janus-eval run -m no-such-model -a ", set(), {"device="}),
        ("janus-eval run --until ", {"predict", "observe", "score"}, set()),
        ("janus-eval run --executor ", {"local", "ray", "slurm"}, set()),
        ("janus-eval run -b mm_vet --judge-re", {"--judge-retries"}, set()),
        ("janus-eval run -b 'mm_vet --jud", set(), {"--judge-retries"}),
        ("janus-eval check janus-t", {"janus-toy"}, {"janus-pro-7b"}),
        ("janus-eval check janus-toy -a dev", {"device="}, {"dtype="}),
        ("janus-eval bundle create b.tar --asset janus-p", {"janus-pro-1b", "janus-pro-7b"}, {"pope"}),
        ("janus-eval bundle create b.tar -m janus-t", {"janus-toy"}, {"janus-pro-7b"}),
        ("janus-eval doctor gen", {"geneval"}, {"pope"}),
        ("janus-eval report -f la", {"latex"}, {"html"}),
        ("janus-eval show a-r", {"a-run/"}, set()),
    ],
)
def test_what_may_follow_is_offered(tmp_path: Path, line: str, holds: set[str], lacks: set[str]) -> None:
    (tmp_path / "a-run").mkdir()
    offered = {*completed(line, tmp_path)}
    assert holds <= offered and not lacks & offered, offered


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_a_script(shell: str) -> None:
    command = [str(Path(sys.executable).parent / "janus-eval"), "completion", shell]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert "janus-eval" in done.stdout and done.stderr == ""
