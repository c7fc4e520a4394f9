"""The pages say what is: links lead somewhere, quoted messages are in the code, every page is in the site."""

from __future__ import annotations

import ast
import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from janus_eval.evals import members, registry
from support.pages import PAGES, ROOT

FOLDERS = ("evals", "models", "benchmarks", "reports", "integrations")
SUITES = ("geneval", "dpg_bench", "pope", "mme", "mmbench", "seed_bench", "gqa", "mmmu", "mm_vet")
TOLD = ("**Measures**", "**From**", "**Protocols", "**The published rows", "**Pitfalls**", "**The paper's row**")
OWN = ("judge", "options", "prompts", "short_answer", "yes_no")  # shapes for tables of one's own
ROWS = re.findall(r"^\| \[`.*", (ROOT / "docs" / "suites.md").read_text(encoding="utf-8"), re.M)
ROW = {name: row for row in ROWS for name in re.findall(r"`(\w+)`", row.split("|")[1])}
SYSTEMS = re.findall(r"^\| \[(`[^\]]+)\]\(([\w-]+)\.md", (ROOT / "docs" / "models.md").read_text("utf-8"), re.M)
MODELS = [page for _, page in SYSTEMS if page not in ("workers", "geneval", "editing", "toy")]
FAKES = {"always-yes", "blank-image", "first-option", "noise-image"}
LATER = sorted({page for row in ROWS for page in re.findall(r"\((\w+)\.md\)", row)} - {*SUITES})


def messages() -> list[str]:
    """Return the messages that the troubleshooting page quotes."""
    text = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    return re.findall(r"^\| `([^`]*[a-z]{3}[^`]*)`", text, re.M)


def said() -> Iterator[str]:
    """Yield every text in the package's code, what varies in it left blank."""
    for path in (each for folder in FOLDERS for each in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = (each.value if isinstance(each, ast.Constant) else "\0" for each in node.values)
                yield "".join(map(str, parts))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def test_every_quoted_message_is_one_of_the_code() -> None:
    code, quoted = list(said()), messages()
    assert len(quoted) > 25
    lost: list[str] = []
    for message in quoted:
        parts = [re.escape(each) for each in message.replace("=N", "=…").split("…")]
        pattern = re.compile(".*".join(parts), re.S)
        if not any(pattern.search(each) for each in code):
            lost.append(message)
    assert lost == []


@pytest.mark.parametrize("page", PAGES, ids=lambda each: each.stem)
def test_a_link_within_the_repository_leads_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.S)
    targets = re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", text)
    made = {"contributing.md", "changelog.md"}  # by docs/hooks.py
    assert [each for each in targets if each not in made and not (page.parent / each).exists()] == []


def test_the_site_has_every_page_once_and_one_for_each_core_suite() -> None:
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    nav = yaml.safe_load(text)["nav"]
    pages = [page for part in nav for value in part.values() for page in _leaves(value)]
    there = {each.name for each in (ROOT / "docs").glob("*.md")} | {"contributing.md", "changelog.md"}
    assert sorted(pages) == sorted(there)
    assert {f"{suite}.md" for suite in SUITES} <= there


@pytest.mark.parametrize("suite", [*SUITES, *LATER])
def test_each_suite_is_told_in_one_form(suite: str) -> None:
    text = (ROOT / "docs" / f"{suite}.md").read_text(encoding="utf-8")
    heads = TOLD if suite in SUITES else (*TOLD, "**Made elsewhere**", "**Matched**")
    places = [text.find(each) for each in heads]
    assert -1 not in places and places == sorted(places), dict(zip(heads, places, strict=True))


def test_the_table_of_suites_has_each_with_its_headline() -> None:
    assert sorted(ROW) == sorted(set(registry.names("benchmarks")) - {*OWN})
    for name, row in ROW.items():
        headline = f"`{registry.create('benchmarks', name).headline}`"
        assert headline in row, name
        assert headline in (ROOT / "docs" / f"{_page(row, name)}.md").read_text(encoding="utf-8"), name


def test_the_table_of_models_has_each() -> None:
    told = {name.partition(":")[0] for names, _ in SYSTEMS for name in re.findall(r"`([^`]+)`", names)}
    assert told == set(registry.names("models")) - FAKES


@pytest.mark.parametrize("page", MODELS)
def test_each_family_of_models_is_told_in_one_form(page: str) -> None:
    text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
    heads = ("**Is**", "**Weights**", "**Recipe**", "**Memory and time**", "**Pitfalls**", "**To run**", "**Matched**")
    places = [text.find(each.removesuffix("**")) for each in heads]
    assert -1 not in places and places == sorted(places), dict(zip(heads, places, strict=True))


@pytest.mark.parametrize("name", ROW)
def test_the_page_of_a_suite_names_what_it_fetches(name: str) -> None:
    text = (ROOT / "docs" / f"{_page(ROW[name], name)}.md").read_text(encoding="utf-8")
    fetched = members.benchmark(registry.create("benchmarks", name), name).assets()
    assert [each for each in fetched if f"`{each}`" not in text] == []


def _page(row: str, name: str) -> str:
    """Return the page that a row links the name of a suite to."""
    return next(page for said, page in re.findall(r"\[([^\]]*)\]\((\w+)\.md\)", row) if f"`{name}`" in said)


def test_the_numbers_to_compare_with_are_the_reported_ones() -> None:
    reported = {(row.metric, row.value) for row in _reported()}
    named: list[tuple[str, float]] = []
    for suite in SUITES:
        text = (ROOT / "docs" / f"{suite}.md").read_text(encoding="utf-8")
        found = re.findall(r"^janus-eval run -m janus-pro-7b .*compare (\S+) with ([\d.]+\d)", text, re.M)
        named += [(metric, float(value)) for metric, value in found]
    known = [each in reported or ("", each[1]) in reported for each in named]  # of GQA no protocol is stated
    assert len(named) >= 8 and all(known), named


def _reported() -> list[Reported]:
    with (ROOT / "reports" / "reported.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["model"] == "Janus-Pro-7B"]
    return [Reported(row["metric"], float(row["value"])) for row in rows]


class Reported(NamedTuple):
    """A published number of Janus-Pro-7B."""

    metric: str
    value: float


def _leaves(value: Any) -> list[str]:
    return (
        [value]
        if isinstance(value, str)
        else [page for each in value for part in each.values() for page in _leaves(part)]
    )
