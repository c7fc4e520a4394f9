"""Tables for a paper under a real TeX: `tox -e latex`, apart from the suite because it wants pdflatex and bibtex."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from janus_eval.reports.bibliography import bibliography
from janus_eval.reports.paper import fragment
from janus_eval.reports.report import Paper, report
from janus_eval.reports.table import Cell, Group, Head, Row, Table
from support import runs

PREAMBLES = {
    "one column": (r"\documentclass{article}", "plain"),
    "two columns": (r"\documentclass[twocolumn]{article}", "plain"),
    # stands in for ACL's and CVPR's style files, which no registry has
    "conference": (r"\documentclass[conference]{IEEEtran}", "IEEEtran"),
}
UGLY = r"\input{x} }{ $ % & # _ ^ ~ \\[1ex]* ^^M {\ 表 <b>"


def ugly() -> Table:
    heads = (Head("model", UGLY, number=False), Head("x", "X"))
    row = Row((Cell(f"{UGLY} [{UGLY}]"), Cell(f"0.5 ±0.1 ({UGLY})")), source=UGLY, named_source=True)
    return Table("ugly", UGLY, heads, (Group(UGLY, (row,)),), (UGLY,))


def long() -> Table:
    """Return a table that is taller than any page."""
    heads = (Head("model", "Model", number=False), Head("x", "X"))
    rows = tuple(Row((Cell(f"model {number}"), Cell("0.50"))) for number in range(120))
    return Table("long", "A long table", heads, (Group("", rows),), ("A remark of some words. " * 20,))


def call(folder: Path, *command: str) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace", timeout=120)
    assert done.returncode == 0, done.stdout[-2000:]
    return done.stdout


@pytest.mark.parametrize("name", PREAMBLES)
def test_the_tables_stand_in_a_paper_and_fit_its_lines(tmp_path: Path, name: str) -> None:
    head, style = PREAMBLES[name]
    runs.write(tmp_path / "runs", runs.spec("my_model"), runs.scores(share=4))
    tables = [
        report([tmp_path / "runs"], form="latex", which=["geneval"], paper=Paper()),
        report([tmp_path / "runs"], form="latex", which=["beside"], paper=Paper(wide=True)),
        report(form="latex", which=["understanding"], paper=Paper(wide=True)),
        report(form="latex", which=["dpg_bench"], paper=Paper()),
        fragment([ugly()], [UGLY]),
        fragment([long()]),
    ]
    (tmp_path / "refs.bib").write_text(bibliography([UGLY]))
    packages = r"\usepackage[T1]{fontenc}\usepackage{textcomp,booktabs,graphicx,url}"
    text = "Words around the tables. " * 200
    body = f"\n{text}\n\n".join(tables)
    end = rf"\nocite{{*}}\bibliographystyle{{{style}}}\bibliography{{refs}}\end{{document}}"
    (tmp_path / "p.tex").write_text(rf"{head}{packages}\begin{{document}}" + "\n" + body + text + end)
    latex = ("pdflatex", "-interaction=nonstopmode", "-halt-on-error", "p")
    call(tmp_path, *latex)
    assert "error" not in call(tmp_path, "bibtex", "p").lower()
    call(tmp_path, *latex)
    call(tmp_path, *latex)
    log = (tmp_path / "p.log").read_text(errors="replace")
    assert "undefined" not in log and not re.search(r"Overfull \\hbox.*in (paragraph|alignment).*\n.*midrule", log)
    wide = [float(each) for each in re.findall(r"Overfull \\hbox \(([\d.]+)pt", log)]
    assert max(wide, default=0) < 30  # long addresses in the bibliography, never a table
    assert "Float too large" not in log and r"Overfull \vbox" not in log
