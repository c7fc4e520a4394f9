"""The docs' tables of systems and recipes, made of models/systems.toml; run as a script it writes them there."""

from __future__ import annotations

import json
from pathlib import Path

from janus_eval.models.systems import HEAD, Recipe, cells, systems

DOCS = Path(__file__).parents[2] / "docs"
TABLES = {"systems": DOCS / "models.md", "recipes": DOCS / "diffusers.md"}
RECIPE = ("`-m diffusers:`", "gives", "steps", "guidance", "size", "further", "read in")


def table(name: str) -> str:
    """Return a table as its page has it; what is typed stands as code."""
    head, rows = (HEAD, _systems()) if name == "systems" else (RECIPE, _recipes())
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, ("---",) * len(head), *rows])


def _systems() -> list[tuple[str, ...]]:
    rows = [list(cells(each)) for each in systems()]
    return [(*row[:5], f"`{row[5]}`", *row[6:]) for row in rows]


def _recipes() -> list[tuple[str, ...]]:
    return [
        (f"`{each.model.partition(':')[2]}`", ", ".join(each.halves), *_knobs(each.recipe), each.origin)
        for each in systems()
        if each.recipe is not None
    ]


def _knobs(recipe: Recipe) -> tuple[str, ...]:
    said = {**recipe.extra}
    if recipe.negative_prompt is not None:
        said["negative_prompt"] = recipe.negative_prompt
    further = ", ".join(f"`{key}={json.dumps(value)}`" for key, value in said.items())
    numbers = (recipe.steps, recipe.guidance, recipe.size)
    return (*("" if each is None else f"{each:g}" for each in numbers), further)


def shown(name: str) -> str:
    """Return the table that stands in the page."""
    begin, end = _marks(name)
    return TABLES[name].read_text(encoding="utf-8").partition(begin)[2].partition(end)[0].strip()


def _marks(name: str) -> tuple[str, str]:
    return f"<!-- {name} -->", f"<!-- end of {name} -->"


if __name__ == "__main__":
    for name, page in TABLES.items():
        begin, end = _marks(name)
        before, _, rest = page.read_text(encoding="utf-8").partition(begin)
        page.write_text(f"{before}{begin}\n{table(name)}\n{end}{rest.partition(end)[2]}", encoding="utf-8")
