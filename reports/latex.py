"""Tables as a LaTeX document: booktabs, compiles with pdflatex and nothing beyond texlive-latex-recommended."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from .plain import name
from .table import Cell, Row, Table

_ASCII = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "%": r"\%",
    "#": r"\#",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar\allowbreak{}",
    '"': r"\textquotedbl{}",
    "'": r"\textquotesingle{}",
    "`": r"\textasciigrave{}",
    "-": r"{-}",  # two in a row would become a dash
    "[": r"{[}",  # after \\ it would open an optional argument
    "]": r"{]}",
    "*": r"{*}",  # after \\ it would be read as its star
    ",": r"{,}",  # two would become a quotation mark in T1
    "!": r"{!}",
    "?": r"{?}",
}
_SYMBOLS = {
    "†": r"\textsuperscript{\textdagger}",
    "‡": r"\textsuperscript{\textdaggerdbl}",
    "±": r"$\pm$",
    "−": r"$-$",
    "–": r"\textendash{}",
    "—": r"\textemdash{}",
    "×": r"$\times$",
    "≥": r"$\geq$",
    "≤": r"$\leq$",
    "→": r"$\to$",
    "·": r"$\cdot$",
    "…": r"\ldots{}",
    "°": r"\textdegree{}",
    "\N{BLACK RIGHT-POINTING SMALL TRIANGLE}": r"$\triangleright$",
    "α": r"$\alpha$",
    "β": r"$\beta$",
    "γ": r"$\gamma$",
    "δ": r"$\delta$",
    "λ": r"$\lambda$",
    "μ": r"$\mu$",
    "π": r"$\pi$",
    "σ": r"$\sigma$",
    "Δ": r"$\Delta$",
    "Σ": r"$\Sigma$",
    "Ω": r"$\Omega$",
    "“": r"\textquotedblleft{}",
    "”": r"\textquotedblright{}",
    "‘": r"\textquoteleft{}",
    "’": r"\textquoteright{}",
}
COMMANDS = {**_ASCII, **_SYMBOLS}
"""Each character that is not printed by itself, and the command that prints it."""

_HEAD = r"""\documentclass[10pt]{article}
% Made by janus-eval report. In a paper of your own: \usepackage{booktabs,longtable,textcomp}, then copy a table.
\usepackage[T1]{fontenc}
\IfFileExists{lmodern.sty}{\usepackage{lmodern}}{}
\usepackage[utf8]{inputenc}
\usepackage{textcomp,array,booktabs,longtable}
\usepackage[a4paper,landscape,margin=15mm]{geometry}
\setlength{\LTleft}{0pt plus 1fill}\setlength{\LTright}{0pt plus 1fill}
\begin{document}
"""


def escape(text: str) -> str:
    """Return `text` so that pdflatex prints it as it is; a character without a glyph is named U+XXXX."""
    return "".join(map(_escaped, text))


def _escaped(char: str) -> str:
    if char in COMMANDS:
        return COMMANDS[char]
    if char.isascii() or (char.isalpha() and _has_glyph(char)):
        return char
    if char == "\N{NO-BREAK SPACE}":
        return "~"
    return rf"\texttt{{U+{ord(char):04X}}}"


def _has_glyph(char: str) -> bool:
    """Say whether inputenc's utf8 knows the letter in T1: Latin-1's letters, and a few of Latin Extended-A."""
    return "\u00c0" <= char <= "\u00ff" or (
        "\u0100" <= char <= "\u017e"
        and len(unicodedata.normalize("NFD", char)) == 2
        and unicodedata.normalize("NFD", char)[1] in "\u030c\u0301\u0306\u0328\u030b\u030a"
        and char in "ĂăĄąĆćČčĎďĚěĘęĞğĹĺĽľŃńŇňŐőŔŕŘřŚśŠšŤťŮůŰűŹźŽž"
    )


def document(tables: Sequence[Table]) -> str:
    """Return a whole document, one longtable a table; best bold, second underlined."""
    return _HEAD + "\n".join(map(_table, tables)) + "\\end{document}"


def _table(table: Table) -> str:
    sides, size = _layout(table)
    heads = " & ".join(rf"\textbf{{{escape(head.text)}}}" for head in table.heads) + r" \\"
    lines = [
        rf"\begingroup{size}",
        rf"\begin{{longtable}}{{@{{}}{sides}@{{}}}}",
        rf"\multicolumn{{{len(table.heads)}}}{{c}}{{\normalsize {escape(table.title)}}} \\[1ex]",
        r"\toprule",
        heads,
        r"\midrule",
        r"\endhead",
        r"\bottomrule",
        r"\endfoot",
    ]
    for number, group in enumerate(table.groups):
        if group.name:
            lines += [r"\midrule"] if number else []
            lines.append(rf"\multicolumn{{{len(table.heads)}}}{{@{{}}l@{{}}}}{{\textit{{{escape(group.name)}}}}} \\")
        lines += [_row(row) for row in group.rows]
    lines += [r"\end{longtable}", r"\endgroup"]
    lines += [rf"\noindent{{\footnotesize {escape(note)}\par}}" for note in table.notes]
    return "\n".join([*lines, r"\clearpage", ""])


_LINE = {r"\small": 130, r"\scriptsize\setlength{\tabcolsep}{3pt}": 190}
"""About how many characters fit on a landscape line in each size."""


def _layout(table: Table) -> tuple[str, str]:
    """Return column types and size: words too long for the line share what the short columns leave."""
    columns = [[head.text, *(row.cells[i].text for _, row in table.rows())] for i, head in enumerate(table.heads)]
    longest = [max(map(len, column)) + 2 for column in columns]
    size = next((size for size, room in _LINE.items() if sum(longest) <= room), list(_LINE)[-1])
    room = _LINE[size]
    long = [i for i, head in enumerate(table.heads) if not head.number and longest[i] > 18 and sum(longest) > room]
    rest = room - sum(each for i, each in enumerate(longest) if i not in long)
    weights = {i: min(longest[i], 80) for i in long}
    sides = ["r" if head.number else "l" for head in table.heads]
    for i, weight in weights.items():
        share = max(0.05, 0.96 * rest / room * weight / sum(weights.values()))
        sides[i] = rf">{{\raggedright\arraybackslash}}p{{{share:.3f}\linewidth}}"
    return "".join(sides), size


def _row(row: Row) -> str:
    first = Cell(name(row, row.cells[0]), rank=row.cells[0].rank)
    return " & ".join(map(_cell, (first, *row.cells[1:]))) + r" \\"


def _cell(cell: Cell) -> str:
    text = escape(cell.text)
    return {"best": rf"\textbf{{{text}}}", "second": rf"\underline{{{text}}}"}.get(cell.rank, text)
