"""What an installed wheel does with nothing but its dependencies: `python tests/install/try_wheel.py`, `tox -e wheel`.

Run by the interpreter of a clean environment, in a folder of its own: the commands that need no extra end well, those
that need one name a line that brings it, and every data file came along.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from importlib.metadata import distribution
from importlib.util import find_spec
from pathlib import Path

ANSWERS = [{"id": str(n), "category": "random", "answer": "yes", "response": "Yes."} for n in range(3)]


def command(*arguments: str, code: int = 0) -> str:
    """Return what `janus-eval` prints, and stop where its exit code is another one."""
    program = Path(sys.executable).with_name("janus-eval")
    env = {key: each for key, each in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run([str(program), *arguments], capture_output=True, text=True, check=False, env=env)
    told = f"janus-eval {' '.join(arguments)}: exit code {done.returncode}\n{done.stdout}{done.stderr}"
    assert done.returncode == code, told
    assert "Traceback" not in done.stderr, told
    return done.stdout if code == 0 else done.stderr


def main() -> None:
    """Run the checks; an AssertionError says which failed."""
    here = distribution("janus-eval")
    files = {str(each) for each in here.files or ()}
    for name in ("py.typed", "models/toy/janus/model.safetensors", "models/services.toml", "reports/reported.toml"):
        assert f"janus_eval/{name}" in files, f"the wheel lacks {name}"
    assert not [each for each in files if each.startswith(("tests/", "janus_eval/tests", "janus_eval/docs"))]
    assert find_spec("torch") is None, "not a clean environment: torch is there"

    assert command("--version").startswith(here.version)
    names = json.loads(command("list", "--json"))
    assert {"geneval", "dpg_bench", "pope"} <= {*names["benchmarks"]} and "janus-pro-7b" in names["models"]
    json.loads(command("doctor", "--json"))
    json.loads(command("data", "list", "--json"))
    assert len(command("data", "export", "geneval").splitlines()) == 553

    Path("answers.jsonl").write_text("".join(json.dumps(each) + "\n" for each in ANSWERS), encoding="utf-8")
    assert json.loads(command("score", "-b", "pope", "answers.jsonl", "--json"))["metrics"]
    run = ("run", "-m", "always-yes", "-b", "pope", "--data", "toy", "-l", "4", "-o", "runs")
    record = json.loads(command(*run, "--json"))[0]
    assert record["counts"]["scored"] == record["counts"]["expected"] > 0
    assert "always-yes" in command("report", "runs")

    lacks = command("run", "-m", "janus-toy", "-b", "geneval", "-l", "1", "-o", "toy", code=6)
    assert "needs the package torch: pip install " in lacks and "[geneval]" in lacks, lacks
    print(f"ok: janus-eval {here.version} on Python {sys.version.split()[0]}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        main()
        os.chdir("/")
