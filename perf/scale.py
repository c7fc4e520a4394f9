"""How long a suite takes on 8, 64 and 512 GPUs, and what holds it up: a simulation of the run's flow.

    python perf/scale.py                         with the costs that are assumed below
    python perf/scale.py --draw 0.8 --look 0.05  with others, such as `janus-eval show RUN --where` tells
    python perf/scale.py --measure               what storing a picture costs on this disk, measured now

Assumed, not measured on a GPU: 1.2 s to draw a picture, 0.10 s for GenEval's detector and 0.25 s for DPG's VQA model to
look at it, 90 s and 30 s to load model and scorer. Storing takes 7.3 ms a picture of 0.3 MB, in one process (measured).
"""

from __future__ import annotations

import argparse
import heapq
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from janus_eval.evals.store import RunStore
from janus_eval.evals.types import Prediction, RunSpec


@dataclass(frozen=True)
class Costs:
    """Seconds: of a picture to be drawn, looked at and stored, of a model and a scorer to be loaded."""

    draw: float = 1.2
    look: float = 0.10
    store: float = 0.0073
    load: float = 90.0
    load_scorer: float = 30.0


def actors(pictures: int, batch: int, workers: int, scorers: int, costs: Costs) -> float:
    """Return when a run ends whose scorers look at batches as soon as they are drawn and stored by one driver."""
    sizes = [min(batch, pictures - start) for start in range(0, pictures, batch)]
    free = [costs.load] * workers
    drawn: list[tuple[float, int]] = []
    for size in sizes:
        done = heapq.heappop(free) + size * costs.draw
        drawn.append((done, size))
        heapq.heappush(free, done)
    driver, end = 0.0, 0.0
    looking = [costs.load_scorer] * scorers
    for done, size in sorted(drawn):
        driver = max(driver, done) + size * costs.store
        seen = max(heapq.heappop(looking), driver) + size * costs.look
        heapq.heappush(looking, seen)
        end = max(end, seen)
    return end


def best(pictures: int, batch: int, gpus: int, costs: Costs) -> tuple[float, int]:
    """Return the shortest time over all ways to give GPUs to scorers, and how many scorers that takes."""
    splits = [count for count in (*range(1, 17), 20, 24, 32, 48, 64, 96, 128) if count < gpus]
    return min((actors(pictures, batch, gpus - count, count, costs), count) for count in splits)


def one_after_the_other(pictures: int, batch: int, gpus: int, costs: Costs) -> float:
    """Return the time where one scorer begins after the last picture."""
    drawn = actors(pictures, batch, gpus, 1, replace(costs, look=0.0, load_scorer=0.0))
    return drawn + costs.load_scorer + pictures * costs.look


def held_up_by(pictures: int, batch: int, gpus: int, costs: Costs) -> str:
    """Return what keeps the run from its floor, and how much it would gain by having that for nothing."""
    now, _ = best(pictures, batch, gpus, costs)
    ways = {
        "looking": best(pictures, batch, gpus, replace(costs, look=0.0))[0],
        "storing": best(pictures, batch, gpus, replace(costs, store=0.0))[0],
        "the size of batches": best(pictures, 1, gpus, costs)[0],
    }
    name = min(ways, key=lambda way: ways[way])
    return f"{name}: {now - ways[name]:.0f} s"


def table(suites: dict[str, tuple[int, float]], given: Costs) -> None:
    heads = ("suite", "GPUs", "batch", "one scorer, after", "actors, best split (scorers)", "if storing were free")
    print("|", " | ".join([*heads, "floor", "held up by"]), "|")
    print("|---|---|---|---|---|---|---|---|")
    for suite, (pictures, look) in suites.items():
        costs = replace(given, look=look)
        for gpus, batch in ((8, 32), (64, 32), (64, 8), (512, 8)):
            split, scorers = best(pictures, batch, gpus, costs)
            free, _ = best(pictures, batch, gpus, replace(costs, store=0.0))
            cells = (
                one_after_the_other(pictures, batch, gpus, costs),
                split,
                free,
                costs.load + pictures * (costs.draw + look) / gpus,
            )
            told = [f"{cells[0]:,.0f} s", f"{cells[1]:,.0f} s ({scorers})", f"{cells[2]:,.0f} s", f"{cells[3]:,.0f} s"]
            why = held_up_by(pictures, batch, gpus, costs)
            print("|", " | ".join([f"{suite} {pictures:,}", str(gpus), str(batch), *told, why]), "|")


def measured(folder: Path, batches: int = 20) -> float:
    """Return the seconds that storing a picture of 0.3 MB takes here, in batches of 32."""
    spec = RunSpec("m", "b", 0, None, {}, {}, {}, "perf")
    picture = bytes(range(256)) * 1200
    with RunStore(folder / "run", spec) as store, ThreadPoolExecutor(4) as pool:
        began = time.perf_counter()
        for batch in range(batches):
            names = [f"{batch}-{each}" for each in range(32)]
            made = [Prediction(name, 0, "image", image=store.folder / "images" / name / "0.png") for name in names]
            store.add_predictions([(each, picture) for each in made], pool)
        return (time.perf_counter() - began) / batches / 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draw", type=float, default=Costs.draw)
    parser.add_argument("--look", type=float, help="of every suite (default: 0.10 GenEval, 0.25 DPG-Bench)")
    parser.add_argument("--store", type=float, default=Costs.store)
    parser.add_argument("--load", type=float, default=Costs.load)
    parser.add_argument("--measure", action="store_true")
    args = parser.parse_args()
    if args.measure:
        with tempfile.TemporaryDirectory() as folder:
            print(f"storing: {measured(Path(folder)) * 1000:.2f} ms a picture of 0.3 MB, a file each")
        return
    suites = {"GenEval": (2212, args.look or 0.10), "DPG": (4260, args.look or 0.25)}
    table(suites, Costs(draw=args.draw, store=args.store, load=args.load))


if __name__ == "__main__":
    main()
