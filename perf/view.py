"""What a site of `janus-eval view` takes: pictures of noise beside answers by the thousand, opened in Chromium.

    python perf/view.py [--pictures 2212] [--answers 14000]

Wants playwright and a Chromium (CHROMIUM names one).
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from janus_eval.evals.store import RunStore
from janus_eval.evals.types import Metric, Prediction, RunRecord, RunSpec, Score
from janus_eval.reports.view import site
from PIL import Image
from playwright.sync_api import Page, sync_playwright

SIDE = 384
LOADED = "performance.getEntriesByType('navigation')[0].loadEventEnd"
SCROLL = """async () => {
  const list = document.getElementById("list"), frames = [];
  let last = performance.now();
  for (let at = 0; at < 120; at++) {
    list.scrollTop += 700;
    await new Promise(requestAnimationFrame);
    frames.push(performance.now() - last);
    last = performance.now();
  }
  return frames.sort((a, b) => b - a)[5];
}"""
"""The sixth longest of 120 frames, in ms."""


def picture(folder: Path, number: int) -> Path:
    return folder / "images" / f"{number // 4:05d}" / f"{number % 4}.png"


def finish(store: RunStore, spec: RunSpec, scores: list[Score]) -> None:
    counts = dict.fromkeys(("expected", "predicted", "scored"), len(scores))
    metrics = {"official/overall": Metric(0.5, len(scores), 0.45, 0.55)}
    store.finish(scores, RunRecord(spec, "official/overall", metrics, counts, True))


def drawn(folder: Path, count: int) -> None:
    """Write a run of pictures of pure noise: the worst there is to compress."""
    spec, noise = RunSpec("noise", "geneval", 0, None, {}, {"version": "1"}, {}, "0"), random.Random(0)
    with RunStore(folder / "drawn", spec) as store, ThreadPoolExecutor(2) as pool:
        for first in range(0, count, 32):
            numbers = range(first, min(count, first + 32))
            pictures = [Image.frombytes("RGB", (SIDE, SIDE), noise.randbytes(3 * SIDE * SIDE)) for _ in numbers]
            rows = [
                Prediction(f"{number // 4:05d}", number % 4, "image", image=picture(store.folder, number))
                for number in numbers
            ]
            store.add_predictions(list(zip(rows, pictures, strict=True)), pool)
        rows = [(f"{number // 4:05d}", number % 4, float(number % 3 > 0)) for number in range(count)]
        finish(store, spec, [Score(name, index, "official", value) for name, index, value in rows])


def answered(folder: Path, count: int) -> None:
    spec, source = RunSpec("talker", "pope", 0, None, {}, {"version": "1"}, {}, "0"), random.Random(1)
    words = ("yes", "no", "a", "red", "clock", "stands", "left", "of", "two", "cats")
    with RunStore(folder / "answered", spec) as store, ThreadPoolExecutor(1) as pool:
        texts = {str(number): " ".join(source.choices(words, k=20)) for number in range(count)}
        store.add_predictions([(Prediction(name, 0, "text", text), text) for name, text in texts.items()], pool)
        tags = [{"category": f"c{number % 9}"} for number in range(count)]
        scores = [Score(name, 0, "official", float(int(name) % 2), tags=tags[int(name)]) for name in texts]
        finish(store, spec, scores)


def measured(page: Page, address: str) -> None:
    page.goto(address + "index.html")
    print(f"overview loaded after {page.evaluate(LOADED):.0f} ms")
    page.goto(address + "samples.html#suite=pope")
    page.locator(".row").first.wait_for()
    print(f"samples loaded after {page.evaluate(LOADED):.0f} ms")
    took: list[float] = []
    for label, value in (("Verdict", "wrong"), ("Verdict", ""), ("Category", "c3"), ("Sort", "long")):
        page.get_by_label(label).select_option(value)
        took.append(float(page.locator("#list").get_attribute("data-ms") or "nan"))
    for text in ("red clock", "no such words", ""):
        page.get_by_label("Text").fill(text)
        took.append(float(page.locator("#list").get_attribute("data-ms") or "nan"))
    print(f"filters over {page.locator('#count').inner_text()}: at most {max(took)} ms")
    page.goto("about:blank")
    page.goto(address + "samples.html#suite=geneval")
    page.locator(".row").first.wait_for()
    print(
        f"scrolling: a slow frame takes {page.evaluate(SCROLL):.0f} ms, {page.locator('.row').count()} rows in the page"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=2212)
    parser.add_argument("--answers", type=int, default=14000)
    args = parser.parse_args()
    found = os.environ.get("CHROMIUM") or shutil.which("chromium")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as play:
        runs, out = Path(folder) / "runs", Path(folder) / "site"
        drawn(runs, args.pictures)
        answered(runs, args.answers)
        for which in ("built", "built again"):
            began = time.perf_counter()
            site.build([runs], out)
            print(f"{which} in {time.perf_counter() - began:.1f} s")
        print(f"{sum(each.stat().st_size for each in out.rglob('*') if each.is_file()) / 1e6:.1f} MB")
        browser = play.chromium.launch(executable_path=found, args=["--no-sandbox"])
        measured(browser.new_page(viewport={"width": 1440, "height": 900}), out.as_uri() + "/")
        browser.close()


if __name__ == "__main__":
    main()
