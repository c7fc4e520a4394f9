"""The table of systems in docs/models.md, made of models/systems.toml; run as a script it writes it there."""

from __future__ import annotations

from pathlib import Path

from janus_eval.models.systems import HEAD, cells, systems

PAGE = Path(__file__).parents[2] / "docs" / "models.md"
BEGIN, END = "<!-- systems -->", "<!-- end of systems -->"


def table() -> str:
    """Return the table as the page has it; what is typed and where weights lie stand as code."""
    rows = [HEAD, ("---",) * len(HEAD)]
    for each in systems():
        row = list(cells(each))
        row[5] = f"`{row[5]}`"
        rows.append(tuple(row))
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def shown() -> str:
    """Return the table that stands in the page."""
    return PAGE.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0].strip()


if __name__ == "__main__":
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n{table()}\n{END}{rest.partition(END)[2]}", encoding="utf-8")
