"""One Table model: the formats cannot disagree, and hostile text breaks none of them."""

from __future__ import annotations

import csv
import html.parser
import io
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from janus_eval.evals import screen
from janus_eval.evals.errors import UsageError
from janus_eval.reports import latex, plain, table
from janus_eval.reports.render import render
from janus_eval.reports.table import Cell, Group, Head, Row, Table
from markdown_it import MarkdownIt  # rich brings it

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    r"\input{/etc/passwd} $x_1$ 50% #1 {a} ~ ^ & _",
    "a | b | c",
    "**bold** _em_ `code` [link](http://evil) ![x](y)",
    "line\nbreak\r\n\ttab",
    "\x1b[31mred\x1b[0m \u202eright to left\u202c",
    '=HYPERLINK("http://evil")',
    "@SUM(A1)",
    "日本語 émigré ß Ł 🎨",
    "-- --- '' `` \\\\[2em] ?` !`",
    "U+0041 [U+0041]",
    "",
]


def one_table(texts: list[list[str]], title: str = "Title") -> Table:
    width = max(map(len, texts))
    rows = tuple(Row(tuple(Cell(each) for each in [*line, *[""] * (width - len(line))])) for line in texts)
    heads = tuple(Head(f"c{number}", f"Column {number}", number=number > 0) for number in range(width))
    return Table("key", title, heads, (Group("A group", rows),), notes=(title,))


# -- reading each format back -------------------------------------------------------------------------


class Cells(html.parser.HTMLParser):
    """Collects the texts of <td>, and every tag and attribute that the page has."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag == "tr":
            self.rows.append([])
        if tag == "td":
            self.inside = True
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        if tag == "td":
            self.inside = False

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.rows[-1][-1] += data


def from_html(text: str) -> list[list[str]]:
    reader = Cells()
    reader.feed(text)
    return [row for row in reader.rows if row]


def from_json(text: str) -> list[list[str]]:
    tables = json.loads(text)["tables"]
    return [[c["text"] for c in row["cells"]] for t in tables for group in t["groups"] for row in group["rows"]]


def from_csv(text: str) -> list[list[str]]:
    rows = list(csv.reader(io.StringIO(text)))[1:]
    return [[cell[1:] if re.match(r"'[=+@-]", cell) else cell for cell in row[3:]] for row in rows if row]


def from_markdown(text: str) -> list[list[str]]:
    page = MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(text)
    rows = from_html(page)
    return [row for row in rows if row[0] != "A group"]


def from_latex(text: str) -> list[list[str]]:
    body = text[text.index(r"\endfoot") : text.index(r"\end{longtable}")]
    lines = [line.removesuffix(r" \\") for line in body.splitlines()[1:]]
    return [[unescape_latex(part) for part in re.split(r"(?<!\\) & ", line)] for line in lines[1:]]


def unescape_latex(text: str) -> str:
    back = {command: char for char, command in latex.COMMANDS.items()} | {"~": "\N{NO-BREAK SPACE}"}
    commands = "|".join(re.escape(each) for each in sorted(back, key=len, reverse=True))

    def char(match: re.Match[str]) -> str:
        return chr(int(match[1], 16)) if match[1] else back[match[0]]

    return re.sub(rf"\\texttt\{{U\+([0-9A-F]{{4,6}})\}}|{commands}", char, text)


READERS = {"html": from_html, "json": from_json, "csv": from_csv, "markdown": from_markdown, "latex": from_latex}
# Text without the characters that are spelled out (see `clean`), and not our own spelling of a missing glyph.
TEXT = st.text(st.characters(exclude_categories=("C", "Z")) | st.just(" "), max_size=12).map(str.strip)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.lists(TEXT, min_size=3, max_size=3), min_size=1, max_size=3))
def test_all_formats_hold_the_same_cells(texts: list[list[str]]) -> None:
    whole = one_table(texts)
    expected = [[screen.clean(each) for each in row] for row in texts]
    for form, reader in READERS.items():
        found = [[" ".join(cell.split()) for cell in row] for row in reader(render([whole], form))]  # type: ignore[arg-type]  # a Format
        assert found == [[" ".join(cell.split()) for cell in row] for row in expected], form


def test_the_terminal_table_holds_the_same_cells() -> None:
    shown = render([one_table([["first row", "1.5", "2"], ["second", "-", "3.25"]])], "text")
    assert [re.split(r"\s{2,}", line.strip()) for line in shown.splitlines()[4:6]] == [
        ["first row", "1.5", "2"],
        ["second", "-", "3.25"],
    ]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_comes_back_as_it_went_in(text: str) -> None:
    whole = one_table([[text, text, "end"]], title=text or "none")
    for form, reader in READERS.items():
        rows = reader(render([whole], form))  # type: ignore[arg-type]  # a Format
        assert len(rows) == 1
        wanted = " ".join(screen.clean(text).split())
        assert [" ".join(cell.split()) for cell in rows[0]] == [wanted, wanted, "end"], form


def test_no_tag_or_handler_comes_from_a_text() -> None:
    page = render([one_table([HOSTILE])], "html")
    reader = Cells()
    reader.feed(page)
    assert not reader.tags & {"img", "iframe", "object", "a", "form", "input", "b", "u"}
    assert not {each for each in reader.attributes if each.startswith("on")} | reader.attributes & {"src", "href"}
    assert page.count("<script>") == 1
    reader = Cells()
    reader.feed(MarkdownIt("commonmark").enable("table").render(render([one_table([HOSTILE])], "markdown")))
    assert not reader.tags - {"h3", "table", "thead", "tbody", "tr", "th", "td", "em", "ul", "li"}
    assert "default-src 'none'" in page


def test_the_terminal_never_gets_an_escape_code_from_a_text() -> None:
    shown = render([one_table([["\x1b]0;title\x07", "\x9b31m", "\u202e"]])], "text")
    assert not any((ord(char) < 32 and char != "\n") or char in "\x9b\u202e" for char in shown)
    assert r"\u001b]0;title\u0007" in shown


def test_a_formula_is_no_formula_and_a_number_stays_one() -> None:
    rows = list(csv.reader(io.StringIO(render([one_table([["=1+1", "-0.5", "+0.3 ±0.1", "-cmd", "-"]])], "csv"))))
    assert rows[1][3:] == ["'=1+1", "-0.5", "+0.3 ±0.1", "'-cmd", "-"]


def test_best_is_bold_and_second_underlined_within_a_group() -> None:
    rows = tuple(
        Row((Cell(str(v)), Cell(str(v), v)), ranked=ranked) for v, ranked in [(3, True), (9, False), (2, True)]
    )
    more = (Row((Cell("x"), Cell("7", 7)), ranked=True), Row((Cell("y"), Cell("7", 7)), ranked=True))
    whole = table.ranked(Table("k", "t", (Head("m", "M"), Head("v", "V")), (Group("a", rows), Group("b", more))))
    ranks = [row.cells[1].rank for _, row in whole.rows()]
    assert ranks == ["best", "", "second", "", ""]  # the unranked 9 is passed over; 7 and 7: nothing to rank
    assert "**3**" in render([whole], "markdown")
    assert r"\textbf{3}" in render([whole], "latex")
    assert "<b>3</b>" in render([whole], "html")
    assert "3*" in render([whole], "text")
    assert "\x1b[1m3\x1b[0m" in render([whole], "text", color=True)


def test_ties_share_the_first_place() -> None:
    rows = tuple(Row((Cell("m"), Cell(str(v), v)), ranked=True) for v in (5, 5, 4))
    whole = table.ranked(Table("k", "t", (Head("m", "M"), Head("v", "V")), (Group("", rows),)))
    assert [row.cells[1].rank for _, row in whole.rows()] == ["best", "best", ""]


def test_sorting_puts_the_best_first_and_the_empty_last() -> None:
    rows = tuple(
        Row((Cell(name), Cell("" if v is None else str(v), v))) for name, v in [("a", 1), ("b", None), ("c", 2)]
    )
    whole = [Table("k", "t", (Head("m", "M"), Head("v", "V")), (Group("", rows),))]
    assert [row.cells[0].text for _, row in table.sort(whole, "v")[0].rows()] == ["c", "a", "b"]
    assert [row.cells[0].text for _, row in table.sort(whole, "-v")[0].rows()] == ["a", "c", "b"]
    with pytest.raises(UsageError, match="no column 'w'"):
        table.sort(whole, "w")


def test_columns_keep_the_name_of_the_row() -> None:
    whole = one_table([["a", "1", "2", "3"]])
    cut = table.columns([whole], ["c2"])[0]
    assert [head.key for head in cut.heads] == ["c0", "c2"]
    assert [cell.text for cell in cut.rows()[0][1].cells] == ["a", "2"]
    with pytest.raises(UsageError, match="did you mean 'c2'"):
        table.columns([whole], ["cc2"])


def test_a_measured_row_is_marked_where_looks_cannot_set_it_apart() -> None:
    whole = Table("k", "t", (Head("m", "M"),), (Group("", (Row((Cell("mine"),), "measured"),)),))
    for form in ("text", "markdown"):
        assert plain.MEASURED + "mine" in render([whole], form)  # type: ignore[arg-type]  # a Format
    assert 'class="measured"' in render([whole], "html")
    assert json.loads(render([whole], "json"))["tables"][0]["groups"][0]["rows"][0]["kind"] == "measured"


def test_every_brace_of_the_latex_is_closed() -> None:
    text = render([one_table([HOSTILE])], "latex")
    depth = 0
    for token in re.findall(r"\\.|[{}]", text, flags=re.DOTALL):
        depth += {"{": 1, "}": -1}.get(token, 0)
        assert depth >= 0
    assert depth == 0
    assert text.count(r"\begin{") == text.count(r"\end{")
    assert all(ord(char) < 0x180 for char in text)  # what pdflatex's utf8 table knows


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex; the checks above run everywhere")
def test_pdflatex_takes_it(tmp_path: Path) -> None:
    (tmp_path / "t.tex").write_text(render([one_table([HOSTILE])], "latex"), encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "t.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", timeout=120)
    assert done.returncode == 0, done.stdout[-2000:]


def test_an_unknown_format_is_named() -> None:
    with pytest.raises(UsageError, match="expected one of text, markdown"):
        render([], "pdf")  # type: ignore[arg-type]  # on purpose
