"""How well the toy's scorers see: `python train/measure.py [--scenes N] [--seed TEXT]`.

Ground-truth scenes of their own seed, plain and textured, go through GenEval's observer and through
DPG-Bench's as any picture does; what they report is compared with what was drawn.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

from detector import scene
from janus_eval.benchmarks.dpg_bench.vqa.observer import DpgVqa
from janus_eval.benchmarks.geneval.observer import GenEvalObserver
from janus_eval.benchmarks.toy.world import Scene, draw
from janus_eval.evals.types import Prediction, Sample
from machine import at_least
from vqa import KINDS, question

COUNTING = 0.9
PRESENCE = 0.3


def pair(folder: Path, number: int, seen: Scene) -> tuple[Sample, Prediction]:
    path = folder / f"{number}.png"
    draw(seen).save(path)
    asked = [{"class": name, "count": 1, "color": "red"} for name in sorted({thing.name for thing in seen.things})]
    target = {"tag": "color_attr", "include": asked, "prompt": ""}
    return Sample(str(number), "", target=target), Prediction(str(number), 0, "image", image=path)


def detector(scenes: list[Scene]) -> dict[str, Any]:
    """Return the shares of scenes whose classes and counts are all right, and of things whose colour is."""
    observer = GenEvalObserver(world="toy", device="cpu")
    right: Counter[str] = Counter()
    things = colored = 0
    with tempfile.TemporaryDirectory() as folder:
        found = observer.observe([pair(Path(folder), number, seen) for number, seen in enumerate(scenes)])
    for seen, evidence in zip(scenes, found, strict=True):
        wanted = Counter(thing.name for thing in seen.things)
        for name, least in (("class and count above 0.3", PRESENCE), ("class and count above 0.9", COUNTING)):
            boxes = evidence.data["boxes"]
            counted = {each: sum(box[4] > least for box in rows) for each, rows in boxes.items()}
            right[name] += {each: number for each, number in counted.items() if number} == wanted
        for name in wanted:
            said = zip(evidence.data["boxes"].get(name, []), evidence.data["colors"].get(name, []), strict=True)
            sure = [color for box, color in said if box[4] > PRESENCE]
            drawn = Counter(thing.color for thing in seen.things if thing.name == name)
            things += wanted[name]
            colored += sum((drawn & Counter(sure)).values())
    shares = {name: count / len(scenes) for name, count in right.items()}
    return {**shares, "things": things, "colour": colored / things}


def answers(rng: Random, scenes: list[Scene]) -> dict[str, Any]:
    """Return the share of DPG-Bench's kinds of question that are answered right, as many yes as no of each."""
    asked = [
        [
            (text, "yes" if yes else "no", kind)
            for kind in KINDS
            for yes in (True, False)
            if (text := question(rng, seen, kind, yes)) is not None
        ]
        for seen in scenes
    ]
    said = DpgVqa("toy", device="cpu").ask(
        [draw(seen) for seen in scenes], [[text for text, _, _ in row] for row in asked]
    )
    right: dict[str, list[bool]] = {}
    for row, replies in zip(asked, said, strict=True):
        for (_, wanted, kind), (reply, _) in zip(row, replies, strict=True):
            right.setdefault(f"{kind}, {wanted}", []).append(reply == wanted)
    return {key: {"questions": len(each), "right": sum(each) / len(each)} for key, each in sorted(right.items())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=at_least(1), default=500)
    parser.add_argument("--seed", default="measure-1")
    args = parser.parse_args()
    rng = Random(args.seed)
    scenes = [scene(rng) for _ in range(args.scenes)]
    print(json.dumps({"scenes": args.scenes, "geneval": detector(scenes), "dpg": answers(rng, scenes)}, indent=1))


if __name__ == "__main__":
    main()
