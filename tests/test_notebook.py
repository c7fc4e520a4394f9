"""examples/notebook.ipynb: each cell runs in its order, in a process of its own, and it is kept without outputs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PATH = Path(__file__).parents[1] / "examples" / "notebook.ipynb"
_RUNNER = """\
import ast, json, sys
space = {"__name__": "__main__"}
for number, source in enumerate(json.load(sys.stdin)):
    tree = ast.parse(source, f"cell {number}")
    shown = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, f"cell {number}", "exec"), space)
    if shown is not None:  # as a notebook shows a cell's last expression
        print(eval(compile(ast.Expression(shown.value), f"cell {number}", "eval"), space))
    print(f"-- cell {number}")
"""


@pytest.fixture(scope="module")
def notebook() -> dict[str, Any]:
    return json.loads(PATH.read_text(encoding="utf-8"))


def test_it_is_a_notebook_without_outputs(notebook: dict[str, Any]) -> None:
    assert (notebook["nbformat"], notebook["metadata"]["kernelspec"]["name"]) == (4, "python3")
    ids = [each["id"] for each in notebook["cells"]]
    assert len(ids) == len({*ids})
    for each in notebook["cells"]:
        assert each["cell_type"] in ("markdown", "code") and all(isinstance(line, str) for line in each["source"])
        assert each["cell_type"] == "markdown" or (each["outputs"], each["execution_count"]) == ([], None)


def test_its_cells_run_one_after_the_other(notebook: dict[str, Any], tmp_path: Path) -> None:
    cells = ["".join(each["source"]) for each in notebook["cells"] if each["cell_type"] == "code"]
    done = subprocess.run(
        [sys.executable, "-c", _RUNNER],
        input=json.dumps(cells),
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        timeout=600,
        env=os.environ | {"HF_HUB_OFFLINE": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    shown = done.stdout.split("-- cell ")
    assert len(shown) == len(cells) + 1
    assert "geneval 32 of 32 outputs have a verdict" in shown[1] and "pope 8 of 8" in shown[1]
    assert "official/mean_f1 (part)" in shown[2] and "(part)" not in shown[3]
    f1 = [line.split()[1] for line in shown[3].splitlines() if line.startswith("official/mean_f1 ")]
    assert [float(each) for each in f1] == [0]  # of one that never says yes
    assert "random,popular,adversarial" in shown[5]
    assert shown[6].count("finished") == 3
