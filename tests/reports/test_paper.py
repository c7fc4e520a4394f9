"""Tables for a paper: whole floats, escaped texts, a key in the .bib for each \\cite."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from janus_eval.evals.commands.cli import main
from janus_eval.evals.errors import UsageError
from janus_eval.reports import reported
from janus_eval.reports.bibliography import bibliography, key
from janus_eval.reports.paper import fragment
from janus_eval.reports.report import Paper, report
from janus_eval.reports.table import Cell, Group, Head, Row, Table
from support import runs


def is_balanced(tex: str) -> bool:
    """Say whether braces match, escaped ones aside, and each environment is ended by its own name."""
    bare = re.sub(r"(?m)^%.*$", "", tex.replace(r"\{", "").replace(r"\}", ""))
    depth, open_ = 0, []
    for char in bare:
        depth += (char == "{") - (char == "}")
        if depth < 0:
            return False
    for end, name in re.findall(r"\\(begin|end)\{([a-z*]+)\}", bare):
        if end == "begin":
            open_.append(name)
        elif not open_ or open_.pop() != name:
            return False
    return depth == 0 and not open_


def hostile(text: str, *, source: str = "me") -> Table:
    """Return a table whose every text is `text`."""
    heads = (Head("model", text, number=False), Head("x", text))
    row = Row((Cell(f"{text} [{source}]"), Cell(f"0.5 ±0.1 ({text})")), source=source, named_source=True)
    return Table("odd_key", text, heads, (Group(text, (row,)),), (text,))


def test_a_fragment_is_whole_floats_without_a_document(tmp_path: Path) -> None:
    runs.write(tmp_path, runs.spec("my_model"), runs.scores(share=4))
    tex = report([tmp_path], form="latex", which=["geneval"], paper=Paper())
    assert is_balanced(tex) and r"\documentclass" not in tex
    assert tex.count(r"\begin{table}") == 1 and r"\caption{GenEval." in tex and r"\label{tab:geneval}" in tex
    assert r"$\triangleright$\,my\_model" in tex and r"{\tiny\,$\pm$\," in tex
    assert re.search(r"^% geneval\|my_model\|", tex, re.MULTILINE)  # what was run, in a comment
    rows = [line.count(" & ") for line in tex.splitlines() if line.endswith(r" \\") and "multicolumn" not in line]
    assert set(rows) == {7}


def test_wide_is_over_both_columns() -> None:
    tex = report(form="latex", paper=Paper(wide=True))
    assert tex.count(r"\begin{table*}[t]") == tex.count(r"\end{table*}") == len(reported.layouts()) and is_balanced(tex)


@pytest.mark.parametrize("text", [r"\input{/etc/passwd}", "}{$%&#_^~", "a\\\\[1ex]*", "^^M\nnext % end", "{\\", "表"])
def test_hostile_texts_stand_in_a_fragment_as_they_are(text: str) -> None:
    tex = fragment([hostile(text)], [text])
    assert is_balanced(tex) and r"\input{" not in re.sub(r"(?m)^%.*$", "", tex)


def test_equal_remarks_share_a_letter_below_the_table() -> None:
    heads = (Head("model", "Model", number=False), Head("x", "X"), Head("y", "Y"))
    row = Row((Cell("mine"), Cell("0.5 ±0.1 (threshold 0.5)"), Cell("0.6 (threshold 0.5) (part)")), kind="measured")
    tex = fragment([Table("t", "T", heads, (Group("", (row,)),))])
    assert r"0.5{\tiny\,$\pm$\,0.1}\textsuperscript{a} & 0.6\textsuperscript{b} \\" in tex
    assert r"\textsuperscript{a}\,threshold 0.5\par" in tex
    assert r"\textsuperscript{b}\,threshold 0.5; over a part\par" in tex


def test_each_source_has_one_entry_and_each_cite_its_key() -> None:
    sources = {row.source for row in reported.load()}
    bib = bibliography()
    keys = re.findall(r"(?m)^@[a-z]+\{(.+),$", bib)
    assert len(keys) == len(set(keys)) and {key(source) for source in sources} == set(keys)
    cited = re.findall(r"\\cite\{([^}]+)\}", report(form="latex", paper=Paper(wide=True)))
    assert {each for group in cited for each in group.split(",")} <= set(keys)
    assert "eprint = {2501.17811}" in bib and bib.count("note = {Read 2026-11-2") == len(keys) - 1


@pytest.mark.parametrize("source", ["my thesis, p. 3 {draft", "https://example.org/a_b?c=1", "} @misc{x, \\", "表"])
def test_a_source_of_ones_own_has_an_entry_that_bibtex_can_count(source: str) -> None:
    bib = bibliography([source])
    assert f"@misc{{{key(source)}," in bib
    assert bib.count("{") == bib.count("}")  # BibTeX counts escaped ones too


def test_the_command_writes_a_fragment_and_its_bib(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tex, bib = tmp_path / "t.tex", tmp_path / "refs.bib"
    asked = ["report", "-f", "latex", "--fragment", "--wide", "--table", "geneval,understanding"]
    assert main([*asked, "-o", str(tex), "--bib", str(bib)]) == 0
    labels = re.findall(r"\\label\{(.+)\}", tex.read_text())
    assert labels == ["tab:geneval", "tab:understanding"] and "@article{chen2025janus," in bib.read_text()
    assert capsys.readouterr().err == ""
    assert main(["report", "--fragment"]) == 2 and "add -f latex" in capsys.readouterr().err
    assert main(["report", "-f", "latex", "--wide"]) == 2
    with pytest.raises(UsageError, match=r"no table 'genevil' here; did you mean 'geneval'\?"):
        report(which=["genevil"])


def test_a_table_that_must_be_shrunk_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    report(form="latex", which=["understanding"], paper=Paper())
    assert "table understanding is shrunk to about" in capsys.readouterr().err
    report(form="latex", which=["understanding"], keep=["pope"], paper=Paper())
    assert capsys.readouterr().err == ""
