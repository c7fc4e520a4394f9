"""The table of systems: one source for the docs and the terminal, and nothing in it that does not exist."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from janus_eval.evals import registry
from janus_eval.evals.commands.cli import main
from janus_eval.models.systems import systems
from janus_eval.models.workers.environments import Recipe
from support.systems_page import TABLES, shown, table

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", TABLES)
def test_a_page_shows_its_table_as_it_is(name: str) -> None:
    assert shown(name) == table(name), "python tests/support/systems_page.py writes it anew"


def test_list_models_shows_every_row(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "models"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    for each in systems():
        assert f"{each.name} -m {each.model}" in printed
        assert each.ran in printed
    assert main(["list", "models", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["systems"]
    assert [row["system"] for row in told] == [each.name for each in systems()]


@pytest.mark.parametrize("system", systems(), ids=lambda each: each.name)
def test_a_row_names_what_there_is(system: object) -> None:
    from janus_eval.models.systems import System

    assert isinstance(system, System)
    name = system.model.partition(" ")[0]
    assert registry.resolve("models", name)
    assert set(system.halves) <= {"draws", "edits", "answers"}
    assert system.licence and system.ran and system.checkpoint
    with (ROOT / "reports" / "reported.csv").open(encoding="utf-8") as file:
        assert set(system.rows) <= {row["model"] for row in csv.DictReader(file)}
    if system.environment.startswith("env create "):
        recipe = registry.create("models", system.environment.removeprefix("env create ")).recipe
        assert isinstance(recipe, Recipe) and recipe.lock is not None and recipe.repository is not None
    elif " " not in system.environment and system.environment != "none":
        assert f"\n{system.environment} = [" in (ROOT / "pyproject.toml").read_text()


def test_a_model_gives_the_halves_of_its_row() -> None:
    kinds = {"image": "draws", "edit": "edits", "text": "answers"}
    for each in systems():
        if each.model.startswith(("openai", "worker", "images")) or each.environment.startswith("env create"):
            continue
        given = registry.create("models", each.model.partition(" ")[0]).kinds
        assert {kinds[kind] for kind in given if kind in kinds} == set(each.halves), each.name
