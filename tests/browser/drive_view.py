"""The site of `janus-eval view` in a real Chromium: `tox -e browser`, apart from the suite because it wants one."""

from __future__ import annotations

import io
import re
import shutil
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from janus_eval.evals.records import find_runs, read_record
from janus_eval.reports.reported import load
from playwright.sync_api import Page, expect
from pypdf import PdfReader

from .conftest import EVIL, LARGE, SMALL

Opened = Callable[..., Page]
CHECKS = Path(__file__).with_name("checks.js").read_text(encoding="utf-8")


def key(made: Path, model: str, suite: str) -> str:
    """Return a run's name in addresses."""
    specs = [read_record(each).spec for each in find_runs([made])]
    return next(each.digest for each in specs if (each.model, each.benchmark) == (model, suite))


def pages(site: Path) -> list[str]:
    return sorted(each.name for each in site.glob("*.html"))


def shown(page: Page) -> tuple[int, int]:
    """Return how many of how many outputs the list says that it shows."""
    text = page.locator("#count").inner_text()
    found = re.fullmatch(r"([\d,]+) of ([\d,]+) outputs", text)
    assert found, text
    return int(found[1].replace(",", "")), int(found[2].replace(",", ""))


def chosen(page: Page) -> str:
    return page.locator("#sample h2").inner_text()


def test_every_page_loads_with_nothing_said_and_nothing_asked_outside(site: Path, home: str, opened: Opened) -> None:
    page = opened(home + "index.html")
    for name in pages(site):
        page.goto(home + name)
        expect(page.get_by_role("heading", level=1)).to_be_visible()


def test_a_failed_picture_says_why_two_clicks_from_the_overview(home: str, opened: Opened) -> None:
    page = opened(home + "index.html")
    page.get_by_role("link", name="What failed: my-model on geneval").click()
    page.locator(".row").first.click()
    expect(page.locator("#sample .readings .bad").first).to_have_text("wrong")


def test_filters_leave_only_what_they_say(made: Path, home: str, opened: Opened) -> None:
    page = opened(f"{home}samples.html#run={key(made, 'my-model', 'geneval')}")
    expect(page.locator(".row").first).to_be_visible()
    whole = shown(page)
    assert whole[0] == whole[1]
    page.get_by_label("Verdict").select_option("wrong")
    few = shown(page)
    assert 0 < few[0] < whole[0]
    assert set(page.locator(".row .chip").all_inner_texts()) == {"wrong"}
    page.get_by_label("Category").select_option("counting")
    fewer = shown(page)
    assert 0 < fewer[0] < few[0]
    page.get_by_label("Text").fill("no such words")
    assert shown(page)[0] == 0


def test_a_list_of_all_runs_holds_only_the_rows_in_sight(made: Path, home: str, opened: Opened) -> None:
    page = opened(f"{home}samples.html#run={key(made, 'janus-pro-7b', 'geneval')}")
    expect(page.locator(".row").first).to_be_visible()
    assert shown(page)[0] == 2212
    assert page.locator(".row").count() < 60
    page.locator("#list").evaluate("each => { each.scrollTop = each.scrollHeight }")
    expect(page.locator(".row").last).to_contain_text("00552/3")


def test_ids_stand_in_the_order_of_their_numbers(made: Path, folder: str, opened: Opened) -> None:
    page = opened(f"{folder}samples.html#run={key(made, 'janus-toy', 'dpg_bench')}")
    expect(page.locator(".row").first).to_be_visible()
    numbers = [int(each) for each in re.findall(r"toy(\d+)/0", "\n".join(page.locator(".row b").all_inner_texts()))]
    assert numbers == sorted(numbers) and numbers[:3] == [0, 1, 2]


def test_keys_walk_search_and_open(made: Path, home: str, opened: Opened) -> None:
    page = opened(f"{home}samples.html#run={key(made, 'janus-toy', 'geneval')}")
    expect(page.locator("#sample h2")).to_have_text("00000 / 0")
    page.keyboard.press("j")
    expect(page.locator("#sample h2")).to_have_text("00000 / 1")
    page.keyboard.press("j")
    page.keyboard.press("k")
    expect(page.locator("#sample h2")).to_have_text("00000 / 1")
    page.keyboard.press("/")
    expect(page.get_by_label("Text")).to_be_focused()
    page.keyboard.type("00003")
    page.keyboard.press("Enter")
    expect(page.locator("#sample h2")).to_have_text("00003 / 0")
    page.keyboard.press("Enter")
    expect(page.locator("#sample")).to_be_focused()


def test_an_address_opens_the_same_sample_under_the_same_filters(made: Path, home: str, opened: Opened) -> None:
    page = opened(f"{home}samples.html#run={key(made, 'my-model', 'geneval')}")
    page.get_by_label("Verdict").select_option("wrong")
    page.locator(".row").nth(2).click()
    expect(page.locator(".row[aria-selected=true]")).to_have_count(1)
    name, rows = chosen(page), shown(page)
    again = opened(page.url)
    expect(again.locator("#sample h2")).to_have_text(name)
    assert shown(again) == rows
    assert again.get_by_label("Verdict").input_value() == "wrong"


@pytest.mark.parametrize(("button", "part"), [("Boxes", "rect"), ("Masks", "path.mask")])
def test_what_was_seen_on_a_picture_goes_and_comes(
    made: Path, home: str, opened: Opened, button: str, part: str
) -> None:
    page = opened(f"{home}samples.html#run={key(made, 'janus-toy', 'geneval')}")
    drawn = page.locator(f".layer .strong {part}").first
    expect(drawn).to_be_visible()
    toggle = page.get_by_role("button", name=button, exact=True)
    toggle.click()
    expect(drawn).to_be_hidden()
    expect(toggle).to_have_attribute("aria-pressed", "false")
    page.keyboard.press("j")  # the choice holds for the next picture
    expect(page.locator("#sample h2")).to_have_text("00000 / 1")
    expect(page.locator(f".layer .strong {part}").first).to_be_hidden()
    page.get_by_role("button", name=button, exact=True).click()
    expect(page.locator(f".layer .strong {part}").first).to_be_visible()


def test_a_picture_is_there_and_not_a_broken_sign(made: Path, home: str, opened: Opened) -> None:
    page = opened(f"{home}samples.html#run={key(made, 'janus-toy', 'geneval')}")
    expect(page.locator("img.drawn")).to_be_visible()
    page.wait_for_function("document.querySelector('img.drawn').naturalWidth > 0")


def test_a_drawing_shows_its_questions_as_a_tree(made: Path, folder: str, opened: Opened) -> None:
    page = opened(f"{folder}samples.html#run={key(made, 'janus-toy', 'dpg_bench')}")
    expect(page.locator(".tree li").first).to_contain_text("Is there")
    assert page.locator(".tree .deep-1").count() > 0


def test_a_judged_answer_shows_question_gold_and_the_judges_words(made: Path, folder: str, opened: Opened) -> None:
    page = opened(f"{folder}samples.html#run={key(made, 'janus-toy', 'mm_vet')}")
    for name in ("Question", "Gold", "Answer", "Readings", "Judge rule"):
        expect(page.locator("#sample").get_by_role("heading", name=name)).to_be_visible()
    expect(page.locator(".talk pre").first).not_to_be_empty()


def test_two_steps_show_their_flips_side_by_side_and_a_line(made: Path, home: str, opened: Opened) -> None:
    page = opened(f"{home}compare.html#a={key(made, 'always-yes', 'pope')}")
    expect(page.locator("#steps circle")).to_have_count(2)
    flip = page.locator(".flip").first
    flip.locator("summary").click()
    expect(flip.locator("article")).to_have_count(2)
    values = flip.locator("summary .chip").all_inner_texts()
    assert sorted(values) == ["right", "wrong"]


def test_published_numbers_stand_below_the_users_with_a_verdict(folder: str, opened: Opened) -> None:
    page = opened(folder + "index.html")
    figure = page.locator("figure", has_text="GenEval, overall")
    names = figure.locator("li .name").all_inner_texts()
    mine = [place for place, each in enumerate(names) if each.startswith("my-model")]
    published = {each.model + each.note for each in load()}
    theirs = [place for place, each in enumerate(names) if each in published]
    assert mine and len(theirs) > 3 and mine[0] < theirs[0]
    expect(figure.locator("li", has_text="janus-pro-7b").locator(".chip").first).to_be_visible()


def test_a_run_shows_its_parts_and_the_command_that_repeats_it(made: Path, home: str, opened: Opened) -> None:
    page = opened(f"{home}run-{key(made, 'janus-toy', 'geneval')}.html")
    expect(page.get_by_role("cell", name="two_object (part)", exact=True)).to_be_visible()
    expect(page.locator("pre").first).to_contain_text("janus-eval run --again")
    expect(page.get_by_text("m.weights:packaged")).to_be_hidden()
    page.get_by_text("Signature", exact=True).click()
    expect(page.get_by_text("m.weights:packaged")).to_be_visible()


def test_print_is_landscape_and_holds_every_column(site: Path, folder: str, opened: Opened) -> None:
    page = opened(folder + "index.html")
    for name in pages(site):
        page.goto(folder + name)
        heads = [each.strip() for each in page.locator("thead th:not(:has(.hide))").all_text_contents()]
        cells = [each.strip() for each in page.locator("tbody tr td:last-child").all_text_contents()]
        made = PdfReader(io.BytesIO(page.pdf(prefer_css_page_size=True)))
        assert all(each.mediabox.width > each.mediabox.height for each in made.pages)
        text = squeezed("".join(each.extract_text() for each in made.pages))
        assert [each for each in [*heads, *cells] if squeezed(each) not in text] == []


def squeezed(text: str) -> str:
    """Return a text without its blanks and ligatures."""
    return re.sub(r"\s+", "", unicodedata.normalize("NFKC", text))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [SMALL, LARGE], ids=["390", "1440"])
def test_no_page_scrolls_sideways_and_every_text_stands_out(
    site: Path, made: Path, folder: str, opened: Opened, size: tuple[int, int], scheme: str
) -> None:
    page = opened(folder + "index.html", size, scheme)
    names = [f"samples.html#run={read_record(each).spec.digest}" for each in find_runs([made])]
    for name in [*pages(site), *names]:
        page.goto("about:blank")
        page.goto(folder + name)
        page.wait_for_load_state()
        if name.startswith("samples"):
            expect(page.locator("#sample h2")).to_be_visible()
        for each in page.locator("details").all():
            each.evaluate("each => { each.open = true }")
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= size[0], f"{name} is {wide} wide"
        assert page.evaluate(f"{CHECKS}.faint()") == [], name


def test_every_control_and_picture_has_a_name(site: Path, made: Path, folder: str, opened: Opened) -> None:
    page = opened(folder + "index.html")
    for name in [*pages(site), f"samples.html#run={key(made, 'janus-toy', 'geneval')}"]:
        page.goto("about:blank")
        page.goto(folder + name)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        assert page.evaluate(f"{CHECKS}.nameless()") == [], name


def test_hostile_texts_are_read_and_do_nothing(site: Path, made: Path, home: str, opened: Opened) -> None:
    """Whatever ran, spoke or asked would fail in `opened`."""
    page = opened(home + "index.html")
    for model, suite in (("always-yes", "short_answer"), ("evil-model", "geneval")):
        name = key(made, model, suite)
        for address in (f"run-{name}.html", f"samples.html#run={name}", f"compare.html#a={name}"):
            page.goto("about:blank")
            page.goto(home + address)
            expect(page.locator("body")).to_contain_text(EVIL)
            assert page.locator("img[onerror], svg[onload], script:not([src])").count() == 0
    page.goto(f"{home}samples.html#text={EVIL}&id=%3Cimg%20src=x%3E&sort=__proto__&run={name}")
    page.get_by_label("Text").fill(EVIL)
    expect(page.locator("#count")).to_contain_text("1 of")


def test_a_run_that_goes_on_shows_itself(
    made: Path, serving: Callable[[Path], str], tmp_path: Path, opened: Opened
) -> None:
    whole = next(each for each in find_runs([made]) if "my-model" in each.name)
    folder = tmp_path / "runs" / whole.name
    shutil.copytree(whole, folder)
    record = (folder / "record.json").read_bytes()
    (folder / "record.json").unlink()
    page = opened(serving(tmp_path / "runs"))
    expect(page.locator("main")).to_contain_text("under way")
    (folder / "record.json").write_bytes(record)
    expect(page.locator("main")).not_to_contain_text("under way", timeout=20_000)


def test_a_name_that_is_not_this_machines_is_refused(served: str, opened: Opened) -> None:
    page = opened(served)
    answer: Any = page.request.get(served, headers={"Host": "evil.example"})
    assert answer.status == 403
