"""Tables as one HTML page: no network, sortable, light and dark, every text escaped."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from html import escape

from .table import Cell, Head, Row, Table

_STYLE = """
:root{color-scheme:light dark;
  --ink:#1b1f24;--soft:#59636e;--rule:#d1d9e0;
  --paper:#fff;--band:#f6f8fa;--own:#eef6ff;--mark:#0969da}
@media(prefers-color-scheme:dark){:root{
  --ink:#e6edf3;--soft:#9198a1;--rule:#30363d;
  --paper:#0d1117;--band:#161b22;--own:#12243d;--mark:#58a6ff}}
*{box-sizing:border-box}
body{margin:0 auto;padding:2rem 1.5rem;max-width:84rem;
  color:var(--ink);background:var(--paper);font:15px/1.5 system-ui,"DejaVu Sans",sans-serif}
h1{font-size:1.4rem;margin:0 0 1.5rem}
h2{font-size:1.1rem;margin:2.5rem 0 .5rem}
.wide{overflow-x:auto}
table{border-collapse:collapse;border-top:2px solid var(--ink);
  border-bottom:2px solid var(--ink);font-variant-numeric:tabular-nums}
th,td{padding:.28rem .7rem;text-align:left;white-space:nowrap;vertical-align:top}
td.words{white-space:normal;min-width:12rem}
th.n,td.n{text-align:right}
thead th{border-bottom:1px solid var(--ink);background:var(--paper);position:sticky;top:0}
thead button{all:unset;cursor:pointer;font-weight:600}
thead button:focus-visible{outline:2px solid var(--mark)}
th[aria-sort=descending] button::after{content:" \\2193"}
th[aria-sort=ascending] button::after{content:" \\2191"}
tbody th.group{font-style:italic;font-weight:400;
  color:var(--soft);background:var(--band);border-top:1px solid var(--rule)}
tr.measured td{background:var(--own)}
tr.measured td:first-child{box-shadow:inset 3px 0 var(--mark)}
b{font-weight:700}u{text-underline-offset:2px}
ul.notes{color:var(--soft);font-size:.85rem;margin:.6rem 0 0;padding-left:1.1rem;overflow-wrap:anywhere}
@media print{body{max-width:none;padding:0}thead th{position:static}.wide{overflow:visible}h2{break-after:avoid}}
"""

_SCRIPT = """
for (const table of document.querySelectorAll("table")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
    const up = head.getAttribute("aria-sort") === "descending";
    heads.forEach(other => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    for (const body of table.tBodies) {
      const rows = [...body.rows].filter(row => !row.querySelector("th.group"));
      const value = row => row.cells[column].dataset.v === undefined ? null : Number(row.cells[column].dataset.v);
      const words = row => row.cells[column].textContent;
      rows.sort((a, b) => {
        const x = value(a), y = value(b);
        if (x === null && y === null) return words(a).localeCompare(words(b)) * (up ? -1 : 1);
        if (x === null || y === null) return x === null ? 1 : -1;
        return up ? x - y : y - x;
      });
      rows.forEach(row => body.append(row));
    }
  }));
}
"""


def page(tables: Sequence[Table], title: str = "janus-eval report") -> str:
    """Return a whole page. Its content policy lets nothing run or load but what stands in it."""
    digest = base64.b64encode(hashlib.sha256(_SCRIPT.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; base-uri 'none'"
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<h1>{escape(title)}</h1>",
            *map(_table, tables),
            f"<script>{_SCRIPT}</script>\n</body>\n</html>",
        ]
    )


def _table(table: Table) -> str:
    heads = "".join(map(_head, table.heads))
    bodies: list[str] = []
    for group in table.groups:
        title = (
            f'<tr><th class="group" colspan="{len(table.heads)}">{escape(group.name)}</th></tr>\n' if group.name else ""
        )
        rows = "\n".join(_row(row, table.heads) for row in group.rows)
        bodies.append(f"<tbody>\n{title}{rows}\n</tbody>")
    notes = "".join(f"<li>{escape(note)}</li>" for note in table.notes)
    return "\n".join(
        [
            f'<section id="{escape(table.key)}">\n<h2>{escape(table.title)}</h2>\n<div class="wide">',
            f"<table>\n<thead><tr>{heads}</tr></thead>",
            *bodies,
            "</table>\n</div>",
            f'<ul class="notes">{notes}</ul>' if notes else "",
            "</section>",
        ]
    )


def _head(head: Head) -> str:
    side = ' class="n"' if head.number else ""
    return f'<th scope="col"{side}><button type="button">{escape(head.text)}</button></th>'


def _row(row: Row, heads: Sequence[Head]) -> str:
    cells = "".join(_cell(cell, head) for cell, head in zip(row.cells, heads, strict=True))
    return f'<tr class="{row.kind}">{cells}</tr>'


def _cell(cell: Cell, head: Head) -> str:
    text = escape(cell.text)
    text = {"best": f"<b>{text}</b>", "second": f"<u>{text}</u>"}.get(cell.rank, text)
    kind = ' class="n"' if head.number else ' class="words"' if len(cell.text) > 60 else ""
    value = "" if cell.value is None else f' data-v="{cell.value!r}"'
    return f"<td{kind}{value}>{text}</td>"
