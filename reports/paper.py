"""Tables to be \\input into a paper: floats of one or two columns that fit their width, with \\cite keys."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ..evals.screen import clean
from .bibliography import key
from .latex import escape
from .table import Cell, Head, Row, Table, columns

_HEAD = r"""% Made by janus-eval report --fragment. The preamble needs:
%   \usepackage[T1]{fontenc} \usepackage{textcomp,booktabs,graphicx}"""
_SPARE = {"beside": ("measured", "interval", "reported", "difference", "verdict")}
"""The columns of a table that has too many for a page."""
_VALUE = re.compile(
    r"(?P<value>[\d.]+)(?P<half> ±[\d.]+| \[[\d., ]+\])?(?: \((?!part\))(?P<told>.*?)\))?(?P<mark> \(part\))?"
)
_ROOM = {False: (46, 56, 68), True: (96, 116, 138)}
"""About how many characters a line holds in \\small, \\footnotesize and \\scriptsize, in one column and in two."""
_SIZES = (r"\small", r"\footnotesize\setlength{\tabcolsep}{4pt}", r"\scriptsize\setlength{\tabcolsep}{2.5pt}")
_LEADS = (11.0, 9.5, 8.0)
"""How many points a line of each size takes."""
_PAGE = 550.0
"""How many points tall article's page is, the lowest of those that the tables were set in."""


@dataclass
class _Marks:
    """Remarks that stand below a table, each called by a letter where it belongs."""

    told: list[str] = field(default_factory=list[str])

    def mark(self, remark: str) -> str:
        """Return the raised letter of a remark; equal remarks share one."""
        if remark not in self.told:
            self.told.append(remark)
        return rf"\textsuperscript{{{self._letter(self.told.index(remark))}}}"

    def notes(self) -> list[str]:
        """Return the remarks behind their letters."""
        return [rf"\textsuperscript{{{self._letter(i)}}}\,{escape(each)}" for i, each in enumerate(self.told)]

    @staticmethod
    def _letter(number: int) -> str:
        more, last = divmod(number, 26)
        return (chr(ord("a") + more - 1) if more else "") + chr(ord("a") + last)


def fragment(tables: Sequence[Table], signatures: Iterable[str] = (), *, wide: bool = False) -> str:
    """Return floats without a document: `table`, or `table*` over both columns with `wide`.

    `signatures` say in comments what was run. Each table is set in the largest of three sizes that should hold
    it and shrunk to the line where it does not; remarks of cells stand below it, behind letters.
    """
    lines = [_HEAD, *(f"% {clean(each)}" for each in dict.fromkeys(signatures))]
    return "\n".join([*lines, *(_float(each, wide=wide) for each in tables)])


def widths(tables: Sequence[Table], *, wide: bool = False) -> list[tuple[str, float]]:
    """Return (key, share) of the tables that are shrunk below \\scriptsize: to about which share of it."""
    found = [(each.key, _ROOM[wide][-1] / _length(_spare(each))) for each in tables]
    return [(key, share) for key, share in found if share < 1]


def _spare(table: Table) -> Table:
    keep = _SPARE.get(table.key)
    return columns([table], [each.key for each in table.heads if each.key in keep])[0] if keep else table


def _float(table: Table, *, wide: bool) -> str:
    table = _spare(table)
    marks = _Marks()
    name = "table*" if wide else "table"
    sides = "".join("r" if head.number else "l" for head in table.heads)
    heads = " & ".join(map(_head, table.heads))
    body: list[str] = []
    for number, group in enumerate(table.groups):
        body += [r"\midrule"] if number else []
        if group.name:
            body.append(rf"\multicolumn{{{len(table.heads)}}}{{@{{}}l@{{}}}}{{\textit{{{escape(group.name)}}}}} \\")
        body += [_row(row, marks) for row in group.rows]
    below = [*map(escape, _notes(table)), *marks.notes()]
    caption = _caption(table)
    around = _around(caption, below, wide=wide)
    fitted = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"
    tall = rf"\dimexpr\textheight-{around:.0f}pt\relax"
    lowered = rf"\resizebox*{{!}}{{\ifdim\totalheight>{tall}{tall}\else\totalheight\fi}}{{%"
    return "\n".join(
        [
            rf"\begin{{{name}}}[t]",
            r"\centering",
            rf"\caption{{{caption}}}",
            rf"\label{{tab:{_label(table.key)}}}",
            _size(table, _PAGE - around, wide=wide),
            lowered,
            fitted,
            rf"\begin{{tabular}}{{@{{}}{sides}@{{}}}}",
            r"\toprule",
            rf"{heads} \\",
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}}}",
            *([r"\par\smallskip\begin{minipage}{\linewidth}\scriptsize\raggedright"] if below else []),
            *(rf"{each}\par" for each in below),
            *([r"\end{minipage}"] if below else []),
            rf"\end{{{name}}}",
            "",
        ]
    )


def _caption(table: Table) -> str:
    quoted = [row.source for _, row in table.rows() if row.source and not row.named_source]
    text = f"{escape(table.title)}."
    if quoted:
        text += rf" Rows without a mark are as reported in~\cite{{{','.join(dict.fromkeys(map(key, quoted)))}}}."
    if any(row.kind == "measured" for _, row in table.rows()) and table.key != "beside":
        text += r" $\triangleright$: measured with janus-eval."
    ranks = {cell.rank for _, row in table.rows() for cell in row.cells}
    return text + (r" Best in bold, second underlined, within each group." if ranks - {""} else "")


def _head(head: Head) -> str:
    """Return a heading; the words of a column of numbers stand one over the other."""
    bold = [rf"\textbf{{{escape(each)}}}" for each in _words(head)]
    stacked = r" \\ ".join(bold)
    return rf"\shortstack[r]{{{stacked}}}" if len(bold) > 1 else stacked


def _words(head: Head) -> list[str]:
    return head.text.replace(" %", "\N{NO-BREAK SPACE}%").split(" ") if head.number else [head.text]


def _label(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-")


def _notes(table: Table) -> list[str]:
    """Return the table's own notes: sources are cited, signatures stand in comments."""
    sources = {row.source for _, row in table.rows() if row.source}
    kept = [each for each in table.notes if not any(each.startswith(f"{s}:") or each == f"{s}." for s in sources)]
    return [] if table.key == "beside" else kept


def _row(row: Row, marks: _Marks) -> str:
    first, *rest = row.cells
    name = first.text.removesuffix(f" [{row.source}]")
    shown = escape(name) + (rf"~\cite{{{key(row.source)}}}" if row.named_source else "")
    shown = (r"$\triangleright$\," if row.kind == "measured" else "") + shown
    return " & ".join([shown, *(_cell(each, marks) for each in rest)]) + r" \\"


def _cell(cell: Cell, marks: _Marks) -> str:
    found = _VALUE.fullmatch(cell.text)
    if found is None:  # words: what follows a colon stands below
        head, colon, told = cell.text.partition(": ")
        return escape(head) + (marks.mark(told) if colon else "")
    text = escape(found["value"])
    text = {"best": rf"\textbf{{{text}}}", "second": rf"\underline{{{text}}}"}.get(cell.rank, text)
    if found["half"]:
        half = found["half"].strip().replace("±", r"$\pm$\,")
        text += rf"{{\tiny\,{half}}}"
    said = [each for each in (found["told"], "over a part" if found["mark"] else "") if each]
    return text + (marks.mark("; ".join(said)) if said else "")


def _around(caption: str, below: Sequence[str], *, wide: bool) -> float:
    """Return about how many points caption and remarks take above and below the table itself."""
    line, small = _ROOM[wide][0], _ROOM[wide][-1]
    return 30 + 12 * -(-len(caption) // line) + sum(8 * -(-len(each) // small) for each in below)


def _size(table: Table, room: float, *, wide: bool) -> str:
    """Return the largest size in which the table should fit the line, and `room` points."""
    length = _length(table)
    lines = len(table.rows()) + 1.5 * len(table.groups) + max(len(_words(head)) for head in table.heads)
    sizes = zip(_SIZES, _ROOM[wide], _LEADS, strict=True)
    return next((size for size, line, lead in sizes if length <= line and lines * lead <= room), _SIZES[-1])


def _length(table: Table) -> int:
    """Return about how many characters the table is wide: remarks do not count, intervals are small."""

    def long(row: Row, i: int) -> float:
        text = row.cells[i].text
        if i == 0:
            return len(text.removesuffix(f" [{row.source}]")) + 4 * row.named_source
        found = _VALUE.fullmatch(text)
        return len(found["value"]) + 0.7 * len(found["half"] or "") if found else len(text.partition(": ")[0])

    sizes = [
        max([*(1.1 * len(each) for each in _words(head)), *(long(row, i) for _, row in table.rows())], default=0)
        for i, head in enumerate(table.heads)
    ]
    return round(sum(sizes) + 1.5 * len(sizes))
