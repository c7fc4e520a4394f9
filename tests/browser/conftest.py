"""Real runs of small models, their site from a folder and served, and a Chromium that tells all it says and asks."""

from __future__ import annotations

import csv
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from janus_eval.evals.commands.cli import main
from janus_eval.evals.types import Score
from janus_eval.reports.view import serve
from PIL import Image
from support import runs

if TYPE_CHECKING:  # a plain pytest reads this file where there is no playwright
    from playwright.sync_api import Browser, BrowserContext, Page

EVIL = '</script><svg onload="window.hit=1"><img src=x onerror="window.hit=1">{{7*7}}'
"""Model output, prompt, tag, reason and file name that would run in a page that trusts them."""
SMALL, LARGE = (390, 844), (1440, 900)


def _asked(folder: Path) -> Path:
    """Write a table of hostile questions with hostile options about a picture of a hostile name."""
    name = "evil '><img src=x onerror=window.hit=1>.png"
    Image.new("RGB", (32, 32), "teal").save(folder / name)
    with (folder / "evil.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "question", "answer", "image"])
        writer.writerows([[f"{EVIL} {number}", EVIL, EVIL, name] for number in range(3)])
    return folder / "evil.csv"


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of runs: four suites of the toy model, two steps of another, published rivals, a hostile one."""
    folder = tmp_path_factory.mktemp("made")
    out = folder / "<img src=x onerror=window.hit=1>"
    table = _asked(folder)
    toy = ["run", "-o", str(out), "--data", "toy", "-l", "24"]
    assert main([*toy, "-m", "janus-toy", "-b", "geneval,dpg_bench,pope,mm_vet"]) == 0
    for step, answer in ((2, "yes"), (10, "no")):
        assert main([*toy, "-m", "always-yes", "-a", f"answer={answer}", "--step", str(step), "-b", "pope"]) == 0
    hostile = ["run", "-o", str(out), "-m", "always-yes", "-a", f"answer={EVIL}", "--tag", EVIL]
    assert main([*hostile, "-b", "short_answer", "--data", str(table)]) == 0
    odd = Score("0", 0, "official", 0.0, reason=EVIL, tags={"task": EVIL})
    runs.write(out, runs.spec("my-model"), runs.scores(share=4))
    runs.write(out, runs.spec("janus-pro-7b"), runs.scores(1))
    runs.write(out, runs.spec("evil-model", tag=EVIL), [*runs.scores(share=40), odd])
    return out


@pytest.fixture(scope="session")
def site(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site") / "site"
    assert main(["view", str(made), "-o", str(out)]) == 0
    return out


@dataclass
class Served:
    """A site served by a thread of this process."""

    address: str = ""
    ready: threading.Event = field(default_factory=threading.Event)
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self, folder: Path) -> None:
        serve.serve([folder], 0, ready=self._told, say=print, stop=self.stop)

    def _told(self, address: str) -> None:
        self.address = address
        self.ready.set()


@pytest.fixture(scope="session")
def serving() -> Iterator[Callable[[Path], str]]:
    """Return what serves the runs of a folder and gives the address; all of it ends with the tests."""
    threads: list[tuple[Served, threading.Thread]] = []

    def start(folder: Path) -> str:
        served = Served()
        thread = threading.Thread(target=served.run, args=(folder,), daemon=True)
        thread.start()
        threads.append((served, thread))
        assert served.ready.wait(60)
        return served.address

    yield start
    for served, thread in threads:
        served.stop.set()
        thread.join(30)


@pytest.fixture(scope="session")
def served(made: Path, serving: Callable[[Path], str]) -> str:
    return serving(made)


@pytest.fixture(scope="session")
def folder(site: Path) -> str:
    return site.as_uri() + "/"


@pytest.fixture(params=["folder", "served"])
def home(request: pytest.FixtureRequest) -> str:
    """Return the address that the pages' names follow: a folder's, then a server's."""
    return str(request.getfixturevalue(str(request.param)))


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    found = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if not found:
        pytest.fail("no Chromium here: install one (Debian: apt-get install chromium) or name it in CHROMIUM")
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def opened(chromium: Browser) -> Iterator[Callable[..., Page]]:
    """Return what opens a page of a size and scheme; at the end nothing was said, asked outside, or run."""
    contexts: list[BrowserContext] = []
    said: list[str] = []
    asked: list[str] = []

    def start(address: str, size: tuple[int, int] = LARGE, scheme: str = "light") -> Page:
        context = chromium.new_context(
            viewport={"width": size[0], "height": size[1]}, color_scheme="dark" if scheme == "dark" else "light"
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda each: said.append(f"{each.type}: {each.text}"))
        page.on("pageerror", lambda each: said.append(str(each)))
        page.on("dialog", lambda each: said.append(f"a dialog: {each.message}"))
        # a request is aborted where the page is left before it ends
        page.on("requestfailed", lambda each: each.failure == "net::ERR_ABORTED" or said.append(f"failed: {each.url}"))
        context.on("request", lambda each: asked.append(each.url))
        page.goto(address)
        return page

    yield start
    for context in contexts:
        assert all(page.evaluate("window.hit") is None for page in context.pages), "a hostile text ran"
        context.close()
    assert said == []
    assert [each for each in asked if not each.startswith(("file:///", "http://127.0.0.1:"))] == []
